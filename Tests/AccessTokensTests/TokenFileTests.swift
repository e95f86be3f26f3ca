// SPDX-License-Identifier: Apache-2.0
import Settings
import Testing

@testable import AccessTokens

struct TokenFileTests {
    private static let digest = String(repeating: "0f", count: 32)

    private func parse(_ text: String) throws(TokenFileError) -> TokenFile { try TokenFile(parsing: Array(text.utf8)) }

    @Test func `what was written is read again, as it was`() throws {
        let tokens = [
            AccessToken(name: "prometheus", role: .look, digest: TokenText.digest("a"), expires: nil),
            AccessToken(name: "on.call@n1", role: .endanger, digest: TokenText.digest("b"), expires: 1_800_000_000),
        ]
        let file = TokenFile(tokens)
        #expect(try self.parse(file.text) == file)
        #expect(file.text.contains("\non.call@n1 endanger 2027-01-15T08:00:00Z "))
        #expect(file.text.contains("\nprometheus look never "))
    }

    @Test func `comments, blanks and Windows' line ends are no tokens`() throws {
        let file = try self.parse("# a comment\n\n  \t\na look never \(Self.digest) # mine\r\n")
        #expect(file.tokens.map(\.name) == ["a"])
        #expect(try self.parse("").tokens == [])
    }

    @Test(arguments: [
        ("a look never", 1, "NAME ROLE EXPIRY SHA256, not 3 words"),
        ("\na look never \(digest) x", 2, "not 5 words"),
        ("a/b look never \(digest)", 1, "expected a name"),
        ("\(String(repeating: "a", count: 65)) look never \(digest)", 1, "expected a name"),
        ("a admin never \(digest)", 1, "expected a role"),
        ("a look soon \(digest)", 1, "expected never, or a time"),
        ("a look 2027-02-30T00:00:00Z \(digest)", 1, "expected never, or a time"),
        ("a look never \(digest.dropLast())", 1, "64 hexadecimal digits"),
        ("a look never \(digest.dropLast())g", 1, "64 hexadecimal digits"),
        ("a look never \(digest)\nb look never \(digest)\na look never \(digest)", 3, "the name a is given twice"),
    ]) func `one bad line refuses the file, by its number`(text: String, line: Int, message: String) {
        do throws(TokenFileError) {
            Issue.record("\(try self.parse(text))")
        } catch {
            #expect(error.line == line && error.message.contains(message), "\(error)")
            #expect(!error.description.contains(Self.digest))
        }
    }

    @Test func `there is a limit on tokens`() {
        let lines = (0...TokenFile.limit).map { "n\($0) look never \(Self.digest)" }
        #expect(throws: TokenFileError.self) { try self.parse(lines.joined(separator: "\n")) }
        #expect((try? self.parse(lines.dropLast().joined(separator: "\n")))?.tokens.count == TokenFile.limit)
    }

    @Test func `a token is known by its text, and by nothing near it`() throws {
        let (text, digest) = TokenText.random()
        #expect(text.hasPrefix("pharos_") && text.utf8.count == 50)
        #expect(text != TokenText.random().text)
        let file = TokenFile([
            AccessToken(name: "other", role: .endanger, digest: TokenText.random().digest, expires: nil),
            AccessToken(name: "n", role: .operate, digest: digest, expires: 5),
        ])
        #expect(file.owner(of: text)?.name == "n", "expired or not")
        for wrong in [text + "x", String(text.dropLast()), text.lowercased(), "", "pharos_"] {
            #expect(file.owner(of: wrong) == nil, "\(wrong)")
        }
        #expect(file.owner(of: String(repeating: "x", count: 100_000)) == nil)
        #expect(!file.text.contains(text))
    }

    @Test func `a removed token is nobody's`() {
        let (text, digest) = TokenText.random()
        var file = TokenFile([AccessToken(name: "n", role: .look, digest: digest, expires: nil)])
        #expect(!file.remove("m") && file.remove("n") && !file.remove("n"))
        #expect(file.owner(of: text) == nil)
    }

    @Test func `SHA-256 and base64 are what others make of the same`() {
        // FIPS 180-4's examples, and the empty text; lengths around a block's end as sha256sum has them.
        let digests = [
            "abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq":
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            String(repeating: "a", count: 55): "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318",
            String(repeating: "a", count: 56): "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a",
            String(repeating: "a", count: 64): "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb",
            String(repeating: "a", count: 1000): "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3",
        ]
        for (text, digest) in digests {
            let bytes = TokenText.digest(text)
            #expect(bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() == digest, "\(text.count)")
        }
        let cases = ["": "", "f": "Zg", "fo": "Zm8", "foo": "Zm9v", "foob": "Zm9vYg"]
        for (text, encoded) in cases { #expect(TokenText.base64URL(Array(text.utf8)) == encoded) }
        #expect(TokenText.base64URL([0xfb, 0xff]) == "-_8")
    }

    @Test func `an expiry is the moment from which a token is expired`() {
        let token = AccessToken(name: "n", role: .look, digest: [], expires: 100)
        #expect(!token.isExpired(at: 99) && token.isExpired(at: 100))
        #expect(!AccessToken(name: "n", role: .look, digest: [], expires: nil).isExpired(at: .max))
    }

    @Test func `times are written and read in one form only`() {
        #expect(UTCTime.text(0) == "1970-01-01T00:00:00Z")
        #expect(UTCTime.seconds("2027-01-15T08:00:00Z") == 1_800_000_000)
        for wrong in [
            "2027-01-15 08:00:00Z", "2027-01-15T08:00:00", "2027-13-15T08:00:00Z", "2027-01-15T24:00:00Z", "never",
            "2027-01-15T08:00:+0Z", "1969-12-31T23:59:59Z",
        ] { #expect(UTCTime.seconds(wrong) == nil, "\(wrong)") }
    }

    @Test func `roles are ordered`() {
        #expect(AccessRole.look < .operate && .operate < .endanger && !(AccessRole.endanger < .look))
    }
}
