// SPDX-License-Identifier: Apache-2.0
import Conninfo
import Decision
import PatroniClient
import PatroniValues

extension PatroniMember {
    /// Where its PostgreSQL is reached, as libpq reads its `conn_url`: one host, by name or address, and a port, 5432 where
    /// there is none. Nil for everything else: whoever can write the key says what they like.
    var endpoint: NodeEndpoint? {
        guard let url = self.connURL else { return nil }
        do throws(ConnectionString.ParsingError) {
            let string = try ConnectionString(url)
            guard let host = string["host"], host.utf8.count <= 253, host.utf8.allSatisfy(Self.mayBeInHost),
                let port = Int(string["port"] ?? "5432"), (1...65535).contains(port)
            else { return nil }
            return NodeEndpoint(host, port)
        } catch {
            return nil
        }
    }

    /// No blank, no control, no socket's directory, no list, and nothing with a meaning in a statement or a connection string.
    private static func mayBeInHost(_ byte: UInt8) -> Bool {
        byte > 32 && byte != 127 && !"[]@/,'\\\"".utf8.contains(byte)
    }
}
