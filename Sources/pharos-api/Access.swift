// SPDX-License-Identifier: Apache-2.0
import Settings

/// Who asks, once it is proved.
struct Identity: Sendable, Equatable {
    enum Means: String, Sendable {
        case user = "unix socket"
        case token
        case certificate
    }

    let name: String
    let role: AccessRole
    let means: Means
    /// Seconds since 1970; nil: it does not end by itself.
    let until: Int64?
}

/// What a request brings along of who sent it. All of it has been looked up; nothing is decided.
struct Evidence: Sendable, Equatable {
    enum Token: Sendable, Equatable {
        /// No header `Authorization`.
        case absent
        /// The header is there, and is no bearer token.
        case unreadable
        /// There is no file of tokens.
        case unused
        /// Nobody's.
        case unknown
        case expired(name: String, at: Int64)
        case valid(name: String, role: AccessRole, until: Int64?)
    }

    enum Certificate: Sendable, Equatable {
        case absent
        case refused(String)
        /// Verified; nil: its name has no role.
        case verified(name: String, role: AccessRole?, until: Int64)
    }

    /// Over the unix socket, the user at the other end, by number.
    var user: UInt32?
    var token = Token.absent
    var certificate = Certificate.absent
}

/// What a route asks of whoever asks for it.
enum Requirement: Sendable, Equatable {
    /// Nothing, where the settings leave this path open; else the role.
    case open(APISettings.OpenPath, otherwise: AccessRole)
    case role(AccessRole)
}

/// The answer to "may he?". A value of values.
enum AccessDecision: Sendable, Equatable {
    /// `identity`: nil where nobody was asked who he is.
    case allowed(Identity?)
    /// 401: who it is was not proved.
    case unproved(reason: String, name: String?)
    /// 403: it was, and that is not enough.
    case forbidden(reason: String, Identity)

    /// - Parameter now: seconds since 1970.
    static func judge(
        _ evidence: Evidence, _ requirement: Requirement, open: Set<APISettings.OpenPath>, at now: Int64
    ) -> AccessDecision {
        let needed: AccessRole
        switch requirement {
        case .open(let path, let role):
            // Load balancers show nothing; and whoever shows a token that has expired must not lose his health check for it.
            if open.contains(path) { return .allowed(nil) }
            needed = role
        case .role(let role): needed = role
        }
        // A token that is shown is meant to be used: what is wrong with it is told, whatever else would do.
        switch evidence.token {
        case .absent, .valid: break
        case .unreadable: return .unproved(reason: "the header Authorization is not 'Bearer TOKEN'", name: nil)
        case .unused: return .unproved(reason: "no tokens are configured (access.tokens_file)", name: nil)
        case .unknown: return .unproved(reason: "the token is nobody's", name: nil)
        case .expired(let name, _): return .unproved(reason: "the token of \(name) has expired", name: name)
        }
        guard let best = self.identities(evidence, at: now).max(by: { $0.role < $1.role }) else {
            return self.unproved(evidence, at: now)
        }
        guard best.role >= needed else {
            return .forbidden(
                reason: "the role \(best.role.rawValue) is not enough: this needs \(needed.rawValue)", best)
        }
        return .allowed(best)
    }

    private static func identities(_ evidence: Evidence, at now: Int64) -> [Identity] {
        var found: [Identity] = []
        if let number = evidence.user {
            found.append(
                Identity(
                    name: number == 0 ? "root" : "uid \(number)", role: number == 0 ? .endanger : .look, means: .user,
                    until: nil))
        }
        if case .valid(let name, let role, let until) = evidence.token {
            found.append(Identity(name: name, role: role, means: .token, until: until))
        }
        // A connection may outlive the certificate that it began with.
        if case .verified(let name, let role?, let until) = evidence.certificate, until > now {
            found.append(Identity(name: name, role: role, means: .certificate, until: until))
        }
        return found
    }

    private static func unproved(_ evidence: Evidence, at now: Int64) -> AccessDecision {
        switch evidence.certificate {
        case .absent: .unproved(reason: "a token or a client's certificate is needed", name: nil)
        case .refused(let why): .unproved(reason: "the client's certificate proves nothing: \(why)", name: nil)
        case .verified(let name, nil, _):
            .unproved(reason: "the certificate's name \(name) has no role (access.certificates)", name: name)
        case .verified(let name, _?, let until):
            .unproved(reason: until > now ? "nobody" : "the certificate of \(name) has expired", name: name)
        }
    }
}

/// The token of a header `Authorization`.
enum BearerHeader {
    /// Nil: it is of another kind.
    static func token(_ header: String) -> String? {
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        let token = parts[1].drop { $0 == " " }
        return token.isEmpty || token.contains(" ") ? nil : String(token)
    }
}
