// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import Journal
import LeaseKeys
import LenientJSON
import PatroniClient
import PostgresClient
import ServiceRecords
import Settings
import StatusServer
import VirtualAddress

/// One limit of the daemon's, by its own constant, and where that stands. docs/architecture.md's table is made from ``Limits/all``; what
/// must hold between them is in LimitsTests.
struct Limit {
    /// How much, in its unit.
    enum Amount {
        case count(Int)
        case bytes(Int)
        case span(Duration)
    }

    /// What is limited.
    let what: String
    let amount: Amount
    /// The type that holds the constant.
    let place: Any.Type

    init(_ what: String, _ amount: Amount, _ place: Any.Type) {
        (self.what, self.amount, self.place) = (what, amount, place)
    }
}

extension Limit.Amount: CustomStringConvertible {
    var description: String {
        switch self {
        case .count(let count): Self.grouped(count)
        case .bytes(let count) where count >= 1 << 20 && count % (1 << 20) == 0: "\(count >> 20) MiB"
        case .bytes(let count) where count >= 1 << 12 && count % (1 << 10) == 0: "\(count >> 10) KiB"
        case .bytes(let count): "\(Self.grouped(count)) bytes"
        case .span(let span): Self.text(span)
        }
    }

    private static func grouped(_ count: Int) -> String {
        count < 1000 ? "\(count)" : "\(count / 1000),\(String(count % 1000 + 1000).dropFirst())"
    }

    private static func text(_ span: Duration) -> String {
        let milliseconds = Int(span / .milliseconds(1))
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
    }
}

/// Everything that the daemon limits, but for its children, whose table is beside: ``ChildBudget``.
enum Limits {
    static var all: [Limit] { self.files + self.etcd + self.node + self.members + self.citus + self.operation }

    private static let files = [
        Limit("configuration file", .bytes(Settings.fileLimit), Settings.self),
        Limit("PEM file", .bytes(CredentialFiles.pemLimit), CredentialFiles.self),
        Limit("password file", .bytes(CredentialFiles.passwordLimit), CredentialFiles.self),
        Limit("values of a configuration file, with what merges copy", .count(YAMLLimits().nodes), YAMLLimits.self),
        Limit("depth of a configuration file", .count(YAMLLimits().depth), YAMLLimits.self),
        Limit("files of Patroni's in one folder", .count(PatroniSources.fileLimit), PatroniSources.self),
        Limit("files of Patroni's environment", .count(PatroniSources.environmentLimit), PatroniSources.self),
        Limit("variables in one of them", .count(EnvironmentFile.limit), EnvironmentFile.self),
        Limit("values of Patroni's files together", .count(PatroniSources.nodeLimit), PatroniSources.self),
        Limit("mistakes reported of one configuration", .count(SettingsError.limit), SettingsError.self),
        Limit("reads of a configuration until two say the same", .count(Settings.settlingReads), Settings.self),
        Limit("between two of them", .span(Settings.settlingPause), Settings.self),
        Limit("addresses", .count(Settings.addressLimit), Settings.self),
        Limit("endpoints of etcd", .count(Settings.endpointLimit), Settings.self),
    ]

    private static let etcd = [
        Limit("one request to etcd", .span(Settings.Lease.longestRequest), Settings.Lease.self),
        Limit("such requests in one TTL, at least", .count(Settings.Lease.requestsPerTTL), Settings.Lease.self),
        Limit("endpoints that etcd tells beside those", .count(EtcdClient.learnedLimit), EtcdClient.self),
        Limit("etcd is asked for them again after", .span(EtcdDirectory.period), EtcdDirectory.self),
        Limit("and while endpoints fail, after", .span(EtcdDirectory.pause), EtcdDirectory.self),
        Limit(
            "and while one is of another cluster, after", .span(EtcdDirectory.periodAmongForeigners), EtcdDirectory.self
        ),
        Limit(
            "silence of the followed cluster until another is believed, at least", .span(ClusterChoice.leastPatience),
            ClusterChoice.self),
        Limit("a question to a name server for them", .span(ServiceLookup.patience), ServiceLookup.self),
        Limit("all questions for one name", .span(ServiceLookup.limit), ServiceLookup.self),
        Limit("body of an answer", .bytes(HTTPRequest.usualBodyLimit), HTTPRequest.self),
        Limit(
            "answers that are arriving at one HTTP client, together", .bytes(ConnectionLimits.unlimited.buffered),
            ConnectionLimits.self),
        Limit("a line of a watch", .bytes(WatchDecoder.lineLimit), WatchDecoder.self),
        Limit("unfinished lines of all watches of one plane", .bytes(EtcdClient.unfinishedLimit), EtcdClient.self),
        Limit("JSON nesting", .count(JSONParser.depthLimit), JSONParser.self),
        Limit("keys under Pharos's prefix that a read takes", .count(PharosKeys.readLimit), PharosKeys.self),
        Limit("keys of all groups in one read", .count(GroupsLink.keyLimit), GroupsLink.self),
        Limit("records of the ledger that wait to be written", .count(LedgerWriter.pendingLimit), LedgerWriter.self),
        Limit("keys of the ledger read for the status", .count(LedgerCopy.keyLimit), LedgerCopy.self),
        Limit("records of it that are answered", .count(LedgerCopy.recordLimit), LedgerCopy.self),
        Limit("between two such reads, at least", .span(LedgerCopy.pace), LedgerCopy.self),
    ]

