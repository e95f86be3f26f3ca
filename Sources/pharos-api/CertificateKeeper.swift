// SPDX-License-Identifier: Apache-2.0
import AccessTokens
import EventLoop
import Settings
import WebServer

/// The certificate and the key of the API, as they stand in their files: a new pair is presented in the next handshake, without a
/// restart. One that cannot be used is told, and the old pair stays.
@EventLoop
final class CertificateKeeper {
    private struct Marks: Equatable {
        let certificate: FileMark?
        let key: FileMark?
    }

    private enum State: Equatable {
        case none
        case presented(Marks)
        /// It could not be used. Both files are replaced one after the other: it is told if it is still so at the next look.
        case failing(Marks, isTold: Bool)
    }

    private let files: APISettings.TLS
    private let environment: SettingsEnvironment
    private var state = State.none
    private let tell: @EventLoop (CredentialNews) -> Void

    init(
        _ files: APISettings.TLS, environment: SettingsEnvironment = .system,
        tell: @escaping @EventLoop (CredentialNews) -> Void
    ) {
        (self.files, self.environment, self.tell) = (files, environment, tell)
    }

    /// Reads the files if they are others than before. `now`: seconds since 1970.
    func refresh(at now: Int64 = UTCTime.now) {
        let marks = Marks(certificate: FileMark(self.files.certificate), key: FileMark(self.files.key))
        switch self.state {
        case .presented(marks), .failing(marks, isTold: true): return
        case .none, .presented, .failing: break
        }
        switch self.read(at: now) {
        case .success(let pair):
            let isFirst = self.state == .none
            TLSIdentity.present(pair)
            self.state = .presented(marks)
            if !isFirst { self.tell(.read("a certificate that is valid until \(UTCTime.text(pair.validUntil))")) }
        case .failure(let error):
            // At the start nobody is about to replace anything.
            let mustTell = self.state == .failing(marks, isTold: false) || self.state == .none
            self.state = .failing(marks, isTold: mustTell)
            if mustTell { self.tell(.refused(reason: error.description)) }
        }
    }

    private func read(at now: Int64) -> Result<TLSPair, Unusable> {
        var texts: [[UInt8]] = []
        for path in [self.files.certificate, self.files.key] {
            switch self.environment.read(path, Settings.fileLimit) {
            case .success(let file): texts.append(file.contents)
            case .failure(let error): return .failure(Unusable("\(path): \(error)"))
            }
        }
        do throws(TLSPairError) {
            let pair = try TLSPair(certificate: texts[0], key: texts[1])
            guard pair.validUntil > now else {
                return .failure(Unusable("the certificate has expired at \(UTCTime.text(pair.validUntil))"))
            }
            return .success(pair)
        } catch {
            return .failure(Unusable("\(self.files.certificate) with \(self.files.key): \(error)"))
        }
    }

    private struct Unusable: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }
}
