// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc

/// Runs `operation` on the event loop of this thread to its end, also when it is interrupted: it is cancelled then, and
/// cleans up before the process ends, with the operation's answer as its exit status; 1 after an error, which is printed.
public func runTool(_ operation: @escaping @EventLoop () async throws(BedError) -> Int32) -> Never {
    blockSignals(SIGCHLD, SIGINT, SIGTERM, SIGHUP)
    signal(SIGPIPE, SIG_IGN)
    EventLoop.spawn {
        let work = EventLoop.spawn {
            do throws(BedError) {
                EventLoop.exit(code: try await operation())
            } catch {
                complain(error.message)
                EventLoop.exit(code: 1)
            }
        }
        let signals = [SIGINT, SIGTERM, SIGHUP].map { EventSource.signal($0) { work.cancel() } }
        await work.value
        withExtendedLifetime(signals) {}
    }
    exit(EventLoop.shared.executor.run())
}
