/*
 * Tables of ways to the host's network.
 */
#include "lab/show_rows.h"

#include "bridge/macnat_hook.h"

const struct table_head macnat_head = {
	.name = "macnat",
	.help = "which guest has which IP address, behind a NIC of one MAC",
	.columns = {
		{ "bridge", "BRIDGE" },
		{ "id", "ENTRY" },
		{ "address", "ADDRESS" },
		{ "vlan", "VLAN" },
		{ "guest", "GUEST" },
		{ "idle_s", "IDLE" },
		{ "out_frames", "OUT" },
		{ "in_frames", "IN" },
		{ NULL, NULL },
	},
};

static void
macnat_row(void *arg, const struct macnat_entry *entry)
{
	struct rows *rows = arg;
	char address[IP6_TEXT_BYTES], guest[MAC_TEXT_BYTES];

	table_add(rows->table, "[s,I,s,I,s,f,I,I]", rows->node,
	    number(entry->entry), ip6_text(address, &entry->address),
	    number(entry->vlan), mac_text(guest, &entry->guest),
	    in_seconds(entry->idle_ns), number(entry->out_frames),
	    number(entry->in_frames));
}

void
show_macnat(struct rows *rows)
{
	const struct fabric *f = rows->show->fabric;

	for (unsigned int i = 0; i < f->lab->nports; i++) {
		struct macnat *m = macnat_hook_table(f->ports[i]);

		rows->node = f->ports[i]->node->name;
		if (m != NULL)
			macnat_each(m, loop_now_ns(f->loop), macnat_row, rows);
	}
}
