// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Become the daemon, pharosd, in this same process.",
        discussion: "systemd starts pharosd itself; units of earlier versions start this.")
    @OptionGroup var file: ConfigurationOption

    /// Comes back only where the daemon cannot be started.
    ///
    /// The process stays the one that systemd started: with its id it is told, pinged for and stopped.
    func run() throws {
        let places = Self.places(besides: Self.ownPath())
        for path in places {
            var arguments: [UnsafeMutablePointer<CChar>?] = [
                strdup(path), strdup("--config"), strdup(self.file.path), nil,
            ]
            execv(path, &arguments)
            // Nothing has happened: the next place may have it.
            if errno == ENOENT { continue }
            complain("pharos: cannot run \(path): \(String(cString: strerror(errno)))")
            throw ExitStatus.unavailable
        }
        complain("pharos: there is no \(places.joined(separator: " and no "))")
        throw ExitStatus.unavailable
    }

    /// Where the daemon may be, of the version of the command at `own`: beside it where both were built, else where both are
    /// installed.
    static func places(besides own: String) -> [String] {
        let folders = own.split(separator: "/").dropLast().map { "/" + $0 }
        return [folders.joined() + "/pharosd", folders.dropLast().joined() + "/sbin/pharosd"]
    }

    /// This program's file, also where it has been replaced since.
    private static func ownPath() -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink("/proc/self/exe", &buffer, Int(PATH_MAX))
        return String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
