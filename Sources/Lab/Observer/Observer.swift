// SPDX-License-Identifier: Apache-2.0
import CLab
import EventLoop
import Glibc

/// The process that watches a lab and writes down what happens, until it is killed with the lab.
///
/// It must be started in the client's network namespace; ``Lab/up(_:program:say:)`` does that.
public enum Observer {
    /// What it marks when nothing will be missed from then on.
    static let readyMark = "the observer is ready"

    @EventLoop
    public static func run() async throws(LabError) -> Int32 {
        let options = try Lab.running().options
        // What is stamped late is measured wrong: before all that the nodes do on the same processors.
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, -15)
        let recorder = try EventRecorder()
        let watch = try AddressWatch(options.nodes, recorder) {
            recorder.record(LabEvent(at: BootClock.microseconds, .mark, text: self.readyMark))
        }
        let announcements = try AnnouncementWatch(options, recorder)
        let leaders = options.groups.map { LeaderWatch($0, options, recorder) }
        let probes = options.groups.flatMap(\.nodes).map { WritableProbe($0, recorder) }
        let rows = options.citus == nil ? [] : options.groups[0].nodes.map { RowWatch($0, recorder) }
        let clients = options.plainAddresses.map { WriteClient($0, recorder) }
        await self.measureStalls(recorder)
        withExtendedLifetime((watch, announcements, leaders, probes, rows, clients)) {}
        return 0
    }

    /// Records when this loop itself did not turn, because then its stamps are late.
    @EventLoop
    private static func measureStalls(_ recorder: EventRecorder) async {
        var last = BootClock.microseconds
        while true {
            do throws(WaitError) { try await EventLoop.sleep(for: .milliseconds(10)) } catch { return }
            let now = BootClock.microseconds
            let late = (now - last) / 1000 - 10
            if late >= 10 { recorder.record(LabEvent(at: now, .stalled, milliseconds: Int(late))) }
            last = now
        }
    }
}
