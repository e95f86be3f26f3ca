// SPDX-License-Identifier: Apache-2.0
public import NetworkAddress
public import Secrets

/// What another program's configuration says about a virtual address, as far as Pharos has a use for it, and what of it has none.
public struct Former: Sendable, Equatable {
    /// The programs whose files are understood.
    public enum Tool: String, Sendable, CaseIterable {
        case vipManager = "vip-manager"
        case keepalived
    }

    /// Something that the file says, and where.
    public struct Remark: Sendable, Equatable {
        /// `FILE:LINE`.
        public var place: String
        /// As the file calls it.
        public var name: String
        public var text: String

        public init(_ name: String, _ text: String, at place: String) {
            (self.name, self.text, self.place) = (name, text, place)
        }
    }

    /// A value and where it was said.
    public struct Said<Value: Sendable & Equatable>: Sendable, Equatable {
        public var value: Value
        /// `FILE:LINE`.
        public var place: String
        /// As the file calls it.
        public var name: String

        public init(_ value: Value, _ name: String, at place: String) {
            (self.value, self.name, self.place) = (value, name, place)
        }
    }

    /// A virtual address with its interface.
    public struct Address: Sendable, Equatable {
        public var prefix: Said<AddressPrefix>
        public var interface: Said<String>
    }

    /// How it reached etcd.
    public struct Etcd: Sendable, Equatable {
        /// URLs as they are written; empty where it did not ask etcd.
        public var endpoints: [Said<String>] = []
        public var username: Said<String>?
        public var password: Said<Secret>?
        public var caFile: Said<String>?
        public var certFile: Said<String>?
        public var keyFile: Said<String>?
    }

    public var tool: Tool
    /// Which kind of its files this is, for people.
    public var dialect: String
    public var file: String
    public var addresses: [Address] = []
    /// The key whose value decided where the address was; nil where it asked no etcd.
    public var triggerKey: Said<String>?
    /// The value that the key had to have on this node.
    public var triggerValue: Said<String>?
    public var etcd = Etcd()
    /// The URL of the REST API that decided where the address was; nil where it asked etcd.
    public var restAPI: Said<String>?
    /// What has no counterpart, each with what Pharos does instead.
    public var lost: [Remark] = []
    /// What is not understood, and so not carried over.
    public var unknown: [Remark] = []
    /// What a person should look at before anything is changed.
    public var doubts: [Remark] = []
    /// What else the program does on this node than to move these addresses; it must not simply be stopped.
    public var others: [Remark] = []

    init(_ tool: Tool, dialect: String, file: String) {
        (self.tool, self.dialect, self.file) = (tool, dialect, file)
    }

    /// The service that reads the file.
    public var unit: String {
        switch self.tool {
        case .keepalived: return "keepalived"
        case .vipManager:
            // Debian's vip-manager@VERSION-CLUSTER reads /etc/patroni/VERSION-CLUSTER.vip.
            return self.debianCluster.map { "vip-manager@\($0)" } ?? "vip-manager"
        }
    }

    /// Debian's VERSION-CLUSTER, where the file is called after one.
    public var debianCluster: String? {
        let (prefix, suffix) = ("/etc/patroni/", ".vip")
        guard self.file.hasPrefix(prefix), self.file.hasSuffix(suffix) else { return nil }
        let name = self.file.dropFirst(prefix.count).dropLast(suffix.count)
        return name.isEmpty || name.contains("/") ? nil : String(name)
    }
}

/// Why a file cannot be carried over: one line for each reason, with the place, what was expected and what to do.
public struct MigrationError: Error, Equatable, CustomStringConvertible {
    public var lines: [String]
    public var description: String { self.lines.joined(separator: "\n") }

    public init(_ lines: [String]) { self.lines = lines }
    init(_ line: String) { self.lines = [line] }
}
