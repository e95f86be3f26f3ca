// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import HTTPClient
import Journal

struct Acknowledge: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Vouch for a member: what it has failed before counts no more, for every daemon.",
        discussion: """
            Ends a suppression, and permits another switchover from a leader where one has failed.
            Exit status: 0 done, 1 no such member is watched, 69 the daemon does not answer.
            """)
    @Argument(help: "The member's name.", completion: Completions.members) var member: String
    @Option(help: "Its Citus group.", completion: Completions.groupNumbers) var group = 0
    @OptionGroup var daemon: SocketOption

    func validate() throws {
        let isGood = self.member.utf8.allSatisfy { $0 > 32 && $0 < 127 && !"/?#%".utf8.contains($0) }
        guard isGood, !self.member.isEmpty, self.group >= 0 else {
            throw ValidationError("'\(self.member)' is no member's name")
        }
    }

    func run() throws {
        let (path, socket) = ("/acknowledge/\(self.group)/\(self.member)", self.daemon.path)
        let code = runOnLoop { await Self.post(path, socket) }
        guard code == .success else { throw code }
    }

    @EventLoop
    private static func post(_ path: String, _ socket: String) async -> Int32 {
        let http = HTTPClient()
        defer { http.close() }
        var request = HTTPRequest(.post, "http://localhost" + path)
        request.unixSocket = socket
        request.timeout = .seconds(2)
        request.isRepeatable = false
        do throws(HTTPError) {
            let response = try await http.send(request)
            let text = LogRecord.escaped(String(decoding: response.body.prefix(300), as: UTF8.self).firstLine)
            guard response.status == 200 else {
                complain("pharos: \(text)")
                return 1
            }
            print(text)
            return 0
        } catch {
            complain("pharos: no daemon answers at \(socket): \(error.description)")
            return ExitStatus.unavailableNumber
        }
    }
}

extension String {
    fileprivate var firstLine: String { String(self.prefix { $0 != "\n" }) }
}
