// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import pharos

struct DaemonUserTests {
    /// libpq looks below HOME, and is not let in below root's.
    @Test func `whoever becomes the daemon's user has that user's home and name`() throws {
        let entry = try #require(getpwnam("nobody"))
        let environment = Dictionary(
            uniqueKeysWithValues: DaemonUser.environment(of: entry.pointee).map { ($0.name, $0.value) })
        #expect(
            environment
                == ["HOME": String(cString: entry.pointee.pw_dir), "USER": "nobody", "LOGNAME": "nobody"])
    }
}
