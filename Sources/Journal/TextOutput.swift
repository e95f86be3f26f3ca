// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Writes lines to a descriptor that others share, such as standard error, without ever waiting for its reader.
///
/// The descriptor cannot be made non-blocking, since that would be so for every process that has it: a socket is told so
/// with each call, and a pipe is asked first. A terminal that is held up with Ctrl-S does block: somebody sits before it.
struct TextOutput: Sendable {
    let descriptor: CInt

    /// What a pipe takes at once, whenever it says that it takes anything.
    private static let chunkSize = 4096

    /// Answers whether the whole line was taken.
    func write(_ line: String) -> Bool {
        var rest = Array(line.utf8)[...]
        while !rest.isEmpty {
            var wanted = pollfd(fd: self.descriptor, events: Int16(POLLOUT), revents: 0)
            let ready = poll(&wanted, 1, 0)
            if ready < 0, errno == EINTR { continue }
            // A pipe without a reader would raise SIGPIPE.
            guard ready == 1, wanted.revents & Int16(POLLOUT) != 0, wanted.revents & Int16(POLLERR | POLLNVAL) == 0
            else {
                return false
            }
            let chunk = Array(rest.prefix(Self.chunkSize))
            var count = send(self.descriptor, chunk, chunk.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
            if count < 0, errno == ENOTSOCK { count = Glibc.write(self.descriptor, chunk, chunk.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
