// SPDX-License-Identifier: Apache-2.0
import EtcdClient
import EtcdValues
import EventLoop

/// One key in etcd that lives as long as its owner: under a lease of its own, renewed, and written again when either is gone.
///
/// It is written at most every 500 ms, with the newest value. Failures are tried again each second; who wants to know, sees that
/// etcd does not answer elsewhere.
@EventLoop
final class LeasedKey {
    private let etcd: EtcdClient
    private let key: String
    private var wanted: (value: [UInt8], ttl: Duration)?
    private var written: [UInt8]?
    private var lease: (id: Int64, ttl: Duration)?
    private var isBusy = false
    private var timer: EventSource?

    private static let pause: Duration = .milliseconds(500)
    private static let retry: Duration = .seconds(1)
    private static let patience: Duration = .milliseconds(500)

    init(_ etcd: EtcdClient, _ key: String) {
        self.etcd = etcd
        self.key = key
    }

    /// Sees to it that the key holds `value`, and ends at most `ttl` after this process has.
    func set(_ value: [UInt8], ttl: Duration) {
        self.wanted = (value, ttl)
        if self.timer == nil, !self.isBusy { self.turn() }
    }

    /// The key ends by itself, unless the process that follows writes it again.
    func stop() {
        self.wanted = nil
        self.timer = nil
    }

    /// Ends the key at once, for good; waits for that for a moment at most.
    func withdraw() async {
        self.stop()
        guard let lease = self.lease?.id else { return }
        let revocation = EventLoop.spawn {
            _ = try? await self.etcd.revokeLease(lease)  // Where that fails, the key ends by itself.
        }
        _ = try? await EventLoop.value(of: revocation, within: Self.patience)  // Nobody waits for longer.
    }

    private func turn() {
        guard !self.isBusy, let wanted = self.wanted else { return }
        self.isBusy = true
        EventLoop.spawn {
            let next = await self.keep(wanted.value, wanted.ttl)
            self.isBusy = false
            guard self.wanted != nil else { return }
            self.timer = .timer(after: next) { [unowned self] in
                self.timer = nil
                self.turn()
            }
        }
    }

    /// Writes or renews; answers when to look again.
    private func keep(_ value: [UInt8], _ ttl: Duration) async -> Duration {
        do throws(EtcdError) {
            if let lease = self.lease, lease.ttl == ttl {
                let answer = try await self.etcd.keepAlive(lease.id)
                if answer.ttl <= 0 { self.lease = nil }
            }
            // Stopped meanwhile: nothing begins any more.
            guard self.wanted != nil else { return Self.pause }
            if self.lease?.ttl != ttl {
                self.written = nil
                self.lease = (try await self.etcd.grantLease(seconds: ttl.components.seconds).id, ttl)
            }
            guard self.wanted != nil else { return Self.pause }
            if let lease = self.lease, self.written != value {
                let put = Transaction(compares: [], success: [.put(key: self.key, value: value, lease: lease.id)])
                _ = try await self.etcd.commit(put)
                self.written = value
            }
            return self.wanted.map { $0.value == value ? ttl / 3 : Self.pause } ?? Self.pause
        } catch {
            if error.kind == .leaseNotFound { self.lease = nil }
            return Self.retry
        }
    }
}
