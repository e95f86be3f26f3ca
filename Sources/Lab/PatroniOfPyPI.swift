// SPDX-License-Identifier: Apache-2.0

/// Patroni as its own manual installs it: from PyPI, into a virtual environment, with the unit that its source has as an
/// example. Its programs and its configuration are where Debian's package has them.
enum PatroniOfPyPI {
    private static let folder = "/opt/patroni"

    /// Lines of the image's script, to be run once Debian's packages are there. What would have to be compiled is Debian's
    /// (psycopg2, and systemd's module, without which the unit would wait for a word that never comes).
    static func script(_ version: String) -> String {
        """
        python3 -m venv --system-site-packages \(self.folder)
        \(self.folder)/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --retries 3 \\
            'patroni[etcd3]==\(version)'
        ln -s \(self.folder)/bin/patroni \(self.folder)/bin/patronictl /usr/bin/
        cat > /etc/systemd/system/patroni.service <<'END'
        \(self.unit)
        END
        rm -f /etc/pip.conf

        """
    }

    /// `extras/startup-scripts/patroni.service` of Patroni 4.1 without its comments; only the two paths are Debian's.
    private static let unit = """
        [Unit]
        Description=Runners to orchestrate a high-availability PostgreSQL
        After=syslog.target network.target

        [Service]
        Type=notify
        User=postgres
        Group=postgres
        EnvironmentFile=-/etc/patroni_env.conf
        Environment=MALLOC_ARENA_MAX=1
        Environment=PG_MALLOC_ARENA_MAX=
        ExecStart=/usr/bin/patroni /etc/patroni/config.yml
        ExecReload=/bin/kill -s HUP $MAINPID
        KillMode=process
        TimeoutSec=30
        Restart=on-failure

        [Install]
        WantedBy=multi-user.target
        """
}
