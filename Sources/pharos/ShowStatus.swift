// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import HTTPClient
import LenientJSON
import Settings

struct ShowStatus: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show what the daemon of this node knows, holds, and why.",
        discussion: "Exit status: 0 in order, 1 something needs attention, 69 the daemon does not answer.")
    @Flag(help: "Print the daemon's answer as JSON.") var json = false
    @OptionGroup var daemon: SocketOption

    func run() throws {
        let isJSON = self.json
        let (socket, instance) = (self.daemon.path, self.daemon.instance)
        let code = runOnLoop { await Self.show(socket, instance, isJSON: isJSON) }
        guard code == .success else { throw code }
    }

    /// What the daemon answers.
    @EventLoop
    static func ask(
        _ socket: String, path: String = "/status", timeout: Duration = .seconds(2)
    ) async throws(HTTPError) -> HTTPResponse {
        let http = HTTPClient()
        defer { http.close() }
        var request = HTTPRequest(.get, "http://localhost\(path)")
        request.unixSocket = socket
        request.timeout = timeout
        return try await http.send(request)
    }

    @EventLoop
    private static func show(_ socket: String, _ instance: DaemonInstance, isJSON: Bool) async -> Int32 {
        guard let (body, status) = await self.answer(socket, instance.unit) else { return ExitStatus.unavailableNumber }
        print(isJSON ? body : instance.addressed(StatusText(status).text), terminator: "")
        return StatusText(status).isInOrder ? 0 : 1
    }

    /// What the daemon answers, as text and read; nil if there is nothing, which has been said.
    @EventLoop
    static func answer(
        _ socket: String, _ unit: String, path: String = "/status"
    ) async -> (body: String, status: JSON)? {
        do throws(HTTPError) {
            let response = try await self.ask(socket, path: path)
            guard response.status == 200 else {
                complain(
                    "pharos: the daemon here does not know \(path): it is of another version; systemctl restart \(unit)"
                )
                return nil
            }
            guard let status = JSON.parse(response.body) else {
                complain("pharos: the daemon's answer is not JSON")
                return nil
            }
            return (String(decoding: response.body, as: UTF8.self), status)
        } catch {
            complain(
                "pharos: no daemon answers at \(socket): \(error.description)\nhint: systemctl status \(unit); journalctl -u \(unit) -n 50"
            )
            return nil
        }
    }
}
