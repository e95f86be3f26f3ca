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

    /// A group that the unit names and that does not exist, or is called otherwise, would keep the service from starting.
    @Test func `the unit names no group but its own, the user is in the group of Patroni's file`() throws {
        #expect(!(try PharosUnit.text("systemd/pharos.service")).contains("\nSupplementaryGroups="))
        let lines = try PharosUnit.text("systemd/pharos.sysusers").split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(lines.first?.hasPrefix("u pharos ") == true && lines.last == "m pharos postgres")
    }

    /// What systemd could not set up (its exit statuses from 200 on) is tried again after a pause.
    @Test func `a start that systemd itself gives up is followed by a pause`() throws {
        let line = try #require(
            try PharosUnit.text("systemd/pharos.service").split(separator: "\n").first {
                $0.hasPrefix("ExecStopPost=-+/bin/sh")
            })
        #expect(line.contains("2[0-4][0-9]) exec sleep 2"))
        // For want of a group or a user (216, 217) nothing of the unit itself runs, not even that: another unit waits in its place.
        #expect(try PharosUnit.value("OnFailure") == "pharos-again.service")
        #expect(try PharosUnit.value("RestartPreventExitStatus") == "216 217")
        let again = try PharosUnit.text("systemd/pharos-again.service")
        #expect(again.contains(" in 216|217) ;; *) exit 1 ;; esac'\nExecStart=/bin/sleep 2\nExecStart="))
        #expect(again.contains("\nPartOf=pharos.service\n"))
        #expect(try PharosUnit.text("Makefile").contains("systemd/pharos-again.service $(DESTDIR)"))
    }

    /// Two daemons of one host that had one folder in common would end each other's sockets, locks and memories.
    @Test func `a cluster's own unit differs from the plain one in whatever a daemon has for itself`() throws {
        let script = try PharosUnit.text("systemd/instance.sed").split(separator: "\n").filter { !$0.hasPrefix("#") }
        // What is replaced is there, each a whole line, or the name of a unit.
        let unit = try PharosUnit.text("systemd/pharos.service")
        for line in script.dropFirst().dropLast(2) {
            let former = line.split(separator: "|")[1].dropFirst().dropLast()
            #expect(unit.contains("\n\(former)\n"), "\(former)")
        }
        let replaced = script.joined(separator: "\n")
        let instance = DaemonInstance(configuration: "/etc/pharos/NAME.yml")
        func said(_ text: String) -> String { text.replacing("NAME", with: "%i") }
        #expect(replaced.contains("--config \(said(instance.configuration))|"))
        #expect(replaced.contains("RuntimeDirectory=\(said(instance.runtimeFolder.replacing("/run/", with: "")))|"))
        #expect(replaced.contains("StateDirectory=\(said(instance.stateFolder.replacing("/var/lib/", with: "")))|"))
        #expect(replaced.contains("|\(said(instance.unit)).service|"))
        for name in ["pharos@.service", "pharos-again@.service"] {
            #expect(try PharosUnit.text("Makefile").contains(">$(DESTDIR)$(UNITDIR)/\(name)"))
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
