// SPDX-License-Identifier: Apache-2.0
import EventLoop
import LenientJSON
import Settings
import WebServer

/// One thing that can be asked for: method, path, who may, and what answers. ``Route/all`` is the only list of them, from which the
/// requests are served and the OpenAPI document is made.
struct Route: Sendable {
    /// An argument of the query.
    struct Parameter: Sendable {
        enum Kind: Sendable { case integer, text }
        let name: String
        let kind: Kind
        let help: String
    }

    /// What may come back, for the OpenAPI document; 200 and what goes wrong everywhere are said by their own.
    struct Outcome: Sendable {
        let status: UInt32
        let contentTypes: [String]
        let help: String
    }

    typealias Handler = @EventLoop @Sendable (API, Arguments, RequestContext) -> WebReply

    /// GET, or POST where something is asked for that changes something; HEAD and OPTIONS are answered as GET is.
    let method: String
    /// A part such as `{digest}` stands for any one part: see ``RequestContext/part``.
    let path: String
    let requirement: Requirement
    let summary: String
    var parameters: [Parameter] = []
    /// Whether the answer has an entity tag, so that 304 may come back.
    var isTagged = false
    var outcomes: [Outcome]
    /// The JSON schema of the body; nil: it takes none.
    var body: JSONDocument?
    let handler: Handler
}

/// What the handler of a route is told of the request besides its arguments.
struct RequestContext: Sendable {
    /// Nil on a path that is open to everybody.
    let identity: Identity?
    let accept: String?
    /// What stands in the place of the path's `{…}`.
    var part: String?
    var body: [UInt8] = []
}

/// The arguments of a query, as the route's parameters say.
struct Arguments: Sendable, Equatable {
    private(set) var integers: [String: Int64] = [:]
    private(set) var texts: [String: String] = [:]

    /// What is wrong with a query.
    struct Mistake: Error, Equatable {
        let message: String
    }

    init() {}

    init(_ query: [WebRequest.Argument], _ parameters: [Route.Parameter]) throws(Mistake) {
        for argument in query {
            guard let parameter = parameters.first(where: { $0.name == argument.name }) else {
                let known = parameters.map(\.name).joined(separator: ", ")
                throw Mistake(
                    message: "unknown argument '\(Self.shown(argument.name))'; expected "
                        + (known.isEmpty ? "none" : "one of \(known)"))
            }
            guard self.integers[parameter.name] == nil, self.texts[parameter.name] == nil else {
                throw Mistake(message: "'\(parameter.name)' is given twice")
            }
            let value = argument.value ?? ""
            switch parameter.kind {
            case .integer:
                guard let number = Int64(value), number >= 0, !value.hasPrefix("+") else {
                    throw Mistake(
                        message: "'\(parameter.name)': expected a whole number from 0, not '\(Self.shown(value))'")
                }
                self.integers[parameter.name] = number
            case .text:
                guard (1...256).contains(value.utf8.count), value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
                    throw Mistake(message: "'\(parameter.name)': expected 1 to 256 characters of ASCII, no blanks")
                }
                self.texts[parameter.name] = value
            }
        }
    }

    /// Cut, and without what would steer a terminal.
    private static func shown(_ text: String) -> String {
        String(text.unicodeScalars.prefix(40).map { $0.value < 0x20 || $0.value == 0x7f ? "?" : Character($0) })
    }
}

/// Which route a request is for. A value.
enum RouteMatch: Sendable {
    /// `part`: what stands in the place of the path's `{…}`.
    case route(Route, part: String?)
    /// The path is known, the method is not: 405.
    case otherMethod(allowed: String)
    case none

    /// The methods that are answered wherever GET is.
    static let likeGet: Set<String> = ["GET", "HEAD", "OPTIONS"]

    init(_ method: String, _ path: String, in routes: [Route] = Route.all) {
        let known = routes.filter { PathFit(path, $0.path) != nil }
        let wanted = Self.likeGet.contains(method) ? "GET" : method
        if let route = known.first(where: { $0.method == wanted }) {
            self = .route(route, part: PathFit(path, route.path)?.part)
        } else if known.isEmpty {
            self = .none
        } else {
            let methods = known.flatMap { $0.method == "GET" ? ["GET", "HEAD", "OPTIONS"] : [$0.method] }
            self = .otherMethod(allowed: methods.joined(separator: ", "))
        }
    }
}

/// That a path is one of a template's, such as `/v1/plans/{digest}/confirm`.
private struct PathFit {
    /// What stands in the place of `{…}`; nil: the template has none.
    let part: String?

    /// Characters of a part.
    private static let limit = 64

    init?(_ path: String, _ template: String) {
        guard template.contains("{") else {
            guard path == template else { return nil }
            self.part = nil
            return
        }
        let given = path.split(separator: "/", omittingEmptySubsequences: false)
        let wanted = template.split(separator: "/", omittingEmptySubsequences: false)
        guard given.count == wanted.count else { return nil }
        var part: String?
        for (given, wanted) in zip(given, wanted) where given != wanted {
            let isPlain = given.utf8.allSatisfy { (48...57).contains($0) || (97...122).contains($0) }
            guard wanted.hasPrefix("{"), isPlain, (1...Self.limit).contains(given.utf8.count) else { return nil }
            part = String(given)
        }
        self.part = part
    }
}
