// SPDX-License-Identifier: Apache-2.0
import Conninfo
import Decision

extension Resolution {
    static let defaultNodeConninfo = "user=pharos"
    static let defaultSettle = Duration.seconds(30)

    /// What is followed of Citus; nil without a section `citus`, or after an error.
    mutating func citus(scope: String?, group: Sourced<Int>?) -> Settings.Citus? {
        guard let said = self.pharos.citus else { return nil }
        let patroni = self.patroni ?? PartialSettings()
        let patroniDatabase = patroni.citusDatabase.map { Sourced(value: [$0.value], position: $0.position) }
        let databases = said.databases ?? patroniDatabase
        self.note("citus.databases", databases) { $0.joined(separator: ", ") }
        if databases == nil, !self.pharos.said.contains("citus.databases"), self.patroni != nil {
            self.problems.error(said.position, "'citus' needs 'databases': the databases with the extension citus")
        }
        // Where Patroni's own Citus mode is on, it writes too.
        let mode = self.noted("citus.mode", said.mode, patroni.group == nil ? .own : .reconcile, \.rawValue)
        if mode == .own, patroni.group != nil, let said = said.mode {
            self.problems.warning(
                said.position,
                "'mode: own' beside Patroni's own Citus mode: its handler writes pg_dist_node too, so there are two writers. Say 'reconcile' or 'observe'"
            )
        }
        let settle = self.noted("citus.settle", said.settle, Self.defaultSettle, DurationText.text)
        self.note("citus.groups", said.groups, Self.text)
        let secondaries = self.noted("citus.secondaries", said.secondaries, .ignore, \.rawValue)
        let addGroups = self.noted("citus.add_groups", said.addGroups, .never, \.rawValue)
        self.note("citus.poolinfo", said.poolInfo, Self.text)
        self.checkPools(said.poolInfo, databases?.value ?? [])
        let conninfo = self.noted("citus.node_conninfo", said.nodeConninfo, Self.defaultNodeConninfo) { $0 }
        guard let own = self.ownGroup(said, scope: scope, group: group), let databases else { return nil }
        return Settings.Citus(
            core: CitusSettings(
                group: own, databases: databases.value, mode: mode,
                ownDatabases: mode == .reconcile
                    ? Self.databases(databases.value, besides: patroni.citusDatabase?.value) : [],
                settle: settle,
                registersSecondaries: secondaries == .register, admission: addGroups,
                poolInfo: said.poolInfo?.value ?? [:],
                layout: said.groups.map { .scopes($0.value) } ?? .oneScope(scope ?? "")),
            scopes: said.groups?.value, nodeConninfo: conninfo)
    }

    /// The text is the same in every database's `pg_dist_poolinfo`: with a database in it, Citus sends what belongs to the others there too,
    /// changes of its metadata among it.
    private mutating func checkPools(_ pools: Sourced<[Int: String]>?, _ databases: [String]) {
        guard let pools, databases.count > 1 else { return }
        for (group, text) in pools.value.sorted(by: { $0.key < $1.key }) {
            guard let database = Self.database(text) else { continue }
            self.problems.error(
                pools.position,
                "'poolinfo.\(group)' in 'citus': with 'dbname=\(database)' Citus would send there what belongs to each of \(databases.joined(separator: ", ")); leave 'dbname' out"
            )
        }
    }

    private static func database(_ text: String) -> String? {
        do throws(ConnectionString.ParsingError) { return try ConnectionString(text)["dbname"] } catch {
            return nil  // It has been refused already.
        }
    }

    /// Patroni's Citus mode maintains one database; nobody else writes the others. Where it is off, somebody else writes all of them.
    private static func databases(_ databases: [String], besides patroni: String?) -> Set<String> {
        patroni.map { Set(databases).subtracting([$0]) } ?? []
    }

    private mutating func ownGroup(_ said: PharosCitus, scope: String?, group: Sourced<Int>?) -> Int? {
        guard let groups = said.groups else {
            if let group { return group.value }
            if !self.pharos.said.contains("citus.groups"), self.patroni != nil {
                self.problems.error(
                    said.position,
                    "'citus' needs 'groups', the scope of each group: Patroni's configuration has no section 'citus'")
            }
            return nil
        }
        if let group {
            self.problems.error(
                groups.position,
                "'groups' in 'citus' is for groups that are Patroni scopes of their own, but group \(group.value) of "
                    + "Patroni's Citus mode is set in \(group.position.brief)")
            return nil
        }
        guard let scope else { return nil }
        guard let own = groups.value.first(where: { $0.value == scope })?.key else {
            self.problems.error(
                groups.position, "'groups' in 'citus' does not name this node's scope, \(quoted(scope))")
            return nil
        }
        return own
    }

    private static func text(_ values: [Int: String]) -> String {
        values.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
    }
}
