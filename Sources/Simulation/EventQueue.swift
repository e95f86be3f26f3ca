// SPDX-License-Identifier: Apache-2.0

/// Simulated time in microseconds since the world began: true time, which no simulated clock shows.
typealias Time = Int64

/// What will happen, ordered by time and then by the order of scheduling.
struct EventQueue<Payload> {
    private struct Entry {
        let time: Time
        let order: Int64
        let slot: Int32
    }

    private var heap: [Entry] = []
    private var payloads: [Payload?] = []
    private var free: [Int32] = []
    private var scheduled: Int64 = 0

    mutating func schedule(_ payload: consuming Payload, at time: Time) {
        let slot: Int32
        if let reused = self.free.popLast() {
            slot = reused
            self.payloads[Int(slot)] = payload
        } else {
            slot = Int32(self.payloads.count)
            self.payloads.append(payload)
        }
        self.scheduled += 1
        self.heap.append(Entry(time: time, order: self.scheduled, slot: slot))
        self.siftUp(self.heap.count - 1)
    }

    /// When the next payload is due; later than any, if there is none.
    var nextTime: Time { self.heap.first?.time ?? .max }

    /// Takes the next payload out of the queue, which must not be empty.
    mutating func removeFirst() -> Payload {
        let slot = self.heap[0].slot
        let last = self.heap.removeLast()
        if !self.heap.isEmpty {
            self.heap[0] = last
            self.siftDown(0)
        }
        self.free.append(slot)
        guard let payload = self.payloads[Int(slot)].take() else { preconditionFailure("an entry without a payload") }
        return payload
    }

    @inline(__always)
    private static func precedes(_ a: Entry, _ b: Entry) -> Bool {
        a.time != b.time ? a.time < b.time : a.order < b.order
    }

    private mutating func siftUp(_ start: Int) {
        self.heap.withUnsafeMutableBufferPointer { heap in
            var child = start
            let entry = heap[child]
            while child > 0 {
                let parent = (child - 1) / 2
                guard Self.precedes(entry, heap[parent]) else { break }
                heap[child] = heap[parent]
                child = parent
            }
            heap[child] = entry
        }
    }

    private mutating func siftDown(_ start: Int) {
        self.heap.withUnsafeMutableBufferPointer { heap in
            var parent = start
            let entry = heap[parent]
            while true {
                var child = 2 * parent + 1
                guard child < heap.count else { break }
                if child + 1 < heap.count, Self.precedes(heap[child + 1], heap[child]) { child += 1 }
                guard Self.precedes(heap[child], entry) else { break }
                heap[parent] = heap[child]
                parent = child
            }
            heap[parent] = entry
        }
    }
}
