/*
 * addr6.h - an interface's IPv6 addresses, each looked for before it is used
 * (RFC 4862 5.4, RFC 7527).
 */
#ifndef GUEST_ADDR6_H
#define GUEST_ADDR6_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/guest/netif6.h"

void addr6_init(struct netif *nif);

/* Begins to look whether somebody has the address.  NULL: it is no host's, or
 * there is no room. */
struct addr6 *addr6_add(
    struct netif *nif, const struct ip6_net *net, enum addr6_origin origin);
/* Its connections end. */
void addr6_remove(struct addr6 *a);
/* Looks anew, for all of them: the link is another one. */
void addr6_restart(struct netif *nif);
/* Stops looking: the link is down. */
void addr6_stop(struct netif *nif);

/* Ours on nif, in whatever state, or NULL. */
struct addr6 *addr6_find(struct netif *nif, const struct ip6_addr *addr);

/* Somebody with that MAC address has an address that is tentative. */
void addr6_taken(struct addr6 *a, const struct mac *mac);

/* Is an address of routers or of the file still being looked for, so that it is
 * worth waiting? */
bool addr6_is_coming(const struct netif *nif);
/* Is there one that reaches beyond the link? */
bool addr6_has_global(const struct netif *nif);

const char *addr6_state_name(const struct addr6 *a);

#endif
