// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import Settings

/// The OpenAPI 3.0 document, made of ``Route/all``: docs/openapi.json, and `/openapi.json`.
enum OpenAPI {
    static var document: JSONDocument {
        [
            "openapi": "3.0.3",
            "info": [
                "title": "Pharos", "version": .string(Version.text),
                "description":
                    "What Pharos knows of a PostgreSQL cluster that Patroni runs, asked on one node. What changes something is planned, then confirmed.",
                "license": ["name": "Apache-2.0"],
            ],
            "paths": .object(Route.all.map { JSONDocument.Member($0.path, self.path($0)) }),
            "components": [
                "securitySchemes": ["token": ["type": "http", "scheme": "bearer"]],
                "schemas": ["Error": self.errorSchema],
            ],
        ]
    }

    private static func path(_ route: Route) -> JSONDocument {
        let (role, isOpen): (AccessRole, Bool) =
            switch route.requirement {
            case .open(_, let role): (role, true)
            case .role(let role): (role, false)
            }
        let who =
            isOpen
            ? "Open to everybody, unless `access.open` leaves it out: then for the role \(role.rawValue)."
            : "For the role \(role.rawValue)."
        let security: JSONDocument = isOpen ? [[:], ["token": []]] : [["token": []]]
        // HEAD and OPTIONS are as GET is; to describe each would say the same three times.
        return .members(
            .init(
                route.method.lowercased(),
                .members(
                    .init("summary", .string(route.summary)), .init("description", .string(who)),
                    .init("operationId", .string(self.identifier(route))),
                    .init("security", security),
                    self.parameters(route).isEmpty ? nil : .init("parameters", .list(self.parameters(route))),
                    route.body.map { .init("requestBody", self.body($0)) },
                    .init("responses", self.responses(route, isOpen: isOpen)))))
    }

    private static func identifier(_ route: Route) -> String {
        let words = route.path.split { $0 == "/" || $0 == "." }.filter { $0 != "v1" && !$0.hasPrefix("{") }
        return words.joined(separator: "_")
    }

    private static func parameters(_ route: Route) -> [JSONDocument] {
        let parts = route.path.split(separator: "/").filter { $0.hasPrefix("{") }.map { part -> JSONDocument in
            [
                "name": .string(String(part.dropFirst().dropLast())), "in": "path", "required": true,
                "description": "As the plan names it.", "schema": ["type": "string", "pattern": "^[0-9a-z]{1,64}$"],
            ]
        }
        let query = route.parameters.map(self.parameter)
        guard route.isTagged else { return parts + query }
        return parts + query + [
            [
                "name": "If-None-Match", "in": "header", "required": false,
                "description": "The `ETag` of the answer that you have.", "schema": ["type": "string"],
            ]
        ]
    }

    private static func body(_ schema: JSONDocument) -> JSONDocument {
        ["required": true, "content": ["application/json": ["schema": schema]]]
    }

    private static func parameter(_ parameter: Route.Parameter) -> JSONDocument {
        let schema: JSONDocument =
            switch parameter.kind {
            case .integer: ["type": "integer", "format": "int64", "minimum": 0]
            case .text: ["type": "string", "pattern": "^[!-~]{1,256}$"]
            }
        return [
            "name": .string(parameter.name), "in": "query", "required": false,
            "description": .string(parameter.help), "schema": schema,
        ]
    }

    private static func responses(_ route: Route, isOpen: Bool) -> JSONDocument {
        var responses: [JSONDocument.Member] = route.outcomes.map { outcome in
            let content = outcome.contentTypes.map { type in
                JSONDocument.Member(type, ["schema": self.schema(outcome.status, type)])
            }
            return .init(
                "\(outcome.status)",
                .members(
                    .init("description", .string(outcome.help)),
                    route.isTagged && outcome.status == 200 ? .init("headers", self.tagHeader) : nil,
                    .init("content", .object(content))))
        }
        if route.isTagged {
            let text = "Nothing has changed since the answer whose `ETag` was sent; ages have gone on. No body."
            responses.append(.init("304", ["description": .string(text), "headers": self.tagHeader]))
        }
        var errors: [(String, String)] = [
            ("400", "An argument, or something in the body, is unknown, given twice, or not what was expected."),
            ("401", "Who asks has not proved who he is."), ("403", "The role is not enough."),
            ("405", "Another method than those that the path answers."),
            ("429", "Refused too often within a short time: slow down."),
        ]
        if isOpen { errors[1].1 += " Where this path is not open." }
        responses += errors.map { status, text in
            .init(
                status,
                [
                    "description": .string(text),
                    "content": ["application/json": ["schema": ["$ref": "#/components/schemas/Error"]]],
                ])
        }
        return .object(responses.sorted { $0.name < $1.name })
    }

    private static let tagHeader: JSONDocument = [
        "ETag": [
            "description": "Equal as long as nothing has changed but ages and `time`, which have gone on.",
            "required": true,
            "schema": ["type": "string"],
        ]
    ]

    private static func schema(_ status: UInt32, _ type: String) -> JSONDocument {
        type == "application/json" ? ["type": "object"] : ["type": "string"]
    }

    private static let errorSchema: JSONDocument = [
        "type": "object", "required": ["error", "message", "hint"],
        "properties": [
            "error": ["type": "string", "description": "A word that stays the same."],
            "message": ["type": "string", "description": "What is the matter."],
            "hint": ["type": "string", "nullable": true, "description": "What to do."],
        ],
    ]
}
