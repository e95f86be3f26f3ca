// SPDX-License-Identifier: Apache-2.0
// MHD_start_daemon() is variadic and invisible to Swift.
#pragma once
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/// What a server calls, each with `context`.
struct mhd_callbacks {
    MHD_AccessHandlerCallback handle;
    MHD_RequestCompletedCallback answered;
    MHD_NotifyConnectionCallback connected;  // and disconnected
    MHD_AcceptPolicyCallback accept;         // for mhd_start_web() alone: asked before anything else is done for a new connection
    void *context;
};

/// Connections at a time, some of which are on their way out, and bytes of memory for each.
static const unsigned mhd_connection_limit = 48;
static const size_t mhd_connection_memory = 16384;

/// A server without threads of its own, on a listening socket of the caller's: its epoll descriptor goes into the
/// caller's loop, which calls MHD_run(). 16 kB of memory for each connection, 5 s of patience with one that is silent. The
/// caller limits how many there are: at most 48 at a time, of which 16 are on their way out.
static inline struct MHD_Daemon *mhd_start(int socket, struct mhd_callbacks callbacks) {
    return MHD_start_daemon(
        MHD_USE_EPOLL, 0, 0, 0, callbacks.handle, callbacks.context, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)socket,
        MHD_OPTION_CONNECTION_LIMIT, mhd_connection_limit, MHD_OPTION_CONNECTION_TIMEOUT, 5u, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        mhd_connection_memory, MHD_OPTION_NOTIFY_COMPLETED, callbacks.answered, callbacks.context, MHD_OPTION_NOTIFY_CONNECTION,
        callbacks.connected, callbacks.context, MHD_OPTION_END);
}

/// The descriptor of a connection's socket; -1 where it cannot be known.
static inline int mhd_descriptor(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

/// The user at the other end of a Unix socket; -1 where it cannot be known.
static inline long mhd_user(int descriptor) {
    struct { int process; unsigned int user, group; } peer;
    socklen_t length = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return -1;
    return length == sizeof peer ? (long)peer.user : -1;
}

/// The four bytes of an IPv4 address, or the first eight of an IPv6 one. Answers how many; 0 where it is neither.
static inline int mhd_network(const struct sockaddr *address, unsigned char bytes[8]) {
    if (address->sa_family == AF_INET) {
        memcpy(bytes, &((const struct sockaddr_in *)address)->sin_addr, 4);
        return 4;
    }
    if (address->sa_family != AF_INET6) return 0;
    memcpy(bytes, &((const struct sockaddr_in6 *)address)->sin6_addr, 8);
    return 8;
}

/// The same of the other end of a TCP connection.
static inline int mhd_peer_network(int descriptor, unsigned char bytes[8]) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (getpeername(descriptor, (struct sockaddr *)&address, &length) != 0) return 0;
    return mhd_network((struct sockaddr *)&address, bytes);
}

/// The address of the other end of a TCP connection as text, without its port; empty where there is none.
static inline void mhd_peer_text(int descriptor, char text[INET6_ADDRSTRLEN]) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    text[0] = 0;
    if (getpeername(descriptor, (struct sockaddr *)&address, &length) != 0) return;
    const void *bytes = address.ss_family == AF_INET ? (const void *)&((struct sockaddr_in *)&address)->sin_addr
                                                     : (const void *)&((struct sockaddr_in6 *)&address)->sin6_addr;
    if (address.ss_family == AF_INET || address.ss_family == AF_INET6) inet_ntop(address.ss_family, bytes, text, INET6_ADDRSTRLEN);
}

/// What a server of TLS is given: the function that chooses the certificate in each handshake (of GnuTLS's type
/// gnutls_certificate_retrieve_function2), GnuTLS's priorities, and the authorities (PEM) of clients' certificates, or NULL: then none
/// are asked for.
struct mhd_tls {
    void *choose_certificate;
    const char *priorities;
    const char *client_authorities;
};

/// As mhd_start(), for a server whose answers may come later (its connections can be suspended), with TLS where `tls` is not NULL.
static inline struct MHD_Daemon *mhd_start_web(int socket, struct mhd_callbacks callbacks, const struct mhd_tls *tls) {
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (tls ? MHD_USE_TLS : 0);
    if (!tls)
        return MHD_start_daemon(
            flags, 0, callbacks.accept, callbacks.context, callbacks.handle, callbacks.context, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)socket,
            MHD_OPTION_CONNECTION_LIMIT, mhd_connection_limit, MHD_OPTION_CONNECTION_TIMEOUT, 5u, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
            mhd_connection_memory, MHD_OPTION_NOTIFY_COMPLETED, callbacks.answered, callbacks.context, MHD_OPTION_NOTIFY_CONNECTION,
            callbacks.connected, callbacks.context, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    return MHD_start_daemon(
        flags, 0, callbacks.accept, callbacks.context, callbacks.handle, callbacks.context, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)socket,
        MHD_OPTION_CONNECTION_LIMIT, mhd_connection_limit, MHD_OPTION_CONNECTION_TIMEOUT, 5u, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        mhd_connection_memory, MHD_OPTION_NOTIFY_COMPLETED, callbacks.answered, callbacks.context, MHD_OPTION_NOTIFY_CONNECTION,
        callbacks.connected, callbacks.context, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_HTTPS_CERT_CALLBACK,
        tls->choose_certificate, MHD_OPTION_HTTPS_PRIORITIES, tls->priorities, MHD_OPTION_HTTPS_MEM_TRUST, tls->client_authorities,
        MHD_OPTION_END);
}

/// GnuTLS's session of a connection; NULL where it has none.
static inline void *mhd_session(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return info ? info->tls_session : NULL;
}

static inline int mhd_epoll_descriptor(struct MHD_Daemon *daemon) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    return info ? info->epoll_fd : -1;
}
