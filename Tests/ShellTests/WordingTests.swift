// SPDX-License-Identifier: Apache-2.0
import Decision
import Journal
import Testing

@testable import Shell

struct WordingTests {
    @Test(
        arguments: [
            (.milliseconds(45), "45 ms"), (.milliseconds(-45), "-45 ms"), (.milliseconds(12_345), "12.3 s"),
            (.seconds(-61), "-61.0 s"), (.zero, "0 ms"), (.seconds(Int64.max), "315360000000.0 s"),
            (.seconds(Int64.min), "-315360000000.0 s"), (.seconds(9_000_000_000), "9000000000.0 s"),
        ] as [(Duration, String)])
    func `a time is said in a bearable unit, however long it is`(duration: Duration, text: String) {
        #expect(Wording.text(duration) == text)
    }

    @Test(
        arguments: [
            ("etcd http://a: etcdserver: user name is empty", "etcd asks for a user now"),
            (
                "etcd http://a: etcdserver: authentication failed, invalid user ID or password",
                "the user and the password"
            ),
            ("etcd http://a: etcdserver: permission denied", "lacks a right"),
            ("etcd https://a: SSL certificate problem: certificate has expired", "openssl s_client"),
            ("etcd http://a: Connection refused", "etcdctl endpoint health --cluster"),
        ]) func `what to do where etcd cannot be read depends on why`(reason: String, remedy: String)
    {
        #expect(Wording.remedy(etcd: reason).contains(remedy))
        #expect(LogRecord(Report.contactLost(reason: reason, lastRead: nil)).message.contains(remedy))
    }

    @Test func `no instant is too late for a clock`() {
        #expect(Instant.distantFuture.microseconds > 1 << 62)
        #expect(Instant(sinceBoot: .milliseconds(1500)).microseconds == 1_500_000)
    }
}
