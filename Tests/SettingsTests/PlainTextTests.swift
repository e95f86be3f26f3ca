// SPDX-License-Identifier: Apache-2.0
import Settings
import Testing

/// Passwords that go over a network without TLS.
struct PlainTextTests {
    private func warnings(_ extra: String, patroni text: String = patroni) throws -> [String] {
        try files("\(minimal)\n\(extra)\n", patroni: text).adding("/p", "hunter2-hunter2").load().warnings
            .map(\.description)
    }

    private func warning(_ place: String, _ section: String, _ url: String) -> String {
        "\(place): warning: '\(section)': the password is sent to \(url) without encryption, for everyone on the way to "
            + "read; use an https URL"
    }

    private static let login = "username: u, password_file: /p"

    @Test(arguments: [
        ("etcd", "endpoints: ['http://10.0.0.1:2379']", "http://10.0.0.1:2379"),
        ("etcd", "endpoints: ['https://10.0.0.1:2379', 'http://n2:2379', 'http://n3:2379']", "http://n2:2379"),
        ("etcd", "endpoints: ['http://127.0.0.1:2379', 'http://[2001:db8::1]:2379']", "http://[2001:db8::1]:2379"),
        ("patroni", "url: 'http://10.0.0.1:8008'", "http://10.0.0.1:8008"),
    ])
    func `a password for an http URL is a warning, once, with the first such URL`(
        section: String, urls: String, url: String
    ) throws {
        let warnings = try self.warnings("\(section): { \(Self.login), \(urls) }")
        let column = section.utf8.count + 5 + "username: u, password_file: ".utf8.count
        #expect(warnings == [self.warning("pharos.yml:4:\(column)", section, url)])
    }

    @Test(arguments: [
        "etcd: { \(login), endpoints: ['https://10.0.0.1:2379'] }", "etcd: { endpoints: ['http://10.0.0.1:2379'] }",
        "etcd: { \(login), endpoints: ['http://127.0.0.1:2379', 'http://[::1]:2379', 'http://localhost:2379'] }",
        "patroni: { \(login), url: 'https://n1:8008' }", "patroni: { \(login), url: 'http://127.0.0.1:8008' }",
    ])
    func `with TLS, without a password, and on this very host there is nothing to say`(line: String) throws {
        #expect(try self.warnings(line) == [])
    }

    @Test func `a password in Patroni's file is no better`() throws {
        let text = patroni.replacing("etcd3:", with: "etcd3:\n  username: u\n  password: hunter2-hunter2")
        #expect(
            try self.warnings("", patroni: text) == [
                self.warning("\(patroniPath):8:13", "etcd", "http://10.10.10.11:2379")
            ])
    }
}
