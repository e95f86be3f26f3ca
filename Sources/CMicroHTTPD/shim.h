// SPDX-License-Identifier: Apache-2.0
// MHD_start_daemon() is variadic and invisible to Swift.
#pragma once
#include <microhttpd.h>
#include <sys/socket.h>

/// A server without threads of its own, on a listening socket of the caller's: its epoll descriptor goes into the
/// caller's loop, which calls MHD_run(). At most 32 connections, each with 16 kB of memory and 5 s of patience.
static inline struct MHD_Daemon *mhd_start(int socket, MHD_AccessHandlerCallback handler, void *context) {
    return MHD_start_daemon(
        MHD_USE_EPOLL, 0, 0, 0, handler, context, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)socket,
        MHD_OPTION_CONNECTION_LIMIT, 32u, MHD_OPTION_CONNECTION_TIMEOUT, 5u, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)16384, MHD_OPTION_END);
}

static inline int mhd_epoll_descriptor(struct MHD_Daemon *daemon) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    return info ? info->epoll_fd : -1;
}

/// The user at the other end of a connection over a Unix socket; -1 where it cannot be known.
static inline long mhd_peer_user(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct { int process; unsigned int user, group; } peer;
    socklen_t length = sizeof peer;
    if (!info || getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return -1;
    return length == sizeof peer ? (long)peer.user : -1;
}
