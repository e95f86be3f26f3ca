// SPDX-License-Identifier: Apache-2.0
public import Decision

/// What whoever asks for a verification knows already, and neither etcd nor a database says.
public struct PriorKnowledge: Sendable {
    /// Places where a second coordinator may accept writes: etcd forgets a member that has died.
    public var suspects: [NodeEndpoint] = []
    /// Where members of any group were.
    public var places = RememberedPlaces()
    /// Restore points whose records a person has kept, beside those that etcd has.
    public var points: [RestorePoint] = []
    /// Places where a member was of which a person says that the server there is switched off.
    public var switchedOff: Set<NodeEndpoint> = []
    /// The databases in which this node's daemon has seen for more than an hour what Citus is to remove.
    public var oldCleanups: Set<String> = []

    public init() {}
}
