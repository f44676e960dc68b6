/*
 * Each table is a head and a function that adds its rows; show_tables[] joins
 * the two.
 */
#include "lab/show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lab/guest.h"
#include "lab/held.h"
#include "lab/nat_rows.h"
#include "lab/nearest.h"
#include "lab/show_rows.h"
#include "net/ip4.h"
#include "vmm/sandbox.h"

/* ---- ports ---- */

static const struct table_head ports_head = {
	.name = "ports",
	.help = "every port, its cable, and what passed it",
	.columns = {
		{ "port", "PORT" },
		{ "link", "LINK" },
		{ "peer", "CABLE TO" },
		{ "in_frames", "IN" },
		{ "in_bytes", "BYTES" },
		{ "out_frames", "OUT" },
		{ "out_bytes", "BYTES" },
		{ "out_refused", "REFUSED" },
		{ "state", "STATE" },
		{ NULL, NULL },
	},
};

static void
port_row(struct table *table, const struct port *port)
{
	char text[200] = "";

	if (port->ops->describe != NULL)
		port->ops->describe(port, text, sizeof(text));
	table_add(table, "[s,s,s?,I,I,I,I,I,s]", port->name,
	    port->down             ? "down"
		: port_is_up(port) ? "up"
				   : "off",
	    port->peer != NULL ? port->peer->name : NULL,
	    number(port->in_frames), number(port->in_bytes),
	    number(port->out_frames), number(port->out_bytes),
	    number(port->out_drops), text);
}

static void
fill_ports(struct rows *rows)
{
	const struct fabric *f = rows->show->fabric;

	/* Ports of nodes first: what people ask for. */
	for (unsigned int i = 0; i < f->lab->nports; i++)
		port_row(rows->table, f->ports[i]);
	for (unsigned int i = 0; i < f->ncables; i++)
		for (unsigned int k = 0; k < 2; k++)
			if (lab_port(f->lab, f->cables[i][k]->name) == NULL)
				port_row(rows->table, f->cables[i][k]);
}

/* ---- cables ---- */

static const struct table_head cables_head = {
	.name = "cables",
	.help = "which port is joined to which, and what happens on the way",
	.columns = {
		{ "a", "FROM" },
		{ "b", "TO" },
		{ "link", "LINK" },
		{ "does", "DOES" },
		{ "entered", "ENTERED" },
		{ "left", "LEFT" },
		{ "dropped", "DROPPED" },
		{ "duplicated", "TWICE" },
		{ "corrupted", NULL },
		{ "reordered", NULL },
		{ "marked", NULL },
		{ "held", "HELD" },
		{ "queued", "QUEUED" },
		{ "queued_bytes", NULL },
		{ NULL, NULL },
	},
};

static void
cable_row(struct table *table, struct cable *cable, enum cable_side side)
{
	const struct port *from = cable_port(cable, side);
	const struct cable_stats s = cable_stats(cable, side);
	char text[400];

	table_add(table, "[s,s,s,s,I,I,I,I,I,I,I,I,I,I]", from->name,
	    from->peer->name, port_is_up(from) ? "up" : "down",
	    wire_text(text, sizeof(text), cable_settings(cable, side)),
	    number(s.entered), number(s.left), number(s.dropped),
	    number(s.duplicated), number(s.corrupted), number(s.reordered),
	    number(s.marked), number(s.held), number(s.queued),
	    number(s.queued_bytes));
}

/* Has anything happened in this direction, or is it to? */
static bool
is_plain(struct cable *cable, enum cable_side side)
{
	return cable_port(cable, side)->way == NULL &&
	    cable_stats(cable, side).entered == 0;
}

/* A plain cable is one row; another one for each direction. */
static void
fill_cables(struct rows *rows)
{
	const struct fabric *f = rows->show->fabric;

	for (unsigned int i = 0; i < f->ncables; i++) {
		struct cable *cable = f->cable[i];

		if (is_plain(cable, CABLE_A) && is_plain(cable, CABLE_B)) {
			table_add(rows->table, "[s,s,s,s,n,n,n,n,n,n,n,n,n,n]",
			    f->cables[i][0]->name, f->cables[i][1]->name,
			    port_is_up(f->cables[i][0]) ? "up" : "down",
			    "plain");
			continue;
		}
		cable_row(rows->table, cable, CABLE_A);
		cable_row(rows->table, cable, CABLE_B);
	}
}

