// SPDX-License-Identifier: Apache-2.0
import AccessTokens
import ArgumentParser
import Glibc
import Settings
import TestSupport
import Testing

@testable import pharos

/// `pharos token`.
struct TokenTests {
    @Test func `a token belongs to a name and a role, and to the API of a cluster`() throws {
        let plain = try AddToken.parse(["prom", "--role", "look"])
        #expect(plain.place.path == "/etc/pharos/api.tokens" && plain.expires == nil)
        let named = try AddToken.parse(["prom", "--role", "operate", "--expires", "90d", "--cluster", "15-main"])
        #expect(named.place.path == "/etc/pharos/api/15-main.tokens" && named.expires == "90d")
        #expect(try ListTokens.parse(["--file", "/x"]).place.path == "/x")
    }

    @Test(arguments: [
        ["prom"], ["--role", "look"], ["a b", "--role", "look"], ["prom", "--role", "admin"],
        ["prom", "--role", "look", "--expires", "90"], ["prom", "--role", "look", "--expires", "-1d"],
        ["prom", "--role", "look", "--expires", "0d"], ["prom", "--role", "look", "--expires", "4000d"],
        ["prom", "--role", "look", "--cluster", "api"],
    ]) func `what is no name, role, time or cluster is refused`(arguments: [String]) {
        #expect(throws: (any Error).self) { try AddToken.parse(arguments) }
    }

    @Test func `a time is days, hours or minutes`() {
        #expect(
            AddToken.seconds("90d") == 90 * 86_400 && AddToken.seconds("12h") == 43_200 && AddToken.seconds("1m") == 60)
        #expect(AddToken.seconds("+1d") == nil && AddToken.seconds("d") == nil && AddToken.seconds("") == nil)
    }

    /// The group comes with the package; where there is none, that is what is said.
    @Test(.enabled(if: getuid() == 0)) func `the file is replaced whole, for root and the API alone`() throws {
        let folder = try TemporaryDirectory("tokens")
        let path = folder.file("api.tokens")
        guard let group = getgrnam(TokensFile.group)?.pointee.gr_gid else {
            #expect(throws: ExitCode(1)) {
                try TokensFile(path).change { file in
                    file.add(AccessToken(name: "a", role: .look, digest: TokenText.digest("a"), expires: nil))
                }
            }
            #expect(access(path, F_OK) != 0, "nothing is left behind")
            return
        }
        for name in ["a", "b"] {
            try TokensFile(path).change { file in
                file.add(AccessToken(name: name, role: .look, digest: TokenText.digest(name), expires: nil))
            }
        }
        #expect(try TokensFile(path).read().tokens.map(\.name) == ["a", "b"])
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o7777 == 0o640)
        #expect(status.st_uid == 0 && status.st_gid == group)
    }
}