    private static let node = [
        Limit("Patroni's answer", .bytes(PatroniClient.answerLimit), PatroniClient.self),
        Limit("time for it", .span(PatroniProbe.timeout), PatroniProbe.self),
        Limit("this node's PostgreSQL: connecting, a question, each", .span(PostgresProbe.timeout), PostgresProbe.self),
        Limit("a connection to an address's own port", .span(PortTry.timeout), PortTry.self),
        Limit("PostgreSQL's answer", .bytes(PostgresConnection.usualByteLimit), PostgresConnection.self),
        Limit("its unasked messages in a row", .count(PostgresConnection.idleReadLimit), PostgresConnection.self),
        Limit("the memory file", .bytes(MemoryFile.limit), MemoryFile.self),
        Limit("a write of it", .span(MemoryFile.timeout), MemoryFile.self),
        Limit("failed writes until it is given up", .count(MemoryFile.failureLimit), MemoryFile.self),
        Limit("a change by `ip`", .span(Limits.change(.usual)), AddressCommands.self),
        Limit("the next one of a node that was too slow", .span(Limits.change(.patient)), AddressCommands.self),
        Limit("a listing by `ip`", .span(AddressCommands.usualListTimeout), AddressCommands.self),
        Limit("what a change prints", .bytes(AddressCommands.changeOutputLimit), AddressCommands.self),
        Limit("what a listing prints", .bytes(AddressCommands.listOutputLimit), AddressCommands.self),
        Limit(
            "changes that the kernel tells: read in one turn", .count(AddressMonitor.messagesPerTurn),
            AddressMonitor.self),
        Limit("one of them", .bytes(AddressMonitor.messageLimit), AddressMonitor.self),
        Limit("what of them waits in the kernel", .bytes(Int(AddressMonitor.queueLimit)), AddressMonitor.self),
        Limit("names of interfaces kept", .count(AddressNews.limit), AddressNews.self),
        Limit("a search for another holder", .span(DuplicateProbe.patience), DuplicateProbe.self),
        Limit("packets looked at in it", .count(DuplicateProbe.packetLimit), DuplicateProbe.self),
        Limit("other holders reported of it", .count(DuplicateProbe.stationLimit), DuplicateProbe.self),
    ]

    static func change(_ pace: AddressCommands.Pace) -> Duration { .microseconds(pace.actsWithin) }

    private static let members = [
        Limit("members that are watched", .count(DetectorCore.targetLimit), DetectorCore.self),
        Limit("members probed at once", .count(DetectorCore.probeLimit), DetectorCore.self),
        Limit("HTTP connections of probes", .count(Limits.probing.total ?? .max), ConnectionLimits.self),
        Limit("PostgreSQL's answer to a probe", .bytes(MemberProbe.answerLimit), MemberProbe.self),
        Limit("Patroni's answer to a probe", .bytes(PatroniClient.livenessAnswerLimit), PatroniClient.self),
        Limit("names remembered, of each plane", .count(HostResolver.limit), HostResolver.self),
        Limit("names looked up at a time, of each plane", .count(HostResolver.atOnce), HostResolver.self),
        Limit("a name that is waited for", .span(HostResolver.patience), HostResolver.self),
        Limit("Patroni's answer to a switchover", .span(SwitchoverCall.timeout), SwitchoverCall.self),
        Limit("Patroni's keys of its group that a daemon keeps", .count(PatroniCopy.keyLimit), PatroniCopy.self),
        Limit("a value of these keys", .bytes(PatroniCopy.valueLimit), PatroniCopy.self),
    ]

