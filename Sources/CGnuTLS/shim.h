// SPDX-License-Identifier: Apache-2.0
// GnuTLS: what a server needs of it beside libmicrohttpd, which does the handshakes.
#pragma once
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdint.h>
#include <string.h>

/// A chain of certificates, and the key of the first.
struct tls_pair {
    gnutls_pcert_st chain[8];
    unsigned int count;
    gnutls_privkey_t key;
    /// Seconds since 1970.
    int64_t valid_from, valid_until;
};

/// Not one of GnuTLS's own numbers, which are negative.
enum { TLS_KEY_OF_ANOTHER = 1, TLS_NO_CERTIFICATE = 2 };

static inline void tls_pair_free(struct tls_pair *pair) {
    for (unsigned int i = 0; i < pair->count; i++) gnutls_pcert_deinit(&pair->chain[i]);
    if (pair->key) gnutls_privkey_deinit(pair->key);
    memset(pair, 0, sizeof *pair);
}

/// Whether the key belongs to the chain's first certificate: 0, or why not.
static inline int tls_pair_match(struct tls_pair *pair) {
    gnutls_pubkey_t own;
    unsigned char one[64], other[64];
    size_t one_size = sizeof one, other_size = sizeof other;
    int result = gnutls_pubkey_init(&own);
    if (result < 0) return result;
    result = gnutls_pubkey_import_privkey(own, pair->key, 0, 0);
    if (result >= 0) result = gnutls_pubkey_get_key_id(own, 0, one, &one_size);
    if (result >= 0) result = gnutls_pubkey_get_key_id(pair->chain[0].pubkey, 0, other, &other_size);
    gnutls_pubkey_deinit(own);
    if (result < 0) return result;
    return one_size == other_size && memcmp(one, other, one_size) == 0 ? 0 : TLS_KEY_OF_ANOTHER;
}

/// Reads PEM texts into a pair that is all zeros; answers 0, or why not, and leaves zeros. A key with a password is not read.
static inline int tls_pair_read(struct tls_pair *pair, const void *chain, size_t chain_size, const void *key, size_t key_size) {
    gnutls_datum_t chain_text = {(unsigned char *)chain, (unsigned int)chain_size};
    gnutls_datum_t key_text = {(unsigned char *)key, (unsigned int)key_size};
    unsigned int room = sizeof pair->chain / sizeof pair->chain[0];
    int result = gnutls_pcert_list_import_x509_raw(
        pair->chain, &room, &chain_text, GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
    if (result < 0) return result;
    pair->count = room;
    if (room == 0) return TLS_NO_CERTIFICATE;
    gnutls_x509_crt_t first = NULL;
    result = gnutls_x509_crt_init(&first);
    if (result >= 0) {
        result = gnutls_x509_crt_import(first, &pair->chain[0].cert, GNUTLS_X509_FMT_DER);
        pair->valid_from = gnutls_x509_crt_get_activation_time(first);
        pair->valid_until = gnutls_x509_crt_get_expiration_time(first);
        gnutls_x509_crt_deinit(first);
    }
    if (result >= 0) result = gnutls_privkey_init(&pair->key);
    if (result >= 0) result = gnutls_privkey_import_x509_raw(pair->key, &key_text, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (result >= 0) result = tls_pair_match(pair);
    if (result != 0) tls_pair_free(pair);
    return result;
}

/// What is known of a client by its certificate.
struct tls_client {
    /// GnuTLS's answer where it is negative; 0: verified.
    int result;
    /// Of the verification: bits of gnutls_certificate_status_t, none of which may be set.
    unsigned int status;
    /// Whether it has sent one.
    int has_certificate;
    /// How many common names it has; the first one, with its length, which counts NULs inside of it.
    int names;
    char name[256];
    size_t name_size;
    /// Seconds since 1970.
    int64_t valid_until;
};

/// Looks at what the client has sent in the handshake. A server of libmicrohttpd's only asks for a certificate: any is let in, and
/// none. So it is verified here, against the authorities of the session, and for its purpose.
static inline struct tls_client tls_client_of(gnutls_session_t session) {
    struct tls_client client;
    memset(&client, 0, sizeof client);
    unsigned int count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
    if (!chain || count == 0) return client;
    client.has_certificate = 1;
    gnutls_typed_vdata_st purpose;
    memset(&purpose, 0, sizeof purpose);
    purpose.type = GNUTLS_DT_KEY_PURPOSE_OID;
    purpose.data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT;
    client.result = gnutls_certificate_verify_peers(session, &purpose, 1, &client.status);
    if (client.result < 0 || client.status != 0) return client;
    gnutls_x509_crt_t certificate;
    client.result = gnutls_x509_crt_init(&certificate);
    if (client.result < 0) return client;
    client.result = gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER);
    if (client.result >= 0) {
        client.valid_until = gnutls_x509_crt_get_expiration_time(certificate);
        client.name_size = sizeof client.name;
        int found = gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, client.name, &client.name_size);
        if (found == 0) {
            char second[256];
            size_t size = sizeof second;
            found = gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 1, 0, second, &size);
            client.names = found == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE ? 1 : 2;
        } else if (found != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
            client.result = found;
        }
        client.result = client.result > 0 ? 0 : client.result;
    }
    gnutls_x509_crt_deinit(certificate);
    return client;
}

/// What the bits of a verification mean, as GnuTLS says it; empty where it says nothing.
static inline void tls_status_text(unsigned int status, char *text, size_t size) {
    gnutls_datum_t said = {NULL, 0};
    text[0] = 0;
    if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &said, 0) < 0) return;
    strncpy(text, (const char *)said.data, size - 1);
    text[size - 1] = 0;
    gnutls_free(said.data);
}
