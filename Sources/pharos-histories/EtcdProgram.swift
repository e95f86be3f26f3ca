// SPDX-License-Identifier: Apache-2.0
import EventLoop
import NetworkBed

/// etcd's program and what is known of its version.
enum EtcdProgram {
    struct Version: Sendable {
        let text: String
        /// A member that led and stood still for longer than a lease may end leases that others have kept alive meanwhile, and
        /// answer keep-alives that count for nothing (etcd's issue 15247, mended in 3.4.31 and 3.5.13).
        let endsLeasesEarly: Bool

        /// Nil where that is no version.
        init?(text: String) {
            let numbers = text.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) }
            guard numbers.count == 3, let major = numbers[0], let minor = numbers[1], let patch = numbers[2] else {
                return nil
            }
            self.text = text
            let mended = (major, minor) < (3, 5) ? [3, 4, 31] : [3, 5, 13]
            self.endsLeasesEarly = [major, minor, patch].lexicographicallyPrecedes(mended)
        }
    }

    @EventLoop
    static func version(_ program: String) async throws(BedError) -> Version {
        let outcome: ChildProcess.Outcome
        do throws(ChildProcessError) {
            outcome = try await ChildProcess([program, "--version"]).run()
        } catch {
            throw BedError(error.description)
        }
        let first = outcome.text.split(separator: "\n").first ?? ""
        guard let version = Version(text: String(first.split(separator: " ").last ?? "")) else {
            throw BedError("\(program) does not tell its version")
        }
        return version
    }
}
