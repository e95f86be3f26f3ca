// SPDX-License-Identifier: Apache-2.0

/// One thing that an operator may read in the journal: a sentence for people, its kind, and the evidence in fields.
public struct LogRecord: Sendable, Equatable {
    /// How much a record matters: the levels of syslog (RFC 5424, 6.2.1), the most urgent first.
    public enum Priority: Int, Sendable {
        case emergency, alert, critical, error, warning, notice, info, debug
    }

    /// A name and a value. Names that ``isValidName(_:)`` refuses never reach the journal.
    public struct Field: Sendable, Equatable {
        /// Without the prefix that it has in the journal.
        public let name: String
        public let value: String

        init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }

        /// What names begin with in the journal, so that none is taken for one of journald's or syslog's own.
        static let prefix = "PHAROS_"
        /// Bytes of a name that journald takes, its prefix included.
        public static let nameLimit = 64

        /// Upper-case letters, digits and underscores.
        static func isValidName(_ name: String) -> Bool {
            let isPlain = name.utf8.allSatisfy { byte in
                (0x41...0x5a).contains(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "_")
            }
            return isPlain && (1...self.nameLimit - self.prefix.utf8.count).contains(name.utf8.count)
        }
    }

    public let kind: LogKind
    public internal(set) var message: String
    /// At most ``fieldLimit``, in the order in which they are written.
    public internal(set) var fields: [Field]
    public let priority: Priority

    /// Bytes of the message and of each value. What is longer is cut, and ends in `…`.
    public static let valueLimit = 8192
    /// Fields of one record; the rest is left out.
    public static let fieldLimit = 64
    /// Bytes of all values together: a datagram must fit the kernel's default send buffer (net.core.wmem_default, 208 KiB).
    public static let totalLimit = 96 * 1024

    /// - Parameter fields: names without the prefix `PHAROS_`, in the order in which they are written.
    /// - Parameter priority: nil: its kind's.
    public init(
        _ kind: LogKind, _ message: String, _ fields: KeyValuePairs<String, String> = [:], priority: Priority? = nil
    ) {
        self.kind = kind
        self.message = message
        self.fields = fields.map { Field($0.key, $0.value) }
        self.priority = priority ?? kind.priority
    }

    /// The record with each of its texts as `rewrite` has it.
    public func rewritten(_ rewrite: (String) -> String) -> LogRecord {
        var record = self
        record.message = rewrite(self.message)
        record.fields = self.fields.map { Field($0.name, rewrite($0.value)) }
        return record
    }
}
