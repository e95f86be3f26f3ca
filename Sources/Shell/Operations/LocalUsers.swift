// SPDX-License-Identifier: Apache-2.0
import Decision
import Glibc
import Settings
import StatusServer

/// The names of this host's users, as `/etc/passwd` has them. Other sources of names are not asked: one of them may be a network away.
struct LocalUsers {
    private let names: [UInt32: String]

    /// Bytes of the file.
    private static let sizeLimit = 1 << 20
    /// Whose requests name for whom they are: pharos-api has found out, and says what that person may do.
    static let messenger = "pharos-api"

    /// `text`: lines such as `root:x:0:0:root:/root:/bin/bash`. What cannot be read is left out.
    init(_ text: String) {
        let pairs = text.split(separator: "\n").compactMap { line -> (UInt32, String)? in
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count >= 3, let number = UInt32(fields[2]), !fields[0].isEmpty else { return nil }
            return (number, String(fields[0].prefix(64)))
        }
        self.names = Dictionary(pairs) { first, _ in first }
    }

    static func read(_ environment: SettingsEnvironment = .system) -> LocalUsers {
        switch environment.read("/etc/passwd", Self.sizeLimit) {
        case .success(let file): LocalUsers(String(decoding: file.contents, as: UTF8.self))
        case .failure: LocalUsers("")
        }
    }

    func name(of user: UInt32) -> String { self.names[user] ?? "uid \(user)" }

    /// Who asks by `post`, and what they may do; nil: somebody who may ask for nothing.
    ///
    /// root, and whom the daemon runs as, may do everything. They may say for whom they do it, and the record has both names; and that
    /// it is to be no more than a role permits. pharos-api alone is believed what somebody else may do.
    func requester(of post: StatusServer.Post, ownUser: UInt32 = geteuid()) -> Requester? {
        guard let user = post.user else { return nil }
        let person = post.onBehalf.flatMap(Self.person)
        if user == 0 || user == ownUser {
            // A role that is named counts, and one that is none counts for nothing: an API that root runs asks for others.
            let role = OperationRole(rawValue: post.role ?? OperationRole.endanger.rawValue)
            guard let role else { return nil }
            return Requester(self.name(of: user) + (person.map { ", for \($0)" } ?? ""), role)
        }
        guard self.names[user] == Self.messenger, let person,
            let role = post.role.flatMap(OperationRole.init(rawValue:))
        else { return nil }
        return Requester("\(person), by the API", role)
    }

    /// Nil for what is no name that a record should have.
    private static func person(_ text: String) -> String? {
        let isPlain = text.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 }
        return isPlain && (1...128).contains(text.utf8.count) ? text : nil
    }
}
