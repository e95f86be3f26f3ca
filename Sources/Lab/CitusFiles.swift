// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What a node needs to have Citus: little where its PostgreSQL offers the extension, else the stand-in. Patroni's Citus
/// mode loads a library `citus` and creates an extension `citus`: the library is then one that does nothing when loaded, and
/// the extension is empty, because `template1` already has what the stand-in provides.
struct CitusFiles {
    /// The node's file system as the host sees it.
    let root: String
    let citus: LabCitus
    let suite: LabSuite

    private static func control(_ suite: LabSuite) -> String { "\(suite.postgresExtensions)/citus.control" }
    private static let folder = "usr/share/pharos-lab"

    /// Whether PostgreSQL offers the extension itself.
    static func isReal(_ image: NodeImage, _ suite: LabSuite) -> Bool {
        Host.exists("\(image.path)\(self.control(suite))")
    }

    /// Writes the files while the node is off; answers the units to enable.
    func install() throws(LabError) -> [String] {
        let control = Self.control(self.suite)
        let isReal = Host.exists("\(self.root)\(control)")
        let path = "\(self.citus.scripts)/\(isReal ? "real" : "stand-in").sql"
        guard let script = Host.readText(path) else {
            throw LabError(.usage, "\(path): no such file; run from the repository's folder")
        }
        try Host.makeFolder("\(self.root)/\(Self.folder)")
        try Host.write("\(self.root)/\(Self.folder)/citus.sql", script)
        if isReal { return [] }
        for (path, text) in [
            ("/\(Self.folder)/sync.sql", Self.sync),
            (control, "default_version = '13.2'\ncomment = 'a stand-in: see template1'\n"),
            ("\(self.suite.postgresExtensions)/citus--13.2.sql", "-- Everything is in template1.\n"),
            ("/etc/systemd/system/stand-in-sync@.service", Self.unit),
        ] { try Host.write("\(self.root)\(path)", text) }
        guard symlink("dict_int.so", "\(self.root)\(self.suite.postgresLibraries)/citus.so") == 0 else {
            throw Host.failure("cannot make the library of the stand-in")
        }
        return LabCitus.databases.map { "stand-in-sync@\($0).service" }
    }

    /// Citus's maintenance daemon, as far as the stand-in has one: tells the workers what has changed on the coordinator.
    private static let sync = """
        select case when not pg_is_in_recovery() and (select groupid from pg_dist_local_group) = 0
            and exists (select from pg_dist_node where groupid <> 0 and hasmetadata and not metadatasynced)
            then citus_stand_in.sync() end
        \\watch 0.1

        """

    private static let unit = """
        [Unit]
        After=patroni.service
        StartLimitIntervalSec=0
        [Service]
        User=postgres
        ExecStart=/usr/bin/psql -X -q -d %i -f /\(folder)/sync.sql
        Restart=always
        RestartSec=0.5
        StandardOutput=null
        StandardError=null
        [Install]
        WantedBy=multi-user.target

        """

    /// The end of Patroni's post-bootstrap script. Patroni's Citus mode makes the first database by itself.
    static func postBootstrap(_ citus: LabCitus) -> String {
        let databases = citus.layout == .mode ? Array(LabCitus.databases.dropFirst()) : LabCitus.databases
        return """
            run() { psql -X -q -v ON_ERROR_STOP=1 -h /var/run/postgresql -U postgres "$@"; }
            run -d template1 -f /\(self.folder)/citus.sql
            for database in \(databases.joined(separator: " ")); do
                run -d postgres -c "CREATE DATABASE $database"
                run -d "$database" -c "CREATE EXTENSION citus"
            done

            """
    }
}
