// SPDX-License-Identifier: Apache-2.0
import Settings
import Testing

/// The files that are shipped in config/.
struct ExampleTests {
    private static let root = "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }

    private func shipped(_ name: String) throws -> String {
        let path = "\(Self.root)/config/\(name)"
        return String(decoding: try SettingsEnvironment.system.read(path, 1 << 20).get().contents, as: UTF8.self)
    }

    /// Takes the "# " off the lines that hold a key. `examples`: also of those that follow "Example:".
    private func uncommented(_ text: String, examples: Bool) -> String {
        var isExample = false
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            var line = String(line)
            if line.isEmpty { isExample = false }
            if line.hasSuffix("# Example:") { isExample = true }
            while examples || !isExample, let mark = line.firstIndex(of: "#") {
                let rest = line[mark...].dropFirst(2)
                let key = rest.drop { $0 == " " || $0 == "#" }.prefix { $0.isLowercase || $0 == "_" }
                let after = rest.drop { $0 == " " || $0 == "#" }.dropFirst(key.count)
                guard line[..<mark].allSatisfy({ $0 == " " }), !key.isEmpty, after.hasPrefix(":") else { break }
                line = String(line[..<mark] + rest)
            }
            return line
        }.joined(separator: "\n")
    }

    @Test func `the minimal file has three lines and loads`() throws {
        let text = try self.shipped("pharos-minimal.yml")
        #expect(text.split(separator: "\n").count == 3)
        #expect(try files(text).load().addresses.count == 1)
    }

    @Test func `the annotated file loads as it is, with every default`() throws {
        let text = try self.shipped("pharos.yml")
        var expected = try files(text).load()
        var actual = try files(self.uncommented(text, examples: false)).load()
        #expect(actual.provenance.filter { $0.source == "default" && $0.key.hasPrefix("lease") }.isEmpty)
        #expect(actual.postgres.conninfo == "host=/var/run/postgresql user=pharos dbname=postgres")
        // Patroni's file knows the port here; the default is for none.
        expected.postgres = actual.postgres
        (expected.provenance, actual.provenance) = ([], [])
        #expect(actual == expected)
        #expect(expected.addresses == (try files(minimal).load().addresses))
    }

    @Test func `the annotated file shows every key, and the examples load`() throws {
        // A group of Patroni's Citus mode, and groups that are scopes of their own, exclude each other.
        let text = self.uncommented(try self.shipped("pharos.yml"), examples: true).replacing(
            "\ngroup: 0\n", with: "\n")
        let settings = try files(text).adding("/etc/pharos/etcd-password", "secret1\n")
            .adding("/etc/pharos/patroni-password", "secret2\n").adding("/etc/pharos/etcd-ca.pem", "")
            .adding("/etc/pharos/etcd-client.pem", "").adding("/etc/pharos/etcd-client.key", "")
            .adding("/etc/pharos/patroni-ca.pem", "").adding("/etc/pharos/patroni-client.pem", "")
            .adding("/etc/pharos/patroni-client.key", "").adding("/etc/patroni_env.conf", "").load()
        let others = settings.provenance.filter { $0.key != "group" }
        #expect(others.count == settings.provenance.count - 1)
        #expect(others.filter { !$0.source.hasPrefix("pharos.yml:") } == [])
        #expect(others.filter(\.value.isEmpty) == [])
    }
}
