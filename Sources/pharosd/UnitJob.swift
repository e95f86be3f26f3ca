// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc

/// What systemd is doing with this service at the moment.
enum UnitJob {
    /// How long systemd may take to answer. What is not known by then is taken for a stop.
    private static let patience: Duration = .milliseconds(300)
    private static let systemctl = "/usr/bin/systemctl"

    /// Whether the stop that this process has just been asked for is the first half of a restart. False wherever that is
    /// not certain: without systemd, without D-Bus, without an answer.
    @EventLoop
    static func isRestart() async -> Bool {
        guard getenv("INVOCATION_ID") != nil, let unit = self.ownUnit(), access(self.systemctl, X_OK) == 0 else {
            return false
        }
        let command = [self.systemctl, "list-jobs", "--no-legend", "--full", "--plain", unit]
        do throws(ChildProcessError) {
            let outcome = try await ChildProcess(
                command, kind: .serviceManager, timeout: self.patience, outputLimit: 1 << 16
            ).run()
            return outcome.exitCode == 0 && self.isRestart(of: unit, in: outcome.text)
        } catch {
            return false
        }
    }

    /// `systemctl list-jobs`: number, unit, type, state.
    static func isRestart(of unit: String, in jobs: String) -> Bool {
        jobs.split(separator: "\n").contains { line in
            let fields = line.split(separator: " ")
            return fields.count == 4 && fields[1] == unit && fields[2] == "restart"
        }
    }

    /// The service that this process belongs to, from its control group: `0::/system.slice/pharos.service`.
    private static func ownUnit() -> String? {
        let file = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = read(file, &buffer, buffer.count)
        guard count > 0 else { return nil }
        return self.unit(ofControlGroups: String(decoding: buffer[..<count], as: UTF8.self))
    }

    static func unit(ofControlGroups text: String) -> String? {
        text.split(separator: "\n").first { $0.hasPrefix("0::") }?.split(separator: "/").last
            .flatMap { $0.hasSuffix(".service") ? String($0) : nil }
    }
}
