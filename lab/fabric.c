#include "lab/fabric.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/bridging.h"
#include "lab/cabling.h"
#include "lab/nat_keys.h"
#include "lab/nearest.h"
#include "lab/outside.h"
#include "lab/port_kinds.h"
#include "lab/serving.h"
#include "lab/tree.h"
#include "switch/protocol.h"

#define CLIENT_PROBE_NS NS_PER_S

/* Seeds follow from the lab's seed and names: FNV-1a, 64 bits. */
static uint64_t
seed_of(uint64_t seed, const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ seed;

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	return h;
}

/* ---- cables ---- */

/* The cable is named after a; its seed follows from that. */
static int
join(struct fabric *f, struct port *a, struct port *b, uint64_t seed,
    struct err *err)
{
	int e = cable_join(a, b);
	struct cable *cable;

	if (e < 0)
		return err_set(err, e, "%s, %s: cannot be joined: %s", a->name,
		    b->name, strerror(-e));
	cable = cable_new(f->loop, a, b, a->name, seed_of(seed, a->name), err);
	if (cable == NULL)
		return -ENOMEM;
	assert(f->ncables < f->max_cables);
	f->cable[f->ncables] = cable;
	f->cables[f->ncables][0] = a;
	f->cables[f->ncables++][1] = b;
	return 0;
}

/* The place of a lab_port's port in f->ports. */
static struct port **
slot_of(struct fabric *f, const struct lab_port *port)
{
	for (unsigned int i = 0; i < f->lab->nports; i++)
		if (f->lab->ports[i] == port)
			return &f->ports[i];
	assert(false);
	return NULL;
}

/* Plugs a port of a node into its switch, or into its peer. */
static int
plug_in(struct fabric *f, unsigned int i, uint64_t seed, struct err *err)
{
	const struct lab_port *lp = f->lab->ports[i];
	char name[NODE_NAME_BYTES];
	struct port *port;
	size_t sw;
	int e;

	if (lp->peer != NULL) {
		/* Both ends must be there: the second one does it. */
		for (unsigned int k = 0; k < i; k++)
			if (f->lab->ports[k] == lp->peer)
				return join(
				    f, f->ports[k], f->ports[i], seed, err);
		return 0;
	}
	/* Names are at most LAB_NAME_MAX letters each. */
	snprintf(
	    name, sizeof(name), "%.20s.%.41s", lp->sw->item.name, lp->full);
	sw = (size_t)(lp->sw - f->lab->switches);
	port = switch_add_port(f->switches[sw], name, err);
	if (port == NULL)
		return -ENOMEM;
	e = switch_control_plug(&f->controls[sw], port, lp, err);
	return e < 0 ? e : join(f, f->ports[i], port, seed, err);
}

/* What the lab file says about a port's cable, and the switch's end of it. */
static int
set_port(struct fabric *f, unsigned int i, struct err *err)
{
	const struct lab_port *lp = f->lab->ports[i];
	struct cabling_change change = { .rules = lp->rules };

	for (int way = 0; way < WIRE_DIRECTIONS; way++)
		change.wire[way] = lp->wire[way];
	return cabling_change(f->ports[i], &change, err);
}

/* ---- uplinks ---- */

static struct port *
add_end(struct fabric *f, const struct lab_switch *at,
    const struct lab_switch *to, const struct lab_bond *bond, uint64_t number,
    struct err *err)
{
	size_t sw = (size_t)(at - f->lab->switches);
	char name[NODE_NAME_BYTES];
	struct port *port = switch_add_port(
	    f->switches[sw], lab_uplink_name(name, at, to, number), err);

	if (port == NULL ||
	    switch_control_bond(&f->controls[sw], port, bond, 0, err) < 0)
		return NULL;
	return port;
}

static int
join_uplink(struct fabric *f, const struct lab_switch *sw,
    const struct lab_uplink *link, uint64_t number, uint64_t seed,
    struct err *err)
{
	struct cabling_change change = { .rules = link->rules };
	struct port *here = add_end(f, sw, link->up, link->bond, number, err);
	struct port *there = here == NULL
	    ? NULL
	    : add_end(f, link->up, sw, link->far_bond, number, err);
	int e;

