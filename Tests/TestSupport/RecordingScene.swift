// SPDX-License-Identifier: Apache-2.0
public import EventLoop

/// Something on a stage that tells what it does, which is what a failure is understood by.
@EventLoop
public protocol RecordingScene: AnyObject {
    /// What has been told so far, a line each.
    var told: [String] { get }
}

extension RecordingScene {
    /// Waits until `condition` holds; throws what has been told, with the caller's place, where it does not within `limit`.
    public func expect(
        within limit: Duration = .seconds(10), file: StaticString = #fileID, line: UInt = #line,
        _ condition: @EventLoop () async throws -> Bool
    ) async throws {
        guard try await !eventually(within: limit, condition) else { return }
        throw TestSupportError("\(file):\(line): not within \(limit); told:\n\(self.told.joined(separator: "\n"))")
    }
}
