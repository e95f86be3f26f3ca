// SPDX-License-Identifier: Apache-2.0
import Decision

/// What the operators of one cluster chose, drawn from all that the configuration allows; and how fast its clocks run.
///
/// Mostly what most people have: Patroni's TTL, the default margin, few addresses. The rest is as often as it is likely to
/// break something, and as rare as it is slow.
struct ClusterConfiguration {
    /// `lease.ttl`; nil: as Patroni's.
    let leaseTTL: Duration?
    let margin: Duration
    /// `lease.clock_drift`, in parts per million.
    let clockDrift: Int
    /// Seconds of the slowest and of the fastest machine's clock in a true second: as far apart as that allows.
    let rates: ClosedRange<Double>
    let addresses: [AddressSpec]
    /// etcd grants no lease for less: one and a half of its election timeout, 2 s by default.
    let shortestGrant: Duration
    /// Whether the nodes keep secondary addresses when the primary one goes (`promote_secondaries`).
    let promotesSecondaries: Bool
    /// Whether the daemon may have it so.
    let mayPromote: Bool

    /// What the configuration demands of a margin: the guard, the kernel's lateness, before the drift of the clocks.
    static let shortestMargin: Duration = .milliseconds(1500)
    /// What the margin covers besides, in microseconds.
    var spareMargin: Time { (self.margin - Self.shortestMargin).microseconds }
    private static let shortestPatroniTTL: Duration = .seconds(20)

    init(_ random: inout Randomness) {
        let ttl = Self.someLeaseTTL(&random)
        self.leaseTTL = ttl
        let drift = Self.someDrift(&random)
        self.clockDrift = drift
        self.rates = Self.someRates(drift, &random)
        self.margin = Self.someMargin(for: ttl ?? Self.shortestPatroniTTL, drift, &random)
        self.addresses = Self.someAddresses(&random)
        self.promotesSecondaries = random.chance(0.3)
        self.mayPromote = random.chance(0.9)
        self.shortestGrant = random.chance(0.9) ? .seconds(2) : .seconds(random.between(3, 30))
    }

    private static func someLeaseTTL(_ random: inout Randomness) -> Duration? {
        switch random.between(0, 99) {
        case 0..<65: nil
        case 65..<85: .seconds(random.between(5, 19))
        case 85..<97: .seconds(random.between(20, 60))
        default: .seconds(random.chance(0.2) ? 3600 : random.between(61, 900))
        }
    }

    private static func someDrift(_ random: inout Randomness) -> Int {
        switch random.between(0, 9) {
        case 0..<6: CoreSettings.usualClockDrift
        case 6..<9: 10_000
        default: Int(random.between(10, 200)) * 1000
        }
    }

    /// The clocks of all machines lie within the drift: some slow, some fast, or both.
    private static func someRates(_ drift: Int, _ random: inout Randomness) -> ClosedRange<Double> {
        let width = Double(drift) / 1e6
        let low: Double =
            switch random.between(0, 3) {
            case 0: 1 - width
            case 1: 1
            default: 1 - width / 2
            }
        // No kernel lets itself be slowed down by more than a tenth.
        let least = max(low, 0.9)
        return least...(least + width)
    }

    /// The margin and the drift are less than three fifths of the TTL.
    private static func someMargin(for ttl: Duration, _ drift: Int, _ random: inout Randomness) -> Duration {
        let most = ttl * 3 / 5 - ttl * drift / 1_000_000 - .milliseconds(1)
        let drawn: Duration =
            switch random.between(0, 9) {
            case 0..<4: .seconds(2)
            case 4..<8: Self.shortestMargin
            default: .milliseconds(random.between(1500, max(1500, most.microseconds / 1000)))
            }
        return min(drawn, most)
    }