	if (there == NULL)
		return -ENOMEM;
	for (int way = 0; way < WIRE_DIRECTIONS; way++)
		change.wire[way] = link->wire[way];
	e = join(f, here, there, seed, err);
	if (e == 0)
		e = cabling_change(here, &change, err);
	return e < 0 ? e : rules_change(rules_port(there), &link->rules, err);
}

static int
join_uplinks(struct fabric *f, unsigned int i, uint64_t seed, struct err *err)
{
	const struct lab_switch *sw = &f->lab->switches[i];
	int e = 0;

	for (unsigned int k = 0; k < sw->nuplinks; k++)
		for (uint64_t n = 1; n <= sw->uplinks[k].cables && e == 0; n++)
			e = join_uplink(f, sw, &sw->uplinks[k], n, seed, err);
	return e;
}

/* ---- mirrors ---- */

/* The ports of sw that a name in a mirror means: of what is plugged in, or of
 * all cables to another switch. */
static void
add_named(const struct fabric *f, const struct lab_switch *sw,
    const struct lab_texts *names, struct port_set *set)
{
	const struct lan_switch *at = f->switches[sw - f->lab->switches];

	for (unsigned int i = 0; i < names->n; i++) {
		const char *name = names->list[i].text;
		const struct lab_switch *other = lab_switch(f->lab, name);
		const struct port *port = fabric_port(f, name);

		if (other == NULL) {
			port_set_add(set, switch_port_index(port->peer));
			continue;
		}
		for (unsigned int c = 0; c < f->ncables; c++)
			for (int k = 0; k < 2; k++)
				if (switch_of(f->cables[c][k]) == at &&
				    switch_of(f->cables[c][!k]) ==
					f->switches[other - f->lab->switches])
					port_set_add(set,
					    switch_port_index(f->cables[c][k]));
	}
}

static int
add_mirrors(struct fabric *f, unsigned int i, struct err *err)
{
	const struct lab_switch *sw = &f->lab->switches[i];

	for (unsigned int k = 0; k < sw->nmirrors; k++) {
		const struct lab_mirror *m = &sw->mirrors[k];
		struct mirror_options options = {
			.vlan = (uint16_t)m->vlan,
			.to = fabric_port(f, m->to)->peer,
		};
		int e;

		add_named(f, sw, &m->of, &options.in);
		add_named(f, sw, &m->of, &options.out);
		add_named(f, sw, &m->in, &options.in);
		add_named(f, sw, &m->out, &options.out);
		e = switch_add_mirror(f->switches[i], &options);
		if (e < 0)
			return err_set(err, e,
			    "%s: mirror \"%s\" cannot show at %s",
			    sw->item.name, m->item.name, m->to);
	}
	return 0;
}

/* ---- spanning trees ---- */

static int
add_tree(struct fabric *f, unsigned int i, struct err *err)
{
	const struct lab_stp *stp = &f->lab->switches[i].stp;
	struct stp_options options;
	int e;

	if (stp->item.node == NULL)
		return 0;
	e = tree_options(&options, stp, err);
	if (e < 0)
		return e;
	f->trees[i] = stp_switch_new(f->switches[i], &options, err);
	return f->trees[i] == NULL ? -ENOMEM : 0;
}

/* What the lab file says of a switch's port, or NULL. */
static const struct lab_stp_port *
says_of(const struct lab_stp *stp, const char *to)
{
	for (unsigned int i = 0; i < stp->nports; i++)
		if (strcmp(stp->ports[i].to, to) == 0)
			return &stp->ports[i];
	return NULL;
}

/* Of the end of a cable, if it is in a tree. */
static int
set_tree_port(struct fabric *f, struct port *end, struct err *err)
{
	int i = fabric_switch_of(f, end);
	struct port *port;
	struct stp_port_options options;
	const struct lab_switch *sw;
	const char *to;
	int e;

	if (i < 0 || f->trees[i] == NULL)
		return 0;
	sw = &f->lab->switches[i];
	port = switch_bridge_port(end); /* a bond is one to the tree */
	to = port->name + strlen(sw->item.name) + 1;
	e = tree_port_options(&options, &sw->stp, says_of(&sw->stp, to),
	    lab_port(f->lab, to), err);
	if (e == 0)
		stp_switch_set_port(f->trees[i], port, &options);
	return e;
}

