// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What loading the settings needs of the system: reading a file. Tests give a dictionary instead.
public struct SettingsEnvironment: Sendable {
    /// A regular file as it was read.
    public struct File: Sendable, Equatable {
        public var contents: [UInt8]
        /// Permission bits, such as 0o640.
        public var mode: UInt32
        /// The numeric user who owns it.
        public var owner: UInt32

        public init(contents: [UInt8], mode: UInt32 = 0o640, owner: UInt32 = 0) {
            self.contents = contents
            self.mode = mode
            self.owner = owner
        }
    }

    /// Why a file could not be read.
    public enum FileError: Error, Sendable, Equatable, CustomStringConvertible {
        /// The error number of `open`, `fstat` or `read`.
        case system(Int32)
        /// A directory, a pipe, a device.
        case notRegular
        /// More than the given number of bytes.
        case tooLarge(Int)
        /// It may be there, but not for the daemon: the line of its unit.
        case hidden(by: String)

        public var description: String {
            switch self {
            case .system(let number): String(cString: strerror(number))
            case .notRegular: "not a regular file"
            case .tooLarge(let limit): "larger than \(limit) bytes"
            case .hidden(let directive): "the daemon does not see it: its unit says \(directive)"
            }
        }
    }

    /// Reads the whole of a file of at most `limit` bytes, or says why not. Never blocks on a pipe or a terminal.
    public var read: @Sendable (_ path: String, _ limit: Int) -> Result<File, FileError>

    /// The names in a folder, in no order, or why not: without those that are no text, and ``listLimit`` at most.
    public var list: @Sendable (_ path: String) -> Result<[String], FileError>

    package static let listLimit = 4096

    /// A path without symbolic links; the path itself where that cannot be told.
    public var resolve: @Sendable (_ path: String) -> String

    public init(
        list: @escaping @Sendable (_ path: String) -> Result<[String], FileError> = { _ in .failure(.notRegular) },
        read: @escaping @Sendable (_ path: String, _ limit: Int) -> Result<File, FileError>,
        resolve: @escaping @Sendable (_ path: String) -> String = { $0 }
    ) {
        self.list = list
        self.resolve = resolve
        self.read = read
    }

    /// The file system of this machine.
    public static let system = SettingsEnvironment(list: Self.names, read: Self.contents, resolve: Self.resolved)

    private static func contents(of path: String, limit: Int) -> Result<File, FileError> {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { return .failure(.system(errno)) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return .failure(.system(errno)) }
        guard status.st_mode & S_IFMT == S_IFREG else { return .failure(.notRegular) }
        var contents: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while contents.count <= limit {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 {
                if errno == EINTR { continue }
                return .failure(.system(errno))
            }
            if count == 0 {
                return .success(File(contents: contents, mode: status.st_mode & 0o7777, owner: status.st_uid))
            }
            contents += chunk.prefix(count)
        }
        return .failure(.tooLarge(limit))
    }

    private static func resolved(_ path: String) -> String {
        guard let pointer = realpath(path, nil) else { return path }
        defer { free(pointer) }
        return String(validatingCString: pointer) ?? path
    }

    private static func names(in path: String) -> Result<[String], FileError> {
        guard let folder = opendir(path) else { return .failure(.system(errno)) }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(validating: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let name, name != ".", name != ".." else { continue }
            guard names.count < Self.listLimit else { return .failure(.tooLarge(Self.listLimit)) }
            names.append(name)
        }
        return .success(names)
    }
}
