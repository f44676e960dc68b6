#include "lab/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/guest_ip.h"
#include "lab/names.h"
#include "lab/schema.h"
#include "vmm/linux_image.h"

#define TINY_MEMORY_BYTES   (16u << 20)
#define KERNEL_MEMORY_BYTES (128u << 20)
#define DISK_MEMORY_BYTES   (512u << 20)

/* ---- ports of all kinds ---- */

static void
add_port(struct lab *lab, enum lab_kind kind, const struct lab_item *owner,
    struct lab_port *port)
{
	port->kind = kind;
	port->owner = owner;
	/* Names from the file are short; too long ones are refused already. */
	snprintf(port->full, sizeof(port->full), "%.30s.%.30s", owner->name,
	    port->item.name);
	if (mac_is_zero(&port->mac))
		port->mac = mac_of_name(port->full);
	lab->ports[lab->nports++] = port;
}

/* A host, plug or bridge is a node with one port, whose keys are the node's. */
static void
only_port(struct lab *lab, enum lab_kind kind, const struct lab_item *owner,
    struct lab_port *port)
{
	port->item = (struct lab_item){ .name = "eth0", .node = owner->node };
	add_port(lab, kind, owner, port);
}

static void
collect_ports(struct lab *lab)
{
	size_t n = lab->nhosts + lab->nplugs + lab->nbridges;

	for (unsigned int i = 0; i < lab->nrouters; i++)
		n += lab->routers[i].nports;
	for (unsigned int i = 0; i < lab->nvms; i++)
		n += lab->vms[i].nports;
	lab->ports = arena_array(lab->arena, n, sizeof(lab->ports[0]));
	if (lab->ports == NULL)
		return;
	for (unsigned int i = 0; i < lab->nrouters; i++)
		for (unsigned int k = 0; k < lab->routers[i].nports; k++)
			add_port(lab, LAB_ROUTER, &lab->routers[i].item,
			    &lab->routers[i].ports[k]);
	for (unsigned int i = 0; i < lab->nvms; i++)
		for (unsigned int k = 0; k < lab->vms[i].nports; k++)
			add_port(lab, LAB_VM, &lab->vms[i].item,
			    &lab->vms[i].ports[k]);
	for (unsigned int i = 0; i < lab->nhosts; i++)
		only_port(
		    lab, LAB_HOST, &lab->hosts[i].item, &lab->hosts[i].port);
	for (unsigned int i = 0; i < lab->nplugs; i++)
		only_port(
		    lab, LAB_PLUG, &lab->plugs[i].item, &lab->plugs[i].port);
	for (unsigned int i = 0; i < lab->nbridges; i++)
		only_port(lab, LAB_BRIDGE, &lab->bridges[i].item,
		    &lab->bridges[i].port);
}

static int
by_full_name(const void *a, const void *b)
{
	const struct lab_port *const *pa = a, *const *pb = b;

	return strcmp((*pa)->full, (*pb)->full);
}

/* Look-ups go by a sorted copy: a lab may have thousands of ports. */
static void
index_ports(struct lab *lab)
{
	lab->sorted =
	    arena_array(lab->arena, lab->nports, sizeof(lab->sorted[0]));
	if (lab->sorted == NULL) {
		lab->nports = 0;
		return;
	}
	for (unsigned int i = 0; i < lab->nports; i++)
		lab->sorted[i] = lab->ports[i];
	if (lab->nports > 0)
		qsort(lab->sorted, lab->nports, sizeof(lab->sorted[0]),
		    by_full_name);
}

/* ---- names ---- */

static void
resolve_port(struct lab *lab, struct lab_port *port)
{
	const struct yaml *address = yaml_get(port->item.node, "address");
	struct lab_port *peer;

	port->by_dhcp = port->kind == LAB_ROUTER && address != NULL &&
	    address->kind == YAML_SCALAR && strcmp(address->text, "dhcp") == 0;
	if (port->sw_name != NULL)
		port->sw = lab_switch(lab, port->sw_name);
	if (port->sw != NULL)
		port->bond = lab_bond(port->sw, port->bond_name);
	if (port->cable == NULL)
		return;
	peer = lab_port(lab, port->cable);
	if (peer == NULL || peer == port)
		return;
	port->peer = peer;
	if (peer->peer == NULL && peer->cable == NULL)
		peer->peer = port;
}

/* A file is named from where the lab file is. */
static void
resolve_wire(struct lab *lab, struct lab_wire *wire)
{
	if (wire->table != NULL)
		wire->table = lab_path(lab->arena, lab, wire->table);
}

