// SPDX-License-Identifier: Apache-2.0

/// How long the core waits for what it has asked its shell for: about twice what the shell allows itself, so that what is
/// overdue is not late but lost. Each of the shell's own limits is named beside the limit that follows from it.
public struct AnswerLimits: Hashable, Sendable {
    /// The shell's limit on one request to etcd, all attempts included (`lease.requestTimeout`: a quarter of the TTL, at most 5 s).
    /// With two periods between reads before it, the age at which contact is lost.
    public var request: Duration
    /// Reads, grants, keep-alives, revocations: one request.
    public var etcd: Duration
    /// Acquisitions, take-overs, the mark: up to three requests one after another.
    public var transaction: Duration
    /// A listing takes 2 s at most, and may wait for as long for a slot to run in.
    public var listing: Duration = .seconds(10)
    /// A change of the kernel is up to five commands (put it here, take it off there, and look whether it is so), each 2 s at most, and
    /// may wait for a slot.
    public var kernel: Duration = .seconds(20)
    /// A kept connection is asked for 1 s, another is made within 1 s, and asked for 1 s.
    public var postgres: Duration = .seconds(6)
    /// Patroni is asked for 1 s.
    public var patroni: Duration = .seconds(3)
    /// A connection is tried for 5 s.
    public var port: Duration = .seconds(11)
    /// An update of Citus's rows, besides what each of its changes may take (``change``): the shell ends its connection after
    /// `CitusUpdate.limit`, and the server what it was about to do 7 s after that (`statement_timeout`). What is not answered by then has
    /// left what it has changed, if anything, to be read.
    public var update: Duration = .seconds(80)

    public init(request: Duration = .seconds(5)) {
        self.request = request
        self.etcd = request * 2
        self.transaction = request * 6
    }

    /// A probe takes its own time limit at most.
    package static func probe(_ timeout: Duration) -> Duration { timeout * 2 + .seconds(1) }
    /// A switchover: 90 s for Patroni's answer, then what it does is followed, 110 s in all, between requests to etcd.
    package static let switchover: Duration = .seconds(300)

    // Citus: limits of `CoordinatorDatabase` and `NodeConnections`.
    /// One change of a row: 9 s at most.
    package static let change: Duration = .seconds(10)
    /// Connecting and preparing takes 6 s at most, a query 5 s.
    package static let rows: Duration = .seconds(25)
    /// 2 s for a connection and its question.
    package static let writable: Duration = .seconds(5)
    /// Connections to all workers, 16 at a time: 2 s each, and one query of 5 s. Of as many as there may be, twice.
    package static let copies: Duration = .seconds(900)
    /// A connection and two queries; and the same again where the database is slow.
    package static let settings: Duration = .seconds(60)
    /// A verification of the whole cluster, which the shell gives up after 300 s.
    package static let verification: Duration = .seconds(600)
    /// What was to be held ends on the server by its own limit; then this.
    package static let hold: Duration = .seconds(30)
}
