/*
 * ip.h - packets of IPv4 and IPv6 alike, for what is above them.
 *
 * There an address is a struct ip6_addr, an IPv4 one as net/ip6.h writes it
 * there.  So UDP, TCP and ping are written once.
 */
#ifndef GUEST_IP_H
#define GUEST_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/cursor.h"
#include "net/ip4.h"
#include "net/ip6.h"
#include "net/reason.h"

#include "vmm/guest/reass.h"

#define IP_HOPS 64

struct stack;
struct netif;
struct neigh;
struct packet;

/* A packet that came in, and is whole. */
struct ip_in {
	struct ip6_addr src, dst;
	uint8_t protocol, ttl, tos;
	const struct ip4 *ip4; /* the header, of one kind or the other */
	const struct ip6 *ip6;
	struct cursor payload; /* all behind the header, for errors to quote */
	/* IPv6: of extension headers, and where in the packet protocol is
	 * named. */
	uint16_t chain_bytes, next_at;
};

struct ip {
	uint16_t next_id4;
	uint32_t next_id6;
	struct packet *loop, **loop_end; /* to ourselves, oldest first */
	struct reass reass[REASS_SLOTS];
	/* Where datagrams are built that are cut into fragments. */
	uint8_t big[IP4_MAX_BYTES + 1];
};

/* A packet to be sent. */
struct ip_out {
	struct ip6_addr dst;
	struct ip6_addr src; /* zero: the address of ours that suits dst */
	uint8_t protocol;
	uint8_t ttl; /* 0: the usual one */
	uint8_t tos;
	bool dont_fragment;
	bool last_first;   /* if it is cut to fragments: sent in reverse */
	struct netif *nif; /* NULL: by route; filled in */

	/* Between ip_begin() and ip_end(). */
	bool ip4;
	size_t head_bytes, payload_bytes;
	struct ip6_addr hop;
	uint8_t *at; /* of the header */
	struct packet *packet;
	struct neigh *neigh;
	struct mac mac;
	bool big;
};

void ip_init(struct stack *stack);

/*
 * Sends in two steps: ip_begin() fills in src and nif and returns where
 * payload_bytes of payload go; ip_end() sends it, queueing it for a neighbour
 * or cutting it to fragments as need be.  Nothing else is sent in between.
 * NULL: *why says (DROP_NO_ROUTE, DROP_MTU, DROP_PORT_FULL, ...); counted.
 */
uint8_t *ip_begin(struct stack *stack, struct ip_out *out, size_t payload_bytes,
    enum reason *why);
void ip_end(struct stack *stack, struct ip_out *out);

/* Sends a finished packet to n, which is resolved. */
void ip_send_packet(struct neigh *n, const struct packet *packet);

/* Delivers the packets to ourselves that were sent so far.  False: none. */
bool ip_run_loop(struct stack *stack);

/* Is there a way to dst, and by which address of ours?  from: as src of an
 * ip_out; *src is written only if there is. */
bool ip_source(struct stack *stack, const struct ip6_addr *dst,
    const struct ip6_addr *from, struct ip6_addr *src);

/* The greatest packet that goes to dst in one piece, as far as is known; 0: no
 * route. */
size_t ip_mtu(struct stack *stack, const struct ip6_addr *dst,
    const struct ip6_addr *src);

static inline bool
ip_is4(const struct ip6_addr *addr)
{
	uint32_t ip4;

	return ip6_to_ip4(&ip4, addr);
}

/* The IPv4 address within addr, 0 if there is none. */
static inline uint32_t
ip_get4(const struct ip6_addr *addr)
{
	uint32_t ip4;

	return ip6_to_ip4(&ip4, addr) ? ip4 : 0;
}

/* "10.0.0.1:80" or "[2001:db8::1]:80". */
#define IP_END_BYTES (IP6_TEXT_BYTES + 8)
char *ip_end_text(
    char out[IP_END_BYTES], const struct ip6_addr *addr, uint16_t port);

#endif
