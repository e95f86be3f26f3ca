// SPDX-License-Identifier: Apache-2.0
public import Decision

extension RowChange {
    /// The statement, for people.
    public var sql: String {
        switch self {
        case .move(let id, _, let place): "select citus_update_node(\(id), \(sqlLiteral(place.host)), \(place.port))"
        case .pool(let id, let text):
            "insert into pg_dist_poolinfo values (\(id), \(sqlLiteral(text))) on conflict (nodeid) do update set poolinfo = excluded.poolinfo"
        case .addSecondary(let place, let primary):
            "select citus_add_secondary_node(\(sqlLiteral(place.host)), \(place.port), \(sqlLiteral(primary.host)), \(primary.port))"
        case .removeSecondary(let place): "select citus_remove_node(\(sqlLiteral(place.host)), \(place.port))"
        }
    }
}
