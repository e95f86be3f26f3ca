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
/// minute, or nobody was reached at the addresses. One plane's names wait for no other plane's: each has a resolver of its own. `localhost` is never looked up.
@EventLoop
final class HostResolver {
    enum Answer: Sendable, Equatable {
        case addresses([String])
        /// The name has none, as far as can be found out.
        case unknown
        /// It could not be looked up, which says nothing of the host.
        case unanswered(String)
    }

    /// A name whose look-up has failed, though its addresses were found before: those are used.
    struct StaleName: Equatable {
        let name: String
        let addresses: [String]
        /// When they were found.
        let at: Instant
        /// Why they are not looked up anew.
        let reason: String
    }

    private struct Entry {
        var addresses: [String]
        var at: Instant
        /// Why the newest look-up has failed; nil: it has not.
        var failure: String?
        /// When it was last looked up because nobody answered there.
        var doubtedAt: Instant?
    }

    private var known: [String: Entry] = [:]
    private var flights: [String: Task<Answer, Never>] = [:]
    private var running = 0
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private let lookUp: @EventLoop (String) async -> Answer
    private let lifetime: Duration
    private let report: @EventLoop (StaleName?) -> Void
    private var staleCount = 0

    nonisolated static let patience: Duration = .seconds(5)
    nonisolated static let doubtPause: Duration = .seconds(1)
    /// Names that are remembered: as many as members that are watched.
    nonisolated static let limit = 4096
    nonisolated static let atOnce = 4
    nonisolated static let waitingLimit = 512
    /// Of one name.
    private static let addressLimit = 8

    /// - Parameters:
    ///   - kind: of the children that look names up. Each plane has slots of its own for them.
    ///   - lifetime: after which a name that is asked for is looked up anew.
    ///   - lookUp: instead of the system's own look-up.
    ///   - report: is told when look-ups begin to fail: one of the names; and, nil, when none fails any more.
    init(
        kind: ChildKind = .nameLookup, lifetime: Duration = .seconds(60),
        lookUp: (@EventLoop (String) async -> Answer)? = nil,
        report: @escaping @EventLoop (StaleName?) -> Void = { _ in }
    ) {
        self.lifetime = lifetime
        self.lookUp = lookUp ?? { await Self.askSystem($0, kind) }
        self.report = report
    }

    /// The names whose addresses are old, because the newest look-up has failed; the oldest first.
    var staleNames: [StaleName] {
        let stale = self.known.compactMap { name, entry in
            entry.failure.map { StaleName(name: name, addresses: entry.addresses, at: entry.at, reason: $0) }
        }
        return stale.sorted { ($0.at, $0.name) < ($1.at, $1.name) }
    }

    /// `limit`: so long at most; what has not come by then is not answered.
    func addresses(of host: String, within limit: Duration = HostResolver.patience) async -> Answer {
        if IPAddress(host) != nil { return .addresses([host]) }
        if LoopbackName.contains(host) { return .addresses(LoopbackName.addresses) }
        guard let entry = self.known[host] else {
            do throws(WaitError) {
                return try await EventLoop.value(of: self.flight(for: host), within: limit)
            } catch {
                return .unanswered("no answer within \(limit)")
            }
        }
        if Instant.now - entry.at >= self.lifetime { _ = self.flight(for: host) }
        return .addresses(entry.addresses)
    }

    /// The same, looked up now.
    func addressesAnew(of host: String) async -> Answer {
        if IPAddress(host) != nil || LoopbackName.contains(host) { return await self.addresses(of: host) }
        do throws(WaitError) {
            return try await EventLoop.value(of: self.flight(for: host), within: Self.patience)
        } catch {
            return .unanswered("no answer within \(Self.patience)")
        }
    }

    /// Nobody answered at a name's addresses: it may have moved. It is looked up anew, at most once a second.
    func doubt(_ host: String) {
        guard let entry = self.known[host], Instant.now - max(entry.at, entry.doubtedAt ?? entry.at) >= Self.doubtPause
        else { return }
        self.known[host]?.doubtedAt = .now
        _ = self.flight(for: host)
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
        switch answer {
        case .addresses(let addresses): self.remember(addresses, of: host)
        case .unknown: self.failed(host, "the name has no address")
        case .unanswered(let reason): self.failed(host, reason)
        }
        return answer
    }

    private func remember(_ addresses: [String], of host: String) {
        if self.known[host] == nil, self.known.count >= Self.limit,
            let oldest = self.known.min(by: { $0.value.at < $1.value.at })?.key
        {
            if self.known.removeValue(forKey: oldest)?.failure != nil { self.staleCount -= 1 }
        }
        let before = self.known.updateValue(Entry(addresses: addresses, at: .now), forKey: host)
        guard before?.failure != nil else { return }
        self.staleCount -= 1
        if self.staleCount == 0 { self.report(nil) }
    }

    private func failed(_ host: String, _ reason: String) {
        guard let entry = self.known[host] else { return }
        self.known[host]?.failure = reason
        guard entry.failure == nil else { return }
        self.staleCount += 1
        guard self.staleCount == 1 else { return }
        self.report(StaleName(name: host, addresses: entry.addresses, at: entry.at, reason: reason))
    }

    private static func askSystem(_ host: String, _ kind: ChildKind) async -> Answer {
        guard !host.hasPrefix("-") else { return .unknown }
        do throws(ChildProcessError) {
            let outcome = try await ChildProcess(
                ["/usr/bin/getent", "ahosts", host], kind: kind, timeout: .seconds(2)
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
