// SPDX-License-Identifier: Apache-2.0

/// What can go wrong for a while, or happen, in a round.
enum Fault: Hashable, Sendable {
    /// A member of etcd.
    enum Member: Hashable, Sendable {
        case number(Int)
        /// Whichever leads when the fault begins.
        case leader
    }

    /// Stopped by a signal, with the commands that it has started or without.
    case freezeDaemon(Int, withChildren: Bool)
    /// Killed; started again at the end.
    case crashDaemon(Int, forgets: Bool, thenOlder: Bool)
    /// Ended in order; started again at the end.
    case stopDaemon(Int, thenOlder: Bool)
    /// What the daemon says to etcd, or etcd to it, arrives at the end.
    case holdBack(Int, requests: Bool, answers: Bool)
    /// The same, on the way to one member only.
    case holdWay(Int, member: Int)
    case holdAnswers(Int, to: Relay.Request)
    case loseAnswers(Int, to: Relay.Request)
    case refuseConnections(Int)
    /// The node is taken off the network.
    case detach(Int)
    case freezeMember(Member)
    case crashMember(Member)
    /// From the other members; clients reach it.
    case cutMember(Member, says: Bool, hears: Bool)
    /// Another address, which ends meanwhile, keeps the kernel from looking at the lifetime in time.
    case disturbKernel(Int)
    /// Patroni's leader key names another, or there is none. It lasts.
    case lead(Int?)

    var text: String {
        switch self {
        case .freezeDaemon(let node, let withChildren):
            "\(Node.member(node)): daemon frozen\(withChildren ? ", and its commands" : "")"
        case .crashDaemon(let node, let forgets, let thenOlder):
            "\(Node.member(node)): daemon killed\(forgets ? ", its memory lost" : "")\(thenOlder ? ", then older" : "")"
        case .stopDaemon(let node, let thenOlder):
            "\(Node.member(node)): daemon stopped\(thenOlder ? ", then older" : "")"
        case .holdBack(let node, let requests, let answers):
            "\(Node.member(node)): \(requests ? "requests " : "")\(answers ? "answers " : "")held back"
        case .holdWay(let node, let member): "\(Node.member(node)): way to \(EtcdCluster.name(member)) held back"
        case .holdAnswers(let node, let request): "\(Node.member(node)): answers to \(request.rawValue) held back"
        case .loseAnswers(let node, let request): "\(Node.member(node)): answers to \(request.rawValue) lost"
        case .refuseConnections(let node): "\(Node.member(node)): connections to etcd refused"
        case .detach(let node): "\(Node.member(node)): off the network"
        case .freezeMember(let member): "\(Self.name(member)) frozen"
        case .crashMember(let member): "\(Self.name(member)) killed"
        case .cutMember(let member, let says, let hears):
            "\(Self.name(member)) cut off the others\(says && hears ? "" : says ? ", one way: out" : ", one way: in")"
        case .disturbKernel(let node): "\(Node.member(node)): kernel kept busy by another address"
        case .lead(let node): "leader key: \(node.map { Node.member($0) } ?? "none")"
        }
    }

    private static func name(_ member: Member) -> String {
        switch member {
        case .number(let number): EtcdCluster.name(number)
        case .leader: "etcd's leader"
        }
    }

    /// Whether it happens to etcd's members.
    var isOfMember: Bool {
        switch self {
        case .freezeMember, .crashMember, .cutMember: true
        case .freezeDaemon, .crashDaemon, .stopDaemon, .holdBack, .holdWay, .holdAnswers, .loseAnswers,
            .refuseConnections, .detach, .disturbKernel, .lead:
            false
        }
    }
}

/// How etcd comes to go on with another history.
enum HistoryChange: Hashable, Sendable {
    /// All data is gone.
    case empty(sameToken: Bool)
    /// The data of before the last change is back, as where a folder was not mounted and then is.
    case back
    /// A snapshot, by its age among those that are kept.
    case snapshot(Int, sameToken: Bool)

    var text: String {
        switch self {
        case .empty(let sameToken): "etcd empty, its number \(sameToken ? "the same" : "another")"
        case .back: "etcd back to its former data"
        case .snapshot(let age, let sameToken):
            "etcd restored from snapshot \(age), its number \(sameToken ? "the same" : "another")"
        }
    }
}
