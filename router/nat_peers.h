/*
 * nat_peers.h - with which remote addresses a mapping has sessions, and how
 * many: what address-dependent filtering asks (RFC 4787, 5).
 *
 * Counted in records of their own, because walking a mapping's sessions would
 * cost as many steps as a guest likes to make.
 */
#ifndef ROUTER_NAT_PEERS_H
#define ROUTER_NAT_PEERS_H

#include <stdbool.h>

#include "router/nat_pool.h"

struct nat_peers {
	struct nat_index index;
	struct nat_peer *items; /* NULL: not in use */
	struct nat_pool pool;
};

/* For at most max sessions.  0 or -1: no memory. */
int nat_peers_init(struct nat_peers *peers, uint32_t max);
void nat_peers_clear(struct nat_peers *peers);
size_t nat_peers_bytes(const struct nat_peers *peers);

/* hash is that of mapping and remote_ip. */
bool nat_peers_has(const struct nat_peers *peers, uint32_t hash,
    uint32_t mapping, uint32_t remote_ip);
void nat_peers_join(struct nat_peers *peers, uint32_t hash, uint32_t mapping,
    uint32_t remote_ip);
void nat_peers_leave(struct nat_peers *peers, uint32_t hash, uint32_t mapping,
    uint32_t remote_ip);

#endif
