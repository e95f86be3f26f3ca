// SPDX-License-Identifier: Apache-2.0

extension LogKind {
    /// How much it matters, where the record does not say otherwise.
    public var priority: LogRecord.Priority {
        switch self {
        case .daemonStarted, .daemonReady, .stopping, .handedOver, .stopped, .configurationReloaded, .contactMade,
            .contactRestored, .etcdMembersLearned, .etcdDiscovered, .etcdEndpointBack, .etcdMembersUnited,
            .clockWithinDrift, .namesFresh,
            .statusServed,
            .leaderChanged,
            .pauseChanged,
            .leaseAdopted,
            .leaseShortened,
            .addressAcquired, .portOpen, .linkBack,
            .addressAssigned, .addressRemoved, .addressReleased, .citusWriterChanged, .citusReached, .citusUpdated,
            .citusSynchronized, .citusVersions, .citusHolding, .citusHoldEnded, .citusRivalGone, .citusFindingGone,
            .failureSurvivedAgain, .auditFindingGone,
            .nodeReconnected, .splitBrainOver, .suppressionEnded, .etcdWell,
            .switchoverAnswered, .operationConfirmed, .operationDone, .reactionsResumed, .logLost, .apiStarted,
            .apiStopped, .apiServed, .apiCredentialsRead, .apiDaemonAnswers:
            .notice
        case .configurationRefused, .startWaits, .leaseLost, .assignFailed, .removeFailed, .addressLapsed, .portClosed,
            .addressFoughtOver, .linkLost, .failureNotSurvived,
            .citusUpdateFailed,
            .citusRefused, .operationFailed, .apiCredentialsRefused:
            .error
        case .contactLost, .clusterQuarantined, .historyUnknown, .renewalUncounted, .memoryUnwritable, .etcdOutdated,
            .etcdEndpointAlone, .etcdClusterChosen,
            .clockBeyondDrift, .fencesForbidden,
            .unanswered, .watchStale, .watchInterrupted, .requestFailed, .patroniConfigOdd,
            .patroniUnanswered, .leaseRefused,
            .addressRemovedByOthers, .portUntried,
            .addressAddedByOthers, .addressLifetimeChanged, .inspectionFailed, .monitorInterrupted, .announceFailed,
            .ownAddressAtRisk,
            .failsafeHolds,
            .statusUnavailable, .childRefused, .namesStale, .memberUnknown, .citusGroupVanished, .citusUnreachable,
            .citusDrift,
            .citusBlocked, .citusUnforced, .citusSyncInterrupted,
            .citusUnsynchronized, .citusSettings, .citusFinding, .citusUnverified, .citusProbeRefused, .probeRefused,
            .memberUnasked,
            .auditFinding,
            .suppressionBegan, .switchoverForbidden, .operationRefused, .reactionsPaused, .alertFailed, .etcdDegraded,
            .apiUnavailable, .apiRefused,
            .apiDaemonSilent:
            .warning
        case .clusterReplaced, .etcdEndpointForeign, .etcdMembersDivided, .etcdClustersUndecided, .historyContradicted,
            .duplicateHolder,
            .heldByAnotherCluster, .memberClash,
            .citusRivalCoordinator,
            .nodeIsolated, .splitBrain,
            .switchoverAsked:
            .critical
        case .stanceChanged, .acquireRefused, .postgresChanged, .citusGroupAppeared, .detectorVerdict:
            .info
        }
    }
}
