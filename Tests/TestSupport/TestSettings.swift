// SPDX-License-Identifier: Apache-2.0
public import Settings

extension Settings {
    /// The settings that a pharos.yml of this text yields, by the reader of the daemon itself.
    public static func load(text: String) throws -> Settings {
        try self.load(
            path: "pharos.yml",
            environment: SettingsEnvironment { path, _ in
                path == "pharos.yml" ? .success(.init(contents: Array(text.utf8))) : .failure(.system(2))
            })
    }

    /// Of a node with one address, which finds etcd at these endpoints.
    public static func load(etcd endpoints: [String]) throws -> Settings {
        let urls = endpoints.map { "\"\($0)\"" }.joined(separator: ", ")
        return try self.load(
            text: """
                scope: demo
                member: n1
                addresses: [{ address: 10.0.0.3/24, interface: eth0 }]
                etcd: { endpoints: [\(urls)] }
                """)
    }
}
