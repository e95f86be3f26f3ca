// SPDX-License-Identifier: Apache-2.0
public import Audit
import CLinux
public import EventLoop
import Glibc
import KernelPlaces
import NetworkAddress
public import Settings
import VirtualAddress

/// What is found on this node: its kernel, its units, its files. To be looked for with root's rights, where there are any: some of the
/// files are for PostgreSQL's user alone.
public struct LocalFacts: Sendable {
    public private(set) var node = AuditFacts.Node()
    public private(set) var file: Fact<AuditFacts.PatroniLocal> = .unlooked(why: AuditFacts.notAsked)

    public private(set) var patroniConfig: String?

    /// Of each program that is asked.
    nonisolated static let timeout: Duration = .seconds(3)
    private static let units = ["LoadState", "ActiveState", "UnitFileState", "Restart", "KillMode"]

    /// `configuration`: the path of pharos.yml. Within some seconds.
    @EventLoop
    public init(_ settings: Settings, configuration: String) async {
        let excerpt: Fact<PatroniExcerpt>
        do throws(SettingsError) {
            let loaded = try PatroniExcerpt.load(path: configuration)
            excerpt =
                loaded.map { .known($0, source: $0.path) }
                ?? .unlooked(why: "Patroni's file: pharos.yml does not name it (patroni_config)")
        } catch {
            excerpt = .unlooked(why: "Patroni's file: \(error.diagnostics.first?.description ?? "it cannot be read")")
        }
        if case .known(let patroni, let source) = excerpt {
            self.file = .known(AuditFacts.PatroniLocal(patroni), source: source)
            self.patroniConfig = patroni.path
        } else {
            self.file = .unlooked(why: excerpt.why ?? AuditFacts.notAsked)
        }
        self.readKernel(settings)
        let device = excerpt.value?.text("watchdog", "device") ?? "/dev/watchdog"
        self.node.hasWatchdog = .known(access(device, F_OK) == 0, source: device)
        self.readClusters()
        let patroniUnit = settings.instance.name.map { "patroni@\($0)" } ?? "patroni"
        self.node.units["patroni"] = await Self.unit(patroniUnit)
        self.node.units[settings.instance.unit] = await Self.unit(settings.instance.unit)
        if let data = excerpt.value?.text("postgresql", "data_dir") {
            self.node.dataDisk = await Self.disk(data)
            self.node.walDisk = await Self.disk(data + "/pg_wal")
            self.node.postmasterScore = Self.score(data)
        } else {
            let why = excerpt.why ?? "Patroni's file names no data_dir"
            (self.node.dataDisk, self.node.walDisk) = (.unlooked(why: why), .unlooked(why: why))
            self.node.postmasterScore = .unlooked(why: why)
        }
        self.node.interfaces = await Self.interfaces()
        await self.readCertificates(settings, excerpt.value)
    }

    mutating func set(certificates: Fact<[AuditFacts.Node.Certificate]>) { self.node.certificates = certificates }
    mutating func set(keys: Fact<[AuditFacts.Node.KeyFile]>) { self.node.keyFiles = keys }

    // MARK: - systemd

    @EventLoop
    private static func unit(_ name: String) async -> Fact<[String: String]> {
        let command = [
            "/usr/bin/systemctl", "show", "\(name).service", "--property=\(Self.units.joined(separator: ","))",
        ]
        switch await Self.run(command) {
        case .failure(let why): return .unlooked(why: why.text)
        case .success(let text):
            var properties: [String: String] = [:]
            for line in text.split(separator: "\n") {
                guard let equals = line.firstIndex(of: "=") else { continue }
                properties[String(line[..<equals])] = String(line[line.index(after: equals)...])
            }
            guard !properties.isEmpty else { return .unlooked(why: "systemctl show \(name): \(text.prefix(100))") }
            return .known(properties, source: "systemctl show \(name)")
        }
    }

    struct Refusal: Error { let text: String }

