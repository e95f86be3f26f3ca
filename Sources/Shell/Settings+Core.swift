// SPDX-License-Identifier: Apache-2.0
import Decision
import NetworkAddress
import Settings

/// What the core is told of the settings.
extension Settings {
    /// `node` identifies this boot.
    func core(node: String) -> CoreSettings {
        CoreSettings(
            member: self.member, node: node,
            addresses: self.addresses.map {
                AddressSpec(
                    id: $0.prefix.address.description, prefixLength: $0.prefix.prefixLength, interface: $0.interface,
                    acquire: $0.acquire, port: $0.port)
            },
            leaseTTL: self.lease.ttl, margin: self.lease.margin, clockDrift: self.lease.clockDrift,
            limits: AnswerLimits(request: self.lease.requestTimeout), citus: self.citus?.core,
            detector: DetectorSettings(
                self.detector.profile, group: self.memberID.group, watchesAllGroups: self.watchesAllGroups,
                seed: self.seed, lagLimit: self.detector.lagLimit, onGrayFailure: self.detector.onGrayFailure,
                version: Version.text))
    }

    /// This node's member and its group.
    var memberID: MemberID { MemberID(self.citus?.core.group ?? self.group ?? 0, self.member) }

    /// The coordinator's nodes watch every group: what befalls a worker, its own neighbors alone may not live to tell.
    private var watchesAllGroups: Bool { self.memberID.group == 0 && (self.citus != nil || self.group != nil) }

    /// The same for one member, and different for others: FNV-1a, 64 bits.
    private var seed: UInt64 {
        "\(self.scope)/\(self.member)".utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
