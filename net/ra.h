/*
 * ra.h - router solicitations and advertisements (RFC 4861 4.1, 4.2), with what
 * they say of DNS (RFC 8106) and NAT64 (RFC 8781).
 */
#ifndef NET_RA_H
#define NET_RA_H

#include "net/cursor.h"
#include "net/ip64.h"
#include "net/reason.h"

#define RA_PREFIXES  4
#define RA_SERVERS   4
#define RA_MAX_BYTES 512 /* of a message with all options */

struct ra_prefix {
	struct ip6_net net;
	bool on_link, autonomous;
	uint32_t valid_s, preferred_s;
};

struct ra_message {
	uint8_t hop_limit;   /* for hosts to use */
	bool managed, other; /* addresses, or other things, are by DHCPv6 */
	uint16_t lifetime_s; /* as a default router; 0: it is none */
	struct mac mac;
	uint32_t mtu_bytes;
	struct ra_prefix prefix[RA_PREFIXES];
	unsigned int nprefixes;
	struct ip6_addr dns[RA_SERVERS];
	unsigned int ndns;
	const char *domain;       /* "": none is told */
	struct ip64_prefix nat64; /* bits 0: none is told */
	uint32_t dns_s; /* how long the DNS servers, domain and nat64 hold */
	/* Of what is read only: how long each server holds, and what hosts are
	 * to wait for neighbours; 0: not said. */
	uint32_t each_dns_s[RA_SERVERS];
	uint32_t reachable_ms, retransmit_ms;
};

/* Reads the solicitation in c, which travels in ip; mac is zero if none is
 * given.  DROP_SHORT, DROP_L4_CHECKSUM; DROP_ND for what RFC 4861 6.1.1 has
 * silently discarded. */
enum reason rs_parse(struct mac *mac, struct cursor *c, const struct ip6 *ip);

/* Writes the IPv6 header and the message, with mac unless it is zero. */
void rs_write(struct writer *w, const struct mac *mac,
    const struct ip6_addr *src, const struct ip6_addr *dst);

/*
 * Reads the advertisement in c, which travels in ip.  Of more prefixes or
 * servers than there is room for the first count; domain and nat64 are not
 * read.  DROP_SHORT, DROP_L4_CHECKSUM; DROP_PROTOCOL for any other message;
 * DROP_ND for what RFC 4861 6.1.2 has silently discarded.
 */
enum reason ra_parse(
    struct ra_message *ra, struct cursor *c, const struct ip6 *ip);

/* Writes the IPv6 header and the message.  A domain that is no name is left
 * out. */
void ra_write(struct writer *w, const struct ra_message *ra,
    const struct ip6_addr *src, const struct ip6_addr *dst);

#endif
