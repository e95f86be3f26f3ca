// SPDX-License-Identifier: Apache-2.0
import Conninfo
import Testing

@testable import Settings

/// What the connection strings in pharos.yml may say.
struct ConninfoRulesTests {
    private func message(_ text: String, _ check: (String) throws(InvalidValue) -> String = ConninfoRules.check)
        -> String?
    {
        do throws(InvalidValue) {
            return try check(text) == text ? nil : "changed"
        } catch {
            return error.message
        }
    }

    private func standing(_ line: String) -> Files {
        standalone("etcd: { endpoints: [\"http://127.0.0.1:2379\"] }\n\(line)")
    }

    @Test(arguments: [
        "host=db.example.org", "host=localhost", "host=/run,localhost", "host=db1,db2 hostaddr=10.0.0.1,",
        "host=db1,db2 hostaddr=,10.0.0.2", "host=10.1", "postgresql://db.example.org", "postgresql://u@10.0.0.1,db/d",
        "postgresql:///d?host=db", "postgresql:///d?h%6Fst=db", "postgresql://%64b/d", "host=/run host=db", "",
        "host=a,b port=5432,5433", "host=a,b port=5433", "host=a,b port=,5433", "postgresql://[::1]:5433,b/d",
        "host=fe80::1%eth0", "host=a target_session_attrs=prefer-standby",
    ])
    func `names, addresses and sockets are taken, alone and in lists that fit together`(text: String) {
        #expect(self.message(text) == nil)
    }

    @Test(
        arguments: [
            ("host='[::1]'", "'host': expected the directory of a socket, an address"),
            ("host='/run,a b'", "entry 2 of 'host': expected"), ("host=-v", "'host': expected"),
            ("host=run/postgresql", "'host': expected"), ("host=10.0.0.1%eth0", "'host': expected"),
            ("host=db hostaddr=db", "'hostaddr': expected an address such as 10.0.0.1; a name belongs into 'host'"),
            ("hostaddr=10.0.0.1,x", "entry 2 of 'hostaddr'"),
            ("host=a,b hostaddr=10.0.0.1", "'host' has 2 entries and 'hostaddr' 1; expected as many of both"),
            ("host=a,b port=1,2,3", "'port' has 3 entries for 2 hosts; expected one for all"),
            ("port=1,2", "'port' has 2 entries for one host"), ("port=0", "'port': expected a number from 1"),
            ("host=a,b port=1,x", "entry 2 of 'port'"), ("host=a port=65536", "'port'"),
            ("host=" + (1...17).map { "h\($0)" }.joined(separator: ","), "expected at most 16 hosts, not 17"),
            ("host=a,b target_session_attrs=prefer-standby", "'target_session_attrs=prefer-standby' is refused"),
        ])
    func `what cannot be tried one after another is refused, with what was expected and where`(
        text: String, beginning: String
    ) {
        #expect(self.message(text)?.hasPrefix(beginning) == true, "\(self.message(text) ?? "taken")")
    }

    @Test(
        arguments: [
            ("host=/run,10.0.0.1", ""), ("", ""), ("host=db hostaddr=10.0.0.1", ""),
            ("host=LocalHost.", " (LocalHost. is 127.0.0.1, then ::1)"),
            ("host=/run,db,localhost,db", " (db is looked up by the daemon; localhost is 127.0.0.1, then ::1)"),
        ])
    func `who checks the file reads what the names mean`(text: String, meaning: String) throws {
        #expect(ConninfoRules.meaning(of: text) == meaning)
        guard !text.isEmpty else { return }
        let settings = try self.standing("postgres: { conninfo: '\(text)' }").load()
        #expect(settings.provenance.first { $0.key == "postgres.conninfo" }?.value == text + meaning)
        #expect(settings.postgres.conninfo == text)
    }

