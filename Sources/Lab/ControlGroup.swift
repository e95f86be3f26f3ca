// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc

/// A control group below the lab's own: all processes of a node are in one, and so can be found, frozen and ended
/// without ever guessing at names.
///
/// Where the host still mounts version 1 beside version 2, only version 2 is used, except that systemd-nspawn makes a
/// folder in the version 1 hierarchy called `systemd`: its processes get a group of ours there too, to be removed after.
struct ControlGroup: Sendable {
    /// The group's folder below the root of a hierarchy.
    let name: String

    /// The group of a node's machine, or of another part of the lab.
    init(_ part: String) { self.name = "\(LabLayout.prefix)/\(part)" }

    /// The group of the whole lab.
    private init() { self.name = LabLayout.prefix }

    private static func mounts() -> (unified: String?, named: String?) {
        var found: (unified: String?, named: String?)
        for line in (Host.readText("/proc/self/mounts") ?? "").split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count > 3 else { continue }
            if fields[2] == "cgroup2", found.unified == nil { found.unified = String(fields[1]) }
            if fields[2] == "cgroup", fields[3].contains("name=systemd") { found.named = String(fields[1]) }
        }
        return found
    }

    /// The folder in the cgroup2 hierarchy.
    func path() throws(LabError) -> String {
        guard let unified = Self.mounts().unified else { throw LabError(.host, "no cgroup2 file system is mounted") }
        return "\(unified)/\(self.name)"
    }

    /// Makes the groups; answers the files into which a process writes its id to enter them.
    private func make() throws(LabError) -> [String] {
        var folders = [try self.path()]
        if let named = Self.mounts().named { folders.append("\(named)/\(self.name)") }
        for folder in folders { try Host.makeFolder(folder) }
        return folders.map { "\($0)/cgroup.procs" }
    }

    /// A command that enters the group and then becomes `command`, or, with a `log`, starts it for good and answers its
    /// process id.
    ///
    /// A shell, because a process must be in its group before it starts others; and because what shall outlive us must
    /// be a grandchild: `ChildProcess` ties its children to our life.
    func command(_ command: [String], log: String? = nil) throws(LabError) -> [String] {
        let entrances = try self.make()
        let start = log == nil ? #"exec "$@""# : #"setsid "$@" > "$log" 2>&1 < /dev/null & echo $!"#
        let script = """
            count=$1; log=$2; shift 2
            while [ "$count" -gt 0 ]; do echo $$ > "$1" || exit 1; shift; count=$((count - 1)); done
            \(start)
            """
        return ["sh", "-c", script, "sh", String(entrances.count), log ?? "-"] + entrances + command
    }

    /// Ids of all processes in the group and below it, as the host numbers them.
    func processes() throws(LabError) -> [Int32] {
        Self.folders(below: try self.path()).flatMap { folder in
            (Host.readText("\(folder)/cgroup.procs") ?? "").split(separator: "\n").compactMap { Int32($0) }
        }
    }

    /// Stops the group's processes in the kernel, or lets them run on.
    func setFrozen(_ frozen: Bool) throws(LabError) {
        let path = try self.path()
        guard Host.exists(path) else { return }
        try Host.control("\(path)/cgroup.freeze", frozen ? "1" : "0")
    }

    /// Kills everything in the group at once, and waits until it is gone.
    @EventLoop
    func kill() async throws(LabError) {
        let path = try self.path()
        guard Host.exists(path) else { return }
        try Host.control("\(path)/cgroup.kill", "1")
        let deadline = ContinuousClock.now + .seconds(10)
        while try !self.processes().isEmpty {
            guard .now < deadline else { throw LabError(.timeout, "processes of \(self.name) survive SIGKILL") }
            try await pause(.milliseconds(5))
        }
    }

    /// Removes the groups, which must be empty.
    func remove() throws(LabError) {
        var folders = [try self.path()]
        if let named = Self.mounts().named { folders.append("\(named)/\(self.name)") }
        for folder in folders.flatMap({ Self.folders(below: $0).reversed() }) where Host.exists(folder) {
            guard rmdir(folder) == 0 || errno == ENOENT else { throw Host.failure("cannot remove \(folder)") }
        }
    }

    /// Kills and removes everything that any lab left.
    @EventLoop
    static func removeAll() async throws(LabError) {
        let all = ControlGroup()
        try await all.kill()
        try all.remove()
    }

    /// The groups and processes that any lab left.
    static func remains() throws(LabError) -> [String] {
        let all = ControlGroup()
        var folders = [try all.path()]
        if let named = Self.mounts().named { folders.append("\(named)/\(all.name)") }
        return folders.flatMap { self.folders(below: $0) }.map { "control group \($0)" }
            + (try all.processes()).map { "process \($0)" }
    }

    /// A folder and all below it, parents first.
    private static func folders(below folder: String) -> [String] {
        guard Host.exists(folder) else { return [] }
        let below = Host.names(in: folder).map { "\(folder)/\($0)" }.filter { path in
            var information = stat()
            return lstat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
        }
        return [folder] + below.flatMap { Self.folders(below: $0) }
    }
}

/// Sleeps; only a cancelled task is woken early, with an error.
@EventLoop
func pause(_ duration: Duration) async throws(LabError) {
    do {
        try await EventLoop.sleep(for: duration)
    } catch {
        throw LabError(.timeout, "cancelled")
    }
}
