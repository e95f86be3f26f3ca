// SPDX-License-Identifier: Apache-2.0
import EtcdClient
import LenientJSON
import Settings

/// What a process leaves to the next one of the etcd that it followed.
struct EtcdMemory: Equatable {
    /// The endpoints in the configuration of that time. With others, what was learned says nothing: etcd may have moved.
    var configured: [String]
    /// The endpoints that DNS told.
    var discovered: [String] = []
    /// The endpoints that etcd told beside them, and that have answered.
    var learned: [String] = []
    /// The cluster that was followed; nil: none was.
    var cluster: UInt64?

    private static let limit = max(EtcdClient.learnedLimit, Settings.endpointLimit) + 1

    init(configured: [String], discovered: [String] = [], learned: [String] = [], cluster: UInt64? = nil) {
        self.configured = configured
        self.discovered = discovered
        self.learned = learned
        self.cluster = cluster
    }

    init?(_ json: JSON) {
        func texts(_ name: String) -> [String]? {
            json[name]?.array?.prefix(Self.limit).compactMap(\.string)
        }
        guard let configured = texts("configured"), let learned = texts("learned") else { return nil }
        self.init(
            configured: configured, discovered: texts("discovered") ?? [], learned: learned,
            cluster: json["cluster"]?.uint64)
    }

    var document: JSONDocument {
        .members(
            .init("configured", .list(self.configured.map { .string($0) })),
            self.cluster.map { .init("cluster", .string("\($0)")) },
            self.discovered.isEmpty ? nil : .init("discovered", .list(self.discovered.map { .string($0) })),
            .init("learned", .list(self.learned.map { .string($0) })))
    }
}
