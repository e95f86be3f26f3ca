// SPDX-License-Identifier: Apache-2.0
import Decision
import Testing

@testable import Settings

/// The section `detector` of pharos.yml.
struct DetectorTests {
    private func loaded(_ detector: String) throws -> Settings.Detector {
        try files(minimal + "\n" + detector).load().detector
    }

    @Test func `nothing said is the profile hyperscale`() throws {
        let detector = try self.loaded("")
        #expect(detector.profile == .hyperscale && detector.nodeConninfo == "user=pharos")
        #expect(detector.lagLimit == 16 << 20)
    }

    @Test func `a profile by its name, and every number on its own`() throws {
        #expect(try self.loaded("detector: { profile: fast }").profile == .fast)
        let detector = try self.loaded(
            "detector: { profile: fast, interval: 5s, timeout: 2s, threshold: 4, leak: 1.5, rise: 1, agreement: majority, "
                + "minimum_sources: 3, lag_limit: 512kB, on_gray_failure: switchover, node_conninfo: 'user=watch dbname=app' }"
        )
        #expect(
            detector.profile
                == DetectorProfile(
                    interval: .seconds(5), timeout: .seconds(2), threshold: 4, leak: 1.5, rise: 1,
                    agreement: .majority, minimumSources: 3))
        #expect(detector.lagLimit == 512 << 10 && detector.nodeConninfo == "user=watch dbname=app")
        #expect(detector.onGrayFailure == .switchover)
    }

    @Test(arguments: [
        ("timeout: 30s", "'detector': timeout must be above 0 and below interval, or probes would overlap"),
        ("minimum_sources: 1", "'detector': minimum_sources must be at least 2: nothing is done on the word of one"),
        ("threshold: 1", "'detector': threshold must be from 2 to 100"),
        ("leak: 6", "'detector': leak must be above 0 and at most threshold (then failures must be consecutive)"),
        ("rise: 9", "'detector': rise must be from 1 to threshold"),
        (
            "interval: 20m", "'detector': interval x threshold must be at most 1 h: it is the time to a verdict"
        ),
        ("leak: half", "'leak' in 'detector': expected a number such as 0.5, not 'half'"),
        ("lag_limit: 16", "'lag_limit' in 'detector': expected an amount such as 512kB, 16MB or 1GB, not '16'"),
        ("profile: slow", "'profile' in 'detector': expected one of hyperscale, fast, not 'slow'"),
        ("intervall: 3s", "unknown key 'intervall' in 'detector'; did you mean 'interval'?"),
        (
            "password: x",
            "key 'password' in 'detector': a password does not belong in this file; name a password file with 'passfile=' in "
                + "'node_conninfo'"
        ),
    ])
    func `what does not fit together is refused, with the formula`(line: String, message: String) {
        let errors = files(minimal + "\ndetector:\n  \(line)").errors()
        #expect(errors.contains { $0.hasSuffix(": " + message) }, "\(errors)")
    }
}
