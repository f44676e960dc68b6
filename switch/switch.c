/*
 * Ports of a switch: how they come and go, and what is set on them.  Each thing
 * that is set has a flag, and a port without flags takes the short way
 * (forward.c).  nup and nspecial, which count bridge ports, tell a flood
 * without looking at each port where it goes.
 *
 * The switch's own address is pinned to a port that does not exist, so that on
 * the short way a frame that comes back is found by what is looked up anyway.
 */
#include "switch/switch.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "switch/switch_state.h"

/* ---- flags and links ---- */

/* Is it one of those that floods look at? */
static bool
is_bridge_port(const struct switch_port *port)
{
	return port->lead == port;
}

void
port_flags(struct switch_port *port, uint32_t set, uint32_t clear)
{
	struct lan_switch *sw = port->sw;

	sw->nspecial -= port->flags != 0;
	port->flags = (port->flags & ~clear) | set;
	sw->nspecial += port->flags != 0;
}

void
bridge_port_link(struct switch_port *port, bool up)
{
	struct lan_switch *sw = port->sw;

	if (port->up == up || !is_bridge_port(port))
		return;
	port->up = up;
	if (up) {
		sw->nup++;
	} else {
		sw->nup--;
		fdb_forget_port(sw->fdb, port->index, NULL, NULL);
	}
	guard_link_changed(port);
	protocol_link(port, false, up);
}

static void
link_changed(struct port *port, bool up)
{
	struct switch_port *p = (struct switch_port *)port;

	if (p->linked == up)
		return;
	p->linked = up;
	protocol_link(p, true, up);
	if (p->flags & PORT_MEMBER)
		bond_link_changed(p->lead);
	else
		bridge_port_link(p, up);
}

static const char *
describe(const struct port *port, char *out, size_t len)
{
	return switch_describe(port, out, len);
}

static const struct port_ops switch_port_ops = {
	.take = switch_take,
	.link = link_changed,
	.describe = describe,
};

struct lan_switch *
switch_of(const struct port *port)
{
	return port->ops == &switch_port_ops ? switch_port_of(port)->sw : NULL;
}

/* ---- ports ---- */

/* An index for a new port, with room in both tables, or -Exxx. */
static int
free_index(struct lan_switch *sw)
{
	struct switch_port **port;
	unsigned int i = 0;

	while (i < sw->nports && sw->port[i] != NULL)
		i++;
	if (i < sw->nports)
		return (int)i;
	if (i == FDB_PORTS_MAX)
		return -ENOSPC;
	port = reallocarray(sw->port, i + 1, sizeof(port[0]));
	if (port == NULL)
		return -ENOMEM;
	sw->port = port;
	if (fdb_ports(sw->fdb, i + 1) < 0)
		return -ENOMEM;
	port[i] = NULL;
	sw->nports = i + 1;
	return (int)i;
}

static void
port_set_up(struct lan_switch *sw, struct switch_port *p, const char *name,
    unsigned int index)
{
	port_init(&p->port, &switch_port_ops, &sw->node, name);
	p->sw = sw;
	p->lead = p;
	p->index = (uint16_t)index;
	p->learns = p->forwards = UINT64_MAX;
	if (sw->nvlan_ports > 0)
		port_flags(p, PORT_VLANS, 0);
	sw->port[index] = p;
}

struct switch_port *
port_create(struct lan_switch *sw, const char *name, struct err *err)
{
	struct switch_port *p;
	int index = free_index(sw);

	if (index == -ENOSPC) {
		err_set(err, index,
		    "%s: a switch has no more than %d ports; "
		    "use another switch",
		    name, FDB_PORTS_MAX - 1);
		return NULL;
	}
	p = index < 0 ? NULL : calloc(1, sizeof(*p));
	if (p == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", name);
		return NULL;
	}
	port_set_up(sw, p, name, (unsigned int)index);
	mirror_flags(sw);
	return p;
}

