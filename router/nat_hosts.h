/*
 * nat_hosts.h - what each inside host has of the NAT: how many sessions, which
 * outside address, and which block of its ports (RFC 6888 REQ-2, REQ-4 and
 * REQ-14).
 *
 * Kept only while rules ask for it.  An address and a block are a host's own
 * until its last session and mapping have ended.
 */
#ifndef ROUTER_NAT_HOSTS_H
#define ROUTER_NAT_HOSTS_H

#include "router/nat_addresses.h"
#include "router/nat_pool.h"

struct nat_host {
	union {
		uint32_t ip;
		uint32_t next; /* free one */
	};
	uint32_t sessions, mappings;
	uint16_t address; /* an index, from 1 on; 0: it has none yet */
	uint16_t block;   /* its number, from 1 on; 0: none */
};

struct nat_hosts {
	struct nat_index index;
	struct nat_host *items; /* NULL: not in use */
	struct nat_pool pool;
	struct nat_addresses *addresses;
	uint32_t block_ports; /* 0: no blocks */
};

/* For at most max hosts.  0 or -1: no memory. */
int nat_hosts_init(struct nat_hosts *hosts, uint32_t max,
    struct nat_addresses *addresses, uint32_t block_ports);
void nat_hosts_clear(struct nat_hosts *hosts);
size_t nat_hosts_bytes(const struct nat_hosts *hosts);

/* The host of ip, whose hash that is; NULL: it has nothing. */
struct nat_host *nat_hosts_find(
    const struct nat_hosts *hosts, uint32_t hash, uint32_t ip);
/* Likewise, but it is there when nothing was: what it is given must be given
 * back.  NULL: there are max already. */
struct nat_host *nat_hosts_get(
    struct nat_hosts *hosts, uint32_t hash, uint32_t ip);
/* It has one thing less: it is gone if that was the last. */
void nat_hosts_put(
    struct nat_hosts *hosts, uint32_t hash, struct nat_host *host);

/* The index of the address that the host is paired with, from now on.  -1: it
 * would have a block there, and all are taken. */
int32_t nat_host_address(struct nat_hosts *hosts, struct nat_host *host);

/* The first port of the block of a host at its address; -1: all are taken. */
int32_t nat_host_block(struct nat_hosts *hosts, struct nat_host *host);

#endif
