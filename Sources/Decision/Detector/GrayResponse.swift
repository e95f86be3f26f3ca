// SPDX-License-Identifier: Apache-2.0

/// What is done about a leader that holds its key and cannot be used.
public enum GrayPolicy: String, Sendable, Hashable, CaseIterable {
    /// It is told.
    case alert
    /// Patroni is asked to switch over, if no rule forbids it.
    case switchover
}

/// A switchover that this daemon wants.
public struct SwitchoverOrder: Hashable, Sendable {
    public let leader: MemberID
    /// The revision at which its leader key was created: an order is for one leadership.
    public let since: Int64
    public let candidate: MemberID

    public init(leader: MemberID, since: Int64, candidate: MemberID) {
        self.leader = leader
        self.since = since
        self.candidate = candidate
    }
}

/// What came of an order.
public enum SwitchoverOutcome: Hashable, Sendable {
    /// Patroni says that it is done.
    case done(String)
    /// Patroni has refused, or failed.
    case refused(String)
    /// Whether Patroni does it is not known.
    case unanswered(String)
    /// Nothing was asked of Patroni: another daemon was first, the leader is another by now, or etcd did not answer.
    case forestalled(String)
}

/// Why a switchover is not asked for. They are gone through in this order, and the first that holds is told.
public enum SwitchoverRule: String, Sendable, Hashable, CaseIterable {
    case noGrayFailure = "no gray failure"
    case alertOnly = "alert only"
    case noContact = "no contact"
    case noAnswers = "nobody answers"
    case ourselves
    case notSeenHere = "not seen here"
    case notSeconded = "not seconded"
    case paused
    case reactionsPaused = "reactions paused"
    case suppressed
    case operatorActs = "operator acts"
    case underWay = "under way"
    case tried
    case putOff = "put off"
    case follows = "it follows the leadership"
    case outOfConnections = "out of connections"
    case noCandidate = "no candidate"

    public var meaning: String {
        switch self {
        case .noGrayFailure: "the leader is not held to be unusable by enough sources"
        case .alertOnly: "on_gray_failure is alert"
        case .noContact: "etcd does not answer: nobody could be kept from doing the same"
        case .noAnswers: "nobody answers this node: it may be the one that is cut off"
        case .ourselves: "this node is the leader concerned: others must act"
        case .notSeenHere: "this node's own probes do not hold it unusable: who acts has seen it"
        case .notSeconded: "fewer sources than needed hold it unusable at present, whatever they did before"
        case .paused: "Patroni is in maintenance mode"
        case .reactionsPaused: "somebody has paused Pharos's reactions: pharos resume-reactions ends that"
        case .suppressed: "the leader comes and goes: reacting to each failure would do more harm"
        case .operatorActs: "somebody has asked Patroni for a switchover already"
        case .underWay: "a switchover is under way: never two at a time"
        case .tried: "it was tried for this leadership: what has failed is not repeated blindly"
        case .putOff: "the last attempt did not come as far as Patroni: the next one comes after a pause"
        case .follows:
            "another leader of the group was unusable within the last 22 minutes: what makes it so follows the leadership, and would again"
        case .outOfConnections:
            "its connections are used up: the application's follow the leadership, and would use up the next one's"
        case .noCandidate: "no standby is fit to lead"
        }
    }
}

public struct SwitchoverObstacle: Hashable, Sendable {
    public let rule: SwitchoverRule
    /// Particulars, such as who acts already; may be empty.
    public let detail: String

    public init(_ rule: SwitchoverRule, detail: String = "") {
        self.rule = rule
        self.detail = detail
    }
}

enum SwitchoverDecision: Hashable, Sendable {
    case forbidden(SwitchoverObstacle)
    case order(SwitchoverOrder)
}

extension DetectorCore {
    /// The leader of this daemon's own group: only of that one the local Patroni can be asked to switch over.
    private func leadership(_ view: GroupsView) -> (id: MemberID, since: Int64)? {
        view.groups[self.member.group]?.leader.map { (MemberID(self.member.group, $0.name), $0.since) }
    }

