/*
 * siit.h - packets of IPv4 and IPv6 made of each other (RFC 7915): headers,
 * fragments, transport checksums, and ICMP with the packets that errors quote.
 *
 * Checksums are updated, not computed, so that a packet that was damaged stays
 * so; but those of ICMP errors, which are verified and then computed anew, and
 * those of UDP that were left out, which IPv6 does not allow.  No packet needs
 * more of it than its headers, but for those two kinds.
 *
 * The hop limit becomes the time to live as it is: whoever forwards counts.
 */
#ifndef NET_SIIT_H
#define NET_SIIT_H

#include "net/ip4.h"
#include "net/ip6.h"

#define IP6_MORE 1 /* in it, beside the offset */

#define SIIT_MAX_GROWTH    28          /* bytes from IPv4 to IPv6 */
#define SIIT_MAX_ERROR4    576         /* RFC 1812 4.3.2.3 */
#define SIIT_MAX_ERROR6    IP6_MTU_MIN /* RFC 4443 2.4 */
#define SIIT_OFF_HOP_LIMIT 7           /* in the IPv6 header */
#define SIIT_OFF_NEXT      6

/* Whose address stands for whose: asked about packets quoted by errors. */
struct siit {
	bool (*to4)(
	    const void *arg, const struct ip6_addr *addr, uint32_t *ip4);
	bool (*to6)(const void *arg, uint32_t ip4, struct ip6_addr *addr);
	const void *arg;
	/* Of the links on both sides, which limit what errors tell. */
	uint32_t mtu4_bytes, mtu6_bytes;
};

/* The headers of an IPv6 packet, as far as they matter here. */
struct siit6 {
	struct ip6 ip;
	uint8_t protocol;      /* what follows the last of them */
	uint16_t header_bytes; /* of them all */
	bool has_fragment;     /* a fragment header is among them */
	bool more;             /* fragments follow */
	uint16_t offset_bytes;
	uint32_t id;
	uint16_t fault_at; /* with DROP_SOURCE_ROUTE: what to point at */
};

/* Reads them of a packet of which have bytes are there.  DROP_SHORT,
 * DROP_IP6_HEADER; DROP_SOURCE_ROUTE: there are places yet to be visited;
 * DROP_FRAGMENT: a fragment that cannot be. */
enum reason siit6_read(struct siit6 *p, const uint8_t *packet, size_t have);

/* Is it a header that may stand before the transport header? */
bool siit6_is_extension(uint8_t next);

static inline bool
siit6_is_fragment(const struct siit6 *p)
{
	return p->more || p->offset_bytes != 0;
}

/* What follows the headers, there or not. */
static inline size_t
siit6_payload_bytes(const struct siit6 *p)
{
	return (size_t)p->ip.payload_bytes + IP6_HEADER_BYTES - p->header_bytes;
}

/* Must all of the packet be there to be translated? */
bool siit6_wants_whole(
    const struct siit6 *p, const uint8_t *packet, size_t have);
bool siit4_wants_whole(
    const struct ip4 *ip, const uint8_t *packet, size_t have);

/*
 * Writes what the first have bytes of packet become, with other ends; what is
 * behind them, follows as it is.  partial: its transport checksum holds the sum
 * of the pseudo header only.
 *
 * Refused, and then what w holds is nothing: DROP_SHORT, DROP_IP_LENGTH (it
 * would be too long), DROP_FRAGMENT (ICMP in fragments), DROP_L4_CHECKSUM,
 * DROP_NO_CHECKSUM (UDP without, in fragments), DROP_ICMP_TYPE (one that the
 * other family has none like), DROP_NAT_ICMP (an error that quotes a packet of
 * unknown ends), DROP_SOURCE_ROUTE, DROP_PROTOCOL (a number that means something
 * else there).
 */
struct siit_new4 {
	uint32_t src, dst;
	uint16_t id; /* if it has none of its own */
	bool partial;
};

enum reason siit_to4(const struct siit *siit, const struct siit6 *p,
    const uint8_t *packet, size_t have, const struct siit_new4 *to,
    struct writer *w);

struct siit_new6 {
	struct ip6_addr src, dst;
	bool partial;
};

enum reason siit_to6(const struct siit *siit, const struct ip4 *ip,
    const uint8_t *packet, size_t have, const struct siit_new6 *to,
    struct writer *w);

#endif
