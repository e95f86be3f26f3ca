// SPDX-License-Identifier: Apache-2.0
import Glibc
public import Secrets
import Synchronization

/// Where the daemon's records go: to journald as structured records if it takes this process's standard error, as text to
/// standard error otherwise, or when journald does not answer.
///
/// Writing never waits, never fails and never crashes. A record that nobody takes is lost; how many were is said in the
/// field `PHAROS_LOST` of the next one that is taken. Known secrets are replaced on the way.
///
/// The process must ignore `SIGPIPE`, in case the reader of its standard error goes away.
public final class JournalWriter: Sendable {
    /// Where records go, most preferred first.
    public enum Destination: Sendable, Equatable {
        /// The native protocol, at the path of journald's socket.
        case native(path: String)
        /// Text with `<PRIORITY>` before each line: standard error is read by journald.
        case prefixedText
        /// Text.
        case text
    }

    /// Where journald listens for the native protocol.
    public static let nativePath = "/run/systemd/journal/socket"

    public let destination: Destination
    private let identifier: String
    private let redactor: Redactor
    private let socket: DatagramSocket?
    private let output: TextOutput
    private let lost = Atomic<Int>(0)

    /// Finds out where to write. `redacting`: the secrets that are known; those of fewer than
    /// ``Secrets/Redactor/minimumLength`` bytes are not looked for.
    public convenience init(redacting secrets: [Secret], identifier: String = "pharos") {
        let stream = getenv("JOURNAL_STREAM").map { String(cString: $0) }
        let destination = Self.destination(
            journalStream: stream,
            descriptor: STDERR_FILENO,
            nativePath: Self.nativePath
        )
        self.init(redacting: secrets, destination: destination, descriptor: STDERR_FILENO, identifier: identifier)
    }

    /// Writes to `destination`, and as text to `descriptor`, which stays the caller's.
    public init(
        redacting secrets: [Secret],
        destination: Destination,
        descriptor: Int32,
        identifier: String = "pharos"
    ) {
        self.redactor = Redactor(secrets)
        self.destination = destination
        self.identifier = identifier
        self.output = TextOutput(descriptor: descriptor)
        switch destination {
        case .native: self.socket = DatagramSocket()
        case .prefixedText, .text: self.socket = nil
        }
    }

    /// Native if `descriptor` is the stream that systemd made for journald, as `JOURNAL_STREAM` (device:inode, systemd.exec)
    /// tells, and journald's socket is there.
    static func destination(journalStream: String?, descriptor: CInt, nativePath: String) -> Destination {
        var status = stat()
        guard let journalStream, fstat(descriptor, &status) == 0,
            journalStream == "\(status.st_dev):\(status.st_ino)"
        else { return .text }
        guard stat(nativePath, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return .prefixedText }
        return .native(path: nativePath)
    }

    public func write(_ record: LogRecord) {
        var record = record.limited(redacting: self.redactor)
        let lost = self.lost.exchange(0, ordering: .relaxed)
        if lost > 0 { record.fields.insert(.init("LOST", "\(lost)"), at: 0) }
        if !self.deliver(record) { self.lost.add(lost + 1, ordering: .relaxed) }
    }

    private func deliver(_ record: LogRecord) -> Bool {
        switch self.destination {
        case .native(let path):
            let datagram = record.nativeDatagram(identifier: self.identifier)
            if self.socket?.send(datagram, to: path) == 0 { return true }
            return self.output.write(record.textLine(prefixed: true))
        case .prefixedText:
            return self.output.write(record.textLine(prefixed: true))
        case .text:
            return self.output.write(record.textLine(prefixed: false))
        }
    }
}
