/*
 * A gateway beyond the subnet refuses all of an offer, rather than leave the
 * router without a way out that nobody sees the reason of.  Name servers that
 * no host can be are left out.
 *
 * Classless routes take the place of the router option (RFC 3442), also if the
 * default route is not among them.
 */
#include "router/dhcp_offer.h"

#define PREFIX_MIN 8
#define PREFIX_MAX 31

static bool
is_host(uint32_t addr)
{
	return addr >> 24 != 0 && !ip4_is_loopback(addr) && addr >> 28 < 0xe;
}

static uint8_t
prefix_of(uint32_t mask)
{
	return mask == 0 ? 0 : (uint8_t)(32 - __builtin_ctz(mask));
}

static void
read_times(struct dhcp_offer *offer, const struct dhcp *m)
{
	uint32_t lease_s = m->lease_s, t1 = m->renewal_s, t2 = m->rebinding_s;

	if (lease_s == DHCP_LEASE_FOREVER)
		t1 = t2 = DHCP_LEASE_FOREVER;
	else if (t1 == 0 || t2 == 0 || t1 >= t2 || t2 >= lease_s) {
		t1 = lease_s / 2; /* RFC 2131 4.4.5 */
		t2 = (uint32_t)((uint64_t)lease_s * 7 / 8);
	}
	offer->lease_s = lease_s;
	offer->renewal_s = t1;
	offer->rebinding_s = t2;
}

static bool
is_next_hop(const struct dhcp_offer *offer, uint32_t addr)
{
	return ip4_net_has_host(offer->address, addr) &&
	    addr != offer->address.addr;
}

static enum reason
read_routes(struct dhcp_offer *offer, const struct dhcp *m)
{
	struct cursor c = cursor(m->routes, m->routes_bytes);
	struct dhcp_route route;

	while (dhcp_read_route(&c, &route.to, &route.via)) {
		if (route.to.prefix == 0 && route.via != 0) {
			if (!is_next_hop(offer, route.via))
				return DROP_DHCP_GATEWAY;
			offer->gateway = route.via;
		} else if (is_next_hop(offer, route.via) &&
		    is_host(route.to.addr) &&
		    offer->nroutes < DHCP_OFFER_ROUTES) {
			offer->routes[offer->nroutes++] = route;
		}
	}
	return REASON_NONE;
}

enum reason
dhcp_offer_read(struct dhcp_offer *offer, const struct dhcp *m)
{
	struct dhcp_offer o = { .address = { m->yiaddr, prefix_of(m->mask) },
		.server = m->server,
		.mtu = m->mtu };

	if (!is_host(m->server) || m->lease_s < DHCP_LEASE_MIN_S)
		return DROP_DHCP_SERVER;
	if (!is_host(m->yiaddr))
		return DROP_DHCP_ADDRESS;
	if (o.address.prefix < PREFIX_MIN || o.address.prefix > PREFIX_MAX)
		return DROP_DHCP_MASK;
	if (!ip4_net_has_host(o.address, m->yiaddr) || m->yiaddr == m->server)
		return DROP_DHCP_ADDRESS;
	read_times(&o, m);
	for (uint8_t i = 0; i < m->ndns && i < DHCP_MAX_DNS; i++)
		if (is_host(m->dns[i]) && m->dns[i] != m->yiaddr)
			o.dns[o.ndns++] = m->dns[i];
	memcpy(o.domain, m->domain, sizeof(o.domain));
	if (m->routes_bytes > 0) {
		enum reason reason = read_routes(&o, m);

		if (reason != REASON_NONE)
			return reason;
	} else if (m->router != 0) {
		if (!is_next_hop(&o, m->router))
			return DROP_DHCP_GATEWAY;
		o.gateway = m->router;
	}
	*offer = o;
	return REASON_NONE;
}
