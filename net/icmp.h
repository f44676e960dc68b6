/*
 * icmp.h - ICMP for IPv4 (RFC 792, RFC 1122 3.2.2, RFC 1191).
 */
#ifndef NET_ICMP_H
#define NET_ICMP_H

#include "net/cursor.h"
#include "net/reason.h"

#define ICMP_HEADER_BYTES 8

#define ICMP_ECHO_REPLY    0
#define ICMP_UNREACHABLE   3
#define ICMP_SOURCE_QUENCH 4
#define ICMP_REDIRECT      5
#define ICMP_ECHO_REQUEST  8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER     12

#define ICMP_UNREACH_NET        0
#define ICMP_UNREACH_HOST       1
#define ICMP_UNREACH_PROTOCOL   2
#define ICMP_UNREACH_PORT       3
#define ICMP_UNREACH_NEEDFRAG   4
#define ICMP_UNREACH_ROUTE      5 /* the source route failed */
#define ICMP_UNREACH_PROHIBITED 13

#define ICMP_OFF_CHECKSUM 2
#define ICMP_OFF_ID       4

struct icmp {
	uint8_t type, code;
	uint16_t checksum; /* as read */
	union {
		struct {
			uint16_t id, seq;
		} echo; /* ICMP_ECHO_* */
		struct {
			uint16_t unused, mtu;
		} frag;        /* ICMP_UNREACH_NEEDFRAG */
		uint32_t word; /* any other: bytes 4 to 7, host order */
	};
	const uint8_t *data; /* borrowed: what follows the 8 bytes */
	size_t data_bytes;
};

/* Reads the whole message in c and checks its sum.  DROP_SHORT,
 * DROP_L4_CHECKSUM. */
enum reason icmp_parse(struct icmp *icmp, struct cursor *c);

/* Writes header, checksum and data (data may be NULL with 0 bytes). */
void icmp_write(struct writer *w, const struct icmp *icmp);

/* Is it about another packet (and so never answered by an error)? */
bool icmp_is_error(uint8_t type);

#endif
