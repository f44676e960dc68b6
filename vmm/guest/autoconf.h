/*
 * autoconf.h - what routers advertise: addresses (RFC 4862), themselves,
 * prefixes and times (RFC 4861 6.3), name servers (RFC 8106).
 */
#ifndef GUEST_AUTOCONF_H
#define GUEST_AUTOCONF_H

#include <stdbool.h>
#include <stdint.h>

#include "net/cursor.h"
#include "net/ip6.h"
#include "net/reason.h"

struct netif;

void autoconf_init(struct netif *nif);
/* The link is there: asks for routers. */
void autoconf_start(struct netif *nif);
void autoconf_stop(struct netif *nif);

/* An advertisement, which travels in ip. */
enum reason autoconf_input(
    struct netif *nif, const struct ip6 *ip, struct cursor *c);

/* Of the file: for ever.  False: it is no such address, or there is no room. */
bool autoconf_gateway(struct netif *nif, const struct ip6_addr *addr);
bool autoconf_dns(struct netif *nif, const struct ip6_addr *addr);
bool autoconf_on_link(struct netif *nif, const struct ip6_net *net);

/* The router to use, one that answers if there is one; NULL: there is none. */
const struct ip6_addr *autoconf_router(const struct netif *nif);
/* It does not answer; it says that it is none any more. */
void autoconf_router_failed(struct netif *nif, const struct ip6_addr *addr);
void autoconf_router_gone(struct netif *nif, const struct ip6_addr *addr);

/* How long a neighbour that was heard is known to be there, and when it is
 * asked again. */
uint64_t autoconf_reachable_us(const struct netif *nif);
uint64_t autoconf_retransmit_us(const struct netif *nif);

/* Has a router been asked for that may yet answer? */
bool autoconf_is_waiting(const struct netif *nif);

#endif
