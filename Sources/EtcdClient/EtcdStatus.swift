// SPDX-License-Identifier: Apache-2.0
import EtcdValues
import EventLoop
import HTTPClient
import LenientJSON

/// What one endpoint says of itself.
public struct EtcdStatus: Sendable, Equatable {
    /// As it is written: `3.5.16`.
    public let version: String
    public let memberID: UInt64
    /// Of the member that leads; 0: none does.
    public let leaderID: UInt64
    /// Bytes of the database, free room in it included.
    public let size: Int64
    /// Bytes that are used; nil: this version does not say.
    public let sizeInUse: Int64?
    /// Such as `NOSPACE`.
    public let alarms: [String]
}

extension GatewayDecoding {
    /// Complaints beyond this number are ignored.
    private static let complaintLimit = 64

    static func status(_ answer: JSON) throws(MalformedAnswer) -> EtcdStatus {
        let complaints = try self.list(answer, "errors").prefix(self.complaintLimit).compactMap(\.string)
        // `memberID:8211f1d0f64f3269 alarm:NOSPACE `
        let alarms = complaints.compactMap { text in
            text.firstRange(of: "alarm:").map { range in
                String(text[range.upperBound...].prefix { $0.isLetter }.prefix(32))
            }
        }
        return EtcdStatus(
            version: String((answer["version"]?.string ?? "").prefix(32)), memberID: try self.header(answer).memberID,
            leaderID: try self.unsigned(answer, "leader"), size: try self.integer(answer, "dbSize"),
            sizeInUse: answer["dbSizeInUse"]?.int64, alarms: Array(Set(alarms)).sorted())
    }
}

extension EtcdClient {
    /// What the endpoint `url` says of itself. Neither which endpoint is used nor what is known of it changes.
    public func status(at url: String) async -> Result<EtcdStatus, EtcdError> {
        guard let number = self.endpoints.endpoints.first(where: { $0.url == url })?.number else {
            return .failure(EtcdError(kind: .unreachable, message: "no longer an endpoint", endpoint: url))
        }
        let limit = BootClock.microseconds + self.configuration.attemptTimeout.wholeMicroseconds
        let (path, body) = ("/maintenance/status", Array("{}".utf8))
        var outcome = await self.attempt(path, body, true, on: number, deadline: limit)
        if case .failure(let failure) = outcome, failure.wantsToken, self.configuration.username != nil {
            outcome = await self.attempt(path, body, true, on: number, deadline: limit)
        }
        do throws(MalformedAnswer) {
            switch outcome {
            case .success(let answer): return .success(try GatewayDecoding.status(answer))
            case .failure(let failure):
                return .failure(EtcdError(kind: failure.kind, message: failure.message, endpoint: url))
            }
        } catch {
            return .failure(EtcdError(kind: .malformed, message: "malformed answer: \(error.message)", endpoint: url))
        }
    }

    /// What the endpoint `url` serves for Prometheus, where it serves that there.
    public func figures(at url: String) async -> Result<EtcdFigures, EtcdError> {
        var request = HTTPRequest(.get, url + "/metrics")
        request.timeout = .seconds(2)
        request.connectTimeout = request.timeout
        request.tls = self.configuration.tls
        do throws(HTTPError) {
            let response = try await self.http.send(request)
            guard response.status == 200 else {
                return .failure(
                    EtcdError(kind: .malformed, message: "/metrics: status \(response.status)", endpoint: url))
            }
            return .success(EtcdFigures(response.body))
        } catch {
            return .failure(EtcdError(kind: .unreachable, message: error.message, endpoint: url))
        }
    }
}