static int
set_tree_ports(struct fabric *f, struct err *err)
{
	int e = 0;

	for (unsigned int i = 0; i < f->ncables && e == 0; i++)
		for (unsigned int k = 0; k < 2 && e == 0; k++)
			e = set_tree_port(f, f->cables[i][k], err);
	return e;
}

/* ---- nodes ---- */

/* "01:80:c2:00:00:0e" is bit 14. */
static uint16_t
reserved_of(const struct lab_switch *sw)
{
	uint16_t bits = 0;

	for (unsigned int i = 0; i < sw->forward.n; i++) {
		struct mac mac = { { 0 } };

		mac_read(&mac, sw->forward.list[i].text);
		bits |= (uint16_t)(1 << (mac.b[5] & 0xf));
	}
	return bits;
}

static int
add_switch(struct fabric *f, unsigned int i, struct err *err)
{
	const struct lab_switch *sw = &f->lab->switches[i];
	const struct switch_options options = {
		.age_ns = sw->ageing_ns,
		.max_macs = (uint32_t)sw->macs,
		.reserved = reserved_of(sw),
		.no_guard = !sw->loop_guard,
	};
	int e;

	f->switches[i] = switch_new(f->loop, sw->item.name, &options, err);
	if (f->switches[i] == NULL)
		return -ENOMEM;
	e = switch_control_init(&f->controls[i], f->switches[i], sw, err);
	return e < 0 ? e : add_tree(f, i, err);
}

static int
set_nat(struct fabric *f, struct router *router, const struct lab_nat *nat,
    struct err *err)
{
	struct router_nat_options options;
	int e;

	if (nat->item.node == NULL)
		return 0;
	options = (struct router_nat_options){
		.outside = *slot_of(f, nat->out),
		.max_entries = (uint32_t)nat->limit,
		.rules = nat_rules_default,
		.nat64 = nat->nat64,
	};
	e = nat_keys_apply(&nat->rules, &options.rules, err);
	return e < 0 ? e : outside_make(router, nat, &options, err);
}

static int
add_route(struct fabric *f, struct router *router,
    const struct lab_route *route, struct err *err)
{
	if (route->to.family == ANY_IP4)
		return router_add_route(
		    router, route->to.ip4, route->via.ip4, err);
	return router_add_route6(router, &route->to.ip6, &route->via.ip6,
	    route->port != NULL ? *slot_of(f, route->port) : NULL, err);
}

/* How long a port asks for what it is given. */
static uint64_t
client_probe_ns(const struct lab_port *port)
{
	return yaml_get(port->item.node, "dhcp-probe") != NULL
	    ? port->probe_ns
	    : CLIENT_PROBE_NS;
}

static int
add_router(struct fabric *f, unsigned int i, uint64_t seed, struct err *err)
{
	const struct lab_router *lr = &f->lab->routers[i];
	struct router *router = router_new(
	    f->loop, lr->item.name, seed_of(seed, lr->item.name), err);
	int e = 0;

	f->routers[i] = router;
	if (router == NULL)
		return -ENOMEM;
	for (unsigned int k = 0; k < lr->nports && e == 0; k++) {
		const struct lab_port *lp = &lr->ports[k];
		struct router_port_options options = {
			.mac = lp->mac,
			.address = lp->address,
			.instead = lp->instead,
			.dhcp = lp->by_dhcp,
			.hostname = lr->item.name,
			.dhcp_probe_ns = client_probe_ns(lp),
			.mtu_bytes = (uint32_t)lp->mtu,
			.mss_clamp = lp->mss_clamp,
			.proxy_arp = lp->proxy_arp,
			.no_redirects = !lp->redirects,
			.no_errors = !lp->icmp_errors,
			.naddresses6 = lp->address6.n,
			.no_dad = lp->dad == 0,
			.dad_transmits = (uint8_t)lp->dad,
		};
		struct port *port;

		memcpy(options.address6, lp->address6.net,
		    sizeof(options.address6));
		port = router_add_port(router, lp->full, &options, err);
		if (port == NULL)
			return -EINVAL;
		*slot_of(f, lp) = port;
		e = serving_dhcp(router, port, lp, err);
		if (e == 0)
			e = serving_ra(router, port, lp, err);
	}
	for (unsigned int k = 0; k < lr->nroutes && e == 0; k++)
		e = add_route(f, router, &lr->routes[k], err);
	if (e == 0)
		e = serving_filter(f, lr, router, err);
	if (e == 0)
		e = serving_outside6(f, lr, router, err);
	if (e == 0)
		e = serving_dns(&f->serving[i], f, lr, router, err);
	if (e == 0)
		e = set_nat(f, router, &lr->nat, err);
	return e < 0 ? e : serving_pcp(lr, router, err);
}

