// SPDX-License-Identifier: Apache-2.0

/// What Patroni's configuration file says about the things that Pharos needs to know (Patroni's "YAML Configuration
/// Settings"). Everything else in it is Patroni's business and passed over.
struct PatroniFile {
    var settings = PartialSettings()

    /// The configuration stores that Patroni can keep its keys in, in the order in which it looks for them.
    static let stores = ["consul", "etcd", "etcd3", "exhibitor", "kubernetes", "raft", "zookeeper"]

    init(_ reader: inout PatroniFileReader) {
        self.settings.scope = reader.needed("scope", for: "scope", parse: ValueParsers.name)
        self.settings.member =
            reader.node("name") == nil
            ? reader.needed("postgresql", "name", for: "member", parse: ValueParsers.name)
            : reader.needed("name", for: "member", parse: ValueParsers.name)
        self.settings.namespace =
            reader.node("namespace") == nil
            ? reader.needed("etcd3", "namespace", for: "namespace", parse: ValueParsers.keyPath)
            : reader.needed("namespace", for: "namespace", parse: ValueParsers.keyPath)
        self.readCitus(&reader)
        if Self.checkStore(&reader) { self.readEtcd(&reader) }
        self.readREST(&reader)
        self.readPostgres(&reader)
        self.settings.incomplete = Self.missing(reader)
        self.settings.refused = reader.refused
    }

    /// What is missing altogether may stand somewhere else, as in Patroni's environment: that is no error.
    private static func missing(_ reader: PatroniFileReader) -> Sourced<String>? {
        let names = [("restapi", "listen"), ("postgresql", "listen"), ("postgresql", "data_dir")]
        // Where there is a section `restapi`, `listen` has been refused.
        let missing = names.filter {
            reader.node($0.0) == nil || $0.0 == "postgresql" && reader.node($0.0, $0.1) == nil
        }
        guard !missing.isEmpty else { return nil }
        let list = missing.map { "'\($0.0).\($0.1)'" }.joined(separator: ", ")
        let message =
            "Patroni itself does not start with this file alone, and Pharos takes its own defaults: there is no \(list)"
        return Sourced(value: message, position: Position(file: reader.file, mark: .start))
    }

    /// As Patroni does, takes the section only with a number as its group and a text as its database.
    private mutating func readCitus(_ reader: inout PatroniFileReader) {
        guard let section = reader.node("citus"), !reader.isFalsy(section) else { return }
        guard let group = reader.node("citus", "group"), let database = reader.node("citus", "database"),
            let number = reader.document.scalar(group), case .text(let name)? = reader.document.scalar(database)
        else { return self.passOverCitus(section, &reader) }
        switch number {
        case .integer(let digits):
            do throws(InvalidValue) {
                let value = try ValueParsers.group(digits)
                self.settings.group = Sourced(value: value, position: reader.position(group))
                try PharosFileReader.checkText(name)
                self.settings.citusDatabase = Sourced(value: name, position: reader.position(database))
            } catch {
                guard self.settings.group == nil else {
                    let message = "'citus.database' is passed over: \(error.message)"
                    return reader.problems.warning(reader.position(database), message)
                }
                reader.refuse("group", reader.position(group), "'citus.group': \(error.message)")
            }
        case .boolean:
            let message =
                "'citus.group': expected a number, not \(number.kind), of which Patroni's versions make different things"
            reader.refuse("group", reader.position(group), message)
        case .text, .null, .float, .date, .other:
            self.passOverCitus(section, &reader)
        }
    }

    private func passOverCitus(_ section: Int, _ reader: inout PatroniFileReader) {
        reader.problems.warning(
            reader.keyPosition("citus", section),
            "'citus' is passed over, as by Patroni: it takes the section only with a number (without quotes) as 'group' and a "
                + "text as 'database', and runs without Citus otherwise")
    }

    /// Whether Patroni's keys are in etcd's v3 store, the only one that Pharos can follow.
    private static func checkStore(_ reader: inout PatroniFileReader) -> Bool {
        // Patroni takes the first section it finds, in the order of its modules' names.
        for store in self.stores {
            guard let node = reader.node(store) else { continue }
            switch store {
            case "etcd3":
                return true
            case "etcd":
                reader.problems.error(
                    reader.keyPosition(store, node),
                    "Patroni keeps its keys in etcd's v2 store (section 'etcd'), which cannot be followed; move it to the "
                        + "v3 store by renaming the section to 'etcd3' on all members, as Patroni's documentation says"
                )
                return false
            default:  // text, not cases of ours
                reader.problems.error(
                    reader.keyPosition(store, node),
                    "Patroni keeps its keys in '\(store)', which Pharos cannot follow; it follows etcd ('etcd3') only"
                )
                return false
            }
        }
        return true
    }
}
