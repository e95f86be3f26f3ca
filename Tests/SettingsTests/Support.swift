// SPDX-License-Identifier: Apache-2.0
import Settings
import Testing

/// A file system of the test's own.
struct Files {
    var files: [String: SettingsEnvironment.File] = [:]

    init(_ texts: [String: String] = [:]) {
        for (path, text) in texts { self.files[path] = .init(contents: Array(text.utf8)) }
    }

    func adding(_ path: String, _ text: String, mode: UInt32 = 0o640) -> Files {
        var copy = self
        copy.files[path] = .init(contents: Array(text.utf8), mode: mode)
        return copy
    }

    /// A path below which there are files is a folder.
    var environment: SettingsEnvironment {
        let files = self.files
        @Sendable func names(in folder: String) -> [String] {
            files.keys.filter { $0.hasPrefix(folder + "/") }.map { String($0.dropFirst(folder.count + 1)) }
        }
        return SettingsEnvironment(list: { .success(names(in: $0)) }) { path, limit in
            guard let file = files[path] else { return .failure(names(in: path).isEmpty ? .system(2) : .notRegular) }
            return file.contents.count > limit ? .failure(.tooLarge(limit)) : .success(file)
        }
    }

    /// What loading pharos.yml yields.
    func load() throws(SettingsError) -> Settings {
        try Settings.load(path: "pharos.yml", environment: self.environment)
    }

    /// The diagnostics of a load that must fail, one text each.
    func errors(_ location: Testing.SourceLocation = #_sourceLocation) -> [String] {
        do throws(SettingsError) {
            let settings = try self.load()
            Issue.record("loaded: \(settings.provenance)", sourceLocation: location)
            return []
        } catch {
            return error.diagnostics.map(\.description)
        }
    }
}

let patroniPath = "/etc/patroni/config.yml"
let minimal = """
    patroni_config: /etc/patroni/config.yml
    addresses:
      - { address: 10.10.10.3/24, interface: eth1 }
    """
let patroni = """
    scope: demo
    name: n1
    restapi:
      listen: 0.0.0.0:8008
      connect_address: 10.10.10.11:8008
    etcd3:
      hosts: 10.10.10.11:2379,10.10.10.12:2379,10.10.10.13:2379
    bootstrap:
      dcs: { ttl: 30, loop_wait: 10, postgresql: { use_pg_rewind: true } }
    postgresql:
      listen: 0.0.0.0:5433
      connect_address: 10.10.10.11:5433
      data_dir: /var/lib/postgresql/15/main
      authentication:
        superuser: { username: postgres, password: not-for-pharos }
    """

/// pharos.yml beside the Patroni configuration above.
func files(_ pharos: String, patroni text: String = patroni) -> Files {
    Files(["pharos.yml": pharos, patroniPath: text])
}

/// pharos.yml that says everything itself, with `extra` lines at the end.
func standalone(_ extra: String) -> Files {
    Files([
        "pharos.yml": """
        scope: demo
        member: n1
        addresses: [{ address: 10.10.10.3/24, interface: eth1 }]
        \(extra)
        """
    ])
}
