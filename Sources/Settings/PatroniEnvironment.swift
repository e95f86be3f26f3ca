// SPDX-License-Identifier: Apache-2.0

/// What Patroni's environment says, `PATRONI_…`, from a file that pharos.yml names: the part of it that Pharos needs to know, as a
/// document to lay over Patroni's file (`_build_environment_configuration` of Patroni's config.py).
struct PatroniEnvironment {
    let path: String
    let mode: UInt32
    private let assignments: [EnvironmentFile.Assignment]

    static let prefix = "PATRONI_"

    /// Nil if the file cannot be read, which has been reported.
    init?(_ path: Sourced<String>, _ environment: SettingsEnvironment, _ problems: inout DiagnosticList) {
        switch environment.read(path.value, Settings.fileLimit) {
        case .failure(let error):
            problems.error(path.position, "cannot read \(quoted(path.value)): \(error)")
            return nil
        case .success(let file):
            (self.path, self.mode) = (path.value, file.mode)
            self.assignments = EnvironmentFile.assignments(in: file.contents).filter { $0.name.hasPrefix(Self.prefix) }
        }
    }

    /// How a variable's text becomes a value.
    enum Form: Equatable { case text, whole, list, boolean }

    /// The key that a variable stands for, and how Patroni reads it; nil if it is none that Pharos needs.
    static func meaning(of name: String) -> (path: [String], form: Form)? {
        guard name.hasPrefix(self.prefix) else { return nil }
        let name = name.dropFirst(self.prefix.utf8.count)
        switch name {
        case "NAME", "NAMESPACE", "SCOPE": return ([name.lowercased()], .text)
        case "CTL_INSECURE": return (["ctl", "insecure"], .boolean)
        case "CITUS_GROUP": return (["citus", "group"], .whole)
        case "CITUS_DATABASE": return (["citus", "database"], .text)
        default: break  // text, not cases of ours
        }
        let parts = name.split(separator: "_", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        let (section, key) = (parts[0].lowercased(), parts[1].lowercased())
        switch (section, key) {
        case ("restapi", "username"), ("restapi", "password"), ("ctl", "username"), ("ctl", "password"):
            return ([section, "authentication", key], .text)
        case ("restapi", "listen"), ("restapi", "connect_address"), ("restapi", "certfile"), ("restapi", "cafile"),
            ("ctl", "cacert"), ("ctl", "certfile"), ("ctl", "keyfile"), ("ctl", "keyfile_password"),
            ("postgresql", "listen"), ("postgresql", "connect_address"), ("postgresql", "data_dir"):
            return ([section, key], .text)
        case ("superuser", "username"), ("replication", "username"), ("rewind", "username"):
            return (["postgresql", "authentication", section, key], .text)
        default:  // text, not cases of ours
            guard PatroniFile.stores.contains(section) else { return nil }
            switch key {
            case "hosts": return ([section, key], .list)
            case "port": return ([section, key], .whole)
            case "use_proxies": return ([section, key], .boolean)
            case "host", "protocol", "srv", "srv_suffix", "url", "proxy", "cacert", "cert", "key", "namespace",
                "username",
                "password":
                return ([section, key], .text)
            default: return nil  // text, not cases of ours
            }
        }
    }

    /// The variables as a mapping of mappings. What Patroni passes over is passed over, with a warning where that may surprise.
    func document(_ problems: inout DiagnosticList) -> YAMLDocument {
        var document = YAMLDocument()
        document.nodes = [.init(content: .mapping([]), mark: .start)]
        document.root = 0
        var logins: [(path: [String], assignment: EnvironmentFile.Assignment)] = []
        for assignment in self.assignments {
            guard let (path, form) = Self.meaning(of: assignment.name) else { continue }
            // Of these Patroni takes an empty one for none; of a store's own keys it does not.
            let isStore = PatroniFile.stores.contains(path[0])
            if assignment.value.isEmpty, !isStore { continue }
            // A login alone makes no section of it.
            if isStore, path.last == "username" || path.last == "password" {
                if !assignment.value.isEmpty, path[0].hasPrefix("etcd") { logins.append((path, assignment)) }
                continue
            }
            guard let value = self.value(assignment, form, &document) else {
                let what = form == .list ? "no list" : form == .whole ? "no number" : "neither true nor false"
                let position = Position(file: self.path, mark: .init(line: assignment.line, column: 1))
                problems.warning(position, "'\(assignment.name)' is passed over, as by Patroni: it is \(what)")
                continue
            }
            document.set(path, value, at: assignment.line)
        }
        for (path, assignment) in logins where document.value(of: path[0], in: 0) != nil {
            let mark = YAMLDocument.Mark(line: assignment.line, column: 1)
            document.nodes.append(.init(content: .scalar(assignment.value, isPlain: false), mark: mark))
            document.set(path, document.nodes.count - 1, at: assignment.line)
        }
        for (path, assignment) in logins where document.value(of: path[0], in: 0) == nil {
            let position = Position(file: self.path, mark: .init(line: assignment.line, column: 1))
            problems.warning(
                position,
                "'\(assignment.name)' is passed over, as by Patroni: it takes a login from its environment only beside another "
                    + "\(Self.prefix)\(path[0].uppercased())_… there")
        }
        return document
    }

    /// A node with what Patroni makes of the text; nil if it makes nothing of it.
    private func value(
        _ assignment: EnvironmentFile.Assignment, _ form: Form, _ document: inout YAMLDocument
    ) -> Int? {
        let text = assignment.value
        var node = YAMLDocument.Node(
            content: .scalar(text, isPlain: false), mark: .init(line: assignment.line, column: 1))
        switch form {
        case .text: break
        case .whole where text.isEmpty: break
        case .list where text.isEmpty: break
        case .whole:
            guard let number = PatroniAddress.integer(text) else { return nil }
            node.content = .scalar(String(number), isPlain: true)
        case .boolean:
            switch text.lowercased() {
            case "on", "true", "yes", "1": node.content = .scalar("true", isPlain: true)
            case "off", "false", "no", "0": node.content = .scalar("false", isPlain: true)
            default: return nil  // text, not cases of ours
            }
        case .list:
            let list = trimmed(text).hasPrefix("-") || text.contains("[") ? text : "[\(text)]"
            let parsed: YAMLDocument
            do throws(YAMLError) {
                parsed = try YAMLParser.parse(Array(list.utf8), limits: .init(bytes: 1 << 16, nodes: 1000))
            } catch { return nil }
            guard var root = document.append(parsed) else { return nil }
            // Its place is the variable's.
            while root < document.nodes.count {
                document.nodes[root].mark = node.mark
                root += 1
            }
            return parsed.root.map { document.nodes.count - parsed.nodes.count + $0 }
        }
        document.nodes.append(node)
        return document.nodes.count - 1
    }
}

extension YAMLDocument {
    /// Puts a value at a path of keys below the root, with the mappings that it needs.
    fileprivate mutating func set(_ path: [String], _ value: Int, at line: Int) {
        let mark = Mark(line: line, column: 1)
        var parent = self.root ?? 0
        for (depth, key) in path.enumerated() {
            let isLast = depth == path.count - 1
            if !isLast, let next = self.value(of: key, in: parent) {
                parent = next
                continue
            }
            self.nodes.append(Node(content: .scalar(key, isPlain: false), mark: mark))
            let keyNode = self.nodes.count - 1
            var child = value
            if !isLast {
                self.nodes.append(Node(content: .mapping([]), mark: mark))
                child = self.nodes.count - 1
            }
            guard case .mapping(let pairs) = self.nodes[parent].content else { return }
            self.nodes[parent].content = .mapping(pairs + [Pair(key: keyNode, value: child)])
            parent = child
        }
    }
}
