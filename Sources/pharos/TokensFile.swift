// SPDX-License-Identifier: Apache-2.0
import AccessTokens
import ArgumentParser
import CLinux
import Glibc
import Settings

/// Why the tokens' file was not read or changed, for people.
struct TokensFileError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// The tokens' file on the disk: read whole, and replaced whole, so that the API never sees a part of it.
struct TokensFile {
    private let path: String

    init(_ path: String) { self.path = path }

    /// Whose group may read it: the API's.
    static let group = "pharos-api"

    /// Where there is none: no tokens. Ends the command where it cannot be read.
    func read() throws -> TokenFile {
        do throws(TokensFileError) {
            return try self.content()
        } catch {
            complain("pharos: \(error)")
            throw ExitCode(1)
        }
    }

    /// Changes it; nobody else who goes this way does meanwhile.
    func change(_ change: (inout TokenFile) throws(TokensFileError) -> Void) throws {
        do throws(TokensFileError) {
            let lock = try self.lock()
            defer { close(lock) }
            var file = try self.content()
            try change(&file)
            try self.replace(file.text)
        } catch {
            complain("pharos: \(error)")
            throw ExitCode(1)
        }
    }

    private func content() throws(TokensFileError) -> TokenFile {
        switch SettingsEnvironment.system.read(self.path, TokenFile.sizeLimit) {
        case .failure(.system(ENOENT)): return TokenFile()
        case .failure(let error): throw TokensFileError("cannot read \(self.path): \(error)")
        case .success(let file):
            do throws(TokenFileError) {
                return try TokenFile(parsing: file.contents)
            } catch {
                throw TokensFileError("\(self.path): \(error); mend that line, or take it out")
            }
        }
    }

    /// Of the folder, which is there before the file is. It ends with the descriptor.
    private func lock() throws(TokensFileError) -> Int32 {
        let folder = self.path.lastIndex(of: "/").map { String(self.path[..<$0]) } ?? "."
        let descriptor = open(folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0, flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let reason = String(cString: strerror(errno))
            let hint = errno == EWOULDBLOCK ? ": another command is changing the tokens; try again" : ": \(reason)"
            if descriptor >= 0 { close(descriptor) }
            throw TokensFileError("cannot lock \(folder)\(hint)")
        }
        return descriptor
    }

    private func replace(_ text: String) throws(TokensFileError) {
        guard let group = getgrnam(Self.group) else {
            throw TokensFileError(
                "there is no group \(Self.group), which is to read the tokens: it comes with the package, or with systemd-sysusers"
            )
        }
        let temporary = "\(self.path).new.\(getpid())"
        func fail(_ call: String) -> TokensFileError {
            let reason = String(cString: strerror(errno))
            unlink(temporary)
            return TokensFileError("cannot write \(temporary): \(call): \(reason)")
        }
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw TokensFileError("cannot write \(temporary): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        guard fchown(descriptor, 0, group.pointee.gr_gid) == 0 else { throw fail("fchown") }
        guard fchmod(descriptor, 0o640) == 0 else { throw fail("fchmod") }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw fail("write") }
            rest = rest.dropFirst(count)
        }
        guard fsync(descriptor) == 0 else { throw fail("fsync") }
        guard rename(temporary, self.path) == 0 else { throw fail("rename") }
    }
}
