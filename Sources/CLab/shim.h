// SPDX-License-Identifier: Apache-2.0
// What the lab's observer needs of sockets and Swift cannot express: control messages and socket options.
#pragma once
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/// A route netlink socket that reports the addresses of every network namespace that has an id here; -1 and errno.
static inline int lab_address_socket(int receive_buffer) {
    int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (descriptor < 0) return -1;
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
    int yes = 1;
    if (setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer) < 0 ||
        setsockopt(descriptor, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &yes, sizeof yes) < 0 ||
        setsockopt(descriptor, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &yes, sizeof yes) < 0 ||
        bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0) {
        close(descriptor);
        return -1;
    }
    return descriptor;
}

/// Receives one datagram; `*namespace_id` is the id of the namespace that it came from, or -1 for our own.
static inline ssize_t lab_receive(int descriptor, void *buffer, size_t size, int *namespace_id) {
    char control[CMSG_SPACE(sizeof(int)) * 2];
    struct iovec part = {.iov_base = buffer, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t count = recvmsg(descriptor, &message, MSG_DONTWAIT);
    *namespace_id = -1;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); count >= 0 && header; header = CMSG_NXTHDR(&message, header))
        if (header->cmsg_level == SOL_NETLINK && header->cmsg_type == NETLINK_LISTEN_ALL_NSID)
            memcpy(namespace_id, CMSG_DATA(header), sizeof *namespace_id);
    return count;
}

/// Asks for all addresses of another namespace; the answers arrive on the same socket. 0, or -1 and errno.
static inline int lab_request_addresses(int descriptor, int namespace_id, uint32_t sequence) {
    struct {
        struct nlmsghdr header;
        struct ifaddrmsg body;
        struct rtattr attribute;
        int32_t namespace_id;
    } request = {
        .header = {.nlmsg_len = sizeof request, .nlmsg_type = RTM_GETADDR,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = sequence},
        .attribute = {.rta_len = RTA_LENGTH(sizeof(int32_t)), .rta_type = IFA_TARGET_NETNSID},
        .namespace_id = namespace_id,
    };
    return send(descriptor, &request, sizeof request, 0) < 0 ? -1 : 0;
}

/// Receives the ARP packets of this network namespace, without their link headers; -1 and errno.
static inline int lab_arp_socket(void) {
    return socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ARP));
}

/// Receives the neighbor advertisements of this network namespace, from the ICMPv6 header on; -1 and errno.
static inline int lab_advertisement_socket(void) {
    int descriptor = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
    if (descriptor < 0) return -1;
    struct icmp6_filter filter;
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ND_NEIGHBOR_ADVERT, &filter);
    if (setsockopt(descriptor, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter) < 0) {
        close(descriptor);
        return -1;
    }
    return descriptor;
}
