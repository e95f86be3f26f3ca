// SPDX-License-Identifier: Apache-2.0
import EtcdValues
import EventLoop
import HTTPClient
import LenientJSON

/// A release of etcd, such as 3.5.16.
public struct EtcdVersion: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let major: Int
    public let minor: Int
    public let patch: Int

    public init(_ major: Int, _ minor: Int, _ patch: Int) {
        self.major = major
        self.minor = minor
        self.patch = patch
    }

    /// From `3.4.23`, `3.6.0-rc.1`; nil from anything else.
    public init?(_ text: String) {
        let release = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).first ?? ""
        let numbers = release.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) }
        guard numbers.count == 3, let major = numbers[0], let minor = numbers[1], let patch = numbers[2],
            major >= 0, minor >= 0, patch >= 0
        else { return nil }
        self.init(major, minor, patch)
    }

    public var description: String { "\(self.major).\(self.minor).\(self.patch)" }

    public static func < (a: EtcdVersion, b: EtcdVersion) -> Bool {
        (a.major, a.minor, a.patch) < (b.major, b.minor, b.patch)
    }

    /// Whether a leader that was deposed unawares answers keep-alives and ends leases (etcd issue 15247, mended in 3.4.31 and
    /// 3.5.13).
    public var trustsDeposedLeaders: Bool {
        if self < EtcdVersion(3, 4, 31) { return true }
        return self >= EtcdVersion(3, 5, 0) && self < EtcdVersion(3, 5, 13)
    }
}

extension EtcdClient {
    /// The version of each endpoint, in the order of the configuration; nil where it gives none within two seconds. Neither
    /// which endpoint is used nor what is known of it changes.
    public func versions() async -> [(endpoint: String, version: EtcdVersion?)] {
        var versions: [(endpoint: String, version: EtcdVersion?)] = []
        for endpoint in self.endpoints.endpoints {
            var request = HTTPRequest(.get, endpoint.url + "/version")
            request.timeout = .seconds(2)
            request.connectTimeout = request.timeout
            request.bodyLimit = 4096
            request.tls = self.configuration.tls
            var version: EtcdVersion?
            do throws(Failure) {
                version = (try await self.exchange(request))["etcdserver"]?.string.flatMap { EtcdVersion($0) }
            } catch {
                // It could not be asked: said by whoever needs it.
            }
            versions.append((endpoint.url, version))
        }
        return versions
    }
}