struct port *
switch_add_port(struct lan_switch *sw, const char *name, struct err *err)
{
	struct switch_port *p = port_create(sw, name, err);

	if (p == NULL)
		return NULL;
	protocol_added(p, true);
	protocol_added(p, false);
	return &p->port;
}

void
switch_remove_port(struct lan_switch *sw, struct port *port)
{
	static const struct vlan_options none = { .mode = VLAN_TRANSPARENT };
	struct switch_port *p = (struct switch_port *)port;

	assert(sw->busy == 0);
	cable_cut(port);
	switch_bond_leave(port);
	if (p->bond != NULL)
		bond_dissolve(p);
	else
		protocol_removed(p, true);
	protocol_removed(p, false);
	mirror_forget_port(sw, p);
	switch_set_vlan(port, &none);
	port_flags(p, 0, UINT32_MAX);
	fdb_remove_port(sw->fdb, p->index);
	sw->port[p->index] = NULL;
	free(p);
}

/* ---- what is set on them ---- */

int
switch_pin(struct port *port, const struct mac *mac, uint16_t vlan)
{
	const struct switch_port *p = switch_port_of(port)->lead;

	return fdb_pin(p->sw->fdb, mac, vlan, p->index);
}

int
switch_unpin(struct port *port, const struct mac *mac, uint16_t vlan)
{
	const struct switch_port *p = switch_port_of(port)->lead;

	return fdb_unpin(p->sw->fdb, mac, vlan);
}

int
switch_limit_macs(
    struct port *port, uint32_t max, enum mac_reaction reaction, bool sticky)
{
	struct switch_port *p = switch_port_of(port);
	struct fdb *fdb = p->sw->fdb;
	int e = fdb_limit(fdb, p->index, max, reaction == MAC_EVICT);

	if (e < 0)
		return e;
	p->reaction = reaction;
	p->max_macs = max;
	p->sticky = sticky;
	fdb_set_sticky(fdb, p->index, sticky, loop_now_ns(p->sw->loop));
	return 0;
}

/* Takes down the ports that had one address too many; not within a take(). */
static void
shut_ports(void *arg)
{
	struct lan_switch *sw = arg;

	for (unsigned int i = 0; i < sw->nports; i++) {
		struct switch_port *p = sw->port[i];

		if (p == NULL || !p->over_limit)
			continue;
		p->over_limit = false;
		log_warn("%s: more addresses than the port may have; its link "
			 "is down until it is set up",
		    p->port.name);
		port_set_down(&p->port, true);
	}
}

void
switch_limit_storm(
    struct port *port, enum storm_class of, uint32_t frames_per_s)
{
	struct switch_port *p = switch_port_of(port);
	bool any = false;

	if (p->storm[of].rate == frames_per_s)
		return;
	p->storm[of] = (struct storm){ .rate = frames_per_s,
		.saved_ns = NS_PER_S,
		.at_ns = loop_now_ns(p->sw->loop) };
	for (unsigned int i = 0; i < STORM_CLASSES; i++)
		any |= p->storm[i].rate != 0;
	port_flags(p, any ? PORT_STORMS : 0, any ? 0 : PORT_STORMS);
}

void
switch_set_isolated(struct port *port, bool isolated)
{
	port_flags(switch_port_of(port), isolated ? PORT_ISOLATED : 0,
	    isolated ? 0 : PORT_ISOLATED);
}

void
switch_set_mtu(struct port *port, uint32_t bytes)
{
	struct switch_port *p = switch_port_of(port);

	p->mtu = bytes;
	port_flags(p, bytes != 0 ? PORT_MTU : 0, bytes != 0 ? 0 : PORT_MTU);
	protocol_set(p);
}

uint32_t
switch_mtu(const struct port *port)
{
	return switch_port_of(port)->mtu;
}

