// SPDX-License-Identifier: Apache-2.0
import NetworkAddress
import Secrets
import Settings

/// Reads vip-manager's configuration: YAML with the names of today or of earlier versions, or a file of environment variables.
struct VipManagerFile {
    private var former: Former
    private var said: [VipManagerName: (entry: FlatFile.Entry, isPresent: Bool)] = [:]
    private var problems: [String] = []

    static func read(_ bytes: [UInt8], file: String, isEnvironment: Bool) throws(MigrationError) -> Former {
        var entries: [FlatFile.Entry]
        if isEnvironment {
            entries = FlatFile.environment(bytes)
        } else {
            do throws(SettingsError) {
                entries = try FlatFile.yaml(bytes, file: file)
            } catch {
                throw MigrationError(
                    error.diagnostics.map(\.description)
                        + [
                            "\(file): not understood as a configuration of vip-manager (YAML, or VIP_NAME=VALUE) or keepalived; --kind says which it is"
                        ])
            }
        }
        var reader = VipManagerFile(former: Former(.vipManager, dialect: "", file: file))
        for entry in entries { reader.sort(entry, isEnvironment: isEnvironment) }
        guard !reader.said.isEmpty else {
            throw MigrationError(
                "\(file): no setting of vip-manager or keepalived is in it; expected at least ip, netmask, interface and trigger-key. "
                    + "--kind says which program's file it is")
        }
        reader.interpret(isEnvironment)
        guard reader.problems.isEmpty else { throw MigrationError(reader.problems) }
        return reader.former
    }

    /// Of two names for one setting, the one of today counts; of two equal ones, the last, as in its own reader.
    private mutating func sort(_ entry: FlatFile.Entry, isEnvironment: Bool) {
        var name = entry.name
        if isEnvironment {
            if name.hasPrefix("export ") { name = String(name.dropFirst(7)) }
            guard name.hasPrefix("VIP_") else { return self.reject(entry, "no variable of vip-manager's") }
            name = String(name.dropFirst(4))
        }
        if let oddity = entry.oddity { return self.reject(entry, "\(oddity); expected one value") }
        guard let known = VipManagerName(name) else { return self.reject(entry, "vip-manager has no such setting") }
        guard entry.values.contains(where: { !$0.isEmpty }) else { return }
        // In the environment all names have low lines.
        let isPresent = known.isPresent(isEnvironment ? name.replacing("_", with: "-") : name)
        if let other = self.said[known] {
            let loser = other.isPresent && !isPresent ? entry : other.entry
            self.former.lost.append(self.remark(loser, "another line says the same setting, and counts"))
            guard loser != entry else { return }
        }
        self.said[known] = (entry, isPresent)
    }

    private func place(_ entry: FlatFile.Entry) -> String { "\(self.former.file):\(entry.line)" }
    private func remark(_ entry: FlatFile.Entry, _ text: String) -> Former.Remark {
        Former.Remark(quoted(entry.name), text, at: self.place(entry))
    }
    private mutating func reject(_ entry: FlatFile.Entry, _ reason: String) {
        self.former.unknown.append(self.remark(entry, reason))
    }

    func value(_ name: VipManagerName) -> Former.Said<String>? {
        guard let entry = self.said[name]?.entry, let text = entry.values.first else { return nil }
        return Former.Said(text, entry.name, at: self.place(entry))
    }

    private mutating func require(_ name: VipManagerName) -> Former.Said<String>? {
        if let value = self.value(name) { return value }
        self.problems.append(
            "\(self.former.file): '\(name.rawValue)' is missing: vip-manager itself cannot do without it")
        return nil
    }

    private mutating func interpret(_ isEnvironment: Bool) {
        let isOld = self.said.contains { !$0.value.isPresent }
        self.former.dialect =
            isEnvironment
            ? "environment variables" + (isOld ? " with names of before 5.0" : "")
            : "YAML" + (isOld ? " with names of before 5.0" : "")
        for name in VipManagerName.allCases {
            if let loss = name.loss, let entry = self.said[name]?.entry {
                self.former.lost.append(self.remark(entry, loss))
            }
        }
        self.refuse()
        self.readAddress()
        self.readTrigger(isEnvironment)
        self.readAccess()
    }

