// SPDX-License-Identifier: Apache-2.0
import EtcdClient
import EtcdValues
public import EventLoop
import HTTPClient
import LeaseKeys
import PatroniValues
public import Settings

/// What etcd says of a cluster before any daemon follows it: asked now, once, within some seconds.
@EventLoop
public struct EtcdGlance {
    /// Patroni's leader key.
    public enum Leader: Sendable, Equatable {
        case named(String)
        case absent
        /// Why nothing was answered.
        case notAsked(String)
    }

    public private(set) var leader = Leader.notAsked("no endpoint is known")
    /// The names of the members, sorted; nil: not known.
    public private(set) var members: [String]?
    /// Whether a daemon has met this etcd; nil: not known.
    public private(set) var isMarked: Bool?

    /// Members that are told.
    private static let limit = 100

    public init(_ settings: Settings) async {
        let names = HostResolver()
        let http = HTTPClient(resolve: { await names.answer(to: $0) })
        defer { http.close() }
        var endpoints = settings.etcd.endpoints
        if let discovery = EtcdDiscovery(settings, http: http, resolver: names, kind: .tool) {
            switch await discovery.endpoints() {
            case .success(let urls): endpoints = urls
            case .failure(let failure): self.leader = .notAsked("\(failure)")
            }
        }
        guard !endpoints.isEmpty else { return }
        let client = EtcdClient(EtcdConfiguration(settings), http: http, jitter: { 0.5 })
        client.configure(endpoints)
        let keys = PharosKeys(settings)
        do throws(EtcdError) {
            let leader = try await client.range(.key(keys.patroni.leader)).keyValues.first
            self.leader = leader.map { .named($0.valueText) } ?? .absent
            let members = try await client.range(.prefix(keys.patroni.members), limit: Self.limit)
            self.members = members.keyValues.map { String($0.keyText.dropFirst(keys.patroni.members.count)) }.sorted()
            // Patroni's user need not have a right to it yet.
            self.isMarked = try await !client.range(.key(keys.mark)).keyValues.isEmpty
        } catch {
            if case .notAsked = self.leader { self.leader = .notAsked(error.description) }
        }
    }
}
