// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import Journal

/// Breaks the cycle between the shell and the links that it owns: they are made before it is.
@EventLoop
final class EventSink {
    weak var shell: Shell?
    func deliver(_ event: Event) { self.shell?.deliver(event) }
    func report(_ record: LogRecord) { self.shell?.log(record) }
}