/* What is said for one direction goes before what is said for both. */
static void
resolve_ways(struct lab *lab, struct lab_wire wire[WIRE_DIRECTIONS],
    struct lab_wire ways[WIRE_DIRECTIONS])
{
	for (int way = 0; way < WIRE_DIRECTIONS; way++)
		resolve_wire(lab, &wire[way]);
	for (int way = WIRE_OUT; way <= WIRE_IN; way++) {
		wire_merge(&ways[way], &wire[WIRE_BOTH]);
		wire_merge(&ways[way], &wire[way]);
	}
}

static void
resolve_event(struct lab *lab, struct lab_event *event)
{
	event->sets_link = yaml_get(event->item.node, "down") != NULL;
	for (int way = 0; way < WIRE_DIRECTIONS; way++)
		resolve_wire(lab, &event->wire[way]);
}

static void
resolve_switch(struct lab *lab, struct lab_switch *sw)
{
	for (unsigned int i = 0; i < sw->nuplinks; i++) {
		struct lab_uplink *link = &sw->uplinks[i];

		link->up = lab_switch(lab, link->item.name);
		resolve_ways(lab, link->wire, link->ways);
		link->bond = lab_bond(sw, link->bond_name);
		if (link->up != NULL)
			link->far_bond = lab_bond(link->up, link->bond_name);
	}
}

static void
resolve_router(struct lab *lab, struct lab_router *router)
{
	for (unsigned int k = 0; k < router->nports; k++) {
		struct lab_port *port = &router->ports[k];

		if (router->nat.outside != NULL &&
		    strcmp(port->item.name, router->nat.outside) == 0)
			router->nat.out = port;
		if (router->firewall6.outside != NULL &&
		    strcmp(port->item.name, router->firewall6.outside) == 0)
			router->firewall6.out = port;
		for (unsigned int j = 0; j < router->nnpt6; j++)
			if (router->npt6[j].port_name != NULL &&
			    strcmp(port->item.name,
				router->npt6[j].port_name) == 0)
				router->npt6[j].port = port;
		for (unsigned int j = 0; j < router->nroutes; j++)
			if (router->routes[j].port_name != NULL &&
			    strcmp(port->item.name,
				router->routes[j].port_name) == 0)
				router->routes[j].port = port;
		for (unsigned int j = 0; j < port->nreserve; j++)
			if (port->reserve[j].port != NULL)
				port->reserve[j].of =
				    lab_port(lab, port->reserve[j].port);
	}
}

static void
resolve_expect(struct lab_expect *e)
{
	const struct yaml *node = e->item.node;

	if (e->from != NULL || e->to != NULL)
		e->kind = EXPECT_MEASURE;
	else if (e->router != NULL)
		e->kind = EXPECT_NAT;
	else if (e->at != NULL)
		e->kind = EXPECT_FRAMES;
	else
		e->kind = EXPECT_RUN;
	e->has_lost = yaml_get(node, "lost") != NULL;
	e->has_latency = yaml_get(node, "latency") != NULL;
	if (e->verdict != NULL)
		e->reason = reason_of_name(e->verdict);
}

static unsigned long
count_expects(const struct lab_expect *e)
{
	struct names names;

	return e->vm != NULL && names_read(&names, e->vm) ? names_count(&names)
							  : 1;
}

/* An expectation of many VMs becomes one of each. */
static void
expand_expects(struct lab *lab)
{
	unsigned long n = 0;
	unsigned int done = 0;
	struct lab_expect *all;

	for (unsigned int i = 0; i < lab->nexpects; i++)
		n += count_expects(&lab->expects[i]);
	if (n == lab->nexpects || n > LAB_NODES_MAX)
		return;
	all = arena_array(lab->arena, n, sizeof(all[0]));
	if (all == NULL)
		return;
	for (unsigned int i = 0; i < lab->nexpects; i++) {
		const struct lab_expect *e = &lab->expects[i];
		unsigned long k = count_expects(e);
		struct names names;

		for (unsigned long j = 0; j < k; j++) {
			all[done] = *e;
			if (k > 1 && names_read(&names, e->vm))
				all[done].vm =
				    names_get(lab->arena, &names, e->vm, j);
			done++;
		}
	}
	lab->expects = all;
	lab->nexpects = done;
}

/* The disk in the short form is the first one. */
static void
resolve_disks(struct lab *lab, struct lab_vm *vm)
{
	struct lab_disk *all;

	if (vm->disk == NULL)
		return;
	all = arena_array(lab->arena, vm->ndisks + 1, sizeof(all[0]));
	if (all == NULL)
		return;
	all[0].item.node = vm->item.node;
	all[0].file = vm->disk;
	for (unsigned int i = 0; i < vm->ndisks; i++)
		all[i + 1] = vm->disks[i];
	vm->disks = all;
	vm->ndisks++;
}

