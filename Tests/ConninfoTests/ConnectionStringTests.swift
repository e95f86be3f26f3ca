// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import TestSupport
import Testing

@testable import Conninfo

/// libpq's parser, as it is seen from Swift.
@Suite(.serialized)
struct ConnectionStringTests {
    @Test(
        arguments: [
            ("host=/run port=5433 user=pharos", ["host": "/run", "port": "5433", "user": "pharos"]),
            ("user = 'a b' dbname='it\\'s'", ["user": "a b", "dbname": "it's"]), ("user=a user=b", ["user": "b"]),
            ("user=''", [:]), ("", [:]),
            (
                "postgresql://u@[2001:db8::1]:5433,h:1/d",
                ["user": "u", "host": "2001:db8::1,h", "port": "5433,1", "dbname": "d"]
            ),
            ("postgres://%2Frun%2Fpg/d?sslmode=require", ["host": "/run/pg", "dbname": "d", "sslmode": "require"]),
        ] as [(String, [String: String])])
    @EventLoop func `a text says what libpq reads in it, and nothing else`(text: String, values: [String: String])
        throws
    {
        // Neither the environment nor a service file is asked.
        setenv("PGHOST", "db.example.org", 1)
        setenv("PGSERVICE", "none", 1)
        defer { LibpqEnvironment.clear() }
        let string = try ConnectionString(text)
        for keyword in ConnectionString.keywords { #expect(string[keyword] == values[keyword], "\(keyword)") }
        #expect(string.secrets.isEmpty)
    }

    @Test func `a pair is read as it was meant`() throws {
        for value in ["/run", "a b", "it's", "back\\slash", "", "=", " ", "\t'\\", "é\n"] {
            #expect(try ConnectionString(ConnectionString.pair("user", value))["user"] ?? "" == value)
        }
    }

    @Test(
        arguments: [
            ("user=a", [.init(place: .usualSocket, port: nil)]),
            (
                "host=/run,@pg port=5433",
                [
                    .init(place: .socket(directory: "/run"), port: 5433),
                    .init(place: .socket(directory: "@pg"), port: 5433),
                ]
            ),
            ("host=db hostaddr=10.0.0.1", [.init(place: .address("10.0.0.1", name: "db"), port: nil)]),
            (
                "postgresql://10.0.0.1,db:1/d",
                [
                    .init(place: .address("10.0.0.1", name: "10.0.0.1"), port: nil),
                    .init(place: .name("db"), port: 1),
                ]
            ),
            (
                "hostaddr=::1,10.0.0.1 port=1,2",
                [
                    .init(place: .address("::1", name: nil), port: 1),
                    .init(place: .address("10.0.0.1", name: nil), port: 2),
                ]
            ),
        ] as [(String, [ConnectionTarget])])
    func `a string names servers, in libpq's order`(text: String, targets: [ConnectionTarget]) throws {
        #expect(try ConnectionString(text).targets() == targets)
    }

    @Test func `a server is named to libpq with its address, and the rest of the string says the rest`() throws {
        let string = try ConnectionString("postgresql://u@db,/d?port=1,2&host=db,/run&application_name=it%27s%20me")
        #expect(string.textWithoutTargets == #"application_name='it\'s me' dbname=d user=u"#)
        let options = try string.targets().map { $0.options(at: "10.0.0.1").map { "\($0.keyword)=\($0.value)" } }
        #expect(options == [["host=db", "hostaddr=10.0.0.1", "port=1"], ["host=/run", "port=2"]])
        let other = string.overriding([("host", "/tmp"), ("port", ""), ("user", "w")])
        #expect(other["host"] == "/tmp" && other["port"] == "1,2" && other["user"] == "w" && other["dbname"] == "d")
    }

    @Test func `what is a secret, libpq knows`() throws {
        #expect(try ConnectionString("password=x user=y sslpassword=z").secrets == ["password", "sslpassword"])
        #expect(try ConnectionString("postgresql://u:x@/d").secrets == ["password"])
    }

    // On the loop: children are started there, with the environment of that moment.
    @Test @EventLoop func `every variable that libpq takes defaults from is cleared, and no other`() {
        let names = ConnectionString.variables
        #expect(names.contains("PGHOST") && names.contains("PGSERVICE") && names.count > 20)
        #expect(names.allSatisfy { $0.hasPrefix("PG") })
        let others = ["PGSYSCONFDIR", "PGSERVICEFILE", "PGTARGETSESSIONATTRS", "PGREQUIREPEER", "PG"]
        for name in names + others { setenv(name, "x", 1) }
        setenv("NOT_PG", "x", 1)
        defer { unsetenv("NOT_PG") }
        LibpqEnvironment.clear()
        #expect(LibpqEnvironment.names.isEmpty)
        for name in names + others { #expect(getenv(name) == nil, "\(name)") }
        #expect(getenv("NOT_PG") != nil && getenv("PATH") != nil)
    }

    @Test func `10,000 mutations of strings crash nothing`() async {
        var generator = SeededGenerator(5)
        let texts = [
            "host=/run port=5433 user='a b' options='-c a=b'",
            "postgres://u:p%40@[2001:db8::1]:5432,h:1/d?sslmode=require&host=%2Frun",
        ].map { Array($0.utf8) }
        var failures = 0
        for index in 0..<10_000 {
            let text = String(decoding: mutated(texts[index % 2], &generator), as: UTF8.self)
            do throws(ConnectionString.ParsingError) {
                _ = try ConnectionString(text)
            } catch {
                failures += 1
            }
        }
        #expect((1000..<9900).contains(failures))
    }
}
