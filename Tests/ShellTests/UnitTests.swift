// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Settings
import Testing

/// What the unit must grant for what the configuration allows: systemd/pharos.service against the limits of the code.
struct UnitTests {
    /// The daemon's own threads.
    private static let own = 8

    @Test func `TasksMax has room for a command of each address, for every other child, and for what those start`()
        throws
    {
        let limit = try #require(Int(try Self.value("TasksMax")))
        #expect(ChildBudget.reservedTasks >= Settings.addressLimit + 2)
        let others = ChildKind.allCases.filter { $0 != .address }.reduce(0) { $0 + ChildBudget.limit(of: $1).running }
        #expect(others > 0)
        #expect(limit >= ChildBudget.reservedTasks + others + ChildBudget.descendants + Self.own)
        #expect(ChildBudget.tasksOfOthers(of: limit) >= others + ChildBudget.descendants + Self.own)
        #expect(ChildBudget.tasksOfOthers(of: limit) + ChildBudget.reservedTasks <= limit)
    }

    @Test func `LimitNOFILE has room for the descriptors of all commands, and as many again for all else`() throws {
        let limit = try #require(UInt64(try Self.value("LimitNOFILE")))
        let limits = ChildBudget.descriptors(soft: limit, hard: limit)
        #expect(limits.ofAll == limit && limits.ofAll - limits.ofOthers == UInt64(ChildBudget.reservedDescriptors))
        // Etcd's connections, probes, connections to databases, the status API: a few hundred.
        #expect(limits.ofOthers >= 512)
    }

    @Test func `the manual's table of children says what the budget does`() throws {
        let text = try Self.text("docs/architecture.md")
        for kind in ChildKind.allCases where kind != .tool {
            let limit = ChildBudget.limit(of: kind)
            let row = try #require(text.split(separator: "\n").first { $0.hasPrefix("| `\(kind)` |") }, "\(kind)")
            #expect(row.hasSuffix("| \(limit.running); \(limit.waiting) |"), "\(row)")
        }
        for number in [ChildBudget.reservedTasks, ChildBudget.reservedDescriptors] {
            #expect(text.contains("\(number) of the unit's tasks") || text.contains("\(number) open files"))
        }
    }

    /// A command of the operator's that takes too much memory is ended alone.
    @Test func `a child that memory runs out for does not stop the daemon`() throws {
        #expect(try Self.value("OOMPolicy") == "continue")
    }

    /// The unit's only assignment of that name.
    private static func value(_ name: String) throws -> String {
        let lines = try Self.text("systemd/pharos.service").split(separator: "\n")
        let values = lines.filter { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
        try #require(values.count == 1, "\(name): \(values)")
        return values[0]
    }

    private static func text(_ path: String) throws -> String {
        let root = "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
        return String(
            decoding: try SettingsEnvironment.system.read("\(root)/\(path)", 1 << 18).get().contents, as: UTF8.self)
    }
}
