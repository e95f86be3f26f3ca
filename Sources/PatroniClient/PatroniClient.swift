// SPDX-License-Identifier: Apache-2.0
public import EventLoop
public import HTTPClient
public import LenientJSON
public import PatroniValues

/// Why Patroni's REST API gave no usable answer. Contains no credentials.
public struct PatroniError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable, Hashable {
        /// Nobody listens, or the connection broke.
        case unreachable
        case timeout
        case tls
        /// Not JSON, or longer than 1 MB.
        case malformed
        /// It was not read: other answers took the room that there is for all.
        case crowded
        /// A status that these questions are never answered with.
        case status(Int)
        case cancelled
    }
    public let kind: Kind
    public let message: String
    public var description: String { "patroni: \(self.message)" }

    public init(kind: Kind, message: String) {
        self.kind = kind
        self.message = message
    }
}

/// What Patroni says when it is asked for a switchover, in its own words.
public enum SwitchoverAnswer: Sendable, Equatable {
    case done(String)
    case refused(String)
    /// It has been begun, and may yet be done.
    case open(String)
}

/// The REST API of one member's Patroni. It has few threads and closes every connection: ask seldom.
@EventLoop
public final class PatroniClient {
    /// Bytes of an answer; and of one to whether it is alive, which any member may be asked.
    package nonisolated static let answerLimit = 1 << 20
    package nonisolated static let livenessAnswerLimit = 64 << 10

    public let url: String
    private let http: HTTPClient
    private let tls: TLSFiles?
    private let credentials: Credentials?

    /// `url` with or without the path `/patroni`, which `api_url` in etcd ends with.
    public init(_ url: String, tls: TLSFiles? = nil, credentials: Credentials? = nil, http: HTTPClient) {
        var base = url.contains("://") ? url : (tls == nil ? "http://" : "https://") + url
        if base.hasSuffix("/") { base.removeLast() }
        if base.hasSuffix("/patroni") { base.removeLast("/patroni".count) }
        self.url = base
        self.http = http
        self.tls = tls
        self.credentials = credentials
    }

    /// How the member is. Patroni answers this with 503 while PostgreSQL does not run: also an answer.
    public func status(timeout: Duration = .seconds(2)) async throws(PatroniError) -> PatroniStatus {
        let body = try await self.get("/patroni", accepting: [200, 503], timeout)
        return PatroniStatus(body: body)
    }

    /// The members as the asked one last read them from etcd.
    public func cluster(timeout: Duration = .seconds(2)) async throws(PatroniError) -> PatroniCluster {
        let body = try await self.get("/cluster", accepting: [200], timeout)
        return PatroniCluster(body: body)
    }

    /// The same, whole, with what ``PatroniStatus`` passes over.
    public func statusDocument(timeout: Duration = .seconds(2)) async throws(PatroniError) -> JSON {
        JSON.parse(try await self.get("/patroni", accepting: [200, 503], timeout)) ?? .null
    }

    /// The dynamic configuration as it is stored, whole.
    public func configuration(timeout: Duration = .seconds(2)) async throws(PatroniError) -> JSON {
        JSON.parse(try await self.get("/config", accepting: [200], timeout)) ?? .null
    }

    /// Whether its loop turns: Patroni answers this with 503 where the last turn is older than `ttl` (2 x `ttl` on a standby).
    /// It asks nothing of PostgreSQL. A Patroni before 2.1 does not know the question (404), and answers all the same.
    /// Many members are asked at once, and each of them may be anybody: the answer may have 64 KiB.
    public func isAlive(timeout: Duration = .seconds(2)) async throws(PatroniError) -> Bool {
        try await self.send("/liveness", accepting: [200, 404, 503], timeout, answerLimit: Self.livenessAnswerLimit)
            .status != 503
    }

    /// Asks for a switchover now. Answers when Patroni has seen it happen or has refused, or after `loop_wait` or 10 s, if that is
    /// longer: what lasts longer goes on without an answer.
    public func switchOver(
        from leader: String, to candidate: String, timeout: Duration
    ) async throws(PatroniError) -> SwitchoverAnswer {
        let body: JSONDocument = ["leader": .string(leader), "candidate": .string(candidate)]
        let response = try await self.send("/switchover", Array(body.compact.utf8), accepting: nil, timeout)
        let text = String(decoding: response.body.prefix(1024), as: UTF8.self)
        if response.status == 200 { return .done(text) }
        // With the status of a failure (503), and a leader that is still on its way down.
        return text.hasPrefix("Switchover status unknown") ? .open(text) : .refused(text)
    }

    private func get(_ path: String, accepting: [Int], _ timeout: Duration) async throws(PatroniError) -> [UInt8] {
        let response = try await self.send(path, accepting: accepting, timeout)
        guard JSON.parse(response.body)?.object != nil else {
            throw PatroniError(kind: .malformed, message: "\(self.url)\(path): not a JSON object")
        }
        return response.body
    }

    /// `body`: posted, once; nil: a GET. `accepting`: nil for any status.
    private func send(
        _ path: String, _ body: [UInt8]? = nil, accepting: [Int]?, _ timeout: Duration,
        answerLimit: Int = PatroniClient.answerLimit
    ) async throws(PatroniError) -> HTTPResponse {
        var request = HTTPRequest(body == nil ? .get : .post, self.url + path)
        if let body {
            request.body = body
            request.headers = [(name: "Content-Type", value: "application/json")]
            request.isRepeatable = false
        }
        request.timeout = timeout
        request.connectTimeout = timeout
        request.bodyLimit = answerLimit
        request.tls = self.tls
        request.credentials = self.credentials
        let response: HTTPResponse
        do throws(HTTPError) {
            response = try await self.http.send(request)
        } catch {
            throw PatroniError(kind: Self.kind(error.kind), message: error.message)
        }
        if let accepting, !accepting.contains(response.status) {
            throw PatroniError(kind: .status(response.status), message: "\(self.url)\(path): status \(response.status)")
        }
        return response
    }

    private static func kind(_ kind: HTTPError.Kind) -> PatroniError.Kind {
        switch kind {
        case .connect, .disconnected, .other: .unreachable
        case .timeout: .timeout
        case .tls: .tls
        case .bodyTooLarge: .malformed
        case .crowded: .crowded
        case .cancelled: .cancelled
        }
    }
}
