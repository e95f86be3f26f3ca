// SPDX-License-Identifier: Apache-2.0
import CPostgres

/// A connection string as libpq itself reads it: pairs of keyword=value, or a URI (PostgreSQL's "Connection Strings").
///
/// It holds what the text says and nothing else: no environment variable, no service file, no default. Values are not judged.
public struct ConnectionString: Sendable, Equatable {
    /// What is said, by libpq's keywords. An empty value counts for libpq as not said, and is not in here.
    private var values: [String: String]
    /// The keywords of ``values`` whose value must not be shown.
    public let secrets: Set<String>

    /// Why a text is no connection string. Never holds any of it: what libpq cannot read may be a part of a password.
    public enum ParsingError: Error, Equatable, Sendable {
        case malformed
        /// A keyword that this machine's libpq does not have. `text` comes from the string: for a comparison with
        /// ``ConnectionString/keywords`` only, never for a message.
        case unknownKeyword(text: String)
    }

    public init(_ text: String) throws(ParsingError) {
        guard !text.utf8.contains(0) else { throw .malformed }
        var message: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(text, &message) else {
            defer { PQfreemem(message) }
            throw Self.error(message.map { String(cString: $0) } ?? "")
        }
        defer { PQconninfoFree(options) }
        var values: [String: String] = [:]
        var secrets: Set<String> = []
        Self.forEach(options) { option in
            guard let value = option.val, value.pointee != 0 else { return }
            let keyword = String(cString: option.keyword)
            values[keyword] = String(cString: value)
            // libpq's word to a dialog: do not show what is typed here. It says of these that they are for debugging.
            let isHidden = option.dispchar.map { String(cString: $0) } == "*"
            if isHidden || ["scram_client_key", "scram_server_key"].contains(keyword) { secrets.insert(keyword) }
        }
        self.values = values
        self.secrets = secrets
    }

    public subscript(keyword: String) -> String? { self.values[keyword] }

    /// The keywords that this machine's libpq has, in its order.
    public static let keywords: [String] = options { String(cString: $0.keyword) }

    /// The environment variables that libpq takes defaults from, in the order of their keywords.
    static let variables: [String] = options { $0.envvar.map { String(cString: $0) } }

    /// libpq's version, such as `15.10`.
    public static var libraryVersion: String { "\(PQlibVersion() / 10_000).\(PQlibVersion() % 10_000)" }

    /// `keyword=value` as it is written in a connection string: the value in quotes where it needs them.
    public static func pair(_ keyword: String, _ value: String) -> String {
        // By scalars, as libpq reads bytes: a quote with an accent over it is one character, and a quote all the same.
        let scalars = value.unicodeScalars
        let isPlain = !value.isEmpty && !scalars.contains { $0.properties.isWhitespace || $0 == "'" || $0 == "\\" }
        if isPlain { return "\(keyword)=\(value)" }
        var escaped = ""
        for scalar in scalars {
            if scalar == "'" || scalar == "\\" { escaped += "\\" }
            escaped.unicodeScalars.append(scalar)
        }
        return "\(keyword)='\(escaped)'"
    }

    /// What libpq makes of the string and of the options beside it, which win. An empty one counts for nothing.
    public func overriding(_ options: [(keyword: String, value: String)]) -> ConnectionString {
        var result = self
        for option in options where !option.value.isEmpty { result.values[option.keyword] = option.value }
        return result
    }

    /// The string without some of its keywords, as pairs of keyword=value.
    func text(without keywords: Set<String>) -> String {
        let pairs = self.values.filter { !keywords.contains($0.key) }.sorted { $0.key < $1.key }
        return pairs.map { Self.pair($0.key, $0.value) }.joined(separator: " ")
    }

    private static func options<Value>(_ value: (PQconninfoOption) -> Value?) -> [Value] {
        // Nil only without memory.
        guard let options = PQconninfoParse("", nil) else { return [] }
        defer { PQconninfoFree(options) }
        var all: [Value] = []
        self.forEach(options) { option in if let value = value(option) { all.append(value) } }
        return all
    }

    private static func forEach(
        _ options: UnsafeMutablePointer<PQconninfoOption>, _ body: (PQconninfoOption) -> Void
    ) {
        var option = options
        while option.pointee.keyword != nil {
            body(option.pointee)
            option += 1
        }
    }

    /// libpq says which keyword it does not know only in words, which are the same in all versions as long as nobody has
    /// called `setlocale`. In others it is just malformed.
    private static func error(_ message: String) -> ParsingError {
        for beginning in ["invalid connection option \"", "invalid URI query parameter: \""] {
            guard message.hasPrefix(beginning), let end = message.lastIndex(of: "\"") else { continue }
            let start = message.index(message.startIndex, offsetBy: beginning.count)
            if start <= end { return .unknownKeyword(text: String(message[start..<end])) }
        }
        return .malformed
    }
}
