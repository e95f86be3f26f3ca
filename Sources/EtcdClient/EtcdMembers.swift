// SPDX-License-Identifier: Apache-2.0
public import EtcdValues
import EventLoop
import LenientJSON

/// What one endpoint says of the members of its cluster.
public struct EtcdMemberList: Sendable, Equatable {
    public struct Member: Sendable, Equatable {
        public let id: UInt64
        /// Empty of a member that was added and has not been started yet.
        public let name: String
        /// As the member announces them: nobody has checked them.
        public let clientURLs: [String]
        /// It follows the log, and can answer nothing that is linearizable.
        public let isLearner: Bool

        public init(id: UInt64, name: String, clientURLs: [String], isLearner: Bool) {
            self.id = id
            self.name = name
            self.clientURLs = clientURLs
            self.isLearner = isLearner
        }
    }

    public let header: Header
    /// At most ``limit``.
    public let members: [Member]
    /// The URL of the endpoint that was asked.
    public let toldBy: String

    /// Of a cluster's members and of a member's URLs; etcd advises against more than 7.
    public static let limit = 32

    public init(header: Header, members: [Member], toldBy: String) {
        self.header = header
        self.members = members
        self.toldBy = toldBy
    }
}

extension GatewayDecoding {
    static func members(_ answer: JSON, toldBy: String) throws(MalformedAnswer) -> EtcdMemberList {
        let header = try self.header(answer)
        var members: [EtcdMemberList.Member] = []
        for element in try self.list(answer, "members").prefix(EtcdMemberList.limit) {
            guard element.object != nil else { throw MalformedAnswer(message: "a member that is no object") }
            let urls = try self.list(element, "clientURLs").prefix(EtcdMemberList.limit).compactMap(\.string)
            members.append(
                EtcdMemberList.Member(
                    id: try self.unsigned(element, "ID"), name: element["name"]?.string ?? "",
                    clientURLs: urls.filter { $0.utf8.count <= 512 }, isLearner: try self.flag(element, "isLearner")))
        }
        guard !members.isEmpty else { throw MalformedAnswer(message: "a cluster without members") }
        return EtcdMemberList(header: header, members: members, toldBy: toldBy)
    }
}

extension EtcdClient {
    /// What the endpoint `url` says of its members. Neither which endpoint is used nor what is known of it changes: an endpoint may
    /// serve the keys and not this.
    public func members(at url: String) async -> Result<EtcdMemberList, EtcdError> {
        guard let number = self.endpoints.endpoints.first(where: { $0.url == url })?.number else {
            return .failure(EtcdError(kind: .unreachable, message: "no longer an endpoint", endpoint: url))
        }
        let limit = BootClock.microseconds + self.configuration.attemptTimeout.wholeMicroseconds
        let (path, body) = ("/cluster/member/list", Array("{}".utf8))
        var outcome = await self.attempt(path, body, true, on: number, deadline: limit)
        // Later versions ask for a token here too, and one may end between two looks.
        if case .failure(let failure) = outcome, failure.wantsToken, self.configuration.username != nil {
            outcome = await self.attempt(path, body, true, on: number, deadline: limit)
        }
        do throws(MalformedAnswer) {
            switch outcome {
            case .success(let answer):
                // Also where it tells no members.
                _ = self.verdict(on: number, answer)
                return .success(try GatewayDecoding.members(answer, toldBy: url))
            case .failure(let failure):
                if failure.blamesEndpoint { self.clusters?.failed(url) }
                return .failure(EtcdError(kind: failure.kind, message: failure.message, endpoint: url))
            }
        } catch {
            return .failure(EtcdError(kind: .malformed, message: "malformed answer: \(error.message)", endpoint: url))
        }
    }

    /// What every endpoint says of its members, asked at the same time.
    public func members() async -> [(endpoint: String, answer: Result<EtcdMemberList, EtcdError>)] {
        let tasks = self.endpoints.endpoints.map { endpoint in
            (endpoint.url, EventLoop.task { await self.members(at: endpoint.url) })
        }
        var answers: [(endpoint: String, answer: Result<EtcdMemberList, EtcdError>)] = []
        for (url, task) in tasks { answers.append((url, await task.value)) }
        return answers
    }

    public nonisolated static var learnedLimit: Int { EndpointList.learnedLimit }

    /// Endpoints to use behind those of the configuration, instead of those that were learned before.
    public func learn(_ urls: [String]) { self.endpoints.learn(urls) }

    /// The URLs of those that are not learned.
    public var configuredEndpoints: [String] { self.endpoints.endpoints.filter(\.isConfigured).map(\.url) }

    /// Endpoints to use instead of those of the configuration: they were found anew, such as by DNS.
    public func configure(_ urls: [String]) {
        self.endpoints.configure(urls)
        self.clustersChanged()
    }

    /// An endpoint as an operator sees it.
    public struct EndpointState: Sendable, Equatable {
        public let url: String
        /// It is in the configuration; else etcd told it.
        public let isConfigured: Bool
        public let isInUse: Bool
        /// Whether the last request to it failed.
        public let hasFailed: Bool
        /// The cluster that it answered for last, where that is looked at.
        public let cluster: UInt64?
        /// It belongs to another cluster than the one that is followed.
        public let isForeign: Bool
    }

    public var endpointStates: [EndpointState] {
        self.endpoints.endpoints.map {
            EndpointState(
                url: $0.url, isConfigured: $0.isConfigured, isInUse: $0.number == self.endpoints.current,
                hasFailed: $0.failures > 0, cluster: self.clusters?.choice.cluster(of: $0.url),
                isForeign: self.endpoints.isForeign($0.number))
        }
    }
}
