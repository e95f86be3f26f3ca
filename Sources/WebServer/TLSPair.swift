// SPDX-License-Identifier: Apache-2.0
import CGnuTLS
public import EventLoop
import Glibc

/// Why a certificate and its key cannot be used.
public struct TLSPairError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
}

/// A certificate with its chain, and its key, as servers present them.
///
/// GnuTLS keeps no copy during a handshake: a pair must outlive those that began with it. See ``TLSIdentity``.
@EventLoop
public final class TLSPair {
    /// Written by the initializer alone; read on the loop's thread, by GnuTLS too.
    fileprivate nonisolated(unsafe) let pair: UnsafeMutablePointer<tls_pair>

    /// Seconds since 1970.
    public let (validFrom, validUntil): (Int64, Int64)

    /// Reads PEM texts: the certificate first and what signed it behind it, at most 8; and a key without a password.
    public init(certificate: [UInt8], key: [UInt8]) throws(TLSPairError) {
        let pair = UnsafeMutablePointer<tls_pair>.allocate(capacity: 1)
        pair.initialize(to: tls_pair())
        let result = tls_pair_read(pair, certificate, certificate.count, key, key.count)
        guard result == 0 else {
            pair.deallocate()
            throw TLSPairError(description: Self.text(result))
        }
        self.pair = pair
        (self.validFrom, self.validUntil) = (pair.pointee.valid_from, pair.pointee.valid_until)
    }

    isolated deinit {
        tls_pair_free(self.pair)
        self.pair.deallocate()
    }

    private static func text(_ result: Int32) -> String {
        switch result {
        case Int32(TLS_KEY_OF_ANOTHER): "the key is not that of the certificate"
        case Int32(TLS_NO_CERTIFICATE): "no certificate in it"
        default: String(cString: gnutls_strerror(result))  // GnuTLS's own numbers
        }
    }
}

/// The pair that all servers of this process present in each handshake from now on. GnuTLS asks by a function without a context.
@EventLoop
public enum TLSIdentity {
    public private(set) static var current: TLSPair?
    /// Pairs of before, newest last: a handshake that began with one has 5 s to end.
    private static var former: [TLSPair] = []
    /// More changes than this within the time of a handshake nobody makes: files are looked at once a second at most.
    private static let formerLimit = 8

    public static func present(_ pair: TLSPair) {
        if let current = self.current { self.former = (self.former + [current]).suffix(self.formerLimit) }
        self.current = pair
    }

    /// What GnuTLS calls: 0, and the pair; -1 ends the handshake.
    nonisolated static let choose:
        @convention(c) (
            OpaquePointer?, UnsafePointer<gnutls_datum_t>?, Int32, UnsafePointer<gnutls_pk_algorithm_t>?, Int32,
            UnsafeMutablePointer<UnsafeMutablePointer<gnutls_pcert_st>?>?, UnsafeMutablePointer<UInt32>?,
            UnsafeMutablePointer<OpaquePointer?>?
        ) -> Int32 = { _, _, _, _, _, chain, count, key in
            guard let chain, let count, let key, let current = EventLoop.assumeIsolated({ TLSIdentity.current }) else {
                return -1
            }
            let pair = current.pair
            let offset = MemoryLayout<tls_pair>.offset(of: \.chain) ?? 0
            chain.pointee = (UnsafeMutableRawPointer(pair) + offset).assumingMemoryBound(to: gnutls_pcert_st.self)
            count.pointee = pair.pointee.count
            key.pointee = pair.pointee.key
            return 0
        }
}

extension ClientCertificate {
    /// Of the client at the other end of GnuTLS's `session`.
    static func of(_ session: OpaquePointer) -> ClientCertificate {
        var client = tls_client_of(session)
        guard client.has_certificate != 0 else { return .absent }
        if client.result < 0 { return .refused(String(cString: gnutls_strerror(client.result))) }
        if client.status != 0 {
            var text = [CChar](repeating: 0, count: 512)
            tls_status_text(client.status, &text, text.count)
            let said = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            return .refused(said.isEmpty ? "not verified (\(client.status))" : said.trimmingLastSpace)
        }
        guard client.names == 1 else { return .refused(client.names == 0 ? "no common name" : "several common names") }
        let size = min(client.name_size, MemoryLayout.size(ofValue: client.name))
        let name = withUnsafeBytes(of: &client.name) { String(validating: $0.prefix(size), as: UTF8.self) }
        guard let name, !name.isEmpty, name.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value < 0x7f }) else {
            return .refused("a common name with characters that no name here has")
        }
        return .verified(name: name, until: client.valid_until)
    }
}

extension String {
    fileprivate var trimmingLastSpace: String {
        var text = self[...]
        while text.last == " " { text = text.dropLast() }
        return String(text)
    }
}
