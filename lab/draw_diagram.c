/*
 * The diagram: buses are vertical, side by side, and nodes hang on them.
 *
 *                 lan                                internet
 *  ┌───────┐ eth0    ║ inside      ┌────────┐ outside        ║
 *  │ alice ├─────────╫─────────────┤ gw     ├────────────────╢
 *  │ VM    │ by DHCP ║ 10.0.0.1/24 │ router │ 203.0.113.1/24 ║
 *  └───────┘         ║             └────────┘                ║
 *
 * Space is cut into regions: left of the first bus, between neighbours, right
 * of the last.  A box lies in one region; its lines may cross others.  Each
 * region remembers how far down it is used, so a box takes the highest place
 * that is free in all regions it touches: rows fill up without any search.
 *
 * Buses are ordered by a walk along routers and uplinks from an end, so that
 * most lines go to the next bus.  A crossed bus interrupts the line.
 */
#include "lab/draw_node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUSES_MAX 6 /* more make an outline */
#define ROWS_MAX  400

/* Glyphs, as UTF-8. */
#define H  "─"
#define V  "│"
#define VV "║"

struct box {
	const struct draw_node *node;
	unsigned int region, from, to; /* regions it touches */
	unsigned int x, y, width, height;
	unsigned int nleft, nright;
	unsigned int left_link, right_link; /* columns of its lines */
};

struct diagram {
	const struct draw_lab *draw;
	unsigned int column[BUSES_MAX]; /* of each bus, from the left */
	unsigned int bus[BUSES_MAX];    /* in each column */
	unsigned int nbuses;
	unsigned int bus_x[BUSES_MAX]; /* by column */
	unsigned int region_width[BUSES_MAX + 1];
	unsigned int used[BUSES_MAX + 1]; /* rows of each region */
	struct box *boxes;
	unsigned int nboxes, width, height;
	const char **cells; /* height rows of width glyphs; NULL: blank */
	char (*letters)[2]; /* one per ASCII character */
};

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
		for (unsigned int i = 0; i < sw->uplinks.n; i++)
			if (sw->up[i] == other)
				return true;
	}
	return false;
}

static void
walk(struct diagram *d, unsigned int bus, bool seen[BUSES_MAX])
{
	seen[bus] = true;
	d->column[bus] = d->nbuses;
	d->bus[d->nbuses++] = bus;
	for (unsigned int b = 0; b < d->draw->nbuses; b++)
		if (!seen[b] && are_joined(d->draw, bus, b))
			walk(d, b, seen);
}

static void
order_buses(struct diagram *d)
{
	bool seen[BUSES_MAX] = { false };
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

	return (unsigned int)most((unsigned int)strlen(port->item.name),
		   (unsigned int)strlen(draw_address(text, port))) +
	    2;
}

static bool
is_left(
    const struct diagram *d, const struct box *box, const struct lab_port *port)
{
	/* Region r lies between columns r - 1 and r. */
	return d->column[draw_bus_of(d->draw, port)] < box->region;
}

static void
place_box(struct diagram *d, struct box *box, unsigned int alone)
{
	const struct draw_node *node = box->node;
	unsigned int low = BUSES_MAX, high = 0;

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

		if (is_left(d, box, &node->ports[k])) {
			box->nleft++;
			box->left_link = most(box->left_link, width);
		} else {
			box->nright++;
			box->right_link = most(box->right_link, width);
		}
	}
}

static void
size_box(struct diagram *d, struct box *box)
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
stack_box(struct diagram *d, struct box *box)
{
	for (unsigned int r = box->from; r <= box->to; r++)
		box->y = most(box->y, d->used[r]);
	for (unsigned int r = box->from; r <= box->to; r++)
		d->used[r] = box->y + box->height;
	d->height = most(d->height, box->y + box->height);
}

