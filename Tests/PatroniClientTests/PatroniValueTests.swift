// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import PatroniValues
import TestSupport
import Testing

@testable import PatroniClient

/// The values in a recorded answer to a range of all of Patroni's keys, by key. (Base64 as etcd's gateway writes it.)
func recordedValues(_ name: String) throws -> [String: [UInt8]] {
    let json = try #require(JSON.parse(try fixture(name)))
    var values: [String: [UInt8]] = [:]
    for element in try #require(json["kvs"]?.array) {
        let key = decodeBase64(element["key"]?.string ?? "")
        values[String(decoding: key, as: UTF8.self)] = decodeBase64(element["value"]?.string ?? "")
    }
    return values
}

func decodeBase64(_ text: String) -> [UInt8] {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var bytes: [UInt8] = []
    var (bits, count) = (UInt32(0), 0)
    for character in text.utf8 {
        guard let value = alphabet.firstIndex(of: character) else { break }
        (bits, count) = (bits << 6 | UInt32(value), count + 6)
        guard count >= 8 else { continue }
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
    }
    return bytes
}

struct UnreadableConfigTests {
    @Test func `a configuration names the fields that do not fit`() {
        func config(_ text: String) -> PatroniConfig { PatroniConfig(value: Array(text.utf8)) }
        #expect(config(#"{"ttl": 60, "pause": true}"#).unreadable.isEmpty)
        #expect(config(#"{"ttl": null}"#).unreadable.isEmpty, "null is absent, as for Patroni")
        #expect(config(#"{"ttl": 5}"#).unreadable.isEmpty, "Patroni takes 20, and so does this")
        #expect(config(#"{"ttl": "x", "pause": [], "loop_wait": 1e99}"#).unreadable == ["ttl", "pause", "loop_wait"])
        for text in ["", "[]", "null", "3", "{", #""{}""#] { #expect(!config(text).isObject, "\(text)") }
        #expect(config("{}").isObject && config("{}").problems.isEmpty)
    }
}

struct PatroniKeyTests {
    @Test func `keys of a cluster, however the namespace is written`() {
        for namespace in ["/service/", "service", "/service", "service/"] {
            let keys = PatroniKeys(namespace: namespace, scope: "demo")
            #expect(keys.leader == "/service/demo/leader" && keys.members == "/service/demo/members/")
            #expect(keys.member("pg1") == "/service/demo/members/pg1" && keys.config == "/service/demo/config")
        }
        #expect(PatroniKeys(namespace: "/", scope: "demo").prefix == "/demo/")
        #expect(PatroniKeys(namespace: "/a/b/", scope: "demo", group: 0).leader == "/a/b/demo/0/leader")
    }

    @Test func `a key says what it holds`() {
        let keys = PatroniKeys(scope: "demo")
        #expect(keys.kind(of: "/service/demo/leader") == .leader)
        #expect(keys.kind(of: "/service/demo/members/pg1") == .member("pg1"))
        #expect(keys.kind(of: "/service/demo/members/") == .other)
        #expect(keys.kind(of: "/service/demo/members/a/b") == .other)
        #expect(keys.kind(of: "/service/demo/optime/leader") == .other)
        #expect(keys.kind(of: "/service/demo2/leader") == nil)
        #expect(keys.kind(of: "/service/demo") == nil)
    }

