// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Decision
import EventLoop
import Settings
import Shell

struct History: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the changes of leader that are on record, planned or not.",
        discussion: "Read from etcd, whether the daemon runs or not. Exit status: 0, or 69 if etcd does not answer.")
    @OptionGroup var file: ConfigurationOption
    @Flag(help: "Print the records as JSON.") var json = false

    func run() throws {
        let isJSON = self.json
        let settings = try loadSettings(self.file.path)
        let code = runOnLoop {
            guard let records = await readHistory(settings) else { return ExitStatus.unavailableNumber }
            if isJSON {
                print("[" + records.map(\.json).joined(separator: ",\n ") + "]")
            } else {
                print(HistoryText(records).list, terminator: "")
            }
            return 0
        }
        guard code == .success else { throw code }
    }
}

struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show one change of leader: what happened when, and how long it took against the promise.",
        discussion: "Exit status: 0, 1 if there is no such record, 69 if etcd does not answer.")
    @OptionGroup var file: ConfigurationOption
    @Argument(
        help: "The record's number, as `pharos history` prints it; \"last\" for the newest.",
        completion: .list(["last"]))
    var id: String
    @Flag(help: "Print the record as JSON.") var json = false

    func validate() throws {
        guard self.id == "last" || Int64(self.id).map({ $0 > 0 }) == true else {
            throw ValidationError("'\(self.id)' is no record's number; see `pharos history`, or say last")
        }
    }

    func run() throws {
        let (id, isJSON) = (self.id, self.json)
        let settings = try loadSettings(self.file.path)
        let code = runOnLoop {
            guard let records = await readHistory(settings) else { return ExitStatus.unavailableNumber }
            let record = id == "last" ? records.last : records.first { "\($0.revision)" == id }
            guard let record else {
                let advice = settings.instance.addressed("see `pharos history`")
                complain(
                    records.isEmpty
                        ? "pharos: no change of leader is on record" : "pharos: no record \(id); \(advice)")
                return 1
            }
            print(isJSON ? record.json + "\n" : HistoryText([record]).timeline(record), terminator: "")
            return 0
        }
        guard code == .success else { throw code }
    }
}

/// The records, oldest first; nil if they cannot be read, which has been said.
@EventLoop
private func readHistory(_ settings: Settings) async -> [FailoverRecord]? {
    do throws(FailoverHistory.Failure) {
        return try await FailoverHistory.read(settings)
    } catch {
        complain("pharos: the records cannot be read: \(error.description)")
        return nil
    }
}
