// SPDX-License-Identifier: Apache-2.0

/// The shape of a keepalived.conf (keepalived.conf(5)): lines of words, some of which open a block in braces. `#` and `!` begin a
/// comment.
struct KeepalivedSyntax {
    /// A line, with the block that it opens.
    struct Statement: Equatable {
        var words: [String]
        /// From 1.
        var line: Int
        /// Nil where no brace followed.
        var block: [Statement]?

        var name: String { self.words.first ?? "" }
    }

    /// Statements of one file, and blocks within each other.
    static let limit = 10_000
    static let depth = 8

    static func parse(_ text: String, file: String) throws(MigrationError) -> [Statement] {
        var open: [[Statement]] = [[]]
        /// Where each open block began.
        var begun: [Int] = []
        var count = 0
        var number = 0
        for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            number += 1
            var words: [String] = []
            func finish() throws(MigrationError) {
                guard !words.isEmpty else { return }
                count += 1
                guard count <= Self.limit else {
                    throw MigrationError("\(file):\(number): more than \(Self.limit) lines")
                }
                open[open.count - 1].append(Statement(words: words, line: number))
                words = []
            }
            for word in Self.words(line) {
                switch word {
                case .open:
                    // Behind its line, or on one of its own.
                    try finish()
                    if open[open.count - 1].isEmpty || open[open.count - 1].last?.block != nil {
                        throw MigrationError("\(file):\(number): a '{' without a name before it")
                    }
                    guard begun.count < Self.depth else {
                        throw MigrationError("\(file):\(number): more than \(Self.depth) blocks within each other")
                    }
                    begun.append(number)
                    open.append([])
                case .close:
                    try finish()
                    guard begun.popLast() != nil, let block = open.popLast() else {
                        throw MigrationError("\(file):\(number): a '}' that closes nothing")
                    }
                    let last = open[open.count - 1].count - 1
                    open[open.count - 1][last].block = block
                case .text(let text): words.append(text)
                }
            }
            try finish()
        }
        if let line = begun.last { throw MigrationError("\(file):\(line): the '{' of this line is never closed") }
        return open[0]
    }

    private enum Word { case open, close, text(String) }

    /// Blanks part words but in quotes; braces are words of their own, attached to nothing.
    private static func words(_ line: Substring) -> [Word] {
        var (words, word): ([Word], String) = ([], "")
        var (quote, hasWord): (Character?, Bool) = (nil, false)
        func finished() -> [Word] { hasWord ? [.text(word)] : [] }
        for character in line {
            if let open = quote {
                if character == open { quote = nil } else { word.append(character) }
            } else if character == "#" || character == "!" {
                break
            } else if character == "\"" || character == "'" {
                (quote, hasWord) = (character, true)
            } else if character == " " || character == "\t" {
                words += finished()
                (word, hasWord) = ("", false)
            } else if character == "{" || character == "}" {
                words += finished()
                (word, hasWord) = ("", false)
                words.append(character == "{" ? .open : .close)
            } else {
                word.append(character)
                hasWord = true
            }
        }
        return words + finished()
    }
}
