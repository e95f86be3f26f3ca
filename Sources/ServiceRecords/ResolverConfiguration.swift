// SPDX-License-Identifier: Apache-2.0

/// What `/etc/resolv.conf` says of name servers (resolv.conf(5)), within its limits. What cannot be understood is passed over.
struct ResolverConfiguration: Equatable {
    /// Addresses, as they stand there. Without any, this host's own is asked.
    private(set) var servers: [String] = []
    /// Domains in which a name is looked for that was not found as it stands.
    private(set) var search: [String] = []
    /// From so many dots on, a name is looked up as it stands first.
    private(set) var dots = 1

    static let (serverLimit, searchLimit) = (3, 6)

    init(_ text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
            guard let key = words.first, words.count > 1 else { continue }
            switch key {
            case "nameserver" where self.servers.count < Self.serverLimit: self.servers.append(words[1])
            case "search": self.search = Array(words.dropFirst().prefix(Self.searchLimit))
            case "domain": self.search = [words[1]]
            case "options": for option in words.dropFirst() { self.take(option) }
            default: break  // text, not cases of ours
            }
        }
        if self.servers.isEmpty { self.servers = ["127.0.0.1"] }
    }

    private mutating func take(_ option: String) {
        guard option.hasPrefix("ndots:"), let dots = Int(option.dropFirst(6)), (0...15).contains(dots) else { return }
        self.dots = dots
    }

    /// The names to ask for, in this order, until one exists.
    func candidates(for name: String) -> [String] {
        guard !name.hasSuffix(".") else { return [name] }
        let found = self.search.filter { $0 != "." }.map { "\(name).\($0)" }
        return name.count(where: { $0 == "." }) >= self.dots ? [name] + found : found + [name]
    }
}
