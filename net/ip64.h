/*
 * ip64.h - IPv4 addresses within IPv6 ones that begin with a prefix (RFC 6052).
 *
 * The IPv4 address follows the prefix, but for bits 64 to 71, which are zero;
 * so is what is behind it.
 */
#ifndef NET_IP64_H
#define NET_IP64_H

#include "net/ip6.h"

struct ip64_prefix {
	struct ip6_addr addr; /* what follows the prefix is zero */
	uint8_t bits;         /* 32, 40, 48, 56, 64, 96 */
};

extern const struct ip64_prefix ip64_well_known; /* 64:ff9b::/96 */

/* Can it be one: a length of those, zero bits behind it and in 64 to 71? */
bool ip64_is_prefix(const struct ip64_prefix *prefix);

/* Do it and net have addresses in common? */
bool ip64_overlaps(const struct ip64_prefix *prefix, const struct ip6_net *net);

bool ip64_has(const struct ip64_prefix *prefix, const struct ip6_addr *addr);

struct ip6_addr ip64_embed(const struct ip64_prefix *prefix, uint32_t ip4);
/* The IPv4 address within addr.  False: it has another prefix.  What is behind
 * it is not looked at. */
bool ip64_extract(const struct ip64_prefix *prefix, const struct ip6_addr *addr,
    uint32_t *ip4);

/*
 * May ip4 stand behind the prefix (RFC 6052 3.1)?  Addresses of no host may not
 * behind any; those that mean something else elsewhere, as 10.0.0.1, not behind
 * the well-known one.  Those for documentation may, though: in a lab they stand
 * for addresses of the world.
 */
bool ip64_may_embed(const struct ip64_prefix *prefix, uint32_t ip4);

#endif
