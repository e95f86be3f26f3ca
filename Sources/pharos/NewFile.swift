// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A file that appears whole or not at all.
enum NewFile {
    /// Writes `text` to `path`; answers what went wrong.
    static func write(_ text: String, to path: String, replacing: Bool) -> String? {
        self.write(Array(text.utf8), to: path, replacing: replacing, mode: 0o644, owner: nil)
    }

    /// - Parameters:
    ///   - mode: whatever the umask would take from it.
    ///   - owner: who it belongs to; nil: whoever writes it.
    static func write(
        _ contents: [UInt8], to path: String, replacing: Bool, mode: mode_t, owner: (user: uid_t, group: gid_t)?
    ) -> String? {
        if !replacing, access(path, F_OK) == 0 { return "exists already; --force replaces it" }
        let temporary = "\(path).new.\(getpid())"
        // Nobody else may read it before it has its mode.
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return String(cString: strerror(errno)) }
        var rest = contents[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { break }
            rest = rest.dropFirst(count)
        }
        var isWhole = rest.isEmpty
        // Root alone may give it away; whoever is not root keeps it.
        if isWhole, let owner, geteuid() == 0 { isWhole = fchown(descriptor, owner.user, owner.group) == 0 }
        isWhole = isWhole && fchmod(descriptor, mode) == 0 && fsync(descriptor) == 0
        let failure = errno
        close(descriptor)
        guard isWhole, rename(temporary, path) == 0 else {
            let reason = String(cString: strerror(isWhole ? errno : failure))
            unlink(temporary)
            return reason
        }
        return nil
    }
}
