/*
 * MAP and PEER where nothing but a prefix is translated: on the filter of IPv6,
 * or without one.
 *
 * The end outside is the one inside, or its form by NPTv6 with the same port:
 * another one that is suggested cannot be had.  Without a filter all comes in
 * anyway, and that is what is told (RFC 6887 11.3, of stateless devices).
 *
 * Unlike on the NAT, all ports of a protocol and all protocols can be asked for:
 * nobody else could have them.  What a host has opened by speaking is no mapping
 * that MAP could not delete: it is the host's own end in any case.
 *
 * Not done: ends outside of IPv4, by NAT64.  A host that suggests one gets its
 * own of IPv6, unless it wants no other.
 */
#include "router/pcp_exchange.h"

#include "router/filter6.h"
#include "router/pin6.h"

static struct pin6
pin_of(const struct pcp_exchange *x)
{
	struct pin6 pin = { .ends = { .inside = x->who,
				.port = x->m.in_port,
				.protocol = x->m.protocol },
		.station = x->asked->station };

	memcpy(pin.nonce, x->m.nonce, sizeof(pin.nonce));
	if (x->m.op == PCP_PEER) {
		pin.ends.remote = x->m.remote;
		pin.ends.remote_port = x->m.remote_port;
	}
	return pin;
}

/* Without a filter: none. */
static const struct pin6 *
find(const struct pcp_exchange *x, const struct pin6 *pin)
{
	return x->server->pins6 == NULL
	    ? NULL
	    : pin6_find(x->server->pins6, &pin->ends, x->asked->now_ns);
}

/* ---- filters ---- */

/* One more, unless it is there already. */
static enum pcp_result
add_filter(struct pin6 *pin, const struct pcp_filter *from)
{
	struct pin6_filter filter = { .net = { .prefix = from->prefix },
		.port = from->remote_port };
	uint32_t ip;

	if (from->prefix == 0) {
		pin->nfilters = 0;
		return PCP_SUCCESS;
	}
	if (ip6_to_ip4(&ip, &from->remote))
		return PCP_MALFORMED_OPTION;
	filter.net.addr = ip6_masked(&from->remote, from->prefix);
	for (unsigned int i = 0; i < pin->nfilters; i++) {
		const struct pin6_filter *is = &pin->filters[i];

		if (is->port == filter.port &&
		    is->net.prefix == filter.net.prefix &&
		    ip6_equal(&is->net.addr, &filter.net.addr))
			return PCP_SUCCESS;
	}
	if (pin->nfilters == PIN6_FILTERS)
		return PCP_EXCESSIVE_REMOTE_PEERS;
	pin->filters[pin->nfilters++] = filter;
	return PCP_SUCCESS;
}

/* Those that there are, and those that are asked for (RFC 6887 13.3). */
static enum pcp_result
merge_filters(const struct pcp_exchange *x, struct pin6 *pin)
{
	const struct pin6 *is = find(x, pin);
	enum pcp_result result = PCP_SUCCESS;

	if (is != NULL) {
		pin->nfilters = is->nfilters;
		memcpy(pin->filters, is->filters, sizeof(pin->filters));
	}
	for (unsigned int i = 0; i < x->m.nfilters && result == PCP_SUCCESS;
	     i++)
		result = add_filter(pin, &x->m.filters[i]);
	/* What is not there cannot refuse anybody. */
	if (result == PCP_SUCCESS && pin->nfilters > 0 &&
	    x->server->pins6 == NULL)
		return PCP_EXCESSIVE_REMOTE_PEERS;
	return result;
}

/* ---- making one ---- */

static struct ip6_addr
outside_of(const struct pcp_exchange *x)
{
	return x->server->form_outside(x->server->arg, &x->who);
}

/* Is what was suggested not what there is? */
static bool
is_elsewhere(const struct pcp_exchange *x)
{
	struct ip6_addr out = outside_of(x);

	return (x->m.out_port != 0 && x->m.out_port != x->m.in_port) ||
	    (!ip6_is_zero(&x->m.out_ip) && !ip6_equal(&x->m.out_ip, &out));
}

static enum pcp_result
refuse_nonce(struct pcp_exchange *x, const struct pin6 *pin)
{
	const struct pin6 *is = find(x, pin);

	if (is != NULL)
		x->error_lifetime_s =
		    pcp_left_s(is->until_ns, x->asked->now_ns);
	return PCP_NOT_AUTHORIZED;
}