static int
add_host(struct fabric *f, unsigned int i, uint64_t seed, struct err *err)
{
	const struct lab_host *lh = &f->lab->hosts[i];
	struct traffic_options options = {
		.mac = lh->port.mac,
		.address = lh->port.address,
		.gateway = lh->port.gateway,
		.seed = seed_of(seed, lh->item.name),
	};

	if (lh->send.item.node != NULL) {
		options.kind = (enum traffic_kind)lh->send.protocol;
		options.to = lh->send.to;
		options.sport = (uint16_t)lh->send.source_port;
		options.dport = (uint16_t)lh->send.port;
		options.frame_bytes = (uint32_t)lh->send.frame_bytes;
		options.interval_ns = lh->send.every_ns;
		options.count = lh->send.count;
		options.start_ns = lh->send.start_ns;
	}
	f->hosts[i] =
	    traffic_new(f->loop, lh->item.name, lh->port.full, &options, err);
	if (f->hosts[i] == NULL)
		return -ENOMEM;
	*slot_of(f, &lh->port) = traffic_port(f->hosts[i]);
	return 0;
}

static int
add_vm(struct fabric *f, unsigned int i, const char *sockets, struct err *err)
{
	const struct lab_vm *vm = &f->lab->vms[i];
	struct node *node = &f->outside[i];

	node_init(node, vm->item.name);
	for (unsigned int k = 0; k < vm->nports; k++) {
		char locator[256];
		struct port *port;

		if ((size_t)snprintf(locator, sizeof(locator),
			"vhost-user:%s/%s.sock", sockets,
			vm->ports[k].full) >= sizeof(locator))
			return err_set(err, -ENAMETOOLONG,
			    "%s: the path is too long for a socket; set "
			    "XDG_RUNTIME_DIR to a shorter one",
			    sockets);
		port = port_open(
		    port_kinds, f->loop, node, vm->ports[k].full, locator, err);
		if (port == NULL)
			return -EIO;
		*slot_of(f, &vm->ports[k]) = port;
	}
	return 0;
}

static int
add_plug(struct fabric *f, unsigned int i, struct err *err)
{
	const struct lab_plug *plug = &f->lab->plugs[i];
	struct node *node = &f->outside[f->lab->nvms + i];
	struct port *port;

	node_init(node, plug->item.name);
	port = port_open(
	    port_kinds, f->loop, node, plug->port.full, plug->locator, err);
	if (port == NULL)
		return -EIO;
	*slot_of(f, &plug->port) = port;
	return 0;
}

static int
add_bridge(struct fabric *f, unsigned int i, struct err *err)
{
	const struct lab_bridge *bridge = &f->lab->bridges[i];
	struct node *node = &f->outside[f->lab->nvms + f->lab->nplugs + i];
	struct port *port;

	node_init(node, bridge->item.name);
	port = bridging_open(f->loop, node, f->lab, bridge, err);
	if (port == NULL)
		return -EIO;
	*slot_of(f, &bridge->port) = port;
	return 0;
}

/* ---- all of it ---- */

