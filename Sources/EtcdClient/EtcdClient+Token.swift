// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTPClient
import LenientJSON

extension EtcdClient {
    /// The token to send; a new one is asked for where none is known, at each endpoint once for everyone who waits: what fails
    /// there is that endpoint's fault, and nobody else's.
    func currentToken(on index: Int, deadline: Int64) async throws(Failure) -> Token {
        guard self.configuration.username != nil else { return .notNeeded }
        guard self.token == .unknown else { return self.token }
        let renewal: Task<Failure?, Never>
        if let running = self.renewals[index] {
            renewal = running
        } else {
            // Not within what the first who asks has left: others wait for it too.
            let limit = BootClock.microseconds + self.configuration.attemptTimeout.wholeMicroseconds
            renewal = EventLoop.task { await self.renewToken(on: index, deadline: limit) }
            self.renewals[index] = renewal
        }
        let failure: Failure?
        do throws(WaitError) {
            failure = try await EventLoop.value(of: renewal, within: .microseconds(deadline - BootClock.microseconds))
        } catch {
            throw Self.outOfTime
        }
        guard self.token == .unknown else { return self.token }
        throw failure ?? Failure(.unauthenticated, "no token")
    }

    /// Forgets a token that was refused, unless there is a newer one already.
    func discard(_ used: Token) {
        if self.token == used { self.token = .unknown }
    }

    private func renewToken(on index: Int, deadline: Int64) async -> Failure? {
        defer { self.renewals[index] = nil }
        do throws(Failure) {
            self.token = try await self.fetchToken(on: index, deadline: deadline)
            return nil
        } catch {
            return error.withoutEffect
        }
    }

    private func fetchToken(on index: Int, deadline: Int64) async throws(Failure) -> Token {
        let prefix = try await self.prefix(of: index, deadline: deadline)
        let body = GatewayEncoding.authenticate(
            user: self.configuration.username ?? "",
            password: self.configuration.password ?? ""
        )
        let request = try self.request(prefix + "/auth/authenticate", body, on: index, deadline: deadline)
        do throws(Failure) {
            let answer = try await self.exchange(request)
            do throws(MalformedAnswer) {
                return .valid(try GatewayDecoding.token(answer))
            } catch {
                throw Failure(error)
            }
        } catch {
            if error.message.contains("authentication is not enabled") { return .notNeeded }
            throw error
        }
    }
}
