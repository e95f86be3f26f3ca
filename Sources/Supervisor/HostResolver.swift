// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import HTTPClient
import NetworkAddress

/// Finds the addresses of hosts by their names without keeping the loop: with `getent`, which goes by what the node's
/// administrator has configured (nsswitch).
///
/// Each name is looked up once at a time, whoever asks, and at most four names are. An old answer is better than none, and better
/// than waiting: a name that was ever found is answered at once, and looked up anew behind that when the answer is older than a
/// minute. One plane's names wait for no other plane's: each has a resolver of its own.
@EventLoop
final class HostResolver {
    enum Answer: Sendable, Equatable {
        case addresses([String])
        /// The name has none, as far as can be found out.
        case unknown
        /// It could not be looked up, which says nothing of the host.
        case unanswered(String)
    }

    private struct Entry {
        var addresses: [String]
        var at: Instant
    }

    private var known: [String: Entry] = [:]
    private var flights: [String: Task<Answer, Never>] = [:]
    private var running = 0
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private let lookUp: @EventLoop (String) async -> Answer

    private static let lifetime: Duration = .seconds(60)
    static let patience: Duration = .seconds(5)
    /// Names that are remembered: as many as members that are watched.
    private static let limit = 4096
    static let atOnce = 4
    private static let waitingLimit = 512
    /// Of one name.
    private static let addressLimit = 8

    init(lookUp: @escaping @EventLoop (String) async -> Answer = HostResolver.askSystem) { self.lookUp = lookUp }

    /// `limit`: so long at most; what has not come by then is not answered.
    func addresses(of host: String, within limit: Duration = HostResolver.patience) async -> Answer {
        if IPAddress(host) != nil { return .addresses([host]) }
        guard let entry = self.known[host] else {
            do throws(WaitError) {
                return try await EventLoop.value(of: self.flight(for: host), within: limit)
            } catch {
                return .unanswered("no answer within \(limit)")
            }
        }
        if Instant.now - entry.at >= Self.lifetime { _ = self.flight(for: host) }
        return .addresses(entry.addresses)
    }

    /// The same in words for whoever asked, such as an ``HTTPClient``.
    func answer(to host: String, within limit: Duration = HostResolver.patience) async -> NameAnswer {
        switch await self.addresses(of: host, within: limit) {
        case .addresses(let addresses): .addresses(addresses)
        case .unknown: .failed("the name \(host) has no address")
        case .unanswered(let reason): .failed("the name \(host) could not be looked up: \(reason)")
        }
    }

    private func flight(for host: String) -> Task<Answer, Never> {
        if let flight = self.flights[host] { return flight }
        let flight = EventLoop.task { await self.fly(for: host) }
        self.flights[host] = flight
        return flight
    }

    private func fly(for host: String) async -> Answer {
        defer { self.flights[host] = nil }
        if self.running >= Self.atOnce {
            guard self.waiting.count < Self.waitingLimit else {
                return .unanswered("too many names are being looked up")
            }
            await withCheckedContinuation { self.waiting.append($0) }
        } else {
            self.running += 1
        }
        let answer = await self.lookUp(host)
        // Whoever waits has this one's place.
        if self.waiting.isEmpty { self.running -= 1 } else { self.waiting.removeFirst().resume() }
        if case .addresses(let addresses) = answer {
            if self.known.count >= Self.limit, let oldest = self.known.min(by: { $0.value.at < $1.value.at })?.key {
                self.known[oldest] = nil
            }
            self.known[host] = Entry(addresses: addresses, at: .now)
        }
        return answer
    }

    static func askSystem(_ host: String) async -> Answer {
        guard !host.hasPrefix("-") else { return .unknown }
        do throws(ChildProcessError) {
            let outcome = try await ChildProcess(
                ["/usr/bin/getent", "ahosts", host], kind: .nameLookup, timeout: .seconds(2)
            ).run()
            switch outcome.exitCode {
            case 0:
                var addresses: [String] = []
                for line in outcome.text.split(separator: "\n") {
                    let word = line.prefix { $0 != " " && $0 != "\t" }
                    if IPAddress(String(word)) != nil, !addresses.contains(String(word)) {
                        addresses.append(String(word))
                    }
                }
                return addresses.isEmpty ? .unknown : .addresses(Array(addresses.prefix(Self.addressLimit)))
            // The key was not found.
            case 2: return .unknown
            default: return .unanswered("getent: exit status \(outcome.exitCode.map { "\($0)" } ?? "none")")
            }
        } catch {
            return .unanswered(error.description)
        }
    }
}
