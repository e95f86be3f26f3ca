// SPDX-License-Identifier: Apache-2.0

/// What the monitor's lines mean, one after another: a value without a clock.
///
/// Keeps the names of interfaces by index, because `ip` goes on printing the old name of a renamed one, and bounds the
/// work: of more lines than the limit within a second the rest is skipped, and ``secondEnded()`` owes an `.unclear`.
struct MonitorReading {
    /// What to do with a line.
    enum Step: Hashable {
        case report(MonitorEvent)
        /// Skip it. For the first one of a second, be sure to call ``secondEnded()`` a second later.
        case skip(isFirst: Bool)
        case nothing
    }

    let linesPerSecond: Int
    private var lines = 0
    private var second: Int64 = .min
    private var isSkipping = false
    private var names: [Int: String] = [:]

    init(linesPerSecond: Int) { self.linesPerSecond = linesPerSecond }

    /// Takes a line that came at `now` (microseconds since boot).
    mutating func take(_ line: String, at now: Int64) -> Step {
        if self.isSkipping { return .skip(isFirst: false) }
        if now / 1_000_000 != self.second {
            self.second = now / 1_000_000
            self.lines = 0
        }
        self.lines += 1
        guard self.lines <= self.linesPerSecond else {
            self.isSkipping = true
            return .skip(isFirst: true)
        }
        return self.understand(line)
    }

    /// Ends the skipping; the lines in between are only known to have been.
    mutating func secondEnded() -> MonitorEvent {
        self.isSkipping = false
        self.names = [:]
        return .unclear
    }

    private mutating func understand(_ line: String) -> Step {
        guard let line = MonitorLine(line) else { return .report(.unclear) }
        switch line {
        case .nothing: return .nothing
        case .linkChanged(let interface):
            if self.names.count >= 1024 { self.names = [:] }
            self.names[interface.index] = interface.name
            return .report(.linkChanged(interface))
        case .linkRemoved(let name, let index):
            self.names[index] = nil
            return .report(.linkRemoved(name: name))
        case .appeared(let address, let index):
            return .report(self.isName(address.place.interface, of: index) ? .appeared(address) : .unclear)
        case .disappeared(let place, let index):
            return .report(self.isName(place.interface, of: index) ? .disappeared(place) : .unclear)
        }
    }

    private func isName(_ name: String, of index: Int) -> Bool { self.names[index, default: name] == name }
}
