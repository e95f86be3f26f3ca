// SPDX-License-Identifier: Apache-2.0
import Decision

/// Answers that never come, or all at once when nobody expects them any more; and who makes an end of it.
extension World {
    /// How likely it is that an action is never answered, in troubled times.
    private static let silence = 0.002
    /// The longest that a core waits for an answer, by the slowest clock, and then for the next attempt.
    private static let patience: Time = 36_000_000
    /// What no contact is too old at.
    private static let leastAge: Duration = .seconds(15)
    /// systemd's, which is not pinged any more.
    private static let watchdog: Time = 10_000_000

    /// Whether the shell loses the answer to an action. What the action does is done all the same, or not.
    func losesAnswer(_ node: SimulatedNode) -> Bool {
        guard self.strikes(.answerNever, Self.silence) else { return false }
        self.log("\(node.member): that is never answered")
        self.noteSilence(of: node)
        return true
    }

    /// What is not answered may cost the node what it holds, and is asked for again later: until then nobody expects it to act.
    private func noteSilence(of node: SimulatedNode) {
        node.silencedAt = self.now
        node.networkChangedAt = self.now
        node.isSilenced = true
        self.inVainUntil = max(self.inVainUntil, self.now + Self.patience)
    }

    /// Who was frozen has not noticed yet what is overdue.
    func reckonSilence(of node: SimulatedNode) {
        guard node.isSilenced else { return }
        node.silencedAt = self.now
        self.inVainUntil = max(self.inVainUntil, self.now + Self.patience)
    }

    /// A command whose answer is lost: it is carried out, or never is; a removal, also much later, when the kernel lets go of it.
    /// (Of an assignment the guard of its child sees to it that it acts in time or never.) Answers after how long it is begun; nil:
    /// never.
    func delayOfLostCommand(_ key: AddressID, isRemoval: Bool, on node: SimulatedNode) -> Time? {
        switch self.random.between(0, isRemoval ? 2 : 1) {
        case 0: return nil
        case 1:
            node.muted.insert(key)
            return 2000
        default:
            let delay = self.random.between(5_000_000, 60_000_000)
            node.grippedUntil = max(node.grippedUntil, self.now + delay)
            return delay
        }
    }

    /// The daemon goes on, and nothing that it asked for comes back, for a while.
    func deafen(_ node: SimulatedNode, for span: Time) -> Bool {
        guard node.daemon == .running, !node.isDeaf else { return false }
        node.isDeaf = true
        self.noteSilence(of: node)
        self.schedule(.hear(node.index), after: span)
        return true
    }

    /// Everything arrives at once.
    func hear(_ node: SimulatedNode) {
        guard node.isDeaf else { return }
        self.log("\(node.member): its shell goes on")
        node.isDeaf = false
        node.runningSince = self.now
        self.noteSilence(of: node)
        guard node.daemon == .running else { return }
        let inbox = node.inbox
        node.inbox = []
        for event in inbox where node.daemon == .running { self.deliver(event, to: node) }
    }

    /// What the operator and systemd want is heard.
    static func isHeldBack(_ event: Event) -> Bool {
        switch event {
        case .tick, .stop, .handOver, .reconfigured: false
        default: true  // What comes from outside.
        }
    }

    /// A daemon whose command to the kernel does not come back, though no child is left that could still carry it out, ends its
    /// watchdog's pings.
    func watch(_ node: SimulatedNode) {
        guard node.isSilenced, !node.isDoomed, node.grippedUntil < self.now,
            node.core?.asked({ $0.isStuck(commandsUnderWay: 0) }) == true
        else { return }
        node.isDoomed = true
        self.schedule(.watchdog(node.index, life: node.life), after: Self.watchdog)
    }

    func checkWatchdog(_ node: SimulatedNode) {
        node.isDoomed = false
        guard node.grippedUntil < self.now, node.core?.isStuck(commandsUnderWay: 0) == true else { return }
        self.log("\(node.member): the watchdog ends the daemon")
        self.crashDaemon(node, restartAfter: self.random.between(200_000, 3_000_000))
    }

    /// Who says that etcd is in contact has had an answer lately.
    func checkContact(of node: SimulatedNode, at instant: Instant) {
        // Asked at every event: what is younger than the least that may be too old needs no reckoning.
        guard let readAt = node.seen.readAt, readAt + Self.leastAge < instant else { return }
        // Who stood still has heard nobody meanwhile.
        let since = max(readAt, node.instant(at: node.thawedAt))
        // Before Patroni's configuration was read, 30 s are assumed.
        let period = max(self.longestTTL, self.longestGranted, 30_000_000) / 6
        let age = (instant - since).microseconds
        if age > 2 * period + 6_000_000, node.core?.asked({ $0.hasContact }) == true {
            self.fail(
                "\(node.member) believes to be in contact with etcd, which has been silent for \(age / 1_000_000) s")
        }
    }
}
