/*
 * Each request is read, turned into a pin of the NAT (nat_pin.h), and answered
 * by what became of it.
 *
 * Not done: mappings of all ports or all protocols (RFC 6887 11.1 leaves that
 * open), which are answered as an unsupported protocol.
 */
#include "router/pcp_server.h"

#include "base/loop.h"
#include "net/ip4.h"
#include "net/natpmp.h"
#include "net/pcp.h"
#include "router/nat.h"
#include "router/nat_pin.h"

#define LONG_ERROR_S  1800 /* RFC 6887 7.4 */
#define SHORT_ERROR_S 30

/* ---- both ---- */

static bool
is_mapped(uint8_t protocol)
{
	return protocol == IP_TCP || protocol == IP_UDP;
}

static uint32_t
clamp(const struct pcp_server *server, uint32_t lifetime_s)
{
	if (lifetime_s < server->min_s)
		return server->min_s;
	return lifetime_s > server->max_s ? server->max_s : lifetime_s;
}

static enum reason
reason_of(enum pcp_result result)
{
	switch (result) {
	case PCP_SUCCESS: return REASON_DELIVERED;
	case PCP_UNSUPP_VERSION:
	case PCP_UNSUPP_OPCODE:
	case PCP_UNSUPP_OPTION:
	case PCP_UNSUPP_PROTOCOL: return DROP_PCP_UNSUPPORTED;
	case PCP_NOT_AUTHORIZED:
	case PCP_ADDRESS_MISMATCH: return DROP_PCP_REFUSED;
	case PCP_NETWORK_FAILURE:
	case PCP_NO_RESOURCES:
	case PCP_USER_EX_QUOTA:
	case PCP_CANNOT_PROVIDE_EXTERNAL:
	case PCP_EXCESSIVE_REMOTE_PEERS: return DROP_PCP_FULL;
	case PCP_MALFORMED_REQUEST:
	case PCP_MALFORMED_OPTION:
	case PCP_SILENCE:
	case PCP_RESULTS: break;
	}
	return DROP_PCP;
}

/* What came of a pin that was asked for, and what it is. */
static enum pcp_result
result_of(enum nat_pin_fate fate, const struct nat_pin *pin)
{
	switch (fate) {
	case NAT_PIN_MADE:
	case NAT_PIN_RENEWED: return PCP_SUCCESS;
	case NAT_PIN_OTHERS:
		/* One of the lab file is there for its host all the same. */
		return pin->by == NAT_PIN_BY_FILE ? PCP_SUCCESS
						  : PCP_NOT_AUTHORIZED;
	case NAT_PIN_TAKEN:
		return pin->exact ? PCP_CANNOT_PROVIDE_EXTERNAL
				  : PCP_NO_RESOURCES;
	case NAT_PIN_FOREIGN: return PCP_CANNOT_PROVIDE_EXTERNAL;
	case NAT_PIN_FULL: return PCP_NO_RESOURCES;
	case NAT_PIN_HOST_FULL: return PCP_USER_EX_QUOTA;
	}
	return PCP_NO_RESOURCES;
}

/* ---- PCP ---- */

/* A request that is being answered. */
struct exchange {
	const struct pcp_server *server;
	const struct pcp_asked *asked;
	struct pcp m;              /* the request, and then the answer */
	uint32_t who;              /* the inside host */
	uint32_t error_lifetime_s; /* 0: the usual one */
};

static uint32_t
ip4_or_0(const struct ip6_addr *addr)
{
	uint32_t ip;

	return ip6_to_ip4(&ip, addr) ? ip : 0;
}

