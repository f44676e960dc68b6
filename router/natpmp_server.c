/*
 * A request of NAT-PMP and its pin.  It has no nonce: what its host has by it is
 * its host's to change, and what it has otherwise is told as it is (RFC 6886
 * 3.3).
 */
#include "net/natpmp.h"

#include "net/ip4.h"
#include "router/nat.h"
#include "router/nat_pin.h"
#include "router/pcp_exchange.h"

static enum natpmp_result
unmap(const struct pcp_server *server, const struct pcp_asked *asked,
    struct natpmp *m, struct nat_pin *pin)
{
	bool others;

	if (m->in_port != 0) {
		others = nat_pin_delete(server->nat, pin, asked->now_ns) ==
		    NAT_PIN_OTHERS;
	} else {
		nat_pin_delete_all(server->nat, pin->in_ip, pin->protocol,
		    NAT_PIN_BY_PMP, pin->nonce, asked->now_ns);
		others = nat_pin_host_has(
		    server->nat, pin->in_ip, pin->protocol, asked->now_ns);
	}
	return others ? NATPMP_NOT_AUTHORIZED : NATPMP_SUCCESS;
}

static enum natpmp_result
map(const struct pcp_server *server, const struct pcp_asked *asked,
    struct natpmp *m, struct nat_pin *pin)
{
	uint32_t lifetime_s = m->lifetime_s, left_s;

	/* Nobody gets more than was asked for, be it little. */
	if (lifetime_s > server->max_s)
		lifetime_s = server->max_s;
	pin->until_ns = asked->now_ns + lifetime_s * NS_PER_S;
	switch (nat_pin_set(server->nat, pin, asked->now_ns)) {
	case NAT_PIN_MADE:
	case NAT_PIN_RENEWED: break;
	case NAT_PIN_OTHERS:
		left_s = pcp_left_s(pin->until_ns, asked->now_ns);
		if (lifetime_s > left_s)
			lifetime_s = left_s;
		break;
	case NAT_PIN_TAKEN:
	case NAT_PIN_FOREIGN:
	case NAT_PIN_FULL:
	case NAT_PIN_HOST_FULL: return NATPMP_NO_RESOURCES;
	}
	m->out_port = pin->out_port;
	m->lifetime_s = lifetime_s;
	return NATPMP_SUCCESS;
}

static enum natpmp_result
serve(const struct pcp_server *server, const struct pcp_asked *asked,
    struct natpmp *m)
{
	struct nat_pin pin = { .protocol =
				   m->op == NATPMP_MAP_UDP ? IP_UDP : IP_TCP,
		.in_port = m->in_port,
		.out_port = m->out_port,
		.pair = true,
		.by = NAT_PIN_BY_PMP };
	struct natpmp wanted = *m;
	enum natpmp_result result = NATPMP_NOT_AUTHORIZED;

	if (!ip6_to_ip4(&pin.in_ip, &asked->src))
		return NATPMP_NOT_AUTHORIZED;
	if (nat_address_of(server->nat, pin.in_ip) == 0)
		return NATPMP_NETWORK_FAILURE; /* RFC 6886 3.5 */
	if (m->op == NATPMP_ADDRESS) {
		m->address = nat_address_of(server->nat, pin.in_ip);
		return NATPMP_SUCCESS;
	}
	m->out_port = 0; /* unless there is a mapping in the end */
	m->lifetime_s = 0;
	if (wanted.lifetime_s == 0)
		return unmap(server, asked, m, &pin);
	if (server->is_inside(server->arg, &asked->src) && m->in_port != 0)
		result = map(server, asked, &wanted, &pin);
	if (result == NATPMP_SUCCESS)
		*m = wanted;
	return result;
}

static enum reason
reason_of(enum natpmp_result result)
{
	switch (result) {
	case NATPMP_SUCCESS: return REASON_DELIVERED;
	case NATPMP_UNSUPP_VERSION:
	case NATPMP_UNSUPP_OPCODE: return DROP_PCP_UNSUPPORTED;
	case NATPMP_NOT_AUTHORIZED: return DROP_PCP_REFUSED;
	case NATPMP_SILENCE: return DROP_PCP;
	case NATPMP_NETWORK_FAILURE:
	case NATPMP_NO_RESOURCES: break;
	}
	return DROP_PCP_FULL;
}

enum reason
natpmp_server_take(const struct pcp_server *server,
    const struct pcp_asked *asked, struct writer *answer)
{
	struct natpmp m;
	enum natpmp_result result =
	    natpmp_parse_request(&m, asked->bytes, asked->len);

	if (result == NATPMP_SUCCESS)
		result = serve(server, asked, &m);
	m.result = (uint16_t)result;
	m.epoch_s = asked->epoch_s;
	if (result == NATPMP_UNSUPP_OPCODE)
		natpmp_write_unsupported(
		    answer, asked->bytes, asked->len, m.epoch_s);
	else if (result != NATPMP_SILENCE)
		natpmp_write_response(answer, &m);
	return reason_of(result);
}
