// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import EventLoop
public import Lab

extension Lab.Side: ExpressibleByArgument {}
extension Lab.Program: ExpressibleByArgument {}

struct Switchover: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Move the leadership to another node.")
    @Argument(help: "The new leader; without it, Patroni chooses.") var node: String?

    func run() {
        let node = self.node
        runOnLoop { () async throws(LabError) in
            print("the leader is \(try await Lab.running().switchover(to: node))")
            return 0
        }
    }
}

struct Kill: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Switch a node's power off.")
    @Argument var node: String

    func run() {
        let node = self.node
        runOnLoop { () async throws(LabError) in
            try await Lab.running().kill(node)
            return 0
        }
    }
}

struct Start: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Switch a node's power on again.")
    @Argument var node: String

    func run() {
        let node = self.node
        runOnLoop { () async throws(LabError) in
            try await Lab.running().start(node)
            return 0
        }
    }
}

struct Freeze: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Stop a program on a node, or the whole node.")
    @Argument var node: String
    @Argument var program: Lab.Program?

    func run() {
        let (node, program) = (self.node, self.program)
        runOnLoop { () async throws(LabError) in
            try await Lab.running().freeze(node, program)
            return 0
        }
    }
}

struct Thaw: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Let a frozen program, or node, run on.")
    @Argument var node: String
    @Argument var program: Lab.Program?

    func run() {
        let (node, program) = (self.node, self.program)
        runOnLoop { () async throws(LabError) in
            try await Lab.running().thaw(node, program)
            return 0
        }
    }
}

struct Cut: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Cut a node off the network, wholly or in part.")
    @Argument var node: String
    @Option(name: .customLong("from"), help: "Only from these; repeatable.") var sides: [Lab.Side] = []

    func run() {
        let (node, sides) = (self.node, self.sides)
        runOnLoop { () async throws(LabError) in
            try await Lab.running().cut(node, from: sides)
            return 0
        }
    }
}

struct Loss: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Lose a share of a node's packets.")
    @Argument var node: String
    @Argument(help: "1 to 100.") var percent: Int

    func run() {
        let (node, percent) = (self.node, self.percent)
        runOnLoop { () async throws(LabError) in
            try await Lab.running().lose(node, percent: percent)
            return 0
        }
    }
}

struct Heal: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Undo cuts, losses and freezes.")
    @Argument(help: "Without it, on all nodes.") var node: String?

    func run() {
        let node = self.node
        runOnLoop { () async throws(LabError) in
            try await Lab.running().heal(node)
            return 0
        }
    }
}
