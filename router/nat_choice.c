/*
 * The choice of an outside end: its address, and its port there.
 *
 * A new host is paired with the address that has the fewest, so that blocks and
 * ports are used up evenly (RFC 6888 REQ-13).
 *
 * Contiguous ports (RFC 4787, 4.2.3) are for pairs as those of RTP and RTCP: a
 * port whose neighbour has a mapping gets the outside port beside that, at the
 * same address.
 *
 * What the lab file asks for is in no block: it may be any port.
 *
 * At an address of its own a host has the ports that it has inside, but for what
 * was asked for there, and nobody else has any.
 */
#include "net/pcp.h"
#include "router/nat_state.h"

#define SHARE_GUESSES 8
#define PAIR_GUESSES  32

struct nat_host *
nat_host_of(const struct nat *nat, uint32_t ip)
{
	return nat->hosts.items == NULL
	    ? NULL
	    : nat_hosts_find(&nat->hosts, hash_host(nat, ip), ip);
}

/* ---- the address ---- */

static bool
has_room(const struct nat *nat, uint32_t address, const struct nat_flow *flow,
    const struct nat_port_wish *wish)
{
	return address < nat->addresses.npool &&
	    (nat->rules.ports == NAT_PORTS_OVERLOAD ||
		!nat_ports_are_taken(ports_of(nat, address, flow->protocol),
		    wish->first, wish->last));
}

/* Any address of the pool with a port that will do, -1 if there is none. */
static int32_t
any_address(struct nat *nat, const struct nat_flow *flow,
    const struct nat_port_wish *wish)
{
	uint32_t n = nat->addresses.npool;
	uint32_t from = (uint32_t)((nat_random(&nat->random) >> 32) * n >> 32);

	for (uint32_t i = 0; i < n; i++)
		if (has_room(nat, (from + i) % n, flow, wish))
			return (int32_t)((from + i) % n);
	return -1;
}

/* The address for a flow that gets a mapping; -1: all are full. */
static int32_t
choose_address(struct nat *nat, const struct nat_flow *flow,
    const struct nat_port_wish *wish)
{
	struct nat_host *host = nat_host_of(nat, flow->ip);
	int32_t address;

	if (nat->addresses.npool == 1)
		return 0;
	switch (nat->rules.pooling) {
	case NAT_POOLING_PAIRED: return nat_host_address(&nat->hosts, host);
	case NAT_POOLING_SOFT:
		address = nat_host_address(&nat->hosts, host);
		if (has_room(nat, (uint32_t)address, flow, wish))
			return address;
		break;
	case NAT_POOLING_ARBITRARY: break;
	case NAT_POOLINGS: return -1;
	}
	return any_address(nat, flow, wish);
}

uint32_t
nat_address_of(const struct nat *nat, uint32_t in_ip)
{
	const struct nat_host *host = nat_host_of(nat, in_ip);
	int32_t address = nat_addresses_own(&nat->addresses, in_ip);

	if (address < 0)
		address = host != NULL && host->address != 0
		    ? host->address - 1
		    : nat_addresses_least(
			  &nat->addresses, nat->hosts.block_ports);

	return nat->addresses.ip[address >= 0 ? address : 0];
}

/* ---- the port ---- */

/* What the rules and want, unless that is 0, say of a flow's outside port. */
static struct nat_port_wish
wish_for(const struct nat *nat, const struct nat_flow *flow, uint16_t want)
{
	struct nat_port_wish wish = nat_port_wish(
	    ports_of(nat, 0, flow->protocol), want != 0 ? want : flow->port);

	wish.parity = !nat->rules.any_parity;
	wish.exact = nat->rules.ports != NAT_PORTS_RANDOM || want != 0;
	return wish;
}

/* Narrows a wish to the block of the flow's host.  False: it has none. */
static bool
wish_in_block(
    struct nat *nat, const struct nat_flow *flow, struct nat_port_wish *wish)
{
	int32_t port = nat_host_block(&nat->hosts, nat_host_of(nat, flow->ip));

