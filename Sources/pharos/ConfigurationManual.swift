// SPDX-License-Identifier: Apache-2.0
import Settings
import Shell

/// pharos.yml(5), made of the schema that reads the file and of the explanations in config/pharos.yml.
struct ConfigurationManual {
    let annotated: AnnotatedConfiguration

    static let file = "man5/pharos.yml.5"

    var page: String {
        var roff = Roff("pharos.yml", section: 5, source: "Pharos \(Version.text)", manual: "File Formats Manual")
        roff.section("NAME")
        roff.line("pharos.yml \\- configuration of the daemon pharosd")
        roff.section("DESCRIPTION")
        // What it says of the file's own lines is of no use here.
        let sentences = self.annotated.introduction.dropFirst().joined(separator: " ").split(separator: ". ")
        roff.prose(
            sentences.filter { !$0.contains("#") }.map { $0.hasSuffix(".") ? String($0) : "\($0)." }
                .map { String($0.drop { $0 == " " }) }.joined(separator: "\n"))
        roff.line(".PP")
        roff.prose(
            """
            The file is YAML. Three lines are a whole configuration:

                patroni_config: /etc/patroni/config.yml
                addresses:
                  - { address: 10.10.10.3/24, interface: eth1 }
            """)
        roff.section("KEYS")
        for key in self.annotated.keys where key.section.isEmpty { self.add(key, &roff) }
        for section in self.annotated.keys.filter({ $0.section.isEmpty }) {
            let keys = self.annotated.keys.filter { $0.section == section.name }
            guard !keys.isEmpty else { continue }
            roff.subsection("In '\(section.name)'")
            for key in keys { self.add(key, &roff) }
        }
        roff.section("FILES")
        roff.item(Roff.italic("/etc/pharos/pharos.yml"))
        roff.prose("Read by `pharos.service`.")
        roff.item(Roff.italic("/etc/pharos/NAME.yml"))
        roff.prose("Read by `pharos@NAME.service`, on a host with several clusters.")
        roff.item(Roff.italic("/usr/share/doc/pharos/examples/pharos.yml"))
        roff.prose("All of the above, as a file.")
        roff.section("SEE ALSO")
        roff.line(
            ["pharos(8)", "pharos-check-config(8)", "pharos-init(8)", "pharos-migrate(8)"].map { name in
                "\(Roff.bold(String(name.prefix { $0 != "(" })))(8)"
            }.joined(separator: ", "))
        return roff.text
    }

    private func add(_ key: AnnotatedConfiguration.Key, _ roff: inout Roff) {
        roff.item(Roff.bold(key.name))
        roff.prose(key.explanation.joined(separator: "\n"))
        if key.section.isEmpty, key.value.isEmpty { roff.prose("Its keys are below.") }
        guard !key.value.isEmpty else { return }
        if !key.explanation.isEmpty { roff.line(".br") }
        roff.prose("\(key.isExample ? "Example" : "Default"): `\(key.value)`")
    }
}
