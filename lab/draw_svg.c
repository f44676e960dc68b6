/*
 * The diagram as SVG 1.1: for web pages, slides and paper.
 *
 * The layout is that of the letters, a cell of which becomes CELL_X by CELL_Y
 * pixels (pcap-tools/svg.h).
 */
#include "lab/draw_layout.h"

#include <errno.h>

#include "pcap-tools/svg.h"

#define CELL_X SVG_CHAR
#define CELL_Y 17u
#define TOP    34u /* above the cells: the names of buses */
#define GAP    4u  /* of a line that crosses a bus */
#define MARGIN 8u

#define TITLE_BYTES 512

static const char style[] =
    ".bus{stroke:#0b5394;stroke-width:5;stroke-linecap:round}\n"
    ".cable{stroke:#57606a;stroke-width:2}\n"
    ".line{stroke:#57606a;stroke-width:1.5}\n"
    ".uplink{stroke:#0b5394;stroke-width:3}\n"
    ".lan{font-weight:bold;fill:#0b5394;text-anchor:middle}\n"
    ".box{fill:#f6f8fa;stroke:#57606a;stroke-width:1.5}\n"
    ".router{fill:#fff4d6;stroke:#9a6700}\n"
    ".vm{fill:#e6f4ea;stroke:#1a7f37}\n"
    ".plug{stroke-dasharray:5 3}\n";

static unsigned int
px(unsigned int cell)
{
	return MARGIN + cell * CELL_X;
}

static unsigned int
py(unsigned int cell)
{
	return TOP + cell * CELL_Y;
}

/* The middle of a cell. */
static unsigned int
mid_x(unsigned int cell)
{
	return px(cell) + CELL_X / 2;
}

static unsigned int
mid_y(unsigned int cell)
{
	return py(cell) + CELL_Y / 2;
}

/* A horizontal line, with a gap at each bus that it only crosses. */
static void
put_level(const struct draw_layout *d, const char *class, unsigned int x1,
    unsigned int x2, unsigned int y, FILE *out)
{
	for (unsigned int c = 0; c < d->nbuses; c++) {
		unsigned int bus = mid_x(d->bus_x[c]);

		if (bus <= x1 || bus >= x2)
			continue;
		svg_line(out, class, x1, y, bus - GAP - 2, y);
		x1 = bus + GAP + 2;
	}
	svg_line(out, class, x1, y, x2, y);
}

static void
put_buses(const struct draw_layout *d, FILE *out)
{
	for (unsigned int c = 0; c < d->nbuses; c++) {
		const struct draw_bus *bus = &d->draw->buses[d->bus[c]];
		unsigned int x = mid_x(d->bus_x[c]);

		svg_text(out, x, TOP - 14, "lan", draw_bus_name(bus));
		svg_line(out, bus->sw != NULL ? "bus" : "cable", x, TOP - 4, x,
		    py(d->height) + 2);
	}
}

static const char *
box_class(enum lab_kind kind)
{
	switch (kind) {
	case LAB_ROUTER: return "box router";
	case LAB_VM: return "box vm";
	case LAB_PLUG:
	case LAB_BRIDGE: return "box plug";
	default: return "box";
	}
}

static void
put_port(const struct draw_layout *d, const struct draw_box *box,
    const struct lab_port *port, FILE *out)
{
	struct draw_line line = draw_line_of(d, box, port);
	unsigned int bus = mid_x(d->bus_x[line.column]), y = mid_y(line.y);
	unsigned int edge =
	    line.left ? mid_x(box->x) : mid_x(box->x + box->width - 1);
	unsigned int text = line.left ? bus + 10 : edge + 10;
	char label[DRAW_TEXT_BYTES];

	if (line.left)
		put_level(d, "line", bus, edge, y, out);
	else
		put_level(d, "line", edge, bus, y, out);
	svg_text(out, text, y - 5, "dim", draw_port_label(label, port));
	svg_text(out, text, y + 14, NULL, draw_address(label, port));
}

static void
put_uplink(const struct draw_layout *d, const struct draw_uplink *up, FILE *out)
{
	unsigned int low = mid_x(d->bus_x[up->low]), y = mid_y(up->y);
	char label[DRAW_TEXT_BYTES];

	put_level(d, "uplink", low, mid_x(d->bus_x[up->high]), y, out);
	if (draw_uplink_label(label, up->uplink)[0] != '\0')
		svg_text(out, low + 10, y - 5, "dim", label);
}

static void
put_box(const struct draw_layout *d, const struct draw_box *box, FILE *out)
{
	const struct draw_node *node = box->node;
	unsigned int x = mid_x(box->x), y = mid_y(box->y);

	svg_box(out, box_class(node->kind), x, y, (box->width - 1) * CELL_X,
	    (box->height - 1) * CELL_Y);
	svg_text(
	    out, px(box->x + 2), mid_y(box->y + 1) + 5, "name", node->name);
	for (unsigned int i = 0; i < node->nlines; i++)
		svg_text(out, px(box->x + 2), mid_y(box->y + 2 + i) + 5, NULL,
		    node->line[i]);
	for (unsigned int k = 0; k < node->nports; k++)
		put_port(d, box, &node->ports[k], out);
}

int
draw_svg(const struct draw_lab *draw, FILE *out)
{
	struct draw_layout *d = arena_alloc(draw->lab->arena, sizeof(*d));
	unsigned int width, height;
	char title[TITLE_BYTES];
	int e;

	if (d == NULL)
		return -ENOMEM;
	e = draw_layout(d, draw);
	if (e < 0)
		return e;
	width = px(d->width) + MARGIN;
	height = py(d->height) + MARGIN;
	snprintf(title, sizeof(title), "%s%s%s", draw->lab->name,
	    draw->lab->description != NULL ? ": " : "",
	    draw->lab->description != NULL ? draw->lab->description : "");
	svg_begin(out, width, height, title, style);
	put_buses(d, out);
	for (unsigned int i = 0; i < d->nuplinks; i++)
		put_uplink(d, &d->uplinks[i], out);
	for (unsigned int i = 0; i < d->nboxes; i++)
		put_box(d, &d->boxes[i], out);
	svg_end(out);
	return 0;
}
