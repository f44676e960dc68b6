/*
 * ip6_chain.h - what stands between an IPv6 header and its transport (RFC 8200
 * 4).
 *
 * Extension headers are walked as far as they are of a known form; what
 * follows is the upper layer, be it known or not.
 */
#ifndef NET_IP6_CHAIN_H
#define NET_IP6_CHAIN_H

#include "net/cursor.h"
#include "net/ip6.h"
#include "net/reason.h"

/* What follows a packet's IPv6 header. */
struct ip6_chain {
	uint8_t protocol;      /* of the upper layer, or IP_NONE */
	uint16_t bytes;        /* of all extension headers */
	uint16_t next_at;      /* where in the packet protocol was named */
	uint16_t fragment_at;  /* the fragment header, in the packet; 0: none */
	uint16_t offset_bytes; /* of a fragment's data */
	bool more;             /* fragments follow */
	uint32_t id;           /* of a fragment */
	uint16_t routing_at;   /* as fragment_at */
	uint8_t routing_type, segments_left;
	bool has_auth; /* one is an authentication header */
	/* The first option of a hop-by-hop or destination header that is not
	 * known and says that it must be; 0: none.  option is its type. */
	uint16_t option_at;
	uint8_t option;
};

/* Reads the headers in c, the payload of a packet with header ip, as far as it
 * is there, and leaves c at the upper layer.  The chain ends at a fragment that
 * is not the first: then protocol is what the fragment names, and c is at its
 * data.
 * DROP_SHORT: it goes on beyond c.  DROP_IP6_CHAIN: a hop-by-hop header that is
 * not the first, two fragment headers, or more headers than IP6_CHAIN_MAX.
 * *chain is right as far as it was read then, and protocol is what comes next. */
enum reason ip6_chain_parse(
    struct ip6_chain *chain, struct cursor *c, const struct ip6 *ip);

#define IP6_CHAIN_MAX 16 /* headers */

/* Is it part of a packet, and not all of it?  A fragment that is the only one
 * is no such part (RFC 6946). */
static inline bool
ip6_is_fragment(const struct ip6_chain *chain)
{
	return chain->fragment_at != 0 &&
	    (chain->more || chain->offset_bytes != 0);
}

#endif
