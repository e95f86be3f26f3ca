// SPDX-License-Identifier: Apache-2.0
import KernelPlaces
import Testing

@testable import pharos

/// What `pharos check-config` says of an interface's name, against what `ip` lists.
struct InterfaceNameTests {
    private static let interfaces = [
        NetworkInterface(name: "eth0", alternativeNames: ["enp19s0"], index: 2, isUp: true, isLowerUp: true),
        NetworkInterface(name: "mac0", index: 3, isUp: true, isLowerUp: true),
    ]

    @Test func `an interface that nobody can use now is a doubt, too`() {
        let interfaces = [
            NetworkInterface(name: "eth1", index: 4, isUp: false, isLowerUp: false),
            NetworkInterface(name: "eth2", alternativeNames: ["lan"], index: 5, isUp: true, isLowerUp: false),
        ]
        #expect(CheckConfig.doubt("eth1", in: interfaces)?.hasPrefix("interface eth1 is down") == true)
        #expect(CheckConfig.doubt("lan", in: interfaces)?.hasPrefix("interface lan has no carrier") == true)
    }

    private static func doubt(_ name: String) -> String? { CheckConfig.doubt(name, in: Self.interfaces) }

    @Test(arguments: ["eth0", "enp19s0", "mac0"]) func `a name and another name are both right`(name: String) throws {
        #expect(Self.doubt(name) == nil)
    }

    @Test func `of a name with its parent it is said which part is the name`() throws {
        let text = try #require(Self.doubt("mac0@eth0"))
        #expect(
            text
                == "this node has no interface mac0@eth0; it has eth0, mac0. Its name is mac0: ip prints its parent behind an @"
        )
        #expect(Self.doubt("mac9@eth0") == "this node has no interface mac9@eth0; it has eth0, mac0")
        #expect(Self.doubt("eth9") == "this node has no interface eth9; it has eth0, mac0")
    }
}
