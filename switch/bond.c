/*
 * Flows fall into BOND_BUCKETS, and each bucket belongs to a wire that sends.
 * When one comes or goes, as few buckets as can be move so that all have their
 * share; LACP's marker protocol, which would wait for what is under way, is not
 * spoken: a cable's delay can put frames of those flows out of order then.
 * Rejected: the hash modulo the number of wires, where one that is cut moves
 * nearly all flows.
 */
#include "switch/bond.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "switch/switch_state.h"

struct switch_port *
bond_wire(const struct switch_port *bond, const struct frame *frame)
{
	const struct bond *b = bond->bond;

	if (b->nsending <= 1)
		return b->bucket[0];
	return b->bucket[flow_hash(&b->hash, frame->data, frame->head) %
	    BOND_BUCKETS];
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

/* How many buckets a wire may have, the first few one more than the rest. */
static unsigned int
share_of(const struct bond *b, unsigned int i)
{
	return BOND_BUCKETS / b->nsending + (i < BOND_BUCKETS % b->nsending);
}

/* Gives each wire that sends its share, and moves no bucket without need. */
static void
share_out(struct bond *b)
{
	unsigned int has[BOND_WIRES_MAX] = { 0 }, to = 0;

	for (unsigned int k = 0; k < BOND_BUCKETS; k++) {
		unsigned int i = 0;

		while (i < b->nsending && b->wire[i] != b->bucket[k])
			i++;
		if (i == b->nsending || has[i] == share_of(b, i))
			b->bucket[k] = NULL;
		else
			has[i]++;
	}
	for (unsigned int k = 0; k < BOND_BUCKETS && b->nsending > 0; k++) {
		if (b->bucket[k] != NULL)
			continue;
		while (has[to] == share_of(b, to))
			to++;
		b->bucket[k] = b->wire[to];
		has[to]++;
	}
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
	/* In the order of the ports, so that two runs agree. */
	for (unsigned int i = 1; i < b->nsending; i++)
		for (unsigned int k = i;
		     k > 0 && b->wire[k]->index < b->wire[k - 1]->index; k--) {
			struct switch_port *other = b->wire[k];

			b->wire[k] = b->wire[k - 1];
			b->wire[k - 1] = other;
		}
	share_out(b);
	bridge_port_link(bond, b->nsending > 0);
}

struct port *
switch_add_bond(struct lan_switch *sw, const char *name,
    const struct flow_options *hash, struct err *err)
{
	struct bond *b = calloc(1, sizeof(*b));
	struct switch_port *bond =
	    b == NULL ? NULL : port_create(sw, name, err);

	if (bond == NULL) {
		free(b);
		err_sys(err, -ENOMEM, NULL, "%s", name);
		return NULL;
	}
	b->hash = *hash;
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