	wish->first = (uint16_t)port;
	wish->last = (uint16_t)((uint32_t)port + nat->hosts.block_ports - 1);
	return port >= 0;
}

/* The mapping for the inside port by away, or NULL. */
static const struct mapping *
neighbour(const struct nat *nat, const struct nat_flow *flow, int away)
{
	struct nat_flow beside = *flow;
	struct mapping key;
	uint32_t id;

	beside.port = (uint16_t)(flow->port + away);
	key = nat_mapping_key(nat, &beside);
	id = nat_mapping_find(nat, &key, hash_mapping(nat, &key));
	return id == NAT_NONE ? NULL : &nat->mappings[id];
}

/* The address at which a flow has a neighbour, beside which it wishes for a
 * port; -1: there is none. */
static int32_t
wish_beside(const struct nat *nat, const struct nat_flow *flow,
    struct nat_port_wish *wish)
{
	for (int away = -1; away <= 1; away += 2) {
		const struct mapping *m = neighbour(nat, flow, away);

		if (m == NULL || !has_room(nat, m->address, flow, wish))
			continue;
		wish->want = (uint16_t)(m->out_port - away);
		return m->address;
	}
	return -1;
}

/* ---- sharing ---- */

bool
nat_can_share(const struct nat *nat, const struct nat_flow *flow,
    uint32_t address, uint16_t port)
{
	uint32_t latest = nat_mapping_at(nat, address, flow->protocol, port);
	struct nat_flow in = *flow;

	in.ip = nat->addresses.ip[address];
	in.port = port;
	return !nat->mappings[latest].unshared &&
	    nat_session_in(nat, &in) == NAT_NONE;
}

/* Shares a port that is taken: the wanted one, or any.  -1: none is found. */
static int32_t
share(struct nat *nat, const struct nat_flow *flow, uint32_t address,
    const struct nat_port_wish *wish)
{
	struct nat_ports *ports = ports_of(nat, address, flow->protocol);
	uint32_t span = wish->last - wish->first + 1u;
	uint16_t port = wish->want;

	for (int i = 0; i < SHARE_GUESSES; i++) {
		if (nat_port_is_taken(ports, port) &&
		    nat_can_share(nat, flow, address, port) &&
		    nat_ports_share(ports, port))
			return port;
		port = (uint16_t)(wish->first +
		    (uint32_t)((nat_random(&nat->random) >> 32) * span >> 32));
	}
	return -1;
}

static int32_t
take_overloaded(struct nat *nat, const struct nat_flow *flow, uint32_t address,
    const struct nat_port_wish *wish)
{
	struct nat_ports *ports = ports_of(nat, address, flow->protocol);
	int32_t port;

	if (nat_port_is_taken(ports, flow->port) &&
	    nat_can_share(nat, flow, address, flow->port) &&
	    nat_ports_share(ports, flow->port))
		return flow->port;
	port = nat_ports_take(ports, wish, &nat->random);
	return port >= 0 ? port : share(nat, flow, address, wish);
}

/* ---- both ---- */

/* At the host's own address: the same port, any number, or else as wished. */
static struct nat_end
choose_own(struct nat *nat, const struct nat_flow *flow, uint32_t address,
    const struct nat_port_wish *wish)
{
	struct nat_ports *ports = ports_of(nat, address, flow->protocol);
	const struct nat_port_wish same = { .want = flow->port,
		.exact = true,
		.first = flow->port,
		.last = flow->port };
	struct nat_end end = { address,
		nat_ports_take(ports, &same, &nat->random) };

	if (end.port < 0)
		end.port = nat_ports_take(ports, wish, &nat->random);
	return end;
}

