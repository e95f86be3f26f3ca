// SPDX-License-Identifier: Apache-2.0
import EventLoop

extension Lab {
    public func mark(_ text: String) throws(LabError) {}
    @EventLoop func startObserver() async throws(LabError) {}
}
