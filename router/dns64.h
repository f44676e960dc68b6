/*
 * dns64.h - what DNS64 makes of answers (RFC 6147): pure functions.
 */
#ifndef ROUTER_DNS64_H
#define ROUTER_DNS64_H

#include "net/ip64.h"
#include "router/dns_cache.h"

#define DNS64_TTL_S 600 /* at most, of what was made (5.1.7) */

/* Is it an answer to a question for AAAA that hosts can use: has it an address
 * that is none of IPv4 (5.1.4)?  Takes the others away. */
bool dns64_sift(struct dns_answer *answer);

/* Makes AAAA records of A records behind prefix in *out.  False: none of the
 * addresses may stand there. */
bool dns64_make(const struct ip64_prefix *prefix, const struct dns_answer *a,
    struct dns_answer *out);

/* Is name the one by which hosts find out the prefix (RFC 7050)?  It has the
 * addresses 192.0.0.170 and .171, behind any prefix (RFC 8880 7.1); *answer has
 * those of type then. */
bool dns64_well_known(const struct ip64_prefix *prefix, const char *name,
    uint16_t type, struct dns_answer *answer);

/* The IPv4 address that a name of ip6.arpa stands for (5.3.1).  False: it is
 * none behind prefix. */
bool dns64_reverse(
    const struct ip64_prefix *prefix, const char *name, uint32_t *ip4);

/* "10.113.0.203.in-addr.arpa" (RFC 1035 3.5). */
#define REVERSE4_BYTES 32
char *reverse4_text(char out[REVERSE4_BYTES], uint32_t ip4);
bool reverse4_read(const char *name, uint32_t *ip4);

#endif
