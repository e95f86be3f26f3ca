// SPDX-License-Identifier: Apache-2.0
import CPostgres
import Glibc

/// What the server remarked on a statement that it carried out all the same.
public struct PostgresNotice: Sendable, Equatable {
    /// Such as `WARNING` or `NOTICE`; never translated. (Empty before PostgreSQL 9.6.)
    public let severity: String
    /// At most ``limit`` bytes of it.
    public let message: String

    /// Bytes of a message that are kept.
    package static let limit = 1 << 10
    /// Notices of one statement that are kept.
    package static let countLimit = 16

    public init(severity: String, message: String) {
        self.severity = severity
        self.message = message
    }

    fileprivate init(_ result: OpaquePointer) {
        func field(_ code: UInt8) -> String {
            guard let text = PQresultErrorField(result, Int32(code)) else { return "" }
            return String(
                decoding: UnsafeRawBufferPointer(start: text, count: strnlen(text, Self.limit)), as: UTF8.self)
        }
        // PG_DIAG_SEVERITY_NONLOCALIZED, PG_DIAG_MESSAGE_PRIMARY
        self.init(severity: field(UInt8(ascii: "V")), message: field(UInt8(ascii: "M")))
    }
}

extension PostgresConnection {
    /// What the server remarked on the last statement.
    public var notices: [PostgresNotice] { self.keeper.notices }
}

/// The notices of one connection's present statement. libpq calls while it takes in what has come.
final class NoticeKeeper {
    private(set) var notices: [PostgresNotice] = []

    func clear() { self.notices = [] }

    /// As long as `raw` is used, this must exist.
    func listen(to raw: OpaquePointer) {
        PQsetNoticeReceiver(
            raw,
            { context, result in
                guard let context, let result else { return }
                Unmanaged<NoticeKeeper>.fromOpaque(context).takeUnretainedValue().take(result)
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    private func take(_ result: OpaquePointer) {
        guard self.notices.count < PostgresNotice.countLimit else { return }
        self.notices.append(PostgresNotice(result))
    }
}
