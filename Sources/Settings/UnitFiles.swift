// SPDX-License-Identifier: Apache-2.0

/// A unit and what is dropped into it, read where systemd looks for them, since systemd itself cannot always be asked.
struct UnitFiles {
    static let folders = [
        "/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
        "/lib/systemd/system",
    ]
    /// Drop-ins of one unit.
    static let limit = 64

    let environment: SettingsEnvironment

    /// In systemd's order; a name in an earlier folder hides it in a later one. Empty where there is no such unit.
    func files(of unit: String) -> [(path: String, bytes: [UInt8])] {
        var found: [(path: String, bytes: [UInt8])] = []
        for folder in Self.folders {
            guard case .success(let file) = self.environment.read("\(folder)/\(unit)", Settings.fileLimit) else {
                continue
            }
            found.append(("\(folder)/\(unit)", file.contents))
            break
        }
        var places: [String: String] = [:]
        // What is dropped into this very unit hides what has the same name for all services.
        for dropIns in ["\(unit).d", "service.d"] {
            for folder in Self.folders {
                guard case .success(let names) = self.environment.list("\(folder)/\(dropIns)") else { continue }
                for name in names where name.hasSuffix(".conf") && places[name] == nil {
                    places[name] = "\(folder)/\(dropIns)/\(name)"
                }
            }
        }
        for (_, path) in places.sorted(by: { $0.key < $1.key }).prefix(Self.limit) {
            guard case .success(let file) = self.environment.read(path, Settings.fileLimit) else { continue }
            found.append((path, file.contents))
        }
        return found
    }
}
