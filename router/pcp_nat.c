/*
 * MAP and PEER on the NAT.
 *
 * The mapping that MAP asks for and the one that packets from inside have made
 * are told apart by the NAT (nat_pin.h): when the first ends, be it at once, the
 * second goes on with its outside port, so that nobody gets that port sooner
 * than without PCP (RFC 6887 15).
 *
 * Not done: mappings of all ports or all protocols (11.1 leaves that open),
 * which are answered as an unsupported protocol.  There being none, there is
 * nothing to delete of them either.
 */
#include "router/pcp_exchange.h"

#include "net/ip4.h"
#include "router/nat.h"
#include "router/nat_pin.h"

static bool
is_mapped(uint8_t protocol)
{
	return protocol == IP_TCP || protocol == IP_UDP;
}

static uint32_t
ip4_or_0(const struct ip6_addr *addr)
{
	uint32_t ip;

	return ip6_to_ip4(&ip, addr) ? ip : 0;
}

static struct nat_pin
pin_of(const struct pcp_exchange *x)
{
	struct nat_pin pin = { .protocol = x->m.protocol,
		.in_ip = ip4_or_0(&x->who),
		.in_port = x->m.in_port,
		.out_ip = ip4_or_0(&x->m.out_ip),
		.out_port = x->m.out_port,
		.by = NAT_PIN_BY_PCP };

	memcpy(pin.nonce, x->m.nonce, sizeof(pin.nonce));
	if (x->m.op == PCP_PEER) {
		pin.remote_ip = ip4_or_0(&x->m.remote);
		pin.remote_port = x->m.remote_port;
	}
	return pin;
}

/* ---- filters ---- */

/* One more, unless it is there already. */
static enum pcp_result
add_filter(struct nat_pin *pin, const struct pcp_filter *from)
{
	struct nat_pin_filter filter = { .port = from->remote_port };

	if (from->prefix == 0) {
		pin->nfilters = 0;
		return PCP_SUCCESS;
	}
	if (from->prefix < 96 || !ip6_to_ip4(&filter.ip, &from->remote))
		return PCP_MALFORMED_OPTION;
	filter.prefix = (uint8_t)(from->prefix - 96);
	filter.ip &= ip4_mask(filter.prefix);
	for (unsigned int i = 0; i < pin->nfilters; i++) {
		const struct nat_pin_filter *is = &pin->filters[i];

		if (is->ip == filter.ip && is->port == filter.port &&
		    is->prefix == filter.prefix)
			return PCP_SUCCESS;
	}
	if (pin->nfilters == NAT_PIN_FILTERS)
		return PCP_EXCESSIVE_REMOTE_PEERS;
	pin->filters[pin->nfilters++] = filter;
	return PCP_SUCCESS;
}

/* Those that the mapping has, and those that are asked for (RFC 6887 13.3). */
static enum pcp_result
merge_filters(const struct pcp_exchange *x, struct nat_pin *pin)
{
	enum pcp_result result = PCP_SUCCESS;
	struct nat_pin is;

	if (nat_pin_find(x->server->nat, pin, &is, x->asked->now_ns)) {
		pin->nfilters = is.nfilters;
		memcpy(pin->filters, is.filters, sizeof(pin->filters));
	}
	for (unsigned int i = 0; i < x->m.nfilters && result == PCP_SUCCESS;
	     i++)
		result = add_filter(pin, &x->m.filters[i]);
	return result;
}

/* ---- making one ---- */

static void
tell(struct pcp_exchange *x, const struct nat_pin *pin, uint32_t lifetime_s)
{
	x->m.lifetime_s = lifetime_s;
	x->m.out_port = pin->out_port;
	x->m.out_ip = ip6_of_ip4(pin->out_ip);
}

/* Another's.  One of the lab file is there for its host all the same, as it
 * is. */
static enum pcp_result
answer_others(struct pcp_exchange *x, const struct nat_pin *wanted,
    const struct nat_pin *is)
{
	if (is->by != NAT_PIN_BY_FILE) {
		x->error_lifetime_s =
		    pcp_left_s(is->until_ns, x->asked->now_ns);
		return PCP_NOT_AUTHORIZED;
	}
	if (x->m.nfilters > 0)
		return PCP_EXCESSIVE_REMOTE_PEERS;
	if (wanted->exact &&
	    ((wanted->out_port != 0 && wanted->out_port != is->out_port) ||
		(wanted->out_ip != 0 && wanted->out_ip != is->out_ip)))
		return PCP_CANNOT_PROVIDE_EXTERNAL;
	tell(x, is, PCP_FOREVER_S);
	return PCP_SUCCESS;
}

static enum pcp_result
set_pin(
    struct pcp_exchange *x, const struct nat_pin *wanted, uint32_t lifetime_s)
{
	uint64_t now_ns = x->asked->now_ns;
	struct nat_pin pin = *wanted;

