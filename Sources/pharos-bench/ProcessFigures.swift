// SPDX-License-Identifier: Apache-2.0
import Glibc
import NetworkBed

/// What the kernel has counted of a process, from /proc.
struct ProcessFigures: Sendable {
    /// Resident memory and the share of it that is this process's own, in KiB.
    var residentKiB = 0
    var proportionalKiB = 0
    var threads = 0
    /// How often any thread has waited since its start: each time it was woken again.
    var voluntarySwitches = 0
    /// CPU time since the start, of the process and of its children that have ended, in milliseconds.
    var ownMilliseconds = 0
    var childrenMilliseconds = 0

    init(process: Int32) throws(BedError) {
        guard let status = Files.read("/proc/\(process)/status"), let stat = Files.read("/proc/\(process)/stat"),
            let rollup = Files.read("/proc/\(process)/smaps_rollup")
        else { throw BedError("process \(process) is gone") }
        self.residentKiB = Self.number("VmRSS:", in: status)
        self.proportionalKiB = Self.number("Pss:", in: rollup)
        for thread in Files.names(in: "/proc/\(process)/task") {
            guard let status = Files.read("/proc/\(process)/task/\(thread)/status") else { continue }
            self.threads += 1
            self.voluntarySwitches += Self.number("voluntary_ctxt_switches:", in: status)
        }
        // After the name in parentheses, which may contain anything, field 3 of proc(5) follows.
        let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ").dropFirst()
        let ticks = fields.dropFirst(11).prefix(4).compactMap { Int($0) }
        guard ticks.count == 4 else { throw BedError("/proc/\(process)/stat cannot be understood") }
        let perSecond = sysconf(Int32(_SC_CLK_TCK))
        self.ownMilliseconds = (ticks[0] + ticks[1]) * 1000 / perSecond
        self.childrenMilliseconds = (ticks[2] + ticks[3]) * 1000 / perSecond
    }

    /// The number after `name` at the beginning of a line; 0 where there is none.
    private static func number(_ name: String, in text: String) -> Int {
        for line in text.split(separator: "\n") where line.hasPrefix(name) {
            return line.dropFirst(name.count).split(whereSeparator: { $0 == " " || $0 == "\t" }).first
                .flatMap { Int($0) } ?? 0
        }
        return 0
    }
}
