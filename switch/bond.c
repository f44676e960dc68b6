/*
 * The wires of a bond that send come first in its list, so that a frame's wire
 * is its hash modulo their number.  When one comes or goes, flows move to other
 * wires; LACP's marker protocol, which would wait for what is under way, is not
 * spoken: a cable's delay can put frames of one flow out of order then.
 */
#include "switch/switch_state.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define HASH_BYTES 128 /* of a frame, as far as headers are looked at */

/* ---- flows ---- */

static uint64_t
mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 32;
}

static uint64_t
mix_bytes(uint64_t h, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i + 4 <= n; i += 4)
		h = mix(h, get_be32(bytes + i));
	return h;
}

/* The same for all fragments of a packet: they have no ports to look at. */
static uint64_t
hash_ip4(uint64_t h, struct cursor *c, enum bond_hash what)
{
	const uint8_t *ip = cur_bytes(c, 20);
	uint16_t fragment;

	if (ip == NULL)
		return h;
	h = mix_bytes(h, ip + 12, 8);
	fragment = get_be16(ip + 6);
	if (what != BOND_HASH_L3L4 || (fragment & 0x3fff) != 0 ||
	    (ip[9] != 6 && ip[9] != 17))
		return h;
	cur_skip(c, (size_t)(ip[0] & 0xf) * 4 - 20);
	ip = cur_bytes(c, 4);
	return ip != NULL ? mix_bytes(h, ip, 4) : h;
}

static uint64_t
hash_ip6(uint64_t h, struct cursor *c, enum bond_hash what)
{
	const uint8_t *ip = cur_bytes(c, 40);
	const uint8_t *ports;

	if (ip == NULL)
		return h;
	h = mix_bytes(h, ip + 8, 32);
	if (what != BOND_HASH_L3L4 || (ip[6] != 6 && ip[6] != 17))
		return h;
	ports = cur_bytes(c, 4);
	return ports != NULL ? mix_bytes(h, ports, 4) : h;
}

static uint64_t
flow_of(const struct frame *frame, enum bond_hash what)
{
	uint8_t bytes[HASH_BYTES];
	size_t n = frame->head < sizeof(bytes) ? frame->head : sizeof(bytes);
	struct cursor c;
	uint16_t type;
	uint64_t h;

	if (n < ETH_HEADER_BYTES)
		return 0;
	memcpy(bytes, frame->data, n);
	h = mix_bytes(1, bytes, 12);
	c = cursor(bytes + 12, n - 12);
	type = cur_be16(&c);
	for (int i = 0; i < ETH_MAX_VLANS; i++) {
		if (type != ETH_VLAN && type != ETH_QINQ)
			break;
		h = mix(h, cur_be16(&c) & 0xfff);
		type = cur_be16(&c);
	}
	if (what == BOND_HASH_L2)
		return h;
	if (type == ETH_IPV4)
		return hash_ip4(h, &c, what);
	return type == ETH_IPV6 ? hash_ip6(h, &c, what) : h;
}

struct switch_port *
bond_wire(const struct switch_port *bond, const struct frame *frame)
{
	const struct bond *b = bond->bond;

	if (b->nsending == 0)
		return NULL;
	if (b->nsending == 1)
		return b->wire[0];
	return b->wire[(flow_of(frame, b->hash) >> 16) % b->nsending];
}

void
bond_send(const struct switch_port *bond, struct burst *out)
{
	struct switch_port *wire[BURST_MAX];

	for (unsigned int i = 0; i < out->n; i++)
		wire[i] = bond_wire(bond, &out->frame[i]);
	for (unsigned int i = 0; i < out->n; i++) {
		struct switch_port *to = wire[i];
		struct burst part;

		if (to == NULL)
			continue;
		burst_clear(&part);
		for (unsigned int k = i; k < out->n; k++) {
			if (wire[k] != to)
				continue;
			wire[k] = NULL;
			part.flags |= out->frame[k].flags;
			part.frame[part.n++] = out->frame[k];
		}
		port_send(&to->port, &part);
	}
}

