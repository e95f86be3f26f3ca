// SPDX-License-Identifier: Apache-2.0
import Secrets

extension LogRecord {
    /// The record as it may leave the process: without secrets, and within the limits. Values are cut; fields with bad
    /// names, and too many of them, are left out; how many were is said in `PHAROS_OMITTED_FIELDS`.
    func limited(redacting redactor: Redactor = Redactor([])) -> LogRecord {
        var limited = self
        limited.message = Self.cut(redactor.redact(self.message, limit: Self.valueLimit))
        limited.fields = []
        var total = limited.message.utf8.count
        for field in self.fields where Field.isValidName(field.name) {
            guard limited.fields.count < Self.fieldLimit else { break }
            let value = Self.cut(redactor.redact(field.value, limit: Self.valueLimit))
            total += value.utf8.count
            guard total <= Self.totalLimit else { break }
            limited.fields.append(Field(field.name, value))
        }
        let omitted = self.fields.count - limited.fields.count
        if omitted > 0 { limited.fields.append(Field("OMITTED_FIELDS", "\(omitted)")) }
        return limited
    }

    /// The record, once ``limited(redacting:)``, as one datagram of journald's native protocol (systemd.io, "Native Journal
    /// Protocol"): `NAME=value` and a line's end, or, where the value has line ends itself, the name, a line's end, the
    /// value's length as 64 bits in little endian, the value, and a line's end.
    func nativeDatagram(identifier: String) -> [UInt8] {
        var bytes: [UInt8] = []
        func append(_ name: String, _ value: String) {
            bytes += name.utf8
            if value.utf8.contains(UInt8(ascii: "\n")) {
                bytes.append(UInt8(ascii: "\n"))
                let length = UInt64(value.utf8.count)
                bytes += (0..<8).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) }
            } else {
                bytes.append(UInt8(ascii: "="))
            }
            bytes += value.utf8
            bytes.append(UInt8(ascii: "\n"))
        }
        append("MESSAGE", self.message)
        append("MESSAGE_ID", self.kind.messageID)
        append("PRIORITY", "\(self.priority.rawValue)")
        append("SYSLOG_IDENTIFIER", identifier)
        for field in self.fields { append(Field.prefix + field.name, field.value) }
        return bytes
    }

    /// The record, once ``limited(redacting:)``, as one line of text, its end included: the message, and in brackets the
    /// fields with their prefix left off. Control characters are escaped, so that nothing that came over the network can
    /// forge a line or steer a terminal.
    ///
    /// `prefixed`: with `<PRIORITY>` at the front, as journald reads it from a service's standard error.
    func textLine(prefixed: Bool) -> String {
        var line = prefixed ? "<\(self.priority.rawValue)>" : ""
        line += Self.escaped(self.message)
        if !self.fields.isEmpty {
            let fields = self.fields.map { field in
                let name = field.name.lowercased()
                let value = Self.escaped(field.value)
                return value.contains(" ") || value.isEmpty ? "\(name)=\"\(value)\"" : "\(name)=\(value)"
            }
            line += " [\(fields.joined(separator: " "))]"
        }
        return line + "\n"
    }

    /// At most ``valueLimit`` bytes, cut between two characters of Unicode.
    private static func cut(_ text: String) -> String {
        guard text.utf8.count > self.valueLimit else { return text }
        let mark = "…"
        var index = text.utf8.index(text.utf8.startIndex, offsetBy: self.valueLimit - mark.utf8.count)
        while index.samePosition(in: text.unicodeScalars) == nil { index = text.utf8.index(before: index) }
        return text[..<index] + mark
    }

    /// `text` with its control characters escaped, for a terminal or a log of lines.
    public static func escaped(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator:
                escaped += "\\u{\(String(scalar.value, radix: 16))}"
            default:  // Unicode's categories: all others are visible
                escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
