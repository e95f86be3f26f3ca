// SPDX-License-Identifier: Apache-2.0
import KernelPlaces
import NetworkAddress
import Testing

@testable import RouteNetlink
@testable import VirtualAddress

/// Messages of the kernel in the order in which they come, and what is made of them.
struct AddressNewsTests {
    private func address(_ text: String, on interface: Int32) throws -> RouteMessage {
        .address(
            RouteAddress(
                place: RoutePlace(address: try #require(AddressPrefix(text)), interface: interface), seconds: nil,
                isTentative: false, isDuplicate: false, isSecondary: false))
    }

    private func removed(_ text: String, on interface: Int32) throws -> RouteMessage {
        .addressRemoved(RoutePlace(address: try #require(AddressPrefix(text)), interface: interface))
    }

    private func link(_ name: String, _ index: Int32) -> RouteMessage {
        .link(RouteLink(index: index, name: name, hasCarrier: true))
    }

    @Test func `an interface has the name that it had when the message was sent`() throws {
        var news = AddressNews()
        let ask = { (_: Int32) -> String? in
            Issue.record("a name is asked for that was told")
            return nil
        }
        #expect(news.learn(link("v0", 2), ask: ask) == .linkChanged(name: "v0", hasCarrier: true))
        #expect(try news.learn(address("10.0.0.1/24", on: 2), ask: ask) == appeared("10.0.0.1/24", on: "v0"))
        _ = news.learn(link("w0", 2), ask: ask)
        #expect(try news.learn(address("10.0.0.1/24", on: 2), ask: ask) == appeared("10.0.0.1/24", on: "w0"))
        // It goes, and another of the name it had comes.
        #expect(
            try news.learn(removed("10.0.0.1/24", on: 2), ask: ask) == .disappeared(virtual("10.0.0.1/24", on: "w0")))
        #expect(news.learn(.linkRemoved(index: 2), ask: ask) == .unclear)
        _ = news.learn(link("v0", 3), ask: ask)
        #expect(try news.learn(address("10.0.0.1/24", on: 3), ask: ask) == appeared("10.0.0.1/24", on: "v0"))
    }

    @Test func `a name that was not told is asked for once, and anew when something was missed`() throws {
        var news = AddressNews()
        var asked: [Int32] = []
        var name: String? = "eth0"
        let ask = { (index: Int32) -> String? in
            asked.append(index)
            return name
        }
        for _ in 1...2 {
            #expect(try news.learn(address("10.0.0.1/24", on: 2), ask: ask) == appeared("10.0.0.1/24", on: "eth0"))
        }
        #expect(asked == [2])
        name = "eth1"
        _ = news.lost(.dropped)
        #expect(try news.learn(address("10.0.0.1/24", on: 2), ask: ask) == appeared("10.0.0.1/24", on: "eth1"))
        _ = news.learn(.linkRemoved(index: 2), ask: ask)
        name = "eth2"
        #expect(try news.learn(address("10.0.0.1/24", on: 2), ask: ask) == appeared("10.0.0.1/24", on: "eth2"))
        _ = news.learn(.malformed("?"), ask: ask)
        name = nil
        #expect(try news.learn(address("10.0.0.1/24", on: 2), ask: ask) == .unclear, "it is gone: look")
        #expect(try news.learn(removed("10.0.0.1/24", on: 2), ask: ask) == .unclear)
        #expect(asked == [2, 2, 2, 2, 2])
    }

    @Test func `names are bounded`() throws {
        var news = AddressNews()
        var asked = 0
        let ask = { (index: Int32) -> String? in
            asked += 1
            return "eth\(index)"
        }
        for index in 1...5000 as ClosedRange<Int32> { _ = news.learn(link("eth\(index)", index), ask: ask) }
        for index in [1, 5000] as [Int32] { _ = try news.learn(address("10.0.0.1/24", on: index), ask: ask) }
        #expect(asked == 1, "the newest are kept, the oldest asked for")
    }

    @Test func `what is not understood is missed, an answer is no news`() {
        var news = AddressNews()
        guard case .missed(let loss) = news.learn(.malformed("half of it"), ask: { _ in nil }) else {
            Issue.record("not missed")
            return
        }
        #expect(loss.kind == .unreadable && loss.description.contains("half of it"))
        #expect(news.learn(.answered(sequence: 1, isComplete: true), ask: { _ in nil }) == nil)
    }
}
