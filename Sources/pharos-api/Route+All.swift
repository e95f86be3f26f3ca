// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Settings
import WebServer

extension Route {
    private static let json = "application/json"
    private static let unknown = Outcome(
        status: 503, contentTypes: [json],
        help: "The daemon does not answer, or does not know it; the message says why.")

    /// What a POST may come to besides.
    private static let refusals = [
        Outcome(
            status: 409, contentTypes: [json],
            help: "It is not done: objections, a hindrance, another operation, or a plan that is used or too old."),
        Outcome(status: 413, contentTypes: [json], help: "The body has more than 4,096 bytes."),
        Outcome(status: 415, contentTypes: [json], help: "The body is not `application/json`."), unknown,
    ]

    /// Everything that is served.
    static let all: [Route] = [
        Route(
            method: "GET", path: "/v1/cluster", requirement: .role(.look),
            summary:
                "All groups, members, addresses, verdicts, problems, and which single failures would be survived, as this node's daemon knows them.",
            isTagged: true,
            outcomes: [Outcome(status: 200, contentTypes: [json], help: "With the age of what is known."), unknown],
            handler: { api, _, _ in api.handOn(.cluster) }),
        Route(
            method: "GET", path: "/v1/status", requirement: .role(.look),
            summary: "What the daemon of this node knows, holds, and why.",
            outcomes: [
                Outcome(status: 200, contentTypes: [json], help: "As `pharos status --json` prints it."), unknown,
            ],
            handler: { api, _, _ in api.handOn(.status) }),
        Route(
            method: "GET", path: "/v1/failovers", requirement: .role(.look),
            summary: "The last changes of leader on record, oldest first.",
            isTagged: true,
            outcomes: [
                Outcome(
                    status: 200, contentTypes: [json],
                    help: "`failovers` is null before etcd was read, and `reason` says so: ask again in a moment."),
                unknown,
            ],
            handler: { api, _, _ in api.handOn(.failovers) }),
        Route(
            method: "GET", path: "/v1/findings", requirement: .role(.look),
            summary:
                "What is the matter with the cluster, and what the last verification of Citus's metadata has found.",
            isTagged: true,
            outcomes: [
                Outcome(
                    status: 200, contentTypes: [json],
                    help: "Each part is null where this daemon cannot know it, with the reason beside it."), unknown,
            ],
            handler: { api, _, _ in api.handOn(.findings) }),
        Route(
            method: "GET", path: "/v1/events", requirement: .role(.look),
            summary: "The daemon's last records, numbered; with `since` those behind the one of that number.",
            parameters: [
                Parameter(name: "since", kind: .integer, help: "The number of the last record that is known."),
                Parameter(
                    name: "stream", kind: .text,
                    help: "The stream in which that number counts, as an answer before has named it."),
            ],
            outcomes: [
                Outcome(
                    status: 200, contentTypes: [json],
                    help: "`lost` says how many records in between are not kept any more; null: not known."), unknown,
            ],
            handler: { api, arguments, _ in
                api.events(since: arguments.integers["since"], stream: arguments.texts["stream"])
            }),
        Route(
            method: "GET", path: "/v1/operations", requirement: .role(.look),
            summary:
                "What persons have asked for: plans and what is under way on this node, and what is on record of the cluster.",
            outcomes: [
                Outcome(
                    status: 200, contentTypes: [json],
                    help: "`operations` is null before etcd was read, and `reason` says so: ask again in a moment."),
                unknown,
            ],
            handler: { api, _, _ in api.handOn(.operations) }),
        Route(
            method: "POST", path: "/v1/plans", requirement: .role(.operate),
            summary:
                "Ask for a plan: what would be done, and what speaks against it. Look at `/v1/operations` until it is `planned`.",
            outcomes: [Outcome(status: 202, contentTypes: [json], help: "The facts are being looked at.")]
                + Self.refusals,
            body: OperationSchema.plan,
            handler: { api, _, context in api.post("/plan", context) }),
        Route(
            method: "POST", path: "/v1/plans/{digest}/confirm", requirement: .role(.operate),
            summary:
                "Confirm a plan, once, within five minutes. Look at `/v1/operations` for what comes of it. Overriding a grave objection needs `endanger`.",
            outcomes: [
                Outcome(status: 202, contentTypes: [json], help: "The facts are looked at again; then it is done."),
                Outcome(status: 404, contentTypes: [json], help: "There is no such plan."),
            ] + Self.refusals,
            body: OperationSchema.confirmation,
            handler: { api, _, context in api.post("/confirm/\(context.part ?? "")", context) }),
        Route(
            method: "GET", path: "/v1/whoami", requirement: .role(.look), summary: "Who the API takes you for.",
            outcomes: [Outcome(status: 200, contentTypes: [json], help: "Name, role, how it is known, until when.")],
            handler: { api, _, context in api.whoami(context) }),
        Route(
            method: "GET", path: "/v1/tokens", requirement: .role(.operate),
            summary: "Who may ask the API: names, roles and expiries. No token, and no digest of one.",
            outcomes: [Outcome(status: 200, contentTypes: [json], help: "Tokens, and names of certificates.")],
            handler: { api, _, _ in api.whoMay() }),
        Route(
            method: "GET", path: "/metrics", requirement: .open(.metrics, otherwise: .look),
            summary: "Figures for Prometheus, in its text format 0.0.4, or in OpenMetrics 1.0 by `Accept`.",
            outcomes: [
                Outcome(
                    status: 200,
                    contentTypes: ["text/plain; version=0.0.4; charset=utf-8", API.openMetricsType],
                    help: "Where the daemon does not answer: `pharos_up 0` and the API's own figures.")
            ],
            handler: { api, _, context in api.metrics(context) }),
        Route(
            method: "GET", path: "/health", requirement: .open(.health, otherwise: .look),
            summary: "Whether the daemon of this node is well.",
            outcomes: [
                Outcome(status: 200, contentTypes: ["text/plain"], help: "It is."),
                Outcome(
                    status: 503, contentTypes: ["text/plain"], help: "It is not, or does not answer; the body says why."
                ),
            ],
            handler: { api, _, _ in api.health() }),
        Route(
            method: "GET", path: "/primary", requirement: .open(.primary, otherwise: .look),
            summary: "For load balancers: whether writes may be sent to this node.",
            outcomes: [
                Outcome(
                    status: 200, contentTypes: [json],
                    help:
                        "It leads, accepted writes when it was asked last, and holds its addresses for as long as is said."
                ),
                Outcome(
                    status: 503, contentTypes: [json],
                    help: "It is not the primary, or that is not certain; with the reason."),
            ],
            handler: { api, _, _ in api.primary() }),
        Route(
            method: "GET", path: "/openapi.json", requirement: .role(.look), summary: "This document.",
            outcomes: [Outcome(status: 200, contentTypes: [json], help: "OpenAPI 3.0.")],
            handler: { api, _, _ in .now(api.answer(200, api.openAPI)) }),
    ]
}
