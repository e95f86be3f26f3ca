// SPDX-License-Identifier: Apache-2.0
public import EventLoop

/// Finds SRV records without keeping the loop or a thread: it asks the name servers of `/etc/resolv.conf` itself, as Patroni's own
/// library does. The C library's functions for them wait, and `getent` knows no such records.
///
/// Leaves out: caching, and what nsswitch says, which knows nothing of services.
@EventLoop
public struct ServiceLookup {
    private let configuration: ResolverConfiguration
    private let port: UInt16
    private let patience: Duration
    private let limit: Duration

    /// For one question to one server; servers are asked one after the other, and all of them twice.
    public nonisolated static let patience: Duration = .seconds(2)
    /// For one name, with all servers and all domains it is looked for in.
    public nonisolated static let limit: Duration = .seconds(5)
    private nonisolated static let rounds = 2
    private nonisolated static let configurationLimit = 1 << 16

    /// As this node is configured. `kind`: of the child that reads it: a disk that hangs must not hold the loop up.
    public static func ofSystem(_ kind: ChildKind) async -> ServiceLookup {
        let path = "/etc/resolv.conf"
        let child = ChildProcess(
            ["/usr/bin/head", "-c", "\(Self.configurationLimit)", path], kind: kind, timeout: .seconds(2))
        do throws(ChildProcessError) {
            return ServiceLookup(try await child.run().text)
        } catch {
            // As the C library does without it: this host's own server is asked.
            return ServiceLookup("")
        }
    }

    /// - Parameters:
    ///   - configuration: in the form of resolv.conf(5).
    ///   - port, patience, limit: for tests.
    package init(
        _ configuration: String, port: UInt16 = 53, patience: Duration = Self.patience, limit: Duration = Self.limit
    ) {
        self.configuration = ResolverConfiguration(configuration)
        (self.port, self.patience, self.limit) = (port, patience, limit)
    }

    /// The records of `name`, those with the lowest priority first; none where it has none.
    public func records(of name: String) async throws(LookupFailure) -> [ServiceRecord] {
        let deadline = BootClock.microseconds + Int64(self.limit / .microseconds(1))
        for candidate in self.configuration.candidates(for: name) {
            switch try await self.ask(candidate, deadline) {
            case .noSuchName, .truncated, .refused: continue
            case .records(let records):
                return records.sorted { ($0.priority, $0.target, $0.port) < ($1.priority, $1.target, $1.port) }
            }
        }
        return []
    }

    private func ask(
        _ name: String, _ deadline: Int64
    ) async throws(LookupFailure) -> ServiceQuestion.Answer {
        var failure: LookupFailure?
        for _ in 0..<Self.rounds {
            for server in self.configuration.servers {
                let left = Duration.microseconds(deadline - BootClock.microseconds)
                guard left > .zero else { throw failure ?? LookupFailure("no answer in time") }
                guard let question = ServiceQuestion(name, id: .random(in: 0...UInt16.max)) else {
                    throw LookupFailure("\(name) is no name that a name server can have")
                }
                do throws(LookupFailure) {
                    let answer = try await NameServer(address: server, port: self.port).ask(
                        question, within: min(left, self.patience))
                    guard case .refused(let code) = answer else { return answer }
                    failure = LookupFailure("name server \(server): \(Self.text(ofCode: code))")
                } catch {
                    failure = error
                }
            }
        }
        throw failure ?? LookupFailure("there is no name server")
    }

    private static func text(ofCode code: Int) -> String {
        switch code {
        case 1: "it does not understand the question"
        case 2: "it could not find out (SERVFAIL)"
        case 5: "it refuses to answer (REFUSED)"
        default: "response code \(code)"  // numbers, not cases of ours
        }
    }
}
