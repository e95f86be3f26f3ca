// SPDX-License-Identifier: Apache-2.0

/// One thing that is wrong, or doubtful, about a configuration file.
public struct Diagnostic: Sendable, Hashable, CustomStringConvertible {
    public enum Severity: String, Sendable, Hashable {
        case error, warning
    }

    public var severity: Severity
    /// The file as it was named: `pharos.yml`, or the `patroni_config` that it names.
    public var file: String
    /// From 1; 0 when the file could not be read at all.
    public var line: Int
    /// In characters, from 1; 0 when the file could not be read at all.
    public var column: Int
    /// What is wrong and what was expected. Never holds a secret.
    public var message: String

    public init(severity: Severity, file: String, line: Int, column: Int, message: String) {
        self.severity = severity
        self.file = file
        self.line = line
        self.column = column
        self.message = message
    }

    /// `FILE:LINE:COLUMN: MESSAGE`, as compilers have it; warnings say that they are.
    public var description: String {
        let place = self.line > 0 ? "\(self.file):\(self.line):\(self.column)" : self.file
        return self.severity == .warning ? "\(place): warning: \(self.message)" : "\(place): \(self.message)"
    }
}

/// The configuration cannot be used. Carries every error that was found, in the order of the files.
public struct SettingsError: Error, Equatable, CustomStringConvertible {
    /// The errors, at most ``limit`` of them, followed by the warnings.
    public var diagnostics: [Diagnostic]
    /// Errors beyond the limit.
    public var omitted: Int

    /// How many errors, and how many warnings, are reported of one load.
    public static let limit = 20

    public init(diagnostics: [Diagnostic], omitted: Int = 0) {
        self.diagnostics = diagnostics
        self.omitted = omitted
    }

    /// One line for each diagnostic.
    public var description: String {
        let lines = self.diagnostics.map(\.description)
        let rest = self.omitted > 0 ? ["and \(self.omitted) more errors"] : []
        return (lines + rest).joined(separator: "\n")
    }
}

/// Where a value was said.
struct Position: Sendable, Hashable {
    var file: String
    var mark: YAMLDocument.Mark

    /// `FILE:LINE`.
    var brief: String { "\(self.file):\(self.mark.line)" }
}

/// Gathers what is found wrong during one load, up to a limit.
struct DiagnosticList: Sendable {
    private(set) var errors: [Diagnostic] = []
    private(set) var warnings: [Diagnostic] = []
    private(set) var omitted = 0

    var hasErrors: Bool { !self.errors.isEmpty }
    /// Errors so far, those beyond the limit included.
    var count: Int { self.errors.count + self.omitted }

    mutating func error(_ position: Position, _ message: String) {
        self.error(file: position.file, mark: position.mark, message)
    }

    /// Without a mark: the file as a whole.
    mutating func error(file: String, mark: YAMLDocument.Mark?, _ message: String) {
        guard self.errors.count < SettingsError.limit else {
            self.omitted += 1
            return
        }
        let (line, column) = (mark?.line ?? 0, mark?.column ?? 0)
        self.errors.append(.init(severity: .error, file: file, line: line, column: column, message: message))
    }

    mutating func warning(_ position: Position, _ message: String) {
        guard self.warnings.count < SettingsError.limit else { return }
        let (line, column) = (position.mark.line, position.mark.column)
        self.warnings.append(
            .init(severity: .warning, file: position.file, line: line, column: column, message: message)
        )
    }

    /// Nil while there is no error. Within a file, diagnostics are in the order of lines.
    var failure: SettingsError? {
        guard self.hasErrors else { return nil }
        return SettingsError(diagnostics: Self.sorted(self.errors) + self.sortedWarnings, omitted: self.omitted)
    }

    var sortedWarnings: [Diagnostic] { Self.sorted(self.warnings) }

    private static func sorted(_ diagnostics: [Diagnostic]) -> [Diagnostic] {
        var files: [String] = []
        for diagnostic in diagnostics where !files.contains(diagnostic.file) { files.append(diagnostic.file) }
        return files.flatMap { file in
            diagnostics.enumerated().filter { $0.element.file == file }
                .sorted {
                    ($0.element.line, $0.element.column, $0.offset) < ($1.element.line, $1.element.column, $1.offset)
                }
                .map(\.element)
        }
    }
}

/// Text of unknown origin for a message: in quotes, on one line, at most 60 characters.
package func quoted(_ text: String) -> String {
    var shown = "'"
    for scalar in text.unicodeScalars.prefix(60) {
        // Controls, and what moves the cursor or turns the direction of writing, would let a file forge messages.
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned, .surrogate:
            shown += "\\u{\(String(scalar.value, radix: 16))}"
        default:  // Unicode's categories: all others are visible
            shown.unicodeScalars.append(scalar)
        }
    }
    return shown + (text.unicodeScalars.count > 60 ? "…'" : "'")
}
