// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc

/// Packet sockets that are not needed any more, closed while nothing else happens.
///
/// The kernel makes whoever closes a packet socket wait until every processor has passed a grace period (packet_release
/// calls synchronize_net): 10 to 30 ms in which the loop would stand still, just when an address moves. So they are
/// closed one at a time, 3 s after the last one was added and 1 s apart. At most 64 wait; one more is closed at once.
@EventLoop
enum ClosingQueue {
    private static let limit = 64
    private static var descriptors: [Int32] = []
    private static var timer: EventSource?

    static func add(_ descriptor: Int32) {
        guard self.descriptors.count < self.limit else {
            close(descriptor)
            return
        }
        self.descriptors.append(descriptor)
        self.wait(.seconds(3))
    }

    private static func wait(_ delay: Duration) {
        if let timer = self.timer {
            timer.rearm(after: delay)
        } else {
            self.timer = .timer(after: delay, accuracy: .milliseconds(250)) { self.closeOne() }
        }
    }

    private static func closeOne() {
        guard let descriptor = self.descriptors.popLast() else { return }
        close(descriptor)
        if !self.descriptors.isEmpty { self.wait(.seconds(1)) }
    }
}
