// SPDX-License-Identifier: Apache-2.0

/// The section `alert`, as it is said.
struct PharosAlert {
    var position: Position
    var command: Sourced<[String]>?
    var timeout: Sourced<Duration>?
    var priority: Sourced<Settings.Alert.Priority>?

    init(_ fields: SectionKeys, _ reader: inout PharosFileReader) {
        self.position = Position(file: reader.file, mark: fields.mark)
        if let node = fields.values["command"] { self.command = Self.command(node, &reader) }
        self.timeout = reader.value(fields, "timeout") { text throws(InvalidValue) in
            let duration = try ValueParsers.duration(text)
            guard duration >= .seconds(1), duration <= .seconds(300) else {
                throw .expected("from 1s to 5m", not: text)
            }
            return duration
        }
        self.priority = reader.value(fields, "priority", ValueParsers.choice)
    }

    private static func command(_ node: Int, _ reader: inout PharosFileReader) -> Sourced<[String]> {
        var words: [String] = []
        let items = reader.items(node, "command", of: "a program and its arguments", limit: 64)
        for (index, item) in items.enumerated() {
            let word = reader.value(item, named: "'command[\(index)]' in 'alert'") { text throws(InvalidValue) in
                index == 0 ? try ValueParsers.absolutePath(text) : text
            }
            if let word { words.append(word.value) }
        }
        return Sourced(value: words, position: reader.position(node))
    }
}

extension Resolution {
    static let defaultAlertTimeout = Duration.seconds(10)

    /// Nil without a section `alert`, or without a command in it, which has been said.
    mutating func alert() -> Settings.Alert? {
        guard let said = self.pharos.alert else { return nil }
        self.note("alert.command", said.command) { $0.joined(separator: " ") }
        let timeout = self.noted("alert.timeout", said.timeout, Self.defaultAlertTimeout, DurationText.text)
        let priority = self.noted("alert.priority", said.priority, .error, \.rawValue)
        guard let command = said.command, !command.value.isEmpty else {
            if !self.pharos.said.contains("alert.command") || said.command?.value.isEmpty == true {
                self.problems.error(said.position, "'alert' needs 'command': a program and its arguments, as a list")
            }
            return nil
        }
        return Settings.Alert(command: command.value, timeout: timeout, priority: priority)
    }
}
