// SPDX-License-Identifier: Apache-2.0

/// The version of the daemon, the command and the API, which are installed together.
public enum Version {
    public static let text = "0.1.0"
}
