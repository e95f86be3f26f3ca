// SPDX-License-Identifier: Apache-2.0
import Journal
import LenientJSON

/// The status as people read it: what is where, what needs attention (!), and why.
struct StatusText {
    private let status: JSON

    init(_ status: JSON) { self.status = status }

    var isInOrder: Bool {
        guard self.status["has_contact"]?.bool == true, !self.isWatchInterrupted,
            self.status["listing_failure"]?.string == nil
        else { return false }
        let endpoints = self.status["etcd"]?["endpoints"]?.array ?? []
        guard endpoints.allSatisfy({ $0["is_foreign"]?.bool != true }) else { return false }
        if let citus = self.status["citus"], !CitusStatusText(citus).isInOrder { return false }
        if let detector = self.status["detector"], !DetectorStatusText(detector).isInOrder { return false }
        let addresses = self.status["addresses"]?.array ?? []
        guard addresses.allSatisfy({ PortText($0)?.isInOrder != false }) else { return false }
        guard self.status["is_leader"]?.bool == true else { return true }
        return addresses.allSatisfy { $0["is_here"]?.bool == true && !Self.hasLinkTrouble($0) }
    }

    private static func hasLinkTrouble(_ address: JSON) -> Bool {
        ["no_carrier", "down", "missing"].contains(address["interface_state"]?.string)
    }

    /// Whether etcd has ever been read: else nothing is known of who leads, and of who holds what.
    private var hasRead: Bool { self.status["etcd"]?["revision"]?.int64 != 0 }

    private var isWatchInterrupted: Bool { self.status["etcd"]?["is_watching"]?.bool == false }

    var text: String {
        var lines: [String] = []
        func string(_ name: String) -> String? { self.status[name]?.string }
        let leads =
            string("leader").map { "\($0) leads" } ?? (self.hasRead ? "nobody leads" : "who leads is not known yet")
        let role = self.status["is_leader"]?.bool == true ? "this node leads" : leads
        lines.append("\(string("scope") ?? "?")/\(string("member") ?? "?"): \(role)")
        let etcd = self.status["etcd"]
        let contact = self.status["has_contact"]?.bool == true
        lines.append(
            "\(contact ? " " : "!") etcd       \(contact ? "answers" : "does not answer") (\(etcd?["endpoint"]?.string ?? "?"), revision \(etcd?["revision"]?.int64 ?? 0))"
        )
        lines += self.lines(ofEndpoints: etcd?["endpoints"]?.array ?? [])
        if contact, self.isWatchInterrupted {
            let reason = etcd?["watch_interruption"]?.string ?? "not established yet"
            lines.append("! etcd watch interrupted, changes are seen by reads only: \(reason)")
        }
        if let postgres = string("postgres") {
            lines.append("\(postgres == "unreachable" ? "!" : " ") PostgreSQL \(postgres)")
        }
        if let failure = string("listing_failure") {
            lines.append("! kernel     its addresses cannot be listed, so where they are is not known: \(failure)")
        }
        if self.status["paused"]?.bool == true { lines.append("! Patroni    maintenance mode") }
        for address in self.status["addresses"]?.array ?? [] {
            lines.append(self.line(address))
            if let port = PortText(address) { lines.append("\(port.mark)            \(port.text)") }
        }
        if let citus = self.status["citus"] { lines += CitusStatusText(citus).lines }
        if let detector = self.status["detector"] { lines += DetectorStatusText(detector).lines }
        let readiness = self.status["readiness"]
        if let text = ReadinessText(group: readiness?["group"]?.int64, readiness?["failures"]) {
            lines.append("\(text.isInOrder ? " " : "!") readiness  \(text.text)")
            if let advice = text.advice { lines.append("!            \(advice)") }
        }
        if let loop = self.status["loop"] { lines += self.line(ofLoop: loop) }
        let events = (self.status["events"]?.array ?? []).suffix(5)
        if !events.isEmpty { lines.append("last events:") }
        for event in events { lines.append("    \(event["message"]?.string ?? "")") }
        // Names and reasons came over the network: none may steer the terminal.
        return lines.map { LogRecord.escaped($0) + "\n" }.joined()
    }

    /// Nothing where there is only one, which the line above names.
    private func lines(ofEndpoints endpoints: [JSON]) -> [String] {
        guard endpoints.count > 1 else { return [] }
        return endpoints.map { endpoint in
            let isForeign = endpoint["is_foreign"]?.bool == true
            let hasFailed = isForeign || endpoint["has_failed"]?.bool == true
            let use =
                isForeign
                ? "of another cluster, left out"
                : endpoint["is_in_use"]?.bool == true ? "in use" : hasFailed ? "failed last" : "not in use"
            let source = endpoint["source"]?.string == "configuration" ? "" : ", told by etcd"
            return "\(hasFailed ? "!" : " ")            \(endpoint["url"]?.string ?? "?") (\(use)\(source))"
        }
    }

    /// As long as a change of an address may take, in microseconds: what begins meanwhile begins late.
    private static let longTurn: Int64 = 500_000

    /// Nothing, of a daemon that tells no turns of the last minutes.
    private func line(ofLoop loop: JSON) -> [String] {
        func text(_ turn: JSON?) -> (duration: Int64, text: String)? {
            guard let turn, let duration = turn["longest_turn_microseconds"]?.int64,
                let age = turn["seconds_ago"]?.int64
            else { return nil }
            let tenths = min(max(duration, 0), 1 << 53) / 100
            return (duration, "\(tenths / 10).\(tenths % 10) ms, \(age) s ago")
        }
        guard let lately = text(loop["last_10_minutes"]), let ever = text(loop["since_start"]) else { return [] }
        let mark = lately.duration < Self.longTurn ? " " : "!"
        return [
            "\(mark) loop       longest turn of the last 10 minutes: \(lately.text); since the start: \(ever.text)"
        ]
    }

    private func line(_ address: JSON) -> String {
        let isHere = address["is_here"]?.bool == true
        let isLeader = self.status["is_leader"]?.bool == true
        let name = "\(address["address"]?.string ?? "?")/\(address["prefix_length"]?.int64 ?? 0)"
        let place = address["interface"]?.string ?? "?"
        let label = address["label"]?.string.map { " (\($0))" } ?? ""
        let mark = isHere == isLeader && !(isLeader && Self.hasLinkTrouble(address)) ? " " : "!"
        let explanation = address["explanation"]?.string ?? ""
        if isHere {
            let lifetime = address["lifetime_seconds"]?.int64.map { ", for \($0) s unless renewed" } ?? ""
            return "\(mark) \(name)\(label)  here, on \(place)\(lifetime); \(explanation)"
        }
        let holder =
            address["holder"]?.string.map { "held by \($0)" }
            ?? (self.hasRead ? "held by nobody" : "its holder is not known yet")
        return "\(mark) \(name)\(label)  not here, \(holder); \(explanation)"
    }
}
