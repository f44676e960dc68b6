#include "router/router6.h"

#include <errno.h>

#include "router/filter6.h"
#include "router/ra.h"

/* Has another port a prefix that overlaps with net? */
static const struct iface *
find_overlap(const struct router *router, const struct ip6_net *net)
{
	for (unsigned int i = 0; i < router->nifaces; i++) {
		const struct iface6 *six = &router->ifaces[i]->six;

		for (unsigned int k = 0; k < six->naddresses; k++)
			if (ip6_net_has(&six->address[k], &net->addr) ||
			    ip6_net_has(net, &six->address[k].addr))
				return router->ifaces[i];
	}
	return NULL;
}

static int
check_address(const struct router *router, const char *name,
    const struct router_port_options *o, unsigned int i, struct err *err)
{
	const struct ip6_net *net = &o->address6[i];
	struct ip6_addr prefix = ip6_masked(&net->addr, net->prefix);
	const struct iface *other = find_overlap(router, net);
	char text[IP6_NET_TEXT_BYTES];

	ip6_net_text(text, net);
	if (!ip6_is_host(&net->addr) || ip6_is_link_local(&net->addr) ||
	    net->prefix == 0 || net->prefix > 128 ||
	    (net->prefix < 127 && ip6_equal(&prefix, &net->addr)))
		return err_set(err, -EINVAL,
		    "port \"%s\": %s is not the address of a host beyond its "
		    "link; use one like 2001:db8::1/64",
		    name, text);
	for (unsigned int k = 0; k < i; k++)
		if (ip6_net_has(&o->address6[k], &net->addr) ||
		    ip6_net_has(net, &o->address6[k].addr))
			return err_set(err, -EEXIST,
			    "port \"%s\": two addresses are of the prefix of "
			    "%s; use one of them",
			    name, text);
	if (other != NULL)
		return err_set(err, -EEXIST,
		    "port \"%s\": the prefix of %s overlaps with that of port "
		    "\"%s\"; use another one",
		    name, text, other->port.name);
	return 0;
}

int
iface6_check(const struct router *router, const char *name,
    const struct router_port_options *o, struct err *err)
{
	int e = 0;

	if (o->naddresses6 > ROUTER_ADDRESSES6)
		return err_set(err, -ENOSPC,
		    "port \"%s\": %u IPv6 addresses are too many; use at most "
		    "%d",
		    name, o->naddresses6, ROUTER_ADDRESSES6);
	if (o->naddresses6 > 0 && o->mtu_bytes != 0 &&
	    o->mtu_bytes < IP6_MTU_MIN)
		return err_set(err, -EINVAL,
		    "port \"%s\": mtu %u is too small for IPv6; use %d at "
		    "least",
		    name, o->mtu_bytes, IP6_MTU_MIN);
	if (router->routes6.n + o->naddresses6 > ROUTES_MAX)
		return err_set(err, -ENOSPC,
		    "port \"%s\": the router has %d IPv6 routes already; take "
		    "fewer, wider ones",
		    name, ROUTES_MAX);
	for (unsigned int i = 0; i < o->naddresses6 && e == 0; i++)
		e = check_address(router, name, o, i, err);
	return e;
}

int
iface6_set(struct iface *iface, const struct router_port_options *options,
    struct err *err)
{
	struct iface6 *six = &iface->six;
	int e = 0;

	six->link_local = ip6_link_local(&iface->mac);
	six->seed = iface->router->seed ^
	    (uint64_t)get_be32(six->link_local.b + 8) << 32 ^
	    get_be32(six->link_local.b + 12);
	six->naddresses = options->naddresses6;
	for (unsigned int i = 0; i < six->naddresses && e == 0; i++) {
		struct route6 route = { .to = options->address6[i],
			.out = iface };

		six->address[i] = options->address6[i];
		/* None on a line between two (RFC 6164 3). */
		if (six->address[i].prefix < 127)
			six->anycast[i] =
			    ip6_masked(&route.to.addr, route.to.prefix);
		e = route6_add(&iface->router->routes6, &route, err);
	}
	if (six->naddresses > 0) {
		dad_init(iface,
		    options->no_dad                   ? 0
			: options->dad_transmits != 0 ? options->dad_transmits
						      : 1);
		groups6_init(iface);
	}
	return e;
}

void
iface6_clear(struct iface *iface)
{
	dad_free(iface);
	ra_free(iface->six.ra);
	groups6_free(iface);
}

void
iface6_link(struct iface *iface, bool up)
{
	if (iface->six.naddresses == 0)
		return;
	if (iface->six.ra != NULL)
		ra_link_down(iface->six.ra);
	dad_link(iface, up);
}

/* Is addr one of the router's, be it tentative? */
static bool
is_own(const struct iface *on, const struct ip6_addr *addr)
{
	bool own = ip6_equal(addr, &on->six.link_local);

	for (unsigned int i = 0; i < on->six.naddresses && !own; i++)
		own = ip6_equal(addr, &on->six.address[i].addr);
	return own;
}

