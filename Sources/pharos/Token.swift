// SPDX-License-Identifier: Apache-2.0
import AccessTokens
import ArgumentParser
import Glibc
import Settings

struct Token: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say who may ask the API (pharos-api), and what: add, list and remove tokens.",
        subcommands: [AddToken.self, ListTokens.self, RemoveToken.self])
}

/// Where the tokens are.
struct TokensOption: ParsableArguments {
    @Option(help: "The tokens' file; without it /etc/pharos/api.tokens.") var file: String?
    @Option(help: "Of several clusters on this host, the one of /etc/pharos/api/CLUSTER.yml.") var cluster: String?

    var path: String { self.file ?? APIInstance(ClusterName.instance(self.cluster)).tokens }

    func validate() throws { try ClusterName.check(self.cluster) }
}

struct AddToken: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Make a token and print it, once.",
        discussion: """
            Only its SHA-256 is kept: a token that is lost is removed, and another one made. pharos-api knows it at once, if its \
            configuration names the file (access.tokens_file). Exit status: 0 done, 1 not, and why.
            """)
    @Argument(help: "Whose it is, as records call whoever uses it.") var name: String
    @Option(help: "look, operate or endanger: what it permits.") var role: String
    @Option(help: "After how long it ends, such as 90d or 12h; without it never.") var expires: String?
    @OptionGroup var place: TokensOption

    func validate() throws {
        guard AccessToken.isValid(name: self.name) else {
            throw ValidationError(
                "'\(self.name)' is no name: expected at most \(AccessToken.nameLimit) letters, digits and - _ . @")
        }
        guard AccessRole(rawValue: self.role) != nil else {
            throw ValidationError("--role: expected look, operate or endanger, not '\(self.role)'")
        }
        guard let expires = self.expires else { return }
        guard Self.seconds(expires) != nil else {
            throw ValidationError("--expires: expected a time such as 90d, 12h or 30m, at most 3650d, not '\(expires)'")
        }
    }

    /// Days, hours or minutes.
    static func seconds(_ text: String) -> Int64? {
        let units: [Character: Int64] = ["d": 86_400, "h": 3600, "m": 60]
        guard let unit = text.last.flatMap({ units[$0] }), let number = Int64(text.dropLast()), number > 0,
            text.utf8.first != UInt8(ascii: "+"), number <= 3650 * 86_400 / unit
        else { return nil }
        return number * unit
    }

    func run() throws {
        let (name, role) = (self.name, AccessRole(rawValue: self.role) ?? .look)
        let expires = self.expires.flatMap(Self.seconds).map { UTCTime.now + $0 }
        let (text, digest) = TokenText.random()
        try TokensFile(self.place.path).change { file throws(TokensFileError) in
            guard !file.tokens.contains(where: { $0.name == name }) else {
                throw TokensFileError("there is a token of \(name) already: pharos token remove \(name)")
            }
            guard file.tokens.count < TokenFile.limit else {
                throw TokensFileError("there are \(TokenFile.limit) tokens already; remove some that nobody uses")
            }
            file.add(AccessToken(name: name, role: role, digest: digest, expires: expires))
        }
        print(text)
        complain(
            "token of \(name), role \(role.rawValue), \(expires.map { "valid until " + UTCTime.text($0) } ?? "without an end"). It is not shown again."
        )
    }
}

struct ListTokens: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List who has a token, and until when.",
        discussion: "Exit status: 0, or 1 and why.")
    @OptionGroup var place: TokensOption

    func run() throws {
        let tokens = try TokensFile(self.place.path).read().tokens
        let width = max(4, tokens.map(\.name.count).max() ?? 0)
        func row(_ name: String, _ role: String, _ end: String) -> String {
            func padded(_ text: String, _ width: Int) -> String {
                text + String(repeating: " ", count: max(0, width - text.count))
            }
            return "\(padded(name, width))  \(padded(role, 8))  \(end)"
        }
        print(row("NAME", "ROLE", "EXPIRES"))
        for token in tokens {
            let end = token.expires.map { UTCTime.text($0) + (token.isExpired(at: UTCTime.now) ? " (expired)" : "") }
            print(row(token.name, token.role.rawValue, end ?? "never"))
        }
    }
}

struct RemoveToken: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Take a token away: whoever has it is refused from now on.",
        discussion: "Exit status: 0 done, 1 not, and why.")
    @Argument(help: "Whose it is.") var name: String
    @OptionGroup var place: TokensOption

    func run() throws {
        let name = self.name
        try TokensFile(self.place.path).change { file throws(TokensFileError) in
            guard file.remove(name) else { throw TokensFileError("there is no token of '\(name)': pharos token list") }
        }
        print("removed")
    }
}
