// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import HTTPClient
import LenientJSON

/// Asks the daemon of this node for what it does for persons: a plan, its confirmation, and how far it has come.
@EventLoop
struct OperationClient {
    /// Why there is nothing to go on with; it has been said.
    struct Failure: Error {
        let status: Int32
    }

    let socket: String
    let unit: String

    /// For a plan: the daemon asks etcd and two servers.
    private nonisolated static let planning: Duration = .seconds(20)
    /// For what was confirmed: longer than the daemon follows a switchover.
    private nonisolated static let doing: Duration = .seconds(260)
    private nonisolated static let pause: Duration = .milliseconds(200)

    /// A plan of `operation`, as the daemon's ticket.
    func plan(_ operation: JSONDocument) async throws(Failure) -> JSON {
        let ticket = try await self.post("/plan", operation)
        return try await self.follow(ticket, while: ["looking"], Self.planning)
    }

    /// Confirms a plan, and follows it to its end. `changed`: is told each state on the way.
    func confirm(
        _ digest: String, name: String?, overrides: [String], changed: @escaping @EventLoop (String) -> Void = { _ in }
    ) async throws(Failure) -> JSON {
        let ticket = try await self.post(
            "/confirm/\(digest)",
            ["name": .text(name), "overrides": .list(overrides.map { .string($0) })])
        return try await self.follow(ticket, while: ["confirming", "under_way"], Self.doing, changed)
    }

    /// Puts on record what a command has done itself; says so where that is not possible, and changes nothing.
    func tell(_ document: JSONDocument) async {
        do throws(Failure) {
            _ = try await self.post("/told", document)
        } catch {
            complain("pharos: what was done is not on record; it is done all the same")
        }
    }

    private func follow(
        _ ticket: JSON, while states: Set<String>, _ limit: Duration,
        _ changed: @escaping @EventLoop (String) -> Void = { _ in }
    ) async throws(Failure) -> JSON {
        guard let number = ticket["number"]?.int64 else {
            throw self.fail(
                "the daemon's answer cannot be read; is it of another version? systemctl restart \(self.unit)")
        }
        var (ticket, told) = (ticket, "")
        let end = BootClock.microseconds + Int64(limit / .microseconds(1))
        while let state = ticket["state"]?.string, states.contains(state) {
            if state != told {
                told = state
                changed(state)
            }
            guard BootClock.microseconds < end else {
                throw self.fail(
                    "nothing has come of it for \(limit.components.seconds) s: pharos operations", status: 2)
            }
            do { try await EventLoop.sleep(for: Self.pause) } catch { throw Failure(status: 1) }
            ticket = try await self.get("/operations/\(number)")
        }
        return ticket
    }

    func get(_ path: String) async throws(Failure) -> JSON {
        let response: HTTPResponse
        do throws(HTTPError) {
            response = try await ShowStatus.ask(self.socket, path: path)
        } catch {
            throw self.silent(error)
        }
        return try self.read(response, path)
    }

    private func post(_ path: String, _ body: JSONDocument) async throws(Failure) -> JSON {
        let http = HTTPClient()
        defer { http.close() }
        var request = HTTPRequest(.post, "http://localhost" + path)
        request.unixSocket = self.socket
        request.timeout = .seconds(5)
        request.isRepeatable = false
        request.body = Array(body.compact.utf8)
        request.headers = [(name: "Content-Type", value: "application/json")] + Self.person
        let response: HTTPResponse
        do throws(HTTPError) {
            response = try await http.send(request)
        } catch {
            throw self.silent(error)
        }
        return try self.read(response, path)
    }

    /// Behind root, who typed sudo: for the record, not for what may be done.
    private static var person: [(name: String, value: String)] {
        guard geteuid() == 0, let text = getenv("SUDO_USER") else { return [] }
        let name = String(cString: text)
        let isPlain = name.utf8.allSatisfy { $0 > 32 && $0 < 127 }
        return isPlain && (1...64).contains(name.utf8.count) && name != "root" ? [("Pharos-For", name)] : []
    }

    private func read(_ response: HTTPResponse, _ path: String) throws(Failure) -> JSON {
        let json = JSON.parse(response.body) ?? .null
        if [200, 202].contains(response.status), json.object != nil { return json }
        if let message = json["message"]?.string {
            throw self.fail(message + (json["hint"]?.string.map { "\nhint: \($0)" } ?? ""))
        }
        if response.status == 403 { throw self.fail("only root may do that: sudo pharos …") }
        throw self.fail(
            "the daemon here does not know \(path): it is of another version; systemctl restart \(self.unit)",
            status: ExitStatus.unavailableNumber)
    }

    private func silent(_ error: HTTPError) -> Failure {
        self.fail(
            "no daemon answers at \(self.socket): \(error.description)\nhint: systemctl status \(self.unit); journalctl -u \(self.unit) -n 50",
            status: ExitStatus.unavailableNumber)
    }

    private func fail(_ text: String, status: Int32 = 1) -> Failure {
        complain("pharos: \(text)")
        return Failure(status: status)
    }
}
