// SPDX-License-Identifier: Apache-2.0
import EventLoop

/// Lets calls of a few kinds have one thing in turn. Of each kind one or two wait at most (two where the first found
/// nobody before it): who asks meanwhile is told at once that it is busy.
///
/// Whoever has a turn ends it by a time limit of his own.
@EventLoop
final class Turns<Kind: Hashable & Sendable> {
    private var waiting: Set<Kind> = []
    /// Ends with the turn of who came last.
    private var last: Task<Void, Never>?
    private var isTaken = 0

    /// What `call` comes to when its turn has come; `busy` where one of its kind is waiting already.
    func take<Answer: Sendable>(
        _ kind: Kind, busy: Answer, _ call: @escaping @EventLoop () async -> Answer
    ) async -> Answer {
        guard self.isTaken == 0 || self.waiting.insert(kind).inserted else { return busy }
        let before = self.last
        self.isTaken += 1
        let task = EventLoop.task { () -> Answer in
            await before?.value
            self.waiting.remove(kind)
            defer { self.isTaken -= 1 }
            return await call()
        }
        self.last = EventLoop.spawn { _ = await task.value }
        return await task.value
    }
}
