// SPDX-License-Identifier: Apache-2.0
import Glibc
import Settings

/// The user that the daemon runs as, as its unit says, whom PostgreSQL's peer authentication knows.
enum DaemonUser {
    /// What says to whom a process belongs, as systemd sets it for the daemon. libpq looks for certificates and password files
    /// below HOME: root's it would find, and not be allowed to read.
    static func environment(of entry: passwd) -> [(name: String, value: String)] {
        let user = String(cString: entry.pw_name)
        return [("HOME", String(cString: entry.pw_dir)), ("USER", user), ("LOGNAME", user)]
    }

    /// The numbers of `names`, and those names that there is no group of.
    static func groups(_ names: [String]) -> (numbers: [gid_t], missing: [String]) {
        var (numbers, missing): ([gid_t], [String]) = ([], [])
        for name in names {
            if let entry = getgrnam(name) {
                numbers.append(entry.pointee.gr_gid)
            } else if let number = gid_t(name) {
                numbers.append(number)
            } else {
                missing.append(name)
            }
        }
        return (numbers, missing)
    }

    /// From now on this process has the daemon's rights, if it had root's: what connects to databases needs no more, and is
    /// let in as the daemon is. Answers why not, if that fails; without such a user nothing changes.
    static func become(_ unit: DaemonUnit = DaemonUnit()) -> String? {
        guard geteuid() == 0, let entry = getpwnam(unit.user) else { return nil }
        let (user, group) = (entry.pointee.pw_uid, entry.pointee.pw_gid)
        // Before the rights: the entry is the library's, and the next look-up overwrites it.
        let environment = self.environment(of: entry.pointee)
        guard self.join(unit, group), setgid(group) == 0, setuid(user) == 0 else {
            return "cannot become the user \(unit.user): \(String(cString: strerror(errno)))"
        }
        for variable in environment { setenv(variable.name, variable.value, 1) }
        return nil
    }

    /// The user's own groups, and those of the unit.
    private static func join(_ unit: DaemonUnit, _ group: gid_t) -> Bool {
        guard initgroups(unit.user, group) == 0 else { return false }
        var present = [gid_t](repeating: 0, count: Int(max(0, getgroups(0, nil))))
        let count = getgroups(Int32(present.count), &present)
        guard count >= 0 else { return false }
        let all = present.prefix(Int(count)) + self.groups(unit.groups).numbers.filter { !present.contains($0) }
        return setgroups(all.count, Array(all)) == 0
    }

    /// The names of the groups that the daemon is in.
    static func groupNames(_ unit: DaemonUnit) -> [String] {
        guard let entry = getpwnam(unit.user) else { return unit.groups }
        let own = entry.pointee.pw_gid
        // As many as the kernel allows.
        var count: Int32 = 65_536
        var numbers = [gid_t](repeating: 0, count: Int(count))
        guard getgrouplist(unit.user, own, &numbers, &count) >= 0 else { return unit.groups }
        let all = Set(numbers.prefix(Int(count)) + self.groups(unit.groups).numbers)
        return all.map { number in getgrgid(number).map { String(cString: $0.pointee.gr_name) } ?? "\(number)" }
            .sorted()
    }

    /// Whose rights something was looked at with.
    enum Eyes {
        /// The daemon's own.
        case daemon
        /// Those of whoever runs the command, and why.
        case own(String)
    }

    /// Does something with the daemon's rights, and comes back. To be called while there is one thread.
    static func look<Value>(_ unit: DaemonUnit, _ body: () -> Value) -> (value: Value, eyes: Eyes) {
        guard geteuid() == 0 else {
            let me = getpwuid(geteuid()).map { String(cString: $0.pointee.pw_name) } ?? "\(geteuid())"
            return (body(), me == unit.user ? .daemon : .own("as \(me), not as the daemon's user: run this as root"))
        }
        guard let entry = getpwnam(unit.user) else {
            let way =
                unit.user == DaemonUnit.shipped.user ? " yet (systemd-sysusers makes it)" : ", which the unit names"
            return (body(), .own("as root: there is no user \(unit.user)\(way)"))
        }
        let (user, group) = (entry.pointee.pw_uid, entry.pointee.pw_gid)
        let former = getegid()
        var groups = [gid_t](repeating: 0, count: Int(max(0, getgroups(0, nil))))
        let count = getgroups(Int32(groups.count), &groups)
        let isOther = self.join(unit, group) && setegid(group) == 0 && seteuid(user) == 0
        let problem = String(cString: strerror(errno))
        let value = body()
        // Root may take its rights back. If it could not, everything after this would only be able to do less.
        _ = seteuid(0)
        _ = setegid(former)
        _ = setgroups(Int(max(0, count)), groups)
        return (value, isOther ? .daemon : .own("as root: the user \(unit.user) could not be taken on (\(problem))"))
    }
}
