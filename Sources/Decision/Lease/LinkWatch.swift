// SPDX-License-Identifier: Apache-2.0

/// How the interface of an address is. `unlisted`: the kernel has not been asked for its interfaces yet.
public enum InterfaceState: Hashable, Sendable {
    case usable
    /// Switched on, without a carrier.
    case severed
    case down, missing, unlisted

    /// Why clients on other hosts do not reach an address there; nil: nothing is known against it.
    public var trouble: LinkTrouble? {
        switch self {
        case .usable, .unlisted: nil
        case .severed: .severed
        case .down: .down
        case .missing: .missing
        }
    }
}

public enum LinkTrouble: Hashable, Sendable { case missing, down, severed }

/// Tells when the interface of an address that belongs here goes, and when it is back: the address stays, since Patroni decides who
/// leads, but nobody finds it there. What comes and goes is told with growing pauses.
struct LinkWatch: Hashable, Sendable {
    enum News: Hashable, Sendable { case lost(LinkTrouble), back }

    private var told = Retelling<LinkTrouble>()
    private var isToldLost = false
    /// It took the address with it, of which nothing else is told.
    private var tookAddress = false

    /// The interface has gone, and the address with it: told, however often that has been.
    mutating func noteTakenAddress() {
        self.told.over()
        self.tookAddress = true
    }

    /// Whether anything may have to be told.
    func concerns(_ state: InterfaceState) -> Bool { self.isToldLost || state.trouble != nil }

    mutating func look(_ state: InterfaceState, isHeld: Bool, at now: Instant) -> News? {
        defer { self.tookAddress = false }
        guard isHeld || self.tookAddress, let trouble = state.trouble else {
            defer { self.isToldLost = false }
            return isHeld && self.isToldLost ? .back : nil
        }
        guard self.told.tells(trouble, at: now) else { return nil }
        self.isToldLost = true
        return .lost(trouble)
    }
}
