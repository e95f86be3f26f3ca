// SPDX-License-Identifier: Apache-2.0
import CLinux
import EventLoop
import Glibc

/// Programs and files of the host, with errors that name what failed.
enum Host {
    /// Runs a program to its end; throws unless it exits with 0 (or with one of `accepting`).
    @EventLoop @discardableResult
    static func run(
        _ command: [String],
        timeout: Duration = .seconds(10),
        accepting: [Int32] = [0]
    ) async throws(LabError) -> String {
        let outcome = try await self.outcome(command, timeout: timeout)
        guard let code = outcome.exitCode, accepting.contains(code) else {
            let end = outcome.exitCode.map { "exit code \($0)" } ?? "ended by a signal"
            throw LabError(.command, "\(command.joined(separator: " ")): \(end): \(outcome.text.suffix(2000))")
        }
        return outcome.text
    }

    /// Runs a program to its end, whatever that is. The program's name is looked up in the usual folders.
    @EventLoop
    static func outcome(_ command: [String], timeout: Duration) async throws(LabError) -> ChildProcess.Outcome {
        var command = command
        command[0] = try self.path(of: command[0])
        do {
            return try await ChildProcess(command, timeout: timeout, outputLimit: 16 << 20).run()
        } catch {
            throw LabError(.command, "\(error)")
        }
    }

    /// The absolute path of a program.
    static func path(of program: String) throws(LabError) -> String {
        guard !program.hasPrefix("/") else { return program }
        for folder in ["/usr/sbin", "/usr/bin", "/sbin", "/bin"] where access("\(folder)/\(program)", X_OK) == 0 {
            return "\(folder)/\(program)"
        }
        throw LabError(.host, "\(program) is not installed; needed: \(Lab.hostPackages.joined(separator: " "))")
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// The content of a file, at most `limit` bytes of it; nil if it cannot be read.
    static func read(_ path: String, limit: Int = 1 << 20) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while content.count < limit {
            let count = Glibc.read(descriptor, &buffer, min(buffer.count, limit - content.count))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            guard count > 0 else { break }
            content += buffer[..<count]
        }
        return content
    }

    static func readText(_ path: String) -> String? {
        self.read(path).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Writes a whole file under another name and renames it, so that a reader sees the old or the new one.
    static func write(_ path: String, _ text: String, mode: mode_t = 0o644) throws(LabError) {
        let temporary = "\(path).new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw self.failure("cannot write \(path)") }
        let isWritten = self.writeAll(descriptor, text)
        close(descriptor)
        guard isWritten, chmod(temporary, mode) == 0, rename(temporary, path) == 0 else {
            throw self.failure("cannot write \(path)")
        }
    }

    /// Writes to one of the kernel's control files.
    static func control(_ path: String, _ text: String) throws(LabError) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw self.failure("cannot open \(path)") }
        defer { close(descriptor) }
        guard self.writeAll(descriptor, text) else { throw self.failure("cannot write '\(text)' to \(path)") }
    }

    /// Adds to the end of a file in one write, which the kernel does not interleave with others' writes.
    static func append(_ path: String, _ text: String) throws(LabError) {
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw self.failure("cannot open \(path)") }
        defer { close(descriptor) }
        guard self.writeAll(descriptor, text) else { throw self.failure("cannot write \(path)") }
    }

    static func writeAll(_ descriptor: Int32, _ text: String) -> Bool {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            bytes = bytes.dropFirst(count)
        }
        return true
    }

    /// Makes a folder and those above it.
    static func makeFolder(_ path: String, mode: mode_t = 0o755) throws(LabError) {
        var made = ""
        for part in path.split(separator: "/") {
            made += "/\(part)"
            guard mkdir(made, mode) == 0 || errno == EEXIST else { throw self.failure("cannot make \(made)") }
        }
    }

    /// Unmounts everything below a folder, innermost first.
    @EventLoop
    static func unmount(below folder: String) async throws(LabError) {
        let mounts = (self.readText("/proc/self/mounts") ?? "").split(separator: "\n").compactMap { line in
            line.split(separator: " ").dropFirst().first.map(String.init)
        }
        for mount in mounts.reversed() where mount.hasPrefix("\(folder)/") {
            try await self.run(["umount", mount])
        }
    }

    /// Names in a folder, sorted; empty if it cannot be read.
    static func names(in folder: String) -> [String] {
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

    static func failure(_ what: String) -> LabError {
        LabError(.host, "\(what): \(String(cString: strerror(errno)))")
    }
}
