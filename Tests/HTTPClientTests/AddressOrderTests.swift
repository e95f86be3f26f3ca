// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import HTTPClient

struct AddressOrderTests {
    private static let all = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]

    @Test func `where an exchange has failed the next address comes first, and after the last the first again`() {
        var order = AddressOrder()
        #expect(order.ordered(Self.all, of: "a") == Self.all)
        for expected in ["10.0.0.2", "10.0.0.3", "10.0.0.1"] {
            order.failed(order.ordered(Self.all, of: "a"), of: "a")
            #expect(order.ordered(Self.all, of: "a").first == expected)
            #expect(Set(order.ordered(Self.all, of: "a")) == Set(Self.all))
        }
        #expect(order.ordered(Self.all, of: "b") == Self.all)
    }

    @Test func `of several that fail side by side one counts`() {
        var order = AddressOrder()
        let tried = order.ordered(["x", "y"], of: "a")
        for _ in 0..<3 { order.failed(tried, of: "a") }
        #expect(order.ordered(["x", "y"], of: "a") == ["y", "x"])
    }

    @Test func `an address that the name has no more is forgotten`() {
        var order = AddressOrder()
        order.failed(["x", "y"], of: "a")
        #expect(order.ordered(["x", "z"], of: "a") == ["x", "z"])
        order.failed(["x"], of: "b")
        #expect(order.ordered(["x", "y"], of: "b") == ["x", "y"])
    }
}
