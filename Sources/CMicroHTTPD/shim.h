// SPDX-License-Identifier: Apache-2.0
// MHD_start_daemon() is variadic and invisible to Swift.
#pragma once
#include <microhttpd.h>

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
