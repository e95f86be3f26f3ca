// SPDX-License-Identifier: Apache-2.0

/// One address in one node's kernel: there until its lifetime ends, and up to half a second longer.
struct SimulatedAddress {
    var isPresent = false
    /// True time at which the kernel takes it away; nil: not present.
    var endsAt: Time?
    /// Raised at each change, so that an older expiry is recognized.
    var generation = 0
}
