// SPDX-License-Identifier: Apache-2.0
import Settings
import Testing

/// The file of accepted findings.
struct AcceptedFileTests {
    private static func read(_ text: String) throws(SettingsError) -> [AcceptedEntry] {
        try AcceptedFile.read(
            "/etc/pharos/pharos.accepted", codes: ["paused", "fsync-off", "rest-without-tls"],
            isDay: { $0.utf8.count == 10 },
            environment: Files(["/etc/pharos/pharos.accepted": text]).environment)
    }

    private static func errors(_ text: String) -> [String] {
        do throws(SettingsError) {
            Issue.record("read: \(try Self.read(text))")
            return []
        } catch { return error.diagnostics.map(\.description) }
    }

    @Test func `each entry has a code, a reason and a day`() throws {
        let entries = try Self.read(
            """
            # known
            - code: paused
              reason: the disks are exchanged
              until: 2027-03-31
            - { code: rest-without-tls, reason: "a network of their own", until: "2027-12-31" }
            """)
        #expect(
            entries == [
                AcceptedEntry(code: "paused", reason: "the disks are exchanged", until: "2027-03-31"),
                AcceptedEntry(code: "rest-without-tls", reason: "a network of their own", until: "2027-12-31"),
            ])
    }

    @Test(arguments: ["", "# nothing\n", "~\n"]) func `an empty file accepts nothing`(text: String) throws {
        #expect(try Self.read(text).isEmpty)
    }

    @Test func `a code that there is not is an error with place and the nearest one`() {
        #expect(
            Self.errors("- { code: pauzed, reason: r, until: 2027-03-31 }") == [
                "/etc/pharos/pharos.accepted:1:11: 'code' in 'entry 1': there is no finding 'pauzed'; did you mean 'paused'?"
            ])
        #expect(
            Self.errors("- { code: xxxxxxxxxxxxxxx, reason: r, until: 2027-03-31 }")[0].hasSuffix(
                "docs/audit.md lists all"))
    }

    @Test func `without a reason or a day it is an error`() {
        #expect(
            Self.errors("- code: paused\n") == [
                "/etc/pharos/pharos.accepted:1:3: 'reason' is missing in entry 1; expected code, reason and until",
                "/etc/pharos/pharos.accepted:1:3: 'until' is missing in entry 1; expected code, reason and until",
            ])
        #expect(
            Self.errors("- { code: paused, reason: r, until: soon }")[0].hasSuffix(
                "expected a day such as 2027-03-31, not 'soon'"))
    }

    @Test func `a code twice, another key, and no list are errors`() {
        let twice = "- { code: paused, reason: r, until: 2027-03-31 }\n- { code: paused, reason: r, until: 2027-03-31 }"
        #expect(Self.errors(twice)[0].hasSuffix("paused is accepted twice; keep one of them"))
        #expect(Self.errors("- { code: paused, reason: r, until: 2027-03-31, untill: x }")[0].contains("untill"))
        #expect(Self.errors("code: paused")[0].contains("expected a list of accepted findings"))
    }

    @Test(arguments: [
        ("/etc/pharos/pharos.yml", "/etc/pharos/pharos.accepted"),
        ("/etc/pharos/west.yml", "/etc/pharos/west.accepted"),
        ("/srv/trial", "/srv/trial.accepted"),
    ]) func `it stands beside the configuration`(path: String, file: String) {
        #expect(AcceptedFile.path(besideConfiguration: path) == file)
    }
}
