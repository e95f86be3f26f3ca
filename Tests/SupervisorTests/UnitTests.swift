// SPDX-License-Identifier: Apache-2.0
import Settings
import Testing

/// What the unit must grant for what the configuration allows: systemd/pharos.service against the limits of the code.
struct UnitTests {
    /// A listing, `getent`, `alert.command`, resolver threads, the daemon: with room for what they start.
    private static let others = 64

    @Test func `TasksMax has room for a command of each address and for all else at the same time`() throws {
        let limit = try #require(Int(try Self.value("TasksMax")))
        #expect(limit >= Settings.addressLimit + Self.others)
    }

    @Test func `LimitNOFILE has room for the pipes of a command of each address`() throws {
        // Output and exit of each child, and as many again for sockets.
        let limit = try #require(Int(try Self.value("LimitNOFILE")))
        #expect(limit >= 4 * Settings.addressLimit)
    }

    /// The unit's only assignment of that name.
    private static func value(_ name: String) throws -> String {
        let root = "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
        let file = try SettingsEnvironment.system.read(root + "/systemd/pharos.service", 1 << 16).get()
        let lines = String(decoding: file.contents, as: UTF8.self).split(separator: "\n")
        let values = lines.filter { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
        try #require(values.count == 1, "\(name): \(values)")
        return values[0]
    }
}
