// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A file that appears whole or not at all.
enum NewFile {
    /// Writes `text` to `path`; answers what went wrong.
    static func write(_ text: String, to path: String, replacing: Bool) -> String? {
        if !replacing, access(path, F_OK) == 0 { return "exists already; --force replaces it" }
        let temporary = "\(path).new.\(getpid())"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return String(cString: strerror(errno)) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { break }
            rest = rest.dropFirst(count)
        }
        let isWhole = rest.isEmpty && fsync(descriptor) == 0
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
