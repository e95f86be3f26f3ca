// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Testing

@testable import pharosd

struct UnitJobTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test func `only a restart of this very unit is one`() {
        let jobs = """
             1201 pharos.service         restart running
             1202 patroni.service        start   waiting
            """
        #expect(UnitJob.isRestart(of: "pharos.service", in: jobs))
        for other in ["patroni.service", "haros.service", "pharos", ""] {
            #expect(!UnitJob.isRestart(of: other, in: jobs), "\(other)")
        }
        for text in [
            "", "No jobs running.", "1201 pharos.service stop running", "1201 pharos.service restart", "restart",
            "1 pharos.service x restart running", "\u{0}\u{1}", "1201 pharos.service start running\n\n\n",
        ] { #expect(!UnitJob.isRestart(of: "pharos.service", in: text), "\(text)") }
    }

    @Test func `the unit is read from the control groups`() {
        #expect(UnitJob.unit(ofControlGroups: "0::/system.slice/pharos.service\n") == "pharos.service")
        #expect(UnitJob.unit(ofControlGroups: "1:name=x:/a.service\n0::/system.slice/p@1.service\n") == "p@1.service")
        for text in ["", "0::/", "0::/user.slice/session-1.scope\n", "garbage", "0::\n"] {
            #expect(UnitJob.unit(ofControlGroups: text) == nil, "\(text)")
        }
    }

    @Test @EventLoop func `outside of a service nothing is a restart`() async {
        #expect(await !UnitJob.isRestart())
    }
}
