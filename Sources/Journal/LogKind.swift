// SPDX-License-Identifier: Apache-2.0

/// Every kind of record. Its value is the MESSAGE_ID under which the message catalog explains it (systemd/pharos.catalog): 128
/// bits in lower-case hexadecimal, as `systemd-id128 new` prints them.
public enum LogKind: String, CaseIterable, Sendable {
    /// The daemon starts.
    case daemonStarted = "3b226fe6a3f04b79834db7570cae441d"
    /// First confirmed knowledge of etcd and of this node.
    case daemonReady = "5501a32fcb534efd8af0ec87d50a791f"
    /// Asked to stop; addresses are released.
    case stopping = "f13cc69963c2464f8124333149861281"
    case handedOver = "fcdf7c2b1bc94fadaaef30e60ebd4209"
    /// All released, or given up.
    case stopped = "92cc74b72add401a82c453296dbb2ebb"
    /// A new configuration is in force.
    case configurationReloaded = "fcef9090061c419786bf6af9043937df"
    /// A new configuration is invalid; the old one stays.
    case configurationRefused = "e7ddf76823854de78408a20e172db023"
    /// Something that the daemon needs before it can begin is missing, and waited for.
    case startWaits = "637a85b271c946b49540611404fb719f"
    /// First contact with etcd.
    case contactMade = "5e88465f6931433785de580f525b5488"
    /// Etcd cannot be read.
    case contactLost = "578727d6aa4044238feee2799f456db6"
    /// Etcd can be read again.
    case contactRestored = "38f6a2e8170443f7827c93f8e3fdbd44"
    /// What the daemon asked for has not been answered, not even badly.
    case unanswered = "457349c9eaf0417a9ed99803ccac983e"
    /// Another etcd cluster answers.
    case clusterReplaced = "1d0de40135204ab88dd710f05b63202c"
    /// A new etcd cluster is not trusted yet.
    case clusterQuarantined = "9294563dbf3345f5818fb361092c3b60"
    /// etcd has lost what was acquired: it was restored, or an earlier cluster came back.
    case historyContradicted = "4a3f1587a38f42b0913faefcf9ba68c9"
    /// Whether etcd's history is the one that was known cannot be told.
    case historyUnknown = "71f70fde290c44af9e19e4e1854e429d"
    /// A keep-alive was answered by a member of etcd that did not know who leads.
    case renewalUncounted = "b645415406db429890f1d694ff689931"
    /// What this node knows of etcd cannot be kept for the next process.
    case memoryUnwritable = "08b03bf3ee084938a05a50c2ed3be6fb"
    /// A member of etcd is of a version with known faults.
    case etcdOutdated = "4569a9aead8640208391519c284a3229"
    /// etcd's members told endpoints that the configuration does not name.
    case etcdMembersLearned = "4bb0d8bcf1394807be22cf8f2ddefa61"
    /// DNS told endpoints of etcd.
    case etcdDiscovered = "53f2c1d9a7d04b52a3a0c8f65f4c27de"
    /// One member of several is reached.
    case etcdEndpointAlone = "9617801bdc9f46859c6c8fbd6c45e4db"
    /// An endpoint belongs to another etcd cluster than the one that is followed.
    case etcdEndpointForeign = "cccbc7143364418db4513f9467d0c4f5"
    /// It belongs to the one that is followed again.
    case etcdEndpointBack = "0c7c6e03d2b54aa4821bd17e84e81fd3"
    /// Another etcd cluster is followed than before.
    case etcdClusterChosen = "ae769f8e65f740179e292077233e21f9"
    /// The endpoints belong to several clusters, and none is followed.
    case etcdClustersUndecided = "db459fefd2394fd4a988d96c279ddffb"
    /// Endpoints answer for one etcd cluster, and do not know each other.
    case etcdMembersDivided = "31987712deed490b9762070c14d949a8"
    /// They do again.
    case etcdMembersUnited = "c80d9fc5d0f7498ab56dc31d372167c5"
    /// This node's clock is corrected faster than the margin allows for.
    case clockBeyondDrift = "0d38b2d732724d2b96de2d919344e1f4"
    /// It is no more.
    case clockWithinDrift = "6b5e3b578de044eb852ed53ce444f165"
    /// A read showed what the watch had not.
    case watchStale = "e48cf7b84faf4ebc80968571ba891690"
    /// Patroni's leader key changed.
    case leaderChanged = "dffb14eb9100424082d308cdfc303a06"
    /// The watch of etcd ended, or cannot be begun.
    case watchInterrupted = "892795f698214889a75a96ddeb96e14b"
    /// A request to etcd failed, on which nothing was decided.
    case requestFailed = "c9027ccfe7fd4946a6630ffdb2057548"
    /// Patroni's REST API cannot be asked.
    case patroniUnanswered = "73e1ef5a7f9a4cc5b4721fc83a9aabb5"
    /// Patroni's maintenance mode began or ended.
    case pauseChanged = "c9dadcc70ee944ba8a6d9b94988565c7"
    /// Patroni's dynamic configuration holds what cannot be used.
    case patroniConfigOdd = "19ed166549b94cdf83f06d4b7e4b0e27"
    /// The verdict on an address changed.
    case stanceChanged = "c17185efe51041f48d7935a9bbb498d8"
    /// A lease of an earlier process is taken over.
    case leaseAdopted = "b367584f00ed495a88bb22b36be0c83f"
    /// The key of an address moves to a lease with a lower TTL.
    case leaseShortened = "251971a4e1ca433987a54400849f637d"
    /// The lease of an address has ended.
    case leaseLost = "bc170692e300439289bead5bcf7b7adf"
    /// Etcd granted no lease.
    case leaseRefused = "3fd5d85bb09a4d3488e549feae1d7acf"
    /// The key of an address was acquired.
    case addressAcquired = "a5f4270876ae41b58dd68684127bdb95"
    /// The acquire transaction's comparisons failed.
    case acquireRefused = "8afb53f3be1145768a0df53c2227d3d0"
    /// etcd's user may not use the keys by which one address in two clusters is found.
    case fencesForbidden = "4d47595dcdce44bea5212b3661b9590f"
    /// Another Patroni cluster holds the address.
    case heldByAnotherCluster = "2c5fac750e6f4eb89bb8d6198a261a47"
    /// The address was put on the interface.
    case addressAssigned = "0e33d0f128ea45458048611b7cd394af"
    /// The address could not be put on the interface.
    case assignFailed = "334dd3e7b5804d12885f0b29f442c058"
    /// The address was taken off the interface.
    case addressRemoved = "46c9a51e8efe47498a085998b7c07cc2"
    /// The address could not be taken off the interface.
    case removeFailed = "3dbd6a5c5cf443fc8eb23d51fcd5bb77"
    /// The key of an address was given back.
    case addressReleased = "572f0481960744668d8f322ffdffefe7"
    /// The kernel ended the address's lifetime.
    case addressLapsed = "c772a33cbf8d4991874ef6a0c6c55dd9"
    /// Somebody else removed the address.
    case addressRemovedByOthers = "f704e1b5d0d74af48db0bf62e101b6e3"
    /// Somebody else added the address.
    case addressAddedByOthers = "105d7646e5024d1b820b06682ff2992a"
    /// Somebody else changed the address's lifetime.
    case addressLifetimeChanged = "1795a898d6714f399eddc8320b6ba608"
    /// Others change an address again and again.
    case addressFoughtOver = "347efb1233fd4d908ed9aebf6663ec7d"
    /// The interface of an address that belongs here has gone, is down, or has no carrier.
    case linkLost = "5fd201b29cf64ceca44a2ee640de1815"
    /// It is back.
    case linkBack = "30fba8b44b4143298f7f4883440685e5"
    /// Another node answers for the address.
    case duplicateHolder = "2ed91cc11e6f48c98dafe6636e763de7"
    /// Nobody takes clients at an address that is here.
    case portClosed = "8ea3fdac8af449338c195dcabeee3209"
    /// Somebody does again.
    case portOpen = "52c872cf8f5341d8bd45350e230295d4"
    /// Whether anybody does is not known.
    case portUntried = "281d277ae4fc44b6ac376c605228d3a2"
    /// The kernel's addresses could not be listed.
    case inspectionFailed = "824e6e834ed740148d6a4462da24986f"
    /// Changes of this node's addresses and interfaces may have been missed.
    case monitorInterrupted = "eb811c08d2874e3287025bad857cec69"
    /// The address could not be announced.
    case announceFailed = "aecfdc6eeaf646e2887dd3a19d2d199c"
    /// The node's own addresses hang on one of ours.
    case ownAddressAtRisk = "4a43ddd48a904166a664c02efa561bed"
    /// Patroni's failsafe mode keeps the address.
    case failsafeHolds = "bac4c306d833475582d2350ed1f38c53"
    /// The local PostgreSQL's state changed.
    case postgresChanged = "924996317c5646148692e556506e1a70"
    /// Two nodes use the same member name.
    case memberClash = "557b557104164b1287d47a081d8331aa"
    /// Patroni knows no member of this name.
    case memberUnknown = "3d32b65705b94670885e0cfd29719b0b"
    /// The status API cannot be served.
    case statusUnavailable = "7b160ed476d24bb98ec7e2143d1bf6ba"
    /// The status API is served after all.
    case statusServed = "80b92c61ad63409ebf1174d925535dc8"
    /// A program was not started, since there is no room for it.
    case childRefused = "e1f6a99a7c5245dfa5a3c5394ac6fb97"
    /// Names cannot be looked up: old addresses are used.
    case namesStale = "7bce116bf6e1476aa80ac9b6ec4da4d1"
    /// Each name can be looked up again.
    case namesFresh = "ffcbd04342374199a84c7f0bb2fec356"
    /// This node's daemon writes `pg_dist_node` from now on, or no more.
    case citusWriterChanged = "f18b7777529a4ca0bf7a4c61590b1c4b"
    /// A group has a leader for the first time.
    case citusGroupAppeared = "1f871480e2f641288cd6a700dbf4222f"
    /// None of a group's keys is left.
    case citusGroupVanished = "25672b19c4f148fcb6f001cc4b7e3994"
    /// A coordinator's database, or the groups' keys, cannot be read.
    case citusUnreachable = "6a3452adb0894d6698dbf6afe88158af"
    /// A coordinator's database can be read again.
    case citusReached = "52d61d7253424719b13b1429932df14b"
    /// A group's row names another address than its leader's.
    case citusDrift = "394e7308309941139d1211b10fdace41"
    /// A group's rows were put right.
    case citusUpdated = "b1f166df182f438ba59196d573dab2c3"
    /// A change of a group's rows was not committed.
    case citusUpdateFailed = "c95130fe0e27449e9db101840006c914"
    /// An update waits for other sessions.
    case citusBlocked = "1ce0bdd057104c1daeb314294526893e"
    /// Citus could not terminate the sessions in an update's way.
    case citusUnforced = "3ce028e27c994e3dae5392729dd0233b"
    /// Citus's own synchronization of metadata stood in the way of an update, and was interrupted; or could not be.
    case citusSyncInterrupted = "5a5778a8b75842e0834eef5cfd2733f8"
    /// A group's rows cannot be put right by moving addresses.
    case citusRefused = "79904c671f604a30bb84ebf129f1236a"
    /// A change has reached every worker.
    case citusSynchronized = "638b0409dd3e4134b90d731b6c06dfcf"
    /// A change has not reached every worker.
    case citusUnsynchronized = "ad02382d4a8043d78643ac57529f6c12"
    /// Settings of the coordinator under which a failover hangs or fails.
    case citusSettings = "8d98b1cb1d334a33995f1f8b03fda054"
    /// What cannot be done with the versions of the coordinator's database.
    case citusVersions = "7fa429460cc84d8e81603da49437e654"
    /// The daemon's own verification has found something.
    case citusFinding = "f7b30d766eed48f49afad83a8fda5b0c"
    /// It finds it no more.
    case citusFindingGone = "ac11f89efa3f444280f6dcb57986cb5e"
    /// The cluster could not be verified.
    case citusUnverified = "0af6d8c3b1404c1595bc49cc9acf9618"
    /// A leader's PostgreSQL does not let this daemon ask it.
    case citusProbeRefused = "07c0db56e2794b6385528e69c309d5ef"
    /// Writes to a group are held while its leader changes.
    case citusHolding = "e178e11e37a94e3a9f29384e5d0974d0"
    /// The transaction that held writes ended without a commit.
    case citusHoldEnded = "10df782083ef49d485a56a5f5bce011d"
    /// Two coordinators accept writes.
    case citusRivalCoordinator = "8a15b00510844098b723bfe3ff535653"
    /// The other coordinator accepts writes no more.
    case citusRivalGone = "851f21516f6c4e7290734e53aa596c9a"
    /// The verdict on a member is another one.
    case detectorVerdict = "9a9be1f89eaf460c9f214e8a292d7ba9"
    /// A member comes and goes: nothing is done about it for now.
    case suppressionBegan = "43b126f010eb43078e02767b2a8314c6"
    case suppressionEnded = "b9e619415744474d8e79f17b9a461d3b"
    /// Patroni is asked to switch over from a leader that cannot be used.
    case switchoverAsked = "479f43d558f2417fb2712ca867fa1eea"
    case switchoverAnswered = "ac61c1f59ed44f7994eee6626c90ce13"
    /// A leader cannot be used, and a rule forbids to switch over.
    case switchoverForbidden = "c1804c59aab84da1b548ebd34cb0d813"
    /// Endpoints of etcd are lost, or slow.
    case etcdDegraded = "9b8e6b9db7804179a2a7536062af48c4"
    case etcdWell = "ce8bebc337c24a3cb00e4a888b521ce2"
    /// The operator's command for grave records has not worked.
    case alertFailed = "1e912311ffd54082970e1ba4aa02540b"
    /// What a change of leader has lost of the write-ahead log.
    case logLost = "3830dcdd50b24cf888644641dea86f53"
    /// Nobody can be reached from this node.
    case nodeIsolated = "11c9971aaf74479d96cabe88db496d19"
    /// Others can be reached from this node again.
    case nodeReconnected = "670baa9a30034d71aa86b38282838458"
    /// Several members of one group accept writes.
    case splitBrain = "939c61da321647aca75b874b9a1e236a"
    /// No more than one member of the group accepts writes any more.
    case splitBrainOver = "d1b9b32eec6a4e88961ea573528b6cbd"
    /// A member's PostgreSQL does not let this daemon ask it.
    case probeRefused = "c7ab76548c4f402f9bc46606b7f6eb48"
    /// A member cannot be asked from this node.
    case memberUnasked = "7e551ac6a03d4b0f97906d642fd28f41"
    /// A single failure would not be survived now.
    case failureNotSurvived = "ef6e29f4ad8845718b7adf7799386083"
    /// It would be again.
    case failureSurvivedAgain = "8bf2881f8bdc4086a4cf1fe23aeb062f"
    /// A rule of the audit has a red finding.
    case auditFinding = "b0c1bff394d44344a3bafa2cdc3d6f29"
    /// It has it no more.
    case auditFindingGone = "fef765f40217489592efa4f08a6d0140"
    /// Somebody has confirmed a plan, and it is carried out.
    case operationConfirmed = "7a95943c066848a784e3bbec0718bf6a"
    /// What somebody has asked for is done.
    case operationDone = "68b8d5c8212c4400988aa894f40ccd14"
    /// What somebody has asked for is not done: something stands against it.
    case operationRefused = "af991dfb097a4642a4d6d9e0dfb0ab54"
    /// What somebody has asked for was begun, and has come to nothing, or to nothing known.
    case operationFailed = "fa8618505e9a4925a0cef572f40b5240"
    /// Somebody has paused Pharos's reactions.
    case reactionsPaused = "767286be82204b5c98152e675fb96ee6"
    /// They are not paused any more.
    case reactionsResumed = "b4f64cbd259d4acda5e4b59ea377eba5"
    /// pharos-api answers.
    case apiStarted = "1417ddd866104403890d3296ffa37407"
    /// pharos-api ends.
    case apiStopped = "50bedb8bb2344ff098f1e8022543ada2"
    /// pharos-api cannot listen somewhere.
    case apiUnavailable = "dae455dc2d0b4777bbde0a43c573b299"
    /// pharos-api listens there now.
    case apiServed = "7c10994519f34977975aefd79fd47aa0"
    /// pharos-api has refused a request, or a connection.
    case apiRefused = "e751f789c8e24d6ca5f7e27eed62bc0a"
    /// A certificate or the tokens of pharos-api have changed, and are used.
    case apiCredentialsRead = "f6dbaac80d1e4704998b7a6ba9280c90"
    /// A new certificate or tokens' file cannot be used; what was read before stays.
    case apiCredentialsRefused = "a608b6c21fd740959fb3f961a092e963"
    /// The daemon does not answer pharos-api.
    case apiDaemonSilent = "259e780c7ecc4e28aa2efc5012f45de2"
    /// It does again.
    case apiDaemonAnswers = "a0d3278aaa8041afa58bf4efd5680f7f"

    public var messageID: String { self.rawValue }
}
