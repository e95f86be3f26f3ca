// SPDX-License-Identifier: Apache-2.0
import CMicroHTTPD
import EventLoop
import Glibc
import StatusServer

/// What libmicrohttpd holds instead of the server itself. All of it is called by MHD_run and MHD_stop_daemon, so on the loop's
/// thread.
@EventLoop
final class WebCallbacks {
    weak var server: WebServer?

    private nonisolated static func of(_ context: UnsafeMutableRawPointer?) -> WebCallbacks? {
        context.map { Unmanaged<WebCallbacks>.fromOpaque($0).takeUnretainedValue() }
    }

    var all: mhd_callbacks {
        mhd_callbacks(
            handle: { context, connection, url, method, _, _, uploadSize, state in
                guard let owner = WebCallbacks.of(context), let connection, let url, let method, let state else {
                    return .NO
                }
                return EventLoop.assumeIsolated {
                    guard let server = owner.server else { return .NO }
                    return WebExchange.handle(
                        server, connection, String(cString: url), String(cString: method), state, uploadSize)
                }
            },
            answered: { context, connection, state, _ in
                guard let owner = WebCallbacks.of(context), let connection else { return }
                EventLoop.assumeIsolated {
                    if let state, let exchange = state.pointee {
                        state.pointee = nil
                        Unmanaged<WebExchange>.fromOpaque(exchange).takeRetainedValue().isOver = true
                    }
                    owner.server?.answered(mhd_descriptor(connection))
                }
            },
            connected: { context, connection, _, code in
                guard let owner = WebCallbacks.of(context), let connection else { return }
                EventLoop.assumeIsolated {
                    let descriptor = mhd_descriptor(connection)
                    switch code {
                    case .CONNECTION_NOTIFY_STARTED: owner.server?.opened(descriptor)
                    case .CONNECTION_NOTIFY_CLOSED: owner.server?.closed(descriptor)
                    @unknown default: break  // libmicrohttpd knows no more.
                    }
                }
            }, context: Unmanaged.passUnretained(self).toOpaque())
    }

    /// Asked for each new connection, before anything is done for it.
    nonisolated static let accept: MHD_AcceptPolicyCallback = { context, address, _ in
        guard let owner = WebCallbacks.of(context), let address else { return .NO }
        var bytes = [UInt8](repeating: 0, count: 8)
        let count = Int(mhd_network(address, &bytes))
        let network = Array(bytes.prefix(count))
        return EventLoop.assumeIsolated {
            let peer: ConnectionTable.Peer = network.isEmpty ? .unknown : .network(network)
            return owner.server?.accepts(peer, WebCallbacks.text(network)) == true ? .YES : .NO
        }
    }

    /// Of a network; of an IPv6 one the first half.
    private static func text(_ bytes: [UInt8]) -> String {
        if bytes.count == 4 { return bytes.map { "\($0)" }.joined(separator: ".") }
        guard bytes.count == 8 else { return "a local user" }
        let groups = stride(from: 0, to: 8, by: 2).map {
            String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16)
        }
        return groups.joined(separator: ":") + "::/64"
    }

    static func network(of descriptor: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 8)
        let count = mhd_peer_network(descriptor, &bytes)
        return count > 0 ? Array(bytes.prefix(Int(count))) : nil
    }

    /// Of the other end of a TCP connection, for records; empty where there is none.
    static func address(of descriptor: Int32) -> String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        mhd_peer_text(descriptor, &text)
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
