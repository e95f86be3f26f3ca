// SPDX-License-Identifier: Apache-2.0

/// Where a service is offered (RFC 2782).
public struct ServiceRecord: Sendable, Hashable {
    public let priority: UInt16
    public let weight: UInt16
    public let port: UInt16
    /// A host's name in lower case, without a dot at the end.
    public let target: String

    public init(priority: UInt16, weight: UInt16, port: UInt16, target: String) {
        self.priority = priority
        self.weight = weight
        self.port = port
        self.target = target
    }
}

/// Why bytes from the network are no answer to the question.
struct MalformedMessage: Error, Equatable { let message: String }

/// A question for the SRV records of a name, and what a name server answers to it (RFC 1035). A pure value.
///
/// Whatever the bytes say, reading them ends: at most ``recordLimit`` records, names of 255 bytes, and pointers that lead
/// backwards only.
struct ServiceQuestion: Equatable {
    enum Answer: Equatable {
        /// In the order in which they came; none: the name exists, and has no such records.
        case records([ServiceRecord])
        case noSuchName
        /// The server cannot or will not answer: its response code.
        case refused(Int)
        /// The answer did not fit: it is to be asked for by TCP.
        case truncated
    }

    static let recordLimit = 64
    static let (headerSize, nameLimit, labelLimit) = (12, 255, 63)
    private static let (serviceType, aliasType, internet): (Int, Int, Int) = (33, 5, 1)
    private static let aliasLimit = 8

    let id: UInt16
    /// In lower case.
    let name: [[UInt8]]

    /// Nil where no name server can have such a name.
    init?(_ name: String, id: UInt16) {
        let text = name.hasSuffix(".") ? String(name.dropLast()) : name
        let labels = text.split(separator: ".", omittingEmptySubsequences: false).map { Array($0.utf8) }
        guard labels.allSatisfy({ (1...Self.labelLimit).contains($0.count) && $0.allSatisfy(Self.isNameByte) }),
            labels.reduce(1, { $0 + $1.count + 1 }) <= Self.nameLimit
        else { return nil }
        self.id = id
        self.name = labels.map { $0.map(Self.lowercased) }
    }

    /// As it is sent: recursion desired, one question.
    var bytes: [UInt8] {
        var bytes = [UInt8(self.id >> 8), UInt8(self.id & 0xFF), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        for label in self.name { bytes += [UInt8(label.count)] + label }
        return bytes + [0, 0, UInt8(Self.serviceType), 0, UInt8(Self.internet)]
    }

    /// What a message answers. Throws where it is none to this question: another server's, a forged one, or nonsense.
    func answer(in message: [UInt8]) throws(MalformedMessage) -> Answer {
        var reader = MessageReader(message)
        guard try reader.number() == Int(self.id) else { throw MalformedMessage(message: "another question's number") }
        let flags = try reader.number()
        guard flags & 0xF800 == 0x8000 else { throw MalformedMessage(message: "no answer to a query") }
        let (questions, count) = (try reader.number(), try reader.number())
        try reader.skip(4)
        guard questions == 1, try reader.name() == self.name, try reader.number() == Self.serviceType,
            try reader.number() == Self.internet
        else { throw MalformedMessage(message: "an answer to another question") }
        guard flags & 0x0200 == 0 else { return .truncated }
        switch flags & 0xF {
        case 0: return .records(try self.records(&reader, count))
        case 3: return .noSuchName
        case let code: return .refused(code)
        }
    }

    private func records(_ reader: inout MessageReader, _ count: Int) throws(MalformedMessage) -> [ServiceRecord] {
        var found: [(owner: [[UInt8]], record: ServiceRecord)] = []
        var aliases: [(owner: [[UInt8]], target: [[UInt8]])] = []
        for _ in 0..<min(count, Self.recordLimit) {
            let owner = try reader.name()
            let (type, kind) = (try reader.number(), try reader.number())
            try reader.skip(4)
            let length = try reader.number()
            let end = reader.place + length
            if kind == Self.internet, type == Self.serviceType {
                let (priority, weight, port) = (try reader.number(), try reader.number(), try reader.number())
                let target = try reader.name()
                // The root stands for "not offered here".
                if let name = Self.text(target), port != 0 {
                    found.append(
                        (
                            owner,
                            ServiceRecord(
                                priority: UInt16(priority), weight: UInt16(weight), port: UInt16(port), target: name)
                        ))
                }
            } else if kind == Self.internet, type == Self.aliasType {
                aliases.append((owner, try reader.name()))
            } else {
                try reader.skip(length)
            }
            guard reader.place == end else {
                throw MalformedMessage(message: "a record that is not as long as it says")
            }
        }
        var name = self.name
        for _ in 0..<Self.aliasLimit {
            guard let alias = aliases.first(where: { $0.owner == name }) else { break }
            name = alias.target
        }
        return found.filter { $0.owner == name }.map(\.record)
    }

    /// Nil: no host's name.
    private static func text(_ name: [[UInt8]]) -> String? {
        guard !name.isEmpty, name.allSatisfy({ $0.allSatisfy(Self.isNameByte) }) else { return nil }
        return name.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ".")
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch Self.lowercased(byte) {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false  // bytes, not cases of ours
        }
    }

    static func lowercased(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte + 0x20 : byte }
}

/// Reads a message from front to back; names jump, and the reader goes on behind them.
private struct MessageReader {
    private let bytes: [UInt8]
    private(set) var place = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private static let tooShort = MalformedMessage(message: "it ends too early")

    mutating func skip(_ count: Int) throws(MalformedMessage) {
        guard count <= self.bytes.count - self.place else { throw Self.tooShort }
        self.place += count
    }

    /// 16 bits.
    mutating func number() throws(MalformedMessage) -> Int {
        let start = self.place
        try self.skip(2)
        return Int(self.bytes[start]) << 8 | Int(self.bytes[start + 1])
    }

    /// Labels in lower case. Each pointer leads to before all that was read of the name, so that none comes twice.
    mutating func name() throws(MalformedMessage) -> [[UInt8]] {
        var (labels, size): ([[UInt8]], Int) = ([], 1)
        var (place, lowest) = (self.place, self.place)
        var hasJumped = false
        while true {
            guard place < self.bytes.count else { throw Self.tooShort }
            let length = Int(self.bytes[place])
            switch length >> 6 {
            case 0:
                let end = place + 1 + length
                guard end <= self.bytes.count else { throw Self.tooShort }
                if !hasJumped { self.place = end }
                guard length > 0 else { return labels }
                size += length + 1
                guard size <= ServiceQuestion.nameLimit else {
                    throw MalformedMessage(message: "a name that is too long")
                }
                labels.append(self.bytes[(place + 1)..<end].map(ServiceQuestion.lowercased))
                place = end
            case 3:
                guard place + 1 < self.bytes.count else { throw Self.tooShort }
                let target = (length & 0x3F) << 8 | Int(self.bytes[place + 1])
                if !hasJumped { self.place = place + 2 }
                hasJumped = true
                guard target < lowest else { throw MalformedMessage(message: "a name that leads forwards") }
                (place, lowest) = (target, target)
            default: throw MalformedMessage(message: "an unknown kind of label")  // bits, not cases of ours
            }
        }
    }
}
