// SPDX-License-Identifier: Apache-2.0
import EtcdValues
import TestSupport
import Testing

@testable import EtcdClient

/// Everything that the decoder makes of `chunks`; ends with the error, if there is one.
private func messages(_ chunks: some Sequence<[UInt8]>) -> [Result<WatchMessage, MalformedAnswer>] {
    var decoder = WatchDecoder()
    var messages: [Result<WatchMessage, MalformedAnswer>] = []
    do throws(MalformedAnswer) {
        for chunk in chunks {
            decoder.append(chunk)
            while let message = try decoder.next() { messages.append(.success(message)) }
        }
    } catch {
        messages.append(.failure(error))
    }
    return messages
}

private func line(_ text: String) -> [UInt8] { Array((text + "\n").utf8) }
private let header = #""header":{"cluster_id":"1","member_id":"2","revision":"9","raft_term":"3"}"#

struct WatchDecoderTests {
    @Test(arguments: ["19-watch.tsv", "07-watch.tsv"])
    func `a recorded watch is read, however it is cut`(name: String) throws {
        let lines = try recordedWatch(name)
        let whole = messages(lines)
        #expect(whole.count == lines.count)
        let events = whole.flatMap { message -> [WatchEvent] in
            guard case .success(.batch(let batch)) = message else { return [] }
            return batch.events
        }
        #expect(events.map(\.keyValue.modRevision) == events.map(\.keyValue.modRevision).sorted())
        #expect(events.allSatisfy { $0.keyValue.keyText.hasPrefix("/service/demo/") })
        let stream = Array(lines.joined())
        #expect(messages(stream.map { [$0] }) == whole, "byte by byte")
        #expect(messages([stream]) == whole, "at once")
        // Cut in two at every byte of the first 1,500.
        let part = Array(stream.prefix(1500))
        let expected = messages([part])
        for cut in 0...part.count {
            #expect(messages([Array(part[..<cut]), Array(part[cut...])]) == expected)
        }
    }

    @Test func `a lease's end is two deletions in one revision`() throws {
        let batches = messages(try recordedWatch("19-watch.tsv"))
        guard case .success(.batch(let created)) = batches[0], case .success(.batch(let expiry)) = batches[1] else {
            Issue.record("no batches")
            return
        }
        #expect(created.isCreation && created.events.isEmpty && created.header.revision == 15)
        #expect(expiry.events.map(\.kind) == [.delete, .delete])
        #expect(expiry.events.map(\.keyValue.keyText) == ["/service/demo/leader", "/service/demo/members/pg3"])
        #expect(expiry.events.allSatisfy { $0.keyValue.modRevision == 16 && $0.keyValue.value.isEmpty })
    }

    @Test func `the loss of the leader ends a recorded watch`() throws {
        let read = messages(try recordedWatch("09-hasleader-watch.tsv"))
        guard case .success(.failed(let failure)) = read.last else {
            Issue.record("no failure")
            return
        }
        #expect(failure.kind == .noLeader && failure.blamesEndpoint)
    }

    @Test func `an error is read without its newline, however it is cut`() throws {
        let error = try Recorded("11-watch_create_hasleader").body.filter { $0 != UInt8(ascii: "\n") }
        for cut in 0...error.count {
            let read = messages([Array(error[..<cut]), Array(error[cut...])])
            guard case .success(.failed(let failure)) = read.first, read.count == 1 else {
                Issue.record("cut at \(cut): \(read)")
                return
            }
            #expect(failure.kind == .noLeader)
        }
    }

    @Test(arguments: [
        ("03-watch_compacted", EtcdError.Kind.compacted(21), false), ("18-watch_bad_token", .unauthenticated, true),
        ("18-watch_no_token", .unauthenticated, true),
    ])
    func `a recorded cancellation is understood`(name: String, kind: EtcdError.Kind, wantsToken: Bool) throws {
        let read = messages([try Recorded(name).body + [UInt8(ascii: "\n")]])
        guard case .success(.failed(let failure)) = read.last else {
            Issue.record("no failure")
            return
        }
        #expect(failure.kind == kind && failure.wantsToken == wantsToken)
    }

