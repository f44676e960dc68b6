/*
 * route6.h - where an IPv6 packet goes next: longest prefix first.
 *
 * At most ROUTES_MAX routes; more are refused.  A look-up costs the logarithm
 * of their number, and as many steps more as prefixes lie within each other.
 */
#ifndef ROUTER_ROUTE6_H
#define ROUTER_ROUTE6_H

#include "base/err.h"
#include "net/ip6.h"
#include "router/route.h"

struct route6 {
	struct ip6_net to;   /* without host bits */
	struct ip6_addr via; /* zero: the destination is on the link */
	struct iface *out;
	unsigned int
	    within; /* the next wider one that has it, plus 1; 0: none */
};

struct route6_table {
	struct route6 *routes; /* by address, then the wider one first */
	unsigned int n, max;
};

void route6_clear(struct route6_table *table); /* frees what it holds */

/* 0, or -EEXIST if there is one to the same net, -ENOSPC, -ENOMEM, with *err
 * saying so.  Host bits in route->to are ignored, and route->within is set. */
int route6_add(
    struct route6_table *table, const struct route6 *route, struct err *err);

/* The route for addr, NULL if there is none. */
const struct route6 *route6_find(
    const struct route6_table *table, const struct ip6_addr *addr);

#endif
