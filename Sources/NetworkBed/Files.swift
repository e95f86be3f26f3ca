// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The few things that are done with files.
public enum Files {
    /// The whole of a small file (64 KiB at most), or nil where it cannot be read.
    public static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 8192)
        while content.count < 1 << 16 {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            content += buffer[..<count]
        }
        return String(decoding: content, as: UTF8.self)
    }

    public static func write(_ path: String, _ text: String) throws(BedError) {
        try self.write(path, text, flags: O_TRUNC)
    }

    private static func write(_ path: String, _ text: String, flags: Int32) throws(BedError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | flags | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw self.failure("cannot write \(path)") }
        defer { close(descriptor) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw self.failure("cannot write \(path)") }
            rest = rest.dropFirst(count)
        }
    }

    /// Adds to the end of a file, which is made where there is none.
    public static func append(_ path: String, _ text: String) throws(BedError) {
        try self.write(path, text, flags: O_APPEND)
    }

    public static func makeFolder(_ path: String) throws(BedError) {
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw self.failure("cannot make \(path)") }
    }

    public static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// The absolute path of a program in the usual folders; nil where it is not installed.
    public static func program(_ name: String) -> String? {
        ["/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"].map { $0 + name }.first { access($0, X_OK) == 0 }
    }

    public static func absolute(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// The folder that this program's file is in.
    public static func ownFolder() -> String {
        let own = self.absolute("/proc/self/exe") ?? "/"
        return own.split(separator: "/").dropLast().map { "/" + $0 }.joined()
    }

    public static func failure(_ what: String) -> BedError { BedError("\(what): \(String(cString: strerror(errno)))") }
}

/// Writes a text to standard output.
public func printLine(_ text: String) { emit(text + "\n", to: STDOUT_FILENO) }

/// Writes a line to standard error, behind this program's name: what is going on, and what went wrong.
public func complain(_ text: String) {
    let name = CommandLine.arguments.first?.split(separator: "/").last ?? "pharos"
    emit("\(name): \(text)\n", to: STDERR_FILENO)
}

private func emit(_ text: String, to descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
    }
}
