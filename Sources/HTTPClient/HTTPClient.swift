// SPDX-License-Identifier: Apache-2.0
import CCurl
public import EventLoop
import Glibc

/// HTTP over libcurl's multi interface, driven by the event loop; connections are kept and shared by all requests of one
/// client, and by those of no other.
///
/// A request is ended by the loop's own timer, in whatever state libcurl is: libcurl 7.88 looks at no time limit while a request
/// waits for a connection.
///
/// Invariants: libcurl is never entered from within one of its callbacks (they only note what to do), and every easy
/// handle in the multi handle belongs to exactly one ``Transfer`` that `transfers` keeps alive.
@EventLoop
public final class HTTPClient {
    private let multi: UnsafeMutableRawPointer
    private var sockets: [curl_socket_t: EventSource] = [:]
    private var timer: EventSource?
    private var transfers: [UnsafeMutableRawPointer: Transfer] = [:]
    private var idle: [EasyHandle] = []
    private var isClosed = false
    /// libcurl asked for a call without delay.
    private var mustContinue = false
    /// Such calls are being made at this moment.
    private var isProceeding = false
    /// Connections that were made before are not used for later requests.
    private var freshSince: Int64?
    private let (resolve, buffer): (Resolve?, Transfer.Buffer)
    private var order = AddressOrder()
    /// Is told a name at whose addresses no connection could be made: they may be out of date.
    public var nameFailed: @EventLoop (String) -> Void = { _ in }

