// SPDX-License-Identifier: Apache-2.0
import LenientJSON

/// Which single failures a group would survive now, as the daemon judges it: in one line, what would not be survived first.
struct ReadinessText {
    private let group: Int64
    private let failures: [JSON]

    /// Nil where the daemon has not judged it, or is too old to.
    init?(group: Int64?, _ failures: JSON?) {
        guard let failures = failures?.array else { return nil }
        self.group = group ?? 0
        self.failures = failures
    }

    private func those(_ outcome: String, isAccepted: Bool = false) -> [JSON] {
        self.failures.filter { failure in
            failure["outcome"]?.string == outcome && isAccepted == (failure["accepted_until"]?.string != nil)
        }
    }

    /// Whether something would not be survived that nobody has accepted.
    var isInOrder: Bool { self.those("not_survived").isEmpty }

    /// `group 0: NOT survived if …: why; not known if …; survived: 5 of 7 single failures`
    var text: String {
        var parts: [String] = []
        func add(_ what: String, _ failures: [JSON], isWhy: Bool = false) {
            guard !failures.isEmpty else { return }
            let texts = failures.map { $0["text"]?.string ?? "?" }.joined(separator: ", or ")
            let why = isWhy ? failures.first?["reason"]?.string.map { ": \($0)" } ?? "" : ""
            parts.append("\(what) if \(texts)\(why)")
        }
        add("NOT survived", self.those("not_survived"), isWhy: true)
        add("accepted and not survived", self.those("not_survived", isAccepted: true))
        add("not known", self.those("not_known"))
        parts.append("survived: \(self.those("survived").count) of \(self.failures.count) single failures")
        return "group \(self.group): \(parts.joined(separator: "; "))"
    }

    /// What to type first, where something would not be survived.
    var advice: String? {
        guard let first = self.those("not_survived").first, let command = first["command"]?.string else { return nil }
        return "on \(first["on"]?.string ?? "any node"): \(command)"
    }
}
