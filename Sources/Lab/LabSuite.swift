// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The Debian release that a lab's nodes run, by the name that its archive has; or a variant of it with another Patroni.
public enum LabSuite: String, Codable, Sendable, CaseIterable {
    /// Debian 12.
    case bookworm
    /// Debian 13.
    case trixie
    /// Debian 13 with Patroni 4.1 as it is installed without a package: from PyPI, with Patroni's own example of a unit.
    /// `make test-patroni` plays scenes on it; `make test` does not.
    case trixiePatroni41 = "trixie-patroni-4.1"

    /// All by which the releases differ for the lab: there is no other place that asks for a release.
    public struct Recipe: Sendable {
        /// The release's name in Debian's archive.
        let archive: String
        /// Debian's number.
        public let debian: Int
        /// PostgreSQL's major version, as Debian's paths name it.
        public let postgres: String
        /// The version of Patroni that comes from PyPI; nil: Debian's package.
        public let patroniOfPyPI: String?
        /// Packages that the other release has not, or has under another name.
        let packages: [String]
        /// Whether Patroni refuses an etcd that has the number of the one it knew and a younger history, until it is
        /// started anew: it takes every such member for one that has fallen behind.
        public let patroniRefusesYoungerEtcd: Bool
        /// Whether PostgreSQL keeps connections for those with `pg_use_reserved_connections`, from 16 on.
        var hasReservedConnections: Bool { (Int(self.postgres) ?? 0) >= 16 }
    }

    /// The one table. Versions that come with it: docs/operations.md, "What was run".
    public var recipe: Recipe {
        switch self {
        case .bookworm:
            Recipe(
                archive: "bookworm", debian: 12, postgres: "15", patroniOfPyPI: nil,
                packages: ["libcurl4", "libmicrohttpd12", "postgresql-15", "vip-manager"],
                patroniRefusesYoungerEtcd: false)
        case .trixie: Self.trixie(patroniOfPyPI: nil)
        case .trixiePatroni41: Self.trixie(patroniOfPyPI: "4.1.5")
        }
    }

    private static func trixie(patroniOfPyPI: String?) -> Recipe {
        // The libraries were renamed when `time_t` grew to 64 bits.
        Recipe(
            archive: "trixie", debian: 13, postgres: "17", patroniOfPyPI: patroniOfPyPI,
            packages: ["libcurl4t64", "libmicrohttpd12t64", "postgresql-17"],
            patroniRefusesYoungerEtcd: true)
    }

    /// What every node has beside Debian's minimal base, whatever its release.
    private static let packages = [
        "ca-certificates", "curl", "dbus", "etcd-client", "etcd-server", "iproute2", "iputils-arping", "iputils-ping",
        "libpq5", "libsystemd0", "libyaml-0-2", "nftables", "procps", "python3-psycopg2", "systemd", "systemd-sysv",
        // Network managers, of which none runs until a scene wants it; systemd brings its own.
        "ifupdown", "isc-dhcp-client", "network-manager",
    ]

    /// What is installed beside Debian's minimal base, in the order of the alphabet.
    var packages: [String] { (Self.packages + self.recipe.packages + self.patroniPackages).sorted() }

    /// Patroni from PyPI brings its own libraries, but for those that would have to be compiled.
    private var patroniPackages: [String] {
        self.recipe.patroniOfPyPI == nil
            ? ["patroni", "python3-etcd"] : ["python3-pip", "python3-systemd", "python3-venv"]
    }

    /// PostgreSQL's data on a node.
    public var postgresData: String { "/var/lib/postgresql/\(self.recipe.postgres)/main" }
    /// The folder of PostgreSQL's programs.
    var postgresPrograms: String { "/usr/lib/postgresql/\(self.recipe.postgres)/bin" }
    /// The folder of the libraries that PostgreSQL loads.
    var postgresLibraries: String { "/usr/lib/postgresql/\(self.recipe.postgres)/lib" }
    /// The folder in which PostgreSQL looks for extensions.
    var postgresExtensions: String { "/usr/share/postgresql/\(self.recipe.postgres)/extension" }

    // MARK: - The choice

    /// The environment variable that chooses for every lab that is not told otherwise.
    public static let variable = "PHAROS_LAB_SUITE"

    /// What the environment chooses; Debian 12 where it says nothing, or nothing that ``check()`` lets pass.
    public static let chosen = variableText.flatMap { LabSuite(rawValue: $0) } ?? .bookworm
    private static let variableText = getenv(variable).map { String(cString: $0) }

    /// Throws where the environment names something else: that must not pass for Debian 12.
    static func check() throws(LabError) { try self.check(self.variableText) }

    /// As ``check()``, of the variable's text; nil: it is not set.
    static func check(_ text: String?) throws(LabError) {
        guard let text, LabSuite(rawValue: text) == nil else { return }
        let known = self.allCases.map { suite in
            let recipe = suite.recipe
            let patroni = recipe.patroniOfPyPI.map { ", Patroni \($0)" } ?? ""
            return "\(suite.rawValue) (Debian \(recipe.debian)\(patroni))"
        }.joined(separator: " or ")
        throw LabError(.usage, "\(self.variable) is '\(text)'; expected \(known), or leave it unset")
    }
}
