// SPDX-License-Identifier: Apache-2.0

import EventLoop

/// One exchange: what has arrived and was not yet taken, how it ended, and the task that waits.
///
/// Its methods are called from within libcurl's callbacks, so none of them calls libcurl.
@EventLoop
final class Transfer {
    /// What the answers that are arriving at one client have left together, in bytes.
    final class Buffer {
        private var free: Int
        init(_ limit: Int) { self.free = limit }

        /// Answers whether there is room for so many more.
        func take(_ count: Int) -> Bool {
            guard count <= self.free else { return false }
            self.free -= count
            return true
        }

        func giveBack(_ count: Int) { self.free += count }
    }

    enum Form {
        /// The body is collected; one that is longer than the limit ends the exchange.
        case whole
        /// The body is taken in pieces; while this many bytes wait, the peer is not read.
        case stream
    }

    /// Bytes of a stream that may wait for their reader.
    nonisolated static let streamBuffer = 256 << 10

    let request: HTTPRequest
    let form: Form
    var easy: EasyHandle?
    /// Of the name in the URL, in the order in which they are tried; empty where there is none, or libcurl finds them.
    var addresses: [String] = []
    var isPaused = false
    /// The loop's own time limits: of the whole exchange, and until the request is being sent.
    var deadline: EventSource?
    var connectDeadline: EventSource?
    private(set) var isTooLarge = false
    /// Too large not by itself: together with others.
    private(set) var isOneTooMany = false
    private var received: [UInt8] = []
    private let buffer: Buffer
    private(set) var outcome: Result<Int, HTTPError>?
    private var waiter: CheckedContinuation<Void, Never>?

    init(_ request: HTTPRequest, _ form: Form, _ buffer: Buffer) {
        self.buffer = buffer
        self.request = request
        self.form = form
    }

    isolated deinit { _ = self.takeReceived() }

    enum Reception { case taken, pause, refuse }

    func receive(_ bytes: UnsafeRawBufferPointer) -> Reception {
        switch self.form {
        case .whole:
            guard bytes.count <= self.request.bodyLimit - self.received.count else {
                self.isTooLarge = true
                return .refuse
            }
            guard self.buffer.take(bytes.count) else {
                (self.isTooLarge, self.isOneTooMany) = (true, true)
                return .refuse
            }
            self.received.append(contentsOf: bytes)
        case .stream:
            guard self.received.isEmpty || self.received.count + bytes.count <= Self.streamBuffer else {
                self.isPaused = true
                return .pause
            }
            self.received.append(contentsOf: bytes)
            self.waiter.take()?.resume()
        }
        return .taken
    }

    func finish(_ outcome: Result<Int, HTTPError>) {
        guard self.outcome == nil else { return }
        self.outcome = outcome
        (self.deadline, self.connectDeadline) = (nil, nil)
        self.waiter.take()?.resume()
    }

    func takeReceived() -> [UInt8] {
        defer { self.received = [] }
        if case .whole = self.form { self.buffer.giveBack(self.received.count) }
        return self.received
    }

    /// Waits until there is an outcome or, for a stream, something to take.
    func wait() async {
        // `await` may let events in before the closure runs, so look again where nothing can intervene.
        await withCheckedContinuation { waiter in
            let isReady = self.outcome != nil || (self.form == .stream && !self.received.isEmpty)
            guard !isReady else { return waiter.resume() }
            self.waiter = waiter
        }
    }
}
