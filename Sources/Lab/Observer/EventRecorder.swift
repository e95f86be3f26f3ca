// SPDX-License-Identifier: Apache-2.0
import CLinux
import EventLoop
import Glibc

/// Writes events to the lab's file, each as soon as it is known.
@EventLoop
final class EventRecorder {
    private let descriptor: Int32
    /// A lab that runs for days must not fill the host's memory.
    private var left = 1_000_000

    init() throws(LabError) {
        self.descriptor = open(LabLayout.eventFile, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard self.descriptor >= 0 else { throw Host.failure("cannot open \(LabLayout.eventFile)") }
    }

    func record(_ event: LabEvent) {
        guard self.left > 0 else { return }
        self.left -= 1
        do throws(LabError) {
            _ = Host.writeAll(self.descriptor, try JSON.text(event) + "\n")
        } catch {
            log(error.message)
        }
    }
}

/// A line in the observer's own log.
func log(_ text: String) {
    _ = Host.writeAll(STDERR_FILENO, "\(BootClock.microseconds) \(text)\n")
}
