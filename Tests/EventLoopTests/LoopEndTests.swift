// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Testing

/// The end of a process's loop.
struct LoopEndTests {
    @Test func `a loop that has ended does not turn again: the process ends, and says why`() async throws {
        let result = try await #require(
            processExitsWith: .failure, observing: [\.standardErrorContent, \.standardOutputContent]
        ) {
            EventLoop.spawn { EventLoop.exit(code: 7) }
            print("first \(EventLoop.shared.executor.run())")
            EventLoop.spawn {
                print("was done")
                EventLoop.exit(code: 0)
            }
            print("second \(EventLoop.shared.executor.run())")
        }
        let said = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(said.contains("the event loop of this process has ended: it runs once"), "\(said)")
        let printed = String(decoding: result.standardOutputContent, as: UTF8.self)
        #expect(!printed.contains("second") && !printed.contains("was done"), "\(printed)")
    }
}
