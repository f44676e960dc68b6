/*
 * route.h - where a packet goes next: longest prefix first (RFC 1812 5.2.4.3).
 *
 * At most ROUTES_MAX routes; more are refused.  A look-up costs the logarithm
 * of their number, once per prefix length in use.
 */
#ifndef ROUTER_ROUTE_H
#define ROUTER_ROUTE_H

#include "base/err.h"
#include "net/addr.h"

#define ROUTES_MAX 4096

struct iface;

struct route {
	struct ip4_net to; /* without host bits */
	uint32_t via;      /* 0: the destination is on the link */
	struct iface *out;
};

struct route_table {
	struct route *routes; /* by prefix, longest first; then by address */
	unsigned int n, max;
	uint64_t prefixes;              /* bit p: there are some of length p */
	uint16_t first[33], number[33]; /* of each length */
};

void route_init(struct route_table *table);
void route_clear(struct route_table *table); /* frees what it holds */

/* 0, or -EEXIST if there is one to the same net, -ENOSPC, -ENOMEM, with *err
 * saying so.  Host bits in route->to are ignored. */
int route_add(
    struct route_table *table, const struct route *route, struct err *err);

/* Removes all routes that leave by out. */
void route_remove(struct route_table *table, const struct iface *out);

/* The route for addr, NULL if there is none. */
const struct route *route_find(const struct route_table *table, uint32_t addr);

#endif
