/*
 * icmp6.h - ICMPv6 (RFC 4443).
 */
#ifndef NET_ICMP6_H
#define NET_ICMP6_H

#include "net/cursor.h"
#include "net/ip6.h"
#include "net/reason.h"

#define ICMP6_HEADER_BYTES 8
#define ICMP6_OFF_CHECKSUM 2
#define ICMP6_OFF_ID       4

#define ICMP6_UNREACHABLE   1
#define ICMP6_TOO_BIG       2
#define ICMP6_TIME_EXCEEDED 3
#define ICMP6_PARAMETER     4
#define ICMP6_ECHO_REQUEST  128
#define ICMP6_ECHO_REPLY    129
#define ICMP6_REDIRECT      137

#define ICMP6_UNREACH_ROUTE      0
#define ICMP6_UNREACH_PROHIBITED 1
#define ICMP6_UNREACH_SCOPE      2
#define ICMP6_UNREACH_ADDRESS    3
#define ICMP6_UNREACH_PORT       4

#define ICMP6_PARAMETER_HEADER 0 /* a field that cannot be */
#define ICMP6_PARAMETER_NEXT   1 /* a header that is not known */
#define ICMP6_PARAMETER_OPTION 2 /* an option that is not known */
#define ICMP6_PARAMETER_FIRST  3 /* a first fragment without all headers */

struct icmp6 {
	uint8_t type, code;
	uint16_t checksum;   /* as read */
	uint32_t word;       /* bytes 4 to 7: id and sequence, MTU, pointer */
	const uint8_t *data; /* borrowed: what follows the 8 bytes */
	size_t data_bytes;
};

/* Reads the whole message in c, which travels from src to dst, and checks its
 * sum unless trusted.  DROP_SHORT, DROP_L4_CHECKSUM. */
enum reason icmp6_parse(struct icmp6 *icmp, struct cursor *c,
    const struct ip6_addr *src, const struct ip6_addr *dst, bool trusted);

/* Writes header, checksum and data, which may lie where it is written to. */
void icmp6_write(struct writer *w, const struct icmp6 *icmp,
    const struct ip6_addr *src, const struct ip6_addr *dst);

/* Is it an error, about another packet (RFC 4443 2.1)? */
static inline bool
icmp6_is_error(uint8_t type)
{
	return type < 128;
}

#endif
