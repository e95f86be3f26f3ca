// SPDX-License-Identifier: Apache-2.0
import CCurl
public import EventLoop
import Glibc

public struct HTTPError: Error, CustomStringConvertible {
    public let url: String
    public let reason: String
    public var description: String { "GET \(self.url): \(self.reason)" }
}

public struct HTTPResponse: Sendable {
    public let status: Int
    public let body: [UInt8]
}

/// HTTP over libcurl's multi interface, driven by the event loop.
@EventLoop
public final class HTTPClient {
    private let multi: UnsafeMutableRawPointer
    private var sockets: [curl_socket_t: EventSource] = [:]
    private var timer: EventSource?
    private var transfers: [UnsafeMutableRawPointer: Transfer] = [:]
    private var idleHandles: [UnsafeMutableRawPointer] = []

    public init() {
        curl_global_init(Int(CURL_GLOBAL_DEFAULT))
        self.multi = curl_multi_init()
        let context = Unmanaged.passUnretained(self).toOpaque()
        curl_multi_set_socket(self.multi, { _, socket, what, context, _ in
            let client = Unmanaged<HTTPClient>.fromOpaque(context!).takeUnretainedValue()
            EventLoop.assumeIsolated { client.watch(socket, what) }
            return 0
        }, context)
        curl_multi_set_timer(self.multi, { _, milliseconds, context in
            let client = Unmanaged<HTTPClient>.fromOpaque(context!).takeUnretainedValue()
            EventLoop.assumeIsolated { client.setTimer(milliseconds) }
            return 0
        }, context)
    }

    /// Ends every transfer; the client must not be used afterwards.
    public func close() {
        for transfer in Array(self.transfers.values) { self.end(transfer, .failure("client closed")) }
        for easy in self.idleHandles { curl_easy_cleanup(easy) }
        self.timer = nil
        curl_multi_cleanup(self.multi)
    }

    public func get(_ url: String, timeout: Duration = .seconds(5)) async throws(HTTPError) -> HTTPResponse {
        var body: [UInt8] = []
        let stream = self.stream(url, timeout: timeout)
        for try await chunk in stream { body += chunk }
        return HTTPResponse(status: stream.status, body: body)
    }

    /// The body of `url` as it arrives; a slow reader pauses the transfer.
    public func stream(_ url: String, timeout: Duration? = nil) -> HTTPStream {
        HTTPStream(client: self, transfer: Transfer(url: url, timeout: timeout))
    }

    fileprivate func start(_ transfer: Transfer) {
        let easy = self.idleHandles.popLast() ?? curl_easy_init()!
        transfer.easy = easy
        self.transfers[easy] = transfer
        curl_easy_set_string(easy, CURLOPT_URL, transfer.url)
        curl_easy_set_long(easy, CURLOPT_NOSIGNAL, 1)
        if let timeout = transfer.timeout { curl_easy_set_long(easy, CURLOPT_TIMEOUT_MS, Int(timeout / .milliseconds(1))) }
        curl_easy_set_write(easy, { bytes, size, count, context in
            let transfer = Unmanaged<Transfer>.fromOpaque(context!).takeUnretainedValue()
            let chunk = Array(UnsafeRawBufferPointer(start: bytes, count: size * count))
            return EventLoop.assumeIsolated { transfer.receive(chunk) } ? size * count : Int(CURL_WRITEFUNC_PAUSE)
        }, Unmanaged.passUnretained(transfer).toOpaque())
        curl_multi_add_handle(self.multi, easy)
    }

    fileprivate func resume(_ transfer: Transfer) {
        guard let easy = transfer.easy else { return }
        curl_easy_pause(easy, CURLPAUSE_CONT)
        self.collect()
    }

    fileprivate func end(_ transfer: Transfer, _ outcome: Transfer.Outcome) {
        guard let easy = transfer.easy else { return }
        var status = 0
        curl_easy_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
        curl_multi_remove_handle(self.multi, easy)
        curl_easy_reset(easy)
        self.idleHandles.append(easy)
        self.transfers[easy] = nil
        transfer.easy = nil
        transfer.finish(status, outcome)
    }

    private func watch(_ socket: curl_socket_t, _ what: CInt) {
        let readiness: EventSource.Readiness
        switch what {
        case CURL_POLL_IN: readiness = .read
        case CURL_POLL_OUT: readiness = .write
        case CURL_POLL_INOUT: readiness = [.read, .write]
        default:
            self.sockets[socket] = nil
            return
        }
        if let source = self.sockets[socket] {
            source.watch(readiness)
        } else {
            self.sockets[socket] = .descriptor(socket, readiness) { [unowned self] in self.act(on: socket, $0) }
        }
    }

