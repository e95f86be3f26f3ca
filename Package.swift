// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

/// Every target is built with these; warnings are errors everywhere.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .treatAllWarnings(as: .error),
]

let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

/// How the daemon and the command are linked for release, for the sake of the daemon's resident memory: relative relocations
/// packed (1 MB of them would be read at the start, and stay), nothing exported, so that what is not used can be left out,
/// equal functions kept once, and the C++ library static where `make` has put it into .build/lean. Needs the toolchain's own
/// linker and glibc 2.36. And, for safety, every symbol bound at the start: the table of them is read-only from then on.
let lean: [LinkerSetting] = [
    .unsafeFlags(
        ["-use-ld=lld", "-L\(Context.packageDirectory)/.build/lean"]
            + [
                "-z", "pack-relative-relocs", "-z", "now", "--no-export-dynamic", "--icf=safe",
            ].flatMap { ["-Xlinker", $0] },
        .when(configuration: .release))
]

/// What the dynamic linker is to find in the daemon before it looks into GnuTLS: pharosd/UnusedTLS.swift.
let insteadOfGnuTLS: [LinkerSetting] = [
    .unsafeFlags(
        ["_gnutls_global_init_skip", "gnutls_global_init"].flatMap { ["-Xlinker", "--export-dynamic-symbol=\($0)"] })
]

/// For the simulator, whose world is one object: a release build leaves out the exclusivity checks of every access to it (8 %
/// of its instructions). Debug builds, in which the tests run, have them.
let unchecked: [SwiftSetting] = [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

/// What runs once a minute at most, or words and documents: small rather than fast, since all code that is there counts as the daemon's memory.
let small = strict + [SwiftSetting.unsafeFlags(["-Osize"], .when(configuration: .release))]
let smallModules: Set = [
    "Audit", "CitusCatalog", "Conninfo", "EtcdClient", "EtcdValues", "HTTPClient", "Journal", "KernelPlaces",
    "LeaseKeys",
    "PatroniClient", "PatroniValues", "PostgresClient", "RouteNetlink", "ServiceRecords", "Settings", "Shell",
    "StatusServer",
    "VirtualAddress",
]

/// A module of ours.
func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: smallModules.contains(name) ? small : strict)
}

/// The tests of a module, in Tests/<name>Tests.
func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
}

