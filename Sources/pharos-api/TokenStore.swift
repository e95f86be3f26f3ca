// SPDX-License-Identifier: Apache-2.0
import AccessTokens
import EventLoop
import Settings

/// The tokens' file, as it stands now: it is looked at whenever a token is shown, so that one that was removed lets nobody in.
///
/// A file that is gone lets nobody in. One that cannot be read leaves in force what it said before: who has damaged it by hand would
/// otherwise lock everybody out.
@EventLoop
final class TokenStore {
    let path: String
    private let environment: SettingsEnvironment
    private(set) var file = TokenFile()
    /// Why the file cannot be used as it is; nil: it can.
    private(set) var problem: String?
    /// When each was shown last, by its name: seconds since 1970.
    private(set) var lastUse: [String: Int64] = [:]
    /// Of the state that was read last; outer nil: none was.
    private var mark: FileMark??
    private let tell: @EventLoop (CredentialNews) -> Void

    init(
        _ path: String, environment: SettingsEnvironment = .system, tell: @escaping @EventLoop (CredentialNews) -> Void
    ) {
        (self.path, self.environment, self.tell) = (path, environment, tell)
    }

    /// Reads the file if it is another than before.
    func refresh() {
        let mark = FileMark(self.path)
        guard self.mark != .some(mark) else { return }
        let isFirst = self.mark == nil
        self.mark = .some(mark)
        switch self.environment.read(self.path, TokenFile.sizeLimit) {
        case .failure(.system(2)):  // ENOENT
            self.file = TokenFile()
            self.refuse("there is no such file: nobody has a token now")
        case .failure(let error): self.refuse("\(error)")
        case .success(let contents):
            do throws(TokenFileError) {
                self.file = try TokenFile(parsing: contents.contents)
                self.problem = nil
                self.lastUse = self.lastUse.filter { use in self.file.tokens.contains { $0.name == use.key } }
                if !isFirst { self.tell(.read("\(self.file.tokens.count) tokens")) }
            } catch {
                self.refuse("\(error)")
            }
        }
    }

    private func refuse(_ reason: String) {
        self.problem = reason
        self.tell(.refused(reason: reason))
    }

    /// Whose token it is, expired or not; nil: nobody's.
    func owner(of text: String, at now: Int64) -> AccessToken? {
        self.refresh()
        let owner = self.file.owner(of: text)
        if let owner { self.lastUse[owner.name] = now }
        return owner
    }
}
