// SPDX-License-Identifier: Apache-2.0
import EtcdClient
import EventLoop
import HTTPClient
import Settings

extension EtcdClient {
    /// A client for a command, which lives for some seconds: it knows what the configuration names, or DNS tells; what the daemon
    /// has learned, where this user may read that (`memory.json`); and it believes the cluster that the daemon followed last, or
    /// the majority.
    static func ofCommand(
        _ settings: Settings, _ http: HTTPClient, _ configuration: EtcdConfiguration? = nil,
        folder: String? = nil
    ) async -> EtcdClient {
        let file = MemoryFile(folder: folder ?? settings.instance.stateFolder, followsForgetful: false)
        let endpoints = EtcdEndpoints(
            settings, file.load(MemoryFile.Owner(settings)).etcd, nil, longestTTL: { .zero })
        let client = EtcdClient(
            configuration ?? EtcdConfiguration(settings), http: http, clusters: endpoints.clusters, jitter: { 0.5 })
        endpoints.tell(client)
        guard let discovery = EtcdDiscovery(settings, http: http, resolver: HostResolver(kind: .tool), kind: .tool)
        else { return client }
        var urls = client.configuredEndpoints
        if case .success(let found) = await discovery.endpoints() { urls = found }
        if urls.isEmpty { urls = settings.etcd.endpoints }
        client.configure(urls)
        endpoints.clusters.configure(urls)
        return client
    }
}
