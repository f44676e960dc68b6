/*
 * arp.h - ARP (RFC 826, RFC 1122 2.3.2), and address conflicts (RFC 5227).
 */
#ifndef GUEST_ARP_H
#define GUEST_ARP_H

#include <stdint.h>

#include "net/cursor.h"
#include "net/reason.h"

struct netif;

/* One ARP packet that came in on nif. */
enum reason arp_input(struct netif *nif, struct cursor *c);

/* Asks who has ip; from 0 it is a probe (RFC 5227, 2.1.1), and about our own
 * address an announcement. */
void arp_ask(struct netif *nif, uint32_t from, uint32_t ip);

#endif
