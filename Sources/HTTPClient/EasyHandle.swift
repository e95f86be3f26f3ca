// SPDX-License-Identifier: Apache-2.0
import CCurl
import EventLoop

/// Owns one of libcurl's easy handles with what must live as long as its options: the error text and the header list.
@EventLoop
final class EasyHandle {
    let raw: UnsafeMutableRawPointer
    private let errorText: UnsafeMutablePointer<CChar>
    /// Not 0 once an answer's head has ended: libcurl takes a head that is cut short for a whole answer.
    private let headEnd: UnsafeMutablePointer<Int32>
    /// How often libcurl may still begin to send the request.
    private let attemptsLeft: UnsafeMutablePointer<Int32>
    private var headers: UnsafeMutablePointer<curl_slist>?
    /// The name in the URL with its addresses, as libcurl is told.
    private var resolved: UnsafeMutablePointer<curl_slist>?

    init?() {
        guard let raw = curl_easy_init() else { return nil }
        self.raw = raw
        self.errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        self.errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        self.headEnd = .allocate(capacity: 1)
        self.headEnd.initialize(to: 0)
        self.attemptsLeft = .allocate(capacity: 1)
        self.attemptsLeft.initialize(to: 0)
    }

    isolated deinit {
        curl_easy_cleanup(self.raw)
        curl_slist_free_all(self.headers)
        curl_slist_free_all(self.resolved)
        self.errorText.deallocate()
        self.headEnd.deallocate()
        self.attemptsLeft.deallocate()
    }

    /// Forgets every option of the last exchange; connections, sessions and names stay cached.
    func reset() {
        curl_easy_reset(self.raw)
        curl_slist_free_all(self.headers)
        curl_slist_free_all(self.resolved)
        (self.headers, self.resolved) = (nil, nil)
        self.errorText[0] = 0
        self.headEnd.pointee = 0
    }

    /// libcurl's own words on the last failure, or the general ones for `code`.
    func message(for code: CURLcode) -> String {
        self.errorText[0] != 0 ? String(cString: self.errorText) : String(cString: curl_easy_strerror(code))
    }

    var hasWholeHead: Bool { self.headEnd.pointee != 0 }
    var status: Int { self.number(CURLINFO_RESPONSE_CODE) }
    /// Whether any byte of a request was handed to a connection.
    var hasSentRequest: Bool { self.number(CURLINFO_REQUEST_SIZE) > 0 }

    private func number(_ info: CURLINFO) -> Int {
        var value = 0
        return curl_easy_get_long(self.raw, info, &value) == CURLE_OK ? value : 0
    }

