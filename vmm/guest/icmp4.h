/*
 * icmp4.h - ICMP for a host (RFC 792, RFC 1122 3.2.2).
 */
#ifndef GUEST_ICMP4_H
#define GUEST_ICMP4_H

#include <stdint.h>

#include "net/cursor.h"
#include "net/icmp.h"
#include "net/reason.h"

struct netif;
struct packet;
struct ip_in;

enum reason icmp4_input(struct netif *nif, const struct ip_in *in,
    struct cursor *c, unsigned int how);

/* Answers a packet with an error; unless it must have none (RFC 1122, 3.2.2)
 * or the budget is spent. */
void icmp4_error(struct netif *nif, const struct ip_in *in, unsigned int how,
    uint8_t type, uint8_t code);

/* A packet of ours that ARP found no neighbour for: tells its sender. */
void icmp4_unreachable_neighbour(
    struct netif *nif, const struct packet *packet);

#endif
