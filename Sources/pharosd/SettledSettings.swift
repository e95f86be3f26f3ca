// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Settings

/// Reading a configuration that somebody may be writing at this moment.
extension Settings {
    /// From one read to the next.
    private static let pause: Duration = .milliseconds(250)
    /// Reads until it is given up: 5 s.
    private static let readLimit = 20

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
        for _ in 1..<self.readLimit {
            do throws(WaitError) {
                try await EventLoop.sleep(for: self.pause)
            } catch {
                // Cancelled: the next read comes early.
            }
            let next = read()
            if next == former { return next }
            former = next
        }
        let problem = Diagnostic(
            severity: .error, file: path, line: 0, column: 0,
            message: "it was found changed at each of \(self.readLimit) reads within 5 s")
        return .failure(SettingsError(diagnostics: [problem]))
    }

    @EventLoop
    static func settled(_ path: String) async -> Result<Settings, SettingsError> {
        await self.settled(path, read: { self.read(path) })
    }
}
