// SPDX-License-Identifier: Apache-2.0

/// What the service manager is still to be told (sd_notify(3)): the newest of each thing, in one datagram.
///
/// A value, so that nothing is lost between a message that was not taken and the next attempt.
struct ServiceNotices: Equatable {
    /// What the service is doing; the newest replaces what was not taken before it.
    enum State: Equatable {
        case ready
        /// Since when, in microseconds of CLOCK_MONOTONIC.
        case reloading(since: Int)
        case stopping
    }

    var state: State?
    /// One line for people.
    var status: String?
    var isAlive = false

    /// Bytes of a status; the rest is cut.
    static let statusLimit = 1024

    /// The message, or nil where there is nothing to tell.
    var datagram: String? {
        var lines: [String] = []
        switch self.state {
        case .ready: lines.append("READY=1")
        case .reloading(let since): lines.append("RELOADING=1\nMONOTONIC_USEC=\(since)")
        case .stopping: lines.append("STOPPING=1")
        case nil: break
        }
        if let status = self.status { lines.append(Self.line(status)) }
        if self.isAlive { lines.append("WATCHDOG=1") }
        return lines.isEmpty ? nil : lines.joined(separator: "\n")
    }

    /// An assignment of its own: a line's end would begin another one.
    private static func line(_ status: String) -> String {
        var line = "STATUS="
        for scalar in status.unicodeScalars where line.utf8.count < self.statusLimit {
            line.unicodeScalars.append(scalar.properties.generalCategory == .control ? " " : scalar)
        }
        return line
    }
}
