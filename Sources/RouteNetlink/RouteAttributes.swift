// SPDX-License-Identifier: Apache-2.0

/// The attributes of a message: each a length with its four bytes of header, a type, and a value, padded to four bytes.
struct RouteAttributes {
    /// By type up to this one; no other is read.
    private static let limit = 16
    private var values = [ArraySlice<UInt8>?](repeating: nil, count: Self.limit)

    /// Nil when a length does not fit.
    init?(_ bytes: ArraySlice<UInt8>) {
        var rest = bytes
        while !rest.isEmpty {
            guard let length = rest.number(UInt16.self, at: 0), let type = rest.number(UInt16.self, at: 2),
                length >= 4, length <= rest.count
            else { return nil }
            if type < Self.limit { self.values[Int(type)] = rest.dropFirst(4).prefix(Int(length) - 4) }
            rest = rest.dropFirst((Int(length) + 3) & ~3)
        }
    }

    subscript(type: Int) -> ArraySlice<UInt8>? { self.values[type] }
}

extension ArraySlice<UInt8> {
    /// The number at `offset` in the host's byte order; nil beyond the end.
    func number<Number: FixedWidthInteger>(_ type: Number.Type, at offset: Int) -> Number? {
        guard self.count >= offset + MemoryLayout<Number>.size else { return nil }
        return self.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: type) }
    }
}
