// SPDX-License-Identifier: Apache-2.0
import Glibc

/// How many tasks this process's control group allows and has (`TasksMax=` of a unit): from its `pids.max` and `pids.current`.
///
/// Reads two small files of the kernel's, which never keep anybody waiting.
public struct TaskRoom: Sendable {
    private let folder: String

    /// - Parameter folder: of the control group, such as `/sys/fs/cgroup/system.slice/pharos.service`.
    public init(folder: String) { self.folder = folder }

    /// The group that this process is in; nil where there is none that counts tasks.
    public init?() {
        guard let groups = Self.read("/proc/self/cgroup"), let folder = Self.folder(ofControlGroups: groups) else {
            return nil
        }
        self.folder = folder
        guard access(folder + "/pids.current", R_OK) == 0 else { return nil }
    }

    /// `/proc/self/cgroup`: one hierarchy for all (version 2), or one of its own for tasks (version 1).
    static func folder(ofControlGroups text: String) -> String? {
        let lines = text.split(separator: "\n").map { $0.split(separator: ":", maxSplits: 2) }
        func path(_ isWanted: (Substring) -> Bool) -> Substring? {
            lines.first { $0.count == 3 && isWanted($0[1]) }?[2]
        }
        if let path = path({ $0 == "pids" }) { return "/sys/fs/cgroup/pids\(path)" }
        // Between its colons nothing stands.
        return text.split(separator: "\n").first { $0.hasPrefix("0::/") }.map { "/sys/fs/cgroup\($0.dropFirst(3))" }
    }

    /// How many tasks there may be; nil: any number.
    public var limit: Int? { Self.number(self.folder + "/pids.max") }

    /// How many more there may be; nil: any number.
    public var free: Int? {
        guard let limit = self.limit, let current = Self.number(self.folder + "/pids.current") else { return nil }
        return max(limit - current, 0)
    }

    private static func number(_ path: String) -> Int? {
        self.read(path)?.split(separator: "\n").first.flatMap { Int($0) }
    }

    private static func read(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(file, &buffer, buffer.count)
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}