static enum pcp_result
set_pin(struct pcp_exchange *x, struct pin6 *pin, uint32_t lifetime_s)
{
	enum pin6_fate fate = PIN6_DONE;

	pin->until_ns = x->asked->now_ns + lifetime_s * NS_PER_S;
	if (x->server->pins6 != NULL)
		fate = pin6_set(x->server->pins6, pin, x->asked->now_ns);
	switch (fate) {
	case PIN6_DONE: break;
	case PIN6_OTHERS: return refuse_nonce(x, pin);
	case PIN6_FULL: return PCP_NO_RESOURCES;
	case PIN6_STATION_FULL: return PCP_USER_EX_QUOTA;
	}
	x->m.lifetime_s = lifetime_s;
	x->m.out_port = x->m.in_port;
	x->m.out_ip = outside_of(x);
	return PCP_SUCCESS;
}

/* ---- MAP ---- */

static enum pcp_result
unmap(struct pcp_exchange *x, const struct pin6 *pin)
{
	struct pin6_table *pins = x->server->pins6;
	uint64_t now_ns = x->asked->now_ns;

	if (x->m.prefer_failure || x->m.nfilters > 0)
		return PCP_MALFORMED_OPTION;
	if (pins == NULL)
		return PCP_SUCCESS;
	if (find(x, pin) == NULL)
		return pin6_has_peers(
			   pins, &pin->ends, &x->asked->station, now_ns)
		    ? PCP_NOT_AUTHORIZED
		    : PCP_SUCCESS;
	return pin6_delete(pins, &pin->ends, pin->nonce, now_ns) == PIN6_DONE
	    ? PCP_SUCCESS
	    : refuse_nonce(x, pin);
}

enum pcp_result
pcp_pinhole_map(struct pcp_exchange *x)
{
	struct pin6 pin = pin_of(x);
	enum pcp_result result;

	if (x->m.protocol == 0 && x->m.in_port != 0)
		return PCP_MALFORMED_REQUEST;
	if (x->m.in_port != 0 && !filter6_has_ports(x->m.protocol))
		return PCP_UNSUPP_PROTOCOL;
	if (x->m.lifetime_s == 0)
		return unmap(x, &pin);
	if (x->m.prefer_failure && x->m.out_port == 0)
		return PCP_MALFORMED_OPTION;
	result = merge_filters(x, &pin);
	if (result != PCP_SUCCESS)
		return result;
	if (x->m.prefer_failure && is_elsewhere(x))
		return PCP_CANNOT_PROVIDE_EXTERNAL;
	return set_pin(x, &pin, pcp_clamp(x->server, x->m.lifetime_s));
}

/* ---- PEER ---- */

/* How long both ends may speak without anything being done. */
static uint32_t
lasts_s(const struct pcp_exchange *x, const struct pin6 *pin)
{
	uint64_t now_ns = x->asked->now_ns, until_ns = now_ns, flow_ns = 0;
	const struct pin6 *is = find(x, pin);

	if (is != NULL)
		until_ns = is->until_ns;
	if (x->server->flows6 != NULL)
		flow_ns = flow6_until_ns(x->server->flows6, &pin->ends);
	return pcp_left_s(flow_ns > until_ns ? flow_ns : until_ns, now_ns);
}

enum pcp_result
pcp_pinhole_peer(struct pcp_exchange *x)
{
	struct pin6 pin = pin_of(x);
	uint32_t lifetime_s = 0, is_s, ip;

	if (x->m.protocol == 0 || x->m.in_port == 0 || x->m.remote_port == 0 ||
	    ip6_to_ip4(&ip, &x->m.remote) ||
	    !x->server->is_outside(x->server->arg, &x->m.remote))
		return PCP_MALFORMED_REQUEST;
	if (!filter6_has_ports(x->m.protocol))
		return PCP_UNSUPP_PROTOCOL;
	if (is_elsewhere(x))
		return PCP_CANNOT_PROVIDE_EXTERNAL;
	if (x->m.lifetime_s != 0)
		lifetime_s = pcp_clamp(x->server, x->m.lifetime_s);
	/* It makes no mapping shorter (12.1), and deletes none. */
	is_s = lasts_s(x, &pin);
	if (lifetime_s < is_s)
		lifetime_s = is_s;
	return lifetime_s == 0 ? PCP_SUCCESS : set_pin(x, &pin, lifetime_s);
}
