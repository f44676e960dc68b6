/*
 * nat64_state.h - a NAT64, for its own files alone.
 *
 *    nat64.c         makes it; addresses; packets of hosts become IPv4
 *    nat64_output.c  what is sent to hosts becomes IPv6
 */
#ifndef ROUTER_NAT64_STATE_H
#define ROUTER_NAT64_STATE_H

#include "net/siit.h"
#include "router/nat64.h"
#include "router/nat64_hosts.h"

struct nat64 {
	struct ip64_prefix prefix;
	struct nat64_hosts hosts;
	unsigned int nlinks;
	struct iface *links[ROUTER_PORTS_MAX]; /* to virtual addresses */
};

/* The IPv6 address that ip4 is to hosts, or whose it is; arg is the NAT64. */
bool nat64_to6(const void *arg, uint32_t ip4, struct ip6_addr *addr);

/* How packets become each other that pass from or to inside. */
struct siit nat64_translation(
    const struct router *router, const struct iface *inside);

/* Headers shrink or grow by bytes: what an offload says of where they are, and
 * of which family. */
void nat64_move_offload(struct frame *frame, int by);

/* Keeps a fragment of ICMP, the last bytes of frame, that key tells apart.
 * REASON_FRAGMENT_HELD: others are missing; REASON_NONE: all *bytes of data are
 * at where; or DROP_FRAGMENT. */
enum reason nat64_collect(struct router *router, const struct iface *in,
    const struct ip4 *key, const struct frame *frame, uint8_t *where,
    size_t *bytes);

#endif
