// SPDX-License-Identifier: Apache-2.0
public import EtcdValues
import EventLoop
import HTTPClient

/// A watch's stream, and why this client ended it.
@EventLoop
final class RunningWatch {
    let stream: HTTPStream
    let endpoint: Int
    private(set) var reason: Failure?

    init(_ stream: HTTPStream, endpoint: Int) {
        self.stream = stream
        self.endpoint = endpoint
    }

    func end(_ failure: Failure) {
        guard self.reason == nil else { return }
        self.reason = failure
        self.stream.cancel(failure.message)
    }
}

extension EtcdClient {
    /// Hands every change of `range` from `revision` on to `each`, in order, until the watch ends: always by throwing.
    ///
    /// Begins with a batch that says that the watch is established, within `attemptTimeout`. After an error of the
    /// endpoint another one is in use; while every endpoint fails, the next attempt waits for a backoff of at most 3 s.
    /// The caller resumes at the revision after the last one that it saw, and after `.compacted` reads everything anew.
    public func watch(
        _ range: KeyRange,
        from revision: Int64,
        each: @escaping @EventLoop (WatchBatch) -> Void
    ) async throws(EtcdError) {
        var renewed = false
        while true {
            guard !self.endpoints.endpoints.isEmpty else {
                throw EtcdError(kind: .unreachable, message: "no endpoint is known", endpoint: "")
            }
            try await self.waitForBackoff()
            let index = self.endpoints.current
            guard !self.endpoints.isForeign(index) else {
                let failure = self.foreign(index)
                self.blame(index, failure)
                throw self.error(failure, failure.kind, index)
            }
            let failure = await self.watch(range, from: revision, on: index, each: each)
            self.blame(index, failure)
            // A token that expired before the watch began; one that is established outlives its token.
            if failure.wantsToken, !renewed, self.configuration.username != nil {
                renewed = true
                continue
            }
            throw self.error(failure, failure.kind, index)
        }
    }

    private func watch(
        _ range: KeyRange,
        from revision: Int64,
        on index: Int,
        each: @EventLoop (WatchBatch) -> Void
    ) async -> Failure {
        var usedToken = Token.unknown
        do throws(Failure) {
            let deadline = BootClock.microseconds + self.configuration.attemptTimeout.wholeMicroseconds
            let prefix = try await self.prefix(of: index, deadline: deadline)
            usedToken = try await self.currentToken(on: index, deadline: deadline)
            let body = GatewayEncoding.watch(range, from: revision)
            var request = try self.request(prefix + "/watch", body, on: index, deadline: deadline)
            if case .valid(let token) = usedToken { request.headers.append(("Authorization", token)) }
            let watch = RunningWatch(self.http.stream(request), endpoint: index)
            self.watches[ObjectIdentifier(watch)] = watch
            defer { self.watches[ObjectIdentifier(watch)] = nil }
            try await self.follow(watch, range, each)
        } catch {
            if error.wantsToken { self.discard(usedToken) }
            if error.wantsPrefix { self.endpoints.setPrefix(nil, of: index) }
            return error
        }
    }

    private func waitForBackoff() async throws(EtcdError) {
        let delay = self.endpoints.delay(now: BootClock.microseconds)
        guard delay > 0 else { return }
        do throws(WaitError) {
            try await EventLoop.sleep(for: .microseconds(delay))
        } catch {
            throw EtcdError(kind: .cancelled, message: "cancelled", endpoint: "")
        }
    }

    private func follow(
        _ watch: RunningWatch,
        _ range: KeyRange,
        _ each: @EventLoop (WatchBatch) -> Void
    ) async throws(Failure) -> Never {
        var late = Failure(.timeout, "the watch was not established in time")
        late.blamesEndpoint = true
        var guardian: EventSource? = .timer(after: self.configuration.attemptTimeout) { watch.end(late) }
        defer { withExtendedLifetime(guardian) {} }
        var decoder = WatchDecoder()
        var unfinished = 0
        defer { self.unfinished -= unfinished }
        while true {
            let bytes = try await self.read(watch)
            decoder.append(bytes)
            while let message = try self.next(&decoder) {
                switch message {
                case .failed(let failure): throw failure
                case .batch(let batch):
                    guard batch.events.allSatisfy({ range.contains($0.keyValue.key) }) else {
                        throw Failure(MalformedAnswer(message: "an event outside the watched range"))
                    }
                    let header = batch.header
                    switch self.verdict(on: watch.endpoint, header.clusterID, member: header.memberID) {
                    case .followed: break
                    case .foreign: throw self.foreign(watch.endpoint)
                    case .undecided: throw Self.undecided
                    }
                    if guardian != nil {
                        guardian = nil
                        self.endpoints.succeeded(watch.endpoint, now: BootClock.microseconds)
                    }
                    each(batch)
                    // What was called may have ended the watch.
                    if let reason = watch.reason { throw reason }
                }
            }
            self.unfinished += decoder.unfinished - unfinished
            unfinished = decoder.unfinished
            guard self.unfinished <= Self.unfinishedLimit else {
                throw Failure(MalformedAnswer(message: "the unfinished lines of all watches are too long together"))
            }
        }
    }

    private func next(_ decoder: inout WatchDecoder) throws(Failure) -> WatchMessage? {
        do throws(MalformedAnswer) {
            return try decoder.next()
        } catch {
            throw Failure(error)
        }
    }

    /// The stream's next bytes; its end, and an answer that is no stream, are failures.
    private func read(_ watch: RunningWatch) async throws(Failure) -> [UInt8] {
        let first = try await self.readAny(watch)
        guard watch.stream.status != 200 else {
            guard let first else { throw Self.endOfStream }
            return first
        }
        var body = first ?? []
        while body.count < 1 << 16, let more = try await self.readAny(watch) { body += more }
        throw Failure(status: watch.stream.status, body: body)
    }

    private func readAny(_ watch: RunningWatch) async throws(Failure) -> [UInt8]? {
        do throws(HTTPError) {
            return try await watch.stream.next()
        } catch {
            throw watch.reason ?? Failure(error)
        }
    }

    private static var endOfStream: Failure {
        var failure = Failure(.streamEnded, "the watch's stream ended")
        failure.blamesEndpoint = true
        return failure
    }
}
