// SPDX-License-Identifier: Apache-2.0

/// What a child is started for. From it follows what the child may do, and how many there may be at a time.
public enum ChildKind: CaseIterable, Hashable, Sendable {
    /// iproute2's `ip`: the only one that has this process's capabilities.
    case address
    /// A look-up of the name of a host that the leases hang on.
    case leaseNameLookup
    /// A look-up of any other host's name.
    case nameLookup
    /// The operator's command for grave records, with whatever it starts.
    case alert
    /// A write to a disk that may hang.
    case storage
    /// A question to the service manager.
    case serviceManager
    /// What a tool or a test starts. The daemon has no such children.
    case tool

    /// Whether such a child has this process's ambient capabilities, its session and its OOM score.
    public var hasRights: Bool { self == .address }
}

/// Why a child was not started.
public enum ChildRefusal: Hashable, Sendable, CustomStringConvertible {
    /// As many of its kind are under way, and as many wait, as may be.
    case tooMany(ChildKind, running: Int, waiting: Int)
    /// The control group has no more tasks free than are kept for `ip`.
    case noTasks(free: Int, kept: Int)
    /// Its time limit passed while it waited for a slot.
    case waitedTooLong(ChildKind)

    public var description: String {
        switch self {
        case .tooMany(let kind, let running, let waiting):
            "\(running) children of the kind \(kind) are under way, and \(waiting) wait: there is no room for another"
        case .noTasks(let free, let kept):
            "only \(free) more tasks may be started in this control group (TasksMax=), and \(kept) are kept for ip"
        case .waitedTooLong(let kind): "no child of the kind \(kind) has ended within its time limit"
        }
    }
}

/// How many children of each kind may be under way, and what becomes of the next one. A value: it starts nothing, and looks at
/// nothing but its arguments.
///
/// A child is under way until it has been reaped, killed or not: one that the kernel does not let go of keeps its slot.
/// `ip` has as many slots as it can ever need, and they are its own: no other kind counts against them, and no other child is
/// started, nor can start anything, where that would take a task from what is kept for `ip`.
public struct ChildBudget: Sendable {
    /// Identifies a request while it waits.
    public typealias Ticket = UInt64

    /// Of one kind.
    public struct Limit: Hashable, Sendable {
        /// Under way at a time.
        public let running: Int
        /// Waiting for one of these to end.
        public let waiting: Int

        public init(running: Int, waiting: Int) {
            self.running = running
            self.waiting = waiting
        }
    }

    public enum Answer: Hashable, Sendable {
        case start, wait
        case refuse(ChildRefusal)
    }

    /// Children of one kind that are under way, and those that wait, oldest first.
    private struct Account {
        var running = 0
        var waiting: [Ticket] = []
    }

    private let isDaemon: Bool
    private var accounts: [ChildKind: Account] = [:]

    /// Only the daemon's children are limited: it shares a control group with nothing but them. A tool or a test, which may run
    /// several supervisors, starts what it wants.
    public init(isDaemon: Bool) { self.isDaemon = isDaemon }

    // MARK: - Limits

    /// A change of each of 64 addresses at the same time, and listings, one of which may hang.
    public static let reservedTasks = 68
    /// Each `ip` keeps a pipe's end and a descriptor of its process; one that is just being started needs four.
    public static let reservedDescriptors = 2 * reservedTasks + 4
    /// Tasks that are meant for what other children start themselves, such as a script the programs that it calls.
    public static let descendants = 32

    /// In the daemon.
    public static func limit(of kind: ChildKind) -> Limit {
        switch kind {
        case .address: Limit(running: self.reservedTasks, waiting: 64)
        // Four at a time; and some that were killed, and are not gone yet.
        case .leaseNameLookup, .nameLookup: Limit(running: 6, waiting: 64)
        // One after another; and one that was killed, and is not gone yet.
        case .alert: Limit(running: 2, waiting: 1)
        // One write at a time; and one that hangs.
        case .storage: Limit(running: 2, waiting: 1)
        case .serviceManager: Limit(running: 1, waiting: 0)
        // Whoever starts one in the daemon has forgotten to say what it is for.
        case .tool: Limit(running: 0, waiting: 0)
        }
    }

    /// How many tasks the children without rights, with all that they have started, may be together, where the control group
    /// allows `tasks`: the rest is kept for `ip`. At least the daemon itself, whose tasks count too, and one child.
    public static func tasksOfOthers(of tasks: Int) -> Int { max(tasks - self.reservedTasks, 2) }

    /// The soft limit on open files of all but `ip`, and the one while an `ip` is being started; `soft` and `hard` are those that
    /// the process was started with. The first is never lower than half of what there is.
    public static func descriptors(soft: UInt64, hard: UInt64) -> (ofOthers: UInt64, ofAll: UInt64) {
        let reserve = UInt64(self.reservedDescriptors)
        if hard >= soft, hard - soft >= reserve { return (soft, soft + reserve) }
        return (max(hard >= reserve ? hard - reserve : 0, hard / 2), hard)
    }

    // MARK: - Requests

    /// A child of this kind is wanted. `freeTasks`: how many more tasks the control group allows; nil: no limit is known.
    public mutating func ask(_ ticket: Ticket, for kind: ChildKind, freeTasks: Int?) -> Answer {
        let limit = self.isDaemon ? Self.limit(of: kind) : Limit(running: .max, waiting: 0)
        let running = self.running(kind)
        let waiting = self.accounts[kind]?.waiting.count ?? 0
        if running >= limit.running || waiting > 0 {
            guard waiting < limit.waiting else {
                return .refuse(.tooMany(kind, running: running, waiting: waiting))
            }
            self.accounts[kind, default: Account()].waiting.append(ticket)
            return .wait
        }
        if self.isDaemon, !kind.hasRights, let freeTasks {
            let kept = max(Self.reservedTasks - self.running(.address), 0)
            if freeTasks <= kept { return .refuse(.noTasks(free: freeTasks, kept: kept)) }
        }
        self.accounts[kind, default: Account()].running += 1
        return .start
    }

    /// One that was under way has ended, or could not be started. Answers who takes its place.
    public mutating func ended(_ kind: ChildKind) -> Ticket? {
        guard var account = self.accounts[kind], account.running > 0 else { return nil }
        defer { self.accounts[kind] = account }
        guard !account.waiting.isEmpty else {
            account.running -= 1
            return nil
        }
        return account.waiting.removeFirst()
    }

    /// A request that waits is wanted no more. Answers whether it was still waiting.
    public mutating func withdraw(_ ticket: Ticket, of kind: ChildKind) -> Bool {
        guard let index = self.accounts[kind]?.waiting.firstIndex(of: ticket) else { return false }
        self.accounts[kind]?.waiting.remove(at: index)
        return true
    }

    /// How many of this kind are under way.
    public func running(_ kind: ChildKind) -> Int { self.accounts[kind]?.running ?? 0 }
}
