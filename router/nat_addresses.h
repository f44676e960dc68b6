/*
 * nat_addresses.h - the outside addresses of a NAT, each with its ports
 * (RFC 4787 4.1, RFC 6888 REQ-3).
 *
 * At most NAT_ADDRESSES_MAX of any shape, known by their index, the order in
 * which they were added.  The first npool of them are the pool, of which mappings
 * get theirs; others are the NAT's too: of one inside host each, or nothing is
 * mapped there unasked.
 */
#ifndef ROUTER_NAT_ADDRESSES_H
#define ROUTER_NAT_ADDRESSES_H

#include <stddef.h>

#include "router/nat_ports.h"

#define NAT_ADDRESSES_MAX 256 /* an index has 8 bits in an entry */

enum protocol_number { TCP, UDP, ICMP, PROTOCOLS };

#define NAT_BLOCK_FIRST 1024 /* ports below are in no block */

struct nat_address {
	uint32_t inside_ip; /* the one host whose it is, with all ports; or 0 */
	uint32_t hosts;     /* paired with it */
	uint64_t blocks[16]; /* of ports: which are taken */
	uint32_t nblocks;    /* how many that are */
	struct nat_ports ports[PROTOCOLS];
};

struct nat_addresses {
	uint32_t ip[NAT_ADDRESSES_MAX]; /* by index; what packets ask for */
	struct nat_address *of[NAT_ADDRESSES_MAX];
	uint32_t n, npool, nowned;         /* owned: by an inside host */
	uint8_t sorted[NAT_ADDRESSES_MAX]; /* indices by ascending ip */
};

/* 0, -EEXIST, -ENOSPC or -ENOMEM. */
int nat_addresses_add(struct nat_addresses *addresses, uint32_t ip);
void nat_addresses_clear(struct nat_addresses *addresses);
size_t nat_addresses_bytes(const struct nat_addresses *addresses);

/* The one of an index is another: ip, which none is. */
void nat_addresses_move(
    struct nat_addresses *addresses, uint32_t index, uint32_t ip);

/* The index of an address, or -1. */
int32_t nat_addresses_find(const struct nat_addresses *addresses, uint32_t ip);

/* The index of the address that is an inside host's own, or -1. */
int32_t nat_addresses_own(
    const struct nat_addresses *addresses, uint32_t inside_ip);

/* The address of the pool that a host without one is to be paired with: the one
 * with the fewest hosts, of those that have a block left if block_ports is not
 * 0.  -1: all blocks are taken. */
int32_t nat_addresses_least(
    const struct nat_addresses *addresses, uint32_t block_ports);

/* Takes a block of ports at an address: its number, from 1 on; 0: all are
 * taken.  And gives it back. */
uint32_t nat_block_take(struct nat_address *address, uint32_t block_ports);
void nat_block_give(struct nat_address *address, uint32_t block);

/* How many blocks an address has. */
static inline uint32_t
nat_blocks(uint32_t block_ports)
{
	return (65536 - NAT_BLOCK_FIRST) / block_ports;
}

#endif
