/*
 * What switches have agreed with others: bonds, neighbours, groups.
 */
#include <stdio.h>
#include <string.h>

#include "lab/show_rows.h"
#include "lab/switch_control.h"

#define TEXT_BYTES 128 /* of what a neighbour says; more is cut */

/* Calls each for what is spoken by every switch. */
static void
each_control(struct rows *rows,
    void (*each)(const struct switch_control *control, struct rows *rows))
{
	const struct fabric *f = rows->show->fabric;

	for (unsigned int i = 0; i < f->lab->nswitches; i++) {
		rows->node = f->lab->switches[i].item.name;
		each(&f->controls[i], rows);
	}
}

/* ---- bonds ---- */

const struct table_head bonds_head = {
	.name = "bonds",
	.help = "the links of bonds, and what LACP has agreed",
	.columns = {
		{ "bond", "BOND" },
		{ "port", "PORT" },
		{ "mode", "MODE" },
		{ "state", "STATE" },
		{ "why", "WHY" },
		{ "partner", "PARTNER" },
		{ "partner_key", "KEY" },
		{ "partner_port", "PORT" },
		{ "actor_state", "WE SAY" },
		{ "partner_state", "IT SAYS" },
		{ "out_frames", "OUT" },
		{ "in_frames", "IN" },
		{ NULL, NULL },
	},
};

static void
bond_row(void *arg, const struct bond_row *row)
{
	static const char *const modes[] = { [BOND_ACTIVE] = "active",
		[BOND_PASSIVE] = "passive",
		[BOND_STATIC] = "static" };
	struct rows *rows = arg;
	const struct lacp_info *partner = &row->link.partner;
	char mac[MAC_TEXT_BYTES], ours[LACP_STATE_TEXT_BYTES];
	char theirs[LACP_STATE_TEXT_BYTES];
	bool known = !mac_is_zero(&partner->system);
	bool lacp = row->mode != BOND_STATIC;

	table_add(rows->table, "[s,s,s,s,s,s?,o?,o?,s?,s?,I,I]",
	    row->bond->name, row->wire->name, modes[row->mode], row->link.state,
	    row->link.churning ? "churns: does not settle" : row->link.why,
	    known ? mac_text(mac, &partner->system) : NULL,
	    known ? json_integer(partner->key) : NULL,
	    known ? json_integer(partner->port) : NULL,
	    lacp ? lacp_state_text(ours, row->link.actor.state) : NULL,
	    known ? lacp_state_text(theirs, partner->state) : NULL,
	    number(row->out_frames), number(row->in_frames));
}

static void
bonds_of(const struct switch_control *control, struct rows *rows)
{
	if (control->aggregation != NULL)
		aggregation_each(control->aggregation, bond_row, rows);
}

void
show_bonds(struct rows *rows)
{
	each_control(rows, bonds_of);
}

/* ---- LLDP ---- */

const struct table_head lldp_head = {
	.name = "lldp",
	.help = "the neighbours that switches have heard of by LLDP",
	.columns = {
		{ "port", "PORT" },
		{ "chassis", "CHASSIS" },
		{ "neighbour_port", "ITS PORT" },
		{ "name", "NAME" },
		{ "address", "ADDRESS" },
		{ "capabilities", "CAN" },
		{ "port_description", NULL },
		{ "description", NULL },
		{ "pvid", "VLAN" },
		{ "vlans", NULL },
		{ "max_frame", "FRAME" },
		{ "aggregated", "BOND" },
		{ "ttl_s", NULL },
		{ "left_s", "EXPIRES IN" },
		{ NULL, NULL },
	},
};

static const char *
text_or_null(char out[TEXT_BYTES], const struct lldp_bytes *bytes)
{
	return bytes->data == NULL ? NULL : lldp_text(out, TEXT_BYTES, bytes);
}

/* "10 red, 20 blue" */
static const char *
vlans_text(char out[TEXT_BYTES], const struct lldp *l)
{
	size_t used = 0;

	if (l->nvlans == 0)
		return NULL;
	out[0] = '\0';
	for (unsigned int i = 0; i < l->nvlans && used < TEXT_BYTES; i++) {
		char name[LLDP_VLAN_NAME + 1];

		used += (size_t)snprintf(out + used, TEXT_BYTES - used,
		    "%s%u %s", i > 0 ? ", " : "", l->vlan[i].id,
		    lldp_text(name, sizeof(name), &l->vlan[i].name));
	}
	return out;
}

