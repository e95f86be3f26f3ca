// SPDX-License-Identifier: Apache-2.0

/// Why a request to etcd, or a watch, ended without its answer. Never contains passwords or tokens.
public struct EtcdError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable, Hashable {
        /// No endpoint accepted a connection or kept it.
        case unreachable
        /// No endpoint answered in time. Nothing that changes etcd ends so (see ``outcomeUnknown``) unless it was never sent.
        case timeout
        /// What answers belongs to another etcd cluster than the one that is followed, or it is not known yet which one is.
        case otherCluster
        /// A member answered that its cluster has no leader: no quorum, or an election.
        case noLeader
        /// User, password or token were refused, also after a renewal.
        case unauthenticated
        case permissionDenied
        /// The lease has expired, was revoked, or never existed.
        case leaseNotFound
        /// The revision asked for is gone; the value is the oldest one left, or 0 where etcd did not say.
        case compacted(Int64)
        /// The transaction or grant was sent, and whether it took place is not known. It is not repeated.
        case outcomeUnknown
        /// The answer was not what etcd's API documents.
        case malformed
        /// The task was cancelled, or the HTTP client closed.
        case cancelled
        /// etcd ended the watch; the message says why.
        case watchCancelled
        /// The watch's connection ended without a reason.
        case streamEnded
        /// Any other refusal, by its gRPC code.
        case server(code: Int)
    }

    public let kind: Kind
    public let message: String
    /// The endpoint's URL that the error came from; empty if there was none.
    public let endpoint: String
    public var description: String { "etcd\(self.endpoint.isEmpty ? "" : " \(self.endpoint)"): \(self.message)" }

    public init(kind: Kind, message: String, endpoint: String) {
        self.kind = kind
        self.message = message
        self.endpoint = endpoint
    }
}
