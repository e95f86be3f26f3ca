// SPDX-License-Identifier: Apache-2.0
import Secrets

/// Looks at files that prove who we are: an unreadable one is an error, one that others can read is a warning.
package struct CredentialFiles {
    let environment: SettingsEnvironment

    /// Bytes of a password file, and of a PEM file.
    package static let passwordLimit = 1024
    package static let pemLimit = 1 << 20

    /// The password in a file: one line of UTF-8 text. The line's end does not belong to it.
    func password(_ path: Sourced<String>, _ problems: inout DiagnosticList) -> Sourced<Secret>? {
        guard let file = self.read(path, limit: Self.passwordLimit, isSecret: true, &problems) else { return nil }
        var bytes = file.contents[...]
        // A byte order mark, which some editors put there and none shows, is no part of it either.
        if bytes.starts(with: [0xef, 0xbb, 0xbf]) { bytes = bytes.dropFirst(3) }
        if bytes.last == UInt8(ascii: "\n") { bytes = bytes.dropLast() }
        if bytes.last == UInt8(ascii: "\r") { bytes = bytes.dropLast() }
        guard let text = String(validating: bytes, as: UTF8.self), !text.isEmpty,
            !text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
        else {
            problems.error(path.position, "\(quoted(path.value)): expected a password, one line of UTF-8 text")
            return nil
        }
        return Sourced(value: Secret(text), position: path.position)
    }

    /// Checks the PEM files among `credentials`. They are read again by the library that uses them.
    func check(_ credentials: PartialCredentials, _ problems: inout DiagnosticList) {
        for path in [credentials.caFile, credentials.certFile] {
            if let path { _ = self.read(path, limit: Self.pemLimit, isSecret: false, &problems) }
        }
        if let path = credentials.keyFile { _ = self.read(path, limit: Self.pemLimit, isSecret: true, &problems) }
    }

    /// Checks another file that is a secret.
    func checkSecret(_ path: Sourced<String>, _ problems: inout DiagnosticList) {
        _ = self.read(path, limit: Self.pemLimit, isSecret: true, &problems)
    }

    private func read(
        _ path: Sourced<String>,
        limit: Int,
        isSecret: Bool,
        _ problems: inout DiagnosticList
    ) -> SettingsEnvironment.File? {
        switch self.environment.read(path.value, limit) {
        case .failure(let error):
            problems.error(path.position, "cannot read \(quoted(path.value)): \(error)")
            return nil
        case .success(let file):
            if let doubt = Self.doubt(mode: file.mode, isSecret: isSecret) {
                problems.warning(path.position, "\(quoted(path.value)) \(doubt)")
            }
            return file
        }
    }

    /// What is doubtful about a file's permission bits. Its group may read a secret: that is how a daemon gets it.
    static func doubt(mode: UInt32, isSecret: Bool) -> String? {
        let bits = "(mode \(String(mode & 0o7777, radix: 8)))"
        if isSecret, mode & 0o007 != 0 { return "holds a secret and is open to every user \(bits); chmod o= it" }
        if mode & 0o002 != 0 { return "can be changed by every user \(bits); chmod o-w it" }
        if mode & 0o020 != 0 { return "can be changed by its group \(bits); chmod g-w it" }
        return nil
    }
}
