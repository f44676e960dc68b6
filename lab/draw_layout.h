/*
 * draw_layout.h - where the parts of a diagram lie.
 *
 * In cells, as wide and high as a letter: x from the left, y from the top.
 * Vertical buses, from left to right by column; boxes beside them.
 */
#ifndef LAB_DRAW_LAYOUT_H
#define LAB_DRAW_LAYOUT_H

#include <stdbool.h>

#include "lab/draw_node.h"

#define DRAW_BUSES_MAX 64
#define DRAW_NODES_MAX 2000

struct draw_box {
	const struct draw_node *node;
	unsigned int region, from, to; /* regions it touches */
	unsigned int x, y, width, height;
	unsigned int nleft, nright;
	unsigned int left_link, right_link; /* columns of its lines */
};

/* A line from switch to switch. */
struct draw_uplink {
	const struct lab_uplink *uplink;
	unsigned int low, high; /* columns of buses */
	unsigned int y;
};

struct draw_layout {
	const struct draw_lab *draw;
	unsigned int column[DRAW_BUSES_MAX]; /* of each bus, from the left */
	unsigned int bus[DRAW_BUSES_MAX];    /* in each column */
	unsigned int nbuses;
	unsigned int bus_x[DRAW_BUSES_MAX]; /* by column */
	unsigned int region_width[DRAW_BUSES_MAX + 1];
	unsigned int used[DRAW_BUSES_MAX + 1]; /* rows of each region */
	struct draw_box *boxes;
	unsigned int nboxes, width, height;
	struct draw_uplink *uplinks;
	unsigned int nuplinks;
};

/* The line from a box to the bus of one of its ports. */
struct draw_line {
	bool left;
	unsigned int column; /* of the bus */
	unsigned int y;
};

/* In the lab's arena.  0, -ENOMEM, or -E2BIG. */
int draw_layout(struct draw_layout *d, const struct draw_lab *draw);

bool draw_is_left(const struct draw_layout *d, const struct draw_box *box,
    const struct lab_port *port);
struct draw_line draw_line_of(const struct draw_layout *d,
    const struct draw_box *box, const struct lab_port *port);

#endif