    /// Sets the options for `transfer`; answers the first that was refused, by its error text.
    /// `addresses`: of the name in the URL; none: libcurl finds them.
    /// `connectionAge`: only connections that are younger are used, in microseconds; nil: any.
    func configure(for transfer: Transfer, at addresses: [String], connectionAge: Int64?) -> String? {
        let request = transfer.request
        var refusal: CURLcode = CURLE_OK
        func check(_ code: CURLcode) { if refusal == CURLE_OK { refusal = code } }
        func set(_ option: CURLoption, _ value: Int) { check(curl_easy_set_long(self.raw, option, value)) }
        func set(_ option: CURLoption, _ value: String) {
            // A zero byte would cut the text short for C.
            check(value.utf8.contains(0) ? CURLE_URL_MALFORMAT : curl_easy_set_string(self.raw, option, value))
        }
        check(curl_easy_set_pointer(self.raw, CURLOPT_ERRORBUFFER, self.errorText))
        set(CURLOPT_URL, request.url)
        set(CURLOPT_PROTOCOLS_STR, "http,https")
        set(CURLOPT_PROXY, "")
        set(CURLOPT_NOPROXY, "*")
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        set(CURLOPT_TCP_NODELAY, 1)
        set(CURLOPT_TCP_KEEPALIVE, 1)
        set(CURLOPT_TCP_KEEPIDLE, 10)
        set(CURLOPT_TCP_KEEPINTVL, 3)
        check(curl_easy_limit_dead_peer(self.raw))
        check(curl_easy_note_head_end(self.raw, self.headEnd))
        set(CURLOPT_CONNECTTIMEOUT_MS, request.connectTimeout.wholeMilliseconds)
        if let host = request.nameToResolve, !addresses.isEmpty {
            let list = addresses.map { $0.contains(":") ? "[\($0)]" : $0 }.joined(separator: ",")
            self.resolved = curl_slist_append(nil, "+\(host.name):\(host.port):\(list)")
            check(curl_easy_set_list(self.raw, CURLOPT_RESOLVE, self.resolved))
        }
        // A name that is still being looked up when the exchange ends is not waited for.
        set(CURLOPT_QUICK_EXIT, 1)
        // The authorities' file is read with each connection: libcurl keeps what it has read for a day otherwise.
        set(CURLOPT_CA_CACHE_TIMEOUT, 0)
        if let connectionAge { set(CURLOPT_MAXLIFETIME_CONN, max(1, Int(connectionAge / 1_000_000))) }
        if let path = request.unixSocket { set(CURLOPT_UNIX_SOCKET_PATH, path) }
        if let credentials = request.credentials {
            set(CURLOPT_HTTPAUTH, 1)  // CURLAUTH_BASIC
            set(CURLOPT_USERNAME, credentials.user)
            set(CURLOPT_PASSWORD, credentials.password)
        }
        if let tls = request.tls {
            if let file = tls.authorities {
                set(CURLOPT_CAINFO, file)
                // Only these authorities, not those of the system besides.
                check(curl_easy_set_string(self.raw, CURLOPT_CAPATH, nil))
            }
            if let file = tls.certificate { set(CURLOPT_SSLCERT, file) }
            if let file = tls.key { set(CURLOPT_SSLKEY, file) }
        }
        set(CURLOPT_SSLVERSION, 6)  // CURL_SSLVERSION_TLSv1_2: or later
        guard self.append(request.headers, hasBody: !request.body.isEmpty) else { return "a header is malformed" }
        check(curl_easy_set_headers(self.raw, self.headers))
        self.setBody(of: transfer, check: check)
        if !request.isRepeatable {
            self.attemptsLeft.pointee = 1
            check(curl_easy_limit_attempts(self.raw, self.attemptsLeft))
        }
        set(CURLOPT_CUSTOMREQUEST, request.method.rawValue)
        return refusal == CURLE_OK ? nil : self.message(for: refusal)
    }

    private func append(_ headers: [(name: String, value: String)], hasBody: Bool) -> Bool {
        var lines = headers.map { "\($0.name): \($0.value)" }
        // libcurl would wait for "100 Continue" before it sends a large body.
        if hasBody { lines.append("Expect:") }
        for line in lines {
            guard line.utf8.allSatisfy({ $0 >= 32 && $0 != 127 }), let list = curl_slist_append(self.headers, line)
            else { return false }
            self.headers = list
        }
        return true
    }

    private func setBody(of transfer: Transfer, check: (CURLcode) -> Void) {
        let body = transfer.request.body
        guard !body.isEmpty || transfer.request.method != .get else { return }
        // In one piece with the head: a body that is read by a function would leave in a packet of its own.
        check(
            body.withUnsafeBytes {
                curl_easy_copy_body(self.raw, $0.baseAddress ?? UnsafeRawPointer(self.raw), $0.count)
            }
        )
    }
}

extension Duration {
    var inMilliseconds: String { "\(self.wholeMilliseconds) ms" }

    /// Rounded up, at least 1: to libcurl 0 means no limit.
    fileprivate var wholeMilliseconds: Int {
        let (seconds, attoseconds) = self.components
        guard seconds >= 0, attoseconds >= 0 else { return 1 }
        let fraction = Int((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
        return max(1, Int(min(seconds, 1_000_000)) * 1000 + fraction)
    }
}
