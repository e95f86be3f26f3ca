// SPDX-License-Identifier: Apache-2.0

/// One event for the journal: a sentence for people, an identifier for its kind, and the evidence in fields.
public struct JournalRecord: Sendable, Equatable {
    /// The kind of event, under which the message catalog explains it (`journalctl -x`).
    public struct MessageID: Sendable, Hashable, CustomStringConvertible {
        /// 32 lower-case hexadecimal digits.
        public let description: String

        /// Nil for anything but 32 lower-case hexadecimal digits, as `systemd-id128 new` prints them.
        public init?(_ text: String) {
            let isHexadecimal = text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
            guard isHexadecimal, text.utf8.count == 32 else { return nil }
            self.description = text
        }

        /// For constants in the source. Crashes on anything but 32 lower-case hexadecimal digits.
        public init(constant text: StaticString) {
            guard let id = MessageID("\(text)") else { preconditionFailure("not a message identifier: \(text)") }
            self = id
        }
    }

    /// The levels of syslog, the most urgent first.
    public enum Priority: Int, Sendable, Hashable, CaseIterable {
        case emergency, alert, critical, error, warning, notice, info, debug
    }

    /// A name and a value. Names that ``isValidName(_:)`` refuses never reach the journal.
    public struct Field: Sendable, Equatable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }

        /// What names begin with, so that none is taken for one of journald's or syslog's own.
        public static let prefix = "PHAROS_"
        /// Bytes of a name that journald takes.
        public static let nameLimit = 64

        /// `PHAROS_` and then upper-case letters, digits and underscores.
        public static func isValidName(_ name: String) -> Bool {
            let isPlain = name.utf8.allSatisfy { byte in
                (0x41...0x5a).contains(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "_")
            }
            return isPlain && name.hasPrefix(self.prefix)
                && (self.prefix.count + 1...self.nameLimit).contains(name.count)
        }
    }

    public var id: MessageID
    public var priority: Priority
    /// One sentence, without a line's end.
    public var message: String
    /// At most ``fieldLimit``, in the order in which they are written.
    public var fields: [Field]

    /// Bytes of the message and of each value. What is longer is cut, and ends in `…`.
    public static let valueLimit = 8192
    /// Fields of one record; the rest is left out.
    public static let fieldLimit = 64
    /// Bytes of all values together: a datagram must fit the kernel's default send buffer (net.core.wmem_default, 208 KiB).
    public static let totalLimit = 96 * 1024

    public init(id: MessageID, priority: Priority, message: String, fields: [(String, String)] = []) {
        self.id = id
        self.priority = priority
        self.message = message
        self.fields = fields.map { Field($0.0, $0.1) }
    }
}
