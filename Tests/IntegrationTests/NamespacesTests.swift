// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import NetworkBed
import TestSupport
import Testing

extension IntegrationTests {
    @Suite(.serialized)
    struct NamespacesTests {
        init() { EventLoop.shared.executor.startThread() }

        @Test @EventLoop func `what another run has left is removed once it is no more, and not before`() async throws {
            let kind = "pharos-test-beds"
            // What a run with this process's id would be called elsewhere.
            let other = "\(kind)-\(getpid())-f123456789abcdef"
            let (lock, folder) = ("/run/lock/\(other)", "/dev/shm/\(other)")
            let descriptor = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            defer {
                unlink(lock)
                rmdir(folder)
            }
            try #require(descriptor >= 0 && flock(descriptor, LOCK_EX | LOCK_NB) == 0 && mkdir(folder, 0o700) == 0)
            let namespaces = try Namespaces(kind)
            let own = try namespaces.makeFolder(inMemory: true)
            #expect(own.hasPrefix("/dev/shm/\(kind)-\(getpid())-") && own != folder)
            await namespaces.removeLeftovers()
            #expect(access(folder, F_OK) == 0 && access(own, F_OK) == 0)
            close(descriptor)
            await namespaces.removeLeftovers()
            #expect(access(folder, F_OK) != 0 && access(lock, F_OK) != 0 && access(own, F_OK) == 0)
            await namespaces.removeAll()
            #expect(access(own, F_OK) != 0)
        }
    }
}
