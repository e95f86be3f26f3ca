// SPDX-License-Identifier: Apache-2.0
import Settings
import Testing

@testable import pharosd

struct InvocationTests {
    @Test func `the configuration is the usual one, or the one that is named`() {
        #expect(Invocation([]) == .run("/etc/pharos/pharos.yml"))
        #expect(Invocation(["--config", "a.yml"]) == .run("a.yml"))
        #expect(Invocation(["-c", "/b c.yml"]) == .run("/b c.yml"))
        #expect(Invocation(["--config=a=b.yml"]) == .run("a=b.yml"))
    }

    @Test func `help and version are told`() {
        #expect(Invocation(["--help"]) == .help && Invocation(["-h"]) == .help)
        #expect(Invocation(["--version"]) == .version)
    }

    @Test(arguments: [
        (["run"], "run"), (["--confg", "a.yml"], "--confg"), ([""], "''"),
        (["-c"], "-c expects a file"), (["-c", "a.yml", "b.yml"], "b.yml"), (["status", "--json"], "status"),
    ]) func `whatever else stands there is a mistake that is named`(arguments: [String], part: String) {
        guard case .mistake(let problem) = Invocation(arguments) else {
            Issue.record("\(arguments) was taken")
            return
        }
        #expect(problem.contains(part), "\(problem)")
    }
}
