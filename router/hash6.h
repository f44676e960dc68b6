/*
 * hash6.h - hashes of what tables of IPv6 are looked up by, from a seed that
 * nobody else knows.
 */
#ifndef ROUTER_HASH6_H
#define ROUTER_HASH6_H

#include <string.h>

#include "net/ip6.h"

static inline uint64_t
hash6(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static inline uint64_t
hash6_addr(uint64_t h, const struct ip6_addr *addr)
{
	uint64_t half[2];

	memcpy(half, addr->b, sizeof(half));
	return hash6(hash6(h, half[0]), half[1]);
}

static inline uint64_t
hash6_mac(uint64_t h, const struct mac *mac)
{
	uint64_t v = 0;

	memcpy(&v, mac->b, sizeof(mac->b));
	return hash6(h, v);
}

#endif
