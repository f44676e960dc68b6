/*
 * Mappings.
 *
 * A mapping is found by its inside end and by what else the rules say it
 * depends on; that is written in it, so that mappings made by other rules are
 * never found by mistake.
 *
 * Overloaded ports have one mapping that packets without a session find: the
 * latest.  Sessions are told apart by the remote end, and a mapping by that
 * alone is what overloading is for; so a new mapping shares a port only with
 * those of other remote ends.
 *
 * What was asked for by hosts or the lab file shares its port with nobody; and
 * for anybody it is its inside end's mapping whatever the rules depend on.
 */
#include "router/nat_state.h"

static inline struct mapping
key_of(const struct nat *nat, const struct nat_flow *flow)
{
	struct mapping m = { .in_ip = flow->ip,
		.in_port = flow->port,
		.protocol = flow->protocol };

	if (nat_addresses_own(&nat->addresses, flow->ip) >= 0)
		return m; /* one port is like the other */
	switch (nat->rules.mapping) {
	case NAT_ENDPOINT_INDEPENDENT: break;
	case NAT_ADDRESS_AND_PORT_DEPENDENT:
		m.remote_port = flow->remote_port;
		/* fallthrough */
	case NAT_ADDRESS_DEPENDENT: m.remote_ip = flow->remote_ip; break;
	}
	return m;
}

struct mapping
nat_mapping_key(const struct nat *nat, const struct nat_flow *flow)
{
	return key_of(nat, flow);
}

uint32_t
nat_mapping_find(const struct nat *nat, const struct mapping *key, uint32_t h)
{
	struct nat_probe probe = nat_probe(&nat->mapping_index, h);
	uint32_t id;

	while ((id = nat_probe_next(&nat->mapping_index, &probe)) != NAT_NONE) {
		const struct mapping *m = &nat->mappings[id];

		if (m->in_ip == key->in_ip && m->in_port == key->in_port &&
		    m->protocol == key->protocol &&
		    m->remote_ip == key->remote_ip &&
		    m->remote_port == key->remote_port)
			break;
	}
	return id;
}

void
nat_mapping_prefetch(const struct nat *nat, const struct nat_flow *flow)
{
	const struct mapping key = key_of(nat, flow);

	nat_index_prefetch(&nat->mapping_index, hash_mapping(nat, &key));
}

/* ---- outside ends ---- */

static uint32_t
find_at(const struct nat *nat, uint32_t address, uint8_t protocol,
    uint16_t port, uint32_t h)
{
	struct nat_probe probe = nat_probe(&nat->mapping_index, h);
	uint32_t id;

	while ((id = nat_probe_next(&nat->mapping_index, &probe)) != NAT_NONE) {
		const struct mapping *m = &nat->mappings[id];

		if (m->out_port == port && m->address == address &&
		    m->protocol == protocol)
			break;
	}
	return id;
}

uint32_t
nat_mapping_at(
    const struct nat *nat, uint32_t address, uint8_t protocol, uint16_t port)
{
	return nat_port_is_taken(ports_of(nat, address, protocol), port)
	    ? find_at(nat, address, protocol, port,
		  hash_end(nat, address, protocol, port))
	    : NAT_NONE;
}

void
nat_mapping_show(struct nat *nat, uint32_t id)
{
	const struct mapping *m = &nat->mappings[id];
	uint32_t h = hash_end(nat, m->address, m->protocol, m->out_port);
	uint32_t shown = find_at(nat, m->address, m->protocol, m->out_port, h);

	if (shown == id)
		return;
	if (shown != NAT_NONE)
		nat_index_remove(&nat->mapping_index, h, shown);
	nat_index_add(&nat->mapping_index, h, id);
}

/* Nobody is shown there yet, unless the end is shared. */
static void
show_new(struct nat *nat, uint32_t id)
{
	const struct mapping *m = &nat->mappings[id];

	if (ports_of(nat, m->address, m->protocol)->sharers != NULL)
		nat_mapping_show(nat, id);
	else
		nat_index_add(&nat->mapping_index,
		    hash_end(nat, m->address, m->protocol, m->out_port), id);
}

static void
hide(struct nat *nat, uint32_t id)
{
	const struct mapping *m = &nat->mappings[id];
	uint32_t h = hash_end(nat, m->address, m->protocol, m->out_port);

	if (find_at(nat, m->address, m->protocol, m->out_port, h) == id)
		nat_index_remove(&nat->mapping_index, h, id);
}

/* ---- their end ---- */

static void
mapping_free(struct nat *nat, uint32_t id)
{
	struct mapping *m = &nat->mappings[id];
	struct nat_host *host = nat_host_of(nat, m->in_ip);

	nat_index_remove(&nat->mapping_index, hash_mapping(nat, m), id);
	nat_ports_give(ports_of(nat, m->address, m->protocol), m->out_port);
	if (host != NULL) {
		host->mappings--;
		nat_hosts_put(&nat->hosts, hash_host(nat, m->in_ip), host);
	}
	nat_pool_give(&nat->mapping_pool, id, &m->next);
}

void
nat_mapping_end_rest(struct nat *nat, uint32_t id)
{
	nat_rest_end(nat, id);
	mapping_free(nat, id);
}

void
nat_mapping_rest_less(struct nat *nat)
{
	nat_mapping_end_rest(nat, nat_rest_first(nat));
}

