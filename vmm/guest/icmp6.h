/*
 * icmp6.h - ICMPv6 for a host (RFC 4443).
 */
#ifndef GUEST_ICMP6_H
#define GUEST_ICMP6_H

#include <stdint.h>

#include "net/cursor.h"
#include "net/icmp6.h"
#include "net/reason.h"

struct netif;
struct packet;
struct ip_in;

/* MLD, which needs a router alert, is looked for by its sender. */
enum reason icmp6_input(struct netif *nif, const struct ip_in *in,
    struct cursor *c, unsigned int how);

/* Answers a packet with an error, whose word is the pointer or zero; unless it
 * must have none (RFC 4443 2.4) or the budget is spent. */
void icmp6_error(struct netif *nif, const struct ip_in *in, unsigned int how,
    uint8_t type, uint8_t code, uint32_t word);

/* A packet of ours that no neighbour was found for: tells its sender. */
void icmp6_unreachable_neighbour(
    struct netif *nif, const struct packet *packet);

#endif
