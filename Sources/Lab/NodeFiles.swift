// SPDX-License-Identifier: Apache-2.0

/// The files that make a copy of the image a particular node: what an administrator would write by hand.
struct NodeFiles {
    let node: String
    let options: LabOptions
    /// Passwords of this run's PostgreSQL superuser and replication role.
    let password: String

    struct File {
        var path: String
        var text: String
        var mode: UInt32 = 0o644
        /// Owner and group, as `chown` in the node understands them.
        var owner: String?
    }

    var all: [File] {
        let every = [
            File(path: "etc/hostname", text: "\(self.node)\n"),
            File(path: "etc/hosts", text: self.hosts),
            File(path: "etc/default/etcd", text: self.etcd),
            File(path: "etc/systemd/journald.conf.d/lab.conf", text: self.journald),
        ]
        guard let group = self.options.group(of: self.node) else { return every }
        let patroni = self.patroni(group)
        return every + [
            File(path: "etc/patroni/config.yml", text: patroni, mode: 0o640, owner: "postgres:postgres"),
            File(path: "etc/patroni/post-bootstrap", text: self.postBootstrap, mode: 0o755),
            File(path: "etc/systemd/system/patroni.service.d/lab.conf", text: self.patroniUnit),
        ]
    }

    private var hosts: String {
        let nodes = self.options.nodes.map { "\(LabLayout.address($0)) \($0)\n" }
        return "127.0.0.1 localhost\n::1 localhost\n" + nodes.joined()
    }

    private var etcd: String {
        let address = LabLayout.address(self.node)
        let cluster = self.options.nodes.map { "\($0)=http://\(LabLayout.address($0)):2380" }.joined(separator: ",")
        return """
            ETCD_NAME=\(self.node)
            ETCD_DATA_DIR=/var/lib/etcd/default
            ETCD_LISTEN_PEER_URLS=http://\(address):2380
            ETCD_LISTEN_CLIENT_URLS=http://\(address):2379,http://127.0.0.1:2379
            ETCD_INITIAL_ADVERTISE_PEER_URLS=http://\(address):2380
            ETCD_ADVERTISE_CLIENT_URLS=http://\(address):2379
            ETCD_INITIAL_CLUSTER=\(cluster)
            ETCD_INITIAL_CLUSTER_STATE=new
            ETCD_INITIAL_CLUSTER_TOKEN=pharos-lab
            ETCD_PRE_VOTE=true

            """
    }

    /// `fsync: off` because the data lives in memory here anyway; full_page_writes stays on, or pg_rewind would break.
    private func patroni(_ group: LabGroup) -> String {
        let address = LabLayout.address(self.node)
        let hosts = self.options.nodes.map { "\(LabLayout.address($0)):2379" }.joined(separator: ", ")
        return """
            scope: \(group.scope)
            namespace: /service/
            name: \(self.node)
            restapi:
              listen: 0.0.0.0:8008
              connect_address: \(address):8008
            etcd3:
              hosts: [\(hosts)]
            bootstrap:
              dcs:
                ttl: \(self.options.ttl)
                loop_wait: \(self.options.loopWait)
                retry_timeout: \(self.options.retryTimeout)
                maximum_lag_on_failover: 1048576
                failsafe_mode: \(self.options.failsafe)
                postgresql:
                  use_pg_rewind: true
                  parameters:
                    fsync: "off"
                    shared_buffers: 16MB
                    max_connections: \(self.options.citus == nil ? 100 : 160)
                    max_wal_size: 256MB
                    wal_keep_size: 64MB
                    wal_log_hints: "on"
                    log_connections: "off"
                    \(self.citusParameters.joined(separator: "\n        "))
              initdb:
                - encoding: UTF8
                - locale: C.UTF-8
                - data-checksums
                - no-sync
              post_bootstrap: /etc/patroni/post-bootstrap
            postgresql:
              listen: "*:5432"
              connect_address: \(address):5432
              data_dir: \(self.options.suite.postgresData)
              bin_dir: \(self.options.suite.postgresPrograms)
              use_unix_socket: true
              basebackup:
                - checkpoint: fast
                - no-sync
              authentication:
                superuser: {username: postgres, password: \(self.password)}
                replication: {username: replicator, password: \(self.password)}
                rewind: {username: rewinder, password: \(self.password)}
              parameters:
                unix_socket_directories: /var/run/postgresql
              pg_hba:
                - local all writer trust
                - local all all peer
                - host all writer all trust
            \(self.neighborAccess)
                - host replication replicator 127.0.0.1/32 scram-sha-256
                - host replication replicator ::1/128 scram-sha-256
                - host all all 127.0.0.1/32 scram-sha-256
                - host all all ::1/128 scram-sha-256
                - host replication replicator 10.77.0.0/24 scram-sha-256
                - host all all 10.77.0.0/24 scram-sha-256
            tags: {nofailover: false, noloadbalance: false, clonefrom: false, nosync: false}
            \(self.citusMode(group))
            """
    }

