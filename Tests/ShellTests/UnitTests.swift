// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Settings
import Testing

/// What the unit must grant for what the configuration allows: systemd/pharos.service against the limits of the code.
struct UnitTests {
    /// The daemon's own threads.
    private static let own = 8

    @Test func `TasksMax has room for a command of each address, for every other child, and for what those start`()
        throws
    {
        let limit = try #require(Int(try PharosUnit.value("TasksMax")))
        #expect(ChildBudget.reservedTasks >= Settings.addressLimit + 2)
        let others = ChildKind.allCases.filter { $0 != .address }.reduce(0) { $0 + ChildBudget.limit(of: $1).running }
        #expect(others > 0)
        #expect(limit >= ChildBudget.reservedTasks + others + ChildBudget.descendants + Self.own)
        #expect(ChildBudget.tasksOfOthers(of: limit) >= others + ChildBudget.descendants + Self.own)
        #expect(ChildBudget.tasksOfOthers(of: limit) + ChildBudget.reservedTasks <= limit)
    }

    @Test func `of LimitNOFILE as much is kept for the commands as they take`() throws {
        let limit = try #require(UInt64(try PharosUnit.value("LimitNOFILE")))
        let limits = ChildBudget.descriptors(soft: limit, hard: limit)
        #expect(limits.ofAll == limit && limits.ofAll - limits.ofOthers == UInt64(ChildBudget.reservedDescriptors))
    }

    @Test func `the manual's table of children says what the budget does`() throws {
        let text = try PharosUnit.text("docs/architecture.md")
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
        #expect(try PharosUnit.value("OOMPolicy") == "continue")
    }
}

/// The repository's own files, as tests compare them with the code.
enum PharosUnit {
    /// The unit's only assignment of that name.
    static func value(_ name: String) throws -> String {
        let lines = try Self.text("systemd/pharos.service").split(separator: "\n")
        let values = lines.filter { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
        try #require(values.count == 1, "\(name): \(values)")
        return values[0]
    }

    static func text(_ path: String) throws -> String {
        String(
            decoding: try SettingsEnvironment.system.read(Self.absolute(path), 1 << 18).get().contents, as: UTF8.self)
    }

    static func write(_ text: String, to path: String) throws {
        let file = try #require(fopen(Self.absolute(path), "w"))
        defer { fclose(file) }
        try #require(fputs(text, file) >= 0)
    }

    private static func absolute(_ path: String) -> String {
        "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/" + path
    }
}
