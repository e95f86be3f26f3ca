// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The environment that libpq would fill the gaps of a connection string from.
public enum LibpqEnvironment {
    /// Removes every variable whose name begins with `PG` from this process's environment, and so from that of its children.
    ///
    /// What a connection is made of then stands in the configuration alone, where it was checked: no `PGHOST` with a name that
    /// libpq would wait for, no `PGSERVICE` that names a file with one, no `PGOPTIONS`, `PGSSLMODE` or `PGTARGETSESSIONATTRS`
    /// that nobody remembers. Also those that libpq takes without a keyword, such as `PGSYSCONFDIR` and `PGSERVICEFILE`.
    ///
    /// To be called before there is a second thread: the C library's environment has no lock that others respect.
    public static func clear() {
        for name in self.names { unsetenv(name) }
    }

    /// The variables of libpq's that are set.
    static var names: [String] {
        var names: [String] = []
        var entry = environ
        while let text = entry.pointee {
            let name = String(cString: text).prefix { $0 != "=" }
            if name.hasPrefix("PG") { names.append(String(name)) }
            entry += 1
        }
        return names
    }
}
