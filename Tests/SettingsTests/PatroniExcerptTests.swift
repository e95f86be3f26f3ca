// SPDX-License-Identifier: Apache-2.0
import Settings
import Testing

/// Patroni's file for whoever judges it as a whole.
struct PatroniExcerptTests {
    private func load(_ text: String = patroni) throws -> PatroniExcerpt {
        try #require(
            try PatroniExcerpt.load(path: "pharos.yml", environment: files(minimal, patroni: text).environment))
    }

    @Test func `texts stand at paths, and mappings are read whole`() throws {
        let excerpt = try self.load()
        #expect(excerpt.text("postgresql", "data_dir") == "/var/lib/postgresql/15/main")
        #expect(excerpt.texts("bootstrap", "dcs") == ["ttl": "30", "loop_wait": "10"])
        #expect(excerpt.text("watchdog", "mode") == nil && excerpt.text("bootstrap", "dcs") == nil)
        #expect(excerpt.has("etcd3") && !excerpt.has("etcd") && !excerpt.has("restapi", "authentication"))
    }

    @Test func `flags are read as YAML 1_1 has them`() throws {
        let excerpt = try self.load(patroni + "\nwatchdog: { mode: off }\ntags: { nofailover: yes }\n")
        #expect(excerpt.text("watchdog", "mode") == "false" && excerpt.text("tags", "nofailover") == "true")
        #expect(!excerpt.has("watchdog", "mode") && excerpt.has("tags", "nofailover"))
    }

    @Test func `it prints no secret`() throws {
        let excerpt = try self.load()
        var dumped = ""
        dump(excerpt, to: &dumped)
        #expect(!"\(excerpt)\(String(reflecting: excerpt))\(dumped)".contains("not-for-pharos"))
    }

    @Test func `pharos_yml that names no such file has none`() throws {
        let alone = standalone("etcd: { endpoints: [http://a:1] }")
        let excerpt = try PatroniExcerpt.load(path: "pharos.yml", environment: alone.environment)
        #expect(excerpt.map(\.path) == nil)
    }
}