    private func setTimer(_ milliseconds: Int) {
        guard milliseconds >= 0 else {
            self.timer?.setEnabled(false)
            return
        }
        let delay = Duration.milliseconds(milliseconds)
        if let timer = self.timer {
            timer.rearm(after: delay)
        } else {
            self.timer = .timer(after: delay, accuracy: .microseconds(1)) { [unowned self] in self.act(on: CURL_SOCKET_TIMEOUT, []) }
        }
    }

    private func act(on socket: curl_socket_t, _ readiness: EventSource.Readiness) {
        var events: CInt = 0
        if readiness.contains(.read) { events |= CURL_CSELECT_IN }
        if readiness.contains(.write) { events |= CURL_CSELECT_OUT }
        if !readiness.isDisjoint(with: .failed) { events |= CURL_CSELECT_ERR }
        var running: CInt = 0
        curl_multi_socket_action(self.multi, socket, events, &running)
        self.collect()
    }

    private func collect() {
        var left: CInt = 0
        while let message = curl_multi_info_read(self.multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let transfer = self.transfers[message.pointee.easy_handle] else { continue }
            let code = curl_message_result(message)
            self.end(transfer, code == CURLE_OK ? .success : .failure(String(cString: curl_easy_strerror(code))))
        }
    }
}

/// One request: chunks that have arrived, and the task that waits for the next.
@EventLoop
final class Transfer {
    enum Outcome: Equatable { case success, failure(String) }

    let url: String
    let timeout: Duration?
    var easy: UnsafeMutableRawPointer?
    var status = 0
    var hasStarted = false
    private var chunks: [[UInt8]] = []
    private var outcome: Outcome?
    private(set) var isPaused = false
    private var reader: CheckedContinuation<Void, Never>?
    private static let highWater = 16

    init(url: String, timeout: Duration?) {
        self.url = url
        self.timeout = timeout
    }

    func receive(_ chunk: [UInt8]) -> Bool {
        guard self.chunks.count < Self.highWater else {
            self.isPaused = true
            return false
        }
        self.chunks.append(chunk)
        self.reader.take()?.resume()
        return true
    }

    func finish(_ status: Int, _ outcome: Outcome) {
        self.status = status
        self.outcome = outcome
        self.reader.take()?.resume()
    }

    func next(resume: () -> Void) async throws(HTTPError) -> [UInt8]? {
        while true {
            if !self.chunks.isEmpty {
                let chunk = self.chunks.removeFirst()
                if self.isPaused, self.chunks.isEmpty {
                    self.isPaused = false
                    resume()
                }
                return chunk
            }
            switch self.outcome {
            case .success: return nil
            case .failure(let reason): throw HTTPError(url: self.url, reason: reason)
            case nil:
                // `await` may let events in before the closure runs, so look again where nothing can intervene.
                await withCheckedContinuation { reader in
                    guard self.chunks.isEmpty, self.outcome == nil else { return reader.resume() }
                    self.reader = reader
                }
            }
        }
    }
}

/// A response body, read once, by one reader on the loop.
public struct HTTPStream: AsyncSequence, Sendable {
    let client: HTTPClient
    let transfer: Transfer

    @EventLoop public var status: Int { self.transfer.status }

    public func makeAsyncIterator() -> Iterator { Iterator(stream: self) }

    public struct Iterator: AsyncIteratorProtocol {
        let stream: HTTPStream

        public mutating func next(isolation actor: isolated (any Actor)?) async throws(HTTPError) -> [UInt8]? {
            try await self.stream.next()
        }
    }

    @EventLoop
    private func next() async throws(HTTPError) -> [UInt8]? {
        if !self.transfer.hasStarted {
            self.transfer.hasStarted = true
            self.client.start(self.transfer)
        }
        let result: Result<[UInt8]?, HTTPError> = await withTaskCancellationHandler {
            do throws(HTTPError) {
                return .success(try await self.transfer.next { self.client.resume(self.transfer) })
            } catch {
                return .failure(error)
            }
        } onCancel: {
            EventLoop.spawn { self.client.end(self.transfer, .failure("cancelled")) }
        }
        return try result.get()
    }
}