/* What a VM has that asks for nothing. */
static uint64_t
memory_of(const struct lab_vm *vm)
{
	if (vm->kernel != NULL)
		return KERNEL_MEMORY_BYTES;
	switch ((enum lab_guest)vm->guest) {
	case GUEST_TINY: break;
	case GUEST_LINUX: return LINUX_IMAGE_MEMORY_BYTES;
	case GUEST_DISK: return DISK_MEMORY_BYTES;
	}
	return TINY_MEMORY_BYTES;
}

static void
resolve_vm(struct lab *lab, struct lab_vm *vm)
{
	resolve_disks(lab, vm);
	if (vm->kernel == NULL && vm->ndisks > 0 &&
	    yaml_get(vm->item.node, "guest") == NULL &&
	    yaml_get(vm->item.node, "kernel") == NULL)
		vm->guest = GUEST_DISK;
	if (vm->memory_bytes == 0)
		vm->memory_bytes = memory_of(vm);
}

void
lab_resolve(struct lab *lab)
{
	expand_expects(lab);
	collect_ports(lab);
	index_ports(lab);
	for (unsigned int i = 0; i < lab->nswitches; i++)
		resolve_switch(lab, &lab->switches[i]);
	for (unsigned int i = 0; i < lab->nports; i++)
		resolve_port(lab, lab->ports[i]);
	for (unsigned int i = 0; i < lab->nports; i++)
		resolve_ways(lab, lab->ports[i]->wire, lab->ports[i]->ways);
	for (unsigned int i = 0; i < lab->nevents; i++)
		resolve_event(lab, &lab->events[i]);
	for (unsigned int i = 0; i < lab->nrouters; i++)
		resolve_router(lab, &lab->routers[i]);
	for (unsigned int i = 0; i < lab->nexpects; i++)
		resolve_expect(&lab->expects[i]);
	for (unsigned int i = 0; i < lab->nvms; i++)
		resolve_vm(lab, &lab->vms[i]);
}

/* ---- look-ups ---- */

static int
full_name_is(const void *name, const void *port)
{
	const struct lab_port *const *p = port;

	return strcmp(name, (*p)->full);
}

struct lab_port *
lab_port(const struct lab *lab, const char *full)
{
	struct lab_port **at = NULL;

	if (lab->nports > 0)
		at = bsearch(full, lab->sorted, lab->nports,
		    sizeof(lab->sorted[0]), full_name_is);
	return at != NULL ? *at : NULL;
}

/* The ends of all cables of an uplink. */
static void
each_end(const struct lab_switch *sw, const struct lab_uplink *link,
    void (*each)(void *arg, const char *full), void *arg)
{
	for (uint64_t n = 1; link->up != NULL && n <= link->cables; n++) {
		char name[NODE_NAME_BYTES];

		lab_uplink_name(name, sw, link->up, n);
		each(arg, name);
		lab_uplink_name(name, link->up, sw, n);
		each(arg, name);
	}
}

void
lab_each_switch_port(
    const struct lab *lab, void (*each)(void *arg, const char *full), void *arg)
{
	for (unsigned int i = 0; i < lab->nports; i++) {
		const struct lab_port *port = lab->ports[i];
		char name[NODE_NAME_BYTES];

		if (port->sw == NULL)
			continue;
		/* Names are at most LAB_NAME_MAX letters each. */
		snprintf(name, sizeof(name), "%.20s.%.41s", port->sw->item.name,
		    port->full);
		each(arg, name);
	}
	for (unsigned int i = 0; i < lab->nswitches; i++)
		for (unsigned int k = 0; k < lab->switches[i].nuplinks; k++)
			each_end(&lab->switches[i],
			    &lab->switches[i].uplinks[k], each, arg);
}

char *
lab_uplink_name(char out[NODE_NAME_BYTES], const struct lab_switch *at,
    const struct lab_switch *to, uint64_t number)
{
	char which[8] = "";

	if (number > 1)
		snprintf(
		    which, sizeof(which), "-%u", (unsigned int)(number % 1000));
	snprintf(out, NODE_NAME_BYTES, "%.20s.%.20s%s", at->item.name,
	    to->item.name, which);
	return out;
}

struct lab_vm *
lab_vm(const struct lab *lab, const char *name)
{
	for (unsigned int i = 0; i < lab->nvms; i++)
		if (strcmp(lab->vms[i].item.name, name) == 0)
			return &lab->vms[i];
	return NULL;
}

struct lab_router *
lab_router(const struct lab *lab, const char *name)
{
	for (unsigned int i = 0; i < lab->nrouters; i++)
		if (strcmp(lab->routers[i].item.name, name) == 0)
			return &lab->routers[i];
	return NULL;
}

struct lab_switch *
lab_switch(const struct lab *lab, const char *name)
{
	for (unsigned int i = 0; i < lab->nswitches; i++)
		if (strcmp(lab->switches[i].item.name, name) == 0)
			return &lab->switches[i];
	return NULL;
}

