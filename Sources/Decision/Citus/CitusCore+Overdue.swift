// SPDX-License-Identifier: Apache-2.0

extension CitusCore {
    /// What was asked for, is overdue, and has not been answered since. A server that is no longer asked is not missed.
    var unanswered: [Unanswered] {
        let databases = self.databases.flatMap(\.unanswered)
        guard self.isWriter else { return databases }
        return databases + self.asking.sorted().compactMap { self.inquiries[$0]?.unanswered } + self.rivals.unanswered
    }
}
