// SPDX-License-Identifier: Apache-2.0
import Glibc
import Settings
import TestSupport
import Testing

struct HostileFileTests {
    private static let full = """
        patroni_config: /etc/patroni/config.yml
        scope: demo # the cluster
        member: "n1"
        namespace: /service/
        group: 0
        etcd: { endpoints: [http://10.0.0.1:2379, "https://[2001:db8::1]:2379"], username: u, password_file: /p,
                ca_file: /p, cert_file: /p, key_file: /p }
        patroni:
          url: https://n1:8008
          username: &user pharos
          password_file: /p
        postgres: { conninfo: "host=/var/run/postgresql user=pharos options='-c a=b'" }
        addresses:
        - &first { address: 10.10.10.3/24, interface: eth1, acquire: writable, label: rw }
        - address: 2001:db8::3/64
          interface: 'eth1'
        lease: { ttl: 30s, margin: 2s, root: /pharos/ }
        status: { socket: /run/pharos/pharos.sock, listen: 127.0.0.1:8009 }

        """

    /// Loads bytes as one of the two files; a failure must say where.
    private func load(_ bytes: [UInt8], asPatroni: Bool) -> Bool {
        var files = files(Self.full).adding("/p", "hunter2-hunter2")
        if asPatroni { files.files["pharos.yml"]?.contents = Array(minimal.utf8) }
        files.files[asPatroni ? patroniPath : "pharos.yml"]?.contents = bytes
        do throws(SettingsError) {
            let settings = try files.load()
            #expect(!settings.addresses.isEmpty && !settings.etcd.endpoints.isEmpty && !settings.scope.isEmpty)
            #expect(!"\(settings)".contains("hunter2"))
            return true
        } catch {
            #expect(!error.diagnostics.isEmpty && error.diagnostics.count <= 2 * SettingsError.limit)
            #expect(error.diagnostics.contains { $0.severity == .error })
            for diagnostic in error.diagnostics {
                #expect(diagnostic.line > 0 && diagnostic.column > 0 && !diagnostic.message.isEmpty, "\(diagnostic)")
                #expect(diagnostic.message.utf8.count < 2000)
                #expect(!diagnostic.description.unicodeScalars.contains { $0.value < 32 }, "\(diagnostic)")
                #expect(!diagnostic.message.contains("hunter2"))
            }
            return false
        }
    }

    @Test func `the file that is spoiled below is good`() {
        #expect(self.load(Array(Self.full.utf8), asPatroni: false))
        #expect(self.load(Array(patroni.utf8), asPatroni: true))
    }

    @Test func `every truncation loads or says where it broke`() {
        for (text, asPatroni) in [(Self.full, false), (patroni, true)] {
            let bytes = Array(text.utf8)
            let loaded = bytes.indices.filter { self.load(Array(bytes[..<$0]), asPatroni: asPatroni) }
            #expect(!loaded.contains(0) && loaded.count < bytes.count)
        }
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `random damage loads or says where it broke`(seed: UInt64) {
        var generator = SeededGenerator(seed)
        let texts = [Array(Self.full.utf8), Array(patroni.utf8)]
        // What YAML gives a meaning to, and what is no text at all.
        let splinters: [[UInt8]] =
            [
                "{", "}", "[", "]", ": ", "- ", "&a ", "*a", "*user", "!!int ", "!x ", "<<: ", "|\n", ">-\n", "\"", "'",
                "#", "%",
                "---\n", "...\n", "\t", "\n", "\r", "? ", "@", "`", "~", "\\", "\\0", "\u{2028}", "\u{feff}",
                "\u{202e}",
            ].map { Array($0.utf8) } + [
                [0], [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xfe, 0xff],
            ]
        var loaded = 0
        for index in 0..<5200 {
            let asPatroni = index % 3 == 2
            var bytes = texts[asPatroni ? 1 : 0]
            for _ in 0...Int.random(in: 0..<4, using: &generator) {
                let place = Int.random(in: 0..<max(1, bytes.count), using: &generator)
                let length = min(bytes.count - place, Int.random(in: 0..<24, using: &generator))
                switch Int.random(in: 0..<5, using: &generator) {
                case 0: bytes[place..<place + length] = []
                case 1: bytes.insert(contentsOf: splinters.randomElement(using: &generator) ?? [], at: place)
                case 2:
                    bytes.insert(
                        contentsOf: bytes[place..<place + length],
                        at: bytes.indices.randomElement(using: &generator) ?? 0
                    )
                case 3: bytes.swapAt(place, bytes.indices.randomElement(using: &generator) ?? place)
                default: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                }
                if bytes.isEmpty { bytes = [0x20] }
            }
            if self.load(bytes, asPatroni: asPatroni) { loaded += 1 }
        }
        // The damage must be neither too small to matter nor too great to get anywhere.
        #expect((300..<4700).contains(loaded), "\(loaded)")
    }

    @Test func `a file of byte order marks is no trouble, and one within Patroni's file is refused`() throws {
        _ = files(String(repeating: "\u{feff}", count: 300_000)).errors()
        let mark = "\u{feff}"
        _ = try files(mark + minimal, patroni: mark + patroni).load()
        let quoted = "x: '\(mark)'\n# \(mark)\n" + patroni
        _ = try files(minimal, patroni: quoted).load()
        // As PyYAML has it, these are keys with another name, or no YAML at all.
        for text in [mark + mark + patroni, "# first\n" + mark + patroni, patroni + "\n" + mark + "# last\n"] {
            let errors = files(minimal, patroni: text).errors()
            #expect(errors.count == 1 && errors[0].contains("a byte order mark "), "\(errors)")
        }
    }

    @Test(arguments: ["[", "{", "- ", "{a: ", "? ", "&a [", "!x {"])
    func `deep nesting is refused`(text: String) {
        let errors = files(String(repeating: text, count: 50_000)).errors()
        #expect(errors.count == 1 && errors[0].hasPrefix("pharos.yml:1:"), "\(errors)")
        let patroniErrors = files(minimal, patroni: "scope: demo\nx:\n  " + String(repeating: text, count: 5000))
            .errors()
        #expect(patroniErrors.count == 1 && patroniErrors[0].hasPrefix("/etc/patroni/config.yml:"), "\(patroniErrors)")
    }

    @Test func `a billion laughs cost nothing`() {
        var bomb = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n"
        for level in 1...30 {
            bomb +=
                "a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
                + "]\n"
        }
        #expect(files(minimal, patroni: bomb + patroni).environmentLoads)
        #expect(files(bomb + "addresses: *a30").errors().count == SettingsError.limit)
    }

    @Test func `aliases of what is not there, or not complete, are refused`() {
        #expect(files("a: *b").errors() == ["pharos.yml:1:4: alias '*b' refers to nothing before it"])
        #expect(files("a: &b [ *b ]").errors() == ["pharos.yml:1:9: alias '*b' refers to what it is a part of"])
        #expect(files("&b { <<: *b }").errors() == ["pharos.yml:1:10: alias '*b' refers to what it is a part of"])
    }

    @Test func `an alias is as good as what it stands for`() throws {
        let text = minimal + "\nscope: &name db\nmember: *name"
        #expect(try files(text).load().member == "db")
    }

    @Test func `too many values are refused`() {
        #expect(
            files("a: [" + String(repeating: "1,", count: 100_000)).errors() == [
                "pharos.yml:1:39999: more than 20000 values in one file"
            ]
        )
        #expect(files("&a b: [" + String(repeating: "*a ,", count: 100_000)).errors().count == 1)
        #expect(files(String(repeating: "k:\n", count: 100_000)).errors().count == 1)
    }

