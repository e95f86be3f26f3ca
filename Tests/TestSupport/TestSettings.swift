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
}