    /// What Pharos, and Citus beside it, need on the other nodes.
    private var neighborAccess: String {
        // The failure detector asks every member's PostgreSQL.
        guard self.options.citus != nil else { return "    - host postgres pharos 10.77.0.0/24 trust\n" }
        return "    - host all postgres,pharos 10.77.0.0/24 trust\n"
    }

    /// The folder that PostgreSQL's log is archived in, on the node itself; where it is not there, nothing is archived.
    static let archive = "/var/lib/postgresql/archive"

    /// Limits for connections between nodes, as the manual asks for them; room for prepared transactions; and an archive.
    private var citusParameters: [String] {
        guard self.options.citus != nil else { return [] }
        let keepalives = "keepalives=1 keepalives_idle=2 keepalives_interval=1 keepalives_count=3"
        return [
            "shared_preload_libraries: citus", "max_prepared_transactions: 10", "citus.node_connection_timeout: 3s",
            "citus.node_conninfo: sslmode=prefer tcp_user_timeout=3000 \(keepalives)",
            "archive_mode: \"on\"",
            "archive_command: \"test ! -d \(Self.archive) || cp %p \(Self.archive)/%f\"",
        ] + (self.options.suite.recipe.hasReservedConnections ? ["reserved_connections: 3"] : [])
    }

    private func citusMode(_ group: LabGroup) -> String {
        guard self.options.citus?.layout == .mode else { return "" }
        return "citus: {group: \(group.number), database: \(LabCitus.databases[0])}\n"
    }

    /// Run by Patroni once, on the node that creates the cluster; its argument is a connection string.
    private var postBootstrap: String {
        """
        #!/bin/sh
        set -e
        psql -q -v ON_ERROR_STOP=1 -d "$1" <<'SQL'
        CREATE ROLE pharos LOGIN;
        GRANT pg_read_all_stats, pg_read_all_settings TO pharos;
        CREATE ROLE writer LOGIN;
        CREATE TABLE beat (address text PRIMARY KEY, count bigint NOT NULL) WITH (fillfactor = 10);
        ALTER TABLE beat OWNER TO writer;
        SQL
        \(self.options.citus.map(CitusFiles.postBootstrap) ?? "")
        """
    }

    /// Debian's unit lets Patroni start before etcd; it would then sleep for 5 s before it tries again.
    private var patroniUnit: String {
        "[Unit]\nAfter=etcd.service\n"
    }

    /// Nothing may be dropped: tests read the journal.
    private var journald: String {
        "[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\nSystemMaxUse=200M\nSyncIntervalSec=1s\n"
    }

    /// /etc/pharos/pharos.yml: what the manual says is enough, and what the options ask for.
    static func pharos(_ options: LabOptions, _ group: LabGroup) -> String {
        var text = "patroni_config: /etc/patroni/config.yml\n"
        // The coordinator's group has the addresses.
        let addresses = group.number == 0 ? options.addresses : []
        if !addresses.isEmpty { text += "addresses:\n" }
        for address in addresses {
            text += "  - {address: \"\(address)\", interface: \(Network.nodeInterface)}\n"
        }
        if let ttl = options.leaseTTL { text += "lease: {ttl: \(ttl)s}\n" }
        return text + (options.citus?.configuration ?? "") + options.extraConfiguration
    }
}
