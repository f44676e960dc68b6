/*
 * The diagram in letters.
 *
 *                 lan                                internet
 *  ┌───────┐ eth0    ║ inside      ┌────────┐ outside        ║
 *  │ alice ├─────────╫─────────────┤ gw     ├────────────────╢
 *  │ VM    │ by DHCP ║ 10.0.0.1/24 │ router │ 203.0.113.1/24 ║
 *  └───────┘         ║             └────────┘                ║
 *
 * A crossed bus interrupts the line.
 */
#include "lab/draw_layout.h"

#include <errno.h>
#include <string.h>

#define ROWS_MAX 400 /* more make an outline */

/* Glyphs, as UTF-8. */
#define H  "─"
#define V  "│"
#define VV "║"

struct diagram {
	struct draw_layout at;
	const char **cells; /* height rows of width glyphs; NULL: blank */
	char (*letters)[2]; /* one per ASCII character */
};

static unsigned int
most(unsigned int a, unsigned int b)
{
	return a > b ? a : b;
}

/* ---- the canvas ---- */

static void
set(struct diagram *d, unsigned int x, unsigned int y, const char *glyph)
{
	if (x < d->at.width && y < d->at.height)
		d->cells[y * d->at.width + x] = glyph;
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

		for (unsigned int c = 0; c < d->at.nbuses; c++)
			crosses |= d->at.bus_x[c] > x && d->at.bus_x[c] < to &&
			    i + 1 >= d->at.bus_x[c] && i <= d->at.bus_x[c] + 1;
		if (!crosses)
			set(d, i, y, H);
	}
}

/* Where a line meets a bus, which may have met one from the other side. */
static void
put_joint(struct diagram *d, unsigned int column, unsigned int y, bool right)
{
	bool thick = d->at.draw->buses[d->at.bus[column]].sw != NULL;
	unsigned int x = d->at.bus_x[column];
	const char *is = d->cells[y * d->at.width + x];

	if (is != NULL && strcmp(is, thick ? VV : V) != 0)
		set(d, x, y, thick ? "╫" : "┼");
	else if (right)
		set(d, x, y, thick ? "╟" : "├");
	else
		set(d, x, y, thick ? "╢" : "┤");
}

static void
put_frame(struct diagram *d, const struct draw_box *box)
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

static void
put_port(
    struct diagram *d, const struct draw_box *box, const struct lab_port *port)
{
	struct draw_line line = draw_line_of(&d->at, box, port);
	unsigned int bus_x = d->at.bus_x[line.column], y = line.y;
	unsigned int x = line.left ? bus_x + 2 : box->x + box->width + 1;
	char text[DRAW_TEXT_BYTES];

	if (line.left) {
		put_line(d, bus_x + 1, box->x, y);
		set(d, box->x, y, "┤");
	} else {
		put_line(d, box->x + box->width, bus_x, y);
		set(d, box->x + box->width - 1, y, "├");
	}
	put_joint(d, line.column, y, line.left);
	put_text(d, x, y - 1, draw_port_label(text, port));
	put_text(d, x, y + 1, draw_address(text, port));
}

static void
put_box(struct diagram *d, const struct draw_box *box)
{
	put_frame(d, box);
	for (unsigned int k = 0; k < box->node->nports; k++)
		put_port(d, box, &box->node->ports[k]);
}

static void
put_uplink(struct diagram *d, const struct draw_uplink *up)
{
	char text[DRAW_TEXT_BYTES];

	put_line(d, d->at.bus_x[up->low] + 1, d->at.bus_x[up->high], up->y);
	put_text(d, d->at.bus_x[up->low] + 2, up->y - 1,
	    draw_uplink_label(text, up->uplink));
	put_joint(d, up->low, up->y, true);
	put_joint(d, up->high, up->y, false);
}

static void
put_buses(struct diagram *d)
{
	for (unsigned int c = 0; c < d->at.nbuses; c++)
		for (unsigned int y = 0; y < d->at.height; y++)
			set(d, d->at.bus_x[c], y,
			    d->at.draw->buses[d->at.bus[c]].sw != NULL ? VV
								       : V);
}

static void
print(const struct diagram *d, FILE *out)
{
	unsigned int x = 0;

	for (unsigned int c = 0; c < d->at.nbuses; c++) {
		const char *name =
		    draw_bus_name(&d->at.draw->buses[d->at.bus[c]]);
		unsigned int half = (unsigned int)strlen(name) / 2;
		unsigned int at =
		    d->at.bus_x[c] > half ? d->at.bus_x[c] - half : 0;

		at = most(at, c > 0 ? x + 1 : 0);
		fprintf(out, "%*s%s", (int)(at - x), "", name);
		x = at + (unsigned int)strlen(name);
	}
	fputc('\n', out);
	for (unsigned int y = 0; y < d->at.height; y++) {
		unsigned int end = d->at.width;

		while (end > 0 && d->cells[y * d->at.width + end - 1] == NULL)
			end--;
		for (x = 0; x < end; x++)
			fputs(d->cells[y * d->at.width + x] != NULL
				? d->cells[y * d->at.width + x]
				: " ",
			    out);
		fputc('\n', out);
	}
}

static int
paint(struct diagram *d, FILE *out)
{
	struct arena *arena = d->at.draw->lab->arena;

	d->cells = arena_array(
	    arena, (size_t)d->at.width * d->at.height, sizeof(d->cells[0]));
	d->letters = arena_array(arena, 128, 2);
	if (d->cells == NULL || d->letters == NULL)
		return -ENOMEM;
	for (int c = 0; c < 128; c++)
		d->letters[c][0] = (char)c;
	put_buses(d);
	for (unsigned int i = 0; i < d->at.nboxes; i++)
		put_box(d, &d->at.boxes[i]);
	for (unsigned int i = 0; i < d->at.nuplinks; i++)
		put_uplink(d, &d->at.uplinks[i]);
	print(d, out);
	return 0;
}

int
draw_diagram(const struct draw_lab *draw, unsigned int width, FILE *out)
{
	struct diagram *d = arena_alloc(draw->lab->arena, sizeof(*d));
	int e;

	if (d == NULL)
		return -ENOMEM;
	e = draw_layout(&d->at, draw);
	if (e < 0)
		return e;
	if (d->at.width > width || d->at.height > ROWS_MAX)
		return -E2BIG;
	return paint(d, out);
}