/* ---- routers ---- */

#define NAT_SLICE_PLACES 16384

static void
nat_row(void *arg, const struct nat_row *row)
{
	struct rows *rows = arg;

	nat_rows_add(rows->table, rows->node, row);
}

static const struct table_head refusals_head = {
	.name = "refusals",
	.help = "what NATs refused, the latest last",
	.columns = {
		{ "router", "ROUTER" },
		{ "at_s", "AT" },
		{ "protocol", "PROTO" },
		{ "from", "FROM" },
		{ "to", "TO" },
		{ "reason", "VERDICT" },
		{ "sentence", "WHY" },
		{ "clause", NULL },
		{ NULL, NULL },
	},
};

static void
refusal_row(void *arg, const struct refusal_row *row)
{
	struct rows *rows = arg;
	char from[NAT_END_BYTES], to[NAT_END_BYTES];

	table_add(rows->table, "[s,f,s,s,s,s,s,s]", rows->node,
	    in_seconds(row->at_ns), nat_protocol_text(row->protocol),
	    nat_end_text(from, row->protocol, row->src_ip, row->src_port),
	    nat_end_text(to, row->protocol, row->dst_ip, row->dst_port),
	    reason_name(row->reason), reason_sentence(row->reason),
	    reason_clause(row->reason));
}

static const struct table_head arp_head = {
	.name = "arp",
	.help = "the neighbours that routers have resolved, by ARP and for IPv6",
	.columns = {
		{ "port", "PORT" },
		{ "ip", "ADDRESS" },
		{ "mac", "MAC" },
		{ "state", "STATE" },
		{ "age_s", "AGE" },
		{ NULL, NULL },
	},
};

static void
arp_row(void *arg, const struct arp_row *row)
{
	struct rows *rows = arg;
	char ip[IP6_TEXT_BYTES], mac[MAC_TEXT_BYTES];

	table_add(rows->table, "[s,s,s?,s,f]", row->port->name,
	    ip6_text(ip, &row->ip),
	    mac_is_zero(&row->mac) ? NULL : mac_text(mac, &row->mac),
	    row->state, in_seconds(row->age_ns));
}

static const struct table_head leases_head = {
	.name = "leases",
	.help = "the addresses that routers gave by DHCP",
	.columns = {
		{ "port", "PORT" },
		{ "ip", "ADDRESS" },
		{ "mac", "MAC" },
		{ "of", "OF" },
		{ "hostname", "HOST NAME" },
		{ "state", "STATE" },
		{ "left_s", "EXPIRES IN" },
		{ NULL, NULL },
	},
};

/* The lab's port with that address, or NULL. */
static const char *
port_of_mac(const struct lab *lab, const struct mac *mac)
{
	for (unsigned int i = 0; i < lab->nports; i++)
		if (mac_equal(&lab->ports[i]->mac, mac))
			return lab->ports[i]->full;
	return NULL;
}

static void
lease_row(void *arg, const struct lease_row *row)
{
	struct rows *rows = arg;
	char ip[IP4_TEXT_BYTES], mac[MAC_TEXT_BYTES];
	char name[sizeof(row->hostname)];
	size_t n = 0;

	/* The guest chose its name: printable letters only. */
	for (; n + 1 < sizeof(name) && row->hostname[n] != '\0'; n++)
		name[n] = row->hostname[n] > ' ' && row->hostname[n] < 0x7f
		    ? row->hostname[n]
		    : '?';
	name[n] = '\0';
	table_add(rows->table, "[s,s,s,s?,s,s,f]", row->port->name,
	    ip4_text(ip, row->ip), mac_text(mac, &row->mac),
	    port_of_mac(rows->show->fabric->lab, &row->mac), name, row->state,
	    in_seconds(row->left_ns));
}

static const struct table_head routes_head = {
	.name = "routes",
	.help = "the routes of routers",
	.columns = {
		{ "router", "ROUTER" },
		{ "to", "TO" },
		{ "via", "VIA" },
		{ "port", "PORT" },
		{ NULL, NULL },
	},
};

static void
route_row(void *arg, const struct route_row *row)
{
	struct rows *rows = arg;
	char to[NET_TEXT_BYTES], via[IP4_TEXT_BYTES];

	table_add(rows->table, "[s,s,s,s?]", rows->node,
	    ip4_net_text(to, row->to),
	    row->via == 0 ? "connected" : ip4_text(via, row->via),
	    row->port != NULL ? row->port->name : NULL);
}

