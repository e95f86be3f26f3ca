// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EventLoop
import PostgresClient

/// A transaction that keeps writes to a group waiting while its leader is switched over.
extension CoordinatorDatabase {
    func hold(_ group: Int, _ nodeID: Int, _ authority: GroupAuthority, limit: Duration) async -> CitusEvent {
        self.held = nil
        let number = self.wish.number + 1
        self.wish = (group, number)
        // Others wait behind a wish for a lock: where it is not granted soon, they had better not.
        let update = CitusUpdate(
            [CitusUpdate.Part(group: group, steps: [], revision: authority.revision)],
            etcdCluster: authority.clusterID, lockTimeout: Self.lockTimeout, statementTimeout: Self.statementTimeout)
        let late = CitusEvent.holdEnded(self.name, group: group, reason: "no answer within \(update.limit)")
        return await ConnectionUse.run(within: update.limit, late: late) {
            await self.hold(group, number, update, nodeID, limit: limit, $0)
        }
    }

    /// - Parameter number: the wish's, from when it was made: it may have been let go before this begins.
    private func hold(
        _ group: Int, _ number: Int, _ update: CitusUpdate, _ nodeID: Int, limit: Duration, _ use: ConnectionUse
    ) async -> CitusEvent {
        let released = CitusEvent.holdEnded(self.name, group: group, reason: "released")
        do throws(CitusError) {
            let connection: PostgresConnection
            do throws(PostgresError) { connection = try await self.open() } catch { throw .database(error) }
            try use.begin(connection)
            guard self.wish.number == number else {
                connection.end()
                return released
            }
            self.acquiring = connection
            defer { if self.acquiring === connection { self.acquiring = nil } }
            guard try await CitusCatalog(connection).canHold() else {
                return .holdEnded(
                    self.name, group: group,
                    reason: "Citus before 12.1 cannot let writes wait: those to the old leader fail")
            }
            if let refusal = try await CitusCatalog(connection).hold(update, nodeID: nodeID, limit: limit) {
                return .holdEnded(self.name, group: group, reason: UpdateOutcome(.refused(refusal)).reason)
            }
            let blocksOthers = try await CitusCatalog(connection).hasSharedShards()
            // Ended meanwhile.
            try use.begin(connection)
            guard self.wish.number == number else {
                connection.end()
                return released
            }
            self.held = connection
            connection.whenEnded { [unowned self, weak connection] in
                // One that was taken since is another call's.
                guard let connection, self.held === connection else { return }
                self.held = nil
                self.deliver(.holdEnded(self.name, group: group, reason: "the server ended the transaction"))
            }
            return .held(self.name, group: group, blocksOthers: blocksOthers)
        } catch {
            return .holdEnded(self.name, group: group, reason: error.reason)
        }
    }

    func commitHold(_ update: RowUpdate, askedAt: Instant) async -> CitusEvent {
        // Whatever comes of it: nothing is held after that.
        guard let connection = self.held.take() else {
            return Ended(failed: "the held transaction has ended").event(self.name, [update.group], askedAt)
        }
        let limit = CitusUpdate([update]).limit
        let ended = await ConnectionUse.run(within: limit, late: Ended(late: limit)) { use in
            do throws(CitusError) {
                try use.begin(connection)
                return Ended(try await CitusCatalog(connection).commitHeld(CitusUpdate([update])))
            } catch {
                return Ended(error)
            }
        }
        return ended.event(self.name, [update.group], askedAt)
    }

    func releaseHold(_ group: Int) async -> CitusEvent {
        let released = CitusEvent.holdEnded(self.name, group: group, reason: "released")
        // What is held, or on its way, may be another group's by now.
        guard self.wish.group == group else { return released }
        self.wish.number += 1
        // The server gives up its wish for the locks within half a second (`client_connection_check_interval`).
        self.acquiring.take()?.end()
        if let connection = self.held.take() {
            await ConnectionUse.run(within: Self.releaseLimit, late: ()) { use in
                do throws(CitusError) { try use.begin(connection) } catch { return }
                await CitusCatalog(connection).releaseHeld()
            }
        }
        return released
    }
}
