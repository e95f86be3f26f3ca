// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

/// What may be used of the URLs that etcd's members announce: judged like those in a configuration, and more strictly, because
/// an etcd says them that may be broken or hostile. Logins go only where the configuration would send them: never without
/// TLS if that names an https URL, and never by another scheme.
public enum MemberURL: Sendable, Equatable {
    case usable(String)
    /// Why not, for a person.
    case unusable(String)

    /// - Parameters:
    ///   - text: as a member announces it.
    ///   - teller: the endpoint that told it.
    ///   - configured: the endpoints in the configuration.
    public init(_ text: String, toldBy teller: String, configured: [String]) {
        let url: EndpointURL
        do throws(InvalidValue) {
            url = try EndpointURL(text, defaultPort: 2379)
        } catch {
            self = .unusable(error.message)
            return
        }
        let known = configured.compactMap(Self.parsed)
        let needsTLS = known.contains(where: \.isTLS)
        if url.isTLS != needsTLS {
            self = .unusable("the configured endpoints are \(needsTLS ? "https" : "http") URLs, and this one is not")
        } else if !url.isOfHost {
            self = .unusable("it is no address of a node")
        } else if url.isLoopback, Self.parsed(teller)?.isLoopback != true {
            self = .unusable("on another node it means that node itself")
        } else {
            self = .usable(url.description)
        }
    }

    private static func parsed(_ text: String) -> EndpointURL? {
        do throws(InvalidValue) { return try EndpointURL(text, defaultPort: 2379) } catch { return nil }
    }
}

extension EndpointURL {
    /// Whether a node can have it.
    fileprivate var isOfHost: Bool {
        switch IPAddress(self.host)?.category {
        case .unspecified, .multicast, .broadcast, .reserved: false
        case nil, .unicast, .loopback, .linkLocal, .ipv4Mapped: true
        }
    }
}
