// SPDX-License-Identifier: Apache-2.0
import KernelPlaces
import NetworkAddress
import TestSupport
import Testing

@testable import VirtualAddress

struct KernelAddressesTests {
    @Test func `a recorded listing of iproute2 6 point 1`() throws {
        let read = try #require(KernelAddresses(json: fixture("ip-6.1-address.json")))
        #expect(read.unreadable == 0)
        #expect(
            read.interfaces == [
                NetworkInterface(
                    name: "lo",
                    index: 1,
                    isUp: true,
                    isLowerUp: true
                ),
                NetworkInterface(
                    name: "v0",
                    index: 2,
                    isUp: true,
                    isLowerUp: true
                ),
            ]
        )
        #expect(read.interface(named: "v0")?.index == 2)
        #expect(
            read.addresses.map { "\($0.place) \($0.lifetime) \($0.isTentative)" } == [
                "127.0.0.1/8 on lo forever false", "::1/128 on lo forever false",
                "10.77.0.100/24 on v0 seconds(4) false", "10.77.0.102/32 on v0 forever false",
                "10.9.0.1/32 on v0 forever false", "10.8.0.1/24 on v0 forever false",
                "fd00::7/64 on v0 forever true", "fd00::6/128 on v0 forever true", "fd00::5/64 on v0 seconds(3) false",
                "fe80::9cc0:d7ff:fe73:2866/64 on v0 forever true",
            ]
        )
    }

    @Test func `addresses are found by value, never by text`() throws {
        let json = #"""
            [{"ifindex":2,"ifname":"eth0","addr_info":[
              {"family":"inet","local":"110.77.0.100","prefixlen":24,"valid_life_time":4294967295},
              {"family":"inet","local":"10.77.0.100","prefixlen":24,"valid_life_time":7},
              {"family":"inet","local":"10.77.0.100","prefixlen":32,"valid_life_time":4294967295},
              {"family":"inet6","local":"FD00:0::0100","prefixlen":64,"valid_life_time":7,"dadfailed":true}]}]
            """#
        let read = try #require(KernelAddresses(json: Array(json.utf8)))
        let four = read.places(of: try #require(IPAddress("10.77.0.100")))
        #expect(four.map(\.place.address.prefixLength) == [24, 32])
        #expect(four.map(\.lifetime) == [.seconds(7), .forever])
        let six = read.places(of: try #require(IPAddress("fd00::100")))
        #expect(six.count == 1 && six[0].isDuplicate)
        #expect(try read.places(of: #require(IPAddress("10.77.0.10"))).isEmpty)
    }

    /// As iproute2 6.1 prints them, without their addresses.
    @Test func `an interface's VRF is known, and no bridge or bond is taken for one`() throws {
        let json = #"""
            [{"ifindex":2,"ifname":"blue","flags":["NOARP","MASTER","UP","LOWER_UP"],"addr_info":[]},
             {"ifindex":3,"ifname":"bond0","flags":["BROADCAST","MULTICAST","MASTER","UP","LOWER_UP"],"master":"blue",
              "addr_info":[]},
             {"ifindex":4,"ifname":"eth1","flags":["BROADCAST","MULTICAST","SLAVE","UP"],"master":"bond0","addr_info":[]},
             {"ifindex":5,"ifname":"br0","flags":["BROADCAST","MULTICAST","UP"],"addr_info":[]},
             {"ifindex":6,"ifname":"eth2","altnames":["enp1s0"],"flags":["UP"],"master":"br0","addr_info":[]},
             {"ifindex":7,"ifname":"eth3","altnames":["enp2s0"],"flags":["UP"],"master":"blue","addr_info":[]},
             {"ifindex":8,"ifname":"eth4","flags":["UP"],"master":"gone","addr_info":[]}]
            """#
        let read = try #require(KernelAddresses(json: Array(json.utf8)))
        #expect(read.unreadable == 0)
        #expect(["bond0", "eth3", "enp2s0", "blue"].map { read.vrf(of: $0) } == ["blue", "blue", "blue", "blue"])
        #expect(["eth1", "br0", "eth2", "enp1s0", "eth4", "absent"].allSatisfy { read.vrf(of: $0) == nil })
    }

    @Test func `what cannot be understood is counted, and the rest kept`() throws {
        let json = #"""
            [{}, 5, {"ifname":"eth1"}, {"ifindex":"2","ifname":"eth2"},
             {"ifindex":3,"ifname":"eth3","flags":["UP",null]},
             {"ifindex":4,"ifname":"eth4","addr_info":[
               {"family":"inet","local":"10.0.0.300","prefixlen":24,"valid_life_time":1},
               {"family":"inet","local":"10.0.0.3","prefixlen":33,"valid_life_time":1},
               {"family":"inet","local":"fd00::1","prefixlen":24,"valid_life_time":1},
               {"family":"inet","local":"10.0.0.3","prefixlen":24},
               {"family":"inet","local":"10.0.0.3","prefixlen":24,"valid_life_time":-1},
               {"family":"mpls","local":"7"},
               "text",
               {"family":"inet","local":"10.0.0.4","prefixlen":24,"valid_life_time":1}]}]
            """#
        let read = try #require(KernelAddresses(json: Array(json.utf8)))
        #expect(read.unreadable == 5 + 6)
        #expect(read.firstUnreadable == "interface 1: no 'ifname'")
        #expect(read.interfaces.map(\.name) == ["eth4"])
        #expect(read.addresses.map(\.place) == [try virtual("10.0.0.4/24", on: "eth4")])
    }

    @Test(
        arguments: [
            (
                #"{"family":"inet","local":"10.0.0.300","prefixlen":24,"valid_life_time":1}"#,
                "'local' is \"10.0.0.300\""
            ),
            (#"{"family":"inet","local":"10.0.0.3","prefixlen":33,"valid_life_time":1}"#, "'prefixlen' is 33"),
            (#"{"family":"inet","local":"10.0.0.3","prefixlen":24}"#, "no 'valid_life_time'"),
            (#"{"family":"inet","local":"10.0.0.3","prefixlen":24,"valid_life_time":-1}"#, "'valid_life_time' is -1"),
            (#"{"family":7}"#, "'family' is 7"), ("5", "'entry' is 5"),
        ]
    )
    func `what cannot be understood is named: its interface, its address, and what is wrong`(
        entry: String, words: String
    ) throws {
        let json = #"[{"ifindex":2,"ifname":"eth0","addr_info":[\#(entry)]}]"#
        let doubt = try #require(KernelAddresses(json: Array(json.utf8))?.doubt)
        #expect(doubt.contains("(eth0") && doubt.contains(words + ")"), "\(doubt)")
        if entry.contains("10.0.0.3\"") { #expect(doubt.contains("eth0 10.0.0.3:")) }
    }

    @Test func `what is said of an entry is bounded and printable`() throws {
        let long = String(repeating: "x", count: 5000)
        let json =
            ##"[{"ifindex":2,"ifname":"eth\n0","addr_info":[{"family":"\##(long)"},{"family":"inet","local":"\##(long)"}]}]"##
        let first = try #require(KernelAddresses(json: Array(json.utf8))?.firstUnreadable)
        #expect(first.count <= 200 && !first.contains("\n"))
    }

    @Test func `alternative names are read, and an interface is found by them`() throws {
        let json = #"[{"ifindex":2,"ifname":"eth0","altnames":["enp0s3","x"]},{"ifindex":3,"ifname":"x"}]"#
        let read = try #require(KernelAddresses(json: Array(json.utf8)))
        #expect(read.interfaces[0].alternativeNames == ["enp0s3", "x"])
        #expect(read.interface(named: "enp0s3")?.index == 2)
        #expect(read.interface(named: "x")?.index == 3, "a name comes before an alternative one")
        #expect(read.interface(named: "enp0s") == nil)
    }

    @Test(arguments: ["", "{}", "null", "[", "[{]", "Cannot open netlink socket", "[1,2", "\u{0}"])
    func `no array is no listing`(text: String) {
        #expect(KernelAddresses(json: Array(text.utf8)) == nil)
    }

    @Test func `a name that is no UTF-8 does not hide the rest`() throws {
        var json = Array(#"[{"ifindex":2,"ifname":"X"},{"ifindex":3,"ifname":"eth0"}]"#.utf8)
        json[try #require(json.firstIndex(of: UInt8(ascii: "X")))] = 0xff
        #expect(KernelAddresses(json: json)?.interface(named: "eth0")?.index == 3)
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64]) func `garbage never crashes the reader`(seed: UInt64) throws {
        var generator = SeededGenerator(seed)
        let whole = try fixture("ip-6.1-address.json")
        var understood = 0
        for _ in 0..<2500 where KernelAddresses(json: generator.mutate(whole)) != nil { understood += 1 }
        // Neither everything nor nothing may pass, or the mutations test nothing.
        #expect(understood > 10 && understood < 2490, "\(understood)")
    }
}
