// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import Settings
import Testing

@testable import pharos

/// What there is as a command can be typed.
struct SubcommandTests {
    private static let names = all(below: Pharos.self).map { "\($0)" }

    private static func all(below command: any ParsableCommand.Type) -> [any ParsableCommand.Type] {
        command.configuration.subcommands.flatMap { [$0] + Self.all(below: $0) }
    }

    /// The commands in the sources of `pharos`.
    private static func declared() throws -> [String] {
        let folder = "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/Sources/pharos"
        let files = try #require(opendir(folder))
        defer { closedir(files) }
        var declared: [String] = []
        while let entry = readdir(files) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name.hasSuffix(".swift") else { continue }
            for line in try Self.text("\(folder)/\(name)").split(separator: "\n") {
                guard line.hasPrefix("struct "), line.contains(": ParsableCommand {") else { continue }
                declared.append(String(line.dropFirst("struct ".count).prefix { $0 != ":" }))
            }
        }
        return declared
    }

    private static func text(_ path: String) throws -> String {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        return String(decoding: buffer[..<fread(&buffer, 1, buffer.count, file)], as: UTF8.self)
    }

    @Test func `each command of the sources is one that can be typed`() throws {
        let declared = try Self.declared().filter { $0 != "Pharos" }
        #expect(declared.count > 15)
        #expect(declared.sorted() == Self.names.sorted())
    }

    @Test func `texts know each command that can be told the cluster`() {
        let taking = Pharos.configuration.subcommands.filter { $0.helpMessage().contains("--cluster <cluster>") }
        #expect(taking.map { Self.typed($0) }.sorted() == DaemonInstance.commands.sorted())
    }

    private static func typed(_ command: any ParsableCommand.Type) -> String {
        if let name = command.configuration.commandName { return name }
        // As ArgumentParser makes it of the type's name.
        return "\(command)".reduce("") { $0 + ($1.isUppercase && !$0.isEmpty ? "-" : "") + $1.lowercased() }
    }
}