    /// What Pharos has no counterpart for at all.
    private mutating func refuse() {
        if let type = self.value(.managerType), type.value.lowercased() != "basic" {
            self.problems.append(
                "\(type.place): \(type.name) is \(quoted(type.value)): addresses that a provider's API moves are not Pharos's; it moves those "
                    + "that 'ip addr' can move (basic). Keep vip-manager for this address")
        }
        guard let type = self.value(.dcsType) else { return }
        switch type.value.lowercased() {
        case "etcd", "etcd3", "patroni": return
        case "consul":
            self.problems.append(
                "\(type.place): \(type.name) is consul: Pharos follows Patroni in etcd 3 only. Patroni must keep its keys there first (its "
                    + "section etcd3); keep vip-manager until then")
        default:  // text, not cases of ours
            self.problems.append(
                "\(type.place): \(type.name) is \(quoted(type.value)); expected etcd or patroni")
        }
    }

    private mutating func readAddress() {
        guard let ip = self.require(.ip), let interface = self.require(.interface) else { return }
        guard let address = IPAddress(ip.value) else {
            return self.problems.append("\(ip.place): \(ip.name): expected an address, not \(quoted(ip.value))")
        }
        let netmask = self.value(.netmask)
        guard let length = Self.length(netmask?.value ?? "-1", of: address) else {
            let (name, place) = (netmask?.name ?? "netmask", netmask?.place ?? ip.place)
            return self.problems.append(
                "\(place): \(name): expected the length of a prefix from 1 to \(address.bitWidth), such as 24, not \(quoted(netmask?.value ?? "-1"))"
            )
        }
        guard let prefix = AddressPrefix(address: address, prefixLength: length) else { return }
        if netmask == nil || netmask?.value == "-1" {
            self.former.doubts.append(
                .init(
                    "netmask", "not said: \(prefix) by the class of the address, as vip-manager reckons it",
                    at: netmask?.place ?? ip.place))
        }
        self.former.addresses.append(
            Former.Address(prefix: Former.Said(prefix, ip.name, at: ip.place), interface: interface))
    }

    /// Of IPv4 -1 stands for the class of the address.
    private static func length(_ text: String, of address: IPAddress) -> Int? {
        guard let number = Int(text) else { return nil }
        if (1...address.bitWidth).contains(number) { return number }
        guard number == -1, !address.isIPv6 else { return nil }
        switch address.bytes[0] {
        case 0..<128: return 8
        case 128..<192: return 16
        case 192..<224: return 24
        default: return 32  // numbers, not cases of ours
        }
    }

    private mutating func readTrigger(_ isEnvironment: Bool) {
        guard let key = self.require(.triggerKey) else { return }
        let type = self.value(.dcsType)?.value.lowercased() ?? "etcd"
        guard type == "patroni" else {
            self.former.triggerKey = key
            self.former.triggerValue = self.value(.triggerValue)
            if type == "etcd", isEnvironment {
                self.former.doubts.append(
                    .init(
                        "dcs-type",
                        "vip-manager before 2.0, such as Debian 12's 1.0.2, asks etcd by API v2, where a Patroni with a section 'etcd' "
                            + "keeps its keys. Pharos needs API v3: Patroni's section 'etcd3'",
                        at: self.value(.dcsType)?.place ?? key.place))
            }
            return
        }
        self.readQuestion(key)
    }

    private mutating func readAccess() {
        guard self.value(.dcsType)?.value.lowercased() != "patroni" else { return self.readRESTAccess() }
        self.former.etcd.endpoints = self.endpoints
        self.former.etcd.username = self.value(.etcdUser)
        if let password = self.value(.etcdPassword) {
            self.former.etcd.password = Former.Said(Secret(password.value), password.name, at: password.place)
        }
        self.former.etcd.caFile = self.value(.etcdCAFile)
        self.former.etcd.certFile = self.value(.etcdCertFile)
        self.former.etcd.keyFile = self.value(.etcdKeyFile)
    }

    var endpoints: [Former.Said<String>] {
        guard let entry = self.said[.dcsEndpoints]?.entry else { return [] }
        let urls = entry.values.flatMap { $0.split(separator: ",") }.map { $0.trimming(while: \.isWhitespace) }
        return urls.filter { !$0.isEmpty }.prefix(Settings.endpointLimit).map {
            Former.Said(String($0), entry.name, at: self.place(entry))
        }
    }

    // MARK: - For the other dialects of this reader

    mutating func lose(_ name: VipManagerName, _ text: String) {
        if let entry = self.said[name]?.entry { self.former.lost.append(self.remark(entry, text)) }
    }

    mutating func refuse(_ problem: String) { self.problems.append(problem) }

    mutating func asked(_ api: Former.Said<String>) { self.former.restAPI = api }
}

extension Substring {
    fileprivate func trimming(while isUnwanted: (Character) -> Bool) -> Substring {
        var rest = self.drop(while: isUnwanted)
        while let last = rest.last, isUnwanted(last) { rest.removeLast() }
        return rest
    }
}
