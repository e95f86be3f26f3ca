// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Which file stands at a path, and in which state: what changes whenever somebody writes it or puts another in its place.
struct FileMark: Hashable, Sendable {
    private let device: UInt
    private let inode: UInt
    private let size: Int
    private let changed: [Int]

    /// Nil: nothing can be seen there.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        (self.device, self.inode, self.size) = (UInt(status.st_dev), UInt(status.st_ino), Int(status.st_size))
        self.changed = [
            status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
        ]
    }
}

/// What came of a look at a file of credentials.
enum CredentialNews: Equatable {
    /// What it says now is in force.
    case read(String)
    /// It cannot be used, and what was read before stays.
    case refused(reason: String)
}
