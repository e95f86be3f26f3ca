// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The user that the daemon runs as, whom PostgreSQL's peer authentication knows.
enum DaemonUser {
    static let name = "pharos"

    /// What says to whom a process belongs, as systemd sets it for the daemon. libpq looks for certificates and password files
    /// below HOME: root's it would find, and not be allowed to read.
    static func environment(of entry: passwd) -> [(name: String, value: String)] {
        let user = String(cString: entry.pw_name)
        return [("HOME", String(cString: entry.pw_dir)), ("USER", user), ("LOGNAME", user)]
    }

    /// From now on this process has the daemon's rights, if it had root's: what connects to databases needs no more, and is
    /// let in as the daemon is. Answers why not, if that fails; without such a user nothing changes.
    static func become() -> String? {
        guard geteuid() == 0, let entry = getpwnam(self.name) else { return nil }
        let (user, group) = (entry.pointee.pw_uid, entry.pointee.pw_gid)
        // Before the rights: the entry is the library's, and the next look-up overwrites it.
        let environment = self.environment(of: entry.pointee)
        guard initgroups(self.name, group) == 0, setgid(group) == 0, setuid(user) == 0 else {
            return "cannot become the user \(self.name): \(String(cString: strerror(errno)))"
        }
        for variable in environment { setenv(variable.name, variable.value, 1) }
        return nil
    }
}
