// SPDX-License-Identifier: Apache-2.0

/// Every kind of record, with the MESSAGE_ID that the message catalog explains (systemd/pharos.catalog).
public enum LogKind: CaseIterable, Sendable {
    /// The daemon starts.
    case daemonStarted
    /// First confirmed knowledge of etcd and of this node.
    case daemonReady
    /// Asked to stop; addresses are released.
    case stopping
    case handedOver
    /// All released, or given up.
    case stopped
    /// A new configuration is in force.
    case configurationReloaded
    /// A new configuration is invalid; the old one stays.
    case configurationRefused
    /// Something that the daemon needs before it can begin is missing, and waited for.
    case startWaits
    /// First contact with etcd.
    case contactMade
    /// Etcd cannot be read.
    case contactLost
    /// Etcd can be read again.
    case contactRestored
    /// What the daemon asked for has not been answered, not even badly.
    case unanswered
    /// Another etcd cluster answers.
    case clusterReplaced
    /// A new etcd cluster is not trusted yet.
    case clusterQuarantined
    /// etcd has lost what was acquired: it was restored, or an earlier cluster came back.
    case historyContradicted
    /// Whether etcd's history is the one that was known cannot be told.
    case historyUnknown
    /// A keep-alive was answered by a member of etcd that did not know who leads.
    case renewalUncounted
    /// What this node knows of etcd cannot be kept for the next process.
    case memoryUnwritable
    /// A member of etcd is of a version with known faults.
    case etcdOutdated
    /// This node's clock is corrected faster than the margin allows for.
    case clockBeyondDrift
    /// It is no more.
    case clockWithinDrift
    /// A read showed what the watch had not.
    case watchStale
    /// Patroni's leader key changed.
    case leaderChanged
    /// The watch of etcd ended, or cannot be begun.
    case watchInterrupted
    /// A request to etcd failed, on which nothing was decided.
    case requestFailed
    /// Patroni's REST API cannot be asked.
    case patroniUnanswered
    /// Patroni's maintenance mode began or ended.
    case pauseChanged
    /// Patroni's dynamic configuration holds what cannot be used.
    case patroniConfigOdd
    /// The verdict on an address changed.
    case stanceChanged
    /// A lease of an earlier process is taken over.
    case leaseAdopted
    /// The key of an address moves to a lease with a lower TTL.
    case leaseShortened
    /// The lease of an address has ended.
    case leaseLost
    /// Etcd granted no lease.
    case leaseRefused
    /// The key of an address was acquired.
    case addressAcquired
    /// The acquire transaction's comparisons failed.
    case acquireRefused
    /// etcd's user may not use the keys by which one address in two clusters is found.
    case fencesForbidden
    /// Another Patroni cluster holds the address.
    case heldByAnotherCluster
    /// The address was put on the interface.
    case addressAssigned
    /// The address could not be put on the interface.
    case assignFailed
    /// The address was taken off the interface.
    case addressRemoved
    /// The address could not be taken off the interface.
    case removeFailed
    /// The key of an address was given back.
    case addressReleased
    /// The kernel ended the address's lifetime.
    case addressLapsed
    /// Somebody else removed the address.
    case addressRemovedByOthers
    /// Somebody else added the address.
    case addressAddedByOthers
    /// Somebody else changed the address's lifetime.
    case addressLifetimeChanged
    /// Another node answers for the address.
    case duplicateHolder
    /// The kernel's addresses could not be listed.
    case inspectionFailed
    /// Changes of this node's addresses and interfaces may have been missed.
    case monitorInterrupted
    /// The address could not be announced.
    case announceFailed
    /// The node's own addresses hang on one of ours.
    case ownAddressAtRisk
    /// Patroni's failsafe mode keeps the address.
    case failsafeHolds
    /// The local PostgreSQL's state changed.
    case postgresChanged
    /// Two nodes use the same member name.
    case memberClash
    /// Patroni knows no member of this name.
    case memberUnknown
    /// The status API cannot be served.
    case statusUnavailable
    /// The status API is served after all.
    case statusServed
    /// A program was not started, since there is no room for it.
    case childRefused
    /// Names cannot be looked up: old addresses are used.
    case namesStale
    /// Each name can be looked up again.
    case namesFresh
    /// This node's daemon writes `pg_dist_node` from now on, or no more.
    case citusWriterChanged
    /// A group has a leader for the first time.
    case citusGroupAppeared
    /// None of a group's keys is left.
    case citusGroupVanished
    /// A coordinator's database, or the groups' keys, cannot be read.
    case citusUnreachable
    /// A coordinator's database can be read again.
    case citusReached
    /// A group's row names another address than its leader's.
    case citusDrift
    /// A group's rows were put right.
    case citusUpdated
    /// A change of a group's rows was not committed.
    case citusUpdateFailed
    /// An update waits for other sessions.
    case citusBlocked
    /// A group's rows cannot be put right by moving addresses.
    case citusRefused
    /// A change has reached every worker.
    case citusSynchronized
    /// A change has not reached every worker.
    case citusUnsynchronized
    /// A leader's PostgreSQL does not let this daemon ask it.
    case citusProbeRefused
    /// Writes to a group are held while its leader changes.
    case citusHolding
    /// The transaction that held writes ended without a commit.
    case citusHoldEnded
    /// Two coordinators accept writes.
    case citusRivalCoordinator
    /// The other coordinator accepts writes no more.
    case citusRivalGone
    /// The verdict on a member is another one.
    case detectorVerdict
    /// A member comes and goes: nothing is done about it for now.
    case suppressionBegan
    case suppressionEnded
    /// Patroni is asked to switch over from a leader that cannot be used.
    case switchoverAsked
    case switchoverAnswered
    /// A leader cannot be used, and a rule forbids to switch over.
    case switchoverForbidden
    /// Endpoints of etcd are lost, or slow.
    case etcdDegraded
    case etcdWell
    /// The operator's command for grave records has not worked.
    case alertFailed
    /// Nobody can be reached from this node.
    case nodeIsolated
    /// Others can be reached from this node again.
    case nodeReconnected
    /// Several members of one group accept writes.
    case splitBrain
    /// No more than one member of the group accepts writes any more.
    case splitBrainOver
    /// A member's PostgreSQL does not let this daemon ask it.
    case probeRefused

