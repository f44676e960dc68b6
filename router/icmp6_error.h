/*
 * icmp6_error.h - telling a sender what became of its IPv6 packet (RFC 4443).
 *
 * Pure functions; how many are sent is limited as for IPv4 (icmp_limit_take).
 */
#ifndef ROUTER_ICMP6_ERROR_H
#define ROUTER_ICMP6_ERROR_H

#include "net/icmp6.h"
#include "net/ip6_chain.h"

/* No longer than any link takes, with its IPv6 header (RFC 4443 2.4 c). */
#define ICMP6_ERROR_BYTES IP6_MTU_MIN
#define ICMP6_ERROR_QUOTE \
	(ICMP6_ERROR_BYTES - IP6_HEADER_BYTES - ICMP6_HEADER_BYTES)

struct icmp6_error {
	uint8_t type, code;
	uint32_t word; /* MTU, or a pointer */
};

/*
 * May this error be sent about a packet (RFC 4443 2.4 e)?  Not about ICMPv6
 * errors and redirects, nor if the source is not one host's; not if it went to a
 * group (by IP or, group_frame, by its link), but that it is too big or has an
 * option that must be known.  payload is what follows the header, as far as it
 * is there: if that ends before the ICMPv6 type, there is no error, but that it
 * does end there.
 */
bool icmp6_error_allowed(const struct icmp6_error *error, const struct ip6 *ip,
    struct cursor payload, bool group_frame);

/* Writes an IPv6 packet from src to dst that quotes the packet that begins at
 * quote, of which up to ICMP6_ERROR_QUOTE bytes are taken. */
void icmp6_error_write(struct writer *w, const struct icmp6_error *error,
    const struct ip6_addr *src, const struct ip6_addr *dst,
    const uint8_t *quote, size_t quote_bytes);

#endif
