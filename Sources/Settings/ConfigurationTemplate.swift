// SPDX-License-Identifier: Apache-2.0

/// The text of a complete pharos.yml for a node whose Patroni is configured by `path`: what `pharos init` writes.
///
/// The arguments and Patroni's file are checked as ``Settings/load(path:environment:)`` would check them, and the text is
/// loaded before it is answered. Diagnostics about an argument name its option as the file, without a line.
public func renderConfiguration(
    fromPatroni path: String,
    address: String,
    interface: String,
    environment: SettingsEnvironment = .system
) throws(SettingsError) -> (text: String, settings: Settings) {
    var problems = DiagnosticList()
    let path = checked(path, option: "--from-patroni", &problems, ValueParsers.absolutePath)
    let address = checked(address, option: "--address", &problems, ValueParsers.addressPrefix)
    let interface = checked(interface, option: "--interface", &problems, ValueParsers.interface)
    guard let path, let address, let interface else { throw problems.failure ?? .init() }

    let text = """
        # Pharos keeps the address on the node where Patroni's leader accepts writes. The same file serves every node of
        # the cluster whose interface has the same name. `pharos check-config` shows every setting in effect.

        # The cluster's and this member's name, etcd and Patroni's API are read from here; Pharos must be able to read it.
        patroni_config: \(yamlText(path))
        addresses:
          - { address: "\(address)", interface: \(yamlText(interface)) }

        """
    // Arguments are relative to nothing here, so no file has this name.
    let name = "pharos.yml"
    let overlay = SettingsEnvironment(
        list: environment.list,
        read: { path, limit in
            path == name ? .success(.init(contents: Array(text.utf8))) : environment.read(path, limit)
        }, resolve: environment.resolve)
    do throws(SettingsError) {
        return (text, try Settings.load(path: name, environment: overlay))
    } catch {
        // What the text is blamed for, Patroni's file has caused: the other arguments have been checked.
        throw SettingsError(
            diagnostics: error.diagnostics.map { diagnostic in
                guard diagnostic.file == name else { return diagnostic }
                let message = diagnostic.message
                return Diagnostic(
                    severity: diagnostic.severity,
                    file: "--from-patroni",
                    line: 0,
                    column: 0,
                    message: message
                )
            },
            omitted: error.omitted
        )
    }
}

private func checked<Value>(
    _ text: String,
    option: String,
    _ problems: inout DiagnosticList,
    _ parse: (String) throws(InvalidValue) -> Value
) -> Value? {
    do throws(InvalidValue) {
        try PharosFileReader.checkText(text)
        return try parse(text)
    } catch {
        problems.error(file: option, mark: nil, error.message)
        return nil
    }
}

/// `text` as a YAML scalar: in double quotes unless it is plainly a word or a path. It holds no control characters.
private func yamlText(_ text: String) -> String {
    let isPlain = text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "_"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
        default: false  // bytes, not cases of ours
        }
    }
    let words = ["true", "false", "yes", "no", "on", "off", "null"]
    let startsPlainly = text.utf8.first.map { $0 == UInt8(ascii: "/") || $0 >= UInt8(ascii: "A") } ?? false
    if isPlain, startsPlainly, !words.contains(text.lowercased()) { return text }
    let escaped = text.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : [$0] }
    return "\"\(String(escaped))\""
}