static void
route6_row(void *arg, const struct route6_row *row)
{
	struct rows *rows = arg;
	char to[IP6_NET_TEXT_BYTES], via[IP6_TEXT_BYTES];

	table_add(rows->table, "[s,s,s,s?]", rows->node,
	    ip6_net_text(to, &row->to),
	    ip6_is_zero(&row->via) ? "connected" : ip6_text(via, &row->via),
	    row->port != NULL ? row->port->name : NULL);
}

/* Calls each for every router. */
static void
each_router(struct rows *rows,
    void (*each)(const struct router *router, struct rows *rows))
{
	const struct fabric *f = rows->show->fabric;

	for (unsigned int i = 0; i < f->lab->nrouters; i++) {
		rows->node = f->lab->routers[i].item.name;
		each(f->routers[i], rows);
	}
}

/* A slice: so many rows, or so many places without. */
static bool
some_nat(struct rows *rows, struct show_place *place)
{
	const struct fabric *f = rows->show->fabric;
	unsigned int seen = 0;

	for (; place->router < f->lab->nrouters; place->router++) {
		rows->node = f->lab->routers[place->router].item.name;
		while (router_walk_nat(f->routers[place->router], &place->nat,
		    SHOW_SLICE_ROWS, nat_row, rows)) {
			seen += SHOW_SLICE_ROWS;
			if (table_rows(rows->table) >= SHOW_SLICE_ROWS ||
			    seen >= NAT_SLICE_PLACES)
				return true;
		}
		place->nat = (struct nat_walk){ 0 };
	}
	return false;
}

static void
refusals_of(const struct router *router, struct rows *rows)
{
	router_each_refusal(router, refusal_row, rows);
}

static void
fill_refusals(struct rows *rows)
{
	each_router(rows, refusals_of);
}

static void
arp_of(const struct router *router, struct rows *rows)
{
	router_each_arp(router, arp_row, rows);
}

static void
fill_arp(struct rows *rows)
{
	each_router(rows, arp_of);
}

static void
leases_of(const struct router *router, struct rows *rows)
{
	router_each_lease(router, lease_row, rows);
}

static void
fill_leases(struct rows *rows)
{
	each_router(rows, leases_of);
}

static void
routes_of(const struct router *router, struct rows *rows)
{
	router_each_route(router, route_row, rows);
	router_each_route6(router, route6_row, rows);
}

static void
fill_routes(struct rows *rows)
{
	each_router(rows, routes_of);
}

/* ---- VMs ---- */

static const struct table_head vms_head = {
	.name = "vms",
	.help = "the virtual machines and their processes",
	.columns = {
		{ "vm", "VM" },
		{ "state", "STATE" },
		{ "pid", "PID" },
		{ "engine", "ENGINE" },
		{ "memory", "MEMORY" },
		{ "vcpus", "VCPUS" },
		{ "ready_after_s", "READY AFTER" },
		{ "starts", "STARTS" },
		{ "sandbox", "SANDBOX" },
		{ NULL, NULL },
	},
};

static void
fill_vms(struct rows *rows)
{
	const struct guests *guests = rows->show->guests;

	if (guests == NULL || guests->guest == NULL)
		return;
	for (unsigned int i = 0; i < guests->lab->nvms; i++) {
		const struct guest *g = &guests->guest[i];
		char memory[UNITS_TEXT_BYTES], sandbox[96] = "";

		if (g->pid > 0)
			sandbox_seen(sandbox, sizeof(sandbox), g->pid);
		table_add(rows->table, "[s,s,o?,s,s,I,o?,i,s]",
		    g->vm->item.name, guest_state_name(g),
		    g->pid > 0 ? json_integer(g->pid) : NULL,
		    lab_engines[g->vm->engine],
		    size_text(memory, g->vm->memory_bytes),
		    number(g->vm->vcpus),
		    g->starts > 0
			? json_real(in_seconds(g->ready_ns - g->started_ns))
			: NULL,
		    (int)g->starts, sandbox);
	}
}

/* ---- verdicts ---- */

static const struct table_head drops_head = {
	.name = "drops",
	.help = "frames that ended or are kept at a node, and why",
	.columns = {
		{ "node", "NODE" },
		{ "reason", "VERDICT" },
		{ "frames", "FRAMES" },
		{ "sentence", "WHY" },
		{ "clause", NULL },
		{ NULL, NULL },
	},
};

