/*
 * What all requests have in common: who may ask, for whom, and how errors are
 * told.  Each request is checked in the order of RFC 6887 8.2.
 */
#include "router/pcp_server.h"

#include "net/natpmp.h"
#include "router/nat.h"
#include "router/pcp_exchange.h"

#define LONG_ERROR_S  1800 /* RFC 6887 7.4 */
#define SHORT_ERROR_S 30

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

/* ---- PCP ---- */

/* For whom it asks.  Who may not ask for others is told so as if nobody could
 * (RFC 6887 13.1). */
static enum pcp_result
find_who(struct pcp_exchange *x)
{
	const struct pcp_server *server = x->server;

	x->who = x->asked->src;
	if (x->m.has_third_party) {
		if (!server->third_party)
			return PCP_UNSUPP_OPTION;
		if (ip6_equal(&x->m.third_party, &x->who))
			return PCP_MALFORMED_REQUEST;
		x->who = x->m.third_party;
	}
	return server->is_inside(server->arg, &x->who) ? PCP_SUCCESS
						       : PCP_NOT_AUTHORIZED;
}

/* Is it an operation that the lab file lets hosts ask for (RFC 6887 11, 12)? */
static bool
is_allowed(const struct pcp_exchange *x)
{
	switch (x->server->opcodes) {
	case ROUTER_PCP_MAP_AND_PEER: return true;
	case ROUTER_PCP_MAP: return x->m.op == PCP_MAP;
	case ROUTER_PCP_PEER: return x->m.op == PCP_PEER;
	case ROUTER_PCP_OPCODES: break;
	}
	return false;
}

static enum pcp_result
serve(struct pcp_exchange *x)
{
	bool is_map = x->m.op == PCP_MAP, is_ip4;
	enum pcp_result result;
	uint32_t ip;

	if (x->m.op == PCP_ANNOUNCE) {
		x->m.lifetime_s = 0;
		return PCP_SUCCESS;
	}
	if (!is_allowed(x))
		return PCP_NOT_AUTHORIZED;
	result = find_who(x);
	if (result != PCP_SUCCESS)
		return result;
	is_ip4 = ip6_to_ip4(&ip, &x->who);
	if (is_ip4 && x->server->nat == NULL)
		return PCP_NOT_AUTHORIZED;
	if (is_ip4)
		return is_map ? pcp_nat_map(x) : pcp_nat_peer(x);
	return is_map ? pcp_pinhole_map(x) : pcp_pinhole_peer(x);
}

static enum reason
take_pcp(const struct pcp_server *server, const struct pcp_asked *asked,
    struct writer *answer)
{
	struct pcp_exchange x = { .server = server, .asked = asked };
	enum pcp_result result =
	    pcp_parse_request(&x.m, asked->bytes, asked->len, &asked->src);

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

/* ---- the way in ---- */

enum reason
pcp_server_take(const struct pcp_server *server, const struct pcp_asked *asked,
    struct writer *answer)
{
	bool is_natpmp = asked->len > 0 && asked->bytes[0] == NATPMP_VERSION;
	uint32_t ip;

	/* Who speaks one of them alone says so to who speaks the other (RFC
	 * 6887 9, RFC 6886 3.5).  NAT-PMP is of IPv4. */
	if (server->protocols == ROUTER_PCP_ONLY ||
	    !ip6_to_ip4(&ip, &asked->src))
		is_natpmp = false;
	else if (server->protocols == ROUTER_NATPMP_ONLY)
		is_natpmp = true;
	return is_natpmp ? natpmp_server_take(server, asked, answer)
			 : take_pcp(server, asked, answer);
}

void
pcp_server_announce(const struct pcp_server *server, uint32_t epoch_s,
    struct writer *pcp, struct writer *natpmp)
{
	const struct pcp announce = { .op = PCP_ANNOUNCE, .epoch_s = epoch_s };
	struct natpmp address = { .op = NATPMP_ADDRESS, .epoch_s = epoch_s };

	if (server->protocols != ROUTER_NATPMP_ONLY)
		pcp_write_response(pcp, &announce);
	if (server->protocols == ROUTER_PCP_ONLY || server->nat == NULL)
		return;
	address.address = nat_address_of(server->nat, 0);
	natpmp_write_response(natpmp, &address);
}
