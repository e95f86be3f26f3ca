// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EventLoop
import PostgresClient

/// What several nodes have a copy of, looked at a second time where the copies differ.
extension ClusterVerifier {
    /// A digest says that copies differ; people want to know in what.
    func nameDifferences(_ facts: inout ClusterFacts) async {
        guard let own = facts.coordinator?.facts.digests else { return }
        var coordinators: [CatalogTable: Set<String>] = [:]
        for (endpoint, answer) in facts.nodes {
            guard case .answered(var node) = answer else { continue }
            let tables = CatalogTable.allCases.filter { table in
                own[table].map { here in node.digests[table].map { $0 != here } ?? false } ?? false
            }
            guard !tables.isEmpty else { continue }
            do {
                let there = try await self.lines(of: tables, self.connect(endpoint, facts))
                let missing = tables.filter { coordinators[$0] == nil }
                let here = try await self.lines(of: missing, self.connectToCoordinator(facts))
                coordinators.merge(here) { $1 }
                for table in tables {
                    guard let there = there[table], let here = coordinators[table] else { continue }
                    node.differences[table] = CopyDifference(
                        extra: Array(there.subtracting(here).sorted().prefix(Self.examples)),
                        lacking: Array(here.subtracting(there).sorted().prefix(Self.examples)))
                }
                facts.nodes[endpoint] = .answered(node)
            } catch {
                continue  // That they differ is told all the same.
            }
        }
    }

    private static let examples = 3

    private func lines(
        of tables: [CatalogTable], _ connection: PostgresConnection
    ) async throws(CitusError) -> [CatalogTable: Set<String>] {
        let catalog = CitusCatalog(connection)
        try await catalog.prepareToLook()
        var lines: [CatalogTable: Set<String>] = [:]
        for table in tables {
            if let its = CitusTable(rawValue: table.rawValue) { lines[table] = try await catalog.lines(of: its) }
        }
        return lines
    }

    /// Where copies of a shard differ, all nodes are asked for theirs again, at the same time: what has changed anywhere since the first look
    /// is being written, and not compared.
    func readContentsAgain(_ facts: inout ClusterFacts) async {
        var digests: [ShardID: Set<String>] = [:]
        func note(_ node: NodeFacts) {
            for (shard, copy) in node.copies ?? [:] {
                digests[shard, default: []].insert("\(copy.count) \(copy.digest)")
            }
        }
        if let own = facts.coordinator?.facts { note(own) }
        for case .answered(let node) in facts.nodes.values where !node.isInRecovery { note(node) }
        guard digests.contains(where: { $0.value.count > 1 }) else { return }
        let asked = facts
        var places: [NodeEndpoint?] = [nil]
        for (endpoint, answer) in facts.nodes {
            if case .answered(let node) = answer, node.copies != nil { places.append(endpoint) }
        }
        let again = await inBatches(places, of: Self.nodesAtOnce) { place in (place, await self.contents(place, asked))
        }
        for (place, copies) in again {
            func marked(_ before: [ShardID: ShardCopyDigest]?) -> [ShardID: ShardCopyDigest]? {
                before?.reduce(into: [:]) { marked, entry in
                    var copy = entry.value
                    // Who could not be asked again may have changed it.
                    if copies?[entry.key] != copy.digest { copy.isChanging = true }
                    marked[entry.key] = copy
                }
            }
            if let place {
                guard case .answered(var node)? = facts.nodes[place] else { continue }
                node.copies = marked(node.copies)
                facts.nodes[place] = .answered(node)
            } else if let before = facts.coordinator?.facts.copies {
                facts.coordinator?.facts.copies = marked(before)
            }
        }
    }

    private func contents(_ place: NodeEndpoint?, _ facts: ClusterFacts) async -> [ShardID: String]? {
        do {
            let catalog = CitusCatalog(try await self.connect(place, facts))
            try await catalog.prepareToLook(limit: NodeLook.longTimeout - .seconds(1))
            let copies = try await catalog.shardCopies(timeout: NodeLook.longTimeout)
            return Dictionary(copies.map { ($0.shard, $0.digest) }) { $1 }
        } catch {
            return nil
        }
    }

    /// What etcd has on record of restore points, and what a person has handed in.
    func records(_ points: [RestorePoint]) async -> [String: RestorePointRecord] {
        var all = points
        // An etcd that has none, or does not answer, proves nothing.
        do throws(RestorePointList.Failure) { all += try await self.restorePoints().read() } catch {}
        return all.reduce(into: [:]) { records, point in
            // Of two records of one point the worse counts.
            let record: RestorePointRecord = point.isComplete ? .complete : .incomplete
            records[point.id] = records[point.id] == .incomplete ? .incomplete : record
        }
    }
}
