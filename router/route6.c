/*
 * One array, sorted by address.  Of two prefixes one lies within the other, or
 * they have nothing in common.  So the route for an address is the last one
 * that does not begin behind it, or the nearest one that this lies within.
 * Unlike with IPv4, trying each length in use would be slow: sites have /48,
 * /56, /64, /127 and /128 beside each other.
 */
#include "router/route6.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
route6_clear(struct route6_table *table)
{
	free(table->routes);
	*table = (struct route6_table){ 0 };
}

/* How many routes stand before net: the wider ones of its address, too. */
static unsigned int
position(const struct route6_table *table, const struct ip6_net *net)
{
	unsigned int low = 0, n = table->n;

	while (n > 0) {
		unsigned int half = n / 2;
		const struct ip6_net *to = &table->routes[low + half].to;
		int by = memcmp(&to->addr, &net->addr, sizeof(net->addr));

		if (by < 0 || (by == 0 && to->prefix < net->prefix)) {
			low += half + 1;
			n -= half + 1;
		} else
			n = half;
	}
	return low;
}

const struct route6 *
route6_find(const struct route6_table *table, const struct ip6_addr *addr)
{
	/* No route is as narrow as that: all to addr stand before it. */
	struct ip6_net net = { *addr, 129 };
	unsigned int at = position(table, &net);

	while (at > 0) {
		const struct route6 *route = &table->routes[at - 1];

		if (ip6_net_has(&route->to, addr))
			return route;
		at = route->within;
	}
	return NULL;
}

/* Finds again what lies within what. */
static void
nest(struct route6_table *table)
{
	for (unsigned int i = 0; i < table->n; i++) {
		struct route6 *route = &table->routes[i];
		unsigned int at = i;

		while (at > 0 &&
		    !ip6_net_has(&table->routes[at - 1].to, &route->to.addr))
			at = table->routes[at - 1].within;
		route->within = at;
	}
}

static int
grow(struct route6_table *table, struct err *err)
{
	unsigned int max = table->max != 0 ? table->max * 2 : 16;
	struct route6 *routes;

	if (table->n == ROUTES_MAX)
		return err_set(err, -ENOSPC,
		    "a router holds at most %d IPv6 routes; take fewer, wider "
		    "ones",
		    ROUTES_MAX);
	routes = reallocarray(table->routes, max, sizeof(routes[0]));
	if (routes == NULL)
		return err_sys(err, -ENOMEM, NULL, "cannot add a route");
	table->routes = routes;
	table->max = max;
	return 0;
}

int
route6_add(
    struct route6_table *table, const struct route6 *route, struct err *err)
{
	struct route6 r = *route;
	char text[IP6_NET_TEXT_BYTES];
	unsigned int at;
	int code;

	r.to.addr = ip6_masked(&r.to.addr, r.to.prefix);
	at = position(table, &r.to);
	if (at < table->n && table->routes[at].to.prefix == r.to.prefix &&
	    ip6_equal(&table->routes[at].to.addr, &r.to.addr))
		return err_set(err, -EEXIST,
		    "there is a route to %s already; remove one of the two",
		    ip6_net_text(text, &r.to));
	if (table->n == table->max || table->n == ROUTES_MAX) {
		code = grow(table, err);
		if (code < 0)
			return code;
	}
	memmove(table->routes + at + 1, table->routes + at,
	    (table->n - at) * sizeof(r));
	table->routes[at] = r;
	table->n++;
	nest(table);
	return 0;
}
