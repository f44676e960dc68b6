/*
 * ipv4.h - IPv4 (RFC 791, RFC 1122 3): routes, fragments, packets in and out.
 *
 * A host, not a router: packets for others end here.  Source routes and other
 * options are skipped, not obeyed.
 */
#ifndef GUEST_IPV4_H
#define GUEST_IPV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/cursor.h"
#include "net/ip4.h"
#include "net/reason.h"

#include "vmm/guest/timer.h"

#define IPV4_TTL         64
#define REASS_SLOTS      4
#define REASS_TIMEOUT_US (15 * US_PER_S)

struct stack;
struct netif;
struct neigh;
struct packet;

/* A datagram being put together again (RFC 791, RFC 5722's rule of overlaps:
 * one that overlaps spoils the whole). */
struct reass {
	bool used;
	uint32_t src, dst;
	uint16_t id;
	uint8_t protocol;
	size_t total_bytes; /* of the payload; 0: the end is not here yet */
	size_t have_bytes, reach_bytes; /* received; end of the furthest */
	struct netif *nif;
	struct ip4 first; /* the header of the first fragment */
	struct timer timer;
	uint8_t blocks[IP4_MAX_BYTES / 8 / 8 + 1]; /* a bit per 8 bytes */
	uint8_t data[IP4_MAX_BYTES + 1];
};

struct ipv4 {
	uint16_t next_id;
	struct packet *loop, **loop_end; /* to ourselves, oldest first */
	struct reass reass[REASS_SLOTS];
	/* Where datagrams are built that are cut into fragments. */
	uint8_t big[IP4_MAX_BYTES + 1];
};

/* A packet to be sent. */
struct ipv4_out {
	uint32_t dst;
	uint32_t src; /* 0: the address of the interface it leaves by */
	uint8_t protocol;
	uint8_t ttl; /* 0: IPV4_TTL */
	uint8_t tos;
	bool dont_fragment;
	bool last_first;   /* if it is cut to fragments: sent in reverse */
	struct netif *nif; /* NULL: by route; filled in */

	/* Between ipv4_begin() and ipv4_end(). */
	size_t payload_bytes;
	uint8_t *at; /* of the header */
	struct packet *packet;
	struct neigh *neigh;
	struct mac mac;
	bool big;
};

void ipv4_init(struct stack *stack);

/* A packet that came in on nif; how: RX_* of netif.h. */
enum reason ipv4_input(struct netif *nif, struct cursor *c, unsigned int how);

/* The interface that dst is reached by, and the next hop.  NULL: no route.
 * The loopback addresses and our own have an interface too. */
struct netif *ipv4_route(struct stack *stack, uint32_t dst, uint32_t *hop);

/* The address that packets to dst carry as their source; 0: no route. */
uint32_t ipv4_source(struct stack *stack, uint32_t dst);

/*
 * Sends in two steps: ipv4_begin() fills in src and nif and returns where
 * payload_bytes of payload go; ipv4_end() sends it, queueing it for ARP or
 * cutting it to fragments as need be.  Nothing else is sent in between.
 * NULL: *why says (DROP_NO_ROUTE, DROP_MTU, DROP_PORT_FULL, ...); counted.
 */
uint8_t *ipv4_begin(struct stack *stack, struct ipv4_out *out,
    size_t payload_bytes, enum reason *why);
void ipv4_end(struct stack *stack, struct ipv4_out *out);

/* Sends a finished packet to n, which is resolved. */
void ipv4_send_packet(struct neigh *n, const struct packet *packet);

/* Delivers the packets to ourselves that were sent so far.  False: none. */
bool ipv4_run_loop(struct stack *stack);

#endif
