/*
 * ipv6.h - IPv6 for a host (RFC 8200, RFC 8504): routes, sources, packets in.
 *
 * Off until it is wanted: an interface without IPv6 sends none and takes none.
 */
#ifndef GUEST_IPV6_H
#define GUEST_IPV6_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/cursor.h"
#include "net/ip6.h"
#include "net/reason.h"

#define PATHS6         8
#define PATH6_US       (600 * US_PER_S) /* RFC 8201 4: ten minutes */
#define IPV6_OWN_BYTES IP6_MTU_MIN      /* of what ipv6_send() takes */

struct stack;
struct netif;

/* A destination to which a router on the way passes only less. */
struct path6 {
	struct ip6_addr dst;
	uint16_t mtu_bytes;
	uint64_t until_us;
};

struct ipv6 {
	struct path6 path[PATHS6];
};

void ipv6_init(struct netif *nif);

/*
 * Turns IPv6 on: "auto" for addresses that routers advertise, or
 * "2001:db8::10/64,gw=2001:db8::1,dns=..." with more addresses behind commas,
 * beside those; "none" for off.  Changes text.  NULL, or what is wrong.
 */
const char *ipv6_configure(struct netif *nif, char *text);

/* The link went up or down. */
void ipv6_link(struct netif *nif);

/* A packet that came in on nif; how: RX_* of netif.h. */
enum reason ipv6_input(struct netif *nif, struct cursor *c, unsigned int how);

/* The interface that dst is reached by, and the next hop.  src, unless it is
 * zero, says which: it is an address there.  NULL: no route. */
struct netif *ipv6_route(struct stack *stack, const struct ip6_addr *dst,
    const struct ip6_addr *src, struct ip6_addr *hop);

/* The address of nif that packets to dst carry as their source (RFC 6724 5, as
 * far as it applies).  False: there is none. */
bool ipv6_source(
    struct netif *nif, const struct ip6_addr *dst, struct ip6_addr *src);

/* The interface that has addr, which may lie in a packet; NULL: it is not ours.
 * ::1 belongs to the first. */
struct netif *ipv6_owner(struct stack *stack, const struct ip6_addr *addr);
struct netif *ipv6_owner_of(struct stack *stack, const uint8_t *addr);

size_t ipv6_path_mtu(
    struct stack *stack, const struct netif *nif, const struct ip6_addr *dst);
/* A router says that packets to dst are to be no longer. */
void ipv6_learn_mtu(
    struct stack *stack, const struct ip6_addr *dst, uint32_t mtu_bytes);

/* Sends a whole packet of up to IPV6_OWN_BYTES on nif, to a group or to a
 * neighbour, who is looked for if need be. */
void ipv6_send(struct netif *nif, const struct ip6_addr *dst,
    const uint8_t *packet, size_t bytes);

#endif
