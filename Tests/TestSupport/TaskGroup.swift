// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A control group of the kernel's that limits tasks; killed and removed when the last reference goes.
public final class TaskGroup: Sendable {
    public let path: String

    /// Nil where none can be made: without root's rights, or where the kernel does not count tasks.
    public init?(_ name: String, limit: Int) {
        let name = "pharos-\(name)-\(getpid())"
        for root in ["/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"] {
            let path = "\(root)/\(name)"
            guard access(root + "/cgroup.procs", F_OK) == 0, mkdir(path, 0o755) == 0 else { continue }
            if Self.write("\(limit)", to: path + "/pids.max") {
                self.path = path
                return
            }
            rmdir(path)
        }
        return nil
    }

    deinit {
        for process in self.processes { kill(process, SIGKILL) }
        // What was killed leaves the group as soon as the kernel gets to it.
        for _ in 0..<1000 where rmdir(self.path) != 0 && errno == EBUSY { usleep(5000) }
    }

    public var processes: [Int32] {
        guard let file = fopen(self.path + "/cgroup.procs", "r") else { return [] }
        defer { fclose(file) }
        var found: [Int32] = []
        var buffer = [CChar](repeating: 0, count: 64)
        while fgets(&buffer, Int32(buffer.count), file) != nil { found.append(Int32(atoi(buffer))) }
        return found
    }

    /// Threads count, too.
    public var taskCount: Int {
        guard let file = fopen(self.path + "/pids.current", "r") else { return 0 }
        defer { fclose(file) }
        var buffer = [CChar](repeating: 0, count: 64)
        return fgets(&buffer, Int32(buffer.count), file) == nil ? 0 : Int(atoi(buffer))
    }

    /// For a shell: enters the group.
    public var entrance: String { "echo $$ > \(self.path)/cgroup.procs" }

    private static func write(_ text: String, to path: String) -> Bool {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        return Glibc.write(file, text, text.utf8.count) == text.utf8.count
    }
}