let package = Package(
    name: "pharos",
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2")
    ],
    targets: [
        // C libraries of Debian: a module map and a shim header each.
        .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(name: "CGnuTLS", pkgConfig: "gnutls", providers: [.apt(["libgnutls28-dev"])]),
        .systemLibrary(name: "CMicroHTTPD", pkgConfig: "libmicrohttpd", providers: [.apt(["libmicrohttpd-dev"])]),
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "CLab"),

        // Values, with no effects.
        module("Decision"),
        module("NetworkAddress"),
        module("SeededRandom"),
        module("Secrets"),
        module("LenientJSON"),
        module("Metrics", ["LenientJSON"]),
        module("EtcdValues"),
        module("PatroniValues", ["LenientJSON"]),
        module("LeaseKeys", ["Decision", "EtcdValues", "LenientJSON", "PatroniValues"]),
        module("KernelPlaces", ["NetworkAddress"]),
        module("Audit", ["LenientJSON", "NetworkAddress"]),
        module("Conninfo", ["CPostgres", "NetworkAddress"]),
        module("RouteNetlink", ["NetworkAddress"]),
        module("Settings", ["CYAML", "Conninfo", "Decision", "NetworkAddress", "Secrets"]),
        module("Migration", ["NetworkAddress", "Secrets", "Settings"]),
        module("AccessTokens", ["Settings"]),
        // The loop, and what runs on it.
        module("EventLoop", ["CSystemd", "CLinux"]),
        module("Journal", ["CSystemd", "EventLoop", "Secrets"]),
        module("HTTPClient", ["CCurl", "EventLoop"]),
        module("ServiceRecords", ["EventLoop"]),
        module("PostgresClient", ["CLinux", "CPostgres", "Conninfo", "EventLoop"]),
        module("EtcdClient", ["EtcdValues", "EventLoop", "HTTPClient", "LenientJSON"]),
        module("PatroniClient", ["EventLoop", "HTTPClient", "LenientJSON", "PatroniValues"]),
        module("CitusCatalog", ["EventLoop", "PostgresClient"]),
        module(
            "VirtualAddress", ["CLinux", "EventLoop", "KernelPlaces", "LenientJSON", "NetworkAddress", "RouteNetlink"]),
        module("StatusServer", ["CMicroHTTPD", "EventLoop"]),
        module("WebServer", ["CGnuTLS", "CMicroHTTPD", "EventLoop", "StatusServer"]),
        // Both sides meet here, and only here.
        module(
            "Shell",
            [
                "AccessTokens", "Audit", "CLinux", "CitusCatalog", "Conninfo", "Decision", "EtcdClient", "EtcdValues",
                "EventLoop", "HTTPClient",
                "Journal", "KernelPlaces", "LeaseKeys", "LenientJSON", "NetworkAddress", "PatroniClient",
                "PatroniValues", "PostgresClient", "Secrets", "ServiceRecords", "Settings", "StatusServer",
                "VirtualAddress",
            ]
        ),
        .executableTarget(
            name: "pharosd",
            dependencies: [
                "CLinux", "Conninfo", "EventLoop", "Journal", "Secrets", "Settings", "Shell", "VirtualAddress",
            ],
            swiftSettings: strict, linkerSettings: lean + insteadOfGnuTLS),
        .executableTarget(
            name: "pharos",
            dependencies: [
                "AccessTokens", "Audit", "CitusCatalog", "CLinux", "Conninfo", "Decision", "EventLoop", "HTTPClient",
                "Journal", "LenientJSON", "Metrics", "Migration", "NetworkAddress", "Settings", "Shell",
                "VirtualAddress", arguments,
            ],
            swiftSettings: strict, linkerSettings: lean),
        .executableTarget(
            name: "pharos-api",
            dependencies: [
                "AccessTokens", "Decision", "EventLoop", "Journal", "LenientJSON", "Metrics", "Settings",
                "StatusServer",
                "WebServer",
            ],
            swiftSettings: strict, linkerSettings: lean),
        // Proof: the core in simulated clusters, the daemon in real ones.
        .target(
            name: "Simulation",
            dependencies: [
                "Decision", "EtcdValues", "KernelPlaces", "LeaseKeys", "NetworkAddress", "PatroniValues",
                "SeededRandom",
            ],
            swiftSettings: strict + unchecked),
        .executableTarget(
            name: "pharos-simulate", dependencies: ["CLinux", "Simulation", arguments], swiftSettings: strict),
        module(
            "Lab",
            [
                "CLab", "CLinux", "EventLoop", "HTTPClient", "LenientJSON", "NetworkAddress", "PostgresClient",
                "RouteNetlink",
            ]),
        module("NetworkBed", ["CLab", "CLinux", "EventLoop", "NetworkAddress", "RouteNetlink"]),
        .executableTarget(
            name: "pharos-bench",
            dependencies: [
                "CLinux", "CitusCatalog", "Decision", "EventLoop", "HTTPClient", "Lab", "LenientJSON", "NetworkBed",
                "PostgresClient", "StatusServer", arguments,
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "pharos-histories",
            dependencies: [
                "EtcdClient", "EtcdValues", "EventLoop", "HTTPClient", "LenientJSON", "NetworkBed", "SeededRandom",
                arguments,
            ],
            swiftSettings: strict),
        .executableTarget(name: "pharos-lab", dependencies: ["EventLoop", "Lab", arguments], swiftSettings: strict),

        // Servers for tests: real ones started on loopback, and scripted ones.
        .target(
            name: "TestSupport",
            dependencies: ["CLinux", "EventLoop", "HTTPClient", "NetworkBed", "SeededRandom", "Settings"],
            path: "Tests/TestSupport",
            swiftSettings: strict),
        tests("DecisionTests", ["Decision"]),
        tests("SimulationTests", ["Decision", "EtcdValues", "LeaseKeys", "PatroniValues", "Simulation"]),
        tests("EventLoopTests", ["CLinux", "EventLoop", "TestSupport"]),
        tests("NetworkAddressTests", ["NetworkAddress"]),
        tests("RouteNetlinkTests", ["NetworkAddress", "RouteNetlink", "TestSupport"], exclude: ["Fixtures"]),
        tests(
            "MetricsTests", ["EventLoop", "HTTPClient", "LenientJSON", "Metrics", "StatusServer", "TestSupport"],
            exclude: ["Rules"]),
        tests("LenientJSONTests", ["LenientJSON", "TestSupport"]),
        tests("AuditTests", ["Audit", "LenientJSON", "NetworkAddress"]),
        tests("SecretsTests", ["Secrets"]),
        tests("ConninfoTests", ["Conninfo", "EventLoop", "TestSupport"]),
        tests(
            "SettingsTests", ["Decision", "LenientJSON", "NetworkAddress", "Secrets", "Settings", "TestSupport"],
            exclude: ["PatroniShapes"]),
        tests("MigrationTests", ["Migration", "NetworkAddress", "Secrets", "Settings"], exclude: ["Fixtures"]),
        tests("JournalTests", ["CSystemd", "EventLoop", "Journal", "Secrets", "TestSupport"]),
        tests("HTTPClientTests", ["EventLoop", "HTTPClient", "TestSupport"]),
        tests("ServiceRecordsTests", ["EventLoop", "ServiceRecords", "TestSupport"]),
        tests(
            "EtcdClientTests",
            ["EtcdClient", "EtcdValues", "EventLoop", "HTTPClient", "LenientJSON", "TestSupport"], exclude: ["Fixtures"]
        ),
        tests(
            "PatroniClientTests",
            ["EventLoop", "HTTPClient", "LenientJSON", "PatroniClient", "PatroniValues", "TestSupport"],
            exclude: ["Fixtures"]
        ),
        tests(
            "VirtualAddressTests",
            ["CLinux", "EventLoop", "KernelPlaces", "NetworkAddress", "RouteNetlink", "TestSupport", "VirtualAddress"],
            exclude: ["Fixtures"]
        ),
        tests(
            "ShellTests",
            [
                "Audit", "Decision", "EtcdClient", "EtcdValues", "EventLoop", "HTTPClient", "Journal", "KernelPlaces",
                "LeaseKeys", "LenientJSON", "Metrics", "NetworkAddress", "NetworkBed", "PatroniClient", "PatroniValues",
                "PostgresClient",
                "Secrets", "ServiceRecords", "Settings", "Shell", "StatusServer", "TestSupport", "VirtualAddress",
            ]
        ),
        tests(
            "IntegrationTests",
            [
                "Audit", "CLinux", "CPostgres", "CitusCatalog", "Decision", "EtcdClient", "EtcdValues", "EventLoop",
                "HTTPClient", "Journal", "LeaseKeys", "LenientJSON", "NetworkAddress", "NetworkBed", "PatroniClient",
                "PatroniValues", "PostgresClient", "ServiceRecords", "Settings", "Shell", "TestSupport",
                "VirtualAddress",
            ], exclude: ["Fixtures"]
        ),
        tests("LabUnitTests", ["Lab", "LenientJSON"]),
        tests("LabTests", ["EventLoop", "Lab", "LenientJSON"]),
        tests(
            "CommandTests",
            [
                "AccessTokens", "Audit", "Decision", "EventLoop", "HTTPClient", "KernelPlaces", "LenientJSON",
                "Settings", "Shell", "TestSupport", "pharos", "pharosd", arguments,
            ]),
        tests(
            "DaemonTests",
            ["CCurl", "EventLoop", "HTTPClient", "Journal", "Settings", "Shell", "TestSupport", "pharosd"]),
        tests("AccessTokensTests", ["AccessTokens", "Settings"]),
        tests(
            "APITests",
            [
                "AccessTokens", "EventLoop", "Journal", "LenientJSON", "Metrics", "NetworkBed", "Settings",
                "StatusServer", "TestSupport", "WebServer", "pharos-api",
            ]),
        tests("HistoriesTests", ["pharos-histories"]),
        tests("BenchTests", ["Lab", "LenientJSON", "NetworkBed", "TestSupport", "pharos-bench"]),
    ],
    swiftLanguageModes: [.v6]
)
