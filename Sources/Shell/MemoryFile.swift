// SPDX-License-Identifier: Apache-2.0
import Decision
public import EventLoop
import Glibc
import LeaseKeys
import LenientJSON
import Settings

/// What this node remembers of etcd, in a file that outlives the process and the boot.
///
/// The file is read once, before anything is at stake. It is written by children (`dd`, `mv`), because a disk that hangs must
/// not hold the loop up: a write that does not end is given up, and tried again a few times. A file that cannot be brought up to date is removed: an old memory would vouch for what it does not know.
@EventLoop
public final class MemoryFile {
    /// For whom the file was written: of any other it says nothing.
    struct Owner: Hashable {
        let root: String
        let namespace: String
        let scope: String
        let group: Int?
        let member: String
    }

    /// What was found at the start.
    struct Finding {
        var memory = Memory()
        /// Nil: nothing is known of an earlier process's etcd.
        var etcd: EtcdMemory?
        /// Why nothing is remembered, though there is a file or should be; nil: all is well, or this is the first start.
        var problem: String?
        /// Whether no daemon has written anything down here for this owner.
        var isNothing = false
    }

    private let folder: String
    private let path: String
    private let followsForgetful: Bool
    private var pending: [UInt8]?
    /// What the file says, or is to say.
    private var content: (memory: Memory, etcd: EtcdMemory?, owner: Owner)?
    /// The write that is under way.
    private var writing: Task<Void, Never>?
    private var isFinishing = false
    private var timer: (source: EventSource, at: Instant)?
    /// Whether what waits is more than places of members.
    private var isUrgent = false
    /// When a write began that was for the sake of places alone.
    private var placesAt: Instant?
    private let placesPause: Duration
    /// Writes that failed since the last one that did not.
    private var failures = 0
    private var failed: @EventLoop (String) -> Void = { _ in }
    private var succeeded: @EventLoop () -> Void = {}

    /// Bytes: 256 addresses with full trails need 90 KB, 4,096 places of members with long names 300 KB.
    nonisolated static let limit = 1 << 19
    nonisolated static let timeout: Duration = .seconds(5)
    /// The address moves first; and 64 addresses that come at once are one write.
    private static let patience: Duration = .milliseconds(500)
    private static let retry: Duration = .seconds(60)
    /// Where members are, anybody may change who can write Patroni's keys; each change is not worth a write.
    public nonisolated static let usualPlacesPause: Duration = .seconds(30)
    /// A child on a disk that hangs cannot be ended, and keeps its slot: there are two.
    nonisolated static let failureLimit = 5

    /// - Parameters:
    ///   - folder: where the file is kept, such as `/var/lib/pharos`.
    ///   - followsForgetful: see ``Memory/followsForgetful``.
    ///   - placesPause: between two writes that nothing else is in than other places of members.
    public init(
        folder: String, followsForgetful: Bool, placesPause: Duration = MemoryFile.usualPlacesPause
    ) {
        self.placesPause = placesPause
        self.folder = folder
        self.path = folder + "/memory.json"
        self.followsForgetful = followsForgetful
    }

    /// `failed` is told why something could not be written, `succeeded` that it was.
    func report(failed: @escaping @EventLoop (String) -> Void, succeeded: @escaping @EventLoop () -> Void) {
        self.failed = failed
        self.succeeded = succeeded
    }

    // MARK: - Reading

    func load(_ owner: Owner) -> Finding {
        let finding = self.find(owner)
        self.content = (finding.memory, finding.etcd, owner)
        return finding
    }