void
nat_mapping_leave(struct nat *nat, uint32_t id, uint64_t now_ns)
{
	struct mapping *m = &nat->mappings[id];

	if (--m->users > 0)
		return;
	hide(nat, id);
	if (!nat_rests(nat, id)) {
		mapping_free(nat, id);
		return;
	}
	if (nat->rest.n > 0 &&
	    (nat->session_pool.used == nat->session_pool.max ||
		(nat->rules.rest_ports != 0 &&
		    nat->rest.n >= nat->rules.rest_ports)))
		nat_mapping_rest_less(nat);
	if (!nat_rest_begin(nat, id, now_ns))
		mapping_free(nat, id);
}

void
nat_mapping_expire(struct nat *nat, uint64_t now_ns)
{
	while (nat_rest_due_ns(nat) <= now_ns)
		nat_mapping_rest_less(nat);
}

/* ---- finding or making one ---- */

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
	id = nat_mapping_find(nat, &m, hash_mapping(nat, &m));
	return nat->mappings[id].for_anybody ? id : NAT_NONE;
}

/* Makes the mapping m at an outside end that it has taken. */
static uint32_t
mapping_new(
    struct nat *nat, struct mapping *m, uint32_t h, const struct nat_end *at)
{
	uint32_t id = NAT_POOL_TAKE(&nat->mapping_pool, nat->mappings);
	struct nat_host *host = nat_host_of(nat, m->in_ip);

	m->address = (uint8_t)at->address;
	m->out_port = (uint16_t)at->port;
	nat_index_prefetch(&nat->mapping_index,
	    hash_end(nat, m->address, m->protocol, m->out_port));
	nat->mappings[id] = *m;
	nat_index_add(&nat->mapping_index, h, id);
	show_new(nat, id);
	if (host != NULL)
		host->mappings++;
	return id;
}

/* Is there room for another one, if need be by one that rests? */
static bool
has_room(struct nat *nat)
{
	if (nat->mapping_pool.used == nat->mapping_pool.max && nat->rest.n > 0)
		nat_mapping_rest_less(nat);
	return nat->mapping_pool.used < nat->mapping_pool.max;
}

/* It has users again. */
static void
wake(struct nat *nat, uint32_t id)
{
	if (!nat->mappings[id].rests)
		return;
	nat->mappings[id].spoke = 0;
	nat_rest_end(nat, id);
	nat_mapping_show(nat, id);
}

/* May the flow get one more session of a mapping that there is? */
static bool
can_join(
    const struct nat *nat, const struct nat_flow *flow, const struct mapping *m)
{
	return m->unshared ||
	    ports_of(nat, m->address, m->protocol)->sharers == NULL ||
	    nat_can_share(nat, flow, m->address, m->out_port);
}

enum reason
nat_mapping_for(struct nat *nat, const struct nat_flow *flow, uint32_t *id)
{
	struct mapping m = key_of(nat, flow);
	uint32_t h = hash_mapping(nat, &m);
	struct nat_end at;

	*id = asked_for(nat, flow);
	if (*id != NAT_NONE)
		return REASON_NONE;
	*id = nat_mapping_find(nat, &m, h);
	if (*id != NAT_NONE) {
		if (!can_join(nat, flow, &nat->mappings[*id]))
			return DROP_NAT_NO_PORT;
		wake(nat, *id);
		return REASON_NONE;
	}
	if (!has_room(nat))
		return DROP_NAT_FULL; /* only if ports are shared */
	at = nat_choose(nat, flow);
	if (at.port < 0)
		return DROP_NAT_NO_PORT;
	*id = mapping_new(nat, &m, h, &at);
	return REASON_NONE;
}

/* ---- for pins ---- */

bool
nat_mapping_is_at(const struct nat *nat, uint32_t id, const struct nat_pin *pin)
{
	const struct mapping *m = &nat->mappings[id];

	return (pin->out_port == 0 || m->out_port == pin->out_port) &&
	    (pin->out_ip == 0 || nat->addresses.ip[m->address] == pin->out_ip);
}

/* Is a mapping that there is what the pin wants? */
static bool
will_do(const struct nat *nat, uint32_t id, const struct nat_pin *pin)
{
	const struct mapping *m = &nat->mappings[id];
	const struct nat_ports *ports = ports_of(nat, m->address, m->protocol);

	if ((pin->exact && !nat_mapping_is_at(nat, id, pin)) ||
	    !nat_pin_may_have(pin, m->out_port))
		return false;
	return ports->sharers == NULL || ports->sharers[m->out_port] == 0;
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
	struct mapping m = { .in_ip = pin->in_ip,
		.in_port = pin->in_port,
		.protocol = pin->protocol };
	struct nat_end at;
	uint32_t h;

	if (!for_anybody)
		m = nat_mapping_key(nat, &flow);
	h = hash_mapping(nat, &m);
	*id = for_anybody ? NAT_NONE : asked_for(nat, &flow);
	if (*id == NAT_NONE)
		*id = nat_mapping_find(nat, &m, h);
	if (*id != NAT_NONE) {
		if (!will_do(nat, *id, pin))
			return DROP_NAT_NO_PORT;
		wake(nat, *id);
		return REASON_NONE;
	}
	if (!has_room(nat))
		return DROP_NAT_FULL;
	at = nat_choose_for_pin(nat, pin, &flow);
	if (at.port < 0)
		return DROP_NAT_NO_PORT;
	*id = mapping_new(nat, &m, h, &at);
	return REASON_NONE;
}
