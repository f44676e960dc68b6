/*
 * Tables of switches.
 */
#include "lab/show_rows.h"

#include <stdio.h>
#include <string.h>

#include "switch/protocol.h"
#include "switch/vlan.h"

const struct table_head macs_head = {
	.name = "macs",
	.help = "the addresses that switches have learned",
	.columns = {
		{ "switch", "SWITCH" },
		{ "vlan", "VLAN" },
		{ "mac", "ADDRESS" },
		{ "port", "PORT" },
		{ "kind", "KIND" },
		{ "age_s", "AGE" },
		{ NULL, NULL },
	},
};

static void
mac_row(void *arg, const struct fdb_row *row, const struct port *port)
{
	static const char *const kinds[] = {
		[FDB_LEARNED] = "learned",
		[FDB_STICKY] = "sticky",
		[FDB_STATIC] = "static",
	};
	struct rows *rows = arg;
	char text[MAC_TEXT_BYTES];

	table_add(rows->table, "[s,o?,s,s,s,o?]", rows->node,
	    row->vlan != 0 ? json_integer(row->vlan) : NULL,
	    mac_text(text, &row->mac), port->name, kinds[row->kind],
	    row->kind == FDB_LEARNED ? json_real(in_seconds(row->age_ns))
				     : NULL);
}

void
show_macs(struct rows *rows)
{
	const struct fabric *f = rows->show->fabric;

	for (unsigned int i = 0; i < f->lab->nswitches; i++) {
		rows->node = f->lab->switches[i].item.name;
		switch_each_mac(f->switches[i], mac_row, rows);
	}
}

const struct table_head vlans_head = {
	.name = "vlans",
	.help = "the VLANs of switches, and their ports",
	.columns = {
		{ "switch", "SWITCH" },
		{ "vlan", "VLAN" },
		{ "untagged", "UNTAGGED" },
		{ "tagged", "TAGGED" },
		{ "macs", "ADDRESSES" },
		{ NULL, NULL },
	},
};

/* What is known of one VLAN of a switch. */
struct vlan_row {
	uint16_t vlan;
	json_t *untagged, *tagged; /* names */
	unsigned int macs;
	bool any; /* some port names it */
};

static void
vlan_port(void *arg, struct port *port)
{
	struct vlan_row *row = arg;
	struct vlan_options o;

	switch_get_vlan(port, &o);
	switch (o.mode) {
	case VLAN_TRANSPARENT:
		json_array_append_new(row->tagged, json_string(port->name));
		return;
	case VLAN_ACCESS:
	case VLAN_TUNNEL:
		if (o.vlan != row->vlan)
			return;
		break;
	case VLAN_TRUNK:
		if (o.vlan == row->vlan)
			break;
		if (vlan_set_has(&o.allowed, row->vlan)) {
			json_array_append_new(
			    row->tagged, json_string(port->name));
			row->any |= !vlan_set_has(&o.allowed, VLAN_MAX);
		}
		return;
	}
	json_array_append_new(row->untagged, json_string(port->name));
	row->any = true;
}

static void
vlan_mac(void *arg, const struct fdb_row *mac, const struct port *port)
{
	unsigned int *count = arg;

	(void)port;
	count[mac->vlan & 0xfff]++;
}

/* "a, b" of names. */
static json_t *
joined(const json_t *names)
{
	char text[400] = "";
	size_t used = 0;

	for (size_t i = 0; i < json_array_size(names) && used < sizeof(text);
	     i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "%s%s", i > 0 ? ", " : "",
		    json_string_value(json_array_get(names, i)));
	return json_string(text);
}

/* VLANs that some port names, other than by being in all, and those that
 * addresses were seen in. */
static void
vlans_of_switch(struct rows *rows, struct lan_switch *sw)
{
	unsigned int macs[VLAN_MAX + 2] = { 0 };

	switch_each_mac(sw, vlan_mac, macs);
	for (uint16_t v = 1; v <= VLAN_MAX; v++) {
		struct vlan_row row = { .vlan = v,
			.untagged = json_array(),
			.tagged = json_array() };

		switch_each_port(sw, false, vlan_port, &row);
		if (row.any || macs[v] > 0)
			table_add(rows->table, "[s,i,o,o,i]", rows->node, v,
			    joined(row.untagged), joined(row.tagged),
			    (int)macs[v]);
		json_decref(row.untagged);
		json_decref(row.tagged);
	}
}

void
show_vlans(struct rows *rows)
{
	const struct fabric *f = rows->show->fabric;

	for (unsigned int i = 0; i < f->lab->nswitches; i++) {
		rows->node = f->lab->switches[i].item.name;
		vlans_of_switch(rows, f->switches[i]);
	}
}
