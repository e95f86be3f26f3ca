// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTPClient
import LenientJSON
import NetworkBed

/// The longest turn of a daemon's loop, as its status tells it. While it lasts the daemon does nothing else.
struct LoopTurn: Sendable, Equatable {
    /// What no turn should exceed, in milliseconds.
    static let goal = 10.0

    /// From its begin to its end, and of that on the processor, in milliseconds: what is left it has waited, on a busy machine mostly
    /// for the processor.
    let duration: Double
    let onProcessor: Double
    /// How long ago it ended, in seconds.
    let age: Int

    init(duration: Double, onProcessor: Double, age: Int) {
        (self.duration, self.onProcessor, self.age) = (duration, onProcessor, age)
    }

    /// Reads what a daemon answers to `/status`.
    init(status: JSON) throws(BedError) {
        guard let loop = status["loop"]?["since_start"], let duration = loop["longest_turn_microseconds"]?.int64,
            let onProcessor = loop["of_these_on_processor"]?.int64
        else { throw BedError("the status tells nothing of the loop") }
        self.duration = Double(duration) / 1000
        self.onProcessor = Double(onProcessor) / 1000
        self.age = loop["seconds_ago"]?.int64.map { Int($0) } ?? 0
    }

    /// Rows for a table. `turns`: one of each daemon, of which the median is told; none: no rows.
    static func rows(_ name: String, _ turns: [LoopTurn]) -> [[String]] {
        guard let all = Statistics(turns.map(\.duration)), let own = Statistics(turns.map(\.onProcessor)) else {
            return []
        }
        let many = turns.count > 1 ? ", median of \(turns.count) daemons" : ""
        return [
            ["\(name)\(many), ms", decimal(all.median), "at most 10", verdict(all.median <= Self.goal)],
            ["of that on the processor", decimal(own.median), "", ""],
        ]
    }

    /// Members of a JSON object, each with a name that begins with `prefix`.
    static func json(_ prefix: String, _ turns: [LoopTurn]) -> [String] {
        guard let all = Statistics(turns.map(\.duration)), let own = Statistics(turns.map(\.onProcessor)) else {
            return []
        }
        return [
            "\"\(prefix)longest_turn_ms\": \(decimal(all.median))",
            "\"\(prefix)longest_turn_processor_ms\": \(decimal(own.median))",
        ]
    }

    /// The processor's part does not depend on what else the machine does: the median of it has a threshold.
    static func limited(_ turns: [LoopTurn]) -> Double { Statistics(turns.map(\.onProcessor))?.median ?? 0 }
}

extension Daemon {
    /// The longest turn of its loop since the start.
    func longestTurn() async throws(BedError) -> LoopTurn {
        try LoopTurn(status: try await daemonStatus(self.socket))
    }
}

/// What the daemon at this socket answers to `/status`.
@EventLoop
func daemonStatus(_ socket: String) async throws(BedError) -> JSON {
    let http = HTTPClient()
    defer { http.close() }
    var request = HTTPRequest(.get, "http://localhost/status")
    request.unixSocket = socket
    let body: [UInt8]
    do throws(HTTPError) { body = try await http.send(request).body } catch { throw BedError(error.message) }
    guard let status = JSON.parse(body) else { throw BedError("the status is not JSON") }
    return status
}
