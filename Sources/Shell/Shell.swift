// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
public import EventLoop
import HTTPClient
public import Journal
import LeaseKeys
import NetworkAddress
import PatroniClient
import PatroniValues
public import Settings

/// The shell around the core: it gathers events, and carries actions out. It decides nothing.
///
/// Each action is answered by exactly one event, within the time limits of the clients that carry it out. (An `ip` that
/// the kernel does not let go of, even killed, is the exception: as long as it may still act, nothing else does.)
@EventLoop
public final class Shell {
    /// What the shell needs from the process around it.
    public struct ProcessServices {
        public var log: @EventLoop (LogRecord) -> Void
        /// systemd's READY=1, with a line of status.
        public var ready: @EventLoop () -> Void
        /// systemd's STATUS=.
        public var status: @EventLoop (String) -> Void
        /// All is released: the process may end.
        public var exit: @EventLoop () -> Void
        /// The text without secrets: what the status tells leaves the process as the log does.
        public var redact: @EventLoop (String) -> String
        /// Uniform in 0 ..< 1.
        public var jitter: @EventLoop () -> Double
        /// The absolute path of iproute2's `ip`.
        public var ipPath: String
        /// Nil: nothing is remembered from one process to the next.
        public var memory: MemoryFile?
        /// The path of pharos.yml, beside which accepted findings are looked for; nil: none are.
        public var configuration: String?

        public init(
            log: @escaping @EventLoop (LogRecord) -> Void, ready: @escaping @EventLoop () -> Void,
            status: @escaping @EventLoop (String) -> Void, exit: @escaping @EventLoop () -> Void,
            redact: @escaping @EventLoop (String) -> String,
            jitter: @escaping @EventLoop () -> Double, ipPath: String, memory: MemoryFile? = nil
        ) {
            self.memory = memory
            self.log = log
            self.ready = ready
            self.status = status
            self.exit = exit
            self.redact = redact
            self.jitter = jitter
            self.ipPath = ipPath
        }
    }

    private(set) var settings: Settings
    let services: ProcessServices
    let node: String
    /// For what the leases hang on: etcd and this node's Patroni. Nothing else may use it.
    private let http: HTTPClient
    /// For the keys in etcd on which no lease hangs: each range that is followed takes a connection.
    private let lookingHTTP: HTTPClient
    /// For probes: as many connections as members are probed at once, and the endpoints of etcd.
    private let probingHTTP: HTTPClient
    /// Of each plane one.
    let resolvers: [HostResolver]
    let etcd: EtcdLink
    /// For keys on which no lease hangs: what fails or takes its time there ends no watch of the addresses' keys.
    private let looking: EtcdClient
    var clock = ClockRate()
    let follower: EtcdFollower
    let endpoints: EtcdEndpoints
    let kernel: KernelLink
    let postgres: PostgresProbe
    let patroni: PatroniProbe
    let groups: GroupsLink
    fileprivate let acquaintance: Acquaintance
    /// Nil where nothing of Citus is to be followed.
    let citus: CitusLink?
    let detector: DetectorLink
    let operations: OperationsLink
    let ledger: LedgerWriter
    let ledgerCopy: LedgerCopy
    let audit: ContinuousAudit
    private let alert: AlertCommand?
    var status: StatusListeners?
    var core: Core
    var history = RecentRecords()
    private let sink = EventSink()
    var timer: EventSource?
    var actions: [Action] = []
    /// What is told later than what is done.
    var unreported: [Action] = []
    var isAboutToReport = false
    var statusLine = ""
    var hasStopped = false
    /// Why what is known of etcd cannot be kept; nil: it can.
    private var memoryProblem: String?
    let startedAt = Instant.now

