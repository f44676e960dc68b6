/*
 * nd6.h - neighbour discovery between hosts: solicitations and advertisements
 * (RFC 4861 7, RFC 4862 5.4).
 */
#ifndef GUEST_ND6_H
#define GUEST_ND6_H

#include "net/cursor.h"
#include "net/ip6.h"
#include "net/reason.h"

struct addr6;
struct netif;
struct neigh;

/* A message, which travels in ip. */
enum reason nd6_input(
    struct netif *nif, const struct ip6 *ip, struct cursor *c);

/* Asks where n is, or whether it is still there. */
void nd6_ask(struct neigh *n);
/* Asks whether somebody has an address that we would like to have. */
void nd6_probe(const struct addr6 *a);

#endif
