// SPDX-License-Identifier: Apache-2.0

/// What a member says it is. Patroni before 4.0 says `master` for `primary`.
public enum PatroniRole: Sendable, Hashable {
    case primary
    case replica
    case standbyLeader
    /// It was the primary and is being stopped.
    case demoted
    /// It is being promoted.
    case promoted
    case uninitialized
    case other(String)

    public init(_ text: String) {
        self =
            switch text {
            case "primary", "master", "leader": .primary
            // `GET /cluster` names a replica by what it is for.
            case "replica", "sync_standby", "quorum_standby": .replica
            case "standby_leader": .standbyLeader
            case "demoted": .demoted
            case "promoted": .promoted
            case "uninitialized": .uninitialized
            default: .other(String(text.prefix(64)))  // any other text
            }
    }
}
