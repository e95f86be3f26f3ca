// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import Glibc
import HTTPClient
import LenientJSON
import Settings

struct Watch: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the whole cluster, again each second, with what goes on. End it with q.",
        discussion: """
            Colours only where NO_COLOR is not set. Into a pipe, or with --once, it prints one picture and ends. Exit status: that \
            of `pharos cluster` for the last picture.
            """)
    @Flag(help: "Print one picture, whole, and end.") var once = false
    @OptionGroup var daemon: SocketOption

    func run() throws {
        let (socket, instance) = (self.daemon.path, self.daemon.instance)
        let isOnce = self.once || isatty(STDOUT_FILENO) == 0
        let code =
            isOnce
            ? runOnLoop { await Self.once(socket, instance) }
            : runOnLoop(blocking: [SIGINT, SIGTERM, SIGWINCH]) {
                await Screen(socket, instance).run()
            }
        guard code == .success else { throw code }
    }

    @EventLoop
    private static func once(_ socket: String, _ instance: DaemonInstance) async -> Int32 {
        guard let (_, cluster) = await ShowStatus.answer(socket, instance.unit, path: "/cluster"),
            let (_, status) = await ShowStatus.answer(socket, instance.unit)
        else { return ClusterText.unknown }
        print(instance.addressed(WatchText(cluster: cluster, status: status).lines(nil).joined(separator: "\n")))
        return ClusterText(cluster).exitStatus
    }

    /// The terminal while the picture is shown: its other screen, no cursor, keys as they are typed; as it was in the end.
    @EventLoop
    private final class Screen {
        private let socket: String
        private let instance: DaemonInstance
        private let isColoured = getenv("NO_COLOR").map { $0.pointee == 0 } ?? true
        private var sources: [EventSource] = []
        private var before = termios()
        private var exitStatus = ClusterText.unknown
        private var isOver = false
        private var ended: CheckedContinuation<Void, Never>?

        init(_ socket: String, _ instance: DaemonInstance) { (self.socket, self.instance) = (socket, instance) }

        func run() async -> Int32 {
            let isTerminal = tcgetattr(STDIN_FILENO, &self.before) == 0
            if isTerminal {
                var raw = self.before
                raw.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG)
                tcsetattr(STDIN_FILENO, TCSANOW, &raw)
            }
            self.write("\u{1b}[?1049h\u{1b}[?25l")
            self.sources = [SIGINT, SIGTERM].map { .signal($0) { self.end() } }
            self.sources.append(.signal(SIGWINCH) { EventLoop.spawn { await self.draw() } })
            if isTerminal { self.sources.append(.descriptor(STDIN_FILENO, .read) { _ in self.key() }) }
            while !self.isOver {
                await self.draw()
                guard !self.isOver else { break }
                await self.pause()
            }
            self.sources = []
            self.write("\u{1b}[?25h\u{1b}[?1049l")
            if isTerminal { tcsetattr(STDIN_FILENO, TCSANOW, &self.before) }
            return self.exitStatus
        }

        private func pause() async {
            let timer = EventSource.timer(after: .seconds(1)) { self.wake() }
            await withCheckedContinuation { self.ended = $0 }
            _ = timer
        }

        private func wake() {
            self.ended?.resume()
            self.ended = nil
        }

        private func end() {
            self.isOver = true
            self.wake()
        }

        /// q, what else would end or stop a program (Ctrl-C, Ctrl-Z, Ctrl-\), or the end of the input.
        private func key() {
            var byte: UInt8 = 0
            guard read(STDIN_FILENO, &byte, 1) == 1, ![UInt8(ascii: "q"), 3, 26, 28].contains(byte) else {
                return self.end()
            }
        }

        private func draw() async {
            var size = winsize()
            let isKnown = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 && size.ws_row > 1
            let room = isKnown ? (columns: Int(size.ws_col), rows: Int(size.ws_row) - 1) : (columns: 80, rows: 23)
            var lines: [String]
            if let cluster = await self.ask("/cluster"), let status = await self.ask("/status") {
                self.exitStatus = ClusterText(cluster).exitStatus
                lines = WatchText(cluster: cluster, status: status).lines(room)
            } else {
                self.exitStatus = ClusterText.unknown
                lines = ["! no daemon answers at \(self.socket): systemctl status \(self.instance.unit)"]
            }
            guard !self.isOver else { return }
            self.write(WatchText.frame(lines, isColoured: self.isColoured))
        }

        private func ask(_ path: String) async -> JSON? {
            let answer = try? await ShowStatus.ask(self.socket, path: path)  // Why not is said by what is shown.
            return answer.flatMap { $0.status == 200 ? JSON.parse($0.body) : nil }
        }

        private func write(_ text: String) {
            var bytes = Array(text.utf8)[...]
            while !bytes.isEmpty {
                let count = bytes.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
                guard count > 0 || errno == EINTR else { return self.end() }
                bytes = bytes.dropFirst(max(0, count))
            }
        }
    }
}
