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
 *
 * What was asked for by hosts or the lab file for anybody is its inside end's
 * mapping whatever the rules depend on, and shares its port with nobody.
 */
#include "router/nat_state.h"

#define SHARE_GUESSES 8
#define PAIR_GUESSES  32

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

/* Is nobody there who speaks to the same remote end from this outside port, or
 * has it for anybody? */
static bool
can_share(const struct nat *nat, const struct nat_flow *flow, uint16_t port)
{
	uint32_t latest = nat->by_port[number_of(flow->protocol)][port];
	struct nat_flow in = *flow;

	in.port = port;
	return !nat->mappings[latest].for_anybody &&
	    nat_session_in(nat, &in) == NAT_NONE;
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

/* What rules and want, unless that is 0, say of a flow's outside port.  False:
 * there is none. */
static bool
wish_for(struct nat *nat, const struct nat_flow *flow, uint16_t want,
    struct nat_port_wish *wish)
{
	int32_t block;

	*wish = nat_port_wish(&nat->ports[number_of(flow->protocol)],
	    want != 0 ? want : flow->port);
	wish->parity = !nat->rules.any_parity;
	switch (nat->rules.ports) {
	case NAT_PORTS_PRESERVE:
	case NAT_PORTS_OVERLOAD: return true;
	case NAT_PORTS_RANDOM: wish->exact = want != 0; return true;
	case NAT_PORTS_CONTIGUOUS:
		if (want == 0)
			wish_beside(nat, flow, wish);
		return true;
	case NAT_PORTS_BLOCKS:
		block = nat_hosts_block(
		    &nat->hosts, hash_host(nat, flow->ip), flow->ip);
		wish->first = (uint16_t)block;
		wish->last =
		    (uint16_t)((uint32_t)block + nat->hosts.block_ports - 1);
		return block >= 0;
	case NAT_PORT_RULES: break;
	}
	return false;
}

static int32_t
choose_port(struct nat *nat, const struct nat_flow *flow)
{
	struct nat_ports *ports = &nat->ports[number_of(flow->protocol)];
	struct nat_port_wish wish;
	int32_t port;

	if (!wish_for(nat, flow, 0, &wish))
		return -1;
	if (nat->rules.ports != NAT_PORTS_OVERLOAD)
		return nat_ports_take(ports, &wish, &nat->random);
	if (nat_port_is_taken(ports, flow->port) &&
	    can_share(nat, flow, flow->port) &&
	    nat_ports_share(ports, flow->port))
		return flow->port;
	port = nat_ports_take(ports, &wish, &nat->random);
	return port >= 0 ? port : share(nat, flow, &wish);
}

/* Makes the mapping m at an outside port that it has taken. */
static uint32_t
mapping_new(struct nat *nat, struct mapping *m, uint32_t h, uint16_t port)
{
	uint32_t id = NAT_POOL_TAKE(&nat->mapping_pool, nat->mappings);

	m->out_port = port;
	nat->mappings[id] = *m;
	nat_index_add(&nat->mapping_index, h, id);
	nat->by_port[number_of(m->protocol)][port] = id;
	return id;
}

/* The mapping that was asked for the flow's inside end, if rules would not find
 * it anyway. */
static uint32_t
asked_for(const struct nat *nat, const struct nat_flow *flow)
{
	struct mapping m = { .in_ip = flow->ip,
		.in_port = flow->port,
		.protocol = flow->protocol };
	uint32_t id;

	if (nat->pins.pool.used == 0 ||
	    nat->rules.mapping == NAT_ENDPOINT_INDEPENDENT)
		return NAT_NONE;
	id = mapping_find(nat, &m, hash_mapping(nat, &m));
	return nat->mappings[id].for_anybody ? id : NAT_NONE;
}

enum reason
nat_mapping_for(struct nat *nat, const struct nat_flow *flow, uint32_t *id)
{
	struct mapping m = mapping_key(nat, flow);
	uint32_t h = hash_mapping(nat, &m);
	struct nat_ports *ports = &nat->ports[number_of(flow->protocol)];
	int32_t port;

	*id = asked_for(nat, flow);
	if (*id != NAT_NONE)
		return REASON_NONE;
	*id = mapping_find(nat, &m, h);
	if (*id != NAT_NONE)
		return ports->sharers == NULL ||
			nat->mappings[*id].for_anybody ||
			can_share(nat, flow, nat->mappings[*id].out_port)
		    ? REASON_NONE
		    : DROP_NAT_NO_PORT;
	if (nat->mapping_pool.used == nat->mapping_pool.max)
		return DROP_NAT_FULL; /* only if ports are shared */
	port = choose_port(nat, flow);
	if (port < 0)
		return DROP_NAT_NO_PORT;
	*id = mapping_new(nat, &m, h, (uint16_t)port);
	return REASON_NONE;
}

/* ---- for pins ---- */

/* Is the same port of the other protocol no other host's by a pin? */
static bool
pair_is_free(const struct nat *nat, const struct nat_pin *pin, uint16_t port)
{
	enum protocol_number other = pin->protocol == IP_TCP ? UDP : TCP;
	const struct mapping *m = &nat->mappings[nat->by_port[other][port]];

	return !m->for_anybody || m->in_ip == pin->in_ip;
}

/* Takes an outside port for a pin; -1: there is none. */
static int32_t
pin_port(struct nat *nat, const struct nat_pin *pin, struct nat_flow *flow)
{
	struct nat_ports *ports = &nat->ports[number_of(pin->protocol)];
	struct nat_port_wish wish;

	if (!wish_for(nat, flow, pin->out_port, &wish))
		return -1;
	for (int i = 0; i < PAIR_GUESSES; i++) {
		int32_t port = nat_ports_take(ports, &wish, &nat->random);

		if (port < 0 ||
		    ((!pin->exact || port == pin->out_port) &&
			(!pin->pair || pair_is_free(nat, pin, (uint16_t)port))))
			return port;
		nat_ports_give(ports, (uint16_t)port);
		if (pin->exact)
			break;
		wish.exact = false;
	}
	return -1;
}

enum reason
nat_mapping_for_pin(struct nat *nat, const struct nat_pin *pin, uint32_t *id)
{
	struct nat_flow flow = { .ip = pin->in_ip,
		.port = pin->in_port,
		.remote_ip = pin->remote_ip,
		.remote_port = pin->remote_port,
		.protocol = pin->protocol };
	bool for_anybody = pin->remote_port == 0;
	struct nat_ports *ports = &nat->ports[number_of(pin->protocol)];
	struct mapping m = { .in_ip = pin->in_ip,
		.in_port = pin->in_port,
		.protocol = pin->protocol };
	uint32_t h;
	int32_t port;

	if (!for_anybody)
		m = mapping_key(nat, &flow);
	h = hash_mapping(nat, &m);
	*id = for_anybody ? NAT_NONE : asked_for(nat, &flow);
	if (*id == NAT_NONE)
		*id = mapping_find(nat, &m, h);
	if (*id != NAT_NONE) {
		port = nat->mappings[*id].out_port;
		if ((pin->exact && port != pin->out_port) ||
		    (for_anybody && ports->sharers != NULL &&
			ports->sharers[port] > 0))
			return DROP_NAT_NO_PORT;
		return REASON_NONE;
	}
	if (nat->mapping_pool.used == nat->mapping_pool.max)
		return DROP_NAT_FULL;
	port = pin_port(nat, pin, &flow);
	if (port < 0)
		return DROP_NAT_NO_PORT;
	*id = mapping_new(nat, &m, h, (uint16_t)port);
	return REASON_NONE;
}

void
nat_mapping_leave(struct nat *nat, uint32_t id)
{
	struct mapping *m = &nat->mappings[id];
	enum protocol_number p = number_of(m->protocol);

	if (--m->users > 0)
		return;
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