    /// Acts on a gray failure of the leader, or tells, once for each rule, what forbids it.
    mutating func respond(
        _ view: GroupsView, at now: Instant, into wanted: inout [DetectorAction], _ reports: inout [DetectorReport]
    ) {
        if case .putOff(_, _, let until, _) = self.switchover, until <= now { self.switchover = .idle }
        self.grayLeaderships.removeAll { now - $0.at > Self.following }
        guard let (leader, since) = self.leadership(view), self.targets[leader]?.verdict == .gray else {
            self.toldObstacle = nil
            return
        }
        self.remember(GrayLeadership(leader: leader, since: since, at: now))
        switch self.decideSwitchover(view) {
        case .forbidden(let obstacle):
            guard self.toldObstacle != obstacle.rule else { return }
            self.toldObstacle = obstacle.rule
            // What is under way, or has been tried, was told when that was done.
            if ![.underWay, .tried, .putOff].contains(obstacle.rule) {
                reports.append(.notSwitchingOver(leader, obstacle))
            }
        case .order(let order):
            self.switchover = .underWay(order, since: now)
            reports.append(.switchingOver(order))
            wanted.append(.switchOver(order))
        }
    }

    /// How long a cause that follows the leadership is looked for: as long as a second failure suppresses (``FlapPenalty``).
    private static let following: Duration = .seconds(22 * 60)
    private static let pause = Backoff(first: .seconds(10), longest: .seconds(300))

    private mutating func remember(_ gray: GrayLeadership) {
        self.grayLeaderships.removeAll { $0.leader == gray.leader }
        self.grayLeaderships.append(gray)
    }

    mutating func switchoverEnded(
        _ order: SwitchoverOrder, _ outcome: SwitchoverOutcome, at now: Instant, _ reports: inout [DetectorReport]
    ) {
        guard case .underWay(order, _) = self.switchover else { return }
        switch outcome {
        case .done, .refused, .unanswered: self.switchover = .ended(order, outcome)
        case .forestalled:
            // It did not come as far as Patroni: the only daemon that may act would never act in this leadership.
            let fruitless = FruitlessAttempts.after(self.fruitless, order)
            self.fruitless = fruitless
            self.switchover = .putOff(
                order, outcome, until: now + Self.pause.pause(after: fruitless.count), attempts: fruitless.count)
        }
        reports.append(.switchoverEnded(order, outcome))
    }

    /// Whether a switchover is asked for now, and if not, the first rule that forbids it.
    func decideSwitchover(_ view: GroupsView) -> SwitchoverDecision {
        guard let (leader, since) = self.leadership(view) else {
            return .forbidden(SwitchoverObstacle(.noGrayFailure, detail: "nobody leads"))
        }
        for rule in SwitchoverRule.allCases {
            if let detail = self.detail(of: rule, leader, since, view) {
                return .forbidden(SwitchoverObstacle(rule, detail: detail))
            }
        }
        guard let candidate = self.candidates(after: leader, view).fit.first else {
            return .forbidden(SwitchoverObstacle(.noCandidate))
        }
        return .order(SwitchoverOrder(leader: leader, since: since, candidate: candidate))
    }

