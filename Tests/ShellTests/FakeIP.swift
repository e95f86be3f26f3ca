// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import TestSupport

/// A program in the place of iproute2's `ip`, with one interface and room for one address; it needs no rights.
///
/// It keeps `held` (address, prefix length, lifetime) and appends every call to `log`. Files that a test makes change
/// its ways: `listing` is printed instead of the truth; with `gone` the address goes a moment before it is removed; with
/// `refusing-COMMAND` that file is printed, and the exit code is 2. Or it is the real one, acting in a namespace.
@EventLoop
final class FakeIP {
    /// No interface of any machine: what is announced there reaches nobody.
    static let interface = "pharos-none0"
    /// Another name of the same.
    static let alternative = "pharos-none0-clients"
    private let folder: TemporaryDirectory
    var path: String { self.folder.file("ip") }

    /// - Parameter real: the real `ip` with its options, in the place of this one.
    init(instead real: [String]? = nil) throws {
        self.folder = try TemporaryDirectory("ip")
        let real = real.map { "#!/bin/sh\nexec \($0.joined(separator: " ")) \"$@\"\n" }
        try self.folder.write("ip", real ?? Self.script(self.folder.path))
        guard chmod(self.path, 0o755) == 0 else { throw TestSupportError("chmod: \(errno)") }
        try self.set("held", "")
        try self.set("log", "")
    }

    /// Only what the shell itself can do: a change has 250 ms, also on a busy machine.
    private static func script(_ folder: String) -> String {
        """
        #!/bin/sh
        D=\(folder)
        echo "$*" >> $D/log
        refuse() { if [ -e $D/refusing-$1 ]; then read -r text < $D/refusing-$1; echo "$text"; exit 2; fi; }
        case "$*" in
        "-json address show")
            refuse list
            if [ -e $D/listing ]; then exec cat $D/listing; fi
            read -r address length seconds < $D/held
            info=
            if [ -n "$address" ]; then
                info="{\\"family\\":\\"inet\\",\\"local\\":\\"$address\\",\\"prefixlen\\":$length,\\"valid_life_time\\":$seconds}"
            fi
            echo "[{\\"ifindex\\":7,\\"ifname\\":\\"\(Self.interface)\\",\\"altnames\\":[\\"\(Self.alternative)\\"],\\"flags\\":[\\"UP\\",\\"LOWER_UP\\"],\\"addr_info\\":[$info]}]" ;;
        "addr replace "*)
            refuse replace
            echo "${3%/*} ${3#*/} $7" > $D/held ;;
        "-s addr flush "*)
            refuse flush
            if [ -e $D/gone ]; then : > $D/held; fi
            if [ -s $D/held ]; then echo "*** Flush is complete after 1 round ***"; else echo "Nothing to flush."; fi
            : > $D/held ;;
        "addr del "*)
            refuse del
            read -r address length seconds < $D/held
            if [ "$address/$length" != "$3" ]; then echo "Cannot assign requested address"; exit 2; fi
            : > $D/held ;;
        *) echo "unknown: $*"; exit 1 ;;
        esac

        """
    }

    func set(_ name: String, _ text: String) throws { try self.folder.write(name, text) }
    func unset(_ name: String) { unlink(self.folder.file(name)) }

    private func read(_ name: String) -> String {
        guard let file = fopen(self.folder.file(name), "r") else { return "" }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 18)
        return String(decoding: bytes[..<fread(&bytes, 1, bytes.count, file)], as: UTF8.self)
    }

    /// The address that it holds; nil: none.
    var held: String? { self.read("held").split(separator: " ").first.map(String.init) }
    /// The calls, in order.
    var calls: [String] { self.read("log").split(separator: "\n").map(String.init) }
    func calls(of command: String) -> Int { self.calls.count { $0.hasPrefix(command) } }
}
