// SPDX-License-Identifier: Apache-2.0
import EventLoop
import LenientJSON
import WebServer

/// What the daemon can be asked for.
enum DaemonQuestion: String, CaseIterable, Sendable {
    case status = "/status"
    case cluster = "/cluster"
    case primary = "/primary"
    case events = "/events"
    case failovers = "/failovers"
    case findings = "/findings"
    case operations = "/operations"
    case health = "/health"

    /// Whether what is answered has an entity tag. What differs each time needs none.
    var isTagged: Bool {
        switch self {
        case .cluster, .failovers, .findings: true
        case .status, .primary, .events, .operations, .health: false
        }
    }

    /// Questions of one lane wait for each other: the small ones never behind the large.
    var lane: Int {
        switch self {
        case .health, .primary: 0
        case .status, .cluster, .events, .failovers, .findings, .operations: 1
        }
    }
}

/// An answer of the daemon's, or that there is none, as it is kept.
@EventLoop
final class KeptAnswer {
    /// Before the question was sent: what the answer says to last, lasts from here. Microseconds since boot.
    let askedAt: Int64
    /// When it came.
    let cameAt: Int64
    let outcome: Result<DaemonAnswer, DaemonSilence>
    /// Its body as it is handed on, shared by all who get it.
    private(set) lazy var body = WebBody(self.answer?.body ?? [])
    /// Read as JSON once, however many ask; nil: it is none.
    private(set) lazy var json: JSON? = self.answer.flatMap { JSON.parse($0.body) }

    /// Its entity tag; nil: it has none.
    let tag: String?

    init(askedAt: Int64, cameAt: Int64, _ outcome: Result<DaemonAnswer, DaemonSilence>, tag: String? = nil) {
        (self.askedAt, self.cameAt, self.outcome, self.tag) = (askedAt, cameAt, outcome, tag)
    }

    var answer: DaemonAnswer? {
        switch self.outcome {
        case .success(let answer): answer
        case .failure: nil
        }
    }
}

/// The API's only way to the daemon. However many ask, each question is under way once at a time, and its answer is kept for
/// ``keeping``: the daemon is asked four times a second at most for each path, over two connections at most.
@EventLoop
final class DaemonLink {
    nonisolated static let keeping: Int64 = 250_000
    nonisolated static let lanes = 2

    private let ask: @EventLoop (DaemonQuestion) async throws(DaemonSilence) -> DaemonAnswer
    private let clock: @EventLoop () -> Int64
    private var kept: [DaemonQuestion: KeptAnswer] = [:]
    private var underWay: [DaemonQuestion: Task<KeptAnswer, Never>] = [:]
    private var last: [Int: Task<KeptAnswer, Never>] = [:]
    private var tags: [DaemonQuestion: AnswerTags] = [:]
    /// Is told whenever the daemon begins or ceases to be silent.
    var silenceChanged: @EventLoop (DaemonSilence?) -> Void = { _ in }
    private(set) var silence: DaemonSilence?
    /// Questions that were sent.
    private(set) var count: Int64 = 0

    init(
        clock: @escaping @EventLoop () -> Int64 = { BootClock.microseconds },
        ask: @escaping @EventLoop (DaemonQuestion) async throws(DaemonSilence) -> DaemonAnswer
    ) {
        (self.clock, self.ask) = (clock, ask)
    }

    /// What was answered a moment ago; nil: the daemon must be asked.
    func fresh(_ question: DaemonQuestion) -> KeptAnswer? {
        guard let kept = self.kept[question], self.clock() - kept.cameAt < Self.keeping else { return nil }
        return kept
    }

    /// A fresh answer, for which the daemon is asked if need be.
    func answer(to question: DaemonQuestion) async -> KeptAnswer {
        if let kept = self.fresh(question) { return kept }
        if let task = self.underWay[question] { return await task.value }
        let before = self.last[question.lane]
        let task = EventLoop.task {
            let former = await before?.value
            let kept = await self.send(question, after: former)
            self.kept[question] = kept
            self.underWay[question] = nil
            return kept
        }
        self.underWay[question] = task
        self.last[question.lane] = task
        return await task.value
    }

    private func send(_ question: DaemonQuestion, after former: KeptAnswer?) async -> KeptAnswer {
        let askedAt = self.clock()
        // Where the one before has waited in vain a moment ago, so would this one, and whoever is behind it. That moment is the
        // other's: or one failure would bring about the next for ever.
        if let former, case .failure = former.outcome, askedAt - former.cameAt < Self.keeping {
            return KeptAnswer(askedAt: askedAt, cameAt: former.cameAt, former.outcome)
        }
        self.count += 1
        let outcome: Result<DaemonAnswer, DaemonSilence>
        do throws(DaemonSilence) {
            outcome = .success(try await self.ask(question))
        } catch {
            outcome = .failure(error)
        }
        self.note(outcome)
        let cameAt = self.clock()
        var tag: String?
        if question.isTagged, case .success(let answer) = outcome {
            tag = self.tags[question, default: AnswerTags()].tag(of: answer.body, at: cameAt / 1_000_000)
        }
        return KeptAnswer(askedAt: askedAt, cameAt: cameAt, outcome, tag: tag)
    }

    private func note(_ outcome: Result<DaemonAnswer, DaemonSilence>) {
        var now: DaemonSilence?
        if case .failure(let silence) = outcome { now = silence }
        let hasChanged = (now == nil) != (self.silence == nil)
        self.silence = now
        if hasChanged { self.silenceChanged(now) }
    }
}
