/*
 * Tables of spanning trees.
 */
#include "lab/show_rows.h"

#include <stdio.h>

const struct table_head trees_head = {
	.name = "trees",
	.help = "switches in their spanning trees: root, times, changes",
	.columns = {
		{ "switch", "SWITCH" },
		{ "mode", "MODE" },
		{ "instance", "INSTANCE" },
		{ "bridge", "BRIDGE" },
		{ "root", "ROOT" },
		{ "cost", "COST" },
		{ "root_port", "ROOT PORT" },
		{ "hello_s", "HELLO" },
		{ "max_age_s", "MAX AGE" },
		{ "forward_delay_s", "DELAY" },
		{ "changes", "CHANGES" },
		{ "changed_s", "LAST" },
		{ "region", NULL },
		{ NULL, NULL },
	},
};

const struct table_head stp_head = {
	.name = "stp",
	.help = "ports of switches in their spanning trees",
	.columns = {
		{ "port", "PORT" },
		{ "instance", "INSTANCE" },
		{ "role", "ROLE" },
		{ "state", "STATE" },
		{ "cost", "COST" },
		{ "priority", "PRIORITY" },
		{ "bridge", "DESIGNATED" },
		{ "bridge_port", "PORT" },
		{ "kind", "KIND" },
		{ "in_bpdus", "IN" },
		{ "out_bpdus", "OUT" },
		{ "forwards", "OPENED" },
		{ NULL, NULL },
	},
};

/* A port of a switch by its number in the tree, or NULL. */
struct numbered {
	unsigned int number;
	const struct port *port;
};

static void
find_number(void *arg, struct port *port)
{
	struct numbered *n = arg;

	if (switch_port_index(port) == n->number)
		n->port = port;
}

static const char *
name_of_number(struct lan_switch *sw, unsigned int number)
{
	struct numbered n = { .number = number };

	if (number != 0)
		switch_each_port(sw, false, find_number, &n);
	return n.port != NULL ? n.port->name : NULL;
}

static void
tree_row(struct rows *rows, unsigned int i, unsigned int tree)
{
	const struct fabric *f = rows->show->fabric;
	const struct stp *stp = stp_switch_tree(f->trees[i]);
	const struct stp_options *options = stp_get_options(stp);
	char bridge[STP_ID_TEXT_BYTES], root[STP_ID_TEXT_BYTES];
	struct stp_tree_view view;

	stp_view_tree(stp, tree, &view);
	table_add(rows->table, "[s,s,i,s,s,I,s?,i,i,i,I,o?,s]",
	    f->lab->switches[i].item.name, stp_mode_name(options->mode),
	    (int)view.id, stp_id_text(bridge, view.bridge),
	    stp_id_text(root, view.root), number(view.cost),
	    name_of_number(f->switches[i], view.root_port), (int)view.hello_s,
	    (int)view.max_age_s, (int)view.forward_delay_s,
	    number(view.changes),
	    view.changes > 0
		? json_real(in_seconds(loop_now_ns(f->loop) - view.changed_ns))
		: NULL,
	    options->region);
}

/* Calls each for every tree of every switch that is in one. */
static void
each_tree(struct rows *rows,
    void (*each)(struct rows *rows, unsigned int i, unsigned int tree))
{
	const struct fabric *f = rows->show->fabric;

	for (unsigned int i = 0; i < f->lab->nswitches; i++)
		for (unsigned int tree = 0; f->trees[i] != NULL &&
		     tree < stp_trees(stp_switch_tree(f->trees[i]));
		     tree++)
			each(rows, i, tree);
}

void
show_trees(struct rows *rows)
{
	each_tree(rows, tree_row);
}

/* "edge", "rstp, shared". */
static const char *
stp_kind(char out[64], const struct stp_port_view *view)
{
	snprintf(out, 64, "%s%s%s%s",
	    view->guarded    ? "closed by the BPDU guard"
		: view->edge ? "edge"
		: view->rstp ? "rstp"
			     : "stp",
	    view->point_to_point ? "" : ", shared",
	    view->boundary ? ", boundary" : "",
	    view->disputed ? ", disputed" : "");
	return out;
}

/* The ports of one switch in one tree. */
struct stp_rows {
	struct rows *rows;
	const struct stp *stp;
	unsigned int tree;
};

static void
stp_row(void *arg, struct port *port)
{
	const struct stp_rows *s = arg;
	char bridge[STP_ID_TEXT_BYTES], kind[64];
	struct stp_tree_view tree;
	struct stp_port_view view;

	stp_view_tree(s->stp, s->tree, &tree);
	if (!stp_view_port(s->stp, switch_port_index(port), s->tree, &view))
		return;
	table_add(s->rows->table, "[s,i,s,s,I,i,s,I,s,I,I,I]", port->name,
	    (int)tree.id, stp_role_name(view.role), stp_state_name(view.state),
	    number(view.cost), (int)(view.id >> 8 & 0xf0),
	    stp_id_text(bridge, view.designated_bridge),
	    number(view.designated_port & 0xfff), stp_kind(kind, &view),
	    number(view.in_bpdus), number(view.out_bpdus),
	    number(view.forwards));
}

static void
stp_rows_of(struct rows *rows, unsigned int i, unsigned int tree)
{
	const struct fabric *f = rows->show->fabric;
	struct stp_rows s = { rows, stp_switch_tree(f->trees[i]), tree };

	switch_each_port(f->switches[i], false, stp_row, &s);
}

void
show_stp(struct rows *rows)
{
	each_tree(rows, stp_rows_of);
}
