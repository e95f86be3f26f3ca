// SPDX-License-Identifier: Apache-2.0
import EtcdValues
import LenientJSON

/// An answer that is not what etcd's API documents.
struct MalformedAnswer: Error, Equatable {
    let message: String
}

/// Answers of etcd's JSON gateway, versions 3.2 to 3.6. Absent means zero or empty, as in protobuf; another type than
/// documented is malformed, and so is a header without cluster: `{}` must never pass for "no such key".
enum GatewayDecoding {
    /// Seconds; etcd grants no longer lease (`MaxLeaseTTL` in its server/lease/lessor.go).
    static let longestTTL: Int64 = 9_000_000_000

    static func header(_ answer: JSON) throws(MalformedAnswer) -> Header {
        guard let header = answer["header"] else { throw MalformedAnswer(message: "no header") }
        let clusterID = try self.unsigned(header, "cluster_id")
        guard clusterID != 0 else { throw MalformedAnswer(message: "no cluster_id in the header") }
        return Header(
            clusterID: clusterID,
            memberID: try self.unsigned(header, "member_id"),
            revision: try self.revision(header, "revision"),
            raftTerm: try self.unsigned(header, "raft_term")
        )
    }

    static func range(_ answer: JSON, of range: KeyRange) throws(MalformedAnswer) -> RangeResponse {
        let header = try self.header(answer)
        guard header.revision > 0 else { throw MalformedAnswer(message: "no revision in the header") }
        let keyValues = try self.keyValues(answer, in: range)
        let count = try self.count(answer, "count")
        return RangeResponse(
            header: header,
            keyValues: keyValues,
            count: max(count, Int64(keyValues.count)),
            more: try self.flag(answer, "more")
        )
    }

    static func transaction(_ answer: JSON, of request: Transaction) throws(MalformedAnswer) -> TransactionResponse {
        let header = try self.header(answer)
        guard header.revision > 0 else { throw MalformedAnswer(message: "no revision in the header") }
        let succeeded = try self.flag(answer, "succeeded")
        let operations = succeeded ? request.success : request.failure
        let elements = try self.list(answer, "responses")
        guard elements.count == operations.count else {
            throw MalformedAnswer(message: "\(elements.count) responses to \(operations.count) operations")
        }
        var responses: [TransactionResponse.OperationResponse] = []
        for (operation, element) in zip(operations, elements) {
            switch operation {
            case .put:
                _ = try self.member(element, "response_put")
                responses.append(.put)
            case .delete:
                let deletion = try self.member(element, "response_delete_range")
                responses.append(.delete(count: try self.count(deletion, "deleted")))
            case .range(let range, _):
                let found = try self.member(element, "response_range")
                responses.append(.range(try self.keyValues(found, in: range)))
            }
        }
        return TransactionResponse(header: header, succeeded: succeeded, responses: responses)
    }

    static func grant(_ answer: JSON) throws(MalformedAnswer) -> LeaseGrant {
        let header = try self.header(answer)
        let (id, ttl) = (try self.integer(answer, "ID"), try self.integer(answer, "TTL"))
        guard id != 0, ttl > 0 else { throw MalformedAnswer(message: "a lease without ID or TTL") }
        guard ttl <= Self.longestTTL else { throw MalformedAnswer(message: "a TTL beyond etcd's limit") }
        return LeaseGrant(id: id, ttl: ttl, header: header)
    }

    /// The answer is the first message of a stream.
    static func keepAlive(_ answer: JSON, of lease: Int64) throws(MalformedAnswer) -> LeaseKeepAlive {
        let result = try self.member(answer, "result")
        let header = try self.header(result)
        let id = try self.integer(result, "ID")
        guard id == lease else { throw MalformedAnswer(message: "another lease's ID") }
        let ttl = try self.count(result, "TTL")
        guard ttl <= Self.longestTTL else { throw MalformedAnswer(message: "a TTL beyond etcd's limit") }
        return LeaseKeepAlive(ttl: ttl, header: header)
    }

