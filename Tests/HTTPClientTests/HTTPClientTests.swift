// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import HTTPClient
import TestSupport
import Testing

@EventLoop
private final class Gate {
    var isOpen = false
}

@Suite(.serialized)
struct HTTPClientTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test @EventLoop func `a connection is kept, and nothing of one request is left for the next`() async throws {
        var heads: [[String]] = []
        var bodies: [[UInt8]] = []
        let server = try ScriptedServer { connection in
            while try await connection.readRequest() != nil {
                heads.append(connection.head)
                bodies.append(connection.body)
                try await connection.write(httpAnswer(200, "answer \(heads.count)"))
            }
        }
        let http = HTTPClient()
        var first = HTTPRequest(.put, server.url + "/a?b=c")
        first.headers = [("X-Test", "yes")]
        first.body = Array("body".utf8)
        first.credentials = Credentials(user: "u", password: "p")
        #expect(try await http.send(first).body == Array("answer 1".utf8))
        let second = try await http.send(HTTPRequest(.get, server.url + "/d"))
        #expect(second.status == 200 && second.body == Array("answer 2".utf8))
        var third = HTTPRequest(.delete, server.url + "/e")
        third.isRepeatable = false
        #expect(try await http.send(third).body == Array("answer 3".utf8))
        #expect(server.connectionCount == 1)
        #expect(server.requests == ["PUT /a?b=c HTTP/1.1", "GET /d HTTP/1.1", "DELETE /e HTTP/1.1"])
        #expect(heads[0].contains("X-Test: yes") && heads[0].contains("Authorization: Basic dTpw"))
        #expect(!heads[1].contains { $0.hasPrefix("X-Test") || $0.hasPrefix("Authorization") })
        #expect(bodies == [Array("body".utf8), [], []])
        http.close()
    }

    @Test @EventLoop func `a redirect is an answer, and the environment's proxy is not asked`() async throws {
        setenv("http_proxy", "http://127.0.0.1:1", 1)
        defer { unsetenv("http_proxy") }
        let server = try ScriptedServer { connection in
            while try await connection.readRequest() != nil {
                try await connection.write("HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n")
            }
        }
        let http = HTTPClient()
        #expect(try await http.send(HTTPRequest(.get, server.url)).status == 302)
        #expect(server.requests.count == 1)
        http.close()
    }

    @Test @EventLoop func `a unix socket is reached`() async throws {
        let directory = try TemporaryDirectory("http")
        let server = try ScriptedServer(path: directory.file("socket")) { connection in
            while try await connection.readRequest() != nil { try await connection.write(httpAnswer(200, "here")) }
        }
        let http = HTTPClient()
        var request = HTTPRequest(.get, "http://localhost/x")
        request.unixSocket = directory.file("socket")
        #expect(try await http.send(request).body == Array("here".utf8))
        #expect(server.requests == ["GET /x HTTP/1.1"])
        http.close()
    }

    @Test @EventLoop func `a body over its limit is refused, and one at its limit accepted`() async throws {
        let server = try ScriptedServer(answering: { _ in httpAnswer(200, String(repeating: "x", count: 100_000)) })
        let http = HTTPClient()
        var request = HTTPRequest(.get, server.url)
        request.bodyLimit = 99_999
        let error = await #expect(throws: HTTPError.self) { _ = try await http.send(request) }
        #expect(error?.kind == .bodyTooLarge && error?.mayHaveBeenSent == true)
        request.bodyLimit = 100_000
        #expect(try await http.send(request).body.count == 100_000)
        http.close()
    }

    @Test @EventLoop func `a request that cannot be made says why, without secrets`() async throws {
        let http = HTTPClient()
        var injected = HTTPRequest(.get, "http://127.0.0.1:1/")
        injected.headers = [("X-A", "b\r\nX-C: d")]
        var credentials = HTTPRequest(.get, "http://user:s3cret@127.0.0.1:1/path?token=s3cret")
        credentials.credentials = Credentials(user: "u", password: "s3cret")
        let cases: [(HTTPRequest, HTTPError.Kind)] = [
            (HTTPRequest(.get, "file:///etc/passwd"), .other), (HTTPRequest(.get, "ftp://127.0.0.1/"), .other),
            (HTTPRequest(.get, "http://127.0.0.1:99999/"), .other), (HTTPRequest(.get, ""), .other),
            (HTTPRequest(.get, "http://127.0.0.1:1/\0x"), .other), (injected, .other), (credentials, .connect),
        ]
        for (request, kind) in cases {
            let error = await #expect(throws: HTTPError.self) { _ = try await http.send(request) }
            #expect(error?.kind == kind && error?.mayHaveBeenSent == false, "\(request.url)")
            #expect(error?.message.contains("s3cret") == false)
        }
        var dumped = ""
        dump(credentials.credentials, to: &dumped)
        #expect(!dumped.contains("s3cret"))
        http.close()
    }

    @Test @EventLoop func `a silent server ends with a timeout, and a cancelled task at once`() async throws {
        let server = try ScriptedServer { connection in
            _ = try await connection.readRequest()
            _ = try await connection.readRequest()
        }
        let http = HTTPClient()
        var request = HTTPRequest(.get, server.url)
        request.timeout = .milliseconds(50)
        let error = await #expect(throws: HTTPError.self) { _ = try await http.send(request) }
        #expect(error?.kind == .timeout && error?.mayHaveBeenSent == true)
        request.timeout = .seconds(60)
        let patient = request
        var outcome: HTTPError.Kind?
        let task = EventLoop.spawn {
            do throws(HTTPError) { _ = try await http.send(patient) } catch { outcome = error.kind }
        }
        try await waitUntil { server.requests.count >= 2 }
        task.cancel()
        await task.value
        #expect(outcome == .cancelled)
        http.close()
    }

    @Test @EventLoop func `closing and dropping a client ends its requests`() async throws {
        let server = try ScriptedServer { connection in
            _ = try await connection.readRequest()
            _ = try await connection.readRequest()
        }
        for closes in [true, false] {
            var http: HTTPClient? = HTTPClient()
            let started = server.requests.count
            var outcome: HTTPError.Kind?
            let task = EventLoop.spawn { [weak http] in
                guard let stream = http?.stream(HTTPRequest(.get, server.url)) else { return }
                do throws(HTTPError) { _ = try await stream.next() } catch { outcome = error.kind }
            }
            try await waitUntil { server.requests.count != started }
            if closes { http?.close() } else { task.cancel() }
            let late = HTTPRequest(.get, server.url)
            if closes { await #expect(throws: HTTPError.self) { _ = try await http?.send(late) } }
            http = nil
            await task.value
            #expect(outcome == .cancelled)
        }
    }

    @Test @EventLoop func `a request leaves in one piece with its body, whether it may be repeated or not`()
        async throws
    {
        var segments: [Int?] = []
        let server = try ScriptedServer { connection in
            while try await connection.readRequest() != nil {
                segments.append(connection.segmentsReceived)
                try await connection.write(httpAnswer(200, "ok"))
            }
        }
        let http = HTTPClient()
        var request = HTTPRequest(.post, server.url)
        request.body = Array(repeating: UInt8(ascii: "x"), count: 1000)
        for repeatable in [true, false, true, false] {
            request.isRepeatable = repeatable
            #expect(try await http.send(request).status == 200)
        }
        #expect(segments == [1, 2, 3, 4])
        http.close()
    }

    @Test @EventLoop func `only what may be repeated is sent again on a connection that has died`() async throws {
        for repeatable in [true, false] {
            // The first request is answered; the second is read, then the connection ends without an answer.
            let server = try ScriptedServer { connection in
                guard try await connection.readRequest() != nil else { return }
                try await connection.write(httpAnswer(200, "first"))
                _ = try await connection.readRequest()
            }
            let http = HTTPClient()
            var request = HTTPRequest(.post, server.url)
            request.body = Array("once".utf8)
            request.isRepeatable = repeatable
            _ = try await http.send(request)
            if repeatable {
                #expect(try await http.send(request).status == 200)
                #expect(server.requests.count == 3)
            } else {
                let again = request
                let error = await #expect(throws: HTTPError.self) { _ = try await http.send(again) }
                #expect(error?.kind == .disconnected && error?.mayHaveBeenSent == true)
                #expect(server.requests.count == 2)
            }
            http.close()
        }
    }

    @Test @EventLoop func `an answer cut short at any byte is an error`() async throws {
        let answer = httpAnswer(200, #"{"a":"b"}"#)
        // The path says how much of the answer to send.
        let server = try ScriptedServer { connection in
            guard let line = try await connection.readRequest() else { return }
            let length = Int(line.split(separator: " ")[1].dropFirst()) ?? 0
            try await connection.write(Array(answer[..<length]))
        }
        let http = HTTPClient()
        for cut in 0...answer.count {
            let outcome: Result<HTTPResponse, HTTPError>
            do throws(HTTPError) {
                outcome = .success(try await http.send(HTTPRequest(.get, "\(server.url)/\(cut)")))
            } catch {
                outcome = .failure(error)
            }
            switch outcome {
            case .success(let response):
                #expect(cut == answer.count && response.body.count == 9, "\(cut) of \(answer.count): \(response)")
            case .failure(let error): #expect(cut < answer.count && error.kind != .cancelled, "\(cut)")
            }
        }
        http.close()
    }

    @Test @EventLoop func `mutated answers crash nothing`() async throws {
        var generator = SeededGenerator(3)
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        let answer = Array((head + "5\r\nhello\r\n6\r\n world\r\n0\r\nGrpc-Trailer: x\r\n\r\n").utf8)
        let server = try ScriptedServer { connection in
            guard try await connection.readRequest() != nil else { return }
            try await connection.write(mutated(answer, &generator))
        }
        let http = HTTPClient()
        var failures = 0
        for _ in 0..<1000 {
            var request = HTTPRequest(.get, server.url)
            request.timeout = .milliseconds(200)
            do throws(HTTPError) { _ = try await http.send(request) } catch { failures += 1 }
        }
        #expect(failures > 100 && failures < 1000)
        http.close()
    }

    @Test @EventLoop func `many requests at once are all answered`() async throws {
        let server = try ScriptedServer(answering: { httpAnswer(200, $0) })
        let http = HTTPClient()
        var answers: Set<String> = []
        let tasks = (0..<200).map { number in
            EventLoop.spawn {
                do throws(HTTPError) {
                    let body = try await http.send(HTTPRequest(.get, server.url + "/\(number)")).body
                    answers.insert(String(decoding: body, as: UTF8.self))
                } catch {}
            }
        }
        for task in tasks { await task.value }
        #expect(answers.count == 200)
        // The cap on connections to one host.
        #expect(server.connectionCount <= 16)
        http.close()
    }

    /// libcurl looks at no time limit of what waits for a connection.
    @Test(.timeLimit(.minutes(1))) @EventLoop
    func `a request that waits for a connection ends at its time limit, and begins when one is free`()
        async throws
    {
        let gate = Gate()
        let server = try ScriptedServer { connection in
            while let line = try await connection.readRequest() {
                try await waitUntil { gate.isOpen || !line.contains("/held") }
                try await connection.write(httpAnswer(200, line))
            }
        }
        let http = HTTPClient(ConnectionLimits(total: 1, perHost: 1, kept: 1))
        let held = EventLoop.spawn { _ = try? await http.send(HTTPRequest(.get, server.url + "/held")) }
        #expect(try await eventually(within: .seconds(10)) { server.requests.count == 1 })
        var late = HTTPRequest(.get, server.url + "/late")
        late.timeout = .milliseconds(200)
        let error = await #expect(throws: HTTPError.self) { try await http.send(late) }
        #expect(error?.kind == .timeout && error?.mayHaveBeenSent == false)
        // One that is patient begins by itself when the connection becomes free, also where its holder was cancelled.
        var answered = false
        let patient = EventLoop.spawn {
            answered = (try? await http.send(HTTPRequest(.get, server.url + "/patient"))) != nil
        }
        try await EventLoop.sleep(for: .milliseconds(20))
        held.cancel()
        gate.isOpen = true
        await patient.value
        #expect(answered)
        await held.value
        http.close()
    }

    @Test @EventLoop func `kept connections can be dropped`() async throws {
        let server = try ScriptedServer(answering: { httpAnswer(200, $0) })
        let http = HTTPClient()
        for _ in 0..<2 { _ = try await http.send(HTTPRequest(.get, server.url)) }
        #expect(server.connectionCount == 1)
        // libcurl counts the age of a connection in whole seconds.
        try await EventLoop.sleep(for: .milliseconds(2100))
        http.dropKeptConnections()
        for _ in 0..<2 { _ = try await http.send(HTTPRequest(.get, server.url)) }
        #expect(server.connectionCount == 2)
        http.close()
    }

    // MARK: - Names

    @Test(
        arguments: [
            ("http://n1:8008/a", "n1", 8008), ("https://u:p@db.example.org/x?y=z", "db.example.org", 443),
            ("http://n1", "n1", 80),
            ("http://10.0.0.1:2379", nil, 0), ("http://[fd00::1]:2379/v3", nil, 0), ("n1", nil, 0),
            ("http://:80", nil, 0),
        ] as [(String, String?, Int)])
    func `the name in a URL is found`(url: String, name: String?, port: Int) {
        let host = HTTPRequest(.get, url).nameToResolve
        #expect(host?.name == name && (host?.port ?? 0) == port)
    }

    @Test @EventLoop
    func `a name is resolved as it is told, each of its addresses is tried, and libcurl starts no thread`()
        async throws
    {
        let server = try ScriptedServer { connection in
            while try await connection.readRequest() != nil {
                try await connection.write(httpAnswer(200, connection.head.first { $0.hasPrefix("Host:") } ?? ""))
            }
        }
        let port = try #require(HTTPRequest(.get, server.url.replacing("127.0.0.1", with: "x")).nameToResolve?.port)
        var asked: [String] = []
        let http = HTTPClient(resolve: { name in
            asked.append(name)
            switch name {
            // Nobody listens at the first two.
            case "db.test": return .addresses(["127.0.0.9", "::1", "127.0.0.1"])
            case "none.test": return .failed("the name none.test has no address")
            default:
                do { try await EventLoop.sleep(for: .seconds(60)) } catch {}
                return .failed("late")
            }
        })
        let threads = try threadCount()
        let answer = try await http.send(HTTPRequest(.get, "http://db.test:\(port)/"))
        #expect(String(decoding: answer.body, as: UTF8.self) == "Host: db.test:\(port)")
        let none = await #expect(throws: HTTPError.self) { try await http.send(HTTPRequest(.get, "http://none.test/")) }
        #expect(none?.kind == .connect && none?.message.contains("none.test has no address") == true)
        // Silent: each ends at its limit, and nothing is left of it.
        let silent = (0..<40).map { number in
            EventLoop.task {
                var request = HTTPRequest(.get, "http://silent\(number).test/")
                request.timeout = .milliseconds(200)
                do throws(HTTPError) {
                    _ = try await http.send(request)
                    return HTTPError.Kind?.none
                } catch {
                    return error.kind
                }
            }
        }
        for task in silent { #expect(await task.value == .timeout) }
        #expect(try threadCount() <= threads)
        #expect(asked.count == 42)
        http.close()
    }
}

private func threadCount() throws -> Int {
    let folder = try #require(opendir("/proc/self/task"))
    defer { closedir(folder) }
    var count = 0
    while readdir(folder) != nil { count += 1 }
    return count
}