    private static func someAddresses(_ random: inout Randomness) -> [AddressSpec] {
        let policies: [AcquirePolicy] = [.writable, .leaderKey, .writable]
        let count = random.chance(0.002) ? 64 : Int(random.between(1, 3))
        let prefixLength = random.chance(0.5) ? 24 : 32
        return (0..<count).map { index in
            AddressSpec(
                id: "10.0.0.\(100 + index)", prefixLength: prefixLength, interface: "eth0",
                acquire: policies[index % policies.count], port: 5432)
        }
    }

    /// Patroni's own choice, which the address leases follow unless they have a TTL of their own.
    static func someTTL(_ config: DynamicConfig, _ random: inout Randomness) -> DynamicConfig {
        var config = config
        let (ttl, loopWait): (Int, Int) =
            switch random.between(0, 39) {
            case 0..<18: (30, 10)
            case 18..<28: (20, 5)
            case 28..<38: (60, 10)
            case 38: (120, 10)
            default: (300, 30)
            }
        config.ttl = .seconds(ttl)
        config.loopWait = .seconds(loopWait)
        return config
    }

    /// Often one of the extremes.
    func someRate(_ random: inout Randomness) -> Double {
        switch random.between(0, 3) {
        case 0: self.rates.lowerBound
        case 1: self.rates.upperBound
        default: self.rates.lowerBound + (self.rates.upperBound - self.rates.lowerBound) * random.unit()
        }
    }

    /// Phases of faults instead of `rounds`: many addresses cost time, and so do phases that are as long as long leases.
    func rounds(of rounds: Int) -> Int {
        if self.addresses.count > 8 { return 1 }
        return (self.leaseTTL ?? .zero) > .seconds(120) ? max(1, rounds / 5) : rounds
    }
}

/// The spans that follow from the configuration.
extension World {
    /// The TTL of address leases, in microseconds.
    var ttl: Time { self.ttl(under: self.config) }

    /// What it is where Patroni's configuration is this one; 0 where there is none.
    func ttl(under patroni: DynamicConfig?) -> Time {
        (self.configuration.leaseTTL ?? patroni?.addressTTL(clockDrift: self.configuration.clockDrift))?.microseconds
            ?? 0
    }

    /// How long a fault may last, or a phase with faults: longer where leases are longer than a minute, which faults must
    /// outlast, and shorter where they are short, since as many of them end.
    func span(_ low: Time, _ high: Time) -> Time {
        let seconds = self.longestTTL / 1_000_000
        if seconds < 20 { return self.random.between(low, max(low, high * max(seconds, 8) / 20)) }
        return self.random.between(low, high * max(1, seconds / 60))
    }

    /// Longer than the longest lease that may run, and the latest watch event.
    var aftermath: Time { self.longest(max(self.longestGranted, self.longestTTL)) + 12_000_000 }

    /// How long anybody waits at most for a lease of `ttl`, or for as long as one may run by a clock that may be slower than the
    /// waiting one's.
    func longest(_ ttl: Time) -> Time {
        Time(Double(ttl) * (1 + Double(self.configuration.clockDrift) / 1e6) / self.configuration.rates.lowerBound)
    }

    /// What etcd grants where `ttl` is asked for: more, if that is less than it grants at all; sometimes less.
    func granted(_ ttl: Duration) -> Duration {
        var granted = max(ttl, self.configuration.shortestGrant)
        if self.strikes(.leaseShort, 0.01) {
            // Never so little that nothing is left beside the margin: with such a lease, which no etcd grants, the core would
            // wait for ever.
            // Nor less than two renewals, by a clock that is slow and takes that off again.
            let share = 1 - Double(self.configuration.clockDrift) / 1e6 - 0.1 - 1.0 / 3
            let least = Int64(Double(self.configuration.margin.components.seconds + 4) / share)
            let less = granted.components.seconds * self.random.between(50, 99) / 100
            granted = min(granted, .seconds(max(least, less)))
        }
        self.longestGranted = max(self.longestGranted, granted.microseconds)
        return granted
    }
}
