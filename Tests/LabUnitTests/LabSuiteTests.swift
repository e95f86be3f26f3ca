// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Lab

struct LabSuiteTests {
    @Test func `a release that the lab does not know is refused, with those that it knows`() throws {
        try LabSuite.check(nil)
        for suite in LabSuite.allCases { try LabSuite.check(suite.rawValue) }
        for wrong in ["", "13", "Trixie", "sid", "bookworm ", "trixie-patroni"] {
            let error = #expect(throws: LabError.self) { try LabSuite.check(wrong) }
            #expect(error?.kind == .usage)
            #expect(
                error?.message == """
                    PHAROS_LAB_SUITE is '\(wrong)'; expected bookworm (Debian 12) or trixie (Debian 13) or \
                    trixie-patroni-4.1 (Debian 13, Patroni 4.1.5), or leave it unset
                    """
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
                let isSame = other.recipe.archive == suite.recipe.archive
                #expect(text.contains("/postgresql/\(other.recipe.postgres)/") == isSame)
                #expect(suite.packages.contains("postgresql-\(other.recipe.postgres)") == isSame)
            }
        }
    }

    @Test func `Patroni is Debian's package, or another version in its place, with everything else the same`() {
        let (debian, other) = (LabSuite.trixie, LabSuite.trixiePatroni41)
        #expect(debian.packages.contains("patroni") && !other.packages.contains { $0.hasPrefix("patroni") })
        #expect(
            Set(debian.packages).symmetricDifference(other.packages)
                == ["patroni", "python3-etcd", "python3-pip", "python3-systemd", "python3-venv"])
        #expect(!NodeImage.script(debian).contains("pip"))
        let script = NodeImage.script(other)
        #expect(script.contains("'patroni[etcd3]==4.1.5'") && !script.contains("://"))
        // Its word to systemd is what starts its unit; and the lab knows it by this path.
        #expect(script.contains("\nType=notify\n"))
        #expect(script.contains("\nExecStart=/usr/bin/patroni /etc/patroni/config.yml\n"))
        #expect(
            PackageSource.origin(of: other, host: PackageSource.parse(Self.host))
                == PackageSource.origin(of: debian, host: PackageSource.parse(Self.host)))
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