static void
lay_out(struct diagram *d)
{
	unsigned int x = 1;

	for (unsigned int i = 0; i < d->nboxes; i++) {
		place_box(d, &d->boxes[i], i);
		size_box(d, &d->boxes[i]);
	}
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

/* ---- the canvas ---- */

static void
set(struct diagram *d, unsigned int x, unsigned int y, const char *glyph)
{
	if (x < d->width && y < d->height)
		d->cells[y * d->width + x] = glyph;
}

static void
put_text(struct diagram *d, unsigned int x, unsigned int y, const char *text)
{
	for (; *text != '\0'; text++, x++)
		if (*text > ' ' && *text < 0x7f)
			set(d, x, y, d->letters[(unsigned char)*text]);
}

/* A horizontal line from x up to, but without, to; buses between stay whole. */
static void
put_line(struct diagram *d, unsigned int x, unsigned int to, unsigned int y)
{
	for (unsigned int i = x; i < to; i++) {
		bool crosses = false;

		for (unsigned int c = 0; c < d->nbuses; c++)
			crosses |= d->bus_x[c] > x && d->bus_x[c] < to &&
			    i + 1 >= d->bus_x[c] && i <= d->bus_x[c] + 1;
		if (!crosses)
			set(d, i, y, H);
	}
}

/* Where a line meets a bus, which may have met one from the other side. */
static void
put_joint(struct diagram *d, unsigned int column, unsigned int y, bool right)
{
	bool thick = d->draw->buses[d->bus[column]].sw != NULL;
	unsigned int x = d->bus_x[column];
	const char *is = d->cells[y * d->width + x];

	if (is != NULL && strcmp(is, thick ? VV : V) != 0)
		set(d, x, y, thick ? "╫" : "┼");
	else if (right)
		set(d, x, y, thick ? "╟" : "├");
	else
		set(d, x, y, thick ? "╢" : "┤");
}

static void
put_frame(struct diagram *d, const struct box *box)
{
	unsigned int right = box->x + box->width - 1;
	unsigned int bottom = box->y + box->height - 1;

	for (unsigned int x = box->x + 1; x < right; x++) {
		set(d, x, box->y, H);
		set(d, x, bottom, H);
	}
	for (unsigned int y = box->y + 1; y < bottom; y++) {
		set(d, box->x, y, V);
		set(d, right, y, V);
	}
	set(d, box->x, box->y, "┌");
	set(d, right, box->y, "┐");
	set(d, box->x, bottom, "└");
	set(d, right, bottom, "┘");
	put_text(d, box->x + 2, box->y + 1, box->node->name);
	for (unsigned int i = 0; i < box->node->nlines; i++)
		put_text(d, box->x + 2, box->y + 2 + i, box->node->line[i]);
}

/* The line of one port, the row-th on its side. */
static void
put_port(struct diagram *d, const struct box *box, const struct lab_port *port,
    bool left, unsigned int row)
{
	unsigned int column = d->column[draw_bus_of(d->draw, port)];
	unsigned int bus_x = d->bus_x[column];
	unsigned int y = box->y + 1 + 3 * row;
	char address[DRAW_TEXT_BYTES];
	unsigned int x;

	draw_address(address, port);
	if (left) {
		x = bus_x + 2;
		put_line(d, bus_x + 1, box->x, y);
		put_joint(d, column, y, true);
		set(d, box->x, y, "┤");
		put_text(d, x, y - 1, port->item.name);
		put_text(d, x, y + 1, address);
		return;
	}
	x = box->x + box->width;
	put_line(d, x, bus_x, y);
	put_joint(d, column, y, false);
	set(d, x - 1, y, "├");
	put_text(d, x + 1, y - 1, port->item.name);
	put_text(d, x + 1, y + 1, address);
}

static void
put_box(struct diagram *d, struct box *box)
{
	unsigned int left = 0, right = 0;
	unsigned int start =
	    box->region == 0 ? 1 : d->bus_x[box->region - 1] + 1;

	/* Against the side it hangs on; between two, after its left lines. */
	box->x = start + box->left_link;
	if (box->nleft == 0)
		box->x = start + d->region_width[box->region] -
		    box->right_link - box->width;
	put_frame(d, box);
	for (unsigned int k = 0; k < box->node->nports; k++) {
		const struct lab_port *port = &box->node->ports[k];

		if (is_left(d, box, port))
			put_port(d, box, port, true, left++);
		else
			put_port(d, box, port, false, right++);
	}
}

/* Uplinks, each in a row of its own below the boxes it would cross. */
static void
put_uplinks(struct diagram *d, bool count_only)
{
	for (unsigned int b = 0; b < d->draw->nbuses; b++) {
		const struct lab_switch *sw = d->draw->buses[b].sw;

		for (unsigned int i = 0; sw != NULL && i < sw->uplinks.n; i++) {
			unsigned int up =
			    draw_bus_of_switch(d->draw, sw->up[i]);
			unsigned int c = d->column[b], to = d->column[up];
			unsigned int low = c < to ? c : to;
			unsigned int high = most(c, to), y = 1;

			for (unsigned int r = low + 1; r <= high; r++)
				y = most(y, d->used[r]);
			for (unsigned int r = low + 1; r <= high; r++)
				d->used[r] = y + 2;
			d->height = most(d->height, y + 2);
			if (count_only)
				continue;
			put_line(d, d->bus_x[low] + 1, d->bus_x[high], y);
			put_joint(d, low, y, true);
			put_joint(d, high, y, false);
		}
	}
}

static void
put_buses(struct diagram *d)
{
	for (unsigned int c = 0; c < d->nbuses; c++)
		for (unsigned int y = 0; y < d->height; y++)
			set(d, d->bus_x[c], y,
			    d->draw->buses[d->bus[c]].sw != NULL ? VV : V);
}

static void
print(const struct diagram *d, FILE *out)
{
	unsigned int x = 0;

	for (unsigned int c = 0; c < d->nbuses; c++) {
		const char *name = draw_bus_name(&d->draw->buses[d->bus[c]]);
		unsigned int half = (unsigned int)strlen(name) / 2;
		unsigned int at = d->bus_x[c] > half ? d->bus_x[c] - half : 0;

		at = most(at, c > 0 ? x + 1 : 0);
		fprintf(out, "%*s%s", (int)(at - x), "", name);
		x = at + (unsigned int)strlen(name);
	}
	fputc('\n', out);
	for (unsigned int y = 0; y < d->height; y++) {
		unsigned int end = d->width;

		while (end > 0 && d->cells[y * d->width + end - 1] == NULL)
			end--;
		for (x = 0; x < end; x++)
			fputs(d->cells[y * d->width + x] != NULL
				? d->cells[y * d->width + x]
				: " ",
			    out);
		fputc('\n', out);
	}
}

static int
paint(struct diagram *d, FILE *out)
{
	unsigned int used[BUSES_MAX + 1];

	memcpy(used, d->used, sizeof(used));
	put_uplinks(d, true);
	memcpy(d->used, used, sizeof(used));
	d->cells = arena_array(d->draw->lab->arena,
	    (size_t)d->width * d->height, sizeof(d->cells[0]));
	d->letters = arena_array(d->draw->lab->arena, 128, 2);
	if (d->cells == NULL || d->letters == NULL)
		return -ENOMEM;
	for (int c = 0; c < 128; c++)
		d->letters[c][0] = (char)c;
	put_buses(d);
	for (unsigned int i = 0; i < d->nboxes; i++)
		put_box(d, &d->boxes[i]);
	put_uplinks(d, false);
	print(d, out);
	return 0;
}

int
draw_diagram(const struct draw_lab *draw, unsigned int width, FILE *out)
{
	struct diagram *d;

	if (draw->nbuses > BUSES_MAX || draw->nnodes > ROWS_MAX / 4)
		return -E2BIG;
	d = arena_alloc(draw->lab->arena, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	d->draw = draw;
	d->nboxes = draw->nnodes;
	d->boxes =
	    arena_array(draw->lab->arena, draw->nnodes, sizeof(d->boxes[0]));
	if (d->boxes == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < draw->nnodes; i++)
		d->boxes[i].node = &draw->nodes[i];
	order_buses(d);
	lay_out(d);
	if (d->width > width || d->height > ROWS_MAX)
		return -E2BIG;
	return paint(d, out);
}