    /// The particulars of a rule that holds; nil where it does not.
    private func detail(of rule: SwitchoverRule, _ leader: MemberID, _ since: Int64, _ view: GroupsView) -> String? {
        switch rule {
        case .noGrayFailure:
            guard let target = self.targets[leader], target.verdict == .gray else {
                return "\(leader.name): \(self.targets[leader]?.verdict.rawValue ?? "not watched")"
            }
        case .alertOnly: if self.settings.onGrayFailure == .alert { return "" }
        case .noContact:
            if !self.hasContact { return self.isEtcdInContact ? "the members and groups could not be read lately" : "" }
        case .noAnswers: if self.isIsolated { return "" }
        case .ourselves: if leader == self.member { return "" }
        case .notSeenHere:
            guard let target = self.targets[leader], target.postgres.state != .failed else { return nil }
            return "PostgreSQL there is \(target.postgres.state.rawValue) for this node"
        case .notSeconded:
            // A verdict outlives those who brought it about, until somebody contradicts it.
            guard let consensus = self.targets[leader]?.postgresConsensus else { return nil }
            let needed = self.profile.needed(of: consensus.heard)
            if consensus.accusers < needed { return "\(consensus.accusers) of \(needed) needed" }
        case .paused: if self.isPaused { return "" }
        case .reactionsPaused: if let pause = self.reactionPause { return "by \(pause.by): \(pause.reason)" }
        case .suppressed:
            guard let target = self.targets[leader] else { return nil }
            let states = [target.patroniConsensus.state, target.postgresConsensus.state]
            if states.contains(.suppressed) { return leader.name }
        case .operatorActs: if view.groups[leader.group]?.isSwitchingOver == true { return "" }
        case .underWay:
            if case .underWay(let order, _) = self.switchover { return "to \(order.candidate.name), asked for here" }
            if let claim = self.claims[leader.group] {
                let person = self.persons[leader.group].map { ", for \($0)" } ?? ""
                return "asked for by the daemon of \(claim)\(person)"
            }
        case .tried:
            guard case .ended(let order, let outcome) = self.switchover, order.leader == leader, order.since == since
            else { return nil }
            return "\(outcome)"
        case .putOff:
            guard case .putOff(let order, let outcome, _, let attempts) = self.switchover, order.since == since else {
                return nil
            }
            return "\(outcome), \(attempts) times"
        case .follows:
            return self.grayLeaderships.first { $0.leader != leader && $0.leader.group == leader.group }?.leader.name
        case .outOfConnections: if self.targets[leader]?.isOutOfConnections == true { return leader.name }
        case .noCandidate:
            let (fit, unfit) = self.candidates(after: leader, view)
            guard fit.isEmpty else { return nil }
            return unfit.sorted { $0.key < $1.key }.map { "\($0.key.name): \($0.value)" }.joined(separator: ", ")
        }
        return nil
    }

    /// The members that may lead after `leader`, the most advanced first; and why the others may not.
    func candidates(after leader: MemberID, _ view: GroupsView) -> (fit: [MemberID], unfit: [MemberID: String]) {
        var (fit, unfit): ([(id: MemberID, position: Int64)], [MemberID: String]) = ([], [:])
        let members = view.groups[leader.group]?.members ?? [:]
        let ahead = members.keys.compactMap { self.targets[MemberID(leader.group, $0)]?.position?.bytes }.max() ?? 0
        for (name, member) in members where name != leader.name {
            let id = MemberID(leader.group, name)
            let target = self.targets[id]
            if !member.mayLead {
                unfit[id] = "tagged nofailover"
            } else if let synchronous = view.groups[leader.group]?.synchronous, !synchronous.contains(name) {
                unfit[id] = "not synchronous"
            } else if ![.well, .suspected].contains(target?.verdict) {
                unfit[id] = target?.verdict.rawValue ?? "not watched"
            } else if !DetectorAspect.allCases.allSatisfy({ self.isReached($0, of: id, besides: leader, view) }) {
                unfit[id] = "most cannot reach it"
            } else if let position = target?.position?.bytes {
                if ahead - position > self.settings.lagLimit {
                    unfit[id] = "\(ahead - position) bytes behind"
                } else {
                    fit.append((id, position))
                }
            } else {
                unfit[id] = "it does not say how far it has come"
            }
        }
        fit.sort { ($1.position, $0.id) < ($0.position, $1.id) }
        return (fit.map(\.id), unfit)
    }

    /// Whether more than half of the daemons that say anything of it hold an aspect of a member well. The daemon of the leader that
    /// cannot be used is not asked: what is wrong there may be why it cannot reach anybody.
    private func isReached(
        _ aspect: DetectorAspect, of id: MemberID, besides leader: MemberID, _ view: GroupsView
    ) -> Bool {
        var (well, heard) = (0, 0)
        for evidence in self.evidence(aspect, of: id, view) {
            switch evidence.source {
            case .peer(leader), .etcd, .walReceiver: continue
            case .own, .peer: break
            }
            guard evidence.state != .unknown else { continue }
            heard += 1
            if evidence.state == .healthy { well += 1 }
        }
        // Of two nodes the one that remains has nobody else to ask.
        return well * 2 > heard || (heard == 0 && id == self.member)
    }
}
