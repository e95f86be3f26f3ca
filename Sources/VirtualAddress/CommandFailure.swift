// SPDX-License-Identifier: Apache-2.0
import EventLoop

/// Why a command of `ip` did not do what was asked.
public struct CommandFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        /// Less than a second was left for the address: nothing was started.
        case tooLate
        /// No confirmed end within the time limit: it may have done its work or not. Ask the kernel, or try again.
        case timedOut
        /// There is no such interface.
        case noDevice
        /// IPv6 is switched off on the interface.
        case noIPv6
        /// The interface, an ipvlan, has an address only once, and has this one already with another prefix length.
        case onlyOnce
        /// The process lacks CAP_NET_ADMIN.
        case notPermitted
        /// The program could not be started; the value is an errno.
        case notStarted(Int32)
        /// There was no slot for it: too many commands hang already.
        case noSlot
        /// The waiting task was cancelled; the command may have been carried out.
        case cancelled
        /// It printed more than the limit, or something that is not the JSON of addresses.
        case unreadable
        /// The address is not where it was to be removed, but in another place: its interface may have been renamed.
        case elsewhere
        /// Anything else: the exit code.
        case other(Int32)
    }

    public let kind: Kind
    /// The program and its arguments; empty when nothing was started.
    public let command: [String]
    /// The first 500 bytes that the program printed, without control characters.
    public let output: String

    init(_ kind: Kind, command: [String] = [], output: some Collection<UInt8> = []) {
        self.kind = kind
        self.command = command
        let text = String(decoding: output.prefix(500), as: UTF8.self)
        let printable = String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 32 ? " " : $0 }))
        self.output = printable.split(separator: " ").joined(separator: " ")
    }

    /// What was found by looking, rather than printed by a command.
    init(_ kind: Kind, note: String) { self.init(kind, command: [], output: Array(note.utf8)) }

    init(_ error: ChildProcessError) {
        let kind: Kind =
            switch error.kind {
            case .notStarted(let number): .notStarted(number)
            case .refused: .noSlot
            case .timedOut: .timedOut
            case .outputTooLong: .unreadable
            case .cancelled: .cancelled
            }
        self.init(kind, command: error.command)
    }

    /// Nil when the program succeeded.
    ///
    /// `ip` tells the kernel's errors apart in its text only, and the text changed with the kernel's extended
    /// acknowledgements; these words are in both forms.
    init?(_ outcome: ChildProcess.Outcome, command: [String]) {
        let text = outcome.text
        let kind: Kind
        switch outcome.exitCode {
        case 0: return nil
        // Killed, by its own timer as a rule; or the guard found it late before it began.
        case nil, 125: kind = .timedOut
        case .some(let code):
            if text.contains("Cannot find device") || text.contains("does not exist") {
                kind = .noDevice
            } else if text.contains("already assigned to an ipvlan device") {
                kind = .onlyOnce
            } else if text.contains("Operation not permitted") {
                kind = .notPermitted
            } else if text.contains("IPv6 is disabled")
                || text.contains("Permission denied") && command.contains(where: { $0.contains(":") })
            {
                // EACCES; newer kernels say it in words.
                kind = .noIPv6
            } else {
                kind = .other(code)
            }
        }
        self.init(kind, command: command, output: outcome.output)
    }

    public var description: String {
        let reason =
            switch self.kind {
            case .tooLate: "less than a second is left of the lease"
            case .timedOut: "no end within its time limit"
            case .noDevice: "no such interface"
            case .noIPv6:
                "IPv6 is switched off on the interface: sysctl net.ipv6.conf.NAME.disable_ipv6 must be 0"
            case .onlyOnce: "an ipvlan has an address only once, also with those beside it on the same parent"
            case .notPermitted: "not permitted (CAP_NET_ADMIN is needed)"
            case .notStarted(let number): "cannot be started (errno \(number))"
            case .noSlot: "not started, since too many commands of ip are under way"
            case .cancelled: "cancelled"
            case .unreadable: "its output cannot be understood"
            case .elsewhere: "it stands in another place"
            // `ip` itself gives up so where it may not even lay its rights down.
            case .other(let code) where self.output.isEmpty:
                "exit code \(code), without a word: has the service CAP_NET_ADMIN? (systemctl cat pharos)"
            case .other(let code): "exit code \(code)"
            }
        let command = self.command.isEmpty ? "" : self.command.joined(separator: " ") + ": "
        return command + reason + (self.output.isEmpty ? "" : ": " + self.output)
    }
}
