/*
 * nat_hosts.h - what each inside host has of the NAT: how many sessions, and
 * which block of ports (RFC 6888 REQ-4 and REQ-14).
 *
 * Kept only while rules ask for it.  A block is a host's own until its last
 * session has ended.
 */
#ifndef ROUTER_NAT_HOSTS_H
#define ROUTER_NAT_HOSTS_H

#include "router/nat_pool.h"

#define NAT_BLOCK_FIRST 1024 /* ports below are in no block */

struct nat_hosts {
	struct nat_index index;
	struct nat_host *items; /* NULL: not in use */
	struct nat_pool pool;
	uint32_t block_ports;
	uint64_t blocks[16]; /* which are taken */
};

/* For at most max hosts with sessions.  0 or -1: no memory. */
int nat_hosts_init(struct nat_hosts *hosts, uint32_t max, uint32_t block_ports);
void nat_hosts_clear(struct nat_hosts *hosts);
size_t nat_hosts_bytes(const struct nat_hosts *hosts);

/* hash is that of ip. */
uint32_t nat_hosts_sessions(
    const struct nat_hosts *hosts, uint32_t hash, uint32_t ip);

/* One more session, one less. */
void nat_hosts_join(struct nat_hosts *hosts, uint32_t hash, uint32_t ip);
void nat_hosts_leave(struct nat_hosts *hosts, uint32_t hash, uint32_t ip);

/* The first port of the block of a host that has joined; -1: all are taken. */
int32_t nat_hosts_block(struct nat_hosts *hosts, uint32_t hash, uint32_t ip);

#endif
