// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import Testing

/// Every fault that the operations manual describes, on real nodes: systemd, etcd, Patroni, PostgreSQL, the kernel.
@Suite(
    .serialized, .enabled(if: Scene.isPossible, "lab tests run through `make test`, which stages the daemon"),
    .compactMapIssues(Scene.note))
struct LabTests {
    init() { EventLoop.shared.executor.startThread() }
}
