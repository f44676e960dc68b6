/*
 * Where the parts of a diagram lie: buses are vertical, side by side, and nodes
 * hang on them.
 *
 * Space is cut into regions: left of the first bus, between neighbours, right
 * of the last.  A box lies in one region; its lines may cross others.  Each
 * region remembers how far down it is used, so a box takes the highest place
 * that is free in all regions it touches: rows fill up without any search.
 *
 * Buses are ordered by a walk along routers and uplinks from an end, so that
 * most lines go to the next bus.
 */
#include "lab/draw_layout.h"

#include <errno.h>
#include <string.h>

static unsigned int
most(unsigned int a, unsigned int b)
{
	return a > b ? a : b;
}

/* ---- the order of buses ---- */

static bool
are_joined(const struct draw_lab *draw, unsigned int a, unsigned int b)
{
	for (unsigned int i = 0; i < draw->nnodes; i++) {
		const struct draw_node *node = &draw->nodes[i];
		bool on_a = false, on_b = false;

		for (unsigned int k = 0; k < node->nports; k++) {
			unsigned int bus = draw_bus_of(draw, &node->ports[k]);

			on_a |= bus == a;
			on_b |= bus == b;
		}
		if (on_a && on_b)
			return true;
	}
	for (unsigned int k = 0; k < 2; k++) {
		const struct lab_switch *sw = draw->buses[k ? b : a].sw;
		const struct lab_switch *other = draw->buses[k ? a : b].sw;

		if (sw == NULL || other == NULL)
			continue;
		for (unsigned int i = 0; i < sw->nuplinks; i++)
			if (sw->uplinks[i].up == other)
				return true;
	}
	return false;
}

static void
walk(struct draw_layout *d, unsigned int bus, bool seen[DRAW_BUSES_MAX])
{
	seen[bus] = true;
	d->column[bus] = d->nbuses;
	d->bus[d->nbuses++] = bus;
	for (unsigned int b = 0; b < d->draw->nbuses; b++)
		if (!seen[b] && are_joined(d->draw, bus, b))
			walk(d, b, seen);
}

static void
order_buses(struct draw_layout *d)
{
	bool seen[DRAW_BUSES_MAX] = { false };
	unsigned int n = d->draw->nbuses;

	/* From the ends of chains first, then whatever is left. */
	for (unsigned int pass = 0; pass < 2; pass++)
		for (unsigned int b = 0; b < n; b++) {
			unsigned int degree = 0;

			for (unsigned int o = 0; o < n; o++)
				degree += o != b && are_joined(d->draw, b, o);
			if (!seen[b] && (degree <= 1 || pass == 1))
				walk(d, b, seen);
		}
}

/* ---- boxes ---- */

static unsigned int
link_width(const struct lab_port *port)
{
	char text[DRAW_TEXT_BYTES];

	unsigned int name = (unsigned int)strlen(draw_port_label(text, port));

	return most(name, (unsigned int)strlen(draw_address(text, port))) + 2;
}

bool
draw_is_left(const struct draw_layout *d, const struct draw_box *box,
    const struct lab_port *port)
{
	/* Region r lies between columns r - 1 and r. */
	return d->column[draw_bus_of(d->draw, port)] < box->region;
}

static void
place_box(struct draw_layout *d, struct draw_box *box, unsigned int alone)
{
	const struct draw_node *node = box->node;
	unsigned int low = DRAW_BUSES_MAX, high = 0;

	for (unsigned int k = 0; k < node->nports; k++) {
		unsigned int c =
		    d->column[draw_bus_of(d->draw, &node->ports[k])];

		low = c < low ? c : low;
		high = most(high, c);
	}
	box->region = low + 1;
	if (low == high && low == 0 && (d->nbuses > 1 || alone % 2 == 0))
		box->region = 0;
	box->from = box->region;
	box->to = most(high, box->region);
	for (unsigned int k = 0; k < node->nports; k++) {
		unsigned int width = link_width(&node->ports[k]);

		if (draw_is_left(d, box, &node->ports[k])) {
			box->nleft++;
			box->left_link = most(box->left_link, width);
		} else {
			box->nright++;
			box->right_link = most(box->right_link, width);
		}
	}
}

static void
size_box(struct draw_layout *d, struct draw_box *box)
{
	const struct draw_node *node = box->node;
	unsigned int ports = most(box->nleft, box->nright);
	unsigned int text = (unsigned int)strlen(node->name), all;

	for (unsigned int i = 0; i < node->nlines; i++)
		text = most(text, (unsigned int)strlen(node->line[i]));
	box->width = text + 4;
	box->height = 2 + most(1 + node->nlines, 3 * ports - 1);
	all = box->width + box->left_link + box->right_link;
	/* Beside a box that is fastened on one side only stays a blank. */
	if ((box->nleft == 0 || box->nright == 0) && box->region > 0 &&
	    box->region < d->nbuses)
		all++;
	d->region_width[box->region] = most(d->region_width[box->region], all);
}

static void
stack_box(struct draw_layout *d, struct draw_box *box)
{
	for (unsigned int r = box->from; r <= box->to; r++)
		box->y = most(box->y, d->used[r]);
	for (unsigned int r = box->from; r <= box->to; r++)
		d->used[r] = box->y + box->height;
	d->height = most(d->height, box->y + box->height);
}

