// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import NetworkBed

/// What was measured of one part: tables in Markdown, and the same figures as JSON.
protocol Measured {
    var text: String { get }
    var json: String { get }
}

extension ReactionResult: Measured {}
extension ClientResult: Measured {}
extension CitusResult: Measured {}
extension CitusClientResult: Measured {}
extension IdleResult: Measured {}
extension DetectorResult: Measured {}
extension UnreachableResult: Measured {}
extension StartResult: Measured {}

/// One page of docs/benchmarks, as Markdown and as JSON: what was measured, when, where and by which command.
struct Report {
    let part: BenchPart
    let machine: Machine
    /// Of what kind etcd's storage was; nil where the part says so itself.
    let etcdData: String?
    let command: String
    let measured: any Measured

    /// - Parameter command: as it was called; the program is named without the folder that it was built in.
    init(_ part: BenchPart, _ measured: any Measured, machine: Machine, etcdData: String?, command: [String]) {
        self.part = part
        self.measured = measured
        self.machine = machine
        self.etcdData = etcdData
        let program = command.first?.split(separator: "/").last.map(String.init) ?? ""
        self.command = ([program] + command.dropFirst()).joined(separator: " ")
    }

    /// Writes PART.md and PART.json into `folder`.
    func write(to folder: String) throws(BedError) {
        try Files.makeFolder(folder)
        try Files.write("\(folder)/\(self.part.rawValue).md", self.markdown)
        try Files.write("\(folder)/\(self.part.rawValue).json", self.json)
    }

    var markdown: String {
        let machine = self.machine
        let etcd = self.etcdData.map { "\n- etcd: Debian's, one member, its data \($0)" } ?? ""
        return """
            # \(self.part.title)

            Written by `make bench`; the same figures are in [\(self.part.rawValue).json](\(self.part.rawValue).json).

            - Machine: \(machine.processor), \(machine.processors) processors, \(machine.memoryMiB) MiB of memory,
              \(machine.system), Linux \(machine.kernel); load before the run \(machine.load)
            - Date: \(machine.date)
            - Command: `\(self.command)`\(etcd)

            \(self.measured.text)

            \(self.part.explanation)

            """
    }

    var json: String {
        let machine = self.machine
        let members = [
            "\"part\": \(JSON.quoted(self.part.rawValue))", "\"date\": \(JSON.quoted(machine.date))",
            "\"processor\": \(JSON.quoted(machine.processor))", "\"processors\": \(machine.processors)",
            "\"memory_mib\": \(machine.memoryMiB)", "\"kernel\": \(JSON.quoted(machine.kernel))",
            "\"system\": \(JSON.quoted(machine.system))", "\"command\": \(JSON.quoted(self.command))",
            "\"etcd_data\": \(self.etcdData.map { JSON.quoted($0) } ?? "null")", "\"measured\": \(self.measured.json)",
        ]
        return "{\n  " + members.joined(separator: ",\n  ") + "\n}\n"
    }
}
