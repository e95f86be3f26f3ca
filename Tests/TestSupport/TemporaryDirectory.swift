// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A directory that is deleted, with everything in it, when the last reference goes.
public final class TemporaryDirectory: Sendable {
    public let path: String

    public init(_ name: String) throws {
        var template = Array("/tmp/pharos-\(name)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw TestSupportError("mkdtemp: \(errno)") }
        self.path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Self.delete(self.path) }

    private static func delete(_ path: String) {
        // A link is removed, not followed: only what is a directory itself cannot be unlinked.
        guard unlink(path) != 0, errno == EISDIR, let directory = opendir(path) else { return }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        closedir(directory)
        for name in names { self.delete("\(path)/\(name)") }
        rmdir(path)
    }

    public func file(_ name: String) -> String { "\(self.path)/\(name)" }

    /// The first 64 kB of a file in it; empty where there is none.
    public func read(_ name: String) -> [UInt8] {
        guard let file = fopen(self.file(name), "r") else { return [] }
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&buffer, 1, buffer.count, file)
        return Array(buffer.prefix(count))
    }

    public func write(_ name: String, _ text: String) throws {
        guard let file = fopen(self.file(name), "w") else { throw TestSupportError("fopen: \(errno)") }
        fputs(text, file)
        fclose(file)
    }
}

/// The bytes of a file beside the test that calls.
public func fixture(_ name: String, besides source: StaticString = #filePath) throws -> [UInt8] {
    let directory = "\(source)".split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
        separator: "/"
    )
    guard let file = fopen("\(directory)/Fixtures/\(name)", "r") else {
        throw TestSupportError("no fixture \(name)")
    }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
    return bytes
}
