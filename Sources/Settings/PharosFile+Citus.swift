// SPDX-License-Identifier: Apache-2.0
import Decision

/// The section `citus`, as it is said.
struct PharosCitus {
    /// Whether standbys are registered for reading.
    enum Secondaries: String, CaseIterable { case ignore, register }

    var position: Position
    var databases: Sourced<[String]>?
    var mode: Sourced<CitusMode>?
    var settle: Sourced<Duration>?
    var groups: Sourced<[Int: String]>?
    var secondaries: Sourced<Secondaries>?
    var addGroups: Sourced<GroupAdmission>?
    var poolInfo: Sourced<[Int: String]>?
    var nodeConninfo: Sourced<String>?

    init(_ fields: SectionKeys, _ reader: inout PharosFileReader) {
        self.position = Position(file: reader.file, mark: fields.mark)
        if let node = fields.values["databases"] { self.databases = Self.databases(node, &reader) }
        self.mode = reader.value(fields, "mode", ValueParsers.choice)
        self.settle = reader.value(fields, "settle") { text throws(InvalidValue) in
            let duration = try ValueParsers.duration(text)
            guard duration >= .seconds(1), duration <= .seconds(3600) else {
                throw .expected("from 1s to 1h", not: text)
            }
            return duration
        }
        if let node = fields.values["groups"] {
            self.groups = reader.byGroup(node, "groups", of: "scopes", ValueParsers.name)
            self.checkGroups(node, &reader)
        }
        self.secondaries = reader.value(fields, "secondaries", ValueParsers.choice)
        var saidAuto = false
        self.addGroups = reader.value(fields, "add_groups") { text throws(InvalidValue) in
            saidAuto = text == "auto"
            return saidAuto ? .ask : try ValueParsers.choice(text)
        }
        if saidAuto, let position = self.addGroups?.position {
            reader.problems.warning(
                position,
                "'add_groups: auto' does what 'ask' does: to add a group takes minutes, and Citus lets only superusers do it. Say 'ask'"
            )
        }
        if let node = fields.values["poolinfo"] {
            self.poolInfo = reader.byGroup(node, "poolinfo", of: "connection strings", ConninfoRules.checkPool)
        }
        self.nodeConninfo = reader.nodeConninfo(fields)
    }

    private static func databases(_ node: Int, _ reader: inout PharosFileReader) -> Sourced<[String]> {
        var names: [String] = []
        let items = reader.items(node, "databases", of: "databases", limit: Settings.Citus.databaseLimit)
        for (index, item) in items.enumerated() {
            let name = reader.value(item, named: "'databases[\(index)]' in 'citus'") { text throws(InvalidValue) in
                guard text.utf8.count <= 63 else {
                    throw .expected("a database's name, of at most 63 bytes", not: text)
                }
                guard !names.contains(text) else { throw InvalidValue("\(quoted(text)) is given twice") }
                return text
            }
            if let name { names.append(name.value) }
        }
        return Sourced(value: names, position: reader.position(node))
    }

    private func checkGroups(_ node: Int, _ reader: inout PharosFileReader) {
        guard let groups = self.groups?.value else { return }
        let position = reader.position(node)
        if groups[0] == nil {
            reader.problems.error(position, "'groups' in 'citus': group 0, the coordinator's, is missing")
        }
        let scopes = groups.values.sorted()
        for (one, other) in zip(scopes, scopes.dropFirst()) where one == other {
            reader.problems.error(position, "'groups' in 'citus': \(quoted(one)) is the scope of two groups")
        }
    }
}

extension PharosFileReader {
    /// A mapping from groups' numbers to values, each read through `parse`.
    mutating func byGroup<Value: Sendable>(
        _ node: Int, _ name: String, of what: String, _ parse: (String) throws(InvalidValue) -> Value
    ) -> Sourced<[Int: Value]>? {
        guard case .mapping(let pairs) = self.document[node].content else {
            self.problems.error(
                self.position(node), "'\(name)' in 'citus': expected a mapping from groups' numbers to \(what)")
            return nil
        }
        var values: [Int: Value] = [:]
        for pair in pairs.prefix(Settings.Citus.groupLimit) {
            guard let group = self.value(pair.key, named: "a key of '\(name)' in 'citus'", ValueParsers.group) else {
                continue
            }
            guard values[group.value] == nil else {
                self.problems.error(group.position, "'\(name)' in 'citus': group \(group.value) is given twice")
                continue
            }
            values[group.value] = self.value(pair.value, named: "'\(name).\(group.value)' in 'citus'", parse)?.value
        }
        if pairs.count > Settings.Citus.groupLimit {
            self.problems.error(
                self.position(node), "'\(name)' in 'citus': at most \(Settings.Citus.groupLimit) groups")
        }
        return Sourced(value: values, position: self.position(node))
    }
}
