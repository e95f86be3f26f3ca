// SPDX-License-Identifier: Apache-2.0

/// What somebody may ask of the API. Each role may all that the ones before it may.
public enum AccessRole: String, CaseIterable, Comparable, Sendable {
    /// See everything that the API shows of the cluster.
    case look
    /// Also see who else has access; plan, acknowledge, pause reactions, and switch over where nothing grave speaks against it.
    case operate
    /// What may cost data or availability: override what is grave.
    case endanger

    public static func < (one: AccessRole, other: AccessRole) -> Bool { one.rank < other.rank }

    private var rank: Int {
        switch self {
        case .look: 0
        case .operate: 1
        case .endanger: 2
        }
    }
}