    /// `node` identifies this boot of this node; see ``NodeIdentity``.
    public init(_ settings: Settings, node: String? = nil, _ services: ProcessServices) {
        self.settings = settings
        self.services = services
        let node = node ?? NodeIdentity.read() ?? "unknown-\(BootClock.microseconds)"
        self.node = node
        let sink = self.sink
        let names = HostResolver(kind: .leaseNameLookup, report: { sink.report(.names($0)) })
        let namesOfOthers = HostResolver(report: { sink.report(.names($0)) })
        self.resolvers = [names, namesOfOthers]
        self.http = HTTPClient(.unlimited, resolve: { await names.answer(to: $0) })
        self.lookingHTTP = HTTPClient(.unlimited, resolve: { await namesOfOthers.answer(to: $0) })
        self.probingHTTP = HTTPClient(
            Limits.probing, resolve: { await namesOfOthers.answer(to: $0) })
        self.http.nameFailed = { names.doubt($0) }
        self.lookingHTTP.nameFailed = { namesOfOthers.doubt($0) }
        let jitter = { EventLoop.assumeIsolated { services.jitter() } }
        let memory = services.memory?.load(MemoryFile.Owner(settings)) ?? MemoryFile.Finding()
        let endpoints = EtcdEndpoints(
            settings, memory.etcd, services.memory, longestTTL: { sink.shell?.core.longestTTL(at: .now) ?? .zero },
            isCovered: { sink.shell?.core.isCoveredByFailsafe(at: .now) ?? false })
        let client = EtcdClient(
            EtcdConfiguration(settings), http: self.http, clusters: endpoints.clusters, jitter: jitter)
        let looking = EtcdClient(
            EtcdConfiguration(settings), http: self.lookingHTTP, clusters: endpoints.clusters, jitter: jitter)
        self.looking = looking
        endpoints.serve(client, looking, self.lookingHTTP, names) { sink.report($0) }
        self.endpoints = endpoints
        self.etcd = EtcdLink(
            client, PharosKeys(settings), member: settings.member, node: node, report: { sink.report($0) })
        self.memoryProblem = memory.problem
        self.core = Core(settings.core(node: node), memory: memory.memory, at: .now)
        let link = self.etcd
        let detectorKeys = DetectorKeys(settings)
        let groups = GroupsLink(
            looking, GroupKeys(settings), detectorKeys,
            watchedElsewhere: link.watched, jitter: services.jitter,
            deliver: { sink.deliver($0) }, report: { sink.report($0) })
        self.groups = groups
        self.acquaintance = Acquaintance(
            member: settings.member, scope: settings.scope, looking, members: { await link.members(by: looking) },
            report: { sink.report($0) })
        self.follower = EtcdFollower(
            client, jitter: services.jitter,
            read: { () async throws(EtcdError) in
                let sentAt = Instant.now
                let snapshot = try await link.read()
                sink.deliver(.followed(snapshot, sentAt: sentAt))
                // What the groups have of these keys has a gap.
                groups.renew(in: snapshot.clusterID)
                return EtcdFollower.Reading(
                    clusterID: snapshot.clusterID, revision: snapshot.revision, ranges: link.watched)
            },
            // Where the address is concerned it comes first.
            receive: { clusterID, revision, events in
                if let event = link.event(clusterID, revision, events) { sink.deliver(event) }
                groups.receive(clusterID, revision, events)
            },
            established: { sink.shell?.acquaintance.look() }, report: { sink.report($0) })
        self.kernel = KernelLink(
            ipPath: services.ipPath, deliver: { sink.deliver($0) }, report: { sink.report($0) })
        self.kernel.forget(memory.memory.trails.map(\.address))
        let patroni = PatroniProbe(Self.patroni(settings, self.http), report: { sink.report($0) })
        self.patroni = patroni
        self.postgres = PostgresProbe(
            conninfo: settings.postgres.conninfo, resolver: names, patroni: { await patroni.ask() },
            ended: { sink.deliver(.postgresDisconnected) })
        self.citus = settings.citus.map {
            CitusLink(settings, $0, looking, resolver: namesOfOthers, deliver: { sink.deliver(.citus($0)) })
        }
        self.ledger = LedgerWriter(looking, detectorKeys)
        self.ledgerCopy = LedgerCopy(looking, detectorKeys, redact: services.redact)
        self.audit = ContinuousAudit(own: settings.memberID.group, at: self.startedAt)
        self.alert = settings.alert.map {
            AlertCommand(
                $0, scope: settings.scope, member: settings.member, redact: services.redact,
                failed: { sink.report($0) })
        }
        self.detector = DetectorLink(
            looking, settings, detectorKeys, patroni: Self.patroni(settings, self.lookingHTTP), http: self.probingHTTP,
            resolver: namesOfOthers, report: { sink.report($0) },
            deliver: { sink.deliver(.detector($0)) })
        self.operations = OperationsLink(
            looking, settings, detectorKeys, patroni: Self.patroni(settings, self.lookingHTTP), resolver: namesOfOthers,
            .init(
                core: { sink.shell?.core }, deliver: { sink.deliver(.detector($0)) }, log: { sink.report($0) },
                outward: { settings.instance.addressed(services.redact($0)) }))
        self.follow(settings)
        services.memory?.report(
            failed: { sink.shell?.reportMemory($0) }, succeeded: { sink.shell?.reportMemory(nil) })
        sink.shell = self
    }

