// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Journal
import StatusServer

/// The status API at each place where it is to be served. Where that is not possible yet, because the address is not this
/// node's before the network is up, or a folder is missing, it is tried again until it is; told once.
@EventLoop
final class StatusListeners {
    private let answer: @EventLoop (_ path: String) -> StatusServer.Answer
    private let act: @EventLoop (StatusServer.Post) -> StatusServer.Answer
    private let log: @EventLoop (LogRecord) -> Void
    private var missing: [StatusEndpoint]
    private var told: Set<StatusEndpoint> = []
    private var servers: [StatusServer] = []
    private var timer: EventSource?

    /// From one try to the next.
    private let pause: Duration
    private(set) var tries = 0

    init(
        _ endpoints: [StatusEndpoint], answer: @escaping @EventLoop (_ path: String) -> StatusServer.Answer,
        act: @escaping @EventLoop (StatusServer.Post) -> StatusServer.Answer,
        log: @escaping @EventLoop (LogRecord) -> Void, pause: Duration = .seconds(2)
    ) {
        self.pause = pause
        (self.missing, self.answer, self.act, self.log) = (endpoints, answer, act, log)
        self.serve()
    }

    private func serve() {
        self.tries += 1
        self.missing = self.missing.filter { !self.serve($0) }
        guard !self.missing.isEmpty else {
            self.timer = nil
            return
        }
        if let timer = self.timer {
            timer.rearm(after: self.pause)
        } else {
            self.timer = .timer(after: self.pause) { [weak self] in self?.serve() }
        }
    }

    /// Answers whether it is served there now.
    private func serve(_ endpoint: StatusEndpoint) -> Bool {
        do throws(StatusServerError) {
            self.servers.append(try StatusServer(endpoint, answer: self.answer, act: self.act))
            if self.told.remove(endpoint) != nil {
                self.log(LogRecord(.statusServed, "the status is served at \(endpoint) now"))
            }
            return true
        } catch {
            if self.told.insert(endpoint).inserted {
                self.log(
                    LogRecord(
                        .statusUnavailable,
                        "\(error.description); it is tried again every \(self.pause.components.seconds) s",
                        ["REASON": error.description]))
            }
            return false
        }
    }
}
