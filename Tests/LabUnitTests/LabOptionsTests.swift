// SPDX-License-Identifier: Apache-2.0
import Lab
import Testing

struct LabOptionsTests {
    @Test func `the defaults are valid`() throws {
        try LabOptions().validate()
    }

    @Test func `what Patroni would refuse or correct is refused`() {
        for (field, value) in [
            (\LabOptions.nodeCount, 0), (\LabOptions.ttl, 19), (\LabOptions.loopWait, 0), (\LabOptions.retryTimeout, 2),
        ] {
            var options = LabOptions()
            options[keyPath: field] = value
            #expect(throws: LabError.self) { try options.validate() }
        }
    }

    @Test func `timings that do not fit into the ttl are refused`() {
        var options = LabOptions()
        options.retryTimeout = 10
        #expect(throws: LabError.self) { try options.validate() }
    }

    @Test func `an address needs its prefix length`() {
        var options = LabOptions()
        options.addresses = ["10.77.0.100"]
        #expect(throws: LabError.self) { try options.validate() }
    }

    @Test func `nodes are numbered from one`() {
        #expect(LabOptions().nodes == ["n1", "n2", "n3"])
        #expect(LabOptions().plainAddresses == ["10.77.0.100", "fd77::100"])
    }
}
