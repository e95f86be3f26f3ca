// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Decision
import EventLoop
import HTTPClient
import LenientJSON
import Settings
import Synchronization

/// What the shells offer for the next word. Whoever types waits for it, so the daemon has less than a second, and without an answer there
/// is nothing to offer: nothing is ever said about that.
enum Completions {
    private static let patience: Duration = .milliseconds(700)
    /// Words that a shell is offered.
    private static let limit = 1000

    /// Members, of the daemon that the line names.
    static var members: CompletionKind {
        .custom { words, _, _ in
            self.offered(
                self.groups(of: self.cluster(words)).flatMap { $0["members"]?.array ?? [] }.compactMap {
                    $0["member"]?.string
                })
        }
    }

    /// Numbers of Citus groups.
    static var groupNumbers: CompletionKind {
        .custom { words, _, _ in
            self.offered(self.groups(of: self.cluster(words)).compactMap { $0["group"]?.int64.map(String.init) })
        }
    }

    /// Clusters of this host that have a configuration of their own.
    static var clusters: CompletionKind {
        .custom { _, _, _ in self.offered(DaemonInstance.names()) }
    }

    /// What `pharos verify` may find: no daemon is asked.
    static var findings: CompletionKind { .list(Finding.Code.allCases.map(\.rawValue)) }

    /// A shell runs nothing of it; but whoever reads a name does not want to see a terminal steered.
    private static func offered(_ words: [String]) -> [String] {
        var seen: Set<String> = []
        return words.filter { word in
            let isPlain = !word.isEmpty && word.utf8.allSatisfy { $0 > 32 && $0 < 127 }
            return isPlain && seen.insert(word).inserted
        }.prefix(self.limit).sorted()
    }

    static func groups(of cluster: JSON?) -> [JSON] { cluster?["groups"]?.array ?? [] }

    /// What the daemon answers that `--socket` or `--cluster` on the line names, or else the plain one.
    private static func cluster(_ words: [String]) -> JSON? {
        let socket = self.socket(words)
        let found = Mutex<JSON?>(nil)
        let code = runOnLoop {
            do throws(HTTPError) {
                let answer = try await ShowStatus.ask(socket, path: "/cluster", timeout: self.patience)
                let json = answer.status == 200 ? JSON.parse(answer.body) : nil
                found.withLock { $0 = json }
            } catch {
                // Nothing to offer.
            }
            return 0
        }
        return code == .success ? found.withLock { $0 } : nil
    }

    /// By the words of the line as the shell has them.
    static func socket(_ words: [String]) -> String {
        func value(_ option: String) -> String? {
            for (index, word) in words.enumerated() {
                if word.hasPrefix("\(option)=") { return String(word.dropFirst(option.count + 1)) }
                if word == option, index + 1 < words.count { return words[index + 1] }
            }
            return nil
        }
        return value("--socket") ?? ClusterName.instance(value("--cluster")).socket
    }
}
