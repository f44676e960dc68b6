/*
 * nd.h - Neighbor Discovery: who has an IPv6 address (RFC 4861 4.3, 4.4).
 */
#ifndef NET_ND_H
#define NET_ND_H

#include "net/addr.h"
#include "net/cursor.h"
#include "net/ip6.h"
#include "net/reason.h"

#define ND_ROUTER_SOLICIT   133
#define ND_ROUTER_ADVERTISE 134
#define ND_SOLICIT          135
#define ND_ADVERTISE        136
#define ND_REDIRECT         137

#define ND_BYTES 32 /* with one option, as they are written */

#define ND_NONCE_BYTES 6

#define ND_ROUTER    0x80000000u /* of flags, in an advertisement */
#define ND_SOLICITED 0x40000000u
#define ND_OVERRIDE  0x20000000u

#define ND_HOP_LIMIT 255 /* of all its messages: no router passed them on */

struct nd_message {
	uint8_t type; /* ND_SOLICIT, ND_ADVERTISE */
	uint32_t flags;
	struct ip6_addr target;
	struct mac mac; /* the source's, or the target's; zero: not given */
	/* Tells who looks whether an address is free its own solicitation,
	 * which came back, from another's (RFC 7527); zeros: not given. */
	uint8_t nonce[ND_NONCE_BYTES];
};

/* Reads the ICMPv6 message in c, which travels in ip.  DROP_SHORT,
 * DROP_L4_CHECKSUM; DROP_PROTOCOL for any other message; DROP_ND for
 * what RFC 4861 7.1 has silently discarded. */
enum reason nd_message_parse(
    struct nd_message *nd, struct cursor *c, const struct ip6 *ip);

/* Walks the options of a message of neighbour discovery (4.6): *mac is that of
 * the option want, and left alone if there is none.  DROP_SHORT, DROP_ND. */
enum reason nd_find_mac(struct mac *mac, struct cursor *options, uint8_t want);

/* Writes the IPv6 header and the message, with nd->mac; without it, if that is
 * zero, and with nd->nonce instead. */
void nd_message_write(struct writer *w, const struct nd_message *nd,
    const struct ip6_addr *src, const struct ip6_addr *dst);

/* Where to ask for addr (RFC 4291 2.7.1), and that group's MAC address. */
struct ip6_addr nd_group(const struct ip6_addr *addr);
struct mac nd_group_mac(const struct ip6_addr *group);

/* A better first hop than the router (4.5). */
struct nd_redirect {
	struct ip6_addr target; /* the better one */
	struct ip6_addr dst;    /* for packets to it */
	struct mac mac;         /* of target; zero: not known */
	const uint8_t *quote;   /* the packet, of which as much is quoted... */
	size_t quote_bytes;     /* ... as fits IP6_MTU_MIN */
};

/* Writes the IPv6 header and the message. */
void nd_redirect_write(struct writer *w, const struct nd_redirect *redirect,
    const struct ip6_addr *src, const struct ip6_addr *to);

#endif