    static func token(_ answer: JSON) throws(MalformedAnswer) -> String {
        guard let token = answer["token"]?.string, !token.isEmpty, token.utf8.count <= 16384 else {
            throw MalformedAnswer(message: "no token")
        }
        return token
    }

    /// The path under which a server of this version serves the API: `/version` answers `{"etcdserver": "3.4.23", …}`.
    static func prefix(_ answer: JSON) throws(MalformedAnswer) -> String {
        let numbers = answer["etcdserver"]?.string?.split(separator: ".", maxSplits: 2).prefix(2).map { Int($0) }
        guard let numbers, numbers.count == 2, let major = numbers[0], let minor = numbers[1], major >= 3 else {
            throw MalformedAnswer(message: "no version of etcd 3 or later")
        }
        return major > 3 || minor >= 4 ? "/v3" : minor == 3 ? "/v3beta" : "/v3alpha"
    }

    // MARK: Fields

    static func keyValue(_ element: JSON) throws(MalformedAnswer) -> KeyValue {
        let key = try self.bytes(element, "key")
        guard !key.isEmpty else { throw MalformedAnswer(message: "a key-value without key") }
        return KeyValue(
            key: key,
            value: try self.bytes(element, "value"),
            createRevision: try self.revision(element, "create_revision"),
            modRevision: try self.revision(element, "mod_revision"),
            version: try self.count(element, "version"),
            lease: try self.integer(element, "lease")
        )
    }

    private static func keyValues(_ answer: JSON, in range: KeyRange) throws(MalformedAnswer) -> [KeyValue] {
        var keyValues: [KeyValue] = []
        for element in try self.list(answer, "kvs") {
            let keyValue = try self.keyValue(element)
            guard range.contains(keyValue.key) else { throw MalformedAnswer(message: "a key outside the range") }
            keyValues.append(keyValue)
        }
        return keyValues
    }

    static func member(_ object: JSON, _ name: String) throws(MalformedAnswer) -> JSON {
        guard let member = object[name] else { throw MalformedAnswer(message: "no \(name)") }
        guard member.object != nil else { throw self.wrongType(name, member) }
        return member
    }

    static func list(_ object: JSON, _ name: String) throws(MalformedAnswer) -> [JSON] {
        guard let member = object[name] else { return [] }
        guard let list = member.array else { throw self.wrongType(name, member) }
        return list
    }

    static func flag(_ object: JSON, _ name: String) throws(MalformedAnswer) -> Bool {
        guard let member = object[name] else { return false }
        guard let flag = member.bool else { throw self.wrongType(name, member) }
        return flag
    }

    static func integer(_ object: JSON, _ name: String) throws(MalformedAnswer) -> Int64 {
        guard let member = object[name] else { return 0 }
        guard let number = member.int64 else { throw self.wrongType(name, member) }
        return number
    }

    /// A number that cannot be negative.
    static func count(_ object: JSON, _ name: String) throws(MalformedAnswer) -> Int64 {
        let number = try self.integer(object, name)
        guard number >= 0 else { throw MalformedAnswer(message: "\(name) is negative") }
        return number
    }

    /// A revision that leaves room to reckon with: etcd cannot come near 2^62.
    static func revision(_ object: JSON, _ name: String) throws(MalformedAnswer) -> Int64 {
        let number = try self.count(object, name)
        guard number <= 1 << 62 else { throw MalformedAnswer(message: "\(name) is beyond any revision") }
        return number
    }

    static func unsigned(_ object: JSON, _ name: String) throws(MalformedAnswer) -> UInt64 {
        guard let member = object[name] else { return 0 }
        guard let number = member.uint64 else { throw self.wrongType(name, member) }
        return number
    }

    private static func bytes(_ object: JSON, _ name: String) throws(MalformedAnswer) -> [UInt8] {
        guard let member = object[name] else { return [] }
        guard let bytes = member.string.flatMap(Base64.decode) else { throw self.wrongType(name, member) }
        return bytes
    }

    private static func wrongType(_ name: String, _ value: JSON) -> MalformedAnswer {
        MalformedAnswer(message: "\(name) is \(value.kind) that does not fit")
    }
}
