// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import TestSupport
import Testing

@testable import EtcdClient

/// An answer of a real etcd 3.4.23, as `curl -i` printed it.
struct Recorded: CustomTestStringConvertible, Sendable {
    let name: String
    var testDescription: String { self.name }

    init(_ name: String) { self.name = name }

    var status: Int {
        get throws {
            let text = String(decoding: try fixture(self.name + ".http"), as: UTF8.self)
            return try #require(text.split(separator: " ").dropFirst().first.flatMap { Int($0) })
        }
    }

    /// Without head, trailers and the recorder's notes.
    var body: [UInt8] {
        get throws {
            let bytes = try fixture(self.name + ".http")
            let start = try #require(bytes.firstRange(of: Array("\r\n\r\n".utf8))).upperBound
            var body = bytes[start...]
            for end in ["Grpc-Trailer", "\n# t="] {
                if let range = body.firstRange(of: Array(end.utf8)) { body = body[..<range.lowerBound] }
            }
            return Array(body)
        }
    }

    var json: JSON {
        get throws { try #require(JSON.parse(try self.body.prefix { $0 != UInt8(ascii: "\n") })) }
    }

    var failure: Failure {
        get throws { Failure(status: try self.status, body: try self.body) }
    }
}

/// The lines of a recorded watch, each with its newline.
func recordedWatch(_ name: String) throws -> [[UInt8]] {
    try fixture(name).split(separator: UInt8(ascii: "\n")).map { line in
        Array(line.drop { $0 != UInt8(ascii: "\t") }.dropFirst()) + [UInt8(ascii: "\n")]
    }
}

extension Recorded {
    static func parse(_ bytes: [UInt8]) -> JSON? { JSON.parse(bytes) }
}
