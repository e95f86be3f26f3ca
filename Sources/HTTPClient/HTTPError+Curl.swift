// SPDX-License-Identifier: Apache-2.0
import CCurl

extension HTTPError.Kind {
    init(_ code: CURLcode) {
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT: self = .connect
        case CURLE_OPERATION_TIMEDOUT: self = .timeout
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_ENGINE_NOTFOUND,
            CURLE_SSL_ENGINE_SETFAILED, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER, CURLE_SSL_ENGINE_INITFAILED,
            CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CRL_BADFILE, CURLE_SSL_ISSUER_ERROR,
            CURLE_SSL_PINNEDPUBKEYNOTMATCH, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT:
            self = .tls
        case CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_PARTIAL_FILE:
            self = .disconnected
        case CURLE_ABORTED_BY_CALLBACK:
            // The connection broke, and the request is not to be repeated.
            self = .disconnected
        default: self = .other  // libcurl has about a hundred codes
        }
    }
}

extension Transfer {
    /// What is likely behind OpenSSL's words where TLS did not come about.
    private static func hint(_ code: CURLcode, _ reason: String) -> String {
        // The answer to its first words is no TLS at all; or who hears them hangs up, as etcd does.
        if reason.contains("wrong version number") { return " (nobody speaks TLS there: http:// instead of https://?)" }
        let isCut = ["SSL_ERROR_SYSCALL", "unexpected eof"].contains { reason.contains($0) }
        guard code == CURLE_SSL_CONNECT_ERROR, isCut else { return "" }
        return " (the connection broke at the first words of TLS: http:// instead of https://?)"
    }

    /// What came of it, as libcurl says.
    func outcome(_ easy: EasyHandle, _ code: CURLcode) -> Result<Int, HTTPError> {
        var (kind, reason) = (HTTPError.Kind(code), easy.message(for: code))
        if self.isTooLarge {
            (kind, reason) = (
                self.isOneTooMany ? .crowded : .bodyTooLarge,
                self.isOneTooMany ? "body over what all answers may be together" : "body over its limit"
            )
        } else if code == CURLE_OK {
            if easy.hasWholeHead { return .success(easy.status) }
            (kind, reason) = (.disconnected, "connection closed within the answer's head")
        }
        let message = "\(self.request.printableURL): \(reason)\(Self.hint(code, reason))"
        return .failure(HTTPError(kind: kind, message: message, mayHaveBeenSent: easy.hasSentRequest))
    }
}
