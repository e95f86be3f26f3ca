// SPDX-License-Identifier: Apache-2.0

/// The names that mean this very host, whatever a name server says: `localhost`, and what ends in `.localhost` (RFC 6761, 6.3).
public enum LoopbackName {
    /// Both families, in the order in which they are tried: most servers that listen on one of them only listen on 127.0.0.1.
    public static let addresses = ["127.0.0.1", "::1"]

    /// Whether `name` is one of them, in whatever case and with or without the dot at the end.
    public static func contains(_ name: String) -> Bool {
        var bytes = name.utf8.map { (65...90).contains($0) ? $0 + 32 : $0 }
        if bytes.last == UInt8(ascii: ".") { bytes.removeLast() }
        let suffix = Array("localhost".utf8)
        guard bytes.suffix(suffix.count).elementsEqual(suffix) else { return false }
        let rest = bytes.dropLast(suffix.count)
        return rest.isEmpty || rest.last == UInt8(ascii: ".")
    }
}
