// SPDX-License-Identifier: Apache-2.0

// libmicrohttpd can speak TLS, by GnuTLS, which nobody here asks it to: the status is served on a socket, or in plain HTTP. Libraries
// of libcurl's name GnuTLS too, for protocols that are never spoken; libcurl's own TLS, and libpq's, is OpenSSL's. What GnuTLS
// initializes at the start of each process that has it is 1 MiB that stays (decision 28). The dynamic linker takes these two
// functions before the library's.

/// GnuTLS asks before it initializes itself when it is loaded: 1, leave it. (Its own way to say so, `GNUTLS_SKIP_GLOBAL_INIT`.)
@_cdecl("_gnutls_global_init_skip")
public func leaveGnuTLS() -> CInt { 1 }

/// What libmicrohttpd calls before its first server, whether it is to speak TLS or not: 0, done.
@_cdecl("gnutls_global_init")
public func initializeNoGnuTLS() -> CInt { 0 }
