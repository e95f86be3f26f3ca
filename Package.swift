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

let package = Package(
    name: "pharos",
    targets: [
        // C libraries of Debian: a module map and a shim header each.
        .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(name: "CLinux"),

        .target(name: "EventLoop", dependencies: ["CSystemd", "CLinux"], swiftSettings: strict),
        .target(name: "HTTPClient", dependencies: ["CCurl", "EventLoop"], swiftSettings: strict),
        .target(name: "PostgresClient", dependencies: ["CPostgres", "EventLoop"], swiftSettings: strict),

        .target(name: "NetworkAddress", swiftSettings: strict),
        .target(name: "Secrets", swiftSettings: strict),
        .target(name: "Journal", dependencies: ["Secrets"], swiftSettings: strict),
        .target(name: "Settings", dependencies: ["CYAML", "NetworkAddress", "Secrets"], swiftSettings: strict),

        .testTarget(name: "NetworkAddressTests", dependencies: ["NetworkAddress"], swiftSettings: strict),
        .testTarget(name: "SecretsTests", dependencies: ["Secrets"], swiftSettings: strict),
        .testTarget(name: "JournalTests", dependencies: ["Journal", "Secrets"], swiftSettings: strict),
        .testTarget(
            name: "SettingsTests",
            dependencies: ["NetworkAddress", "Secrets", "Settings"],
            swiftSettings: strict
        ),
        .testTarget(name: "EventLoopTests", dependencies: ["EventLoop"], swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
