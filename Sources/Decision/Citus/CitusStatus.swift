// SPDX-License-Identifier: Apache-2.0

/// What is known and thought of Citus.
public struct CitusStatus: Hashable, Sendable {
    public struct Group: Hashable, Sendable {
        public let number: Int
        public let leader: String?
        public let endpoint: NodeEndpoint?
        public let isSwitchingOver: Bool
    }

    public struct Database: Hashable, Sendable {
        public let name: String
        /// Why its rows could not be read last; nil if they could.
        public let unreadable: String?
        /// Nil while they are unknown.
        public let rowCount: Int?
        /// The groups whose rows are not what they should be.
        public let drifts: [Int]
        /// The groups that need an operator, and why.
        public let refusals: [Int: NodeRowPlan.Refusal]
        /// The group whose writes are held.
        public let heldGroup: Int?
        /// The groups of which a change has not reached the workers yet.
        public let unsynchronizedGroups: [Int]
        /// What runs there; nil while it is not known.
        public let versions: CitusVersions?
    }

    public let mode: CitusMode
    public let isWriter: Bool
    public let groups: [Group]
    /// Empty where this node's daemon does not write.
    public let databases: [Database]
    /// When the newest read of the groups' keys was sent that was answered; nil: none was.
    public let readAt: Instant?
    /// Servers of the coordinator's group that accept writes and do not lead.
    public let rivals: [NodeEndpoint]
    /// The last verification by this daemon; nil: none was, since it has become the writer.
    public let verification: ClusterVerification?
}

extension Core {
    /// Nil where nothing of Citus is followed.
    public var citusStatus: CitusStatus? {
        guard let citus = self.citus, let view = self.groupsView else { return nil }
        let groups = view.groups.sorted { $0.key < $1.key }.map { number, group in
            CitusStatus.Group(
                number: number, leader: group.leader?.name, endpoint: group.endpoint,
                isSwitchingOver: group.isSwitchingOver)
        }
        let databases = (citus.isWriter ? citus.databases : []).map { database in
            CitusStatus.Database(
                name: database.name, unreadable: database.unreadable, rowCount: database.rows?.count,
                drifts: database.drifts.keys.sorted(), refusals: database.refusals.mapValues(\.refusal),
                heldGroup: database.hold?.group,
                unsynchronizedGroups: (database.awaited?.groups.keys).map { $0.sorted() } ?? [],
                versions: database.versions.seen)
        }
        let rivals = citus.rivals.servers.filter(\.value.isPrimary).keys.sorted { "\($0)" < "\($1)" }
        return CitusStatus(
            mode: citus.settings.mode, isWriter: citus.isWriter, groups: groups, databases: databases,
            readAt: view.readAt, rivals: rivals, verification: citus.verification.last)
    }
}
