// SPDX-License-Identifier: Apache-2.0
import CLab
import EventLoop
import Glibc
import NetworkBed

/// From the start of the daemon's process to its READY=1, with etcd up.
@EventLoop
struct StartBenchmark {
    private static let scope = "start"
    let bed: TestBed
    let starts: Int

    init(_ bed: TestBed, starts: Int) {
        self.bed = bed
        self.starts = starts
    }

    func run() async throws(BedError) -> StartResult {
        let etcd = try self.bed.parts().etcd
        try await etcd.settle(Self.scope)
        try await etcd.put(Daemon.leaderKey(Self.scope), TestBed.Node.a.member)
        let socket = try NotifySocket(path: self.bed.folder + "/notify")
        var times: [Double] = []
        for _ in 0..<self.starts {
            socket.forget()
            let began = BootClock.microseconds
            let daemon = try Daemon.start(self.bed, .bench, scope: Self.scope, ttl: 30, notify: socket.path)
            try await wait(for: "READY=1", timeout: .seconds(10)) { () async throws(BedError) in
                try daemon.program.check()
                return socket.readyAt != nil
            }
            times.append(milliseconds(from: began, to: socket.readyAt ?? began))
            await self.bed.stop(daemon.program)
        }
        return StartResult(times: times)
    }
}

struct StartResult: Sendable {
    let times: [Double]

    var text: String {
        guard let statistics = Statistics(self.times) else { return "no start was measured" }
        return Table(
            ["Cold start to READY=1, in ms", "median", "p99", "min", "max", "starts", "goal", ""],
            [
                ["etcd up, another member leads"] + statistics.cells
                    + ["\(statistics.count)", "median at most 300", verdict(statistics.median <= 300)]
            ]
        ).text
    }

    var json: String { Statistics(self.times)?.json ?? "null" }
}

/// The socket of a service manager (sd_notify(3)), of which only the first READY=1 matters.
@EventLoop
final class NotifySocket {
    let path: String
    /// When it was read, in microseconds since boot.
    private(set) var readyAt: Int64?
    private let descriptor: Int32
    private var source: EventSource?

    init(path: String) throws(BedError) {
        self.path = path
        self.descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        guard self.descriptor >= 0 else { throw Files.failure("cannot make a socket") }
        _ = fcntl(self.descriptor, F_SETFD, FD_CLOEXEC)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw BedError("\(path) is too long")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let bound = withUnsafeBytes(of: &address) { raw in
            raw.withMemoryRebound(to: sockaddr.self) {
                bind(self.descriptor, $0.baseAddress, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0 else { throw Files.failure("cannot bind \(path)") }
        self.source = .descriptor(self.descriptor, .read) { [weak self] _ in self?.receive() }
    }

    isolated deinit {
        close(self.descriptor)
        unlink(self.path)
    }

    func forget() { self.readyAt = nil }

    private func receive() {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(self.descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            guard count >= 0 else { return }
            let lines = String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n")
            if lines.contains("READY=1"), self.readyAt == nil { self.readyAt = BootClock.microseconds }
        }
    }
}