    @EventLoop
    static func run(_ command: [String]) async -> Result<String, Refusal> {
        guard access(command[0], X_OK) == 0 else { return .failure(Refusal(text: "there is no \(command[0])")) }
        do throws(ChildProcessError) {
            let outcome = try await ChildProcess(command, kind: .tool, timeout: Self.timeout, outputLimit: 1 << 16)
                .run()
            guard outcome.exitCode == 0 else {
                return .failure(Refusal(text: "\(command.joined(separator: " ")): \(outcome.text.firstLine)"))
            }
            return .success(outcome.text)
        } catch {
            return .failure(Refusal(text: error.description))
        }
    }

    /// Who else starts PostgreSQL: units that systemd starts at a boot, and Debian's clusters.
    private mutating func readClusters() {
        let wanted = "/etc/systemd/system/multi-user.target.wants"
        let environment = SettingsEnvironment.system
        let folder = "/etc/postgresql"
        var isDebian = true
        var clusters: [String] = []
        switch environment.list(folder) {
        case .failure(.system(ENOENT)): isDebian = false
        case .failure(let error): self.node.automaticClusters = .unlooked(why: "\(folder): \(error)")
        case .success(let versions):
            for version in versions.sorted() {
                guard case .success(let names) = environment.list("\(folder)/\(version)") else { continue }
                for name in names.sorted() {
                    guard case .success(let file) = environment.read("\(folder)/\(version)/\(name)/start.conf", 1 << 16)
                    else {
                        continue
                    }
                    let lines = String(decoding: file.contents, as: UTF8.self).split(separator: "\n")
                    let words = lines.map { $0.prefix { $0 != "#" }.filter { $0 != " " && $0 != "\t" } }
                    if words.first(where: { !$0.isEmpty }) == "auto" { clusters.append("\(version)/\(name)") }
                }
            }
        }
        if self.node.automaticClusters.why == AuditFacts.notAsked {
            self.node.automaticClusters = .known(clusters, source: folder)
        }
        switch environment.list(wanted) {
        case .failure(.system(ENOENT)): self.node.postgresUnits = .known([], source: wanted)
        case .failure(let error): self.node.postgresUnits = .unlooked(why: "\(wanted): \(error)")
        case .success(let names):
            // Debian's postgresql.service alone starts nothing: it starts what start.conf says.
            let units = names.filter {
                $0.hasPrefix("postgresql@") || $0.hasPrefix("postgresql-") || (!isDebian && $0 == "postgresql.service")
            }
            self.node.postgresUnits = .known(units.sorted(), source: wanted)
        }
    }

    // MARK: - Disks and addresses

    @EventLoop
    private static func disk(_ path: String) async -> Fact<AuditFacts.Node.Disk> {
        // By a child: a file system that hangs keeps nobody.
        switch await Self.run(["/usr/bin/stat", "--file-system", "--format=%S %b %a %c %d", path]) {
        case .failure(let why): return .unlooked(why: why.text)
        case .success(let text):
            let numbers = text.split { $0 == " " || $0 == "\n" }.compactMap { Int64($0) }
            guard numbers.count == 5, numbers[0] > 0 else {
                return .unlooked(why: "stat of \(path): \(text.prefix(100))")
            }
            var disk = AuditFacts.Node.Disk()
            disk.path = path
            disk.size = numbers[1].multipliedReportingOverflow(by: numbers[0]).partialValue
            disk.free = numbers[2].multipliedReportingOverflow(by: numbers[0]).partialValue
            disk.freeInodes = numbers[3] > 0 ? Double(numbers[4]) / Double(numbers[3]) : nil
            return .known(disk, source: "stat of \(path)")
        }
    }

