// SPDX-License-Identifier: Apache-2.0
import Conninfo
import NetworkAddress

/// What a connection string in pharos.yml may say, beyond what libpq can read: no password, no service, and a list of servers that
/// can be tried one after another. No message shows any of the text.
enum ConninfoRules {
    /// A connection of Pharos's own. Answers `text` itself.
    static func check(_ text: String) throws(InvalidValue) -> String {
        let string = try self.parse(text)
        // `servicefile` alone does nothing, in the versions that have it; but it is meant to.
        guard string["service"] == nil, string["servicefile"] == nil else {
            throw InvalidValue(
                "'service' is refused: a service file could name a host that would have to be resolved, and everything "
                    + "else would wait for it; say here what the file says")
        }
        let targets: [ConnectionTarget]
        do throws(TargetsError) { targets = try string.targets() } catch { throw InvalidValue(error.message) }
        guard targets.count > 1 else { return text }
        for (keyword, value) in [("target_session_attrs", "prefer-standby"), ("load_balance_hosts", "random")]
        where string[keyword] == value {
            throw InvalidValue(
                "'\(keyword)=\(value)' is refused beside several hosts, which are tried one after another in the order in which "
                    + "they stand; leave it out, or name one host")
        }
        return text
    }

    /// The folders of the sockets that are named.
    static func socketDirectories(in text: String) -> [String] {
        let targets: [ConnectionTarget]
        // What cannot be read has been refused.
        do { targets = try ConnectionString(text).targets() } catch { return [] }
        return targets.compactMap { target in
            guard case .socket(let directory) = target.place else { return nil }
            return directory
        }
    }

    /// The port of the first server that is named.
    static func port(in text: String) -> UInt16 {
        // What cannot be read has been refused.
        do { return try ConnectionString(text).targets().first?.port ?? 5432 } catch { return 5432 }
    }

    /// Whether a kind of server is demanded.
    static func choosesServer(_ text: String) -> Bool {
        // What cannot be read has been refused.
        do { return try ConnectionString(text)["target_session_attrs"].map { $0 != "any" } ?? false } catch {
            return false
        }
    }

    /// Whether a server is named, or a port.
    static func namesServer(_ text: String) -> Bool {
        // What cannot be read has been refused.
        do { return try ConnectionString(text).namesServer } catch { return false }
    }

    /// What the servers' names mean, for whoever checks the file; empty where there is nothing but sockets and addresses.
    static func meaning(of text: String) -> String {
        let targets: [ConnectionTarget]
        // What cannot be read has been refused.
        do { targets = try ConnectionString(text).targets() } catch { return "" }
        var seen: Set<String> = []
        let names = targets.compactMap { target -> String? in
            guard case .name(let name) = target.place, seen.insert(name).inserted else { return nil }
            guard LoopbackName.contains(name) else { return "\(name) is looked up by the daemon" }
            return "\(name) is " + LoopbackName.addresses.joined(separator: ", then ")
        }
        return names.isEmpty ? "" : " (" + names.joined(separator: "; ") + ")"
    }

    /// A text for `pg_dist_poolinfo`: pairs as in a connection string, but the host is Citus's to resolve, and may be
    /// `{host}`. Citus takes a database, a host and a port, and nothing else (`poolinfo_valid` in its metadata_cache.c, 8.0 to 14.0).
    /// Answers `text` itself.
    static func checkPool(_ text: String) throws(InvalidValue) -> String {
        guard !text.hasPrefix("postgres://"), !text.hasPrefix("postgresql://") else { throw self.malformed }
        let string = try self.parse(text)
        let others = ConnectionString.keywords.filter { string[$0] != nil && !["dbname", "host", "port"].contains($0) }
        guard others.isEmpty else {
            throw InvalidValue(
                "Citus accepts nothing but 'dbname', 'host' and 'port' here; found '\(others.sorted().joined(separator: "', '"))'"
            )
        }
        return text
    }

    private static func parse(_ text: String) throws(InvalidValue) -> ConnectionString {
        let string: ConnectionString
        do throws(ConnectionString.ParsingError) {
            string = try ConnectionString(text)
        } catch {
            switch error {
            case .malformed: throw self.malformed
            case .unknownKeyword(let keyword):
                // Which one, is not said: behind a password with a blank in it stands what looks like a keyword.
                let advice = nearest(to: keyword, in: ConnectionString.keywords).map { "; did you mean '\($0)'?" } ?? ""
                throw InvalidValue(
                    "a keyword that libpq \(ConnectionString.libraryVersion), which is installed here, does not know"
                        + advice)
            }
        }
        guard string.secrets.isEmpty else {
            throw InvalidValue(
                "a password does not belong in this file; use peer authentication, or name a password file with 'passfile='"
            )
        }
        return string
    }

    private static let malformed = InvalidValue(
        "expected pairs of keyword=value such as host=/var/run/postgresql user=pharos, or a URI")
}

extension PharosFileReader {
    /// How the servers of other nodes are reached, but for where they are: each node's own host and port are taken.
    mutating func nodeConninfo(_ fields: SectionKeys) -> Sourced<String>? {
        guard let said = self.value(fields, "node_conninfo", ConninfoRules.check) else { return nil }
        if ConninfoRules.namesServer(said.value) {
            self.problems.warning(
                said.position,
                "'node_conninfo' in '\(fields.section)': 'host', 'hostaddr' and 'port' have no effect: each node is reached where "
                    + "it says that it is; leave them out")
        }
        if ConninfoRules.choosesServer(said.value) {
            self.problems.warning(
                said.position,
                "'node_conninfo' in '\(fields.section)': 'target_session_attrs' has no effect: each node is asked for what it is; leave "
                    + "it out")
        }
        return said
    }
}