    private static let idleLimit = 8
    package nonisolated static var streamBuffer: Int { Transfer.streamBuffer }
    /// `resolve`: finds the addresses of the names in URLs. Nil: libcurl does, on a thread for each name, which goes on after its
    /// request for as long as the name servers are silent.
    public init(_ limits: ConnectionLimits = .few, resolve: Resolve? = nil) {
        (self.resolve, self.buffer) = (resolve, Transfer.Buffer(limits.buffered))
        curl_global_init(Int(CURL_GLOBAL_DEFAULT))
        guard let multi = curl_multi_init() else { preconditionFailure("curl_multi_init: out of memory") }
        self.multi = multi
        // To libcurl 0 means that there is no limit.
        curl_multi_set_long(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, limits.total ?? 0)
        curl_multi_set_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, limits.perHost ?? 0)
        curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, limits.kept)
        curl_multi_set_long(multi, CURLMOPT_PIPELINING, 0)  // CURLPIPE_NOTHING
        // Unretained: `shutDown()` takes the callbacks away before this object goes.
        let context = Unmanaged.passUnretained(self).toOpaque()
        curl_multi_set_socket(
            multi,
            { _, socket, what, context, _ in
                guard let context else { return 0 }
                let client = Unmanaged<HTTPClient>.fromOpaque(context).takeUnretainedValue()
                EventLoop.assumeIsolated { client.watch(socket, what) }
                return 0
            },
            context
        )
        curl_multi_set_timer(
            multi,
            { _, milliseconds, context in
                guard let context else { return 0 }
                let client = Unmanaged<HTTPClient>.fromOpaque(context).takeUnretainedValue()
                EventLoop.assumeIsolated { client.setTimer(milliseconds) }
                return 0
            },
            context
        )
    }

    isolated deinit { self.shutDown() }

    /// Ends every exchange with `.cancelled`; later requests fail.
    public func close() { self.shutDown() }

    private func shutDown() {
        guard !self.isClosed else { return }
        for transfer in Array(self.transfers.values) { self.end(transfer, as: .cancelled, "client closed") }
        self.isClosed = true
        curl_multi_set_socket(self.multi, nil, nil)
        curl_multi_set_timer(self.multi, nil, nil)
        self.sockets = [:]
        self.timer = nil
        self.idle = []
        curl_multi_cleanup(self.multi)
    }

    /// Later requests are sent over new connections, which read the TLS files as they are then.
    public func dropKeptConnections() { self.freshSince = BootClock.microseconds }

    /// Sends `request`; answers the whole response, whatever its status.
    public func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
        let transfer = Transfer(request, .whole, self.buffer)
        self.start(transfer)
        await self.wait(for: transfer)
        guard let outcome = transfer.outcome else {
            throw HTTPError(kind: .other, message: "\(request.printableURL): no outcome", mayHaveBeenSent: true)
        }
        return HTTPResponse(status: try outcome.get(), body: transfer.takeReceived())
    }

    /// Sends `request`; its body is read as it arrives, without a limit on time or total size.
    public func stream(_ request: HTTPRequest) -> HTTPStream {
        let transfer = Transfer(request, .stream, self.buffer)
        self.start(transfer)
        return HTTPStream(self, transfer)
    }

    private func start(_ transfer: Transfer) {
        self.setDeadlines(of: transfer)
        guard let resolve = self.resolve, let host = transfer.request.nameToResolve else {
            return self.begin(transfer, at: [])
        }
        EventLoop.spawn {
            let answer = await resolve(host.name)
            // It may have ended meanwhile.
            guard transfer.outcome == nil else { return }
            switch answer {
            case .addresses(let addresses):
                transfer.addresses = self.order.ordered(addresses, of: host.name)
                self.begin(transfer, at: transfer.addresses)
            case .failed(let reason): self.refuse(transfer, .connect, reason)
            }
        }
    }

    /// `addresses`: of the name in the URL; none: it is an address, or libcurl resolves it.
    private func begin(_ transfer: Transfer, at addresses: [String]) {
        guard !self.isClosed else { return self.refuse(transfer, .cancelled, "client closed") }
        guard let easy = self.idle.popLast() ?? EasyHandle() else {
            return self.refuse(transfer, .other, "out of memory")
        }
        let freshness = self.freshSince.map { BootClock.microseconds - $0 }
        if let refusal = easy.configure(for: transfer, at: addresses, connectionAge: freshness) {
            easy.reset()
            return self.refuse(transfer, .other, refusal)
        }
        let set = curl_easy_set_write(
            easy.raw,
            { bytes, size, count, context in
                guard let context else { return 0 }
                let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
                let chunk = UnsafeRawBufferPointer(start: bytes, count: size * count)
                return switch EventLoop.assumeIsolated({ transfer.receive(chunk) }) {
                case .taken: chunk.count
                case .pause: Int(CURL_WRITEFUNC_PAUSE)
                case .refuse: chunk.isEmpty ? 1 : 0
                }
            },
            Unmanaged.passUnretained(transfer).toOpaque()
        )
        guard set == CURLE_OK, curl_multi_add_handle(self.multi, easy.raw) == CURLM_OK else {
            easy.reset()
            return self.refuse(transfer, .other, "cannot be started")
        }
        transfer.easy = easy
        self.transfers[easy.raw] = transfer
        self.proceed()
    }

    private func setDeadlines(of transfer: Transfer) {
        let request = transfer.request
        if transfer.form == .whole {
            transfer.deadline = .timer(after: request.timeout) { [weak self, unowned transfer] in
                self?.end(transfer, as: .timeout, "no answer within \(request.timeout.inMilliseconds)")
            }
            guard request.connectTimeout < request.timeout else { return }
        }
        transfer.connectDeadline = .timer(after: request.connectTimeout) { [weak self, unowned transfer] in
            guard transfer.easy?.hasSentRequest != true else { return }
            self?.end(transfer, as: .timeout, "no connection within \(request.connectTimeout.inMilliseconds)")
        }
    }

    private func refuse(_ transfer: Transfer, _ kind: HTTPError.Kind, _ reason: String) {
        let message = "\(transfer.request.printableURL): \(reason)"
        transfer.finish(.failure(HTTPError(kind: kind, message: message, mayHaveBeenSent: false)))
    }

    /// Waits for an outcome or for something to read; cancelling the task ends the exchange.
    func wait(for transfer: Transfer) async {
        await withTaskCancellationHandler {
            await transfer.wait()
        } onCancel: {
            EventLoop.spawn { self.end(transfer, as: .cancelled, "cancelled") }
        }
    }

    func resume(_ transfer: Transfer) {
        transfer.isPaused = false
        guard let easy = transfer.easy else { return }
        curl_easy_pause(easy.raw, CURLPAUSE_CONT)
        self.proceed()
    }

    func end(_ transfer: Transfer, as kind: HTTPError.Kind, _ reason: String) {
        // Its name is still being looked up, or it has ended.
        guard transfer.easy != nil else { return self.refuse(transfer, kind, reason) }
        let message = "\(transfer.request.printableURL): \(reason)"
        self.end(transfer) { .failure(HTTPError(kind: kind, message: message, mayHaveBeenSent: $0.hasSentRequest)) }
    }

    private func end(_ transfer: Transfer, _ outcome: (EasyHandle) -> Result<Int, HTTPError>) {
        guard let easy = transfer.easy.take() else { return }
        let outcome = outcome(easy)
        self.order.note(outcome, of: transfer)
        self.noteName(outcome, of: transfer)
        curl_multi_remove_handle(self.multi, easy.raw)
        self.transfers[easy.raw] = nil
        easy.reset()
        if self.idle.count < Self.idleLimit, !self.isClosed { self.idle.append(easy) }
        transfer.finish(outcome)
    }

    // MARK: libcurl's callbacks

    private func watch(_ socket: curl_socket_t, _ what: CInt) {
        let readiness: EventSource.Readiness
        switch what {
        case CURL_POLL_IN: readiness = .read
        case CURL_POLL_OUT: readiness = .write
        case CURL_POLL_INOUT: readiness = [.read, .write]
        default:  // CURL_POLL_REMOVE
            // Disabled, not only dropped: the source whose event is being handled lives until its handler returns, and
            // libcurl may register the socket, or another of the same number, before that.
            self.sockets.removeValue(forKey: socket)?.setEnabled(false)
            return
        }
        if let source = self.sockets[socket] {
            source.watch(readiness)
        } else {
            self.sockets[socket] = .descriptor(socket, readiness) { [weak self] in self?.act(on: socket, $0) }
        }
    }

    /// At once is in the next turn, unless libcurl is being called for it already: it asks also while something else is done
    /// with it, such as the removal of a handle for which another has waited.
    private func setTimer(_ milliseconds: Int) {
        self.mustContinue = milliseconds == 0
        guard milliseconds > 0 || (milliseconds == 0 && !self.isProceeding) else {
            self.timer?.setEnabled(false)
            return
        }
        let delay = Duration.milliseconds(milliseconds)
        if let timer = self.timer {
            timer.rearm(after: delay)
        } else {
            self.timer = .timer(after: delay, accuracy: .microseconds(1)) { [weak self] in self?.expire() }
        }
    }

    // MARK: The loop's events

    private func act(on socket: curl_socket_t, _ readiness: EventSource.Readiness) {
        guard !self.isClosed else { return }
        var events: CInt = 0
        if readiness.contains(.read) { events |= CURL_CSELECT_IN }
        if readiness.contains(.write) { events |= CURL_CSELECT_OUT }
        if !readiness.isDisjoint(with: .failed) { events |= CURL_CSELECT_ERR }
        var running: CInt = 0
        curl_multi_socket_action(self.multi, socket, events, &running)
        self.proceed()
    }

    private func expire() {
        guard !self.isClosed else { return }
        self.mustContinue = true
        self.proceed()
    }

    /// Lets libcurl do what it wants done at once, and collects what has ended.
    private func proceed() {
        guard !self.isProceeding else { return }
        self.isProceeding = true
        var rounds = 0
        var running: CInt = 0
        repeat {
            if self.mustContinue {
                self.mustContinue = false
                curl_multi_socket_action(self.multi, CURL_SOCKET_TIMEOUT, 0, &running)
            }
            // What ends may let another begin.
            self.collect()
            rounds += 1
        } while self.mustContinue && rounds < 32
        self.isProceeding = false
        // Enough for one turn: the rest in the next, after other events.
        if self.mustContinue { self.setTimer(0) }
    }

    private func collect() {
        var left: CInt = 0
        while let message = curl_multi_info_read(self.multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let transfer = self.transfers[message.pointee.easy_handle]
            else { continue }
            let code = curl_message_result(message)
            self.end(transfer) { easy in transfer.outcome(easy, code) }
        }
    }
}
