// SPDX-License-Identifier: Apache-2.0

/// Why a benchmark could not be carried out, in words for the person who started it.
struct BenchError: Error, CustomStringConvertible {
    let message: String
    var description: String { self.message }

    init(_ message: String) { self.message = message }
}
