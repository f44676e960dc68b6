/*
 * datagram.h - UDP datagrams of the router's own.
 */
#ifndef ROUTER_DATAGRAM_H
#define ROUTER_DATAGRAM_H

#include "net/ip6.h"
#include "net/udp.h"

#define DATAGRAM_TTL 64

struct router;

struct datagram {
	uint32_t src, dst;
	uint8_t ttl;    /* 0: DATAGRAM_TTL */
	struct udp udp; /* ports and data */
};

/* One of IPv6. */
struct datagram6 {
	struct ip6_addr src, dst;
	uint8_t hop_limit; /* 0: DATAGRAM_TTL */
	struct udp udp;
};

/* A packet that is to be sent by output6_own() or output6_direct(), and its
 * length.  NULL: there is no room. */
uint8_t *datagram6_make(
    struct router *router, const struct datagram6 *datagram, size_t *bytes);

/* A packet that is to be sent by output_own() or output_direct(), and its
 * length.  NULL: there is no room. */
uint8_t *datagram_make(
    struct router *router, const struct datagram *datagram, size_t *bytes);

#endif
