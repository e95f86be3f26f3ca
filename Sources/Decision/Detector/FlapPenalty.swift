// SPDX-License-Identifier: Apache-2.0

/// How much a target has flapped, forgotten by half every half-life: P(t) = P0 · 2^(-dt / H).
///
/// Source: route flap damping, RFC 2439 section 4.4; the figures are chosen so that a second failure within 22 minutes
/// suppresses, for 33 to 42 minutes.
public struct FlapPenalty: Sendable, Equatable {
    private var value = 0.0
    private var at: Instant?
    public private(set) var isSuppressed = false

    public static let perFlap = 1000.0
    public static let suppressAt = 1600.0
    public static let reuseAt = 750.0
    public static let halfLife: Duration = .seconds(1800)
    /// Whatever happens, suppression ends within two hours: 750 · 2^4.
    static let ceiling = 12_000.0

    public init() {}

    public func value(at now: Instant) -> Double {
        guard let at = self.at else { return 0 }
        return self.value * Halving.power((now - at) / Self.halfLife)
    }

    /// Answers whether suppression begins with it.
    public mutating func flap(at now: Instant) -> Bool {
        self.value = min(self.value(at: now) + Self.perFlap, Self.ceiling)
        self.at = now
        guard !self.isSuppressed, self.value >= Self.suppressAt else { return false }
        self.isSuppressed = true
        return true
    }

    /// Answers whether suppression ends by now.
    public mutating func decay(at now: Instant) -> Bool {
        guard self.isSuppressed, self.value(at: now) <= Self.reuseAt else { return false }
        self.isSuppressed = false
        return true
    }

    public mutating func acknowledge() { self = FlapPenalty() }

    /// When suppression ends if nothing more happens: P0 · 2^(-dt / H) = reuse, so dt = H · log2(P0 / reuse).
    public func reusableAt() -> Instant? {
        guard self.isSuppressed, let at = self.at else { return nil }
        let halves = Halving.logarithm(self.value / Self.reuseAt)
        return at + .milliseconds(Int64((halves * 1_800_000).rounded(.up)))
    }
}

/// Decay by halves, without a mathematics library: the core imports nothing.
enum Halving {
    /// 2^(-x) for x >= 0, to about 40 binary digits: the product of 2^(-1/2), 2^(-1/4), … for each digit of the fraction.
    static func power(_ x: Double) -> Double {
        guard x > 0 else { return 1 }
        guard x < 1000 else { return 0 }
        let whole = x.rounded(.down)
        var (fraction, factor, result) = (x - whole, 0.5, 1.0)
        for _ in 0..<40 {
            factor.formSquareRoot()
            fraction *= 2
            if fraction >= 1 {
                fraction -= 1
                result *= factor
            }
        }
        return result * Double(sign: .plus, exponent: -Int(whole), significand: 1)
    }

    /// log2(x) for x >= 1: the inverse, digit by digit from squares.
    static func logarithm(_ x: Double) -> Double {
        guard x > 1, x.isFinite else { return 0 }
        var (digits, square, weight) = (Double(x.exponent), x.significand, 0.5)
        for _ in 0..<40 {
            square *= square
            if square >= 2 {
                square /= 2
                digits += weight
            }
            weight /= 2
        }
        return digits
    }
}
