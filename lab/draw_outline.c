/*
 * The outline: a tree of switches by their uplinks, with what is plugged into
 * each.  For labs too wide for a diagram, a hundred machines among them.  Of a
 * ring, each switch is drawn once, and the uplink that closes it in words.
 */
#include "lab/draw_node.h"

#include <string.h>

#define DEPTH_MAX 64 /* deeper switches are told at this depth */

struct outline {
	const struct draw_lab *draw;
	FILE *out;
	bool last[DEPTH_MAX]; /* is the branch at this depth the last one? */
	bool drawn[LAB_SWITCHES_MAX];
};

static void
indent(const struct outline *o, unsigned int depth, bool last)
{
	for (unsigned int i = 1; i < depth; i++)
		fputs(o->last[i] ? "    " : " │  ", o->out);
	fputs(last ? " └─ " : " ├─ ", o->out);
}

static void
port_row(const struct outline *o, const struct draw_node *node,
    const struct lab_port *port, unsigned int depth, bool last)
{
	char name[DRAW_TEXT_BYTES], address[DRAW_TEXT_BYTES];
	char label[DRAW_TEXT_BYTES];

	indent(o, depth, last);
	snprintf(name, sizeof(name), "%.40s.%s", node->name, port->item.name);
	fprintf(o->out, "%-22s %-18s ", name, draw_address(address, port));
	if (node->count > 1)
		fprintf(o->out, "%u × ", node->count);
	for (unsigned int i = 0; i < node->nlines; i++)
		fprintf(o->out, "%s%s", i > 0 ? ", " : "", node->line[i]);
	if (draw_cable_label(label, port)[0] != '\0')
		fprintf(o->out, " (%s)", label);
	fputc('\n', o->out);
}

/* Is switch i drawn below up?  It hangs on the first of its uplinks. */
static bool
hangs_on(const struct outline *o, unsigned int i, const struct lab_switch *up)
{
	const struct lab_switch *sw = &o->draw->lab->switches[i];

	return !o->drawn[i] && sw->nuplinks > 0 && sw->uplinks[0].up == up;
}

static unsigned int
count_children(const struct outline *o, unsigned int bus)
{
	const struct draw_lab *draw = o->draw;
	const struct lab_switch *sw = draw->buses[bus].sw;
	unsigned int n = 0;

	for (unsigned int i = 0; i < draw->nnodes; i++)
		for (unsigned int k = 0; k < draw->nodes[i].nports; k++)
			n += draw_bus_of(draw, &draw->nodes[i].ports[k]) == bus;
	for (unsigned int i = 0; sw != NULL && i < draw->lab->nswitches; i++)
		n += hangs_on(o, i, sw);
	return n;
}

/* The uplinks but the one by which it hangs, of which there is a word if it is
 * no plain cable. */
static void
other_uplinks(
    const struct outline *o, const struct lab_switch *sw, unsigned int depth)
{
	char label[DRAW_TEXT_BYTES];

	for (unsigned int i = 0; i < sw->nuplinks; i++) {
		if (i > 0 || depth == 0)
			fprintf(
			    o->out, " and to %s", sw->uplinks[i].up->item.name);
		if (draw_uplink_label(label, &sw->uplinks[i])[0] != '\0')
			fprintf(o->out, " (%s)", label);
	}
}

static void
bus_rows(struct outline *o, unsigned int bus, unsigned int depth)
{
	const struct draw_lab *draw = o->draw;
	const struct lab_switch *sw = draw->buses[bus].sw;
	unsigned int left;

	if (sw != NULL)
		o->drawn[sw - draw->lab->switches] = true;
	left = count_children(o, bus);
	fprintf(o->out, "%s ═══", draw_bus_name(&draw->buses[bus]));
	if (sw != NULL)
		other_uplinks(o, sw, depth);
	fputc('\n', o->out);
	if (depth + 1 == DEPTH_MAX)
		return;
	for (unsigned int i = 0; i < draw->nnodes; i++)
		for (unsigned int k = 0; k < draw->nodes[i].nports; k++)
			if (draw_bus_of(draw, &draw->nodes[i].ports[k]) == bus)
				port_row(o, &draw->nodes[i],
				    &draw->nodes[i].ports[k], depth + 1,
				    --left == 0);
	for (unsigned int i = 0; sw != NULL && i < draw->lab->nswitches; i++) {
		if (!hangs_on(o, i, sw))
			continue;
		o->last[depth + 1] = --left == 0;
		indent(o, depth + 1, left == 0);
		bus_rows(o, i, depth + 1);
	}
}

void
draw_outline(const struct draw_lab *draw, FILE *out)
{
	struct outline o = { .draw = draw, .out = out };

	for (unsigned int b = 0; b < draw->nbuses; b++) {
		const struct lab_switch *sw = draw->buses[b].sw;

		if (sw == NULL || sw->nuplinks == 0)
			bus_rows(&o, b, 0);
	}
	for (unsigned int b = 0; b < draw->nbuses; b++)
		if (draw->buses[b].sw != NULL &&
		    !o.drawn[draw->buses[b].sw - draw->lab->switches])
			bus_rows(&o, b, 0);
}