    @Test func `huge texts are refused and shown short`() async {
        let huge = String(repeating: "x", count: 900_000)
        for text in [
            "scope: \(huge)", "\(huge): 1", "scope: \"\(huge)\"", "\(huge)", "? \(huge)", "scope: |\n  \(huge)",
            "a: !\(huge) b",
        ] {
            await Task.yield()
            for error in files(text).errors() { #expect(error.utf8.count < 500, "\(error)") }
        }
    }

    @Test func `bytes that are no UTF-8 text are refused at their place`() {
        func errors(_ bytes: [UInt8]) -> [String] {
            var files = files("")
            files.files["pharos.yml"]?.contents = Array("a: 1\né: ".utf8) + bytes
            return files.errors()
        }
        #expect(errors([0]) == ["pharos.yml:2:4: control characters are not allowed (the file must be UTF-8 text)"])
        #expect(errors([0xff]) == ["pharos.yml:2:4: invalid leading UTF-8 octet (the file must be UTF-8 text)"])
        #expect(errors([0xc3]) == ["pharos.yml:2:4: incomplete UTF-8 octet sequence (the file must be UTF-8 text)"])
        #expect(errors(Array("\"\\0\"".utf8)) == ["pharos.yml:2:4: a NUL character in a text"])
        #expect(files("a: 1\n\tb: 2").errors()[0].hasSuffix("; a tab cannot indent, use blanks"))
        #expect(files("---\na: 1\n---\nb: 2").errors() == ["pharos.yml:3:1: a second document in one file"])
    }
}

extension Files {
    /// Whether pharos.yml loads.
    var environmentLoads: Bool {
        do {
            _ = try self.load()
            return true
        } catch { return false }
    }
}

struct SystemEnvironmentTests {
    @Test func `files are read with their mode and owner, up to a limit`() throws {
        let folder = try TemporaryDirectory("settings")
        defer { withExtendedLifetime(folder) {} }
        let directory = folder.path
        let path = directory + "/file"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        defer { unlink(path) }
        let contents = [UInt8](repeating: 7, count: 40_000)
        #expect(write(descriptor, contents, contents.count) == contents.count)
        fchmod(descriptor, 0o640)
        close(descriptor)
        let read = SettingsEnvironment.system.read
        #expect(try read(path, 40_000).get() == .init(contents: contents, mode: 0o640, owner: geteuid()))
        #expect(read(path, 39_999) == .failure(.tooLarge(39_999)))
        #expect(read(directory, 100) == .failure(.notRegular))
        #expect(read("/dev/zero", 100) == .failure(.notRegular))
        #expect(read(path + "/x", 100) == .failure(.system(ENOTDIR)))
        #expect(read(directory + "/absent", 100) == .failure(.system(ENOENT)))
        let pipe = directory + "/pipe"
        #expect(mkfifo(pipe, 0o600) == 0)
        defer { unlink(pipe) }
        #expect(read(pipe, 100) == .failure(.notRegular))
    }
}
