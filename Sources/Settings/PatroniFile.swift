// SPDX-License-Identifier: Apache-2.0

/// What Patroni's configuration file says about the things that Pharos needs to know (Patroni's "YAML Configuration
/// Settings"). Everything else in it is Patroni's business and passed over.
struct PatroniFile {
    var settings = PartialSettings()

    /// The configuration stores that Patroni can keep its keys in, in the order in which it looks for them.
    private static let stores = ["consul", "etcd", "etcd3", "exhibitor", "kubernetes", "raft", "zookeeper"]

    init(_ reader: inout PatroniFileReader) {
        guard let root = reader.document.root, case .mapping = reader.document[root].content else {
            let mark = reader.document.root.map { reader.document[$0].mark } ?? .start
            let message = "expected Patroni's configuration: a mapping with 'scope', 'name' and 'etcd3'"
            reader.problems.error(Position(file: reader.file, mark: mark), message)
            return
        }
        self.settings.scope = reader.value("scope", parse: ValueParsers.name)
        self.settings.member = reader.value("name", parse: ValueParsers.name)
        self.settings.namespace = reader.value("namespace", parse: ValueParsers.keyPath)
        self.settings.group = reader.value("citus", "group", parse: ValueParsers.group)
        self.settings.citusDatabase = reader.value("citus", "database") { $0 }
        if Self.checkStore(&reader) { self.readEtcd(&reader) }
        self.readREST(&reader)
        self.readPostgres(&reader)
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
