// SPDX-License-Identifier: Apache-2.0
public import HTTPClient

/// Where etcd is and how to talk to it. Prints without the password.
public struct EtcdConfiguration: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// URLs such as `http://10.0.0.1:2379`; the scheme may be absent.
    public var endpoints: [String]
    public var username: String?
    public var password: String?
    public var tls: TLSFiles?
    /// Limit on a whole request, all endpoints that it tries included.
    public var requestTimeout: Duration
    /// Limit on one exchange with one endpoint.
    public var attemptTimeout: Duration

    public init(
        endpoints: [String],
        username: String? = nil,
        password: String? = nil,
        tls: TLSFiles? = nil,
        requestTimeout: Duration = .seconds(4),
        attemptTimeout: Duration = .milliseconds(1500)
    ) {
        self.endpoints = endpoints
        self.username = username
        self.password = password
        self.tls = tls
        self.requestTimeout = requestTimeout
        self.attemptTimeout = attemptTimeout
    }

    public var description: String {
        "etcd \(self.endpoints.joined(separator: ", "))\(self.username.map { " as \($0)" } ?? "")"
    }
    public var debugDescription: String { self.description }
    public var customMirror: Mirror { Mirror(self, children: ["endpoints": self.endpoints]) }
}