static struct nat_pin
pin_of(const struct exchange *x)
{
	struct nat_pin pin = { .protocol = x->m.protocol,
		.in_ip = x->who,
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

/* One filter more, unless it is there already. */
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
merge_filters(const struct exchange *x, struct nat_pin *pin)
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

static uint32_t
left_s(const struct nat_pin *pin, uint64_t now_ns)
{
	uint64_t s = (pin->until_ns - now_ns) / NS_PER_S;

	return s < UINT32_MAX ? (uint32_t)s : UINT32_MAX;
}

static enum pcp_result
set_pin(struct exchange *x, struct nat_pin *pin)
{
	uint32_t lifetime_s = clamp(x->server, x->m.lifetime_s);
	uint64_t now_ns = x->asked->now_ns;
	enum nat_pin_fate fate;
	enum pcp_result result;

	pin->until_ns = now_ns + lifetime_s * NS_PER_S;
	fate = nat_pin_set(x->server->nat, pin, now_ns);
	result = result_of(fate, pin);
	if (result == PCP_NOT_AUTHORIZED)
		x->error_lifetime_s = left_s(pin, now_ns);
	if (result != PCP_SUCCESS)
		return result;
	x->m.lifetime_s = lifetime_s;
	x->m.out_port = pin->out_port;
	x->m.out_ip = ip6_of_ip4(pin->out_ip);
	return PCP_SUCCESS;
}

/* Lifetime 0 (RFC 6887 15.1). */
static enum pcp_result
unmap(struct exchange *x)
{
	static const uint8_t both[] = { IP_TCP, IP_UDP };
	struct nat *nat = x->server->nat;
	uint64_t now_ns = x->asked->now_ns;
	struct nat_pin pin = pin_of(x);

	if (x->m.prefer_failure || x->m.nfilters > 0)
		return PCP_MALFORMED_OPTION;
	if (x->m.in_port == 0) {
		for (int i = 0; i < 2; i++)
			if (x->m.protocol == 0 || x->m.protocol == both[i])
				nat_pin_delete_all(nat, x->who, both[i],
				    NAT_PIN_BY_PCP, x->m.nonce, now_ns);
		return PCP_SUCCESS;
	}
	if (nat_pin_delete(nat, &pin, now_ns) != NAT_PIN_OTHERS)
		return PCP_SUCCESS;
	if (nat_pin_find(nat, &pin, &pin, now_ns))
		x->error_lifetime_s = left_s(&pin, now_ns);
	return PCP_NOT_AUTHORIZED;
}

static enum pcp_result
map(struct exchange *x)
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
	return result != PCP_SUCCESS ? result : set_pin(x, &pin);
}

/* Does the host speak to the remote end already? */
static bool
has_session(const struct exchange *x, const struct nat_pin *pin)
{
	const struct nat_flow flow = { .ip = pin->in_ip,
		.port = pin->in_port,
		.remote_ip = pin->remote_ip,
		.remote_port = pin->remote_port,
		.protocol = pin->protocol };
	struct nat_hit hit;

	return nat_find_out(x->server->nat, &flow, x->asked->now_ns, &hit);
}

static enum pcp_result
peer(struct exchange *x)
{
	struct nat_pin pin = pin_of(x), wish;
	enum pcp_result result;

	if (x->m.in_port == 0 || pin.remote_ip == 0 || pin.remote_port == 0)
		return PCP_MALFORMED_REQUEST;
	if (!is_mapped(x->m.protocol))
		return PCP_UNSUPP_PROTOCOL;
	if (x->m.lifetime_s == 0)
		return nat_pin_delete(x->server->nat, &pin, x->asked->now_ns) ==
			NAT_PIN_OTHERS
		    ? PCP_NOT_AUTHORIZED
		    : PCP_SUCCESS;
	/* What is wanted is wanted by who has lost it with the NAT's table
	 * (RFC 6887 12.3), but by nobody who has something else. */
	pin.exact = pin.out_port != 0;
	wish = pin;
	result = set_pin(x, &pin);
	if (result != PCP_CANNOT_PROVIDE_EXTERNAL || !has_session(x, &wish))
		return result;
	wish.exact = false;
	return set_pin(x, &wish);
}

/* For whom it asks. */
static enum pcp_result
find_who(struct exchange *x)
{
	uint32_t src = x->asked->src;

	if (ip4_or_0(&x->m.client) != src)
		return PCP_ADDRESS_MISMATCH;
	x->who = src;
	if (!x->m.has_third_party)
		return PCP_SUCCESS;
	if (!x->server->third_party)
		return PCP_NOT_AUTHORIZED;
	x->who = ip4_or_0(&x->m.third_party);
	if (x->who == src)
		return PCP_MALFORMED_OPTION;
	return x->server->is_inside(x->server->arg, x->who)
	    ? PCP_SUCCESS
	    : PCP_NOT_AUTHORIZED;
}

static enum pcp_result
serve(struct exchange *x)
{
	enum pcp_result result = find_who(x);

	if (result != PCP_SUCCESS)
		return result;
	switch ((enum pcp_op)x->m.op) {
	case PCP_ANNOUNCE: x->m.lifetime_s = 0; return PCP_SUCCESS;
	case PCP_MAP: return map(x);
	case PCP_PEER: return peer(x);
	case PCP_OPS: break;
	}
	return PCP_UNSUPP_OPCODE;
}

static uint32_t
error_lifetime(enum pcp_result result)
{
	switch (result) {
	case PCP_NETWORK_FAILURE:
	case PCP_NO_RESOURCES:
	case PCP_USER_EX_QUOTA:
	case PCP_CANNOT_PROVIDE_EXTERNAL: return SHORT_ERROR_S;
	default: return LONG_ERROR_S; /* open: all others */
	}
}

static enum reason
take_pcp(const struct pcp_server *server, const struct pcp_asked *asked,
    struct writer *answer)
{
	struct exchange x = { .server = server, .asked = asked };
	enum pcp_result result =
	    pcp_parse_request(&x.m, asked->bytes, asked->len);

	if (result == PCP_SUCCESS)
		result = serve(&x);
	if (result == PCP_SUCCESS) {
		x.m.epoch_s = asked->epoch_s;
		pcp_write_response(answer, &x.m);
	} else if (result != PCP_SILENCE) {
		pcp_write_error(answer, asked->bytes, asked->len, result,
		    x.error_lifetime_s != 0 ? x.error_lifetime_s
					    : error_lifetime(result),
		    asked->epoch_s);
	}
	return reason_of(result);
}

/* ---- NAT-PMP ---- */

static enum natpmp_result
natpmp_unmap(const struct pcp_server *server, const struct pcp_asked *asked,
    struct natpmp *m, struct nat_pin *pin)
{
	bool others = false;

	if (m->in_port == 0)
		nat_pin_delete_all(server->nat, pin->in_ip, pin->protocol,
		    NAT_PIN_BY_PMP, pin->nonce, asked->now_ns);
	else
		others = nat_pin_delete(server->nat, pin, asked->now_ns) ==
		    NAT_PIN_OTHERS;
	m->out_port = 0;
	return others ? NATPMP_NOT_AUTHORIZED : NATPMP_SUCCESS;
}

static enum natpmp_result
natpmp_map(const struct pcp_server *server, const struct pcp_asked *asked,
    struct natpmp *m)
{
	struct nat_pin pin = { .protocol =
				   m->op == NATPMP_MAP_UDP ? IP_UDP : IP_TCP,
		.in_ip = asked->src,
		.in_port = m->in_port,
		.out_port = m->out_port,
		.pair = true,
		.by = NAT_PIN_BY_PMP };
	enum pcp_result result;

	if (m->lifetime_s == 0)
		return natpmp_unmap(server, asked, m, &pin);
	if (m->in_port == 0)
		return NATPMP_NOT_AUTHORIZED;
	m->lifetime_s = clamp(server, m->lifetime_s);
	pin.until_ns = asked->now_ns + m->lifetime_s * NS_PER_S;
	result = result_of(nat_pin_set(server->nat, &pin, asked->now_ns), &pin);
	m->out_port = pin.out_port;
	if (result == PCP_SUCCESS)
		return NATPMP_SUCCESS;
	return result == PCP_NOT_AUTHORIZED ? NATPMP_NOT_AUTHORIZED
					    : NATPMP_NO_RESOURCES;
}

static enum reason
take_natpmp(const struct pcp_server *server, const struct pcp_asked *asked,
    struct writer *answer)
{
	struct natpmp m;
	enum natpmp_result result =
	    natpmp_parse_request(&m, asked->bytes, asked->len);

	if (result == NATPMP_SUCCESS && m.op == NATPMP_ADDRESS)
		m.address = nat_address_of(server->nat, asked->src);
	else if (result == NATPMP_SUCCESS)
		result = natpmp_map(server, asked, &m);
	if (result == NATPMP_SILENCE)
		return DROP_PCP;
	m.result = (uint16_t)result;
	m.epoch_s = asked->epoch_s;
	natpmp_write_response(answer, &m);
	switch (result) {
	case NATPMP_SUCCESS: return REASON_DELIVERED;
	case NATPMP_UNSUPP_VERSION:
	case NATPMP_UNSUPP_OPCODE: return DROP_PCP_UNSUPPORTED;
	case NATPMP_NOT_AUTHORIZED: return DROP_PCP_REFUSED;
	case NATPMP_NETWORK_FAILURE:
	case NATPMP_NO_RESOURCES:
	case NATPMP_SILENCE: break;
	}
	return DROP_PCP_FULL;
}

/* ---- the way in ---- */

enum reason
pcp_server_take(const struct pcp_server *server, const struct pcp_asked *asked,
    struct writer *answer)
{
	bool is_natpmp = asked->len > 0 && asked->bytes[0] == NATPMP_VERSION;

	/* Who speaks one of them alone says so to who speaks the other
	 * (RFC 6887 9, RFC 6886 3.5). */
	if (server->protocols == ROUTER_PCP_ONLY)
		is_natpmp = false;
	else if (server->protocols == ROUTER_NATPMP_ONLY)
		is_natpmp = true;
	return is_natpmp ? take_natpmp(server, asked, answer)
			 : take_pcp(server, asked, answer);
}

void
pcp_server_announce(const struct pcp_server *server, uint32_t epoch_s,
    struct writer *pcp, struct writer *natpmp)
{
	const struct pcp announce = { .op = PCP_ANNOUNCE, .epoch_s = epoch_s };
	const struct natpmp address = { .op = NATPMP_ADDRESS,
		.epoch_s = epoch_s,
		.address = nat_address_of(server->nat, 0) };

	if (server->protocols != ROUTER_NATPMP_ONLY)
		pcp_write_response(pcp, &announce);
	if (server->protocols != ROUTER_PCP_ONLY)
		natpmp_write_response(natpmp, &address);
}
