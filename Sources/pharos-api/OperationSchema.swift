// SPDX-License-Identifier: Apache-2.0
import Decision
import LenientJSON

/// What bodies may say, as JSON schemas. The daemon checks it: the API hands on what it is given.
enum OperationSchema {
    private static let name: JSONDocument = [
        "type": "string", "nullable": true, "pattern": "^[^\\u0000-\\u001f\\u007f]{1,63}$",
    ]
    private static let group: JSONDocument = [
        "type": "integer", "nullable": true, "minimum": 0, "maximum": 2_147_483_647,
    ]

    static let plan: JSONDocument = [
        "oneOf": .list([
            Self.object(
                "switchover", "Let another member lead: `to`, or the one that is fit best.",
                ["group": Self.group, "to": Self.name]),
            Self.object(
                "acknowledge", "Let what a member has failed before count no more.",
                [
                    "group": Self.group,
                    "member": ["type": "string", "pattern": "^[^\\u0000-\\u001f\\u007f]{1,63}$"],
                ], required: ["member"]),
            Self.object(
                "pause_reactions", "Let Pharos ask for no switchover by itself.",
                [
                    "seconds": [
                        "type": "integer", "minimum": .integer(Operation.shortestPause),
                        "maximum": .integer(Operation.longestPause),
                    ],
                    "reason": [
                        "type": "string",
                        "pattern":
                            "^[^\\u0000-\\u0020\\u007f][^\\u0000-\\u001f\\u007f]{0,199}$",
                    ],
                ], required: ["seconds", "reason"]),
            Self.object("resume_reactions", "End that pause.", [:]),
        ])
    ]

    static let confirmation: JSONDocument = [
        "type": "object", "additionalProperties": false,
        "properties": [
            "name": Self.name,
            "overrides": [
                "type": "array", "nullable": true, "maxItems": .number(Objection.names.count),
                "description": "The objections that are put up with, each by the name that the plan gives it.",
                "items": ["type": "string", "enum": .list(Objection.names.map { .string($0) })],
            ],
        ],
    ]

    private static func object(
        _ operation: String, _ help: String, _ properties: KeyValuePairs<String, JSONDocument>, required: [String] = []
    ) -> JSONDocument {
        let kind = JSONDocument.Member("operation", ["type": "string", "enum": [.string(operation)]])
        return [
            "type": "object", "additionalProperties": false, "description": .string(help),
            "required": .list((["operation"] + required).map { .string($0) }),
            "properties": .object([kind] + properties.map { JSONDocument.Member($0.key, $0.value) }),
        ]
    }
}
