// SPDX-License-Identifier: Apache-2.0
import EtcdValues
import LenientJSON

/// Request bodies of etcd's JSON gateway (`/v3/kv/range` and its neighbors): keys and values in base64, 64-bit numbers as
/// strings.
enum GatewayEncoding {
    private typealias Member = JSONDocument.Member

    static func range(_ range: KeyRange, limit: Int) -> [UInt8] { self.bytes(self.document(range, limit: limit)) }

    static func transaction(_ transaction: Transaction) -> [UInt8] {
        self.bytes([
            "compare": .list(transaction.compares.map(self.compare)),
            "success": .list(transaction.success.map(self.operation)),
            "failure": .list(transaction.failure.map(self.operation)),
        ])
    }

    static func grant(seconds: Int64) -> [UInt8] { self.bytes(["TTL": "\(seconds)"]) }

    static func lease(_ lease: Int64) -> [UInt8] { self.bytes(["ID": "\(lease)"]) }

    static func authenticate(user: String, password: String) -> [UInt8] {
        self.bytes(["name": .string(user), "password": .string(password)])
    }

    /// Progress notices every ten minutes keep the revision to resume from ahead of compaction.
    static func watch(_ range: KeyRange, from revision: Int64) -> [UInt8] {
        let members = [Member("start_revision", "\(revision)"), Member("progress_notify", true)]
        return self.bytes(["create_request": .object(self.bounds(range) + members)])
    }

    private static func bytes(_ document: JSONDocument) -> [UInt8] { Array(document.compact.utf8) }

    private static func base64(_ bytes: [UInt8]) -> JSONDocument { .string(Base64.encode(bytes)) }

    private static func bounds(_ range: KeyRange) -> [Member] {
        [Member("key", self.base64(range.start)), range.end.map { Member("range_end", self.base64($0)) }].compactMap(
            \.self)
    }

    private static func document(_ range: KeyRange, limit: Int) -> JSONDocument {
        .object(self.bounds(range) + (limit > 0 ? [Member("limit", "\(limit)")] : []))
    }

    private static func compare(_ compare: Transaction.Compare) -> JSONDocument {
        let (target, expected): (JSONDocument, Member) =
            switch compare.expectation {
            case .value(let value): ("VALUE", Member("value", self.base64(value)))
            case .createRevision(let revision): ("CREATE", Member("create_revision", "\(revision)"))
            case .modRevision(let revision): ("MOD", Member("mod_revision", "\(revision)"))
            case .lease(let lease): ("LEASE", Member("lease", "\(lease)"))
            }
        return .members(
            Member("key", self.base64(Array(compare.key.utf8))), Member("result", "EQUAL"), Member("target", target),
            expected)
    }

    private static func operation(_ operation: Transaction.Operation) -> JSONDocument {
        switch operation {
        case .put(let key, let value, let lease):
            [
                "request_put": [
                    "key": self.base64(Array(key.utf8)), "value": self.base64(value), "lease": "\(lease)",
                ]
            ]
        case .delete(let range): ["request_delete_range": .object(self.bounds(range))]
        case .range(let range, let limit): ["request_range": self.document(range, limit: limit)]
        }
    }
}
