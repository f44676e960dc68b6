/*
 * One sorted array, and for each prefix length where its routes begin.  A
 * look-up tries the lengths in use from the longest on, by binary search.  Labs
 * have a handful of lengths, and adding a route, which moves the array, happens
 * when the lab starts.  A trie would be faster with many lengths and slower
 * with three.
 */
#include "router/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
route_init(struct route_table *table)
{
	memset(table, 0, sizeof(*table));
}

void
route_clear(struct route_table *table)
{
	free(table->routes);
	route_init(table);
}

/* The first of n routes of one length whose address is not below addr. */
static unsigned int
lower_bound(const struct route *routes, unsigned int n, uint32_t addr)
{
	unsigned int low = 0;

	while (n > 0) {
		unsigned int half = n / 2;

		if (routes[low + half].to.addr < addr) {
			low += half + 1;
			n -= half + 1;
		} else
			n = half;
	}
	return low;
}

static const struct route *
find_exact(const struct route_table *table, uint8_t prefix, uint32_t addr)
{
	const struct route *routes;
	unsigned int n = table->number[prefix], at;

	if (n == 0)
		return NULL;
	routes = table->routes + table->first[prefix];
	at = lower_bound(routes, n, addr);
	return at < n && routes[at].to.addr == addr ? &routes[at] : NULL;
}

const struct route *
route_find(const struct route_table *table, uint32_t addr)
{
	uint64_t prefixes = table->prefixes;

	while (prefixes != 0) {
		uint8_t prefix = (uint8_t)(63 - __builtin_clzll(prefixes));
		const struct route *route =
		    find_exact(table, prefix, addr & ip4_mask(prefix));

		if (route != NULL)
			return route;
		prefixes &= ~(UINT64_C(1) << prefix);
	}
	return NULL;
}

static int
grow(struct route_table *table, struct err *err)
{
	unsigned int max = table->max != 0 ? table->max * 2 : 16;
	struct route *routes;

	if (table->n == ROUTES_MAX)
		return err_set(err, -ENOSPC,
		    "a router holds at most %d routes; take fewer, wider ones",
		    ROUTES_MAX);
	routes = reallocarray(table->routes, max, sizeof(routes[0]));
	if (routes == NULL)
		return err_sys(err, -ENOMEM, NULL, "cannot add a route");
	table->routes = routes;
	table->max = max;
	return 0;
}

int
route_add(struct route_table *table, const struct route *route, struct err *err)
{
	struct route r = *route;
	uint8_t prefix = r.to.prefix;
	unsigned int at;
	int code;

	r.to.addr &= ip4_mask(prefix);
	if (find_exact(table, prefix, r.to.addr) != NULL) {
		char text[NET_TEXT_BYTES];

		return err_set(err, -EEXIST,
		    "there is a route to %s already; remove one of the two",
		    ip4_net_text(text, r.to));
	}
	if (table->n == table->max || table->n == ROUTES_MAX) {
		code = grow(table, err);
		if (code < 0)
			return code;
	}
	/* A length without routes begins where the longer ones end. */
	at = 0;
	for (unsigned int p = prefix + 1u; p <= 32; p++)
		at += table->number[p];
	table->first[prefix] = (uint16_t)at;
	at += lower_bound(table->routes + at, table->number[prefix], r.to.addr);
	memmove(table->routes + at + 1, table->routes + at,
	    (table->n - at) * sizeof(r));
	table->routes[at] = r;
	table->n++;
	table->number[prefix]++;
	table->prefixes |= UINT64_C(1) << prefix;
	for (unsigned int p = 0; p < prefix; p++)
		table->first[p]++;
	return 0;
}

void
route_remove(struct route_table *table, const struct iface *out)
{
	struct route *routes = table->routes;
	unsigned int n = table->n, kept = 0;

	memset(table->number, 0, sizeof(table->number));
	memset(table->first, 0, sizeof(table->first));
	table->prefixes = 0;
	for (unsigned int i = 0; i < n; i++) {
		uint8_t prefix = routes[i].to.prefix;

		if (routes[i].out == out)
			continue;
		if (table->number[prefix]++ == 0)
			table->first[prefix] = (uint16_t)kept;
		table->prefixes |= UINT64_C(1) << prefix;
		routes[kept++] = routes[i];
	}
	table->n = kept;
}
