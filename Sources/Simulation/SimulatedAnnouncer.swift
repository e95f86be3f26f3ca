// SPDX-License-Identifier: Apache-2.0
import Decision

/// What one daemon announces, and when next: at 0, 50, 200, 1000 ms, 5 s, then every 60 s, as the real announcer does.
struct SimulatedAnnouncer {
    struct AnnouncementRun {
        /// Where the address is said to stand.
        let slot: Int
        let begin: Time
        /// Tells one run of an address from the next.
        let number: Int
        /// The core has decided to remove the address since.
        var isRevoked = false
    }

    /// By address.
    private(set) var runs: [Int: AnnouncementRun] = [:]
    /// Until when each address may be announced: as long as the kernel was given it for.
    private var rights: [Int: Instant] = [:]
    /// Addresses whose timers came due while the process was frozen, in their order.
    private(set) var overdue: [Int] = []
    private var started = 0

    private static let early: [Time] = [50_000, 200_000, 1_000_000, 5_000_000]
    private static let interval: Time = 60_000_000

    mutating func start(_ address: Int, _ slot: Int, at now: Time) -> AnnouncementRun {
        self.started += 1
        let run = AnnouncementRun(slot: slot, begin: now, number: self.started)
        self.runs[address] = run
        return run
    }

    mutating func allow(_ address: Int, until end: Instant) { self.rights[address] = end }

    func mayAnnounce(_ address: Int, at now: Instant) -> Bool { self.rights[address].map { $0 > now } ?? false }

    mutating func stop(_ address: Int) { self.runs[address] = nil }

    mutating func revoke(_ address: Int, _ slot: Int) {
        if self.runs[address]?.slot == slot { self.runs[address]?.isRevoked = true }
    }

    mutating func postpone(_ address: Int) { self.overdue.append(address) }

    mutating func takeOverdue() -> [Int] {
        defer { self.overdue = [] }
        return self.overdue
    }

    /// The time until the next step of a run that began `elapsed` ago. Steps that were missed are not made up for.
    static func delay(after elapsed: Time) -> Time {
        if let next = Self.early.first(where: { $0 > elapsed }) { return next - elapsed }
        let last = Self.early.last ?? 0
        return Self.interval - (elapsed - last) % Self.interval
    }
}
