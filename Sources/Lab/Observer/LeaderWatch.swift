// SPDX-License-Identifier: Apache-2.0
import EventLoop
import FoundationEssentials

/// Records each change of a group's leader key, as the first of all etcd members tells it.
///
/// A watch at every member, because any of them may be killed, frozen or cut off; what several tell is recorded once,
/// by its revision. `curl` holds the watches: it is not what the daemon uses, and so cannot share its faults.
@EventLoop
final class LeaderWatch {
    private let recorder: EventRecorder
    private let key: String
    /// Citus's number; nil without Citus.
    private let group: Int?
    private var cluster = ""
    private var revision: Int64 = 0
    private var leader: String?

    init(_ group: LabGroup, _ options: LabOptions, _ recorder: EventRecorder) {
        self.recorder = recorder
        self.key = Data(group.leaderKey.utf8).base64EncodedString()
        self.group = options.citus == nil ? nil : group.number
        for node in options.nodes { EventLoop.spawn { await self.follow(node) } }
    }

    /// etcd's answers to range and watch, as far as they are needed (rpc.proto; 64-bit numbers are strings, and what
    /// is zero or empty is absent).
    struct Header: Decodable {
        var cluster_id: String?
        var revision: String?
    }
    struct Pair: Decodable {
        var value: Data?
        var mod_revision: String?
        var text: String? { self.value.map { String(decoding: $0, as: UTF8.self) } }
    }
    struct Range: Decodable {
        /// Not in an error, whose body ("etcdserver: leader changed") says nothing about the key.
        var header: Header
        var kvs: [Pair]?
    }
    struct Watch: Decodable {
        struct Event: Decodable {
            var type: String?
            var kv: Pair?
        }
        struct Result: Decodable {
            var header: Header?
            var events: [Event]?
        }
        var result: Result?
    }

    private func follow(_ node: String) async {
        while true {
            do {
                if let next = try await self.read(node) { try await self.watch(node, from: next) }
                try await EventLoop.sleep(for: .milliseconds(200))
            } catch let error as ChildProcessError {
                log("leader watch at \(node): \(error)")
            } catch {
                return
            }
        }
    }

    /// Reads the key; answers the revision to watch from.
    private func read(_ node: String) async throws -> Int64? {
        let answer = try await ChildProcess(
            self.curl(node, "range", "{\"key\":\"\(self.key)\"}", ["--max-time", "3"]),
            timeout: .seconds(5)
        ).run()
        guard answer.exitCode == 0, let range = JSON.answer(Range.self, from: answer.text),
            let current = range.header.revision.flatMap({ Int64($0) })
        else { return nil }
        self.enter(range.header)
        let pair = range.kvs?.first
        if current >= self.revision { self.note(pair?.text, pair?.mod_revision.flatMap { Int64($0) } ?? current) }
        return current + 1
    }

    private func watch(_ node: String, from revision: Int64) async throws {
        let body = "{\"create_request\":{\"key\":\"\(self.key)\",\"start_revision\":\"\(revision)\"}}"
        // A watch at a member that died without a word ends by the keep-alive; at the latest it is renewed.
        let options = ["--no-buffer", "--keepalive-time", "2", "--max-time", "600"]
        _ = try await ChildProcess(self.curl(node, "watch", body, options), outputLimit: 1 << 20).lines { line in
            guard let result = JSON.answer(Watch.self, from: line)?.result else { return }
            if let header = result.header { self.enter(header) }
            for event in result.events ?? [] {
                guard let at = event.kv?.mod_revision.flatMap({ Int64($0) }), at > self.revision else { continue }
                self.note(event.type == "DELETE" ? nil : event.kv?.text, at)
            }
        }
    }

    /// A rebuilt etcd counts its revisions from 1 again.
    private func enter(_ header: Header) {
        guard let cluster = header.cluster_id, cluster != self.cluster else { return }
        self.cluster = cluster
        self.revision = 0
    }

    private func note(_ leader: String?, _ revision: Int64) {
        self.revision = max(self.revision, revision)
        guard leader != self.leader else { return }
        self.leader = leader
        self.recorder.record(LabEvent(at: BootClock.microseconds, .leader, node: leader, group: self.group))
    }

    private func curl(_ node: String, _ call: String, _ body: String, _ options: [String]) -> [String] {
        let path = call == "range" ? "kv/range" : "watch"
        // Without this header a member that lost its leader keeps a watch silently open.
        return ["/usr/bin/curl", "-s", "-H", "Grpc-Metadata-hasleader: true", "-d", body] + options
            + ["http://\(LabLayout.address(node)):2379/v3/\(path)"]
    }
}