const struct lab_bond *
lab_bond(const struct lab_switch *sw, const char *name)
{
	for (unsigned int i = 0; name != NULL && i < sw->nbonds; i++)
		if (strcmp(sw->bonds[i].item.name, name) == 0)
			return &sw->bonds[i];
	return NULL;
}

const struct lab_uplink *
lab_uplink(const struct lab_switch *sw, const struct lab_switch *to)
{
	for (unsigned int i = 0; i < sw->nuplinks; i++)
		if (sw->uplinks[i].up == to)
			return &sw->uplinks[i];
	return NULL;
}

/* Is what the name of the switch, or of one of the cables to it, which are so
 * many ("core", "core-2")? */
static bool
names_cable(const char *what, const char *name, uint64_t cables)
{
	size_t len = strlen(name);
	uint64_t number;

	if (strncmp(what, name, len) != 0)
		return false;
	if (what[len] == '\0')
		return true;
	return what[len] == '-' && count_read(&number, what + len + 1, NULL) &&
	    number >= 2 && number <= cables;
}

bool
lab_is_plugged(
    const struct lab *lab, const struct lab_switch *sw, const char *what)
{
	const struct lab_port *port = lab_port(lab, what);

	if (port != NULL)
		return port->sw == sw;
	for (unsigned int i = 0; i < lab->nswitches; i++) {
		const struct lab_switch *other = &lab->switches[i];
		const struct lab_uplink *link = lab_uplink(sw, other);

		if (link == NULL)
			link = lab_uplink(other, sw);
		if (link != NULL &&
		    names_cable(what, other->item.name, link->cables))
			return true;
	}
	return false;
}

bool
lab_has_port(const struct lab *lab, const char *name)
{
	const char *dot = name != NULL ? strchr(name, '.') : NULL;
	char first[LAB_NAME_MAX + 1];
	const struct lab_switch *sw;

	if (name != NULL && lab_port(lab, name) != NULL)
		return true;
	if (dot == NULL || (size_t)(dot - name) >= sizeof(first))
		return false;
	snprintf(first, sizeof(first), "%.*s", (int)(dot - name), name);
	sw = lab_switch(lab, first);
	return sw != NULL && lab_is_plugged(lab, sw, dot + 1);
}

const char *
lab_kind_name(enum lab_kind kind)
{
	switch (kind) {
	case LAB_SWITCH: return "switch";
	case LAB_ROUTER: return "router";
	case LAB_VM: return "VM";
	case LAB_HOST: return "host";
	case LAB_PLUG: return "plug";
	case LAB_BRIDGE: return "bridge";
	}
	return "?";
}

struct place
lab_place(const struct lab_item *item, const char *key)
{
	const struct yaml *value = NULL;

	if (item->node == NULL)
		return (struct place){ 0, 0 };
	if (key != NULL)
		value = yaml_get(item->node, key);
	if (value != NULL)
		return value->at;
	return item->node->key != NULL ? item->node->key_at : item->node->at;
}

struct place
lab_disk_place(const struct lab_disk *disk)
{
	const char *key = "file";

	if (disk->item.node != NULL && yaml_get(disk->item.node, key) == NULL)
		key = "disk";
	return lab_place(&disk->item, key);
}

char *
lab_path(struct arena *arena, const struct lab *lab, const char *path)
{
	const char *slash = strrchr(lab->file, '/');

	if (path[0] == '/' || slash == NULL)
		return arena_text(arena, path, strlen(path));
	return arena_printf(
	    arena, "%.*s/%s", (int)(slash - lab->file), lab->file, path);
}

/* ---- the whole way ---- */

struct lab *
lab_load(const char *bytes, size_t len, struct problems *problems)
{
	struct arena *arena = problems->arena;
	struct yaml *root = yaml_read(arena, bytes, len, problems);
	struct lab *lab;

	if (root == NULL)
		goto fail;
	lab = arena_alloc(arena, sizeof(*lab));
	if (lab == NULL)
		goto fail;
	lab->arena = arena;
	lab->file = problems->file;
	schema_read(lab, root, problems);
	lab_resolve(lab);
	guest_ip_resolve(lab);
	lab_check(lab, problems);
	if (arena_failed(arena))
		problem_add(problems, (struct place){ 0, 0 }, "out of memory");
	problems_sort(problems);
	return problems->errors == 0 ? lab : NULL;
fail:
	if (arena_failed(arena) && problems->errors == 0)
		problem_add(problems, (struct place){ 0, 0 }, "out of memory");
	problems_sort(problems);
	return NULL;
}

void
lab_free(struct lab *lab)
{
	if (lab != NULL)
		arena_free(lab->arena);
}
