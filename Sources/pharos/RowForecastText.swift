// SPDX-License-Identifier: Apache-2.0
import Decision
import Shell

/// What `pharos check-config` says of the rows of one database.
struct RowForecastText {
    let facts: ClusterFacts

    init(_ facts: ClusterFacts) { self.facts = facts }

    var lines: [String] {
        let head = "citus: \(self.facts.database):"
        if let problem = self.facts.coordinatorProblem ?? self.facts.etcdProblem {
            let who = self.facts.coordinatorProblem == nil ? "etcd" : "the coordinator"
            return [
                "\(head) what the daemon would change in pg_dist_node is not known: \(who) cannot be asked: \(problem)"
            ]
        }
        let unknown = self.facts.leaders.filter { $0.value.endpoint == nil }.keys.sorted()
        let forecasts = rowForecasts(self.facts)
        var lines = forecasts.flatMap { self.lines($0).map { "\(head) \($0)" } }
        for group in unknown { lines.append("\(head) group \(group): etcd does not say where its leader is reached") }
        if lines.isEmpty { lines.append("\(head) pg_dist_node names every leader: nothing would be changed") }
        return lines
    }

    private func lines(_ forecast: RowForecast) -> [String] {
        let group = "group \(forecast.group):"
        switch forecast.kind {
        case .changed(let changes): return changes.map { "\(group) \(self.intent): \($0.sql)" }
        case .left(let place, leadsToLeader: true):
            return ["\(group) its row is left alone: the leader, at \(forecast.leader), answers at \(place) too"]
        case .left(let place, leadsToLeader: false):
            return [
                "\(group) its row is left alone: it names \(place), where no member of the group is known to be, and the leader, at \(forecast.leader), is not seen to answer. If the row is wrong, on the coordinator's leader: pharos repair row-not-leader"
            ]
        case .refused(let refusal): return ["\(group) needs an operator: \(refusal)"]
        }
    }

    private var intent: String {
        switch self.facts.settings.mode {
        case .own: "the daemon would run, as soon as the leader accepts writes"
        case .reconcile: "the daemon would run, if nobody else has put it right within 'settle'"
        case .observe: "mode observe would only tell; it needs"
        }
    }
}
