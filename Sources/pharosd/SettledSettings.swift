// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Settings

/// Reading a configuration that somebody may be writing at this moment.
extension Settings {
    static func read(_ path: String) -> Result<Settings, SettingsError> {
        do throws(SettingsError) { return .success(try Settings.load(path: path)) } catch { return .failure(error) }
    }

    /// The configuration, or what is wrong with it, once two reads after one another say the same: half a file may be valid, and
    /// mean something else.
    @EventLoop
    static func settled(
        _ path: String, read: @EventLoop () -> Result<Settings, SettingsError>
    ) async -> Result<Settings, SettingsError> {
        var former = read()
        for _ in 1..<self.settlingReads {
            do throws(WaitError) {
                try await EventLoop.sleep(for: self.settlingPause)
            } catch {
                // Cancelled: the next read comes early.
            }
            let next = read()
            if next == former { return next }
            former = next
        }
        let problem = Diagnostic(
            severity: .error, file: path, line: 0, column: 0,
            message: "it was found changed at each of \(self.settlingReads) reads, \(self.settlingPause) apart")
        return .failure(SettingsError(diagnostics: [problem]))
    }

    @EventLoop
    static func settled(_ path: String) async -> Result<Settings, SettingsError> {
        await self.settled(path, read: { self.read(path) })
    }
}
