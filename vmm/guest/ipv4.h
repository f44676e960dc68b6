/*
 * ipv4.h - IPv4 (RFC 791, RFC 1122 3): routes, and packets in.
 *
 * A host, not a router: packets for others end here.  Source routes and other
 * options are skipped, not obeyed.
 */
#ifndef GUEST_IPV4_H
#define GUEST_IPV4_H

#include <stdbool.h>
#include <stdint.h>

#include "net/addr.h"
#include "net/cursor.h"
#include "net/reason.h"

struct stack;
struct netif;

/* A packet that came in on nif; how: RX_* of netif.h. */
enum reason ipv4_input(struct netif *nif, struct cursor *c, unsigned int how);

/* The interface that dst is reached by, and the next hop.  NULL: no route.
 * The loopback addresses and our own have an interface too. */
struct netif *ipv4_route(struct stack *stack, uint32_t dst, uint32_t *hop);

/* The address that packets to dst carry as their source; 0: no route. */
uint32_t ipv4_source(struct stack *stack, uint32_t dst);

/* Is addr one of ours, or a loopback address? */
bool ipv4_owns(const struct stack *stack, uint32_t addr);

/* The link's address of dst, a group or all of the link.  False: it is none. */
bool ipv4_group_mac(const struct netif *nif, uint32_t dst, struct mac *mac);

#endif
