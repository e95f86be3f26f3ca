// SPDX-License-Identifier: Apache-2.0
// Swift cannot call C variadic functions: one typed function per kind of argument of curl_*_setopt and _getinfo.
#pragma once
#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

static inline CURLcode curl_easy_set_long(CURL *easy, CURLoption option, long value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode curl_easy_set_string(CURL *easy, CURLoption option, const char *value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode curl_easy_set_pointer(CURL *easy, CURLoption option, void *value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode curl_easy_set_headers(CURL *easy, struct curl_slist *headers) {
    return curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
}
static inline CURLcode curl_easy_set_list(CURL *easy, CURLoption option, struct curl_slist *list) {
    return curl_easy_setopt(easy, option, list);
}
static inline CURLcode curl_easy_set_write(CURL *easy, curl_write_callback callback, void *context) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, callback);
    return code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_WRITEDATA, context);
}
/// The size must be set before the bytes, or curl would look for a terminating zero.
static inline CURLcode curl_easy_copy_body(CURL *easy, const void *bytes, long count) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, count);
    return code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, bytes);
}
static inline CURLcode curl_easy_get_long(CURL *easy, CURLINFO info, long *value) {
    return curl_easy_getinfo(easy, info, value);
}

/// Gives up on a peer that acknowledges nothing for 15 s; harmless on sockets that are not TCP.
static inline int curl_limit_dead_peer(void *context, curl_socket_t descriptor, curlsocktype purpose) {
    (void)context;
    (void)purpose;
    unsigned int milliseconds = 15000;
    int probes = 3;
    setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds);
    setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    return CURL_SOCKOPT_OK;
}
static inline CURLcode curl_easy_limit_dead_peer(CURL *easy) {
    return curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, curl_limit_dead_peer);
}

/// Called with each line of an answer's head; the empty one ends it.
static inline size_t curl_line_of_head(char *line, size_t size, size_t count, void *ended) {
    if (size * count <= 2 && (line[0] == '\r' || line[0] == '\n')) *(int *)ended = 1;
    return size * count;
}
/// Sets `*ended` to 1 once an answer's head is complete.
static inline CURLcode curl_easy_note_head_end(CURL *easy, int *ended) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, curl_line_of_head);
    return code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_HEADERDATA, ended);
}

/// Called when a connection is there and the request is about to be sent: also when libcurl repeats it by itself, because
/// a kept connection turned out to be dead.
static inline int curl_before_request(void *left, char *to, char *from, int to_port, int from_port) {
    (void)to;
    (void)from;
    (void)to_port;
    (void)from_port;
    return (*(int *)left)-- > 0 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}
/// Lets libcurl begin to send the request `*left` times, and fail with CURLE_ABORTED_BY_CALLBACK after that.
static inline CURLcode curl_easy_limit_attempts(CURL *easy, int *left) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, curl_before_request);
    return code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_PREREQDATA, left);
}

static inline CURLMcode curl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
    return curl_multi_setopt(multi, option, value);
}
static inline CURLMcode curl_multi_set_socket(CURLM *multi, curl_socket_callback callback, void *context) {
    CURLMcode code = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, callback);
    return code != CURLM_OK ? code : curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, context);
}
static inline CURLMcode curl_multi_set_timer(CURLM *multi, curl_multi_timer_callback callback, void *context) {
    CURLMcode code = curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, callback);
    return code != CURLM_OK ? code : curl_multi_setopt(multi, CURLMOPT_TIMERDATA, context);
}
static inline CURLcode curl_message_result(const CURLMsg *message) { return message->data.result; }
