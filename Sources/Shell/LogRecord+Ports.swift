// SPDX-License-Identifier: Apache-2.0
import Decision
import Journal

/// Whether clients find somebody at an address that is here.
extension LogRecord {
    init(portReport report: Report) {
        switch report {
        case .portClosed(let id, let port, .silent(let limit), let span, _):
            let place = Wording.place(id, port)
            self.init(
                .portClosed,
                "\(id) is here, but a connection from this very node to \(place) is neither accepted nor refused within \(Wording.text(limit)), for \(Wording.text(span)) now: a packet filter on this node drops it, or the server takes no more connections. Whether clients from elsewhere wait as well, try from one: pg_isready -h \(id) -p \(port). On this node: nft list ruleset; ss -ltn 'sport = :\(port)'. \(Self.portAdvice)",
                ["ADDRESS": id, "PORT": "\(port)", "ANSWER": "silent", "AFTER": Wording.text(span)], priority: .warning)
        case .portClosed(let id, let port, _, let span, let postgres):
            self.init(
                .portClosed,
                "\(id) is here, but nobody listens at \(Wording.place(id, port)): a connection from this very node has been refused for \(Wording.text(span)), and so is every client that comes to the address. \(Self.advice(id, port, postgres)). \(Self.portAdvice)",
                ["ADDRESS": id, "PORT": "\(port)", "ANSWER": "refused", "AFTER": Wording.text(span)])
        case .portOpen(let id, let port, let span):
            let after = span.map { ", after \(Wording.text($0))" } ?? ""
            self.init(
                .portOpen, "\(Wording.place(id, port)) accepts connections again\(after)",
                ["ADDRESS": id, "PORT": "\(port)", "AFTER": span.map(Wording.text) ?? ""])
        case .portUntried(let id, let port, let reason):
            self.init(
                .portUntried,
                "\(id) is here; whether anybody listens at \(Wording.place(id, port)) is not known, since this node could not try: \(reason). It is tried again every 30 s",
                ["ADDRESS": id, "PORT": "\(port)", "REASON": reason])
        default: self.init(.stanceChanged, "\(report)")  // The caller sends nothing else.
        }
    }

    private static let portAdvice =
        "If clients come to another port (a pooler's), say it as 'port' of the address in pharos.yml; 0: none is tried"

    private static func advice(_ id: AddressID, _ port: UInt16, _ postgres: PostgresState?) -> String {
        if case .unreachable(let reason) = postgres {
            return
                "PostgreSQL here cannot be asked either: \(reason). Look at it first: patronictl list; journalctl -u patroni"
        }
        let family = id.contains(":") ? "ipv6" : "ipv4"
        let where_ = postgres == nil ? "If PostgreSQL runs here, it" : "PostgreSQL here answers, but"
        return
            "\(where_) listens elsewhere (ss -ltnp 'sport = :\(port)'). Two ways out, in 'postgresql.listen' of Patroni's file (it sets listen_addresses): '*'; or \(id) too, with sysctl net.\(family).ip_nonlocal_bind=1 on every node. Then: patronictl restart"
    }
}
