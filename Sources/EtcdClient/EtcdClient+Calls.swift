// SPDX-License-Identifier: Apache-2.0
import EtcdValues
import EventLoop
import HTTPClient
import LenientJSON

extension EtcdClient {
    /// One request, on as many endpoints as it takes, each at most once (once more with a new token, or once it is known which
    /// cluster is followed), within `requestTimeout`. `isRead`: endpoints of another cluster may be asked where no other answers:
    /// it may be the one to follow by now.
    func call<Answer>(
        _ path: String,
        _ body: [UInt8],
        isRepeatable: Bool,
        isRead: Bool = false,
        onRepetition: () -> Void = {},
        decode: (JSON) throws(MalformedAnswer) -> Answer
    ) async throws(EtcdError) -> Answer {
        let deadline = BootClock.microseconds + self.configuration.requestTimeout.wholeMicroseconds
        await self.awaitEndpoints(until: deadline)
        var tried: Set<Int> = []
        var renewed = false
        var worst: (failure: Failure, index: Int)?
        var wasUndecided = false
        while let index = self.endpoints.best(without: tried, now: BootClock.microseconds) {
            guard isRead || !self.endpoints.isForeign(index) else {
                worst = worst ?? (self.foreign(index), index)
                break
            }
            let outcome = await self.attempt(path, body, isRepeatable, on: index, deadline: deadline)
            var failure: Failure
            switch outcome {
            case .success(let json):
                do throws(MalformedAnswer) {
                    let answer = try decode(json)
                    switch self.verdict(on: index, json) {
                    case .followed:
                        self.endpoints.succeeded(index, now: BootClock.microseconds)
                        return answer
                    case .foreign: failure = self.foreign(index)
                    case .undecided:
                        wasUndecided = true
                        failure = Self.undecided
                    }
                } catch {
                    failure = Failure(error)
                }
            case .failure(let reason): failure = reason
            }
            self.blame(index, failure)
            if failure.wantsToken, !renewed, self.configuration.username != nil {
                renewed = true
                continue
            }
            guard isRepeatable || failure.isCertain else {
                failure.message = "outcome unknown: \(failure.message)"
                throw self.error(failure, .outcomeUnknown, index)
            }
            if !failure.isCertain { onRepetition() }
            guard failure.blamesEndpoint else { throw self.error(failure, failure.kind, index) }
            tried.insert(index)
            if failure.weight >= worst?.failure.weight ?? 0 { worst = (failure, index) }
            guard BootClock.microseconds < deadline, !Task.isCancelled else { break }
            if wasUndecided, self.endpoints.best(without: tried, now: 0) == nil, self.clusters?.choice.followed != nil {
                (wasUndecided, tried) = (false, [])
            }
        }
        guard let worst else {
            throw EtcdError(kind: .unreachable, message: "no endpoint is known", endpoint: "")
        }
        throw self.error(worst.failure, worst.failure.kind, worst.index)
    }

    private func awaitEndpoints(until deadline: Int64) async {
        while self.isAwaitingEndpoints, self.endpoints.endpoints.isEmpty, BootClock.microseconds < deadline {
            do throws(WaitError) { try await EventLoop.sleep(for: .milliseconds(20)) } catch { return }
        }
    }

    /// One exchange with one endpoint; its API's path and a token are got first where they are not known.
    func attempt(
        _ path: String,
        _ body: [UInt8],
        _ isRepeatable: Bool,
        on index: Int,
        deadline: Int64
    ) async -> Result<JSON, Failure> {
        var usedToken = Token.unknown
        do throws(Failure) {
            let prefix = try await self.prefix(of: index, deadline: deadline)
            usedToken = try await self.currentToken(on: index, deadline: deadline)
            var request = try self.request(prefix + path, body, on: index, deadline: deadline)
            request.isRepeatable = isRepeatable
            if case .valid(let token) = usedToken { request.headers.append(("Authorization", token)) }
            return .success(try await self.exchange(request))
        } catch {
            if error.wantsToken { self.discard(usedToken) }
            if error.wantsPrefix { self.endpoints.setPrefix(nil, of: index) }
            return .failure(error)
        }
    }

    /// The path under which an endpoint serves the API, asked once.
    func prefix(of index: Int, deadline: Int64) async throws(Failure) -> String {
        if let prefix = self.endpoints[index].prefix { return prefix }
        var request = try self.request("/version", [], on: index, deadline: deadline)
        request.method = .get
        let answer: JSON
        do throws(Failure) {
            answer = try await self.exchange(request)
        } catch {
            throw error.withoutEffect
        }
        do throws(MalformedAnswer) {
            let prefix = try GatewayDecoding.prefix(answer)
            self.endpoints.setPrefix(prefix, of: index)
            return prefix
        } catch {
            throw Failure(error).withoutEffect
        }
    }

    func request(
        _ path: String,
        _ body: [UInt8],
        on index: Int,
        deadline: Int64
    ) throws(Failure) -> HTTPRequest {
        let left = Duration.microseconds(deadline - BootClock.microseconds)
        guard left > .zero else { throw Self.outOfTime }
        var request = HTTPRequest(.post, self.endpoints[index].url + path)
        request.body = body
        request.headers = [("Content-Type", "application/json"), ("Grpc-Metadata-hasleader", "true")]
        request.timeout = min(left, self.configuration.attemptTimeout)
        request.connectTimeout = request.timeout
        request.tls = self.configuration.tls
        return request
    }

    static var outOfTime: Failure {
        var failure = Failure(.timeout, "the request's time limit passed")
        failure.blamesEndpoint = true
        return failure
    }

    /// Sends; answers the JSON of a status 200, throws all else.
    func exchange(_ request: HTTPRequest) async throws(Failure) -> JSON {
        let response: HTTPResponse
        do throws(HTTPError) {
            response = try await self.http.send(request)
        } catch {
            throw Failure(error)
        }
        guard response.status == 200 else { throw Failure(status: response.status, body: response.body) }
        // The answers of streams end with a newline, and are then the first of several lines.
        let line = response.body.prefix { $0 != UInt8(ascii: "\n") }
        guard let answer = JSON.parse(line) ?? JSON.parse(response.body) else {
            throw Failure(MalformedAnswer(message: "not JSON"))
        }
        guard answer["error"] == nil else { throw Failure(status: 200, answer: answer) }
        return answer
    }

    /// Notes that an endpoint failed, if the failure is its fault, and ends the watches on it.
    func blame(_ index: Int, _ failure: Failure) {
        guard failure.blamesEndpoint, failure != Self.undecided else { return }
        if failure.kind != .otherCluster { self.clusters?.failed(self.endpoints[index].url) }
        self.endpoints.failed(index, now: BootClock.microseconds, jitter: self.jitter())
        self.endpointFailed()
        for watch in Array(self.watches.values) where watch.endpoint == index { watch.end(failure) }
    }

    func error(_ failure: Failure, _ kind: EtcdError.Kind, _ index: Int) -> EtcdError {
        EtcdError(kind: kind, message: failure.message, endpoint: self.endpoints[index].url)
    }
}

extension Failure {
    /// The same failure of an exchange that asks for nothing to be changed.
    var withoutEffect: Failure {
        var failure = self
        failure.isCertain = true
        return failure
    }
}

extension Duration {
    var wholeMicroseconds: Int64 {
        let (seconds, attoseconds) = self.components
        return max(0, min(seconds, 1 << 32)) * 1_000_000 + max(0, attoseconds) / 1_000_000_000_000
    }
}