void
switch_get_limits(const struct port *port, struct switch_limits *limits)
{
	const struct switch_port *p = switch_port_of(port);

	*limits = (struct switch_limits){
		.max_macs = p->max_macs,
		.mtu = p->mtu,
		.reaction = p->reaction,
		.sticky = p->sticky,
		.isolated = (p->flags & PORT_ISOLATED) != 0,
	};
	for (int i = 0; i < STORM_CLASSES; i++)
		limits->storm[i] = p->storm[i].rate;
}

/* ---- the switch ---- */

/* Guests must not be able to guess the key; runs in virtual time are alike. */
static uint64_t
hash_key(const struct loop *loop, const char *name)
{
	struct mac mac = mac_of_name(name);
	uint64_t key = 0;

	if (loop_clock(loop) == LOOP_REAL &&
	    getrandom(&key, sizeof(key), GRND_NONBLOCK) == sizeof(key))
		return key;
	memcpy(&key, &mac, sizeof(mac));
	return key;
}

struct lan_switch *
switch_new(struct loop *loop, const char *name,
    const struct switch_options *options, struct err *err)
{
	uint64_t age_ns = options->age_ns;
	uint32_t max = options->max_macs;
	struct lan_switch *sw;

	if (max > SWITCH_MACS_MAX) {
		err_set(err, -EINVAL,
		    "%s: an address table of %u is too large; use 1 to %d",
		    name, max, SWITCH_MACS_MAX);
		return NULL;
	}
	sw = calloc(1, sizeof(*sw));
	if (sw == NULL)
		goto fail;
	node_init(&sw->node, name);
	sw->loop = loop;
	sw->mac = mac_of_name(name);
	sw->reserved_forward = options->reserved;
	sw->guard_unwanted = options->no_guard;
	loop_defer_init(&sw->shut, loop, shut_ports, sw);
	guard_init(sw, hash_key(loop, name), options->no_guard);
	/* one more for its own address */
	sw->fdb = fdb_new((max != 0 ? max : SWITCH_MACS) + 1,
	    age_ns != 0 ? age_ns : SWITCH_AGE_S * NS_PER_S,
	    hash_key(loop, name));
	if (sw->fdb == NULL || free_index(sw) != SELF_INDEX ||
	    fdb_pin(sw->fdb, &sw->mac, 0, SELF_INDEX) < 0)
		goto fail;
	port_set_up(sw, &sw->self, name, SELF_INDEX);
	sw->self.flags = PORT_SELF; /* not counted as special */
	return sw;
fail:
	if (sw != NULL) {
		fdb_free(sw->fdb);
		free(sw->port);
	}
	free(sw);
	err_sys(err, -ENOMEM, NULL, "%s", name);
	return NULL;
}

void
switch_free(struct lan_switch *sw)
{
	if (sw == NULL)
		return;
	assert(sw->protocols == NULL);
	for (unsigned int i = SELF_INDEX + 1; i < sw->nports; i++)
		if (sw->port[i] != NULL)
			switch_remove_port(sw, &sw->port[i]->port);
	guard_free(sw);
	loop_defer_cancel(&sw->shut);
	later_free(sw);
	free(sw->tree_of);
	free(sw->port);
	fdb_free(sw->fdb);
	free(sw);
}

struct node *
switch_node(struct lan_switch *sw)
{
	return &sw->node;
}

struct mac_walk {
	const struct lan_switch *sw;
	void (*each)(
	    void *arg, const struct fdb_row *row, const struct port *port);
	void *arg;
};

static void
walk_mac(void *arg, const struct fdb_row *row)
{
	const struct mac_walk *walk = arg;

	if (row->port != SELF_INDEX)
		walk->each(walk->arg, row, &walk->sw->port[row->port]->port);
}

void
switch_each_mac(const struct lan_switch *sw,
    void (*each)(void *arg, const struct fdb_row *row, const struct port *port),
    void *arg)
{
	struct mac_walk walk = { sw, each, arg };

	fdb_each(sw->fdb, loop_now_ns(sw->loop), walk_mac, &walk);
}
