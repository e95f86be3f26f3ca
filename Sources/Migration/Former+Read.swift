// SPDX-License-Identifier: Apache-2.0

extension Former {
    /// Bytes of one file, and files of one migration.
    public static let fileLimit = 1 << 20
    public static let filesLimit = 8

    /// Reads a file of either program. `tool`: which, where a person has said it; else its lines tell.
    public static func read(_ bytes: [UInt8], file: String, tool: Tool? = nil) throws(MigrationError) -> Former {
        let expected = "expected a configuration of vip-manager or keepalived"
        guard bytes.count <= self.fileLimit else {
            throw MigrationError("\(file): larger than \(self.fileLimit) bytes; \(expected)")
        }
        // A byte order mark is no part of the text.
        let bytes = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? Array(bytes.dropFirst(3)) : bytes
        guard !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self) else {
            throw MigrationError("\(file): not a text file (UTF-8); \(expected)")
        }
        let lines = text.split(whereSeparator: \.isNewline).map { line in line.drop { $0 == " " || $0 == "\t" } }
        guard lines.contains(where: { !$0.isEmpty && !$0.hasPrefix("#") }) else {
            throw MigrationError("\(file): no line says anything (all are comments, or empty); \(expected)")
        }
        let isKeepalived = lines.contains { line in
            self.keepalivedWords.contains { line.hasPrefix($0) && !line.dropFirst($0.count).hasPrefix(":") }
        }
        switch tool ?? (isKeepalived ? .keepalived : .vipManager) {
        case .keepalived: return try KeepalivedFile.read(text, file: file)
        case .vipManager:
            let isEnvironment = lines.contains { line in
                (line.hasPrefix("VIP_") || line.hasPrefix("export VIP_")) && line.contains("=")
            }
            return try VipManagerFile.read(bytes, file: file, isEnvironment: isEnvironment)
        }
    }

    private static let keepalivedWords = [
        "vrrp_instance", "vrrp_script", "vrrp_sync_group", "global_defs", "virtual_server", "static_ipaddress",
    ]
}