static int
alloc_tables(struct fabric *f, struct err *err)
{
	const struct lab *lab = f->lab;

	f->max_cables = lab->nports;
	for (unsigned int i = 0; i < lab->nswitches; i++)
		for (unsigned int k = 0; k < lab->switches[i].nuplinks; k++)
			f->max_cables +=
			    (unsigned int)lab->switches[i].uplinks[k].cables;
	f->switches = calloc(lab->nswitches + 1, sizeof(f->switches[0]));
	f->trees = calloc(lab->nswitches + 1, sizeof(f->trees[0]));
	f->controls = calloc(lab->nswitches + 1, sizeof(f->controls[0]));
	f->routers = calloc(lab->nrouters + 1, sizeof(f->routers[0]));
	f->serving = calloc(lab->nrouters + 1, sizeof(f->serving[0]));
	f->hosts = calloc(lab->nhosts + 1, sizeof(f->hosts[0]));
	f->outside = calloc(
	    lab->nvms + lab->nplugs + lab->nbridges + 1, sizeof(f->outside[0]));
	f->ports = calloc(lab->nports + 1, sizeof(f->ports[0]));
	f->cables = calloc(f->max_cables + 1, sizeof(f->cables[0]));
	f->cable = calloc(f->max_cables + 1, sizeof(f->cable[0]));
	if (f->switches == NULL || f->trees == NULL || f->controls == NULL ||
	    f->routers == NULL || f->serving == NULL || f->hosts == NULL ||
	    f->outside == NULL || f->ports == NULL || f->cables == NULL ||
	    f->cable == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int
build(struct fabric *f, uint64_t seed, const char *sockets, struct err *err)
{
	const struct lab *lab = f->lab;
	int e = alloc_tables(f, err);

	for (unsigned int i = 0; i < lab->nswitches && e == 0; i++)
		e = add_switch(f, i, err);
	for (unsigned int i = 0; i < lab->nrouters && e == 0; i++)
		e = add_router(f, i, seed, err);
	for (unsigned int i = 0; i < lab->nhosts && e == 0; i++)
		e = add_host(f, i, seed, err);
	for (unsigned int i = 0; i < lab->nvms && e == 0; i++)
		e = add_vm(f, i, sockets, err);
	for (unsigned int i = 0; i < lab->nplugs && e == 0; i++)
		e = add_plug(f, i, err);
	for (unsigned int i = 0; i < lab->nbridges && e == 0; i++)
		e = add_bridge(f, i, err);
	for (unsigned int i = 0; i < lab->nports && e == 0; i++)
		e = plug_in(f, i, seed, err);
	for (unsigned int i = 0; i < lab->nswitches && e == 0; i++)
		e = join_uplinks(f, i, seed, err);
	for (unsigned int i = 0; i < lab->nports && e == 0; i++)
		e = set_port(f, i, err);
	for (unsigned int i = 0; i < lab->nswitches && e == 0; i++)
		e = add_mirrors(f, i, err);
	if (e == 0)
		e = set_tree_ports(f, err);
	return e;
}

struct fabric *
fabric_new(struct loop *loop, const struct lab *lab, uint64_t seed,
    const char *sockets, struct err *err)
{
	struct fabric *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	f->loop = loop;
	f->lab = lab;
	if (build(f, seed, sockets, err) == 0)
		return f;
	fabric_free(f);
	return NULL;
}

void
fabric_stop(struct fabric *f)
{
	for (unsigned int i = 0; i < f->lab->nswitches; i++)
		switch_control_stop(&f->controls[i]);
	/* Whose leases are kept comes back for its address. */
	for (unsigned int i = 0; i < f->lab->nrouters; i++) {
		if (f->lab->routers[i].leases == NULL)
			router_release(f->routers[i]);
		router_stop(f->routers[i]);
	}
}

void
fabric_free(struct fabric *f)
{
	const struct lab *lab;

	if (f == NULL)
		return;
	lab = f->lab;
	for (unsigned int i = 0; f->controls != NULL && i < lab->nswitches; i++)
		switch_control_free(&f->controls[i]);
	for (unsigned int i = 0; i < f->ncables; i++)
		cable_free(f->cable[i]);
	/* Ports to the outside are owned here, all others by their nodes. */
	for (unsigned int i = 0; f->ports != NULL && i < lab->nports; i++)
		if (lab->ports[i]->kind == LAB_VM ||
		    lab->ports[i]->kind == LAB_PLUG ||
		    lab->ports[i]->kind == LAB_BRIDGE)
			port_close(f->ports[i]);
	for (unsigned int i = 0; f->hosts != NULL && i < lab->nhosts; i++)
		traffic_free(f->hosts[i]);
	for (unsigned int i = 0; f->routers != NULL && i < lab->nrouters; i++)
		router_free(f->routers[i]);
	for (unsigned int i = 0; f->trees != NULL && i < lab->nswitches; i++)
		stp_switch_free(f->trees[i]);
	for (unsigned int i = 0; f->switches != NULL && i < lab->nswitches; i++)
		switch_free(f->switches[i]);
	free(f->switches);
	free(f->trees);
	free(f->controls);
	free(f->routers);
	free(f->serving);
	free(f->hosts);
	free(f->outside);
	free(f->ports);
	free(f->cables);
	free(f->cable);
	free(f);
}

/* ---- look-ups ---- */

struct port *
fabric_port(const struct fabric *f, const char *name)
{
	for (unsigned int i = 0; i < f->ncables; i++)
		for (unsigned int k = 0; k < 2; k++)
			if (strcmp(f->cables[i][k]->name, name) == 0)
				return f->cables[i][k];
	return NULL;
}

int
fabric_switch(const struct fabric *f, const char *name)
{
	const struct lab_switch *sw = lab_switch(f->lab, name);

	return sw == NULL ? -1 : (int)(sw - f->lab->switches);
}

int
fabric_switch_of(const struct fabric *f, const struct port *port)
{
	const struct lan_switch *sw = switch_of(port);

	for (unsigned int i = 0; sw != NULL && i < f->lab->nswitches; i++)
		if (f->switches[i] == sw)
			return (int)i;
	return -1;
}

struct ip4_net
fabric_address(const struct fabric *f, const struct lab_port *port)
{
	const struct lab_router *router;

	if (port->kind != LAB_ROUTER)
		return port->address;
	/* The item is the first member of its router. */
	router = (const struct lab_router *)port->owner;
	return router_port_address(
	    f->routers[router - f->lab->routers], fabric_port(f, port->full));
}

void
fabric_on_address(const struct fabric *f,
    void (*tell)(void *arg, const char *sentence), void *arg)
{
	for (unsigned int i = 0; i < f->lab->nrouters; i++)
		router_on_address(f->routers[i], tell, arg);
}

struct router *
fabric_router(const struct fabric *f, const char *name)
{
	const struct lab_router *router = lab_router(f->lab, name);

	return router == NULL ? NULL : f->routers[router - f->lab->routers];
}

void
fabric_each_node(const struct fabric *f,
    void (*each)(void *arg, struct node *node), void *arg)
{
	const struct lab *lab = f->lab;

	for (unsigned int i = 0; i < lab->nswitches; i++)
		each(arg, switch_node(f->switches[i]));
	for (unsigned int i = 0; i < lab->nrouters; i++)
		each(arg, router_node(f->routers[i]));
	for (unsigned int i = 0; i < lab->nhosts; i++)
		each(arg, traffic_node(f->hosts[i]));
	for (unsigned int i = 0; i < lab->nvms + lab->nplugs + lab->nbridges;
	     i++)
		each(arg, &f->outside[i]);
	for (unsigned int i = 0; i < f->ncables; i++)
		for (int side = CABLE_A; side <= CABLE_B; side++)
			each(arg,
			    cable_node(f->cable[i], (enum cable_side)side));
}

int
fabric_no_port(const struct fabric *f, const char *name, struct err *err)
{
	struct nearest near;

	nearest_init(&near, name);
	for (unsigned int i = 0; i < f->ncables; i++) {
		nearest_try(&near, f->cables[i][0]->name);
		nearest_try(&near, f->cables[i][1]->name);
	}
	if (near.best != NULL)
		return err_set(err, -ENOENT,
		    "port \"%.60s\" is not in lab \"%s\"; did you mean "
		    "\"%s\"?",
		    name, f->lab->name, near.best);
	return err_set(err, -ENOENT,
	    "port \"%.60s\" is not in lab \"%s\"; \"lanyard show %s ports\" "
	    "lists them",
	    name, f->lab->name, f->lab->name);
}
