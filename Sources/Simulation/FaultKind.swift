// SPDX-License-Identifier: Apache-2.0

/// What the simulator does to a cluster.
public enum FaultKind: String, CaseIterable, Sendable {
    case daemonCrash = "daemon crashed"
    case daemonFreeze = "daemon frozen"
    case daemonStop = "daemon stopped"
    case daemonRestart = "daemon restarted"
    case reload = "configuration reloaded"
    case powerOff = "power off"
    case suspend = "node suspended briefly"
    case cut = "node cut off"
    case quorumLoss = "etcd without quorum"
    case etcdLeaderChange = "etcd leader changed"
    case etcdReplaced = "etcd wiped or restored"
    case etcdFull = "etcd out of space"
    case endpointRebuilt = "endpoint of etcd rebuilt alone"
    case endpointDown = "endpoint of etcd down"
    case endpointCut = "endpoint of etcd out of a node's reach"
    case refused = "requests refused"
    case switchover = "switchover"
    case patroniStop = "Patroni killed or frozen"
    case pause = "maintenance mode"
    case ttlChange = "ttl changed"
    case postgresDown = "PostgreSQL killed"
    case watchSilent = "watch silent"
    case watchEventLost = "watch event lost"
    case watchEventDoubled = "watch event doubled"
    case watchEventLate = "watch event late"
    case requestLost = "request lost"
    case requestLate = "request late"
    case answerLost = "answer lost"
    case answerNever = "answer never"
    case stall = "shell stalled"
    case leaseShort = "lease granted for less than asked"
    case interfaceDown = "interface down"
    case interfaceMissing = "interface missing"
    case addressDeleted = "address deleted by hand"
    case addressAdded = "address added by hand"
    case ownAddressRenewed = "node's own address renewed"
    case lifetimeChanged = "lifetime changed by hand"
    case removalFails = "removals fail"
    case kernelDelayed = "kernel busy with another address"
    case kernelOverloaded = "kernel late by load"
    case commandSlow = "command slow"
    case commandUnknown = "command's outcome unknown"
}

extension FaultKind {
    /// Whether it may cost nobody an address that is held, whenever it strikes.
    var isHarmless: Bool {
        switch self {
        case .watchEventLost, .watchEventDoubled, .watchEventLate, .commandSlow, .kernelDelayed: true
        default: false  // The others are chosen with care.
        }
    }
}

/// How often each fault was injected.
public struct FaultCounts: Sendable {
    private var counts = [Int](repeating: 0, count: FaultKind.allCases.count)

    public init() {}

    mutating func add(_ kind: FaultKind) { self.counts[kind.index] += 1 }

    public mutating func add(_ other: FaultCounts) {
        for index in self.counts.indices { self.counts[index] += other.counts[index] }
    }

    public subscript(_ kind: FaultKind) -> Int { self.counts[kind.index] }
    public var total: Int { self.counts.reduce(0, +) }
}

extension FaultKind {
    private static let indices = Dictionary(uniqueKeysWithValues: Self.allCases.enumerated().map { ($1, $0) })
    fileprivate var index: Int { Self.indices[self] ?? 0 }
}
