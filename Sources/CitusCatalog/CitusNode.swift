// SPDX-License-Identifier: Apache-2.0

/// One row of `pg_dist_node`.
public struct CitusNode: Sendable, Equatable {
    public enum Role: String, Sendable { case primary, secondary, unavailable }

    public var id: Int
    public var group: Int
    public var host: String
    public var port: Int
    public var role: Role
    public var cluster: String
    public var isActive: Bool
    public var hasMetadata: Bool
    /// Whether Citus has brought the node's own copy of the metadata up to date; NULL counts as no.
    public var isSynchronized: Bool

    /// What `pg_dist_poolinfo` says of it; nil where it has no row there.
    public var pool: String?
    /// Whether it is a clone that is to become a group of its own (Citus 13.2 and later): no server of any group yet.
    public var isClone: Bool

    /// Columns by name: their order and number differ between versions of Citus.
    static let query = """
        select n.nodeid, groupid, nodename, nodeport, noderole, nodecluster, isactive, hasmetadata,
            coalesce(metadatasynced, false), poolinfo, coalesce(pg_catalog.to_jsonb(n) ->> 'nodeisclone', 'false')
        from pg_catalog.pg_dist_node n left join pg_catalog.pg_dist_poolinfo p on p.nodeid = n.nodeid
        order by n.nodeid
        """

    /// nil where a value is none that the column can have.
    init?(row: [String?]) {
        let values = row.prefix(9).compactMap { $0 }
        guard row.count == 11, values.count == 9, let id = Int(values[0]), let group = Int(values[1]),
            let port = Int(values[3]),
            let role = Role(rawValue: values[4]), let isActive = Self.boolean(values[6]),
            let hasMetadata = Self.boolean(values[7]), let isSynchronized = Self.boolean(values[8])
        else { return nil }
        self.id = id
        self.group = group
        self.host = values[2]
        self.port = port
        self.role = role
        self.cluster = values[5]
        self.isActive = isActive
        self.hasMetadata = hasMetadata
        self.isSynchronized = isSynchronized
        self.pool = row[9]
        self.isClone = row[10] == "true"
    }

    private static func boolean(_ text: String) -> Bool? {
        switch text {
        case "t": true
        case "f": false
        default: nil  // PostgreSQL prints no other.
        }
    }
}
