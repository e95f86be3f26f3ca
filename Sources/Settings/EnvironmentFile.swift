// SPDX-License-Identifier: Apache-2.0

/// Assignments as systemd reads them (systemd.exec(5)): from a file that `EnvironmentFile=` names, or from the lines `Environment=` of a
/// unit or a drop-in.
package enum EnvironmentFile {
    struct Assignment: Equatable {
        var name: String
        var value: String
        /// From 1.
        var line: Int
    }

    /// Assignments of one file.
    package static let limit = 1024

    /// A unit is known by its section `[Service]`. What is no text, or no assignment, is passed over, as by systemd.
    static func assignments(in bytes: [UInt8]) -> [Assignment] {
        guard let text = String(validating: bytes, as: UTF8.self) else { return [] }
        let isUnit = text.split(whereSeparator: \.isNewline).contains {
            ["[Service]", "\u{feff}[Service]"].contains(trimmed($0))
        }
        let found = isUnit ? UnitText(text).environment : self.plain(text)
        // The last one counts.
        var places: [String: Int] = [:]
        var assignments: [Assignment] = []
        for assignment in found.prefix(self.limit) where self.isName(assignment.name) {
            if let place = places[assignment.name] {
                assignments[place] = assignment
            } else {
                places[assignment.name] = assignments.count
                assignments.append(assignment)
            }
        }
        return assignments
    }

    private static func isName(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else {
            return false
        }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: false  // bytes, not cases of ours
            }
        }
    }

    private enum State { case comment, key, beforeValue, value, single, double }

    /// systemd's `parse_env_file`: a value may go on behind quotes, and on the next line behind a backslash.
    private static func plain(_ text: String) -> [Assignment] {
        var found: [Assignment] = []
        var (state, key, value, line, start) = (State.key, "", "", 1, 1)
        /// How much of the value counts: blanks at its end do not, outside of quotes.
        var kept = 0
        var isEscaped = false
        func finished() -> [Assignment] {
            guard state != .comment, state != .key else { return [] }
            let name = trimmed(key)
            return [Assignment(name: name, value: String(value.unicodeScalars.prefix(kept)), line: start)]
        }
        for scalar in text.unicodeScalars {
            let isEnd = scalar == "\n" || scalar == "\r"
            let isBlank = scalar == " " || scalar == "\t"
            if isEscaped {
                isEscaped = false
                if state == .double, !isEnd, !["\"", "\\", "`", "$"].contains(scalar) {
                    value.unicodeScalars.append("\\")
                }
                if !isEnd, state != .comment { value.unicodeScalars.append(scalar) }
                if state == .comment, isEnd { state = .key }
                kept = value.unicodeScalars.count
            } else if scalar == "\\", state != .single, state != .key {
                isEscaped = true
                if state == .beforeValue { state = .value }
            } else if isEnd, state != .single, state != .double {
                found += finished()
                (state, key, value, kept) = (.key, "", "", 0)
            } else {
                switch state {
                case .comment: break
                case .key:
                    if key.isEmpty { start = line }
                    if key.isEmpty, scalar == "#" || scalar == ";" {
                        state = .comment
                    } else if scalar == "=" {
                        state = .beforeValue
                    } else if !(key.isEmpty && isBlank) {
                        key.unicodeScalars.append(scalar)
                    }
                case .beforeValue where scalar == "'": state = .single
                case .beforeValue where scalar == "\"": state = .double
                case .single where scalar == "'", .double where scalar == "\"": state = .beforeValue
                case .beforeValue where isBlank: break
                case .beforeValue, .value, .single, .double:
                    if state == .beforeValue { state = .value }
                    value.unicodeScalars.append(scalar)
                    if state != .value || !isBlank { kept = value.unicodeScalars.count }
                }
            }
            if scalar == "\n" { line += 1 }
            if found.count >= self.limit { return found }
        }
        return found + finished()
    }
}

/// What a unit or a drop-in says, section `[Service]` only.
struct UnitText {
    /// A key with its value, continued lines joined.
    struct Entry {
        var key: String
        var value: String
        /// From 1.
        var line: Int
    }

    var entries: [Entry] = []

    init(_ text: String) {
        var isService = false
        var open: Entry?
        // A byte order mark and Windows' line ends are none of systemd's trouble either.
        let text = text.unicodeScalars.first == "\u{feff}" ? String(text.unicodeScalars.dropFirst()) : text
        let isEnd = { (character: Character) in ["\n", "\r\n", "\r"].contains(character) }
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: isEnd).enumerated() {
            let line = trimmed(line)
            if line.hasPrefix("#") || line.hasPrefix(";") { continue }
            if open == nil, line.hasPrefix("[") {
                isService = line == "[Service]"
                continue
            }
            var entry = open ?? Entry(key: "", value: "", line: index + 1)
            let goesOn = line.hasSuffix("\\")
            let part = goesOn ? String(line.dropLast()) + " " : line
            if open == nil {
                guard let equals = part.firstIndex(of: "=") else { continue }
                entry.key = trimmed(part[..<equals])
                entry.value = String(part[part.index(after: equals)...].drop { $0.isWhitespace })
            } else {
                entry.value += part
            }
            open = goesOn ? entry : nil
            entry.value = goesOn ? entry.value : trimmed(entry.value)
            if !goesOn, isService, self.entries.count < EnvironmentFile.limit { self.entries.append(entry) }
        }
    }

    /// The assignments of `Environment=`; an empty one forgets those before it.
    var environment: [EnvironmentFile.Assignment] {
        var found: [EnvironmentFile.Assignment] = []
        for entry in self.entries where entry.key == "Environment" {
            if entry.value.isEmpty { found = [] }
            for word in Self.words(entry.value) {
                guard let equals = word.firstIndex(of: "=") else { continue }
                let value = String(word[word.index(after: equals)...])
                found.append(.init(name: String(word[..<equals]), value: value, line: entry.line))
            }
        }
        return found
    }

    /// Words between blanks, quotes taken off, `%%` as `%`.
    static func words(_ text: String) -> [String] {
        var (words, word, quote): ([String], String, Character?) = ([], "", nil)
        var (hasWord, isEscaped) = (false, false)
        for character in text.replacing("%%", with: "%") {
            if isEscaped {
                isEscaped = false
                word.append(character)
            } else if character == "\\" {
                (isEscaped, hasWord) = (true, true)
            } else if let open = quote {
                if character == open { quote = nil } else { word.append(character) }
            } else if character == "\"" || character == "'" {
                (quote, hasWord) = (character, true)
            } else if character == " " || character == "\t" {
                if hasWord { words.append(word) }
                (word, hasWord) = ("", false)
            } else {
                word.append(character)
                hasWord = true
            }
        }
        return hasWord ? words + [word] : words
    }
}
