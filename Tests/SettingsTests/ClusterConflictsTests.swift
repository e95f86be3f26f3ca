// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Settings

/// Several daemons on one host: what each has for itself, and what two of them may not share.
struct ClusterConflictsTests {
    @Test func `what a daemon has follows from the name of its file`() throws {
        let plain = DaemonInstance(configuration: "/etc/pharos/pharos.yml")
        #expect(plain == DaemonInstance() && plain.configuration == Settings.defaultPath && plain.unit == "pharos")
        #expect(plain.socket == "/run/pharos/pharos.sock" && plain.stateFolder == "/var/lib/pharos")
        let named = DaemonInstance(configuration: "/etc/pharos/15-main.yml")
        #expect(named == DaemonInstance(named: "15-main") && named.configuration == "/etc/pharos/15-main.yml")
        #expect(named.unit == "pharos@15-main" && named.socket == "/run/pharos@15-main/pharos.sock")
        #expect(named.stateFolder == "/var/lib/pharos/15-main")
        #expect(named.patroniConfiguration == "/etc/patroni/15-main.yml")
    }

    @Test(arguments: [
        "/etc/pharos/pharos.yaml", "/etc/pharos/.yml", "/etc/pharos/..yml", "/etc/pharos/a/b.yml", "/tmp/15-main.yml",
        "x.yml", "/etc/pharos/a b.yml", "/etc/pharos/\(String(repeating: "a", count: 65)).yml", "",
    ])
    func `other files belong to the plain unit`(path: String) {
        #expect(DaemonInstance(configuration: path) == DaemonInstance())
    }

    private static let wants = "/etc/systemd/system/multi-user.target.wants"

    /// One of the host's configurations.
    private static func text(
        scope: String, address: Int, etcd: String = "10.0.0.1", port: Int = 5432, more: String = ""
    ) -> String {
        """
        scope: \(scope)
        member: n1
        etcd: { endpoints: ["http://\(etcd):2379"] }
        patroni: { url: "http://127.0.0.1:\(port + 3000)" }
        postgres: { conninfo: "host=/run/postgresql port=\(port) user=pharos dbname=postgres" }
        addresses: [{ address: 10.0.0.\(address)/24, interface: eth0 }]
        \(more)

        """
    }

    private func conflicts(_ one: String, _ other: String, isInUse: Bool = true) throws -> ClusterConflicts {
        var files = Files(["/etc/pharos/a.yml": one, "/etc/pharos/b.yml": other])
        if isInUse { files = files.adding(Self.wants + "/pharos@b.service", "") }
        let environment = files.environment
        let settings = try Settings.load(path: "/etc/pharos/a.yml", environment: environment)
        return ClusterConflicts(settings, path: "/etc/pharos/a.yml", environment: environment)
    }

    @Test func `a copy that is only tried is warned of, and refused once its unit is in use`() throws {
        let text = Self.text(scope: "a", address: 3)
        var files = Files([
            "/etc/pharos/pharos.yml": text, "/etc/pharos/new.yml": text, Self.wants + "/pharos.service": "",
        ])
        func conflicts(isTrial: Bool) throws -> ClusterConflicts {
            let environment = files.environment
            let settings = try Settings.load(path: "/etc/pharos/new.yml", environment: environment)
            return ClusterConflicts(settings, path: "/etc/pharos/new.yml", isTrial: isTrial, environment: environment)
        }
        let tried = try conflicts(isTrial: true)
        #expect(tried.errors.isEmpty && tried.warnings.contains { $0.contains("right for a copy; pharos@new") })
        #expect(try !conflicts(isTrial: false).errors.isEmpty)
        files = files.adding(Self.wants + "/pharos@new.service", "")
        #expect(try !conflicts(isTrial: true).errors.isEmpty)
    }

    @Test func `two clusters that share nothing are no conflict, and each has a socket of its own`() throws {
        let found = try self.conflicts(
            Self.text(scope: "a", address: 3), Self.text(scope: "b", address: 4, port: 5433))
        #expect(found.errors.isEmpty && found.warnings.isEmpty, "\(found)")
    }

    @Test(arguments: [
        (Self.text(scope: "b", address: 3, port: 5433), "the address 10.0.0.3"),
        (Self.text(scope: "a", address: 4, port: 5433), "the keys below /pharos/a in etcd"),
        (
            Self.text(scope: "b", address: 4, port: 5433, more: "status: { listen: \"127.0.0.1:8009\" }"),
            "the port 127.0.0.1:8009 (status.listen)"
        ),
        (
            Self.text(scope: "b", address: 4, port: 5433, more: "status: { socket: /run/pharos@a/pharos.sock }"),
            "the socket /run/pharos@a/pharos.sock"
        ),
        (
            Self.text(scope: "b", address: 4).replacing("8432", with: "8008"),
            "PostgreSQL at 'host=/run/postgresql port=5432 user=pharos dbname=postgres' (postgres.conninfo)"
        ),
        (
            Self.text(scope: "b", address: 4, port: 5433).replacing("8433", with: "8432"),
            "Patroni at http://127.0.0.1:8432 (patroni.url)"
        ),
    ])
    func `what two clusters share is refused by name`(other: String, what: String) throws {
        let own = Self.text(scope: "a", address: 3, more: "status: { listen: \"127.0.0.1:8009\" }")
        let found = try self.conflicts(own, other)
        #expect(found.errors.count == 1 && found.warnings.isEmpty, "\(found)")
        #expect(
            found.errors.first?.hasPrefix(what) == true
                && found.errors.first?.hasSuffix(": /etc/pharos/b.yml says the same") == true)
        // A copy that nobody starts keeps nobody from anything.
        let unused = try self.conflicts(own, other, isInUse: false)
        #expect(
            unused.errors.isEmpty && unused.warnings.count == 1 && unused.warnings[0].contains("pharos@b is not in use")
        )
    }

    @Test func `what could not be compared is told, and so is one scope behind other endpoints`() throws {
        let own = Self.text(scope: "a", address: 3)
        let broken = try self.conflicts(own, "addresses: []\n")
        #expect(broken.errors.isEmpty && broken.warnings.count == 1)
        #expect(broken.warnings[0].hasPrefix("/etc/pharos/b.yml was not compared with this configuration: "))
        let elsewhere = try self.conflicts(own, Self.text(scope: "a", address: 4, etcd: "10.9.9.9", port: 5433))
        #expect(elsewhere.errors.isEmpty && elsewhere.warnings.first?.contains("if it is the same etcd") == true)
    }

    @Test func `a configuration on trial is compared with none`() throws {
        let environment = Files([
            "/etc/pharos/b.yml": Self.text(scope: "a", address: 3), "/tmp/a.yml": Self.text(scope: "a", address: 3),
        ]).environment
        let settings = try Settings.load(path: "/tmp/a.yml", environment: environment)
        let found = ClusterConflicts(settings, path: "/tmp/a.yml", environment: environment)
        #expect(found.errors.isEmpty && found.warnings.isEmpty)
    }
}
