// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc

/// The lab's record of events.
extension Lab {
    /// Now, on the clock of all events: microseconds since boot.
    public static var now: Int64 { BootClock.microseconds }

    /// Everything recorded so far.
    public func timeline() throws(LabError) -> Timeline {
        guard let content = Host.read(LabLayout.eventFile, limit: 512 << 20) else {
            throw LabError(.state, "the lab has no observer")
        }
        return Timeline(LabEvent.parse(String(decoding: content, as: UTF8.self)).events)
    }

    /// Writes a remark into the record, and answers its instant; the faults do so by themselves.
    @discardableResult
    public func mark(_ text: String) throws(LabError) -> Int64 {
        let now = BootClock.microseconds
        try Host.append(LabLayout.eventFile, try JSON.text(LabEvent(at: now, .mark, text: text)) + "\n")
        return now
    }

    /// Starts `program observe` in the client's network namespace and waits until it misses nothing.
    @EventLoop
    func startObserver(_ program: String) async throws(LabError) {
        let group = ControlGroup("observer")
        let namespace = "--net=/run/netns/\(LabLayout.clientNamespace)"
        let command = [try Host.path(of: "nsenter"), namespace, program, "observe"]
        try await Host.run(group.command(command, log: LabLayout.observerLog))
        try await self.waitFor("the observer", timeout: .seconds(10)) {
            if try group.processes().isEmpty {
                throw LabError(.command, "the observer ended: \(Host.readText(LabLayout.observerLog) ?? "")")
            }
            guard Host.exists(LabLayout.eventFile) else { return false }
            return try self.timeline().events.contains { $0.text == Observer.readyMark }
        }
    }

    /// This program, if it is the lab's command; else the command that was built beside it.
    static func defaultProgram() throws(LabError) -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let own = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let path = own.split(separator: "/").dropLast().map { "/\($0)" }.joined() + "/pharos-lab"
        guard Host.exists(path) else { throw LabError(.host, "\(path) does not exist; build the product pharos-lab") }
        return path
    }
}
