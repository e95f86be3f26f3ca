// SPDX-License-Identifier: Apache-2.0

extension Timeline {
    /// An announcement of an address by a node.
    public struct Announcement: Sendable, Equatable {
        public let at: Int64
        public let node: String
        public let address: String
    }

    /// The announcements since `start`, by the nodes that the lab knows.
    public func announcements(of address: String? = nil, since start: Int64 = 0) -> [Announcement] {
        self.events.compactMap { event in
            guard event.kind == .announced, event.at >= start, let node = event.node, let its = event.address,
                address == nil || address == its
            else { return nil }
            return Announcement(at: event.at, node: node, address: its)
        }
    }

    /// Those of addresses that the node's kernel did not have, nor had within `grace` microseconds before: the observer
    /// hears of kernels and of packets by different sockets, and a packet may be on its way when the address goes.
    public func falseAnnouncements(since start: Int64 = 0, grace: Int64 = 200_000) -> [Announcement] {
        let holdings = self.holdings()
        return self.announcements(since: start).filter { announcement in
            !holdings.contains {
                $0.node == announcement.node && $0.address == announcement.address
                    && $0.from - grace <= announcement.at && announcement.at <= ($0.until ?? .max - grace) + grace
            }
        }
    }
}
