/*
 * Mappings, and the choice of their outside ports.
 *
 * A mapping is found by its inside end and by what else the rules say it
 * depends on; that is written in it, so that mappings made by other rules are
 * never found by mistake.
 *
 * Contiguous ports (RFC 4787, 4.2.3) are for pairs as those of RTP and RTCP: a
 * port whose neighbour has a mapping gets the outside port beside that.
 *
 * Overloaded ports have one mapping that packets without a session find: the
 * latest.  Sessions are told apart by the remote end, and a mapping by that
 * alone is what overloading is for; so a new mapping shares a port only with
 * those of other remote ends.
 */
#include "router/nat_state.h"

#define SHARE_GUESSES 8

/* What an outgoing flow's mapping is found by. */
static struct mapping
mapping_key(const struct nat *nat, const struct nat_flow *flow)
{
	struct mapping m = { .in_ip = flow->ip,
		.in_port = flow->port,
		.protocol = flow->protocol };

	switch (nat->rules.mapping) {
	case NAT_ENDPOINT_INDEPENDENT: break;
	case NAT_ADDRESS_AND_PORT_DEPENDENT:
		m.remote_port = flow->remote_port;
		/* fallthrough */
	case NAT_ADDRESS_DEPENDENT: m.remote_ip = flow->remote_ip; break;
	}
	return m;
}

static uint32_t
mapping_find(const struct nat *nat, const struct mapping *key, uint32_t h)
{
	const struct nat_slot *slots = nat->mapping_index.slots;
	uint32_t mask = nat->mapping_index.mask;

	for (uint32_t at = h & mask; slots[at].id != 0; at = (at + 1) & mask) {
		const struct mapping *m = &nat->mappings[slots[at].id];

		if (slots[at].hash == h && m->in_ip == key->in_ip &&
		    m->in_port == key->in_port &&
		    m->protocol == key->protocol &&
		    m->remote_ip == key->remote_ip &&
		    m->remote_port == key->remote_port)
			return slots[at].id;
	}
	return NAT_NONE;
}

/* Does nobody speak to the same remote end from this outside port? */
static bool
can_share(const struct nat *nat, const struct nat_flow *flow, uint16_t port)
{
	struct nat_flow in = *flow;

	in.port = port;
	return nat_session_in(nat, &in) == NAT_NONE;
}

/* Shares a port that is taken: the wanted one, or any.  -1: none is found. */
static int32_t
share(struct nat *nat, const struct nat_flow *flow,
    const struct nat_port_wish *wish)
{
	struct nat_ports *ports = &nat->ports[number_of(flow->protocol)];
	uint32_t span = wish->last - wish->first + 1u;
	uint16_t port = wish->want;

	for (int i = 0; i < SHARE_GUESSES; i++) {
		if (nat_port_is_taken(ports, port) &&
		    can_share(nat, flow, port) && nat_ports_share(ports, port))
			return port;
		port = (uint16_t)(wish->first +
		    (uint32_t)((nat_random(&nat->random) >> 32) * span >> 32));
	}
	return -1;
}

/* The outside port of the mapping for the inside port by away, or -1. */
static int32_t
neighbour(const struct nat *nat, const struct nat_flow *flow, int away)
{
	struct nat_flow beside = *flow;
	struct mapping key;
	uint32_t id;

	beside.port = (uint16_t)(flow->port + away);
	key = mapping_key(nat, &beside);
	id = mapping_find(nat, &key, hash_mapping(nat, &key));
	return id == NAT_NONE ? -1 : nat->mappings[id].out_port;
}

/* Wishes for the port beside a neighbour's. */
static void
wish_beside(const struct nat *nat, const struct nat_flow *flow,
    struct nat_port_wish *wish)
{
	for (int away = -1; away <= 1; away += 2) {
		int32_t port = neighbour(nat, flow, away);

		if (port < 0)
			continue;
		wish->want = (uint16_t)(port - away);
		return;
	}
}

static int32_t
choose_port(struct nat *nat, const struct nat_flow *flow)
{
	struct nat_ports *ports = &nat->ports[number_of(flow->protocol)];
	struct nat_port_wish wish = nat_port_wish(ports, flow->port);
	int32_t port;

	wish.parity = !nat->rules.any_parity;
	switch (nat->rules.ports) {
	case NAT_PORTS_PRESERVE: break;
	case NAT_PORTS_RANDOM: wish.exact = false; break;
	case NAT_PORTS_CONTIGUOUS: wish_beside(nat, flow, &wish); break;
	case NAT_PORTS_BLOCKS:
		port = nat_hosts_block(
		    &nat->hosts, hash_host(nat, flow->ip), flow->ip);
		if (port < 0)
			return -1;
		wish.first = (uint16_t)port;
		wish.last =
		    (uint16_t)((uint32_t)port + nat->hosts.block_ports - 1);
		break;
	case NAT_PORTS_OVERLOAD:
		if (nat_port_is_taken(ports, flow->port) &&
		    can_share(nat, flow, flow->port) &&
		    nat_ports_share(ports, flow->port))
			return flow->port;
		port = nat_ports_take(ports, &wish, &nat->random);
		return port >= 0 ? port : share(nat, flow, &wish);
	case NAT_PORT_RULES: return -1;
	}
	return nat_ports_take(ports, &wish, &nat->random);
}

enum reason
nat_mapping_for(struct nat *nat, const struct nat_flow *flow, uint32_t *id)
{
	struct mapping m = mapping_key(nat, flow);
	uint32_t h = hash_mapping(nat, &m);
	enum protocol_number p = number_of(flow->protocol);
	int32_t port;

	*id = mapping_find(nat, &m, h);
	if (*id != NAT_NONE)
		return nat->ports[p].sharers == NULL ||
			can_share(nat, flow, nat->mappings[*id].out_port)
		    ? REASON_NONE
		    : DROP_NAT_NO_PORT;
	if (nat->mapping_pool.used == nat->mapping_pool.max)
		return DROP_NAT_FULL; /* only if ports are shared */
	port = choose_port(nat, flow);
	if (port < 0)
		return DROP_NAT_NO_PORT;
	*id = NAT_POOL_TAKE(&nat->mapping_pool, nat->mappings);
	m.out_port = (uint16_t)port;
	nat->mappings[*id] = m;
	nat_index_add(&nat->mapping_index, h, *id);
	nat->by_port[p][port] = *id;
	return REASON_NONE;
}

void
nat_mapping_end(struct nat *nat, uint32_t id)
{
	struct mapping *m = &nat->mappings[id];
	enum protocol_number p = number_of(m->protocol);

	nat_index_remove(&nat->mapping_index, hash_mapping(nat, m), id);
	if (nat->by_port[p][m->out_port] == id)
		nat->by_port[p][m->out_port] = NAT_NONE;
	nat_ports_give(&nat->ports[p], m->out_port);
	nat_pool_give(&nat->mapping_pool, id, &m->next);
}

bool
nat_has_port(const struct nat *nat, uint8_t protocol, uint16_t port)
{
	return nat->by_port[number_of(protocol)][port] != NAT_NONE;
}
