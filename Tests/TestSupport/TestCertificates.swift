// SPDX-License-Identifier: Apache-2.0
public import EventLoop
public import HTTPClient

/// An authority made for one test, with a certificate for a server on 127.0.0.1 and one for a client.
@EventLoop
public final class TestCertificates {
    private let directory: TemporaryDirectory
    public nonisolated let authority: String
    public nonisolated let serverCertificate: String
    public nonisolated let serverKey: String
    public nonisolated let clientFiles: TLSFiles

    public init() async throws {
        let directory = try TemporaryDirectory("tls")
        self.directory = directory
        self.authority = directory.file("ca.pem")
        self.serverCertificate = directory.file("server.pem")
        self.serverKey = directory.file("server.key")
        self.clientFiles = TLSFiles(
            authorities: directory.file("ca.pem"),
            certificate: directory.file("client.pem"),
            key: directory.file("client.key")
        )
        try await self.renew()
    }

    /// Makes all of them anew, the authority too, in the same files; the client's only if asked to.
    public func renew(client: Bool = true) async throws {
        let directory = self.directory
        try directory.write("server.ext", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
        try directory.write("client.ext", "extendedKeyUsage=clientAuth\n")
        let newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        try await self.openssl(
            ["req", "-x509", "-days", "2", "-subj", "/CN=authority", "-out", "ca.pem", "-keyout", "ca.key"] + newKey
        )
        for name in client ? ["server", "client"] : ["server"] {
            try await self.openssl(
                ["req", "-subj", "/CN=\(name)", "-out", "\(name).csr", "-keyout", "\(name).key"] + newKey
            )
            try await self.openssl([
                "x509", "-req", "-days", "2", "-in", "\(name).csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-extfile", "\(name).ext", "-out", "\(name).pem",
            ])
        }
    }

    private func openssl(_ arguments: [String]) async throws {
        let command = ["/usr/bin/env", "--chdir", self.directory.path, "openssl"] + arguments
        let outcome = try await ChildProcess(command, timeout: .seconds(20)).run()
        guard outcome.exitCode == 0 else { throw TestSupportError("openssl: \(outcome.text)") }
    }
}
