/*
 * dns_cache.h - what was answered about a name, for as long as that may be
 * believed (RFC 1035 3.2.1, RFC 2308).
 *
 * A full cache forgets the answer that was used longest ago.
 */
#ifndef ROUTER_DNS_CACHE_H
#define ROUTER_DNS_CACHE_H

#include "net/dns.h"

#define DNS_CACHE_NAMES 1024
#define DNS_CACHE_MAX_S 3600 /* no answer is believed for longer */

struct dns_answer {
	uint8_t rcode; /* DNS_OK, DNS_NXDOMAIN */
	uint8_t naddrs;
	struct ip6_addr addr[DNS_MAX_ANSWERS]; /* A: ::ffff:a.b.c.d */
	char host[DNS_NAME_BYTES];             /* PTR; "": none */
	uint32_t ttl_s;
};

struct dns_cache;

struct dns_cache *dns_cache_new(unsigned int max); /* NULL: no memory */
void dns_cache_free(struct dns_cache *cache);      /* NULL is fine */

/* Remembers an answer about records of type for its ttl_s; 0: not at all. */
void dns_cache_add(struct dns_cache *cache, const char *name, uint16_t type,
    const struct dns_answer *answer, uint64_t now_ns);

/* False: nothing is known.  The answer's ttl_s is what is left of it. */
bool dns_cache_find(struct dns_cache *cache, const char *name, uint16_t type,
    uint64_t now_ns, struct dns_answer *answer);

#endif
