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
        .systemLibrary(name: "CLinux"),

        .target(name: "EventLoop", dependencies: ["CSystemd", "CLinux"], swiftSettings: strict),
        .target(name: "HTTPClient", dependencies: ["CCurl", "EventLoop"], swiftSettings: strict),
        .target(name: "LenientJSON", swiftSettings: strict),
        .target(name: "EtcdClient", dependencies: ["HTTPClient", "LenientJSON", "EventLoop"], swiftSettings: strict),
        .target(name: "PatroniClient", dependencies: ["HTTPClient", "LenientJSON", "EventLoop"], swiftSettings: strict),
        .target(name: "PostgresClient", dependencies: ["CPostgres", "EventLoop"], swiftSettings: strict),

        // Servers for tests: real ones started on loopback, and scripted ones.
        .target(
            name: "TestSupport", dependencies: ["CLinux", "EventLoop", "HTTPClient"], path: "Tests/TestSupport",
            swiftSettings: strict),
        .testTarget(
            name: "HTTPClientTests", dependencies: ["EventLoop", "HTTPClient", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "EtcdClientTests", dependencies: ["EtcdClient", "EventLoop", "HTTPClient", "LenientJSON", "TestSupport"],
            exclude: ["Fixtures"], swiftSettings: strict),
        .testTarget(
            name: "PatroniClientTests",
            dependencies: ["EventLoop", "HTTPClient", "LenientJSON", "PatroniClient", "TestSupport"],
            exclude: ["Fixtures"], swiftSettings: strict),
        .testTarget(
            name: "IntegrationTests",
            dependencies: ["EtcdClient", "EventLoop", "HTTPClient", "PostgresClient", "TestSupport"],
            swiftSettings: strict),
        .testTarget(name: "EventLoopTests", dependencies: ["EventLoop"], swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
