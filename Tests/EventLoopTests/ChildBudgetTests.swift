// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import EventLoop

/// How many children may be under way: the value alone.
struct ChildBudgetTests {
    @Test func `of a kind as many run as may, then as many wait, and the next is refused by name`() {
        for kind in ChildKind.allCases {
            let limit = ChildBudget.limit(of: kind)
            var budget = ChildBudget(isDaemon: true)
            var ticket: ChildBudget.Ticket = 0
            func ask() -> ChildBudget.Answer {
                ticket += 1
                return budget.ask(ticket, for: kind, freeTasks: nil)
            }
            for _ in 0..<limit.running { #expect(ask() == .start, "\(kind)") }
            for _ in 0..<limit.waiting { #expect(ask() == .wait, "\(kind)") }
            let refusal = ChildRefusal.tooMany(kind, running: limit.running, waiting: limit.waiting)
            #expect(ask() == .refuse(refusal), "\(kind)")
            #expect(budget.running(kind) == limit.running)
        }
    }

    @Test func `who waits takes the place of one that ended, in order, and none but those`() {
        var budget = ChildBudget(isDaemon: true)
        let running = ChildBudget.limit(of: .nameLookup).running
        for ticket in 0..<running { _ = budget.ask(UInt64(ticket), for: .nameLookup, freeTasks: nil) }
        for ticket: ChildBudget.Ticket in [101, 102, 103] {
            #expect(budget.ask(ticket, for: .nameLookup, freeTasks: nil) == .wait)
        }
        #expect(budget.ended(.alert) == nil, "an end of another kind is nobody's turn")
        #expect(budget.withdraw(102, of: .nameLookup) == true)
        #expect(budget.withdraw(102, of: .nameLookup) == false)
        #expect(budget.ended(.nameLookup) == 101)
        #expect(budget.ended(.nameLookup) == 103)
        #expect(budget.running(.nameLookup) == running)
        for _ in 0..<running { #expect(budget.ended(.nameLookup) == nil) }
        #expect(budget.running(.nameLookup) == 0)
        #expect(budget.ended(.nameLookup) == nil && budget.running(.nameLookup) == 0, "never below nothing")
    }

    @Test func `nothing but ip takes a task that is kept for ip`() {
        let reserve = ChildBudget.reservedTasks
        for kind in ChildKind.allCases where ChildBudget.limit(of: kind).running > 0 {
            for free in [0, 1, reserve - 1, reserve] {
                var budget = ChildBudget(isDaemon: true)
                let expected: ChildBudget.Answer =
                    kind == .address ? .start : .refuse(.noTasks(free: free, kept: reserve))
                #expect(budget.ask(1, for: kind, freeTasks: free) == expected, "\(kind), \(free) free")
            }
            var budget = ChildBudget(isDaemon: true)
            #expect(budget.ask(1, for: kind, freeTasks: reserve + 1) == .start, "\(kind)")
        }
    }

    @Test func `a task that ip uses is not kept any more`() {
        var budget = ChildBudget(isDaemon: true)
        for ticket: ChildBudget.Ticket in 0..<10 { _ = budget.ask(ticket, for: .address, freeTasks: nil) }
        let kept = ChildBudget.reservedTasks - 10
        #expect(budget.ask(11, for: .alert, freeTasks: kept) == .refuse(.noTasks(free: kept, kept: kept)))
        #expect(budget.ask(12, for: .alert, freeTasks: kept + 1) == .start)
    }

    /// For every order of events: what runs stays within the limit, and whoever waits is started or has gone.
    @Test func `no order of requests, ends and withdrawals breaks a limit or forgets somebody`() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            var budget = ChildBudget(isDaemon: true)
            var (running, waiting): (Int, [ChildBudget.Ticket]) = (0, [])
            let limit = ChildBudget.limit(of: .storage)
            for ticket: ChildBudget.Ticket in 0..<100 {
                switch Int.random(in: 0..<3, using: &random) {
                case 0:
                    switch budget.ask(ticket, for: .storage, freeTasks: nil) {
                    case .start: running += 1
                    case .wait: waiting.append(ticket)
                    case .refuse: #expect(running == limit.running && waiting.count == limit.waiting)
                    }
                case 1:
                    let next = budget.ended(.storage)
                    #expect(next == (running > 0 ? waiting.first : nil))
                    if next != nil { waiting.removeFirst() } else { running = max(running - 1, 0) }
                default: if let last = waiting.popLast() { #expect(budget.withdraw(last, of: .storage) == true) }
                }
                #expect(budget.running(.storage) == running && running <= limit.running)
            }
        }
    }

    @Test func `the daemon has a limit for each kind, and a tool has none`() {
        var daemon = ChildBudget(isDaemon: true)
        #expect(daemon.ask(1, for: .tool, freeTasks: nil) == .refuse(.tooMany(.tool, running: 0, waiting: 0)))
        var tool = ChildBudget(isDaemon: false)
        for ticket: ChildBudget.Ticket in 0..<1000 { #expect(tool.ask(ticket, for: .alert, freeTasks: 0) == .start) }
        #expect(ChildKind.allCases.filter(\.hasRights) == [.address])
    }

    @Test(
        arguments: [(1024, 1024), (1024, 524_288), (256, 256), (64, 64), (20_000, 20_000), (1024, 1100)]
            as [(
                UInt64, UInt64
            )]
    )
    func `of open files a reserve is kept, and never more than half`(soft: UInt64, hard: UInt64) {
        let limits = ChildBudget.descriptors(soft: soft, hard: hard)
        let kept = limits.ofAll - limits.ofOthers
        #expect(limits.ofAll <= hard && limits.ofOthers >= min(soft, hard / 2))
        #expect(kept == min(UInt64(ChildBudget.reservedDescriptors), hard - hard / 2))
    }

    @Test func `the control group is found in either version's file`() {
        let folders = [
            "0::/system.slice/pharos.service\n": "/sys/fs/cgroup/system.slice/pharos.service",
            "9:name=systemd:/\n8:pids:/system.slice/a.service\n0::/\n": "/sys/fs/cgroup/pids/system.slice/a.service",
            "0::/a:b\n": "/sys/fs/cgroup/a:b",
        ]
        for (text, folder) in folders { #expect(TaskRoom.folder(ofControlGroups: text) == folder) }
        for text in ["", "garbage", "1:cpu:/\n", "0:"] { #expect(TaskRoom.folder(ofControlGroups: text) == nil) }
    }
}
