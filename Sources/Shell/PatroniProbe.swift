// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import Journal
import PatroniClient
import PatroniValues

/// Asks this node's Patroni whether it runs a primary, and whether its failsafe mode is active.
@EventLoop
final class PatroniProbe {
    private let client: PatroniClient
    private let report: @EventLoop (LogRecord) -> Void
    private var complaints = Complaints<PatroniError.Kind>()
    nonisolated static let timeout: Duration = .seconds(1)

    init(_ client: PatroniClient, report: @escaping @EventLoop (LogRecord) -> Void) {
        self.client = client
        self.report = report
    }

    func ask() async -> PatroniAnswer {
        do throws(PatroniError) {
            let status = try await self.client.status(timeout: Self.timeout)
            if status.problems.isEmpty {
                self.complaints.succeeded("patroni")
            } else {
                self.complain(of: status.problems.joined(separator: "; "), .malformed)
            }
            return .answered(
                isRunningPrimary: status.isRunningPrimary, isFailsafeActive: status.failsafeModeIsActive)
        } catch {
            self.complain(of: error.description, error.kind)
            return .unreachable(reason: error.description)
        }
    }

    /// Patroni is asked where an address depends on its failsafe mode: that it cannot tell, matters.
    private func complain(of reason: String, _ kind: PatroniError.Kind) {
        guard self.complaints.failed("patroni", kind) else { return }
        self.report(
            LogRecord(
                .patroniUnanswered,
                "Patroni's REST API here gives no usable answer: \(reason). Without one, failsafe mode keeps no address here",
                ["REASON": reason]))
    }
}