    private static let citus = [
        Limit("Citus: groups", .count(GroupsView.groupLimit), GroupsView.self),
        Limit("groups that are scopes of their own", .count(Settings.Citus.groupLimit), Settings.Citus.self),
        Limit("databases", .count(Settings.Citus.databaseLimit), Settings.Citus.self),
        Limit("leaders asked at once whether they accept writes", .count(CitusCore.askedLimit), CitusCore.self),
        Limit("places of rows asked at once who answers there", .count(ServerIdentities.limit), ServerIdentities.self),
        Limit("places of members remembered, of each group", .count(KnownPlaces.limit), KnownPlaces.self),
        Limit("in all", .count(KnownPlaces.totalLimit), KnownPlaces.self),
        Limit("other servers of group 0 that are watched", .count(RivalCoordinators.limit), RivalCoordinators.self),
        Limit("connections kept to leaders and those servers", .count(NodeConnections.limit), NodeConnections.self),
        Limit("connecting to one of them, a question, each", .span(NodeConnections.timeout), NodeConnections.self),
        Limit(
            "workers asked for their copy at once, of each database", .count(CoordinatorDatabase.copiesAtOnce),
            CoordinatorDatabase.self),
        Limit(
            "between looks at its connections, on each node of group 0", .span(CitusLink.readinessPace), CitusLink.self),
        Limit("connecting to the coordinator", .span(CoordinatorDatabase.connectTimeout), CoordinatorDatabase.self),
        Limit(
            "a lock there, unless sessions are ended", .span(CoordinatorDatabase.lockTimeout), CoordinatorDatabase.self),
        Limit("a statement there, likewise", .span(CoordinatorDatabase.statementTimeout), CoordinatorDatabase.self),
        Limit("rows of `pg_dist_node`", .bytes(CitusCatalog.rowsLimit), CitusCatalog.self),
        Limit("an answer of one value", .bytes(CitusCatalog.valueLimit), CitusCatalog.self),
        Limit("nodes verified at once", .count(ClusterVerifier.nodesAtOnce), ClusterVerifier.self),
        Limit("a verification by the daemon", .span(CitusLink.verificationLimit), CitusLink.self),
        Limit("findings of it told one by one", .count(VerificationWatch.toldLimit), VerificationWatch.self),
        Limit("findings remembered", .count(VerificationWatch.limit), VerificationWatch.self),
        Limit("findings answered, of each database", .count(FindingList.limit), FindingList.self),
        Limit("writes held", .span(CitusDatabase.holdLimit), CitusDatabase.self),
    ]

    private static let answers = AnswerLimits(request: Settings.Lease.longestRequest)
    private static let operation = [
        Limit("until the core gives up a request to etcd", .span(Limits.answers.etcd), AnswerLimits.self),
        Limit("a transaction", .span(Limits.answers.transaction), AnswerLimits.self),
        Limit("a listing", .span(Limits.answers.listing), AnswerLimits.self),
        Limit("a change of the kernel", .span(Limits.answers.kernel), AnswerLimits.self),
        Limit("PostgreSQL", .span(Limits.answers.postgres), AnswerLimits.self),
        Limit("Patroni", .span(Limits.answers.patroni), AnswerLimits.self),
        Limit("a try of an address's own port", .span(Limits.answers.port), AnswerLimits.self),
        Limit("plans and operations that are kept", .count(OperationDesk.limit), OperationDesk.self),
        Limit("until a plan is over", .span(Plan.validity), Plan.self),
        Limit("a pause of reactions", .span(.seconds(Operation.longestPause)), Operation.self),
        Limit(
            "PostgreSQL that is looked at for a plan: connecting, its answer", .span(SwitchoverLook.timeout),
            SwitchoverLook.self),
        Limit("its answer", .bytes(SwitchoverLook.answerLimit), SwitchoverLook.self),
        Limit("members of Patroni that a plan looks at", .count(SwitchoverLook.memberLimit), SwitchoverLook.self),
        Limit("records of operations in etcd", .count(OperationLog.limit), OperationLog.self),
        Limit("of these, that wait to be written", .count(OperationLog.pendingLimit), OperationLog.self),
        Limit("refusals of one plan that are recorded", .count(OperationsLink.refusalLimit), OperationsLink.self),
        Limit("body of a request that changes something", .bytes(StatusServer.bodyLimit), StatusServer.self),
        Limit("HTTP status: connections, of each listener", .count(ConnectionTable.limit), ConnectionTable.self),
        Limit("of one user or network", .count(ConnectionTable.peerLimit), ConnectionTable.self),
        Limit("with those on their way out", .count(StatusServer.openConnections), StatusServer.self),
        Limit("memory of one", .bytes(StatusServer.connectionMemory), StatusServer.self),
        Limit("a request in all", .span(.microseconds(ConnectionTable.patience)), ConnectionTable.self),
        Limit("between two attempts to tell systemd", .span(ServiceManager.pause), ServiceManager.self),
        Limit("a record: a value", .bytes(LogRecord.valueLimit), LogRecord.self),
        Limit("its fields", .count(LogRecord.fieldLimit), LogRecord.self),
        Limit("all its values", .bytes(LogRecord.totalLimit), LogRecord.self),
        Limit("records kept for who follows them", .count(RecentRecords.limit), RecentRecords.self),
        Limit("of these, in the status", .count(RecentRecords.statusLimit), RecentRecords.self),
        Limit("characters of one", .count(RecentRecords.messageLimit), RecentRecords.self),
        Limit("giving the addresses back at a stop", .span(Core.stopLimit), Core.self),
    ]

    /// What the plane that looks at others asks members and the endpoints of etcd with.
    static let probing = ConnectionLimits(total: 256, perHost: 16, kept: 16)

    /// The table of docs/architecture.md, each line with its end.
    static var table: String {
        let head = "| What | Limit | Where |\n| --- | --- | --- |\n"
        return self.all.reduce(into: head) { text, limit in
            // Without its module.
            let place = String(reflecting: limit.place).split(separator: ".").dropFirst().joined(separator: ".")
            text += "| \(limit.what) | \(limit.amount) | `\(place)` |\n"
        }
    }
}