    @Test func `other cancellations`() {
        let denied = line(
            #"{"result":{\#(header),"watch_id":"-1","canceled":true,"cancel_reason":"permission denied"}}"#
        )
        let other = line(#"{"result":{\#(header),"canceled":true,"cancel_reason":"because"}}"#)
        for (bytes, kind) in [(denied, EtcdError.Kind.permissionDenied), (other, .watchCancelled)] {
            guard case .success(.failed(let failure)) = messages([bytes]).last else {
                Issue.record("no failure")
                return
            }
            #expect(failure.kind == kind)
        }
    }

    @Test func `fragments are one batch`() {
        func event(_ number: Int) -> String { #"{"kv":{"key":"YQ==","mod_revision":"\#(number)"}}"# }
        let read = messages([
            line(#"{"result":{\#(header),"fragment":true,"events":[\#(event(1)),\#(event(2))]}}"#),
            line(#"{"result":{\#(header),"fragment":true,"events":[\#(event(3))]}}"#),
            line(#"{"result":{\#(header),"events":[\#(event(4))]}}"#),
            line(#"{"result":{\#(header),"events":[\#(event(5))]}}"#),
        ])
        let revisions = read.map { message -> [Int64] in
            guard case .success(.batch(let batch)) = message else { return [] }
            return batch.events.map(\.keyValue.modRevision)
        }
        #expect(revisions == [[1, 2, 3, 4], [5]])
    }

    @Test func `a line without end is an error, not a growing buffer`() {
        let chunk = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)
        #expect(messages(repeatElement(chunk, count: 9)).count == 1)
        let fragment = line(
            #"{"result":{\#(header),"fragment":true,"events":[],"x":"\#(String(repeating: "y", count: 1 << 20))"}}"#
        )
        let read = messages(repeatElement(fragment, count: 9))
        #expect(read.count == 1)
    }

    @Test(arguments: [
        "x", "{}", "[]", "null", #"{"result":3}"#, #"{"result":{}}"#, #"{"result":{"header":{"revision":"1"}}}"#,
        #"{"result":{HEADER,"events":{}}}"#, #"{"result":{HEADER,"events":[{}]}}"#,
        #"{"result":{HEADER,"events":[{"kv":{"key":"YQ=="}}]}}"#,
        #"{"result":{HEADER,"events":[{"kv":{"mod_revision":"1"}}]}}"#,
        #"{"result":{HEADER,"events":[{"type":"MERGE","kv":{"key":"YQ==","mod_revision":"1"}}]}}"#,
        #"{"result":{HEADER,"events":[{"kv":{"key":"YQ=","mod_revision":"1"}}]}}"#,
        #"{"result":{HEADER,"events":[{"kv":{"key":"YQ==","mod_revision":"-1"}}]}}"#,
        #"{"result":{HEADER,"created":"yes"}}"#,
        #"{"result":{"header":{"cluster_id":"1","revision":"9223372036854775807"},"created":true}}"#,
        #"{"result":{HEADER,"events":[{"kv":{"key":"YQ==","mod_revision":"9223372036854775807"}}]}}"#,
        #"{"result":{HEADER,"canceled":true,"compact_revision":"9223372036854775807"}}"#,
    ])
    func `what no etcd says is malformed`(text: String) {
        let read = messages([line(text.replacing("HEADER", with: header))])
        guard case .failure = read.last else {
            Issue.record("accepted: \(read)")
            return
        }
    }
}

struct EtcdMutationTests {
    @Test func `no truncation of a recorded watch is misread`() throws {
        let stream = Array(try recordedWatch("19-watch.tsv").joined().prefix(2048))
        let whole = messages([stream])
        for length in 0..<stream.count {
            let read = messages([Array(stream[..<length])])
            #expect(read == Array(whole.prefix(read.count)))
        }
    }

    @Test func `30,000 mutations of recorded answers crash nothing`() async throws {
        var generator = SeededGenerator(1)
        let watches = try recordedWatch("19-watch.tsv") + recordedWatch("09-hasleader-watch.tsv")
        let names = ["03-range_leader_serializable", "03-lease_grant", "03-keepalive_ok", "03-version", "18-auth_ok"]
        let answers = try names.map { try Recorded($0).body } + FailureTests.recorded.map { try $0.0.body }
        var refused = 0
        for _ in 0..<15_000 {
            await Task.yield()
            let line = watches[Int.random(in: 0..<watches.count, using: &generator)]
            for case .failure in messages([mutated(line, &generator)]) { refused += 1 }
        }
        let transaction = Transaction(compares: [], success: [], failure: [])
        for _ in 0..<15_000 {
            await Task.yield()
            let bytes = mutated(answers[Int.random(in: 0..<answers.count, using: &generator)], &generator)
            _ = Failure(status: 500, body: bytes)
            guard let json = Recorded.parse(bytes) else {
                refused += 1
                continue
            }
            do { _ = try GatewayDecoding.range(json, of: .prefix("/")) } catch { refused += 1 }
            do { _ = try GatewayDecoding.transaction(json, of: transaction) } catch { refused += 1 }
            do { _ = try GatewayDecoding.grant(json) } catch { refused += 1 }
            do { _ = try GatewayDecoding.keepAlive(json, of: 1) } catch { refused += 1 }
            do { _ = try GatewayDecoding.token(json) } catch { refused += 1 }
            do { _ = try GatewayDecoding.prefix(json) } catch { refused += 1 }
        }
        #expect(refused > 20_000)
    }
}
