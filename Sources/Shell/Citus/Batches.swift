// SPDX-License-Identifier: Apache-2.0
import EventLoop

/// What `body` comes to for each of `items`, in their order; so many of them are asked side by side.
@EventLoop
func inBatches<Item: Sendable, Answer: Sendable>(
    _ items: [Item], of count: Int, _ body: @escaping @EventLoop (Item) async -> Answer
) async -> [Answer] {
    var answers: [Answer] = []
    for begin in stride(from: 0, to: items.count, by: count) {
        let tasks = items[begin...].prefix(count).map { item in EventLoop.task { await body(item) } }
        for task in tasks { answers.append(await task.value) }
    }
    return answers
}
