// SPDX-License-Identifier: Apache-2.0
import EtcdClient
import EventLoop
import HTTPClient
import LenientJSON
import ServiceRecords
import Settings

/// Finds etcd's endpoints by the SRV records of a domain, as Patroni's `srv` does: the first of six names that has any counts,
/// `_etcd-client-ssl._tcp` to `_etcd-server._tcp`. The last two name members' peer ports, which tell the members' client URLs.
///
/// The name of a single host is looked up too: with several addresses each is an endpoint, as for Patroni.
///
/// Leaves out: when to look, which is ``EtcdDirectory``'s. Nothing that a lease hangs on waits for it.
@EventLoop
struct EtcdDiscovery {
    /// Why there are no endpoints, for a person.
    struct Failure: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    enum Source: Equatable {
        case records(Settings.Etcd.Discovery)
        /// A host's name may stand for several servers.
        case addresses(String, port: UInt16)
    }

    let source: Source
    private let resolver: HostResolver
    private let http: HTTPClient
    private let tls: TLSFiles?
    private let lookup: @EventLoop () async -> ServiceLookup

    /// As Patroni goes through them.
    nonisolated static let services = ["-client-ssl", "-client", "-ssl", "", "-server-ssl", "-server"]
    private nonisolated static let answerLimit = 1 << 16
    nonisolated static let patience: Duration = .seconds(2)

    /// - Parameters:
    ///   - kind: of the child that reads how this node finds names.
    ///   - http: for the members' peer ports.
    ///   - lookup: instead of the system's name servers.
    init(
        _ source: Source, tls: TLSFiles?, http: HTTPClient, resolver: HostResolver, kind: ChildKind,
        lookup: (@EventLoop () async -> ServiceLookup)? = nil
    ) {
        (self.source, self.http, self.tls, self.resolver) = (source, http, tls, resolver)
        self.lookup = lookup ?? { await ServiceLookup.ofSystem(kind) }
    }

    /// Nil where the configuration names servers, and so nothing is to be found out.
    init?(_ settings: Settings, http: HTTPClient, resolver: HostResolver, kind: ChildKind) {
        let source: Source
        if let discovery = settings.etcd.discovery {
            source = .records(discovery)
        } else if let (host, port) = settings.etcd.soleName {
            source = .addresses(host, port: port)
        } else {
            return nil
        }
        self.init(source, tls: TLSFiles(settings.etcd.tls), http: http, resolver: resolver, kind: kind)
    }

    /// The URLs, those with the lowest priority first. Within some seconds, whatever the name servers do.
    func endpoints() async -> Result<[String], Failure> {
        switch self.source {
        case .records(let discovery): await self.endpoints(discovery)
        case .addresses(let host, let port): await self.endpoints(host, port)
        }
    }

    private func endpoints(_ host: String, _ port: UInt16) async -> Result<[String], Failure> {
        switch await self.resolver.addressesAnew(of: host) {
        case .addresses(let addresses):
            // A name with one address may move: it stays a name.
            let hosts = addresses.count > 1 ? addresses.map { $0.contains(":") ? "[\($0)]" : $0 } : [host]
            return .success(Self.usable(hosts.map { "http://\($0):\(port)" }, toldBy: nil))
        case .unknown: return .failure(Failure(description: "the name \(host) has no address"))
        case .unanswered(let reason):
            return .failure(Failure(description: "the name \(host) could not be looked up: \(reason)"))
        }
    }

    private func endpoints(_ discovery: Settings.Etcd.Discovery) async -> Result<[String], Failure> {
        let lookup = await self.lookup()
        let services = Self.services.map { service in discovery.suffix.map { "\(service)-\($0)" } ?? service }
        // All at once: silent name servers cost their time once.
        let tasks = services.map { service in
            EventLoop.task { await self.records(of: "_etcd\(service)._tcp.\(discovery.domain)", lookup) }
        }
        var reason: String?
        for (service, task) in zip(services, tasks) {
            let records: [ServiceRecord]
            switch await task.value {
            case .success(let found): records = found
            case .failure(let failure):
                reason = reason ?? failure.description
                continue
            }
            let isTLS = service.contains("-ssl")
            let urls = records.map { "\(isTLS ? "https" : "http")://\($0.target):\($0.port)" }
            let endpoints =
                service.contains("-server") ? await self.ask(urls, &reason) : Self.usable(urls, toldBy: nil)
            if !endpoints.isEmpty { return .success(Array(endpoints.prefix(Settings.endpointLimit))) }
        }
        let why = reason.map { ": \($0)" } ?? ": there are none"
        return .failure(Failure(description: "SRV records of \(discovery.domain) for etcd\(why)"))
    }

    private func records(of name: String, _ lookup: ServiceLookup) async -> Result<[ServiceRecord], LookupFailure> {
        do throws(LookupFailure) { return .success(try await lookup.records(of: name)) } catch {
            return .failure(error)
        }
    }

    private nonisolated static func usable(_ urls: [String], toldBy teller: String?) -> [String] {
        var usable: [String] = []
        for text in urls {
            // What a name server tells of this host is meant for it.
            guard case .usable(let url) = MemberURL(text, toldBy: teller ?? text, configured: [text]) else { continue }
            if !usable.contains(url) { usable.append(url) }
        }
        return usable
    }

    /// The client URLs that the first peer that answers tells: `GET /members`.
    private func ask(_ peers: [String], _ reason: inout String?) async -> [String] {
        for peer in peers.prefix(Settings.endpointLimit) {
            var request = HTTPRequest(.get, peer + "/members")
            request.timeout = Self.patience
            request.connectTimeout = Self.patience
            request.bodyLimit = Self.answerLimit
            request.tls = self.tls
            do throws(HTTPError) {
                let response = try await self.http.send(request)
                let members = response.status == 200 ? JSON.parse(response.body, limit: Self.answerLimit)?.array : nil
                let urls = (members ?? []).prefix(EtcdMemberList.limit).flatMap { member in
                    (member["clientURLs"]?.array ?? []).prefix(EtcdMemberList.limit).compactMap(\.string)
                }
                let usable = Self.usable(urls, toldBy: peer)
                if !usable.isEmpty { return usable }
                reason = reason ?? "\(peer)/members tells no endpoints"
            } catch {
                reason = reason ?? "\(peer)/members: \(error.message)"
            }
        }
        return []
    }
}
