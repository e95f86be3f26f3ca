// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Settings

/// What the unit gives the daemon, and keeps from it.
struct DaemonUnitTests {
    private static let shipped = "/usr/lib/systemd/system/pharos.service"
    private static let dropIn = "/etc/systemd/system/pharos.service.d/override.conf"

    private func unit(_ dropIn: String) throws -> DaemonUnit {
        let root = "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
        let file = try SettingsEnvironment.system.read("\(root)/systemd/pharos.service", 1 << 20).get()
        let text = String(decoding: file.contents, as: UTF8.self)
        return DaemonUnit(Files([Self.shipped: text, Self.dropIn: "[Service]\n\(dropIn)"]).environment)
    }

    @Test func `the unit that is shipped is the one that is assumed where none is installed`() throws {
        let (unit, assumed) = (try self.unit(""), DaemonUnit(Files([:]).environment))
        for one in [unit, assumed] {
            #expect(one.groups.isEmpty && one.credentials.isEmpty)
            #expect(one.hidden.map(\.folder) == ["/tmp", "/var/tmp", "/home", "/root", "/run/user"])
            #expect(one.hidden.map(\.directive) == DaemonUnit.shipped.hidden.map(\.directive))
        }
    }

    @Test(
        arguments: [
            ("/tmp/pg", "PrivateTmp=yes"), ("/var/tmp", "PrivateTmp=yes"), ("/home/me/x", "ProtectHome=yes"),
            ("/root/x", "ProtectHome=yes"),
            ("/run/user/1/x", "ProtectHome=yes"), ("/tmpfiles/x", nil), ("/etc/patroni/config.yml", nil),
            ("/run/postgresql", nil),
        ] as [(String, String?)])
    func `folders are hidden as the unit says`(path: String, directive: String?) throws {
        #expect(try self.unit("").hides(path) == directive)
    }

