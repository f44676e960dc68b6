/*
 * nat64_hosts.h - the IPv6 hosts behind a NAT64, and the IPv4 address by which
 * the NAT's table knows each.
 *
 * Those addresses are of 0.0.0.0/8, which no packet on a link may have: 0.0.0.0
 * is nobody's, the others are numbers.  A host has one from its first session
 * to its last.  A full table has no room for another host; established ones are
 * never pushed out.
 */
#ifndef ROUTER_NAT64_HOSTS_H
#define ROUTER_NAT64_HOSTS_H

#include <stdbool.h>

#include "net/ip6.h"
#include "router/nat_pool.h"

#define NAT64_HOSTS_MAX 65536

struct nat64_host;

struct nat64_hosts {
	struct nat_index index;
	struct nat64_host *items;
	struct nat_pool pool;
	uint64_t key[2];
};

/* For at most max hosts.  0 or -1: no memory. */
int nat64_hosts_init(
    struct nat64_hosts *hosts, uint32_t max, const uint64_t key[2]);
void nat64_hosts_clear(struct nat64_hosts *hosts);

static inline bool
nat64_is_virtual(uint32_t ip)
{
	return ip >> 24 == 0 && ip != 0;
}

/* A number that follows from an address, and that nobody else can foretell. */
uint32_t nat64_hosts_hash(
    const struct nat64_hosts *hosts, const struct ip6_addr *addr);

/* The virtual address of a host; 0: it has none. */
uint32_t nat64_hosts_find(
    const struct nat64_hosts *hosts, const struct ip6_addr *addr);
/* Whose it is; NULL: nobody's. */
const struct ip6_addr *nat64_hosts_addr(
    const struct nat64_hosts *hosts, uint32_t ip);

/* Likewise, and counts one more user of it, who gives it back by leave.  0:
 * there is no room. */
uint32_t nat64_hosts_take(
    struct nat64_hosts *hosts, const struct ip6_addr *addr);

/* One more user of an address that has some; one less, who may be the last. */
void nat64_hosts_join(struct nat64_hosts *hosts, uint32_t ip);
void nat64_hosts_leave(struct nat64_hosts *hosts, uint32_t ip);

#endif
