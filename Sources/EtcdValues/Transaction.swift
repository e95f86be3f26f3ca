// SPDX-License-Identifier: Apache-2.0

/// `if` all `compares` hold `then` do `success`, `else` do `failure`; atomically, in one revision.
public struct Transaction: Sendable, Equatable {
    public struct Compare: Sendable, Equatable {
        public enum Expectation: Sendable, Equatable {
            case value([UInt8])
            /// 0: the key is absent.
            case createRevision(Int64)
            case modRevision(Int64)
            /// 0: no lease; also true of an absent key.
            case lease(Int64)
        }
        public let key: String
        public let expectation: Expectation

        public init(_ key: String, is expectation: Expectation) {
            self.key = key
            self.expectation = expectation
        }

        public static func absent(_ key: String) -> Compare { Compare(key, is: .createRevision(0)) }
    }

    public enum Operation: Sendable, Equatable {
        /// `lease` 0: none.
        case put(key: String, value: [UInt8], lease: Int64)
        case delete(KeyRange)
        /// `limit` 0: none.
        case range(KeyRange, limit: Int)
    }

    public var compares: [Compare]
    public var success: [Operation]
    public var failure: [Operation]

    public init(compares: [Compare], success: [Operation], failure: [Operation] = []) {
        self.compares = compares
        self.success = success
        self.failure = failure
    }

    /// Whether it changes nothing, whatever it compares: then it may be asked again elsewhere.
    public var isReadOnly: Bool {
        (self.success + self.failure).allSatisfy { operation in
            switch operation {
            case .put, .delete: false
            case .range: true
            }
        }
    }
}

public struct TransactionResponse: Sendable, Equatable {
    public enum OperationResponse: Sendable, Equatable {
        case put
        case delete(count: Int64)
        case range([KeyValue])
    }
    public let header: Header
    /// Whether the compares held and `success` was done; else `failure` was.
    public let succeeded: Bool
    /// One for each operation of the branch that was taken, in its order.
    public let responses: [OperationResponse]

    public init(header: Header, succeeded: Bool, responses: [OperationResponse]) {
        self.header = header
        self.succeeded = succeeded
        self.responses = responses
    }
}
