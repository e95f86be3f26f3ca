// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Testing

@testable import pharos

/// `--cluster`: one of several clusters on a host.
struct ClusterOptionTests {
    @Test func `a cluster's name says which file and which socket`() throws {
        #expect(try CheckConfig.parse(["--cluster", "15-main"]).file.path == "/etc/pharos/15-main.yml")
        #expect(try CheckConfig.parse([]).file.path == "/etc/pharos/pharos.yml")
        #expect(try CheckConfig.parse(["-c", "x.yml"]).file.path == "x.yml")
        #expect(try ShowStatus.parse(["--cluster", "15-main"]).daemon.path == "/run/pharos@15-main/pharos.sock")
        #expect(try ShowStatus.parse([]).daemon.path == "/run/pharos/pharos.sock")
        #expect(try Acknowledge.parse(["n1", "--socket", "/x"]).daemon.path == "/x")
    }

    @Test(arguments: [
        ["--cluster", "pharos"], ["--cluster", "../x"], ["--cluster", ""], ["--cluster", "a", "--config", "x.yml"],
    ])
    func `what names no cluster, or two files, is refused`(arguments: [String]) {
        #expect(throws: (any Error).self) { try CheckConfig.parse(arguments) }
    }

    @Test func `a configuration is made of Patroni's file, or of the cluster of its name`() throws {
        let place = ["--address", "10.0.0.3/24", "--interface", "eth0"]
        #expect(throws: (any Error).self) { try Initialize.parse(place) }
        #expect(try Initialize.parse(place + ["--cluster", "15-main"]).patroni == nil)
        #expect(try Initialize.parse(place + ["--from-patroni", "/x.yml"]).patroni == "/x.yml")
    }
}