/* ---- members ---- */

static bool
sends(const struct switch_port *wire)
{
	return wire->distributing && wire->linked;
}

/* Puts those that send first, and sets the bond's link. */
void
bond_link_changed(struct switch_port *bond)
{
	struct bond *b = bond->bond;
	struct switch_port *idle[BOND_WIRES_MAX];
	unsigned int n = 0, nidle = 0;

	for (unsigned int i = 0; i < b->nwires; i++)
		if (sends(b->wire[i]))
			b->wire[n++] = b->wire[i];
		else
			idle[nidle++] = b->wire[i];
	b->nsending = n;
	for (unsigned int i = 0; i < nidle; i++)
		b->wire[n++] = idle[i];
	/* In the order of the ports, so that both ends and two runs agree. */
	for (unsigned int i = 1; i < b->nsending; i++)
		for (unsigned int k = i;
		     k > 0 && b->wire[k]->index < b->wire[k - 1]->index; k--) {
			struct switch_port *other = b->wire[k];

			b->wire[k] = b->wire[k - 1];
			b->wire[k - 1] = other;
		}
	bridge_port_link(bond, b->nsending > 0);
}

struct port *
switch_add_bond(struct lan_switch *sw, const char *name, enum bond_hash hash,
    struct err *err)
{
	struct bond *b = calloc(1, sizeof(*b));
	struct switch_port *bond =
	    b == NULL ? NULL : port_create(sw, name, err);

	if (bond == NULL) {
		free(b);
		err_sys(err, -ENOMEM, NULL, "%s", name);
		return NULL;
	}
	b->hash = hash;
	bond->bond = b;
	port_flags(bond, PORT_BOND, 0);
	protocol_added(bond, false);
	return &bond->port;
}

int
switch_bond_join(struct port *bond_port, struct port *wire_port)
{
	struct switch_port *bond = switch_port_of(bond_port);
	struct switch_port *wire = switch_port_of(wire_port);
	struct bond *b = bond->bond;

	assert(b != NULL && wire->bond == NULL && bond->sw == wire->sw);
	assert(bond->sw->busy == 0);
	if (wire->flags & PORT_MEMBER)
		return -EBUSY;
	if (b->nwires == BOND_WIRES_MAX)
		return -ENOSPC;
	bridge_port_link(wire, false);
	protocol_removed(wire, false);
	port_flags(wire, PORT_MEMBER, 0);
	wire->lead = bond;
	wire->collecting = wire->distributing = false;
	b->wire[b->nwires++] = wire;
	return 0;
}

void
switch_bond_leave(struct port *wire_port)
{
	struct switch_port *wire = switch_port_of(wire_port);
	struct switch_port *bond = wire->lead;
	struct bond *b = bond->bond;
	unsigned int at = 0;

	if (!(wire->flags & PORT_MEMBER))
		return;
	assert(bond->sw->busy == 0);
	while (b->wire[at] != wire)
		at++;
	b->nwires--;
	memmove(&b->wire[at], &b->wire[at + 1],
	    (b->nwires - at) * sizeof(b->wire[0]));
	wire->lead = wire;
	wire->collecting = wire->distributing = false;
	port_flags(wire, 0, PORT_MEMBER);
	bond_link_changed(bond);
	protocol_added(wire, false);
	bridge_port_link(wire, wire->linked);
}

void
switch_bond_use(struct port *wire_port, bool collect, bool distribute)
{
	struct switch_port *wire = switch_port_of(wire_port);

	if (!(wire->flags & PORT_MEMBER))
		return;
	wire->collecting = collect;
	wire->distributing = distribute;
	bond_link_changed(wire->lead);
}

void
bond_dissolve(struct switch_port *bond)
{
	while (bond->bond->nwires > 0)
		switch_bond_leave(&bond->bond->wire[0]->port);
	free(bond->bond);
	bond->bond = NULL;
}