static void
lldp_row(
    void *arg, const struct port *port, const struct lldp *l, uint64_t left_ns)
{
	struct rows *rows = arg;
	char chassis[TEXT_BYTES], its[TEXT_BYTES], name[TEXT_BYTES];
	char address[TEXT_BYTES], can[TEXT_BYTES], vlans[TEXT_BYTES];
	char about[TEXT_BYTES], what[TEXT_BYTES];
	const struct lldp_mgmt *mgmt = &l->mgmt[0];

	table_add(rows->table, "[s,s,s,s?,s?,s?,s?,s?,o?,s?,o?,o?,i,f]",
	    port->name, lldp_chassis_text(chassis, TEXT_BYTES, &l->chassis),
	    lldp_port_text(its, TEXT_BYTES, &l->port),
	    text_or_null(name, &l->name),
	    l->nmgmt > 0 ? lldp_address_text(address, TEXT_BYTES, mgmt->family,
			       &mgmt->address)
			 : NULL,
	    l->has_capabilities
		? lldp_capabilities_text(can, TEXT_BYTES, l->enabled)
		: NULL,
	    text_or_null(about, &l->port_description),
	    text_or_null(what, &l->description),
	    l->has_pvid ? json_integer(l->pvid) : NULL, vlans_text(vlans, l),
	    l->max_frame_bytes != 0 ? json_integer(l->max_frame_bytes) : NULL,
	    l->has_aggregation || l->has_old_aggregation
		? json_boolean(l->aggregation & LLDP_AGGREGATION_ENABLED)
		: NULL,
	    (int)l->ttl_s, in_seconds(left_ns));
}

static void
lldp_of(const struct switch_control *control, struct rows *rows)
{
	if (control->lldp != NULL)
		lldp_protocol_each(control->lldp, lldp_row, rows);
}

void
show_lldp(struct rows *rows)
{
	each_control(rows, lldp_of);
}

/* ---- groups ---- */

const struct table_head groups_head = {
	.name = "groups",
	.help = "the ports that want multicast groups, as switches have heard",
	.columns = {
		{ "switch", "SWITCH" },
		{ "vlan", "VLAN" },
		{ "group", "GROUP" },
		{ "port", "PORT" },
		{ "mode", "MODE" },
		{ "sources", "SOURCES" },
		{ "version", "VERSION" },
		{ "left_s", "EXPIRES IN" },
		{ NULL, NULL },
	},
};

struct group_rows {
	struct rows *rows;
	const struct snooping *snooping;
};

static void
group_row(void *arg, const struct group_row *row)
{
	struct group_rows *g = arg;
	char group[IP6_TEXT_BYTES], version[16];
	const struct port *port = snooping_port(g->snooping, row->port);
	uint32_t ip4;

	snprintf(version, sizeof(version), "%sv%u",
	    ip6_to_ip4(&ip4, &row->group) ? "IGMP" : "MLD", row->version);
	table_add(g->rows->table, "[s,i,s,s?,s,i,s,f]", g->rows->node,
	    (int)row->vlan, ip6_text(group, &row->group),
	    port != NULL ? port->name : NULL,
	    row->exclude ? "exclude" : "include", (int)row->nsources, version,
	    in_seconds(row->left_ns));
}

static void
groups_of(const struct switch_control *control, struct rows *rows)
{
	struct group_rows g = { rows, control->snooping };

	if (control->snooping != NULL)
		groups_each(snooping_groups(control->snooping),
		    loop_now_ns(rows->show->fabric->loop), group_row, &g);
}

void
show_groups(struct rows *rows)
{
	each_control(rows, groups_of);
}

const struct table_head mrouters_head = {
	.name = "mrouters",
	.help = "multicast routers and queriers, and the ports they are behind",
	.columns = {
		{ "switch", "SWITCH" },
		{ "vlan", "VLAN" },
		{ "protocol", "PROTO" },
		{ "port", "PORT" },
		{ "what", "WHAT" },
		{ "address", "ADDRESS" },
		{ "left_s", "EXPIRES IN" },
		{ NULL, NULL },
	},
};

static void
mrouter_row(void *arg, const struct group_router_row *row)
{
	struct group_rows *g = arg;
	char address[IP6_TEXT_BYTES];
	const struct port *port = row->port == GROUPS_ALL_PORTS
	    ? NULL
	    : snooping_port(g->snooping, row->port);

	table_add(g->rows->table, "[s,i,s,s,s,s?,o?]", g->rows->node,
	    (int)row->vlan, row->ip6 ? "mld" : "igmp",
	    port != NULL ? port->name : "itself", row->what,
	    ip6_is_zero(&row->address) ? NULL
				       : ip6_text(address, &row->address),
	    row->left_ns == GROUPS_NEVER ? NULL
					 : json_real(in_seconds(row->left_ns)));
}

static void
mrouters_of(const struct switch_control *control, struct rows *rows)
{
	struct group_rows g = { rows, control->snooping };

	if (control->snooping != NULL)
		groups_each_router(snooping_groups(control->snooping),
		    loop_now_ns(rows->show->fabric->loop), mrouter_row, &g);
}

void
show_mrouters(struct rows *rows)
{
	each_control(rows, mrouters_of);
}
