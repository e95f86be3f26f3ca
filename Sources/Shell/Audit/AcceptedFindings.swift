// SPDX-License-Identifier: Apache-2.0
public import Audit
import Glibc
public import Settings

/// The file of accepted findings, as `pharos audit` and the daemon read it.
public enum AcceptedFindings {
    /// What the file accepts. One that nobody named need not be there.
    ///
    /// - Parameters:
    ///   - named: nil: the one beside the configuration.
    ///   - configuration: the path of pharos.yml.
    public static func read(
        _ named: String? = nil, beside configuration: String
    ) throws(SettingsError) -> [AcceptedFinding] {
        let file = named ?? AcceptedFile.path(besideConfiguration: configuration)
        if named == nil, access(file, F_OK) != 0 { return [] }
        let entries = try AcceptedFile.read(file, codes: AuditRule.all.map(\.code), isDay: { AuditDate($0) != nil })
        return entries.compactMap { entry in
            AuditDate(entry.until).map { AcceptedFinding(code: entry.code, reason: entry.reason, until: $0) }
        }
    }
}
