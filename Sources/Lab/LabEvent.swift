// SPDX-License-Identifier: Apache-2.0

/// Something that the observer saw, or that the lab did, with the instant on the one clock that all of it shares.
public struct LabEvent: Codable, Sendable, Equatable {
    /// What happened. Which of the optional fields are set follows from it.
    public enum Kind: String, Codable, Sendable {
        /// `node`'s kernel has `address` from now on.
        case addressAppeared = "address-appeared"
        /// `node`'s kernel no longer has `address`.
        case addressDisappeared = "address-disappeared"
        /// `node` told the network that `address` is at its interface: by ARP, or by a neighbor advertisement.
        case announced
        /// Patroni's leader key (of `group`, with Citus) names `node` from now on; without `node`, there is none.
        case leader
        /// The primary row of `group` in the coordinator's pg_dist_node names `node` from now on.
        case row
        /// `node`'s PostgreSQL is out of recovery from now on: a local write is accepted.
        case writable
        /// `node`'s PostgreSQL is in recovery from now on.
        case readOnly = "read-only"
        /// `node`'s PostgreSQL gives no answer from now on.
        case silent
        /// A client's write through `address` failed or is late; `since` is the last success, `text` says why.
        case writesFailing = "writes-failing"
        /// A client writes through `address` again; `since` is the last success before. The very first has none.
        case writesWorking = "writes-working"
        /// The lab did something; `text` says what.
        case mark
        /// The observer's loop did not turn for `milliseconds`: what it stamped meanwhile is late by up to that much.
        case stalled
        /// Netlink overran and the observer read everything anew; what changed in between is stamped late.
        case overrun
    }
    /// Microseconds since boot (`CLOCK_BOOTTIME`), as every node's kernel and the host count them.
    public var at: Int64
    public var kind: Kind
    public var node: String?
    public var address: String?
    /// Citus's number; nil without Citus.
    public var group: Int?
    /// Microseconds since boot.
    public var since: Int64?
    public var milliseconds: Int?
    public var text: String?

    public init(
        at: Int64,
        _ kind: Kind,
        node: String? = nil,
        address: String? = nil,
        group: Int? = nil,
        since: Int64? = nil,
        milliseconds: Int? = nil,
        text: String? = nil
    ) {
        self.at = at
        self.kind = kind
        self.node = node
        self.address = address
        self.group = group
        self.since = since
        self.milliseconds = milliseconds
        self.text = text
    }

    /// Reads lines of JSON; a line that is no event (the last one may be half written) is left out and counted.
    public static func parse(_ text: String) -> (events: [LabEvent], malformed: Int) {
        var events: [LabEvent] = []
        var malformed = 0
        for line in text.split(separator: "\n") {
            do throws(LabError) {
                events.append(try JSON.value(LabEvent.self, from: String(line)))
            } catch {
                malformed += 1
            }
        }
        return (events, malformed)
    }
}
