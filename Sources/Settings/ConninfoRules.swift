// SPDX-License-Identifier: Apache-2.0
import Conninfo
import NetworkAddress

/// What a connection string in pharos.yml may say, beyond what libpq can read: no password, no service, and no host by its
/// name, because libpq waits for the resolver while the whole daemon waits for libpq. No message shows any of the text.
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
        guard self.needsNoResolver(hosts: string["host"], addresses: string["hostaddr"]) else {
            throw InvalidValue(
                "a host's name would have to be resolved, and everything else would wait for it; "
                    + "name the directory of the socket, or give the address with 'hostaddr='")
        }
        return text
    }

    /// A text for `pg_dist_poolinfo`: pairs as in a connection string, but the host is Citus's to resolve, and may be
    /// `{host}`. Answers `text` itself.
    static func checkPool(_ text: String) throws(InvalidValue) -> String {
        guard !text.hasPrefix("postgres://"), !text.hasPrefix("postgresql://") else { throw self.malformed }
        _ = try self.parse(text)
        return text
    }

    /// Whether a host is a socket's directory or an address. `localhost` is a name too: what it is, the resolver says.
    static func needsNoResolver(_ host: String) -> Bool {
        host.isEmpty || host.hasPrefix("/") || host.hasPrefix("@") || IPAddress(host) != nil
    }

    /// The same for lists with commas. Beside each host may stand its address, which libpq then takes without resolving.
    private static func needsNoResolver(hosts: String?, addresses: String?) -> Bool {
        let hosts = (hosts ?? "").split(separator: ",", omittingEmptySubsequences: false)
        let addresses = (addresses ?? "").split(separator: ",", omittingEmptySubsequences: false)
        return hosts.enumerated().allSatisfy { index, host in
            let hasAddress = addresses.indices.contains(index) && !addresses[index].isEmpty
            return hasAddress || self.needsNoResolver(String(host))
        }
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