struct nat_end
nat_choose(struct nat *nat, const struct nat_flow *flow)
{
	struct nat_port_wish wish = wish_for(nat, flow, 0);
	struct nat_end end = { 0, -1 };
	int32_t address = nat_addresses_own(&nat->addresses, flow->ip);

	if (address >= 0)
		return choose_own(nat, flow, (uint32_t)address, &wish);
	if (nat->rules.ports == NAT_PORTS_CONTIGUOUS)
		address = wish_beside(nat, flow, &wish);
	if (address < 0)
		address = choose_address(nat, flow, &wish);
	if (address < 0 ||
	    (nat->rules.ports == NAT_PORTS_BLOCKS &&
		!wish_in_block(nat, flow, &wish)))
		return end;
	end.address = (uint32_t)address;
	end.port = nat->rules.ports == NAT_PORTS_OVERLOAD
	    ? take_overloaded(nat, flow, end.address, &wish)
	    : nat_ports_take(ports_of(nat, end.address, flow->protocol), &wish,
		  &nat->random);
	return end;
}

/* ---- for pins ---- */

/* Is the same port of the other protocol no other host's by a pin? */
static bool
pair_is_free(
    const struct nat *nat, const struct nat_pin *pin, const struct nat_end *end)
{
	uint8_t other = pin->protocol == IP_TCP ? IP_UDP : IP_TCP;
	const struct mapping *m = &nat->mappings[nat_mapping_at(
	    nat, end->address, other, (uint16_t)end->port)];

	return !m->for_anybody || m->in_ip == pin->in_ip;
}

bool
nat_pin_may_have(const struct nat_pin *pin, uint16_t port)
{
	return pin->protocol != IP_UDP || pin->by == NAT_PIN_BY_FILE ||
	    (port != PCP_PORT && port != PCP_CLIENT_PORT);
}

static bool
suits(
    const struct nat *nat, const struct nat_pin *pin, const struct nat_end *end)
{
	return (!pin->exact || pin->out_port == 0 ||
		   end->port == pin->out_port) &&
	    nat_pin_may_have(pin, (uint16_t)end->port) &&
	    (!pin->pair || pair_is_free(nat, pin, end));
}

/* May an inside host have an end at an address? */
static bool
is_open(const struct nat *nat, uint32_t address, uint32_t in_ip)
{
	uint32_t owner = nat->addresses.of[address]->inside_ip;

	return owner == 0 || owner == in_ip;
}

struct nat_end
nat_choose_for_pin(
    struct nat *nat, const struct nat_pin *pin, const struct nat_flow *flow)
{
	struct nat_port_wish wish = wish_for(nat, flow, pin->out_port);
	struct nat_end end = { 0, -1 };
	struct nat_ports *ports;
	int32_t own = nat_addresses_own(&nat->addresses, flow->ip), address;

	address = pin->out_ip != 0
	    ? nat_addresses_find(&nat->addresses, pin->out_ip)
	    : own;
	/* Who has an address of its own asks for no other. */
	if (address >= 0 &&
	    (!is_open(nat, (uint32_t)address, flow->ip) ||
		(own >= 0 && address != own && pin->by != NAT_PIN_BY_FILE))) {
		if (pin->exact)
			return end;
		address = own;
	}
	if (address < 0)
		address = own; /* what was wanted is none of the NAT's */
	if (address < 0)
		address = choose_address(nat, flow, &wish);
	if (address < 0 ||
	    (nat->rules.ports == NAT_PORTS_BLOCKS && address != own &&
		pin->by != NAT_PIN_BY_FILE && !wish_in_block(nat, flow, &wish)))
		return end;
	end.address = (uint32_t)address;
	ports = ports_of(nat, end.address, pin->protocol);
	for (int i = 0; i < PAIR_GUESSES; i++) {
		end.port = nat_ports_take(ports, &wish, &nat->random);
		if (end.port < 0 || suits(nat, pin, &end))
			return end;
		nat_ports_give(ports, (uint16_t)end.port);
		if (pin->exact)
			break;
		wish.exact = false;
	}
	end.port = -1;
	return end;
}
