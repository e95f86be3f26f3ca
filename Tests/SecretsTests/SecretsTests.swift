// SPDX-License-Identifier: Apache-2.0
import Secrets
import Testing

struct SecretsTests {
    @Test func `a secret never prints itself`() {
        let secret = Secret("hunter2-hunter2")
        var dumped = ""
        dump(secret, to: &dumped)
        dump((name: "etcd", password: Optional(secret)), to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), "\([secret])", "\(Optional(secret) as Any)", dumped] {
            #expect(!text.contains("hunter2"), "\(text)")
            #expect(text.contains("[redacted]"), "\(text)")
        }
        #expect(secret.reveal() == "hunter2-hunter2")
        #expect(secret == Secret("hunter2-hunter2") && secret != Secret("other"))
    }

    @Test func `known secrets are cut out of texts`() {
        let redactor = Redactor([
            Secret("s3cret"), Secret("s3cret-longer"), Secret("abc"), Secret(""), Secret("pässwörd"),
        ])
        #expect(redactor.redact("auth s3cret-longer and s3cret!") == "auth [redacted] and [redacted]!")
        #expect(redactor.redact("s3crets3cret") == "[redacted][redacted]")
        #expect(redactor.redact("pässwörd") == "[redacted]")
        #expect(redactor.redact("abc s3cre t") == "abc s3cre t")
        #expect(redactor.redact("") == "")
        #expect(Redactor([]).redact("s3cret") == "s3cret")
    }

    @Test func `a limit never leaves a part of a secret or of a character`() {
        let redactor = Redactor([Secret("topsecret")])
        let text = "ä topsecret ä topsecret ä"
        for limit in 0...40 {
            let redacted = redactor.redact(text, limit: limit)
            #expect("ä [redacted] ä [redacted] ä".hasPrefix(redacted))
            #expect(redacted.utf8.count > limit || redacted.hasSuffix("] ä"))
            #expect(redacted.utf8.count <= limit + 11)
        }
        #expect(Redactor([]).redact("äöü", limit: 2) == "äö")
    }
}
