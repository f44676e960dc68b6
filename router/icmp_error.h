/*
 * icmp_error.h - telling a sender what became of its packet (RFC 792).
 *
 * When an error may be sent and what it quotes is RFC 1812, 4.3.2.  Pure
 * functions; time is an argument.
 */
#ifndef ROUTER_ICMP_ERROR_H
#define ROUTER_ICMP_ERROR_H

#include "net/icmp.h"
#include "net/ip4.h"

#define ICMP_ERROR_BYTES 576 /* no longer than this, with its IP header */
/* As much of the packet as that leaves room for (RFC 1812 4.3.2.3). */
#define ICMP_ERROR_QUOTE \
	(ICMP_ERROR_BYTES - IP4_HEADER_BYTES - ICMP_HEADER_BYTES)

#define ICMP_ERROR_BURST  64  /* errors at once */
#define ICMP_ERROR_RATE   128 /* errors a second, for long */
#define ICMP_ERROR_SHARES 64

struct icmp_error {
	uint8_t type, code;
	uint32_t word; /* bytes 4 to 7: the MTU, with ICMP_UNREACH_NEEDFRAG */
	uint16_t id;   /* of the IP packet */
	uint8_t tos;   /* the same, icmp_error_tos() */
};

/*
 * May any error be sent about this packet (RFC 1812 4.3.2.7)?  Not about ICMP
 * errors, what was sent to a group (by IP or, group_frame, by its link), a
 * fragment but the first, or a source that is not one host.  payload is what
 * follows the header, as far as it is there.
 */
bool icmp_error_allowed(const struct ip4 *ip, const uint8_t *payload,
    size_t payload_bytes, bool group_frame);

/* A bucket of tokens that fills with time (RFC 1812 4.3.2.8). */
struct icmp_bucket {
	uint64_t filled_ns; /* up to when it was filled */
	uint32_t tokens;
	bool started;
};

/* One bucket for all, and one of half its size for each of a few groups of
 * hosts: one that causes errors without end does not leave others without
 * theirs, as those that say how large a packet may be. */
struct icmp_limit {
	struct icmp_bucket all, share[ICMP_ERROR_SHARES];
};

/* Takes a token for an error to the host whose address, or what is left of it,
 * is who.  False: too many errors by now. */
bool icmp_limit_take(struct icmp_limit *limit, uint32_t who, uint64_t now_ns);

/* The type of service of an error about a packet with tos: as RFC 1812 4.3.2.5
 * asks, or, of a NAT, RFC 5508 7.7. */
uint8_t icmp_error_tos(uint8_t tos, bool nat);

/* Writes an IP packet from src to dst that quotes the packet that begins at
 * quote, of which up to ICMP_ERROR_QUOTE bytes are taken. */
void icmp_error_write(struct writer *w, const struct icmp_error *error,
    uint32_t src, uint32_t dst, const uint8_t *quote, size_t quote_bytes);

#endif
