// SPDX-License-Identifier: Apache-2.0
import Glibc
import NetworkBed

/// What was measured on.
struct Machine: Sendable {
    let processor: String
    let processors: Int
    let memoryMiB: Int
    let kernel: String
    let system: String
    /// UTC.
    let date: String
    let load: String

    static func read() -> Machine {
        func value(_ file: String, _ name: String, _ separator: Character) -> String? {
            let line = (Files.read(file) ?? "").split(separator: "\n").first { $0.hasPrefix(name) }
            return line?.split(separator: separator, maxSplits: 1).last.map {
                String($0.filter { $0 != "\"" }.drop { $0 == " " || $0 == "\t" })
            }
        }
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        var text = [CChar](repeating: 0, count: 32)
        strftime(&text, text.count, "%Y-%m-%d %H:%M UTC", &parts)
        let memory = value("/proc/meminfo", "MemTotal", ":")?.split(separator: " ").first.flatMap { Int($0) } ?? 0
        return Machine(
            processor: value("/proc/cpuinfo", "model name", ":") ?? "unknown",
            processors: sysconf(Int32(_SC_NPROCESSORS_ONLN)),
            memoryMiB: memory / 1024,
            kernel: (Files.read("/proc/sys/kernel/osrelease") ?? "unknown").filter { $0 != "\n" },
            system: value("/etc/os-release", "PRETTY_NAME", "=") ?? "unknown",
            date: String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self),
            load: (Files.read("/proc/loadavg") ?? "").split(separator: " ").prefix(3).joined(separator: " ")
        )
    }
}
