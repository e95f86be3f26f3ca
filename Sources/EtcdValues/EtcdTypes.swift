// SPDX-License-Identifier: Apache-2.0

/// What etcd says about itself in every answer.
public struct Header: Sendable, Hashable {
    /// Differs after etcd was rebuilt.
    public let clusterID: UInt64
    public let memberID: UInt64
    /// The store's revision when the answer was made; 0 in some of a watch's messages.
    public let revision: Int64
    /// Never falls on a member; a lower one than seen elsewhere comes from a stale member.
    public let raftTerm: UInt64

    public init(clusterID: UInt64, memberID: UInt64, revision: Int64, raftTerm: UInt64) {
        self.clusterID = clusterID
        self.memberID = memberID
        self.revision = revision
        self.raftTerm = raftTerm
    }
}

public struct KeyValue: Sendable, Hashable {
    public let key: [UInt8]
    public let value: [UInt8]
    /// The revision of the put that created the key since it was last absent; 0 in a delete event.
    public let createRevision: Int64
    /// The revision of the last change.
    public let modRevision: Int64
    /// How many puts since creation.
    public let version: Int64
    /// The lease that the key is attached to; 0: none.
    public let lease: Int64

    /// Key and value as text, malformed UTF-8 replaced.
    public var keyText: String { String(decoding: self.key, as: UTF8.self) }
    public var valueText: String { String(decoding: self.value, as: UTF8.self) }

    public init(
        key: [UInt8],
        value: [UInt8],
        createRevision: Int64,
        modRevision: Int64,
        version: Int64,
        lease: Int64
    ) {
        self.key = key
        self.value = value
        self.createRevision = createRevision
        self.modRevision = modRevision
        self.version = version
        self.lease = lease
    }
}

public struct RangeResponse: Sendable, Equatable {
    public let header: Header
    public let keyValues: [KeyValue]
    /// How many keys the range has, also beyond the limit.
    public let count: Int64
    /// Whether the limit cut the answer short.
    public let more: Bool

    public init(header: Header, keyValues: [KeyValue], count: Int64, more: Bool) {
        self.header = header
        self.keyValues = keyValues
        self.count = count
        self.more = more
    }
}

public struct LeaseGrant: Sendable, Equatable {
    public let id: Int64
    /// Seconds, as granted; etcd may raise what was asked for.
    public let ttl: Int64
    public let header: Header

    public init(id: Int64, ttl: Int64, header: Header) {
        self.id = id
        self.ttl = ttl
        self.header = header
    }
}

public struct LeaseKeepAlive: Sendable, Equatable {
    /// Seconds from when etcd handled the request; 0: the lease is gone.
    public let ttl: Int64
    public let header: Header

    public init(ttl: Int64, header: Header) {
        self.ttl = ttl
        self.header = header
    }
}

/// One change of one key.
public struct WatchEvent: Sendable, Equatable {
    public enum Kind: Sendable, Equatable { case put, delete }
    public let kind: Kind
    /// After a delete: the key and the revision of the deletion, nothing else.
    public let keyValue: KeyValue

    public init(kind: Kind, keyValue: KeyValue) {
        self.kind = kind
        self.keyValue = keyValue
    }
}

/// What a watch delivers at once. The changes of one revision are never split over two batches.
public struct WatchBatch: Sendable, Equatable {
    public let header: Header
    /// The first batch: the watch is established; no events.
    public let isCreation: Bool
    /// Empty at creation and in progress notices, which only say how far etcd has come.
    public let events: [WatchEvent]

    public init(header: Header, isCreation: Bool, events: [WatchEvent]) {
        self.header = header
        self.isCreation = isCreation
        self.events = events
    }
}