    @Test(arguments: ["citus", "detector"]) func `a host for all nodes has no effect, and is told`(section: String)
        throws
    {
        let place = section == "citus" ? "databases: [app], groups: { 0: demo }, " : ""
        func warnings(_ text: String) throws -> [String] {
            try self.standing("\(section): { \(place)node_conninfo: '\(text)' }").load().warnings.map(\.message)
        }
        #expect(try warnings("user=pharos").isEmpty)
        for text in ["host=db.example.org", "port=5433", "postgresql://10.0.0.1/"] {
            #expect(try warnings(text).first?.contains("'host', 'hostaddr' and 'port' have no effect") == true)
        }
    }

    @Test(arguments: [
        "service=db", "host=/run service='db'", "postgresql:///?service=db", "postgresql:///?s%65rvice=db",
    ])
    func `a service is refused, with the reason`(text: String) {
        #expect(self.message(text)?.hasPrefix("'service' is refused: a service file could name a host") == true)
    }

    @Test(arguments: [
        "password=hunter2", "host=/run password='hunter2'", "postgresql://u:hunter2@/d", "sslpassword=hunter2",
        "postgresql:///d?password=hunter2", "postgresql:///d?pass%77ord=hunter2", "password=x password=hunter2",
        "host=db.example.org service=x password=hunter2",
    ])
    func `a password is refused before all else, and not shown`(text: String) {
        #expect(self.message(text)?.contains("hunter2") == false)
        #expect(self.message(text, ConninfoRules.checkPool)?.contains("hunter2") == false)
        #expect(self.message(text)?.hasPrefix("a password does not belong in this file") == true)
    }

    @Test(arguments: [
        "password=hunter2 word", "password='hunter2", "password", "password=hunter2 hunter3=",
        "postgresql://u:hunter2@[::1",
        "postgresql://u:hunter%2", "postgresql:///?hunter2", "postgresql:///?hunter2=x&hunter3=y", "=hunter2",
        "hunter2=",
        "password=x\u{0}hunter2",
    ])
    func `nothing of what libpq cannot read is shown`(text: String) {
        let message = self.message(text)
        #expect(message != nil && message?.contains("hunter") == false, "\(message ?? "taken")")
    }

    @Test(arguments: [
        ("hots=/run", "host"), ("hostadr=10.0.0.1", "hostaddr"), ("ssl_mode=require", "sslmode"),
        ("User=pharos", "user"),
        ("postgresql:///d?connect_timeuot=2", "connect_timeout"),
    ])
    func `a keyword that libpq lacks is refused, with the nearest that it has`(text: String, nearest: String) {
        let start = "a keyword that libpq \(ConnectionString.libraryVersion), which is installed here, does not know"
        #expect(self.message(text) == start + "; did you mean '\(nearest)'?")
        #expect(self.message("no_such_keyword_anywhere=1") == start)
    }

    @Test func `every keyword of the installed libpq is taken, but those that are refused`() {
        let refused = ConnectionString.keywords.filter {
            self.message("\($0)=1") != nil && self.message("\($0)=::1") != nil
        }
        #expect(Set(refused).isSuperset(of: ["service", "password", "sslpassword"]))
        #expect(
            Set(refused).isSubset(of: [
                "service", "servicefile", "password", "sslpassword", "oauth_client_secret", "scram_client_key",
                "scram_server_key",
            ]))
        #expect(ConnectionString.keywords.count > 30)
    }

    @Test(
        arguments: [
            ("host={host} port={port} dbname=app", nil), ("host=pool.example.org port=6432", nil),
            ("postgresql://pool.example.org", "expected pairs"), ("hots={host}", "a keyword"),
            ("host={host} password=x", "a password"),
        ] as [(String, String?)])
    func `a pool's host is Citus's to resolve`(text: String, beginning: String?) {
        let message = self.message(text, ConninfoRules.checkPool)
        #expect(beginning.map { message?.hasPrefix($0) == true } ?? (message == nil), "\(message ?? "taken")")
    }
}
