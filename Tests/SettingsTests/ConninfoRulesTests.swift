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

    @Test(arguments: [
        "host=db.example.org", "host=localhost", "host=/run,localhost", "host=db1,db2 hostaddr=10.0.0.1",
        "host=db1,db2 hostaddr=10.0.0.1,", "host=db1,db2 hostaddr=,10.0.0.2", "host='[::1]'", "host=10.1",
        "postgresql://db.example.org", "postgresql://u@10.0.0.1,db/d", "postgresql:///d?host=db",
        "postgresql:///d?h%6Fst=db", "postgresql://%64b/d", "host=/run host=db", "postgresql://10.0.0.1/d?host=db",
    ])
    func `a name that libpq would resolve is refused, wherever it stands`(text: String) {
        #expect(self.message(text)?.hasPrefix("a host's name would have to be resolved") == true)
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
        let refused = ConnectionString.keywords.filter { self.message("\($0)=/1") != nil }
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
