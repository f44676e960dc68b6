/*
 * ip_ids.h - the identification field of packets that a router sends as their
 * source, or with other addresses than they came with (RFC 6864 5.3.1).
 *
 * Two packets with the same source, destination and protocol have different ones
 * as long as 65535 others come between: counted for each by itself, from a start
 * that is hard to guess, but for those few that share a counter.  So what hosts
 * send behind one outside address never mixes where it is put together again,
 * and nobody learns from one's numbers how much another receives.
 */
#ifndef ROUTER_IP_IDS_H
#define ROUTER_IP_IDS_H

#include <stdint.h>

#include "net/checksum.h"
#include "net/ip4.h"

#define IP_IDS_COUNTERS 1024 /* a power of 2 */

struct ip_ids {
	uint64_t key;
	uint16_t next[IP_IDS_COUNTERS];
};

void ip_ids_init(struct ip_ids *ids, uint64_t seed);

/* The first of n in a row, as for the segments that one frame becomes. */
static inline uint16_t
ip_ids_take(struct ip_ids *ids, uint32_t src, uint32_t dst, uint8_t protocol,
    uint16_t n)
{
	uint64_t h = ((uint64_t)src << 32 | dst) ^ ids->key;
	uint16_t *next, id;

	h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93) + protocol;
	h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
	next = &ids->next[h >> 32 & (IP_IDS_COUNTERS - 1)];
	id = *next;
	*next = (uint16_t)(id + n);
	return id;
}

/* Writes it into a header with its checksum. */
static inline void
ip_ids_write(uint8_t *header, uint16_t id)
{
	put_be16(header + IP4_OFF_CHECKSUM,
	    csum_update16(get_be16(header + IP4_OFF_CHECKSUM),
		get_be16(header + IP4_OFF_ID), id));
	put_be16(header + IP4_OFF_ID, id);
}

#endif
