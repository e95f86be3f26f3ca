// SPDX-License-Identifier: Apache-2.0

/// A place that the host installs packages from, as APT lists it.
struct PackageSource: Equatable, Sendable {
    /// Such as `http://deb.debian.org/debian`.
    let site: String
    /// Such as `bookworm-updates`.
    let suite: String
    /// Such as `main`.
    let component: String

    /// The format of `apt-get indextargets` that ``parse(_:)`` reads.
    static let format = "$(SITE) $(RELEASE) $(COMPONENT)"

    static func parse(_ text: String) -> [PackageSource] {
        text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ").map(String.init)
            guard fields.count == 3 else { return nil }
            return PackageSource(site: fields[0], suite: fields[1], component: fields[2])
        }
    }

    /// Where a release comes from.
    struct Origin: Equatable, Sendable {
        /// Where its base is.
        let mirror: String
        /// The lines of sources.list; nil: the host installs this release itself, so that its own APT configuration will do.
        let lines: [String]?
    }

    /// The release's origin on a host that has these sources: the host's own, or else those of the release that the host
    /// does install, since Debian's mirrors have all of them. Nil where the host knows no mirror of Debian's.
    static func origin(of suite: LabSuite, host: [PackageSource]) -> Origin? {
        if let own = self.base(suite, host) { return Origin(mirror: own.site, lines: nil) }
        for other in LabSuite.allCases {
            guard let base = self.base(other, host) else { continue }
            // Only what Debian calls so in every release: a third party's `bookworm-…` need not exist for another one, and
            // would bring other versions than Debian's.
            let lines = ["", "-updates", "-security"].flatMap { part in
                host.filter { $0.suite == other.recipe.archive + part && $0.component == "main" }.map { source in
                    "deb [signed-by=\(self.keyring)] \(source.site) \(suite.recipe.archive)\(part) main"
                }
            }
            return Origin(mirror: base.site, lines: lines)
        }
        return nil
    }

    private static func base(_ suite: LabSuite, _ host: [PackageSource]) -> PackageSource? {
        host.first { $0.suite == suite.recipe.archive && $0.component == "main" }
    }

    /// Of the package debian-archive-keyring, which debootstrap uses too.
    private static let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
}