/* What is written at an uplink stands in the first region that it crosses. */
static void
size_uplink(struct draw_layout *d, const struct draw_uplink *up)
{
	char text[DRAW_TEXT_BYTES];
	unsigned int n =
	    (unsigned int)strlen(draw_uplink_label(text, up->uplink));

	if (n > 0)
		d->region_width[up->low + 1] =
		    most(d->region_width[up->low + 1], n + 3);
}

static void
lay_out(struct draw_layout *d)
{
	unsigned int x = 1;

	for (unsigned int i = 0; i < d->nboxes; i++) {
		place_box(d, &d->boxes[i], i);
		size_box(d, &d->boxes[i]);
	}
	for (unsigned int i = 0; i < d->nuplinks; i++)
		size_uplink(d, &d->uplinks[i]);
	for (unsigned int r = 0; r <= d->nbuses; r++) {
		if (r > 0 && r < d->nbuses)
			d->region_width[r] = most(d->region_width[r],
			    (unsigned int)(strlen(draw_bus_name(
					       &d->draw->buses[d->bus[r]])) +
				strlen(draw_bus_name(
				    &d->draw->buses[d->bus[r - 1]]))) /
				    2 +
				3);
		x += d->region_width[r];
		if (r < d->nbuses)
			d->bus_x[r] = x++;
	}
	d->width = x + 1;
	if (d->nbuses > 0) { /* room for the first and last name */
		unsigned int last = (unsigned int)strlen(
		    draw_bus_name(&d->draw->buses[d->bus[d->nbuses - 1]]));

		d->width =
		    most(d->width, d->bus_x[d->nbuses - 1] + last / 2 + 2);
	}
	/* One-sided boxes first: they fill the upper rows of the rims. */
	for (unsigned int pass = 0; pass < 2; pass++)
		for (unsigned int i = 0; i < d->nboxes; i++)
			if ((d->boxes[i].nleft > 0 && d->boxes[i].nright > 0) ==
			    (pass == 1))
				stack_box(d, &d->boxes[i]);
}

/* Against the side it hangs on; between two, after its left lines. */
static void
shift_box(const struct draw_layout *d, struct draw_box *box)
{
	unsigned int start =
	    box->region == 0 ? 1 : d->bus_x[box->region - 1] + 1;

	box->x = start + box->left_link;
	if (box->nleft == 0)
		box->x = start + d->region_width[box->region] -
		    box->right_link - box->width;
}

/* ---- uplinks ---- */

static int
find_uplinks(struct draw_layout *d)
{
	const struct draw_lab *draw = d->draw;
	unsigned int n = 0;

	for (unsigned int b = 0; b < draw->nbuses; b++)
		if (draw->buses[b].sw != NULL)
			n += draw->buses[b].sw->nuplinks;
	d->uplinks = arena_array(draw->lab->arena, n, sizeof(d->uplinks[0]));
	if (d->uplinks == NULL)
		return -ENOMEM;
	for (unsigned int b = 0; b < draw->nbuses; b++) {
		const struct lab_switch *sw = draw->buses[b].sw;

		for (unsigned int i = 0; sw != NULL && i < sw->nuplinks; i++) {
			const struct lab_uplink *to = &sw->uplinks[i];
			unsigned int c = d->column[b];
			unsigned int far =
			    d->column[draw_bus_of_switch(draw, to->up)];

			d->uplinks[d->nuplinks++] = (struct draw_uplink){
				.uplink = to,
				.low = c < far ? c : far,
				.high = most(c, far),
			};
		}
	}
	return 0;
}

/* Each in a row of its own below the boxes it would cross, and the text above
 * it. */
static void
stack_uplink(struct draw_layout *d, struct draw_uplink *up)
{
	char text[DRAW_TEXT_BYTES];
	bool says = draw_uplink_label(text, up->uplink)[0] != '\0';

	up->y = 1;
	for (unsigned int r = up->low + 1; r <= up->high; r++)
		up->y = most(up->y, d->used[r] + says);
	for (unsigned int r = up->low + 1; r <= up->high; r++)
		d->used[r] = up->y + 2;
	d->height = most(d->height, up->y + 2);
}

int
draw_layout(struct draw_layout *d, const struct draw_lab *draw)
{
	struct arena *arena = draw->lab->arena;

	if (draw->nbuses > DRAW_BUSES_MAX || draw->nnodes > DRAW_NODES_MAX)
		return -E2BIG;
	*d = (struct draw_layout){ .draw = draw, .nboxes = draw->nnodes };
	d->boxes = arena_array(arena, draw->nnodes, sizeof(d->boxes[0]));
	if (d->boxes == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < draw->nnodes; i++)
		d->boxes[i].node = &draw->nodes[i];
	order_buses(d);
	if (find_uplinks(d) < 0)
		return -ENOMEM;
	lay_out(d);
	for (unsigned int i = 0; i < d->nboxes; i++)
		shift_box(d, &d->boxes[i]);
	for (unsigned int i = 0; i < d->nuplinks; i++)
		stack_uplink(d, &d->uplinks[i]);
	return 0;
}

struct draw_line
draw_line_of(const struct draw_layout *d, const struct draw_box *box,
    const struct lab_port *port)
{
	bool left = draw_is_left(d, box, port);
	unsigned int row = 0;

	for (const struct lab_port *p = box->node->ports; p != port; p++)
		row += draw_is_left(d, box, p) == left;
	return (struct draw_line){
		.left = left,
		.column = d->column[draw_bus_of(d->draw, port)],
		.y = box->y + 1 + 3 * row,
	};
}
