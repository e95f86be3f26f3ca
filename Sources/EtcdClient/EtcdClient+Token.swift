// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTPClient
import LenientJSON

extension EtcdClient {
    /// The token to send; a new one is asked for where none is known, once for everyone who waits.
    func currentToken(on index: Int, deadline: Int64) async throws(Failure) -> Token {
        guard self.configuration.username != nil else { return .notNeeded }
        guard self.token == .unknown else { return self.token }
        let renewal: Task<Void, Never>
        if let running = self.renewal {
            renewal = running
        } else {
            renewal = EventLoop.spawn { await self.renewToken(on: index, deadline: deadline) }
            self.renewal = renewal
        }
        await renewal.value
        guard self.token == .unknown else { return self.token }
        throw self.renewalFailure ?? Failure(.unauthenticated, "no token")
    }

    /// Forgets a token that was refused, unless there is a newer one already.
    func discard(_ used: Token) {
        if self.token == used { self.token = .unknown }
    }

    private func renewToken(on index: Int, deadline: Int64) async {
        do throws(Failure) {
            self.token = try await self.fetchToken(on: index, deadline: deadline)
            self.renewalFailure = nil
        } catch {
            self.renewalFailure = error.withoutEffect
        }
        self.renewal = nil
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