int
router_add_route6(struct router *router, const struct ip6_net *to,
    const struct ip6_addr *via, const struct port *port, struct err *err)
{
	struct route6 route = { .to = *to, .via = *via };
	char text[IP6_TEXT_BYTES], net[IP6_NET_TEXT_BYTES];

	ip6_text(text, via);
	ip6_net_text(net, to);
	if (to->prefix > 128)
		return err_set(err, -EINVAL,
		    "route: the prefix of %s is too long; use 0 to 128", net);
	if (ip6_is_link_local(via))
		route.out = router_iface(router, port);
	for (unsigned int i = 0; i < router->nifaces && port == NULL; i++)
		if (!ip6_is_link_local(via) && ip6_is_host(via) &&
		    iface6_has_on_link(router->ifaces[i], via))
			route.out = router->ifaces[i];
	if (route.out == NULL || route.out->six.naddresses == 0)
		return err_set(err, -EINVAL,
		    "route to %s: no port of \"%s\" is on the link of %s; use "
		    "a next hop within the prefix of a port",
		    net, router->node.name, text);
	if (is_own(route.out, via))
		return err_set(err, -EINVAL,
		    "route to %s: %s is the router itself; use another "
		    "router's address",
		    net, text);
	return route6_add(&router->routes6, &route, err);
}

int
router_set_ra(struct router *router, struct port *port,
    const struct router_ra_options *options, struct err *err)
{
	struct iface *iface = router_iface(router, port);

	if (iface == NULL)
		return err_set(err, -EINVAL,
		    "port \"%s\" does not belong to router \"%s\"; use one "
		    "that "
		    "does",
		    port != NULL ? port->name : "", router->node.name);
	if (iface->six.ra != NULL)
		return err_set(err, -EEXIST,
		    "port \"%s\" advertises already; say it once", port->name);
	iface->six.ra = ra_new(router, iface, options, err);
	if (iface->six.ra == NULL)
		return -EINVAL;
	groups6_changed(iface);
	return 0;
}

int
router_set_filter6(struct router *router,
    const struct router_filter6_options *options, struct err *err)
{
	struct iface *outside = router_iface(router, options->outside);

	if (outside == NULL || outside->six.naddresses == 0)
		return err_set(err, -EINVAL,
		    "port \"%s\" is no port of \"%s\" with an IPv6 address; "
		    "use "
		    "one that is",
		    options->outside != NULL ? options->outside->name : "",
		    router->node.name);
	if (router->filter6 != NULL)
		return err_set(err, -EEXIST,
		    "router \"%s\" has a filter of IPv6 already; use one "
		    "outside port",
		    router->node.name);
	router->filter6 = filter6_new(router, outside, options, err);
	return router->filter6 != NULL ? 0 : -ENOMEM;
}

int
router_add_npt6(struct router *router, struct port *outside,
    const struct ip6_net *inside, const struct ip6_net *outside_prefix,
    struct err *err)
{
	struct prefix6_pair pair = { .outside = router_iface(router, outside) };
	char in[IP6_NET_TEXT_BYTES], out[IP6_NET_TEXT_BYTES];

	ip6_net_text(in, inside);
	ip6_net_text(out, outside_prefix);
	if (pair.outside == NULL || pair.outside->six.naddresses == 0)
		return err_set(err, -EINVAL,
		    "port \"%s\" is no port of \"%s\" with an IPv6 address; "
		    "use "
		    "one that is",
		    outside != NULL ? outside->name : "", router->node.name);
	for (unsigned int i = 0; i < pair.outside->six.naddresses; i++)
		if (ip6_net_has(
			outside_prefix, &pair.outside->six.address[i].addr))
			return err_set(err, -EINVAL,
			    "prefix %s has the address of port \"%s\" in it; "
			    "use "
			    "one that is routed to that",
			    out, outside->name);
	if (router->npairs == PREFIX6_PAIRS)
		return err_set(err, -ENOSPC,
		    "router \"%s\" translates %d prefixes already; use another "
		    "router",
		    router->node.name, PREFIX6_PAIRS);
	if (!npt6_init(&pair.npt, inside, outside_prefix))
		return err_set(err, -EINVAL,
		    "prefixes %s and %s cannot be translated; use two that "
		    "differ, of 64 bits at most",
		    in, out);
	router->pairs[router->npairs++] = pair;
	return 0;
}

void
router_each_flow6(const struct router *router,
    void (*each)(void *arg, const struct flow6_row *row), void *arg)
{
	if (router->filter6 != NULL)
		filter6_each(router->filter6, each, arg);
}

void
router_each_route6(const struct router *router,
    void (*each)(void *arg, const struct route6_row *row), void *arg)
{
	for (unsigned int i = 0; i < router->routes6.n; i++) {
		const struct route6 *route = &router->routes6.routes[i];
		struct route6_row row = { .to = route->to,
			.via = route->via,
			.port = &route->out->port };

		each(arg, &row);
	}
}