static void
drop_rows(void *arg, struct node *node)
{
	struct rows *rows = arg;

	for (int r = REASON_FIRST_DROP; r < REASON_COUNT; r++)
		if (node->count[r] != 0)
			table_add(rows->table, "[s,s,I,s,s]", node->name,
			    reason_name((enum reason)r), number(node->count[r]),
			    reason_sentence((enum reason)r),
			    reason_clause((enum reason)r));
}

static void
held_row(
    void *arg, const struct node *node, enum reason reason, uint64_t frames)
{
	struct rows *rows = arg;

	table_add(rows->table, "[s,s,I,s,s]", node->name, reason_name(reason),
	    number(frames), reason_sentence(reason), reason_clause(reason));
}

static void
fill_drops(struct rows *rows)
{
	fabric_each_node(rows->show->fabric, drop_rows, rows);
	held_each(rows->show->fabric, held_row, rows);
}

/* ---- all of them ---- */

static const struct {
	const struct table_head *head;
	void (*fill)(struct rows *rows);
	/* Instead, by and by.  False: these were the last. */
	bool (*some)(struct rows *rows, struct show_place *place);
} show_tables[] = {
	{ &ports_head, fill_ports, NULL },
	{ &macs_head, show_macs, NULL },
	{ &vlans_head, show_vlans, NULL },
	{ &trees_head, show_trees, NULL },
	{ &stp_head, show_stp, NULL },
	{ &nat_rows_head, .some = some_nat },
	{ &nat_rules_head, show_nat_rules, NULL },
	{ &refusals_head, fill_refusals, NULL },
	{ &flows_head, show_flows, NULL },
	{ &arp_head, fill_arp, NULL },
	{ &leases_head, fill_leases, NULL },
	{ &wan_head, show_wan, NULL },
	{ &routes_head, fill_routes, NULL },
	{ &vms_head, fill_vms, NULL },
	{ &cables_head, fill_cables, NULL },
	{ &drops_head, fill_drops, NULL },
	{ &bonds_head, show_bonds, NULL },
	{ &lldp_head, show_lldp, NULL },
	{ &groups_head, show_groups, NULL },
	{ &mrouters_head, show_mrouters, NULL },
	{ &macnat_head, show_macnat, NULL },
	{ &traffic_head, show_traffic, NULL },
};

#define NTABLES (sizeof(show_tables) / sizeof(show_tables[0]))

const struct table_head *const show_heads[] = { &ports_head, &macs_head,
	&vlans_head, &trees_head, &stp_head, &nat_rows_head, &nat_rules_head,
	&refusals_head, &flows_head, &arp_head, &leases_head, &wan_head,
	&routes_head, &vms_head, &cables_head, &drops_head, &bonds_head,
	&lldp_head, &groups_head, &mrouters_head, &macnat_head, &traffic_head,
	NULL };

_Static_assert(sizeof(show_heads) / sizeof(show_heads[0]) == NTABLES + 1,
    "a table is missing from show_heads");

const struct table_head *
show_head(const char *name, struct err *err)
{
	struct nearest near;

	nearest_init(&near, name);
	for (size_t i = 0; i < NTABLES; i++) {
		if (strcmp(show_heads[i]->name, name) == 0)
			return show_heads[i];
		nearest_try(&near, show_heads[i]->name);
	}
	if (near.best != NULL)
		err_set(err, -EINVAL,
		    "table \"%.40s\" is not known; did you mean \"%s\"?", name,
		    near.best);
	else
		err_set(err, -EINVAL,
		    "table \"%.40s\" is not known; see \"lanyard show "
		    "--help\"",
		    name);
	return NULL;
}

bool
show_some(
    struct table *table, const struct show *show, struct show_place *place)
{
	struct rows rows = { .table = table, .show = show };

	for (size_t i = 0; i < NTABLES; i++) {
		if (show_tables[i].head != table->head)
			continue;
		if (show_tables[i].some != NULL)
			return show_tables[i].some(&rows, place);
		show_tables[i].fill(&rows);
	}
	return false;
}

int
show_fill(
    struct table *table, const struct table_head *head, const struct show *show)
{
	struct show_place place = { 0 };
	int e = table_init(table, head);

	while (e == 0 && show_some(table, show, &place))
		;
	return e;
}
