// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Settings

/// Commands in texts, as they are typed on a host with several clusters.
struct AddressedTests {
    private let named = DaemonInstance(named: "15-main")

    @Test(arguments: [
        ("systemctl restart pharos (addresses stay)", "systemctl restart pharos@15-main (addresses stay)"),
        ("look: systemctl cat pharos", "look: systemctl cat pharos@15-main"),
        ("(systemctl cat pharos), and", "(systemctl cat pharos@15-main), and"),
        ("systemctl enable --now pharos.", "systemctl enable --now pharos@15-main."),
        ("journalctl -u pharos -n 50", "journalctl -u pharos@15-main -n 50"),
        (
            "add it to /etc/pharos/pharos.yml on n2, then systemctl reload pharos there",
            "add it to /etc/pharos/15-main.yml on n2, then systemctl reload pharos@15-main there"
        ),
        ("on n1: pharos status", "on n1: pharos status --cluster 15-main"),
        ("pharos why; patronictl list", "pharos why --cluster 15-main; patronictl list"),
        ("`pharos restore-points` lists them", "`pharos restore-points --cluster 15-main` lists them"),
        ("pharos repair fence-superseded", "pharos repair --cluster 15-main fence-superseded"),
        ("pharos verify --deep", "pharos verify --cluster 15-main --deep"),
    ])
    func `a command names the cluster`(text: String, expected: String) throws {
        #expect(try #require(self.named).addressed(text) == expected)
        #expect(DaemonInstance().addressed(text) == text)
    }

    @Test(arguments: [
        "member of etcd.pharos, in pharos.yml", "another pharos runs on this node", "/run/pharos@15-main/pharos.sock",
        "/var/lib/pharos/memory", "a user pharos, in the groups", "systemctl status pharos-again",
        "/pharos/demo/address/",
        "pharosd", "journalctl -u pharos@15-main", "database pharos", "",
    ])
    func `what is no command stays as it is`(text: String) throws {
        #expect(try #require(self.named).addressed(text) == text)
    }
}
