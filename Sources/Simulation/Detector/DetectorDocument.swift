// SPDX-License-Identifier: Apache-2.0
import Decision

/// docs/detector.md, made from the tables that the detector runs by: `pharos-simulate detector --write docs/detector.md`.
public enum DetectorDocument {
    public static let markdown = """
        # The failure detector

        Made from the tables that the detector runs by (`make docs`); `make test` compares. `pharos why` shows it at work.

        ## How a verdict comes about

        1. Each daemon probes Patroni (`GET /liveness`) and PostgreSQL (a query; on a primary also a write) of every member it
           watches. A failure adds 1 to a score, a success takes `leak` off it; at `threshold` this source holds the target
           failed. The threshold grows with the local-health multiplier S to `threshold` x (S + 1), where the daemon has
           reason to doubt itself.
        2. The sources are put together: own probes, etcd's keys, the other daemons' observations, the WAL receiver. Enough of
           those that can be heard must agree (`agreement`), and never fewer than `minimum_sources`.
           What etcd's keys say is the core's one view of the groups, at which Citus looks too; it counts for two reads of
           `interval` (at least 10 s) and a request's time, and then nothing is concluded from it.
        3. From what holds for Patroni and for PostgreSQL follows the verdict.

        ## States

        The same machine serves one source's evidence (step 1) and all sources together (step 2).

        \(states)

        ```mermaid
        stateDiagram-v2
        \(diagram)
        ```

        | State | Input | Next | Effects | Reason |
        | --- | --- | --- | --- | --- |
        \(transitions)

        | Input | From one source | From all sources |
        | --- | --- | --- |
        | `answered` | a success | none holds it failed, some doubt |
        | `cleared` | a success with which nothing is left of the score, or the `rise`th in a row after a failure | none holds anything against it |
        | `missed` | a failure below the threshold | a source holds it failed, too few second that |
        | `exhausted` | a failure with which the score reaches the threshold | enough sources hold it failed |
        | `silent` | nothing for a whole window | no source can be heard |
        | `flapped`, `settled` | – | the flap penalty reaches \(whole(FlapPenalty.suppressAt)); has decayed to \(whole(FlapPenalty.reuseAt)) |
        | `acknowledged` | – | `pharos acknowledge` |

        A member that is suppressed is still judged, and the verdict told; nothing follows from it. Each verdict "failed" adds \(whole(FlapPenalty.perFlap)) to the penalty, which halves every \(whole(FlapPenalty.halfLife / .seconds(60))) minutes
        (RFC 2439).

        ## Verdicts

        The first rule that matches counts.

        | Patroni | PostgreSQL | Leader key | Leader in recovery | Lag | Verdict | Reason |
        | --- | --- | --- | --- | --- | --- | --- |
        \(verdicts)

        In recovery: as the leader's PostgreSQL says of itself to this daemon, which needs no second; "lasting": `threshold` times in a row and for
        10 s at least. In a standby cluster it belongs there. Nothing but the record follows from it: while Patroni renews the leader key, it promotes
        nobody else, and Pharos asks for no switchover.

        ## When Patroni is asked to switch over

        With `on_gray_failure: switchover`, from a leader that is held gray, by one daemon, once for each leadership (decision
        0018), and to the most advanced standby that is fit. Each of these forbids it; the first that holds is told:

        | Rule | Why not |
        | --- | --- |
        \(switchoverRules)

        ## Profiles

        | | `hyperscale` | `fast` |
        | --- | --- | --- |
        \(profiles)

        The last of `threshold` failing probes, its timeout included, ends within the window, though the failure began right
        after a probe: probes begin every `interval` - `timeout` / `threshold`.

        ## Figures

        `pharos-simulate detector` measures them on the real detector: false alarms per node and year on lossy paths, and the time to
        a verdict, each beside what theory gives.

        """

    private static let states = DetectorState.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ")

    private static let transitions = DetectorTransition.table.map { row in
        let inputs = row.inputs.map { "`\($0.rawValue)`" }.joined(separator: ", ")
        let effects = row.effects.isEmpty ? "–" : row.effects.map(\.rawValue).joined(separator: ", ")
        return "| \(row.state.rawValue) | \(inputs) | \(row.next.rawValue) | \(effects) | \(row.reason) |"
    }.joined(separator: "\n")

    private static let diagram = DetectorTransition.table.filter { $0.next != $0.state }.map { row in
        "    \(row.state.rawValue) --> \(row.next.rawValue): \(row.inputs.map(\.rawValue).joined(separator: ", "))"
    }.joined(separator: "\n")

    private static let verdicts = VerdictRule.all.map { rule in
        let leader = rule.isLeader.map { $0 ? "held" : "not held" } ?? "any"
        let recovery = rule.recovery.map { list in
            LeaderRecovery.allCases.filter { list.contains($0) }.map(\.rawValue).joined(separator: ", ")
        }
        let lag = rule.isLagging.map { $0 ? "above" : "within" } ?? "any"
        return
            "| \(list(rule.patroni)) | \(list(rule.postgres)) | \(leader) | \(recovery ?? "any") | \(lag) | \(rule.verdict.rawValue) | \(rule.reason) |"
    }.joined(separator: "\n")

    private static let switchoverRules = SwitchoverRule.allCases.map { "| \($0.rawValue) | \($0.meaning) |" }
        .joined(separator: "\n")

    private static func list(_ states: Set<DetectorState>?) -> String {
        guard let states else { return "any" }
        return DetectorState.allCases.filter { states.contains($0) }.map(\.rawValue).joined(separator: ", ")
    }

    private static let profiles: String = {
        let (one, other) = (DetectorProfile.hyperscale, DetectorProfile.fast)
        let rows: [(String, (DetectorProfile) -> String)] = [
            ("`interval`", { seconds($0.interval) }), ("`timeout`", { seconds($0.timeout) }),
            ("`threshold`", { "\($0.threshold)" }), ("`leak`", { "\($0.leak)" }), ("`rise`", { "\($0.rise)" }),
            ("`agreement`", { $0.agreement.rawValue }), ("`minimum_sources`", { "\($0.minimumSources)" }),
            ("window: `interval` x `threshold`", { seconds($0.window) }),
            ("probes begin every", { seconds($0.spacing) }),
        ]
        return rows.map { "| \($0.0) | \($0.1(one)) | \($0.1(other)) |" }.joined(separator: "\n")
    }()

    private static func seconds(_ duration: Duration) -> String { "\(duration / .seconds(1)) s" }
    private static func whole(_ value: Double) -> String { "\(Int(value))" }
}
