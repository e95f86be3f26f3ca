// SPDX-License-Identifier: Apache-2.0
import LenientJSON

/// The value of `config`: the cluster-wide settings, with the limits that Patroni applies to the raw value. A field that
/// is absent or does not fit has Patroni's default; why, is in `problems`.
public struct PatroniConfig: Sendable, Equatable {
    public enum SynchronousMode: Sendable, Equatable { case off, on, quorum }

    /// Seconds that a leader's lease lasts; at least 20.
    public let ttl: Int64
    /// Seconds between two turns of Patroni's loop; at least 1.
    public let loopWait: Int64
    /// Seconds that Patroni goes on trying; at least 3. Invariant: loopWait + 2 x retryTimeout <= ttl.
    public let retryTimeout: Int64
    public let isFailsafeMode: Bool
    public let synchronousMode: SynchronousMode
    /// Maintenance mode.
    public let isPaused: Bool
    /// Bytes that a candidate may lag behind.
    public let maximumLagOnFailover: Int64
    public let problems: [String]
    /// Whether the value is a JSON object; where not, none of this is Patroni's.
    public let isObject: Bool
    /// The names of the fields, of those above, that stand there but do not fit.
    public let unreadable: Set<String>

    /// Longest time that is believed: a day.
    private static let longest: Int64 = 86400

    public init(value: some Collection<UInt8>) {
        var reader = FieldReader(value)
        func seconds(_ name: String, least: Int64, usual: Int64) -> Int64 {
            guard let value = reader.number(name) else { return usual }
            let used = min(max(value, least), Self.longest)
            if used != value { reader.note("\(name) is \(value); \(used) is used") }
            return used
        }
        let ttl = seconds("ttl", least: 20, usual: 30)
        var loopWait = seconds("loop_wait", least: 1, usual: 10)
        var retryTimeout = seconds("retry_timeout", least: 3, usual: 10)
        if 1 + 2 * retryTimeout > ttl {
            loopWait = 1
            retryTimeout = (ttl - 1) / 2
            reader.note("retry_timeout is too long for ttl; \(retryTimeout) is used, with loop_wait 1")
        } else if loopWait + 2 * retryTimeout > ttl {
            loopWait = ttl - 2 * retryTimeout
            reader.note("loop_wait is too long for ttl; \(loopWait) is used")
        }
        self.ttl = ttl
        self.loopWait = loopWait
        self.retryTimeout = retryTimeout
        self.isFailsafeMode = reader.flag("failsafe_mode") ?? false
        self.synchronousMode =
            reader.field("synchronous_mode", "a boolean or quorum") { value in
                value.string == "quorum" ? .quorum : FieldReader.flag(value).map { $0 ? .on : .off }
            } ?? .off
        self.isPaused = reader.flag("pause") ?? false
        self.maximumLagOnFailover = reader.count("maximum_lag_on_failover") ?? 1 << 20
        self.problems = reader.problems
        self.isObject = reader.isObject
        self.unreadable = reader.unreadable
    }
}
