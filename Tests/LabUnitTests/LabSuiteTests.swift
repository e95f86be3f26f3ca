// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Lab

struct LabSuiteTests {
    @Test func `a release that the lab does not know is refused, with those that it knows`() throws {
        try LabSuite.check(nil)
        for suite in LabSuite.allCases { try LabSuite.check(suite.rawValue) }
        for wrong in ["", "13", "Trixie", "sid", "bookworm "] {
            let error = #expect(throws: LabError.self) { try LabSuite.check(wrong) }
            #expect(error?.kind == .usage)
            #expect(
                error?.message
                    == "PHAROS_LAB_SUITE is '\(wrong)'; expected bookworm (Debian 12) or trixie (Debian 13), or leave it unset"
            )
        }
    }

    @Test func `images of two releases are cached apart`() {
        let keys = LabSuite.allCases.map(NodeImage.key)
        #expect(Set(keys).count == keys.count)
        #expect(zip(LabSuite.allCases, keys).allSatisfy { $1.hasPrefix("\($0.rawValue)-") })
    }

    @Test func `what a node is configured with is of its release, and of no other`() {
        for suite in LabSuite.allCases {
            var options = LabOptions()
            options.suite = suite
            let text = NodeFiles(node: "n1", options: options, password: "secret").all.map(\.text).joined()
            for other in LabSuite.allCases {
                #expect(text.contains("/postgresql/\(other.recipe.postgres)/") == (other == suite))
                #expect(suite.packages.contains("postgresql-\(other.recipe.postgres)") == (other == suite))
            }
        }
    }

    private static let host = """
        http://deb.example/debian bookworm main
        http://deb.example/debian bookworm contrib
        http://deb.example/debian bookworm-updates main
        http://sec.example/debian-security bookworm-security main
        https://third.example/apt bookworm-pgdg main
        https://other.example nodistro main

        """

    @Test func `the host's own release is installed with the host's own configuration`() {
        #expect(
            PackageSource.origin(of: .bookworm, host: PackageSource.parse(Self.host))
                == .init(mirror: "http://deb.example/debian", lines: nil))
    }

    @Test func `another release comes from the host's mirrors of Debian, without what others offer for the host's`() {
        let key = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
        #expect(
            PackageSource.origin(of: .trixie, host: PackageSource.parse(Self.host))
                == .init(
                    mirror: "http://deb.example/debian",
                    lines: [
                        "deb \(key) http://deb.example/debian trixie main",
                        "deb \(key) http://deb.example/debian trixie-updates main",
                        "deb \(key) http://sec.example/debian-security trixie-security main",
                    ]))
    }

    @Test func `a host without a mirror of Debian's has no origin`() {
        #expect(
            PackageSource.origin(of: .trixie, host: PackageSource.parse("https://other.example nodistro main\n")) == nil
        )
        #expect(PackageSource.origin(of: .trixie, host: []) == nil)
    }
}