    /// 128 bits in lower-case hexadecimal, as sd-journal's MESSAGE_ID wants them.
    public var messageID: String {
        switch self {
        case .daemonStarted: "3b226fe6a3f04b79834db7570cae441d"
        case .daemonReady: "5501a32fcb534efd8af0ec87d50a791f"
        case .stopping: "f13cc69963c2464f8124333149861281"
        case .handedOver: "fcdf7c2b1bc94fadaaef30e60ebd4209"
        case .stopped: "92cc74b72add401a82c453296dbb2ebb"
        case .configurationReloaded: "fcef9090061c419786bf6af9043937df"
        case .configurationRefused: "e7ddf76823854de78408a20e172db023"
        case .startWaits: "637a85b271c946b49540611404fb719f"
        case .contactMade: "5e88465f6931433785de580f525b5488"
        case .contactLost: "578727d6aa4044238feee2799f456db6"
        case .contactRestored: "38f6a2e8170443f7827c93f8e3fdbd44"
        case .unanswered: "457349c9eaf0417a9ed99803ccac983e"
        case .clusterReplaced: "1d0de40135204ab88dd710f05b63202c"
        case .clusterQuarantined: "9294563dbf3345f5818fb361092c3b60"
        case .historyContradicted: "4a3f1587a38f42b0913faefcf9ba68c9"
        case .historyUnknown: "71f70fde290c44af9e19e4e1854e429d"
        case .renewalUncounted: "b645415406db429890f1d694ff689931"
        case .memoryUnwritable: "08b03bf3ee084938a05a50c2ed3be6fb"
        case .etcdOutdated: "4569a9aead8640208391519c284a3229"
        case .clockBeyondDrift: "0d38b2d732724d2b96de2d919344e1f4"
        case .clockWithinDrift: "6b5e3b578de044eb852ed53ce444f165"
        case .watchStale: "e48cf7b84faf4ebc80968571ba891690"
        case .watchInterrupted: "892795f698214889a75a96ddeb96e14b"
        case .requestFailed: "c9027ccfe7fd4946a6630ffdb2057548"
        case .patroniUnanswered: "73e1ef5a7f9a4cc5b4721fc83a9aabb5"
        case .patroniConfigOdd: "19ed166549b94cdf83f06d4b7e4b0e27"
        case .leaseShortened: "251971a4e1ca433987a54400849f637d"
        case .leaderChanged: "dffb14eb9100424082d308cdfc303a06"
        case .pauseChanged: "c9dadcc70ee944ba8a6d9b94988565c7"
        case .stanceChanged: "c17185efe51041f48d7935a9bbb498d8"
        case .leaseAdopted: "b367584f00ed495a88bb22b36be0c83f"
        case .leaseLost: "bc170692e300439289bead5bcf7b7adf"
        case .leaseRefused: "3fd5d85bb09a4d3488e549feae1d7acf"
        case .addressAcquired: "a5f4270876ae41b58dd68684127bdb95"
        case .fencesForbidden: "4d47595dcdce44bea5212b3661b9590f"
        case .heldByAnotherCluster: "2c5fac750e6f4eb89bb8d6198a261a47"
        case .acquireRefused: "8afb53f3be1145768a0df53c2227d3d0"
        case .addressAssigned: "0e33d0f128ea45458048611b7cd394af"
        case .assignFailed: "334dd3e7b5804d12885f0b29f442c058"
        case .addressRemoved: "46c9a51e8efe47498a085998b7c07cc2"
        case .removeFailed: "3dbd6a5c5cf443fc8eb23d51fcd5bb77"
        case .addressReleased: "572f0481960744668d8f322ffdffefe7"
        case .addressLapsed: "c772a33cbf8d4991874ef6a0c6c55dd9"
        case .addressRemovedByOthers: "f704e1b5d0d74af48db0bf62e101b6e3"
        case .addressAddedByOthers: "105d7646e5024d1b820b06682ff2992a"
        case .addressLifetimeChanged: "1795a898d6714f399eddc8320b6ba608"
        case .duplicateHolder: "2ed91cc11e6f48c98dafe6636e763de7"
        case .inspectionFailed: "824e6e834ed740148d6a4462da24986f"
        case .monitorInterrupted: "eb811c08d2874e3287025bad857cec69"
        case .announceFailed: "aecfdc6eeaf646e2887dd3a19d2d199c"
        case .ownAddressAtRisk: "4a43ddd48a904166a664c02efa561bed"
        case .failsafeHolds: "bac4c306d833475582d2350ed1f38c53"
        case .postgresChanged: "924996317c5646148692e556506e1a70"
        case .memberClash: "557b557104164b1287d47a081d8331aa"
        case .memberUnknown: "3d32b65705b94670885e0cfd29719b0b"
        case .statusUnavailable: "7b160ed476d24bb98ec7e2143d1bf6ba"
        case .statusServed: "80b92c61ad63409ebf1174d925535dc8"
        case .namesStale: "7bce116bf6e1476aa80ac9b6ec4da4d1"
        case .namesFresh: "ffcbd04342374199a84c7f0bb2fec356"
        case .childRefused: "e1f6a99a7c5245dfa5a3c5394ac6fb97"
        case .citusWriterChanged: "f18b7777529a4ca0bf7a4c61590b1c4b"
        case .citusGroupAppeared: "1f871480e2f641288cd6a700dbf4222f"
        case .citusGroupVanished: "25672b19c4f148fcb6f001cc4b7e3994"
        case .citusUnreachable: "6a3452adb0894d6698dbf6afe88158af"
        case .citusReached: "52d61d7253424719b13b1429932df14b"
        case .citusDrift: "394e7308309941139d1211b10fdace41"
        case .citusUpdated: "b1f166df182f438ba59196d573dab2c3"
        case .citusUpdateFailed: "c95130fe0e27449e9db101840006c914"
        case .citusBlocked: "1ce0bdd057104c1daeb314294526893e"
        case .citusRefused: "79904c671f604a30bb84ebf129f1236a"
        case .citusSynchronized: "638b0409dd3e4134b90d731b6c06dfcf"
        case .citusUnsynchronized: "ad02382d4a8043d78643ac57529f6c12"
        case .citusProbeRefused: "07c0db56e2794b6385528e69c309d5ef"
        case .citusHolding: "e178e11e37a94e3a9f29384e5d0974d0"
        case .citusHoldEnded: "10df782083ef49d485a56a5f5bce011d"
        case .citusRivalCoordinator: "8a15b00510844098b723bfe3ff535653"
        case .citusRivalGone: "851f21516f6c4e7290734e53aa596c9a"
        case .detectorVerdict: "9a9be1f89eaf460c9f214e8a292d7ba9"
        case .suppressionBegan: "43b126f010eb43078e02767b2a8314c6"
        case .suppressionEnded: "b9e619415744474d8e79f17b9a461d3b"
        case .switchoverAsked: "479f43d558f2417fb2712ca867fa1eea"
        case .switchoverAnswered: "ac61c1f59ed44f7994eee6626c90ce13"
        case .switchoverForbidden: "c1804c59aab84da1b548ebd34cb0d813"
        case .alertFailed: "1e912311ffd54082970e1ba4aa02540b"
        case .etcdDegraded: "9b8e6b9db7804179a2a7536062af48c4"
        case .etcdWell: "ce8bebc337c24a3cb00e4a888b521ce2"
        case .nodeIsolated: "11c9971aaf74479d96cabe88db496d19"
        case .nodeReconnected: "670baa9a30034d71aa86b38282838458"
        case .splitBrain: "939c61da321647aca75b874b9a1e236a"
        case .splitBrainOver: "d1b9b32eec6a4e88961ea573528b6cbd"
        case .probeRefused: "c7ab76548c4f402f9bc46606b7f6eb48"
        }
    }
}