    private func find(_ owner: Owner) -> Finding {
        var finding = Finding()
        (finding.memory.followsForgetful, finding.memory.isPartial) = (self.followsForgetful, true)
        // What cannot be brought up to date later may be out of date already.
        guard access(self.folder, W_OK | X_OK) == 0 else {
            finding.isNothing = errno == ENOENT
            finding.problem = "\(self.folder) cannot be written: \(String(cString: strerror(errno)))"
            return finding
        }
        let descriptor = open(self.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            finding.isNothing = errno == ENOENT
            if errno != ENOENT { finding.problem = "\(self.path): \(String(cString: strerror(errno)))" }
            return finding
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Self.limit)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count > 0, let json = JSON.parse(Array(bytes.prefix(count)), limit: Self.limit),
            let trails = Self.trails(json)
        else {
            finding.problem = "\(self.path) cannot be understood"
            return finding
        }
        guard Self.owner(json) == owner else {
            finding.isNothing = true
            finding.problem = "\(self.path) was written for another member, scope or etcd root"
            return finding
        }
        finding.memory = Memory(trails: trails, isPartial: true, places: Self.places(json))
        finding.etcd = json["etcd"].flatMap { EtcdMemory($0) }
        return finding
    }

    private static func owner(_ json: JSON) -> Owner? {
        guard let root = json["root"]?.string, let namespace = json["namespace"]?.string,
            let scope = json["scope"]?.string, let member = json["member"]?.string
        else { return nil }
        let group = json["group"]?.int64.map { Int($0) }
        return Owner(root: root, namespace: namespace, scope: scope, group: group, member: member)
    }

    private static func trails(_ json: JSON) -> [Addressed<Trail>]? {
        guard let members = json["trails"]?.object else { return nil }
        var trails: [Addressed<Trail>] = []
        for (address, value) in members {
            guard let text = value.string else { return nil }
            let trail = PharosKeys.trail(text)
            // An empty one says that the address is known to have never been acquired.
            guard !trail.isEmpty || text.isEmpty else { return nil }
            trails.append(Addressed(address, trail))
        }
        return trails.sorted { $0.address < $1.address }
    }

    /// What is none is left out: at worst a person is asked.
    private static func places(_ json: JSON) -> KnownPlaces {
        var places = KnownPlaces(cluster: json["places_cluster"]?.uint64)
        for (group, list) in json["places"]?.object ?? [:] {
            guard let group = Int(group) else { continue }
            for place in list.array ?? [] {
                if let endpoint = place.string.flatMap({ NodeEndpoint($0) }) { places.learn(endpoint, of: group) }
            }
        }
        return places
    }

    // MARK: - Writing

    static func text(_ memory: Memory, _ owner: Owner, _ etcd: EtcdMemory? = nil) -> [UInt8] {
        let trails = memory.trails.map { entry in
            JSONDocument.Member(
                entry.address, .string(String(decoding: PharosKeys.value(of: entry.value), as: UTF8.self)))
        }
        let places = memory.places.byGroup.sorted { $0.key < $1.key }.map { group, places in
            JSONDocument.Member("\(group)", .array(places.map { .string($0.description) }))
        }
        let document = JSONDocument.members(
            .init("root", .string(owner.root)), .init("namespace", .string(owner.namespace)),
            .init("scope", .string(owner.scope)), owner.group.map { .init("group", .number($0)) },
            .init("member", .string(owner.member)), etcd.map { .init("etcd", $0.document) },
            .init("trails", .object(trails)),
            places.isEmpty ? nil : .init("places", .object(places)),
            places.isEmpty ? nil : memory.places.cluster.map { .init("places_cluster", .string("\($0)")) })
        let bytes = Array((document.compact + "\n").utf8)
        guard bytes.count > Self.limit, !memory.places.byGroup.isEmpty else { return bytes }
        // The trails come first: without the places, at worst, a person is asked.
        var shorter = memory
        shorter.places = KnownPlaces()
        return self.text(shorter, owner, etcd)
    }

    /// The newest content is written after a moment, or not at all where writing has failed too often.
    func write(_ memory: Memory, _ owner: Owner) { self.write((memory, self.content?.etcd, owner)) }

    /// The same of what is known of etcd itself; nothing before ``load(_:)``.
    func write(_ etcd: EtcdMemory) {
        guard let content = self.content, content.etcd != etcd else { return }
        self.write((content.memory, etcd, content.owner))
    }

