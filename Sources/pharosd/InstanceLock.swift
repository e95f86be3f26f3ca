// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A lock that one process of a node holds, until it ends in whatever way.
final class InstanceLock: Sendable {
    struct Problem: Error { let message: String }

    private let descriptor: Int32

    private init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(self.descriptor) }

    static func take(_ path: String) -> Result<InstanceLock, Problem> {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            return .failure(Problem(message: "cannot open \(path): \(String(cString: strerror(errno)))"))
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            return .failure(
                Problem(message: "another pharos runs on this node (\(path) is locked); waiting for its end"))
        }
        return .success(InstanceLock(descriptor: descriptor))
    }
}