    @Test func `a recorded Citus cluster has two groups`() throws {
        let keys = PatroniKeys(scope: "demo")
        let found = try recordedValues("23-range.json").keys.sorted().compactMap { keys.groupAndKind(of: $0) }
        #expect(Set(found.map(\.group)) == [0, 1])
        #expect(found.filter { $0.kind == .leader }.count == 2)
        #expect(found.contains { $0.group == 1 && $0.kind == .member("pg4") })
        #expect(keys.groupAndKind(of: "/service/demo/leader") == nil)
        #expect(keys.groupAndKind(of: "/service/demo/+1/leader") == nil)
        #expect(PatroniKeys(scope: "demo", group: 1).kind(of: "/service/demo/0/leader") == nil)
    }
}

struct PatroniValueTests {
    @Test func `a recorded cluster`() throws {
        let values = try recordedValues("09-range.json")
        let keys = PatroniKeys(scope: "demo")
        #expect(patroniLeader(try #require(values[keys.leader])) == "pg2")
        let member = PatroniMember(name: "pg2", value: try #require(values[keys.member("pg2")]))
        #expect(member.role == .primary && member.state == "running" && member.timeline == 17)
        #expect(member.apiURL == "http://10.252.77.2:8008/patroni" && member.version == "4.1.5")
        #expect(member.xlogLocation != nil && member.problems.isEmpty && !member.tags.noFailover)
        let config = PatroniConfig(value: try #require(values[keys.config]))
        #expect(config.ttl == 30 && config.loopWait == 10 && config.retryTimeout == 10 && config.isFailsafeMode)
        #expect(config.synchronousMode == .off && !config.isPaused && config.problems.isEmpty)
        let failsafe = PatroniFailsafe(value: try #require(values[keys.failsafe]))
        #expect(failsafe.members.keys.sorted() == ["pg1", "pg2", "pg3"])
        let history = PatroniHistory(value: try #require(values[keys.history]))
        #expect(history.entries.count == 16 && history.entries.last?.leader == "pg2" && history.problems.isEmpty)
        #expect(PatroniLog(value: try #require(values[keys.status])).position ?? 0 > 67_000_000)
    }

    @Test(arguments: [
        (#"{}"#, 30, 10, 10), (#"{"ttl":5,"loop_wait":5,"retry_timeout":5}"#, 20, 5, 5),
        (#"{"ttl":"40","loop_wait":10,"retry_timeout":10}"#, 40, 10, 10),
        (#"{"ttl":20,"loop_wait":10,"retry_timeout":10}"#, 20, 1, 9),
        (#"{"ttl":30,"loop_wait":20,"retry_timeout":10}"#, 30, 10, 10),
        (#"{"ttl":-1,"loop_wait":0,"retry_timeout":0}"#, 20, 1, 3),
        (#"{"ttl":1e30,"loop_wait":null,"retry_timeout":[]}"#, 30, 10, 10),
        (#"{"ttl":9223372036854775807,"loop_wait":10,"retry_timeout":9223372036854775807}"#, 86400, 1, 43199),
        ("nonsense", 30, 10, 10), ("[]", 30, 10, 10),
    ])
    func `times are limited as Patroni limits them`(text: String, ttl: Int64, loopWait: Int64, retry: Int64) {
        let config = PatroniConfig(value: Array(text.utf8))
        #expect(config.ttl == ttl && config.loopWait == loopWait && config.retryTimeout == retry)
        #expect(config.loopWait + 2 * config.retryTimeout <= config.ttl)
    }

    @Test func `modes and maintenance`() {
        let config = PatroniConfig(value: Array(#"{"synchronous_mode":"quorum","pause":"on","failsafe_mode":1}"#.utf8))
        #expect(config.synchronousMode == .quorum && config.isPaused && config.isFailsafeMode)
        let odd = PatroniConfig(value: Array(#"{"synchronous_mode":"maybe","pause":{}}"#.utf8))
        #expect(odd.synchronousMode == .off && !odd.isPaused && odd.problems.count == 2)
        #expect(PatroniConfig(value: Array(#"{"synchronous_mode":true}"#.utf8)).synchronousMode == .on)
    }

    @Test func `one bad field spoils no other`() {
        let text =
            #"{"role":"master","state":5,"timeline":"x","api_url":"http://a","tags":{"nofailover":"true"},"new":[]}"#
        let member = PatroniMember(name: "n", value: Array(text.utf8))
        #expect(member.role == .primary && member.state == nil && member.timeline == nil && member.apiURL == "http://a")
        #expect(member.tags.noFailover && member.problems.count == 2)
        #expect(PatroniMember(name: "n", value: Array("{".utf8)).problems == ["not JSON"])
        #expect(PatroniRole("promoted") == .promoted && PatroniRole("standby_leader") == .standbyLeader)
        #expect(PatroniRole("odd") == .other("odd"))
    }

    /// As `patroni/tags.py` of 4.1 has it.
    @Test(arguments: [
        (#"{}"#, false), (#"{"nofailover":true}"#, true), (#"{"nofailover":"false"}"#, true),
        (#"{"nofailover":""}"#, false), (#"{"nofailover":null,"failover_priority":0}"#, true),
        (#"{"failover_priority":0}"#, true), (#"{"failover_priority":"0"}"#, true),
        (#"{"failover_priority":-1}"#, true),
        (#"{"failover_priority":1}"#, false), (#"{"failover_priority":"odd"}"#, false),
        // The plain tag comes before the priority.
        (#"{"nofailover":false,"failover_priority":0}"#, false), (#"{"nofailover":1,"failover_priority":5}"#, true),
    ])
    func `who may lead is read from the tags as Patroni reads it`(tags: String, isExcluded: Bool) {
        let member = PatroniMember(name: "n", value: Array(#"{"tags":\#(tags)}"#.utf8))
        #expect(member.tags.noFailover == isExcluded)
        let synchronous = tags.replacing("nofailover", with: "nosync").replacing(
            "failover_priority", with: "sync_priority")
        let other = PatroniMember(name: "n", value: Array(#"{"tags":\#(synchronous)}"#.utf8))
        #expect(other.tags.noSync == isExcluded && !other.tags.noFailover)
    }

    @Test func `a leader is a name`() {
        #expect(patroniLeader(Array("pg1".utf8)) == "pg1")
        for bad in [[], [0xFF], Array("a\nb".utf8), [UInt8](repeating: 97, count: 256)] as [[UInt8]] {
            #expect(patroniLeader(bad) == nil)
        }
    }

    @Test func `synchronous standbys, and switchovers asked for`() {
        let sync = PatroniSync(value: Array(#"{"leader":"pg1","quorum":1,"sync_standby":"pg2, pg3"}"#.utf8))
        #expect(sync.leader == "pg1" && sync.standbys == ["pg2", "pg3"] && sync.quorum == 1)
        #expect(PatroniSync(value: Array(#"{"leader":"pg1","sync_standby":null}"#.utf8)).standbys.isEmpty)
        #expect(PatroniFailover(value: Array(#"{"leader":"pg4","member":"pg3"}"#.utf8)).isPending)
        #expect(!PatroniFailover(value: Array("{}".utf8)).isPending)
        let history = PatroniHistory(value: Array(#"[[1,2,"why"],[2,3,"w","t","n"],[1],"x",[1,"y","z"]]"#.utf8))
        #expect(history.entries.count == 2 && history.problems == ["3 entries do not fit"])
    }

    @Test func `20,000 mutations of recorded values crash nothing`() async throws {
        var generator = SeededGenerator(2)
        let values = try recordedValues("09-range.json").sorted { $0.key < $1.key }.map(\.value)
        let bodies = try ["01-patroni", "01-cluster", "07-paused-cluster", "17-cluster"].map { try recordedBody($0) }
        var problems = 0
        for _ in 0..<20_000 {
            await Task.yield()
            let all = values + bodies
            let bytes = mutated(all[Int.random(in: 0..<all.count, using: &generator)], &generator)
            _ = patroniLeader(bytes)
            let config = PatroniConfig(value: bytes)
            #expect(config.ttl >= 20 && config.loopWait >= 1 && config.loopWait + 2 * config.retryTimeout <= config.ttl)
            problems += PatroniMember(name: "n", value: bytes).problems.count + config.problems.count
            problems += PatroniFailsafe(value: bytes).problems.count + PatroniHistory(value: bytes).problems.count
            problems += PatroniSync(value: bytes).problems.count + PatroniFailover(value: bytes).problems.count
            problems += PatroniLog(value: bytes).problems.count + PatroniStatus(body: bytes).problems.count
            problems += PatroniCluster(body: bytes).problems.count
        }
        #expect(problems > 20_000)
    }
}
