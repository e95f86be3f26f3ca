// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Journal
import Settings
import StatusServer
import WebServer

/// The places where the API is served. Where that is not possible yet (an address that is not this node's, a port in use, no usable
/// certificate) it is tried again until it is; told once.
@EventLoop
final class Listeners {
    private struct Place: Hashable {
        let endpoint: StatusEndpoint
        let hasTLS: Bool
    }

    private let api: API
    private let clientAuthorities: [UInt8]?
    private let log: @EventLoop (LogRecord) -> Void
    private var missing: [Place] = []
    private var told: Set<Place> = []
    private var servers: [WebServer] = []

    /// - Parameter clientAuthorities: PEM; nil: no client's certificate is asked for.
    init(_ api: API, clientAuthorities: [UInt8]?, log: @escaping @EventLoop (LogRecord) -> Void) {
        (self.api, self.clientAuthorities, self.log) = (api, clientAuthorities, log)
        let settings = api.settings
        self.missing =
            [Place(endpoint: .unix(path: settings.socket), hasTLS: false)]
            + settings.listen.map { address in
                Place(
                    endpoint: .tcp(address: "\(address.address)", port: address.port), hasTLS: settings.tls != nil)
            }
        api.handshakes = { [weak self] in
            let servers = self?.servers ?? []
            return (
                servers.reduce(0) { $0 + $1.handshakeCount }, servers.reduce(0) { $0 + $1.refusedHandshakeCount }
            )
        }
    }

    var places: [String] { self.missing.map { "\($0.endpoint)" } }

    /// Serves wherever it can that is not served yet.
    func serve() {
        self.missing = self.missing.filter { !self.serve($0) }
    }

    func stop() {
        for server in self.servers { server.stop() }
        self.servers = []
        self.missing = []
    }

    /// Answers whether it is served there now.
    private func serve(_ place: Place) -> Bool {
        do throws(WebServerError) {
            // What stands in the way then has been told.
            if place.hasTLS, TLSIdentity.current == nil {
                throw WebServerError(description: "\(place.endpoint): there is no usable certificate yet")
            }
            let api = self.api
            self.servers.append(
                try WebServer(
                    place.endpoint, tls: place.hasTLS ? .init(clientAuthorities: self.clientAuthorities) : nil,
                    refusedHandshake: { api.refusedHandshake(of: $0) }, handler: { api.reply(to: $0) }))
            if self.told.remove(place) != nil {
                self.log(
                    LogRecord(
                        .apiServed, "the API is served at \(place.endpoint) now", ["ENDPOINTS": "\(place.endpoint)"]))
            }
            return true
        } catch {
            if self.told.insert(place).inserted {
                self.log(
                    LogRecord(
                        .apiUnavailable, "cannot serve the API at \(error); it is tried again every 2 s",
                        ["REASON": "\(error)"]))
            }
            return false
        }
    }
}
