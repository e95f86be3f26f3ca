// SPDX-License-Identifier: Apache-2.0

/// How much a record matters: syslog's levels (RFC 5424, 6.2.1).
public enum LogPriority: Int, Sendable {
    case alert = 1
    case critical, error, warning, notice, info, debug
}

/// One thing that an operator may read in the journal.
public struct LogRecord: Sendable {
    public let kind: LogKind
    public let message: String
    /// Names without their prefix `PHAROS_`, in a fixed order.
    public let fields: [(name: String, value: String)]
    public let priority: LogPriority

    public init(
        _ kind: LogKind, _ message: String, _ fields: KeyValuePairs<String, String> = [:],
        priority: LogPriority? = nil
    ) {
        self.kind = kind
        self.message = message
        self.fields = fields.map { (name: $0.key, value: $0.value) }
        self.priority = priority ?? kind.priority
    }
}
