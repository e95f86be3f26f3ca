// SPDX-License-Identifier: Apache-2.0
import HTTPClient
import LenientJSON

/// Why one exchange with one endpoint failed, and what follows from it.
struct Failure: Error, Equatable {
    var kind: EtcdError.Kind
    var message: String
    /// The endpoint is at fault: another may do better.
    var blamesEndpoint = false
    /// etcd's state was certainly not changed by this exchange.
    var isCertain = true
    /// The token was not accepted; a new one may be.
    var wantsToken = false
    /// The API was not found where it was expected.
    var wantsPrefix = false

    init(_ kind: EtcdError.Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    init(_ error: HTTPError) {
        self.init(Self.kind(error.kind), error.message)
        self.blamesEndpoint = error.kind != .cancelled && error.kind != .crowded
        self.isCertain = !error.mayHaveBeenSent
    }

    init(_ error: MalformedAnswer) {
        self.init(.malformed, "malformed answer: \(error.message)")
        self.blamesEndpoint = true
        self.isCertain = false
    }

    /// An answer whose status is not 200, or a message of a stream that says `error`.
    ///
    /// Forms: `{"error": text, "message", "code"}` (3.4, 3.5), `{"error": {"grpc_code", "http_code", "message"}}` (in
    /// streams), `{"code", "message"}` with or without `"details"` (3.6, also inside `error`).
    init(status: Int, body: [UInt8]) {
        let answer = JSON.parse(body, limit: 1 << 16)
        self.init(status: status, answer: answer ?? .null)
        // Whoever is no etcd may still say what is wrong; nothing is concluded from it.
        guard answer == nil, let line = body.split(separator: UInt8(ascii: "\n")).first, line.first != UInt8(ascii: "<")
        else { return }
        self.message = Self.printable(self.message + ": " + String(decoding: line.prefix(200), as: UTF8.self))
    }

    init(status: Int, answer: JSON) {
        let error = answer["error"]?.object != nil ? answer["error"] ?? .null : answer
        let code = (error["code"] ?? error["grpc_code"])?.int64.flatMap { (0...16).contains($0) ? Int($0) : nil }
        let text = error["message"]?.string ?? error["error"]?.string
        let message = Self.printable(text ?? "HTTP status \(status)")
        self.init(status: Int(error["http_code"]?.int64 ?? Int64(status)), code: code, message: message)
    }

    /// `code`: gRPC's, nil where the answer did not come from the gateway.
    init(status: Int, code: Int?, message: String) {
        self.init(.server(code: code ?? 2), message)
        if code == 16 || status == 401 || message.contains("invalid auth token")
            || message.contains("revision of auth store is old") || message.contains("user name is empty")
        {
            self.kind = .unauthenticated
            self.wantsToken = true
        } else if message.contains("authentication failed") {
            self.kind = .unauthenticated
        } else if code == 7 || status == 403 {
            self.kind = .permissionDenied
        } else if message.contains("lease not found") {
            self.kind = .leaseNotFound
        } else if message.contains("has been compacted") {
            self.kind = .compacted(0)
        } else if message.contains("no leader") || message.contains("proposal dropped") || message.contains("learner") {
            // Said before anything is proposed, since every request demands a leader.
            self.kind = .noLeader
            self.blamesEndpoint = true
        } else if status == 404, code == nil || code == 5 && message == "Not Found" {
            // No such path: plain text until 3.5; in 3.6 a status in words that etcd itself never uses.
            self.kind = .malformed
            self.blamesEndpoint = true
            self.wantsPrefix = true
        } else if message.contains("deadline exceeded") || message.contains("timed out") || code == 4 {
            self.kind = .timeout
            self.blamesEndpoint = true
            self.isCertain = false
        } else if code == 14 || status == 503 || message.contains("not a primary lessor")
            || (code == nil && status >= 500)
        {
            self.kind = .unreachable
            self.blamesEndpoint = true
            self.isCertain = false
        } else if code == nil {
            self.kind = .malformed
            self.blamesEndpoint = true
            self.isCertain = false
        } else {
            // InvalidArgument, NotFound, ResourceExhausted, FailedPrecondition and OutOfRange are refusals.
            self.isCertain = code == 3 || code == 5 || code == 8 || code == 9 || code == 11
        }
    }

    private static func kind(_ kind: HTTPError.Kind) -> EtcdError.Kind {
        switch kind {
        case .connect, .tls, .disconnected, .other: .unreachable
        // Later there may be room.
        case .timeout, .crowded: .timeout
        case .bodyTooLarge: .malformed
        case .cancelled: .cancelled
        }
    }

    /// A peer's words, cut to a line of 200 characters.
    static func printable(_ text: String) -> String {
        String(text.unicodeScalars.prefix(200).map { $0.value < 32 || $0.value == 127 ? " " : Character($0) })
    }

    /// Which of several endpoints' failures says most about the cluster.
    var weight: Int {
        switch self.kind {
        case .noLeader: 3
        case .malformed, .otherCluster: 2
        case .timeout: 1
        case .unreachable, .unauthenticated, .permissionDenied, .leaseNotFound, .compacted, .outcomeUnknown, .cancelled,
            .watchCancelled, .streamEnded, .server:
            0
        }
    }
}
