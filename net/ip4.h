/*
 * ip4.h - the IPv4 header (RFC 791).
 */
#ifndef NET_IP4_H
#define NET_IP4_H

#include "net/addr.h"
#include "net/cursor.h"
#include "net/reason.h"

#define IP4_HEADER_BYTES 20
#define IP4_MAX_BYTES    65535

#define IP_ICMP 1
#define IP_TCP  6
#define IP_UDP  17

#define IP4_DF 0x4000 /* don't fragment */
#define IP4_MF 0x2000 /* more fragments follow */

/* Byte offsets in the header, for those who rewrite it in place. */
#define IP4_OFF_LENGTH   2
#define IP4_OFF_ID       4
#define IP4_OFF_FRAGMENT 6
#define IP4_OFF_TTL      8
#define IP4_OFF_PROTOCOL 9
#define IP4_OFF_CHECKSUM 10
#define IP4_OFF_SRC      12
#define IP4_OFF_DST      16

struct ip4 {
	uint8_t tos;
	uint8_t header_bytes; /* 20 to 60 */
	uint16_t total_bytes; /* header and payload */
	uint16_t id;
	uint16_t fragment;     /* IP4_DF, IP4_MF */
	uint16_t offset_bytes; /* of this fragment, a multiple of 8 */
	uint8_t ttl;
	uint8_t protocol;
	uint16_t checksum; /* as read; ip4_write() computes its own */
	uint32_t src, dst;
	const uint8_t *options; /* borrowed; header_bytes - 20 of them */
};

/*
 * Reads and checks one header: version, lengths, checksum (RFC 1812 5.2.2).
 * *c is left with the payload alone: Ethernet's padding behind total_bytes is
 * cut away.  DROP_SHORT, DROP_IP_VERSION, DROP_IP_HEADER, DROP_IP_LENGTH,
 * DROP_IP_CHECKSUM.
 */
enum reason ip4_parse(struct ip4 *ip, struct cursor *c);

/* The header quoted in an ICMP error: as ip4_parse(), checksum included (RFC
 * 5508 REQ-3a), but its payload may be cut short: no DROP_IP_LENGTH. */
enum reason ip4_parse_quoted(struct ip4 *ip, struct cursor *c);

/* Writes a header of ip->header_bytes with its options and checksum; when
 * header_bytes is 0, one of 20 bytes. total_bytes counts the header. */
void ip4_write(struct writer *w, const struct ip4 *ip);

static inline bool
ip4_is_fragment(const struct ip4 *ip)
{
	return (ip->fragment & IP4_MF) != 0 || ip->offset_bytes != 0;
}

#endif
