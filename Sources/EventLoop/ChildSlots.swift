// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// The children of this process as its limits see them: who may start one now, who waits, and what is kept for `ip`.
///
/// ``ChildBudget`` decides; this gathers what it decides upon and carries it out.
@EventLoop
public final class ChildSlots {
    /// Of this process.
    public static let shared = ChildSlots()

    private var budget: ChildBudget
    private let room: TaskRoom?
    /// Whether tasks are limited: in the daemon.
    private var isLimited = false
    private var waiting: [ChildBudget.Ticket: Waiter<Void>] = [:]
    private var lastTicket: ChildBudget.Ticket = 0
    /// Limits on open files, from when there is a reserve.
    private var descriptors: (ofOthers: UInt64, ofAll: UInt64)?
    /// Kinds whose refusal was told, and of which none has been started since.
    private var told: Set<ChildKind> = []
    /// Is told of the first child of a kind that was not started, and again after one was.
    public var refused: @EventLoop (ChildKind, ChildRefusal) -> Void = { _, _ in }

    private init() {
        self.budget = ChildBudget(isDaemon: false)
        self.room = TaskRoom()
    }

    /// A daemon's slots beside those of the process, for tests; `room`: of the control group that is looked at.
    public init(room: TaskRoom?) {
        self.budget = ChildBudget(isDaemon: true)
        self.isLimited = true
        self.room = room
    }

    /// To call once, first thing in the daemon: from now on its children are limited by their kinds, and descriptors are kept for
    /// `ip`.
    public func reserve() {
        self.budget = ChildBudget(isDaemon: true)
        self.isLimited = true
        let limit = linux_file_limit()
        guard limit.rlim_max > 0 else { return }
        let descriptors = ChildBudget.descriptors(soft: UInt64(limit.rlim_cur), hard: UInt64(limit.rlim_max))
        if linux_set_file_limit(descriptors.ofOthers) == 0 { self.descriptors = descriptors }
    }

    /// How many tasks a child without rights may bring about; 0: any number.
    var taskLimit: Int {
        guard self.isLimited else { return 0 }
        return self.room?.limit.map { ChildBudget.tasksOfOthers(of: $0) } ?? 0
    }

    /// Waits until a child of this kind may be started. Whoever comes back from here without an error owes one ``ended(_:)``.
    func take(_ kind: ChildKind, timeout: Duration) async throws(ChildSlotError) {
        self.lastTicket += 1
        let ticket = self.lastTicket
        switch self.budget.ask(ticket, for: kind, freeTasks: kind.hasRights ? nil : self.room?.free) {
        case .start: break
        case .refuse(let refusal):
            self.tell(kind, refusal)
            throw .refused(refusal)
        case .wait: try await self.wait(ticket, kind, timeout)
        }
        self.told.remove(kind)
    }

    private func wait(_ ticket: ChildBudget.Ticket, _ kind: ChildKind, _ timeout: Duration) async throws(ChildSlotError)
    {
        let waiter = Waiter<Void>()
        self.waiting[ticket] = waiter
        defer { self.waiting[ticket] = nil }
        do throws(WaitError) {
            try await waiter.wait { waiter in [.timer(after: timeout) { waiter.finish(.failure(.timedOut)) }] }
        } catch {
            // In the turn in which its time passed it may have been given a slot, which then is the next one's.
            if !self.budget.withdraw(ticket, of: kind) { self.ended(kind) }
            guard error == .timedOut else { throw .cancelled }
            let refusal = ChildRefusal.waitedTooLong(kind)
            self.tell(kind, refusal)
            throw .refused(refusal)
        }
    }

    /// How many children of this kind have not been reaped yet.
    public func running(_ kind: ChildKind) -> Int { self.budget.running(kind) }

    /// A child has been reaped, or could not be started.
    func ended(_ kind: ChildKind) {
        guard let next = self.budget.ended(kind) else { return }
        self.waiting[next]?.finish(.success(()))
    }

    /// Runs what opens descriptors for a new child. For an `ip` the reserve is open meanwhile; nothing else runs.
    func starting<Value>(_ kind: ChildKind, _ start: () -> Value) -> Value {
        guard kind.hasRights, let descriptors = self.descriptors else { return start() }
        _ = linux_set_file_limit(descriptors.ofAll)
        defer { _ = linux_set_file_limit(descriptors.ofOthers) }
        return start()
    }

    private func tell(_ kind: ChildKind, _ refusal: ChildRefusal) {
        if self.told.insert(kind).inserted { self.refused(kind, refusal) }
    }
}

/// Why a wait for a slot ended without one.
enum ChildSlotError: Error {
    case refused(ChildRefusal)
    case cancelled
}
