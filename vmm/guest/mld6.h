/*
 * mld6.h - the groups that an interface listens to, told to switches and
 * routers (RFC 3810, RFC 2710 where a querier speaks that).
 *
 * All nodes' group is listened to always and not told (RFC 3810 6).
 */
#ifndef GUEST_MLD6_H
#define GUEST_MLD6_H

#include <stdbool.h>

#include "net/cursor.h"
#include "net/ip6.h"
#include "net/reason.h"

struct netif;

void mld6_init(struct netif *nif);
/* Stops speaking: the link is down. */
void mld6_stop(struct netif *nif);

/* As often left as joined.  When there is no room nothing is joined. */
void mld6_join(struct netif *nif, const struct ip6_addr *group);
void mld6_leave(struct netif *nif, const struct ip6_addr *group);
bool mld6_listens(const struct netif *nif, const struct ip6_addr *group);

/* What is behind the header of a packet ip that has an MLD message in it. */
enum reason mld6_input(
    struct netif *nif, const struct ip6 *ip, struct cursor *c);

#endif
