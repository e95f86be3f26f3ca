// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import Testing

@testable import Shell

/// What Patroni's keys of a group mean to those who follow it.
struct GroupKeysTests {
    private static let keys = GroupKeys(namespace: "/service/", scope: "demo", .scopes([0: "demo", 3: "demo-w3"]))

    private static func change(_ key: String, _ value: String?, _ keys: GroupKeys = Self.keys) -> GroupChange? {
        keys.change(
            WatchEvent(
                kind: value == nil ? .delete : .put,
                keyValue: KeyValue(
                    key: Array(key.utf8), value: Array((value ?? "").utf8), createRevision: 7, modRevision: 9,
                    version: 1, lease: 0)))
    }

    @Test(arguments: [
        ("", true), (#","replication_state":"streaming""#, true),
        (#","replication_state":"in archive recovery""#, false), (#","tags":{"noloadbalance":true}"#, false),
    ]) func `reads are for a standby that streams, as far as Patroni says`(more: String, serves: Bool) {
        let value = #"{"conn_url":"postgres://10.0.0.1:5432/postgres","role":"replica","state":"running"\#(more)}"#
        guard case .member(_, let member?)? = Self.change("/service/demo/members/n2", value)?.fact else {
            Issue.record("no member")
            return
        }
        #expect(member.servesReads == serves)
    }

    @Test func `a leader key counts from its creation, and its end is an end`() {
        #expect(Self.change("/service/demo/leader", "n1") == GroupChange(0, .leader("n1", since: 7, written: 9)))
        #expect(Self.change("/service/demo-w3/leader", nil) == GroupChange(3, .noLeader))
        #expect(Self.change("/service/other/leader", "n1") == nil)
        let mode = GroupKeys(namespace: "service", scope: "demo", .citusMode)
        #expect(
            Self.change("/service/demo/12/leader", "n1", mode) == GroupChange(12, .leader("n1", since: 7, written: 9)))
        #expect(Self.change("/service/demo/x/leader", "n1", mode) == nil)
    }

    @Test(
        arguments: [
            (#"{"leader":"n1","member":"n2"}"#, .from("n1")), ("{}", nil), (nil, nil), ("", nil),
            (#"{"leader":"n1","scheduled_at":"2026-11-21T03:23:50+00:00"}"#, nil),
            // patronictl failover
            (#"{"member":"n2"}"#, .to("n2", since: 9)), (#"{"leader":"","member":"n2"}"#, .to("n2", since: 9)),
            (#"{"member":"n2","scheduled_at":"2026-11-21T03:23:50+00:00"}"#, nil), (#"{"member":""}"#, nil),
        ] as [(String?, LeaderRequest?)]) func `a request for now is pending, one for later or an emptied one is not`(
            value: String?, request: LeaderRequest?
        )
    {
        #expect(Self.change("/service/demo/failover", value) == GroupChange(0, .requested(request)))
    }

    @Test(
        arguments: [
            (#"{"leader":"n1","sync_standby":"n2,n3"}"#, ["n2", "n3"]), (#"{"leader":"n1","sync_standby":null}"#, []),
            ("{", []), (nil, nil),
        ] as [(String?, Set<String>?)]) func `synchronous standbys are known while Patroni keeps them`(
            value: String?, standbys: Set<String>?
        )
    {
        #expect(Self.change("/service/demo/sync", value) == GroupChange(0, .synchronous(standbys)))
    }

    /// The values are those of a real cluster.
    @Test(
        arguments: [
            (
                "status", #"{"optime":67221808,"slots":{"pg3":67221408},"retain_slots":["pg1"]}"#,
                .position(67_221_808, writtenAt: 9)
            ),
            ("status", #"{"optime":-1}"#, nil), ("status", nil, nil),
            (
                "history",
                #"[[1,67221928,"no recovery target specified","2026-11-21T01:21:50.287917+00:00","pg1"],[2,67246544,"no recovery target specified","2026-11-21T01:22:29.339916+00:00","pg3"]]"#,
                .ended(timeline: 2, at: 67_246_544, promoted: "pg3", writtenAt: 9)
            ),
            ("history", #"[[1,67221928,"x"]]"#, .ended(timeline: 1, at: 67_221_928, promoted: nil, writtenAt: 9)),
            ("history", "[]", nil), ("history", "{", nil),
            (
                "sync", #"{"leader":"pg1","quorum":0,"sync_standby":"pg3"}"#,
                .confirming(.init(leader: "pg1", standbys: ["pg3"]), writtenAt: 9)
            ),
            ("sync", #"{"leader":"pg1","quorum":1,"sync_standby":"pg2,pg3"}"#, .confirming(nil, writtenAt: 9)),
            ("sync", #"{"leader":"pg1","quorum":0,"sync_standby":null}"#, .confirming(nil, writtenAt: 9)),
            ("sync", nil, .confirming(nil, writtenAt: 9)),
            (
                "members/pg3", #"{"state":"running","role":"replica","xlog_location":67221520,"timeline":1}"#,
                .member("pg3", position: 67_221_520, timeline: 1, writtenAt: 9)
            ),
            (
                "members/pg2", #"{"state":"stopping","role":"demoted"}"#,
                .member("pg2", position: nil, timeline: nil, writtenAt: 9)
            ),
            ("members/pg2", nil, nil), ("leader", "pg1", nil),
        ] as [(String, String?, LogFact?)])
    func `of its own group's log the keys tell, and of no other's`(key: String, value: String?, fact: LogFact?) {
        let layout = GroupKeys.Layout.scopes([0: "demo", 3: "demo-w3"])
        let keys = GroupKeys(namespace: "/service/", scope: "demo", layout, own: 3)
        let told = { (scope: String, keys: GroupKeys) in
            let pair = KeyValue(
                key: Array("/service/\(scope)/\(key)".utf8), value: Array((value ?? "").utf8), createRevision: 7,
                modRevision: 9, version: 1, lease: 0)
            return keys.changes(WatchEvent(kind: value == nil ? .delete : .put, keyValue: pair)).filter {
                if case .log = $0.fact { true } else { false }
            }
        }
        #expect(told("demo-w3", keys) == (fact.map { [GroupChange(3, .log($0))] } ?? []))
        #expect(told("demo", keys).isEmpty && told("demo-w3", Self.keys).isEmpty)
    }

    @Test(arguments: [
        ("", true), (#","tags":{"nofailover":true}"#, false), (#","tags":{"failover_priority":0}"#, false),
        (#","tags":{"failover_priority":2}"#, true),
    ]) func `who is tagged so may not lead`(tags: String, mayLead: Bool) {
        let value =
            #"{"conn_url":"postgres://10.0.0.2:5432/postgres","api_url":"http://10.0.0.2:8008/patroni","state":"running","role":"replica""#
        let member = GroupMember(
            endpoint: NodeEndpoint("10.0.0.2", 5432), isRunning: true, isPrimary: false, mayLead: mayLead,
            api: "http://10.0.0.2:8008/patroni")
        #expect(Self.change("/service/demo/members/n2", value + tags + "}") == GroupChange(0, .member("n2", member)))
    }

    @Test(
        arguments: [
            ("postgres://10.0.0.2:5433/postgres", NodeEndpoint("10.0.0.2", 5433)),
            ("postgresql://db", .init("db", 5432)),
            ("postgres://u:p%40@[2001:db8::1]:5432/d?sslmode=prefer", .init("2001:db8::1", 5432)),
            ("postgres://%64b/d", .init("db", 5432)),
            ("postgres://", nil), ("", nil), ("http://h", nil), ("postgres://h:0/", nil), ("postgres://h:x/", nil),
            ("postgres://a,b/", nil), ("postgres://%2Frun/", nil), ("postgres://a%20b/", nil),
            ("postgres://a%27b/", nil),
            ("postgres://[::1/", nil), ("postgres://h:65536/", nil), ("postgres://@h,/", nil),
            ("postgres://h%00/", nil),
            ("postgres://" + String(repeating: "h", count: 254), nil),
        ] as [(String, NodeEndpoint?)]) func `where a member's PostgreSQL is, libpq reads`(
            url: String, endpoint: NodeEndpoint?
        )
    {
        let change = Self.change("/service/demo/members/n2", #"{"conn_url":"\#(url)"}"#)
        guard case .member("n2", let member?)? = change?.fact else {
            Issue.record("\(String(describing: change))")
            return
        }
        #expect(member.endpoint == endpoint)
    }
}