    @Test func `drop-ins count: what they open, and what they name`() throws {
        let unit = try self.unit(
            "PrivateTmp=no\nProtectHome=read-only\nInaccessiblePaths=-/srv\nSupplementaryGroups=\nSupplementaryGroups=patroni \"other\"\n"
                + "LoadCredential=patroni.yml:/etc/patroni/config.yml\nLoadCredential=relative\n")
        #expect(
            unit.hides("/tmp/x") == nil && unit.hides("/home/x") == nil
                && unit.hides("/srv/x") == "InaccessiblePaths=/srv")
        #expect(unit.groups == ["patroni", "other"])
        #expect(unit.credentials == ["/run/credentials/pharos.service/patroni.yml": "/etc/patroni/config.yml"])
        #expect(try self.unit("SupplementaryGroups=a\nSupplementaryGroups=b c").groups == ["a", "b", "c"])
        #expect(try self.unit("ProtectHome=tmpfs").hides("/root/x") == "ProtectHome=tmpfs")
    }

    @Test func `drop-ins of Windows' editors count, and those for all services, and another user`() throws {
        let files = Files([
            Self.dropIn: "\u{feff}[Service]\r\nUser=patroni\r\nPrivateTmp=n\r\nSupplementaryGroups=a \\\r\n b\r\n",
            "/etc/systemd/system/service.d/override.conf": "[Service]\nProtectHome=no\n",
            "/etc/systemd/system/service.d/harden.conf": "[Service]\nInaccessiblePaths=/srv\n",
            Self.shipped: "[Service]\nUser=pharos\nPrivateTmp=yes\nProtectHome=yes\n",
        ])
        let unit = DaemonUnit(files.environment)
        #expect(unit.user == "patroni" && DaemonUnit.shipped.user == "pharos")
        #expect(unit.groups == ["a", "b"])
        #expect(unit.hidden.map(\.folder) == ["/home", "/root", "/run/user", "/srv"])
    }

    @Test func `a file that is hidden is told with the line that hides it, on trial as a warning`() throws {
        let text = "patroni_config: /home/me/patroni.yml\naddresses: [{ address: 10.10.10.3/24, interface: eth1 }]"
        let files = Files(["pharos.yml": text, "/home/me/patroni.yml": patroni])
        let unit = try self.unit("")
        let seen = unit.seen(files.environment, isTrial: false)
        let error = #expect(throws: SettingsError.self) { try Settings.load(path: "pharos.yml", environment: seen) }
        #expect(
            error?.diagnostics.map(\.description) == [
                "pharos.yml:1:17: cannot read '/home/me/patroni.yml': the daemon does not see it: its unit says ProtectHome=yes"
            ])
        let tried = try Settings.load(path: "pharos.yml", environment: unit.seen(files.environment, isTrial: true))
        #expect(
            unit.warnings(files: tried, environment: files.environment) == [
                "patroni_config: the daemon does not see '/home/me/patroni.yml': its unit says ProtectHome=yes"
            ])
        let other = try Files(["pharos.yml": minimal, patroniPath: patroni]).load()
        #expect(unit.warnings(files: other, environment: files.environment) == [])
    }

    @Test func `a link that leads to where the daemon does not see is no way around`() throws {
        var environment = files(minimal).environment
        environment.resolve = { $0 == patroniPath ? "/root/config.yml" : $0 }
        let seen = try self.unit("").seen(environment, isTrial: false)
        let error = #expect(throws: SettingsError.self) { try Settings.load(path: "pharos.yml", environment: seen) }
        #expect(error?.description.contains("its unit says ProtectHome=yes") == true)
    }

    @Test func `a credential is read from where it is copied from, also before the service has run`() throws {
        let path = "/run/credentials/pharos.service/patroni.yml"
        let files = Files(["pharos.yml": minimal.replacing(patroniPath, with: path)]).adding(
            patroniPath, patroni, mode: 0o600)
        let unit = try self.unit("LoadCredential=patroni.yml:\(patroniPath)")
        let settings = try Settings.load(
            path: "pharos.yml", environment: unit.seen(files.environment, isTrial: false))
        #expect(settings.scope == "demo" && settings.warnings.isEmpty)
        #expect(throws: SettingsError.self) {
            try Settings.load(
                path: "pharos.yml", environment: try self.unit("").seen(files.environment, isTrial: false))
        }
        let missing = Files(["pharos.yml": minimal.replacing(patroniPath, with: path)])
        let error = #expect(throws: SettingsError.self) {
            try Settings.load(path: "pharos.yml", environment: unit.seen(missing.environment, isTrial: false))
        }
        #expect(error?.description == "pharos.yml:1:17: cannot read '\(path)': No such file or directory")
    }

    private static let way =
        "the daemon does not see PostgreSQL's socket in /tmp: its unit says PrivateTmp=yes. Move the socket, or say 'postgres: { conninfo: "
        + "host=127.0.0.1 user=pharos dbname=postgres }' in pharos.yml (TCP), or PrivateTmp=no in a drop-in (systemctl edit pharos, "
        + "section [Service])"

    @Test func `a socket where the daemon does not look is a warning with the ways out`() throws {
        #expect(try self.unit("").warnings(conninfo: "host=/tmp user=pharos") == [Self.way])
        #expect(try self.unit("PrivateTmp=no").warnings(conninfo: "host=/tmp user=pharos") == [])
        for conninfo in ["host=/var/run/postgresql", "host=127.0.0.1", "user=pharos"] {
            #expect(try self.unit("").warnings(conninfo: conninfo) == [])
        }
    }

    @Test func `a connection that failed there says so, another one does not`() {
        let failed = { (path: String, why: String) in
            "connection to server on socket \"\(path)/.s.PGSQL.5432\" failed: \(why)\n\tIs the server running locally?"
        }
        #expect(DaemonUnit.hint(failedSocket: failed("/tmp", "No such file or directory")) == Self.way)
        #expect(DaemonUnit.hint(failedSocket: failed("/tmp", "Connection refused")) == nil)
        #expect(DaemonUnit.hint(failedSocket: failed("/var/run/postgresql", "No such file or directory")) == nil)
        #expect(DaemonUnit.hint(failedSocket: "no answer") == nil)
    }
}