	if (nat_address_of(x->server->nat, pin.in_ip) == 0)
		return PCP_NETWORK_FAILURE; /* it waits for its own */
	pin.until_ns = now_ns + lifetime_s * NS_PER_S;
	switch (nat_pin_set(x->server->nat, &pin, now_ns)) {
	case NAT_PIN_MADE:
	case NAT_PIN_RENEWED: tell(x, &pin, lifetime_s); return PCP_SUCCESS;
	case NAT_PIN_OTHERS: return answer_others(x, wanted, &pin);
	case NAT_PIN_TAKEN:
		return pin.exact ? PCP_CANNOT_PROVIDE_EXTERNAL
				 : PCP_NO_RESOURCES;
	case NAT_PIN_FOREIGN: return PCP_CANNOT_PROVIDE_EXTERNAL;
	case NAT_PIN_FULL: return PCP_NO_RESOURCES;
	case NAT_PIN_HOST_FULL: return PCP_USER_EX_QUOTA;
	}
	return PCP_NO_RESOURCES;
}

/* ---- MAP ---- */

/* Lifetime 0 (RFC 6887 15.1). */
static enum pcp_result
unmap(struct pcp_exchange *x)
{
	struct nat *nat = x->server->nat;
	uint64_t now_ns = x->asked->now_ns;
	struct nat_pin pin = pin_of(x), is;

	if (x->m.prefer_failure || x->m.nfilters > 0)
		return PCP_MALFORMED_OPTION;
	if (x->m.in_port == 0)
		return PCP_SUCCESS;
	if (!nat_pin_find(nat, &pin, &is, now_ns))
		return nat_pin_is_outbound(nat, &pin, now_ns)
		    ? PCP_NOT_AUTHORIZED
		    : PCP_SUCCESS;
	if (nat_pin_delete(nat, &pin, now_ns) != NAT_PIN_OTHERS)
		return PCP_SUCCESS;
	if (is.by != NAT_PIN_BY_FILE)
		x->error_lifetime_s = pcp_left_s(is.until_ns, now_ns);
	return PCP_NOT_AUTHORIZED;
}

enum pcp_result
pcp_nat_map(struct pcp_exchange *x)
{
	struct nat_pin pin = pin_of(x);
	enum pcp_result result;

	if (x->m.protocol == 0 && x->m.in_port != 0)
		return PCP_MALFORMED_REQUEST;
	if (x->m.lifetime_s == 0 &&
	    (x->m.protocol == 0 || is_mapped(x->m.protocol)))
		return unmap(x);
	if (!is_mapped(x->m.protocol) || x->m.in_port == 0)
		return PCP_UNSUPP_PROTOCOL;
	if (x->m.prefer_failure && x->m.out_port == 0)
		return PCP_MALFORMED_OPTION;
	pin.exact = x->m.prefer_failure;
	result = merge_filters(x, &pin);
	if (result != PCP_SUCCESS)
		return result;
	return set_pin(x, &pin, pcp_clamp(x->server, x->m.lifetime_s));
}

/* ---- PEER ---- */

/* How long the mapping towards the remote end lasts without anything being
 * done, and was it asked for already?  0: there is none. */
static uint32_t
lasts_s(const struct pcp_exchange *x, const struct nat_pin *pin, bool *asked)
{
	const struct nat_flow flow = { .ip = pin->in_ip,
		.port = pin->in_port,
		.remote_ip = pin->remote_ip,
		.remote_port = pin->remote_port,
		.protocol = pin->protocol };
	uint64_t now_ns = x->asked->now_ns, until_ns = now_ns, session_ns;
	struct nat_pin is;

	*asked = nat_pin_find(x->server->nat, pin, &is, now_ns);
	if (*asked)
		until_ns = is.until_ns;
	session_ns = nat_session_until_ns(x->server->nat, &flow, now_ns);
	if (session_ns > until_ns)
		until_ns = session_ns;
	return pcp_left_s(until_ns, now_ns);
}

enum pcp_result
pcp_nat_peer(struct pcp_exchange *x)
{
	struct nat_pin pin = pin_of(x);
	uint32_t is_s, lifetime_s;
	enum pcp_result result;
	bool asked;

	if (x->m.protocol == 0 || x->m.in_port == 0 || pin.remote_ip == 0 ||
	    pin.remote_port == 0 ||
	    !x->server->is_outside(x->server->arg, &x->m.remote))
		return PCP_MALFORMED_REQUEST;
	if (!is_mapped(x->m.protocol))
		return PCP_UNSUPP_PROTOCOL;
	/* It makes no mapping shorter (12.1), and deletes none. */
	is_s = lasts_s(x, &pin, &asked);
	lifetime_s =
	    x->m.lifetime_s == 0 ? is_s : pcp_clamp(x->server, x->m.lifetime_s);
	if (lifetime_s < is_s)
		lifetime_s = is_s;
	if (lifetime_s == 0)
		return PCP_SUCCESS;
	/* What is wanted is wanted by who has lost it with the NAT's table; who
	 * speaks already is told where (12.3). */
	pin.exact = pin.out_port != 0 || pin.out_ip != 0;
	result = set_pin(x, &pin, lifetime_s);
	if (result != PCP_CANNOT_PROVIDE_EXTERNAL || is_s == 0 || asked)
		return result;
	pin.exact = false;
	return set_pin(x, &pin, lifetime_s);
}