    /// This node's Patroni. A switchover's answer takes up to 90 s, so it is asked for beside what the leases hang on.
    private static func patroni(_ settings: Settings, _ http: HTTPClient) -> PatroniClient {
        PatroniClient(
            settings.patroni.url, tls: TLSFiles(settings.patroni.tls), credentials: Credentials(settings.patroni),
            http: http)
    }

    /// Begins to act.
    public func start() {
        self.log(
            LogRecord(
                .daemonStarted,
                "member \(self.settings.member) of \(self.settings.scope), addresses \(self.settings.addresses.map(\.prefix.description).joined(separator: " "))",
                ["MEMBER": self.settings.member, "SCOPE": self.settings.scope, "NODE": self.node]))
        if let problem = self.memoryProblem { self.log(.memoryUnusable(problem)) }
        self.readAccepted()
        self.status = StatusListeners(
            self.settings.status.endpoints, answer: { [unowned self] in self.answer($0) },
            act: { [unowned self] in self.act($0) }, log: { [unowned self] in self.log($0) })
        self.kernel.start()
        self.follower.start()
        self.endpoints.start()
        self.deliver(.tick)
    }

    private func follow(_ settings: Settings) {
        self.kernel.follow(settings)
        self.etcd.addresses = self.followedAddresses
    }

    /// Said once, until it can be written again.
    fileprivate func reportMemory(_ problem: String?) {
        if let problem, self.memoryProblem == nil { self.log(.memoryUnwritable(problem)) }
        self.memoryProblem = problem
    }

    /// Releases every address, then calls ``ProcessServices/exit``.
    public func stop() { self.deliver(.stop) }

    /// Ends at once, and leaves everything to the process that follows; calls ``ProcessServices/exit``.
    public func handOver() { self.deliver(.handOver) }

    /// Takes over new settings; answers why not, if they need a restart.
    public func reload(_ settings: Settings) -> String? {
        self.readAccepted()
        guard self.settings.differsOnlyInAddresses(from: settings) else {
            let keys = self.settings.keysOfDifferences(from: settings)
            let what = keys.isEmpty ? "a secret differs, too" : "\(keys.joined(separator: ", ")) would change, too"
            return settings.instance.addressed(
                "only addresses and lease can change in a running daemon, and \(what): systemctl restart pharos (addresses stay)"
            )
        }
        self.settings = settings
        for client in [self.etcd.client, self.looking] { client.setLimits(as: EtcdConfiguration(settings)) }
        // Certificates and authorities may be others.
        for http in [self.http, self.lookingHTTP, self.probingHTTP] { http.dropKeptConnections() }
        self.follow(settings)
        self.deliver(.reconfigured(settings.core(node: self.node)))
        return nil
    }

    /// Lets the core turn once, also where nothing is due: what the watchdog's ping stands for.
    public func turn() { self.deliver(.tick) }

    func end() {
        self.hasStopped = true
        self.timer = nil
        self.follower.stop()
        self.endpoints.stop()
        self.groups.stop()
        self.citus?.stop()
        self.ledger.stop()
        self.operations.stop()
        EventLoop.spawn {
            self.kernel.stop()
            // The next process publishes in its place.
            if self.core.isStopping { await self.detector.withdraw() } else { self.detector.stop() }
            await self.services.memory?.finish()
            self.status = nil
            self.services.exit()
        }
    }

    /// The text as it may leave the process: without secrets, and with commands as they are typed for this daemon.
    func outward(_ text: String) -> String { self.settings.instance.addressed(self.services.redact(text)) }

    var etcdEndpoints: [EtcdClient.EndpointState] { self.etcd.client.endpointStates }
    var etcdEndpoint: String { self.etcd.client.currentEndpoint }
    /// The addresses that are looked for in the kernel, sorted.
    var followedAddresses: [AddressID] { self.kernel.addresses.keys.sorted() }
    var isWatching: Bool { self.follower.isWatching }
    /// Why there is no watch of etcd; nil where there is one, or was none yet.
    var watchInterruption: String? { self.follower.interruption }

    func log(_ record: LogRecord) {
        var record = record
        // What is typed on a host with several clusters.
        let instance = self.settings.instance
        if instance.name != nil { record = record.rewritten(instance.addressed) }
        self.history.append(record)
        self.services.log(record)
        self.alert?.tell(record)
    }
}
