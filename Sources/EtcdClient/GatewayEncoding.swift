// SPDX-License-Identifier: Apache-2.0
import LenientJSON

/// Request bodies of etcd's JSON gateway (`/v3/kv/range` and its neighbors): keys and values in base64, 64-bit numbers as
/// strings.
enum GatewayEncoding {
    static func range(_ range: KeyRange, limit: Int) -> [UInt8] { self.bytes(self.rangeText(range, limit: limit)) }

    static func transaction(_ transaction: Transaction) -> [UInt8] {
        let compares = transaction.compares.map(self.compare).joined(separator: ",")
        let success = transaction.success.map(self.operation).joined(separator: ",")
        let failure = transaction.failure.map(self.operation).joined(separator: ",")
        return self.bytes(#"{"compare":[\#(compares)],"success":[\#(success)],"failure":[\#(failure)]}"#)
    }

    static func grant(seconds: Int64) -> [UInt8] { self.bytes(#"{"TTL":"\#(seconds)"}"#) }

    static func lease(_ lease: Int64) -> [UInt8] { self.bytes(#"{"ID":"\#(lease)"}"#) }

    static func authenticate(user: String, password: String) -> [UInt8] {
        self.bytes(#"{"name":\#(JSON.quoted(user)),"password":\#(JSON.quoted(password))}"#)
    }

    /// Progress notices every ten minutes keep the revision to resume from ahead of compaction.
    static func watch(_ range: KeyRange, from revision: Int64) -> [UInt8] {
        self.bytes(
            #"{"create_request":{\#(self.bounds(range)),"start_revision":"\#(revision)","progress_notify":true}}"#
        )
    }

    private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private static func quotedBase64(_ text: String) -> String { "\"" + Base64.encode(Array(text.utf8)) + "\"" }

    private static func bounds(_ range: KeyRange) -> String {
        let start = #""key":"\#(Base64.encode(range.start))""#
        guard let end = range.end else { return start }
        return start + #","range_end":"\#(Base64.encode(end))""#
    }

    private static func rangeText(_ range: KeyRange, limit: Int) -> String {
        "{" + self.bounds(range) + (limit > 0 ? #","limit":"\#(limit)"}"# : "}")
    }

    private static func compare(_ compare: Transaction.Compare) -> String {
        let target =
            switch compare.expectation {
            case .value(let value): #""target":"VALUE","value":"\#(Base64.encode(value))""#
            case .createRevision(let revision): #""target":"CREATE","create_revision":"\#(revision)""#
            case .modRevision(let revision): #""target":"MOD","mod_revision":"\#(revision)""#
            case .lease(let lease): #""target":"LEASE","lease":"\#(lease)""#
            }
        return #"{"key":\#(self.quotedBase64(compare.key)),"result":"EQUAL",\#(target)}"#
    }

    private static func operation(_ operation: Transaction.Operation) -> String {
        switch operation {
        case .put(let key, let value, let lease):
            let put = #""key":\#(self.quotedBase64(key)),"value":"\#(Base64.encode(value))","lease":"\#(lease)""#
            return #"{"request_put":{\#(put)}}"#
        case .delete(let range): return #"{"request_delete_range":{\#(self.bounds(range))}}"#
        case .range(let range, let limit): return #"{"request_range":\#(self.rangeText(range, limit: limit))}"#
        }
    }
}