    private func write(_ content: (memory: Memory, etcd: EtcdMemory?, owner: Owner)) {
        if self.isMoreThanPlaces(content) { self.isUrgent = true }
        self.content = content
        guard self.failures < Self.failureLimit else { return }
        self.pending = Self.text(content.memory, content.owner, content.etcd)
        self.wait(self.delay)
    }

    private func isMoreThanPlaces(_ content: (memory: Memory, etcd: EtcdMemory?, owner: Owner)) -> Bool {
        guard let before = self.content, before.etcd == content.etcd, before.owner == content.owner else { return true }
        var memory = before.memory
        memory.places = content.memory.places
        // Those of another etcd cluster are none of this one's.
        return memory != content.memory || before.memory.places.cluster != content.memory.places.cluster
    }

    private var delay: Duration {
        guard !self.isUrgent, let placesAt = self.placesAt else { return Self.patience }
        return max(Self.patience, self.placesPause - (.now - placesAt))
    }

    /// Writes what still waits, once the write that is under way has ended: within a second in all.
    func finish() async {
        self.timer = nil
        self.isFinishing = true
        let end = Instant.now + .seconds(1)
        if let writing = self.writing {
            do throws(WaitError) { try await EventLoop.value(of: writing, within: .seconds(1)) } catch {
                return self.failed("a write did not end within 1 s")
            }
        }
        guard let bytes = self.pending, self.failures == 0 else { return }
        self.pending = nil
        if let problem = await self.write(bytes, timeout: max(end - .now, .milliseconds(1))) { self.failed(problem) }
    }

    /// Whether a write is under way.
    var isBusy: Bool { self.writing != nil }

    private func wait(_ delay: Duration) {
        guard !self.isBusy, !self.isFinishing else { return }
        let at = Instant.now + delay
        if let timer = self.timer, timer.at <= at { return }
        let source = EventSource.timer(after: delay) { [weak self] in
            self?.timer = nil
            self?.turn()
        }
        self.timer = (source, at)
    }

    private func turn() {
        guard let bytes = self.pending else { return }
        if !self.isUrgent { self.placesAt = .now }
        self.isUrgent = false
        self.writing = EventLoop.task {
            let problem = await self.write(bytes, timeout: Self.timeout)
            self.writing = nil
            if let problem {
                self.failures += 1
                self.failed(problem)
            } else {
                self.failures = 0
                self.succeeded()
                // What has changed meanwhile is written again.
                if self.pending == bytes { self.pending = nil }
            }
            if self.pending != nil, self.failures < Self.failureLimit {
                self.wait(problem == nil ? self.delay : Self.retry)
            }
        }
    }

    private func write(_ bytes: [UInt8], timeout: Duration) async -> String? {
        let new = self.path + ".new"
        var problem = await self.run(["/usr/bin/dd", "of=\(new)", "conv=fsync", "status=none"], timeout, input: bytes)
        if problem == nil { problem = await self.run(["/usr/bin/mv", "-f", new, self.path], timeout) }
        guard var problem else { return nil }
        if let other = await self.run(["/usr/bin/rm", "-f", self.path, new], timeout) {
            problem += "; and what it held before is still there: \(other)"
        }
        return problem
    }

    /// Answers what went wrong.
    private func run(_ command: [String], _ timeout: Duration, input: [UInt8]? = nil) async -> String? {
        var child = ChildProcess(command, kind: .storage, timeout: timeout, outputLimit: 4096)
        child.input = input
        do throws(ChildProcessError) {
            let outcome = try await child.run()
            return outcome.exitCode == 0
                ? nil : outcome.text.split(separator: "\n").first.map(String.init) ?? "\(command[0]) failed"
        } catch {
            return error.description
        }
    }
}

extension MemoryFile.Owner {
    init(_ settings: Settings) {
        self.init(
            root: settings.lease.root, namespace: settings.namespace, scope: settings.scope, group: settings.group,
            member: settings.member)
    }
}
