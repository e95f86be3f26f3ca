// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import Glibc
import Settings
import TestSupport
import Testing

@testable import pharos

/// The manual pages, which are made of the definitions of the commands and of config/pharos.yml.
@Suite(.serialized)
struct ManualTests {
    init() { EventLoop.shared.executor.startThread() }

    private static let root = "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }

    private static func text(_ path: String) throws -> String {
        String(
            decoding: try SettingsEnvironment.system.read("\(self.root)/\(path)", 1 << 20).get().contents, as: UTF8.self
        )
    }

    @Test func `every command has a page, and pharos(8) names it`() throws {
        let overview = try Self.text("docs/pharos.8")
        let names = CommandManual.all().map(\.name)
        #expect(names.contains("status") && names.contains("migrate") && !names.contains("write-manual"))
        #expect(names.count == Pharos.configuration.subcommands.count - 1)
        for name in names {
            #expect(
                overview.contains(".BR pharos\\-\(name.replacing("-", with: "\\-")) (8)"),
                "\(name) is not in docs/pharos.8")
        }
    }

    @Test func `a page says each option, what it does and the exit status`() throws {
        let page = try #require(CommandManual.all().first { $0.name == "migrate" }).page
        for text in [
            "\\fB\\-\\-from\\fR \\fIFILE\\fR", "\\fB\\-\\-dry\\-run\\fR", ".SH \"EXIT STATUS\"",
            "78 a file cannot be used",
        ] {
            #expect(page.contains(text), "\(text) is not in:\n\(page)")
        }
        #expect(try #require(CommandManual.all().first { $0.name == "acknowledge" }).page.contains("\\fIMEMBER\\fR"))
    }

    @Test func `the exit status is told apart from the rest of the discussion`() {
        let (rest, exit) = CommandManual.split("First. Exit status: 0 good, 1 bad. With --x more.")
        #expect(rest == "First. With --x more." && exit == "0 good, 1 bad.")
        #expect(CommandManual.split("Nothing of it.").exit == nil)
        #expect(CommandManual.split("Exit status: 0.").exit == "0.")
    }

    @Test func `every key of the schema is explained, with its default or an example`() throws {
        let annotated = AnnotatedConfiguration(try Self.text("config/pharos.yml"))
        #expect(annotated.missing == [])
        func key(_ path: String) -> AnnotatedConfiguration.Key? { annotated.keys.first { $0.path == path } }
        #expect(key("lease.ttl")?.value == "patroni" && key("lease.ttl")?.isExample == false)
        #expect(key("scope")?.isExample == true && key("namespace")?.isExample == false)
        #expect(key("addresses.port")?.isExample == true && key("addresses.acquire")?.isExample == false)
        #expect(key("detector.threshold")?.value == "5" && key("detector.threshold")?.isExample == false)
        #expect(
            key("addresses.acquire")?.explanation.first?.hasPrefix("When the leader's node takes the address") == true)
        #expect(
            annotated.keys.filter { $0.section.isEmpty && $0.explanation.isEmpty }.map(\.path) == ["lease", "status"])
        #expect(annotated.introduction.contains { $0.hasPrefix("Most nodes need") })
    }

    @Test func `what looks like a request to groff is shown`() {
        var roff = Roff("x", section: 8, source: "s", manual: "m")
        roff.prose(".sp 'x' \\fB `a -b` \u{fc}\n\n    .nf -c")
        #expect(
            roff.text.hasSuffix(
                "\\&.sp \\(aqx\\(aq \\efB \\fBa \\-b\\fR \\[u00FC]\n.PP\n.PP\n.RS 4\n.nf\n\\&.nf \\-c\n.fi\n.RE\n"),
            "\(roff.text)")
    }

    @Test @EventLoop func `man has no warning about any page, and they are the same each time`() async throws {
        let folder = try TemporaryDirectory("manual")
        let script = """
            exec 2>&1
            set -e
            cd '\(folder.path)'
            mkdir -p a/man5 a/man8 b/man5 b/man8
            '\(try TestProcess.built("pharos"))' write-manual a --configuration '\(Self.root)/config/pharos.yml'
            '\(try TestProcess.built("pharos"))' write-manual b --configuration '\(Self.root)/config/pharos.yml'
            diff -r a b
            cp '\(Self.root)/docs/pharos.8' a/man8/
            command -v man >/dev/null || exit 0
            for page in a/man*/*; do
                LC_ALL=C.UTF-8 MANROFFSEQ= MANWIDTH=80 man --warnings=w -E UTF-8 -l "$page" 2>warnings >shown
                [ -s shown ] || { echo "$page shows nothing"; exit 1; }
                [ ! -s warnings ] || { echo "$page:"; cat warnings; exit 1; }
            done
            ls a/man5 a/man8
            """
        let outcome = try await ChildProcess(["/bin/bash", "-c", script], timeout: .seconds(120)).run()
        #expect(outcome.exitCode == 0, "\(outcome.text)")
        for name in CommandManual.all().map(\.name) { #expect(outcome.text.contains("pharos-\(name).8")) }
        #expect(outcome.text.contains("pharos.yml.5"))
    }
}
