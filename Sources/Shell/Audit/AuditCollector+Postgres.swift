// SPDX-License-Identifier: Apache-2.0
import Audit
import Decision
import EventLoop
import PostgresClient
import Settings

/// What the members' PostgreSQL say of themselves.
extension AuditCollector {
    /// For connecting, and for each question.
    nonisolated static let serverTimeout: Duration = .seconds(2)

    /// For all questions to one server.
    private nonisolated static let interviewLimit: Duration = .seconds(10)

    /// All members' servers, asked side by side, and how Citus is followed.
    func servers(
        _ members: [AuditFacts.PatroniState.Member]
    ) async -> (servers: [String: Fact<AuditFacts.Server>], citus: AuditFacts.CitusUse?) {
        var names = Set(members.map(\.name))
        names.insert(self.settings.member)
        let database = self.settings.citus?.core.databases.first
        let nodes = NodeConnections(
            conninfo: self.settings.detector.nodeConninfo, database: database ?? "postgres", resolver: self.resolver)
        defer { nodes.stop() }
        let tasks = names.sorted().map { name in
            (name, EventLoop.task { await self.server(name, members.first { $0.name == name }, nodes, database) })
        }
        var servers: [String: Fact<AuditFacts.Server>] = [:]
        var citus = self.settings.citus.map { settings in
            var use = AuditFacts.CitusUse()
            use.isPatroniMode = settings.scopes == nil
            use.databases = settings.core.databases
            return use
        }
        for (name, task) in tasks {
            do throws(WaitError) {
                let (server, coordinator) = try await EventLoop.value(of: task, within: Self.interviewLimit)
                servers[name] = server
                if name == self.settings.member { citus?.coordinatorHasShards = coordinator }
            } catch {
                servers[name] = .unlooked(
                    why: "its answers take longer than \(Self.interviewLimit.components.seconds) s")
            }
        }
        return (servers, citus)
    }

    private func server(
        _ name: String, _ member: AuditFacts.PatroniState.Member?, _ nodes: NodeConnections, _ database: String?
    ) async -> (server: Fact<AuditFacts.Server>, coordinatorHasShards: Fact<Bool>) {
        do throws(PostgresError) {
            let connection: PostgresConnection
            if name == self.settings.member {
                connection = try await PostgresConnector(resolver: self.resolver).connect(
                    self.settings.postgres.conninfo, database: database, timeout: Self.serverTimeout)
            } else {
                guard let place = member?.place else {
                    return (.unlooked(why: "its key does not say where it is"), .unlooked(why: AuditFacts.notAsked))
                }
                connection = try await nodes.connect(place, timeout: Self.serverTimeout)
            }
            let interview = ServerInterview(connection)
            let server = try await interview.server()
            let shards =
                self.settings.citus == nil
                ? Fact<Bool>.unlooked(why: AuditFacts.notAsked) : await interview.coordinatorHasShards()
            return (.known(server, source: "PostgreSQL of \(name)"), shards)
        } catch {
            let why = error.message.firstLine
            return (.unlooked(why: why), .unlooked(why: "PostgreSQL of \(name): \(why)"))
        }
    }
}

extension AuditFacts.PatroniState.Member {
    /// Where its PostgreSQL is.
    fileprivate var place: NodeEndpoint? { self.host.map { NodeEndpoint($0, self.port) } }
}
