// SPDX-License-Identifier: Apache-2.0
import Glibc
import LenientJSON
import Settings
import Testing

@testable import pharos_api

struct OpenAPITests {
    private static let path =
        "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/docs/openapi.json"

    /// `make docs` runs this with PHAROS_WRITE_TABLES=1: it then writes the document instead of comparing it.
    @Test func `docs-openapi is what the routes say`() throws {
        let text = OpenAPI.document.readable(lines: 8) + "\n"
        guard getenv("PHAROS_WRITE_TABLES") != nil else {
            let file = try SettingsEnvironment.system.read(Self.path, 1 << 20).get()
            return #expect(String(decoding: file.contents, as: UTF8.self) == text, "run make docs")
        }
        let file = try #require(fopen(Self.path, "w"))
        defer { fclose(file) }
        try #require(fputs(text, file) >= 0)
    }

    @Test func `each route is described, with what may go wrong`() throws {
        let document = try #require(JSON.parse(OpenAPI.document.compact.utf8))
        let paths = try #require(document["paths"]?.object)
        #expect(Set(paths.keys) == Set(Route.all.map(\.path)))
        for route in Route.all {
            let said = try #require(paths[route.path]?[route.method.lowercased()])
            let responses = try #require(said["responses"]?.object)
            for outcome in route.outcomes { #expect(responses["\(outcome.status)"] != nil) }
            for status in ["400", "401", "403", "405", "429"] {
                #expect(responses[status] != nil, "\(route.path)")
            }
            let parts = route.path.count { $0 == "{" }
            #expect(said["parameters"]?.array?.count ?? 0 == route.parameters.count + parts + (route.isTagged ? 1 : 0))
            #expect((responses["304"] != nil) == route.isTagged)
            #expect(
                (said["requestBody"] != nil) == (route.body != nil) && (route.method == "POST") == (route.body != nil))
        }
    }
}
