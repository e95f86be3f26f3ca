// SPDX-License-Identifier: Apache-2.0
import EtcdValues
import LenientJSON

/// What one line of a watch's stream says.
enum WatchMessage: Equatable {
    case batch(WatchBatch)
    case failed(Failure)
}

/// Cuts a watch's byte stream into lines of JSON and reads them; what etcd sends in fragments is put together again.
///
/// Invariant: at most `lineLimit` bytes are kept, of a line or of all lines of a fragmented message.
package struct WatchDecoder {
    package static let lineLimit = 8 << 20

    private var buffer: [UInt8] = []
    /// Where the first line that was not taken begins, and how far its end was looked for.
    private var start = 0
    private var scanned = 0
    private var fragments: [WatchEvent] = []
    private var fragmentBytes = 0

    /// Bytes of what is not complete yet.
    var unfinished: Int { self.buffer.count - self.start + self.fragmentBytes }

    mutating func append(_ bytes: [UInt8]) {
        if self.start > 0 {
            self.buffer.removeSubrange(..<self.start)
            self.scanned -= self.start
            self.start = 0
        }
        self.buffer += bytes
    }

    /// The next message that is complete; nil: more bytes are needed.
    mutating func next() throws(MalformedAnswer) -> WatchMessage? {
        while let line = try self.nextLine() {
            guard !line.allSatisfy({ $0 == 13 || $0 == 32 || $0 == 9 }) else { continue }
            guard let json = JSON.parse(line) else { throw MalformedAnswer(message: "a watch's line is not JSON") }
            if let message = try self.message(json, size: line.count) { return message }
        }
        return self.unfinishedError()
    }

    /// The gateway ends a stream with `{"error": …}` without a newline, and may leave the connection open after it.
    private mutating func unfinishedError() -> WatchMessage? {
        let rest = self.buffer[self.start...]
        guard rest.last == UInt8(ascii: "}"), rest.prefix(16).contains(Array("\"error\"".utf8)),
            let json = JSON.parse(rest, limit: 1 << 16), json["error"] != nil
        else { return nil }
        self.start = self.buffer.count
        self.scanned = self.start
        return .failed(Failure(status: 0, answer: json))
    }

    private mutating func nextLine() throws(MalformedAnswer) -> ArraySlice<UInt8>? {
        guard let end = self.buffer[self.scanned...].firstIndex(of: UInt8(ascii: "\n")) else {
            self.scanned = self.buffer.count
            guard self.scanned - self.start <= Self.lineLimit else {
                throw MalformedAnswer(message: "a watch's line is longer than \(Self.lineLimit) bytes")
            }
            return nil
        }
        let line = self.buffer[self.start..<end]
        self.start = end + 1
        self.scanned = end + 1
        guard line.count <= Self.lineLimit else {
            throw MalformedAnswer(message: "a watch's line is longer than \(Self.lineLimit) bytes")
        }
        return line
    }

    private mutating func message(_ json: JSON, size: Int) throws(MalformedAnswer) -> WatchMessage? {
        guard json["error"] == nil else { return .failed(Failure(status: 0, answer: json)) }
        let result = try GatewayDecoding.member(json, "result")
        let header = try GatewayDecoding.header(result)
        if let failure = try self.cancellation(result) { return .failed(failure) }
        var events: [WatchEvent] = []
        for element in try GatewayDecoding.list(result, "events") { events.append(try self.event(element)) }
        if try GatewayDecoding.flag(result, "fragment") {
            self.fragmentBytes += size
            guard self.fragmentBytes <= Self.lineLimit else {
                throw MalformedAnswer(message: "a fragmented message is longer than \(Self.lineLimit) bytes")
            }
            self.fragments += events
            return nil
        }
        defer { (self.fragments, self.fragmentBytes) = ([], 0) }
        let isCreation = try GatewayDecoding.flag(result, "created")
        return .batch(WatchBatch(header: header, isCreation: isCreation, events: self.fragments + events))
    }

    private func cancellation(_ result: JSON) throws(MalformedAnswer) -> Failure? {
        guard try GatewayDecoding.flag(result, "canceled") else { return nil }
        let compacted = try GatewayDecoding.revision(result, "compact_revision")
        if compacted > 0 {
            return Failure(.compacted(compacted), "the revision to watch from is compacted; the oldest is \(compacted)")
        }
        let reason = Failure.printable(result["cancel_reason"]?.string ?? "no reason given")
        var failure = Failure(status: 200, code: 0, message: reason)
        if reason.contains("permission denied") {
            failure.kind = .permissionDenied
        } else if case .server = failure.kind {
            failure.kind = .watchCancelled
        }
        failure.message = "watch cancelled: \(reason)"
        return failure
    }

    private func event(_ element: JSON) throws(MalformedAnswer) -> WatchEvent {
        let keyValue = try GatewayDecoding.keyValue(try GatewayDecoding.member(element, "kv"))
        guard keyValue.modRevision > 0 else { throw MalformedAnswer(message: "an event without revision") }
        switch element["type"] {
        case nil, .string("PUT"), .integer(0): return WatchEvent(kind: .put, keyValue: keyValue)
        case .string("DELETE"), .integer(1): return WatchEvent(kind: .delete, keyValue: keyValue)
        case .some: throw MalformedAnswer(message: "an event of an unknown type")
        }
    }
}