    @EventLoop
    private static func interfaces() async -> Fact<[AuditFacts.Node.Interface]> {
        guard let ip = AddressCommands.findIP() else {
            return .unlooked(why: "there is no ip program: install iproute2")
        }
        do throws(CommandFailure) {
            let kernel = try await AddressCommands(ipPath: ip).list()
            let interfaces = kernel.interfaces.flatMap { told in
                ([told.name] + told.alternativeNames).map { name in
                    var interface = AuditFacts.Node.Interface()
                    interface.name = name
                    interface.addresses = kernel.addresses.filter { $0.place.interface == told.name }.map(
                        \.place.address)
                    return interface
                }
            }
            return .known(interfaces, source: "ip address")
        } catch {
            return .unlooked(why: "the kernel's addresses: \(error)")
        }
    }
}

// MARK: - The kernel

extension LocalFacts {
    private static func text(of path: String) -> Fact<String> {
        switch SettingsEnvironment.system.read(path, 1 << 16) {
        case .success(let file):
            var text = String(decoding: file.contents, as: UTF8.self)
            while text.last?.isWhitespace == true { text.removeLast() }
            return .known(text, source: path)
        case .failure(let error): return .unlooked(why: "\(path): \(error)")
        }
    }

    private mutating func readKernel(_ settings: Settings) {
        var names = [
            "net.ipv4.ip_nonlocal_bind", "net.ipv6.ip_nonlocal_bind", "vm.overcommit_memory",
            "net.ipv4.conf.all.arp_ignore",
        ]
        names += settings.addresses.map { "net.ipv4.conf.\($0.interface).arp_ignore" }
        for name in names {
            // An interface's name may have points in it: only the others are folders.
            let parts = name.split(separator: ".", maxSplits: 3).map(String.init)
            let path =
                name.hasPrefix("net.ipv4.conf.") && !name.hasPrefix("net.ipv4.conf.all.")
                ? "/proc/sys/net/ipv4/conf/\(parts[3].dropLast(".arp_ignore".count))/arp_ignore"
                : "/proc/sys/" + name.split(separator: ".").joined(separator: "/")
            self.node.sysctls[name] = Self.text(of: path)
        }
        switch linux_clock_is_synchronized() {
        case let number where number < 0:
            self.node.isClockSynchronized = .unlooked(why: "adjtimex: \(String(cString: strerror(-number)))")
        case let number: self.node.isClockSynchronized = .known(number == 1, source: "adjtimex")
        }
        switch Self.text(of: "/proc/meminfo") {
        case .unlooked(let why): self.node.swap = .unlooked(why: why)
        case .known(let text, let source):
            func bytes(_ name: String) -> Int64? {
                guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name + ":") }) else {
                    return nil
                }
                return line.split(separator: " ").dropFirst().first.flatMap { Int64($0) }.map { $0 << 10 }
            }
            if let total = bytes("SwapTotal"), let free = bytes("SwapFree") {
                self.node.swap = .known((total: total, free: free), source: source)
            } else {
                self.node.swap = .unlooked(why: "\(source) does not tell of swap")
            }
        }
        switch Self.text(of: "/proc/pressure/memory") {
        case .unlooked(let why): self.node.memoryPressure = .unlooked(why: why)
        case .known(let text, let source):
            let line = text.split(separator: "\n").first { $0.hasPrefix("full ") } ?? ""
            let word = line.split(separator: " ").first { $0.hasPrefix("avg300=") } ?? ""
            let value = Double(word.dropFirst("avg300=".count))
            self.node.memoryPressure =
                value.map { .known($0, source: source) } ?? .unlooked(why: "\(source): an unexpected text")
        }
    }

    private static func score(_ data: String) -> Fact<Int> {
        switch Self.text(of: data + "/postmaster.pid") {
        case .unlooked(let why): return .unlooked(why: why)
        case .known(let text, _):
            guard let process = text.split(separator: "\n").first.flatMap({ Int32($0) }), process > 0 else {
                return .unlooked(why: "\(data)/postmaster.pid: an unexpected text")
            }
            switch Self.text(of: "/proc/\(process)/oom_score_adj") {
            case .unlooked(let why): return .unlooked(why: why)
            case .known(let text, let source):
                return Int(text).map { .known($0, source: source) } ?? .unlooked(why: "\(source): an unexpected text")
            }
        }
    }
}
