// SPDX-License-Identifier: Apache-2.0
import Secrets

/// What one of the two files says; nil where it is silent.
struct PartialSettings {
    var scope: Sourced<String>?
    var member: Sourced<String>?
    var namespace: Sourced<String>?
    var group: Sourced<Int>?
    var citusDatabase: Sourced<String>?
    var etcdEndpoints: Sourced<[EndpointURL]>?
    var etcdDiscovery: Sourced<Settings.Etcd.Discovery>?
    var etcdMembers: Sourced<Settings.Etcd.Members>?
    var etcd = PartialCredentials()
    var patroniURL: Sourced<EndpointURL>?
    var patroni = PartialCredentials()
    var conninfo: Sourced<String>?
    /// Why that may be another by now.
    var conninfoDoubt: Sourced<String>?
    /// Where PostgreSQL listens, without the port.
    var listen: Sourced<[String]>?
    /// The port that it tells others, or listens on.
    var port: Sourced<UInt16>?
    /// What Patroni's file says and nobody can use: why, under the key of pharos.yml that would say it instead.
    var refused: [String: Sourced<String>] = [:]
    /// What Patroni's file lacks for Patroni itself.
    var incomplete: Sourced<String>?
}

/// How to prove who we are, and whom to trust, in one section of one file.
struct PartialCredentials {
    var username: Sourced<String>?
    /// The position is that of the file's name, if the password is in a file of its own.
    var password: Sourced<Secret>?
    var caFile: Sourced<String>?
    var certFile: Sourced<String>?
    var keyFile: Sourced<String>?

    var hasTLS: Bool { self.caFile != nil || self.certFile != nil || self.keyFile != nil }

    /// These, and the other file's where these are silent. A user and a password belong together, and so do a certificate
    /// and its key: a pair is never made of two files.
    func falling(backTo other: PartialCredentials) -> PartialCredentials {
        var merged = self
        if self.username == nil, self.password == nil {
            (merged.username, merged.password) = (other.username, other.password)
        }
        if self.certFile == nil, self.keyFile == nil {
            (merged.certFile, merged.keyFile) = (other.certFile, other.keyFile)
        }
        merged.caFile = self.caFile ?? other.caFile
        return merged
    }
}
