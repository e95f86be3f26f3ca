// SPDX-License-Identifier: Apache-2.0
import EventLoop
import TestSupport
import Testing

@testable import pharos

/// What the shells offer, as bash asks for it: with the script that the package installs.
@Suite(.serialized)
struct CompletionTests {
    init() { EventLoop.shared.executor.startThread() }

    private static let cluster = """
        {"groups": [
          {"group": 0, "members": [{"member": "n1"}, {"member": "n2"}, {"member": "bad\\u001b[2Jname"}]},
          {"group": 7, "members": [{"member": "w1"}]}
        ]}
        """

    /// What bash offers for the last of `words`, after at most two seconds.
    @EventLoop private func offered(_ words: [String]) async throws -> (words: [String], text: String) {
        let program = try TestProcess.built("pharos")
        let folder = program.split(separator: "/").dropLast().map { "/" + $0 }.joined()
        let list = words.map { "'\($0)'" }.joined(separator: " ")
        let script = """
            PATH='\(folder)':$PATH
            source <(pharos --generate-completion-script bash) || exit 3
            COMP_WORDS=(\(list)); COMP_CWORD=\(words.count - 1)
            COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}
            _pharos pharos "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
            printf '%s\\n' "${COMPREPLY[@]}"
            """
        let outcome = try await ChildProcess(
            ["/bin/bash", "-c", "exec 2>&1\n\(script)"], timeout: .seconds(60)
        ).run()
        #expect(outcome.exitCode == 0, "\(outcome.text)")
        return (outcome.text.split(separator: "\n").map(String.init), outcome.text)
    }

    @Test @EventLoop func `members and groups come from the daemon, without what could steer a terminal`() async throws
    {
        let folder = try TemporaryDirectory("complete")
        let socket = folder.file("s")
        let server = try ScriptedServer(path: socket) { connection in
            while try await connection.readRequest() != nil {
                try await connection.write(httpAnswer(200, Self.cluster))
            }
        }
        let members = try await self.offered(["pharos", "acknowledge", "--socket", socket, ""])
        #expect(Set(members.words).isSuperset(of: ["n1", "n2", "w1"]), "\(members.text)")
        #expect(!members.text.contains("bad"), "\(members.text)")
        let some = try await self.offered(["pharos", "acknowledge", "--socket", socket, "w"])
        #expect(some.words == ["w1"], "\(some.text)")
        let groups = try await self.offered(["pharos", "acknowledge", "--socket", socket, "n1", "--group", ""])
        #expect(groups.words == ["0", "7"], "\(groups.text)")
        withExtendedLifetime(server) {}
    }

    @Test @EventLoop func `without a daemon, or with one that is silent, nothing is offered and nothing said`()
        async throws
    {
        let folder = try TemporaryDirectory("complete")
        let none = try await self.offered(["pharos", "acknowledge", "--socket", folder.file("none"), "w"])
        #expect(none.words.isEmpty, "\(none.text)")
        let socket = folder.file("s")
        let server = try ScriptedServer(path: socket) { connection in
            _ = try await connection.readRequest()
            try await EventLoop.sleep(for: .seconds(30))
        }
        let began = ContinuousClock.now
        let outcome = try await ChildProcess(
            [
                "/bin/sh", "-c",
                "SAP_SHELL=bash exec '\(try TestProcess.built("pharos"))' ---completion acknowledge -- positional@0 4 0 pharos acknowledge --socket \(socket) '' 2>&1",
            ], timeout: .seconds(60)
        ).run()
        #expect(ContinuousClock.now - began < .seconds(10), "the shell waited for \(ContinuousClock.now - began)")
        #expect(outcome.text.filter { !$0.isWhitespace } == "", "\(outcome.text)")
        withExtendedLifetime(server) {}
    }

    @Test @EventLoop func `findings are offered without asking anybody`() async throws {
        let codes = try await self.offered(["pharos", "repair", "second-"])
        #expect(Set(codes.words) == ["second-coordinator", "second-primary"], "\(codes.text)")
        let last = try await self.offered(["pharos", "show", "l"])
        #expect(last.words == ["last"], "\(last.text)")
    }

    @Test func `the socket is that of the option or of the cluster on the line`() {
        #expect(Completions.socket(["pharos", "status", "--socket", "/x"]) == "/x")
        #expect(Completions.socket(["pharos", "status", "--socket=/x"]) == "/x")
        #expect(
            Completions.socket(["pharos", "acknowledge", "--cluster", "15-main", ""])
                == "/run/pharos@15-main/pharos.sock")
        #expect(Completions.socket(["pharos", "acknowledge", "--socket"]) == "/run/pharos/pharos.sock")
    }

    /// A shell that is not installed is left out; its script is compared with nothing then.
    @Test(arguments: [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")])
    @EventLoop func `each shell takes its script`(shell: String, check: String) async throws {
        let program = try TestProcess.built("pharos")
        let script = """
            command -v \(shell) >/dev/null || exit 0
            exec 2>&1
            file=$(mktemp) && '\(program)' --generate-completion-script \(shell) >$file && \(shell) \(check) $file
            status=$?
            rm -f $file
            exit $status
            """
        let outcome = try await ChildProcess(["/bin/bash", "-c", script], timeout: .seconds(60)).run()
        #expect(outcome.exitCode == 0, "\(outcome.text)")
    }
}
