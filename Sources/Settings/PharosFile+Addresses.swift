// SPDX-License-Identifier: Apache-2.0
import Decision
import NetworkAddress

/// One entry of `addresses`, complete but for its defaults.
struct PharosAddress {
    var prefix: Sourced<AddressPrefix>
    var interface: Sourced<String>
    var acquire: Sourced<AcquirePolicy>?
    var port: Sourced<UInt16>?
    var label: Sourced<String>?
}

extension PharosFile {
    mutating func readAddresses(_ node: Int, _ reader: inout PharosFileReader) {
        var used: [IPAddress: Position] = [:]
        for item in reader.items(node, "addresses", of: "addresses", limit: Settings.addressLimit) {
            guard let fields = reader.fields(item, Schema.address) else { continue }
            let prefix = reader.value(fields, "address") { text throws(InvalidValue) in
                let prefix = try ValueParsers.addressPrefix(text)
                if let first = used[prefix.address] {
                    throw InvalidValue("\(prefix.address) is already used in line \(first.mark.line)")
                }
                return prefix
            }
            if let prefix { used[prefix.value.address] = prefix.position }
            let interface = reader.value(fields, "interface", ValueParsers.interface)
            let acquire = reader.value(fields, "acquire") { text throws(InvalidValue) in
                guard let acquire = AcquirePolicy(rawValue: text) else {
                    let choices = AcquirePolicy.allCases.map(\.rawValue)
                    let advice = nearest(to: text, in: choices).map { "; did you mean '\($0)'?" } ?? ""
                    throw InvalidValue(
                        "expected \(choices.map { "'\($0)'" }.joined(separator: " or ")), not \(quoted(text))\(advice)"
                    )
                }
                return acquire
            }
            let port = reader.value(fields, "port", ValueParsers.portOrNone)
            let label = reader.value(fields, "label", ValueParsers.label)
            for key in ["address", "interface"] where !fields.keys.contains(key) {
                let position = Position(file: reader.file, mark: fields.mark)
                reader.problems.error(position, "an entry of 'addresses' needs '\(key)'")
            }
            if let prefix, let interface {
                self.addresses.append(
                    .init(prefix: prefix, interface: interface, acquire: acquire, port: port, label: label))
            }
        }
    }
}
