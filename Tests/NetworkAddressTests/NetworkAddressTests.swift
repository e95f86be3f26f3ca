// SPDX-License-Identifier: Apache-2.0
import NetworkAddress
import Testing

struct IPAddressTests {
    @Test(arguments: [
        ("10.0.0.1", "10.0.0.1"), ("255.255.255.255", "255.255.255.255"), ("::", "::"), ("::1", "::1"),
        ("2001:0DB8:0:0:0:0:0:1", "2001:db8::1"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.1"), ("::ffff:a00:1", "::ffff:10.0.0.1"), ("fe80::", "fe80::"),
    ]) func `texts become canonical`(text: String, canonical: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == canonical)
        #expect(IPAddress(canonical) == address)
        #expect(IPAddress(bytes: address.bytes) == address)
        #expect(address.isIPv6 == canonical.contains(":"))
        #expect(address.bytes.count * 8 == address.bitWidth)
    }

    @Test(arguments: [
        "", " ", "10.0.0", "10.0.0.1.2", "10.0.0.256", "10.0.0.01", "010.0.0.1", "0x0a.0.0.1", "167772161", " 10.0.0.1",
        "10.0.0.1 ", "10.0.0.1\n", "10.0.0.1\0", "::1\0", "[::1]", "fe80::1%eth0", ":::", "1:2:3:4:5:6:7:8:9", "g::",
        "2001:db8:::1", "١٠.0.0.1", "10.0.0.1/24", "localhost", String(repeating: "0", count: 100) + "::",
    ]) func `anything else is refused`(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(arguments: [
        ("10.0.0.1", IPAddress.Category.unicast), ("0.0.0.0", .unspecified), ("0.1.2.3", .unspecified),
        ("127.8.8.8", .loopback), ("169.254.1.1", .linkLocal), ("169.255.0.1", .unicast), ("224.0.0.1", .multicast),
        ("239.255.255.255", .multicast), ("240.0.0.1", .reserved), ("255.255.255.255", .broadcast),
        ("::", .unspecified), ("::1", .loopback), ("::2", .unicast), ("fe80::1", .linkLocal), ("febf::1", .linkLocal),
        ("fec0::1", .unicast), ("ff02::1", .multicast), ("::ffff:1.2.3.4", .ipv4Mapped), ("fd00::1", .unicast),
    ]) func `addresses are classified`(text: String, category: IPAddress.Category) {
        #expect(IPAddress(text)?.category == category)
    }

    @Test func `bytes are in network order, and only 4 or 16`() {
        #expect(IPAddress("10.1.2.3")?.bytes == [10, 1, 2, 3])
        #expect(IPAddress("2001:db8::5")?.bytes == [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5])
        #expect(IPAddress(bytes: []) == nil && IPAddress(bytes: [1, 2, 3]) == nil)
        #expect(IPAddress(bytes: [UInt8](repeating: 1, count: 17)) == nil)
    }

    @Test func `the order is by family, then by number`() {
        let texts = ["2.0.0.0", "10.0.0.0", "::1", "2001:db8::"]
        #expect(texts.reversed().compactMap(IPAddress.init).sorted().map(\.description) == texts)
    }
}

struct AddressPrefixTests {
    @Test func `address and length are both kept`() throws {
        let prefix = try #require(AddressPrefix("2001:DB8::0:1/64"))
        #expect(prefix.description == "2001:db8::1/64")
        #expect(prefix.network.description == "2001:db8::")
        #expect(prefix.broadcast == nil)
        #expect(AddressPrefix("10.0.5.9/22")?.network.description == "10.0.4.0")
        #expect(AddressPrefix("10.0.5.9/22")?.broadcast?.description == "10.0.7.255")
        #expect(AddressPrefix("10.0.5.9/0")?.network.description == "0.0.0.0")
        #expect(AddressPrefix("10.0.5.9/0")?.broadcast?.description == "255.255.255.255")
        #expect(AddressPrefix("ff::1/0")?.network.description == "::")
        #expect(AddressPrefix("10.0.5.9/32")?.network.description == "10.0.5.9")
        #expect(AddressPrefix("::5/128")?.network.description == "::5")
    }

    @Test(arguments: [
        "", "/", "10.0.0.1", "10.0.0.1/", "/24", "10.0.0.1/33", "::1/129", "10.0.0.1/-1", "10.0.0.1/+8", "10.0.0.1/08",
        "10.0.0.1/8/8", "10.0.0.1/ 8", "10.0.0.1/255.0.0.0", "10.0.0.1/99999999999999999999",
    ]) func `anything else is refused`(text: String) {
        #expect(AddressPrefix(text) == nil)
    }

    @Test(arguments: [
        ("10.0.0.0/24", true), ("10.0.0.1/24", false), ("10.0.0.0/31", false), ("10.0.0.0/32", false),
        ("2001:db8::/64", true), ("2001:db8::/127", false), ("2001:db8::/128", false), ("2001:db8::1/64", false),
    ]) func `a network's own address is known`(text: String, isNetwork: Bool) {
        #expect(AddressPrefix(text)?.isNetworkAddress == isNetwork)
    }

    @Test func `a network holds its own and no other`() throws {
        let prefix = try #require(AddressPrefix("10.0.5.9/22"))
        #expect(try prefix.contains(#require(IPAddress("10.0.7.255"))))
        #expect(try !prefix.contains(#require(IPAddress("10.0.8.0"))))
        #expect(try !prefix.contains(#require(IPAddress("::10.0.7.255"))))
        #expect(try #require(AddressPrefix("::/0")).contains(#require(IPAddress("2001:db8::"))))
    }
}
