/*
 * draw_node.h - what the drawings have in common: nodes with their lines of
 * text, entries that stand for many drawn once, and buses.
 */
#ifndef LAB_DRAW_NODE_H
#define LAB_DRAW_NODE_H

#include <stdio.h>

#include "lab/model.h"

#define DRAW_LINES      5
#define DRAW_TEXT_BYTES 64

struct draw_node {
	const char *name; /* "alice", "vm[001-010]" */
	enum lab_kind kind;
	unsigned int count; /* nodes it stands for */
	struct lab_port *ports;
	unsigned int nports;
	char line[DRAW_LINES][DRAW_TEXT_BYTES]; /* below the name */
	unsigned int nlines;
};

/* What ports share: a switch, or a direct cable between two. */
struct draw_bus {
	const struct lab_switch *sw; /* NULL: a cable */
	const struct lab_port *end;  /* of the cable: the lower by name */
};

struct draw_lab {
	const struct lab *lab;
	struct draw_node *nodes;
	unsigned int nnodes;
	struct draw_bus *buses;
	unsigned int nbuses;
};

/* In the lab's arena.  0, or -ENOMEM. */
int draw_lab_init(struct draw_lab *draw, const struct lab *lab);

/* The index of the bus that port is on. */
unsigned int draw_bus_of(
    const struct draw_lab *draw, const struct lab_port *port);
unsigned int draw_bus_of_switch(
    const struct draw_lab *draw, const struct lab_switch *sw);
const char *draw_bus_name(const struct draw_bus *bus);

/* "10.0.0.1/24", "by DHCP", "by RA" or "".  Returns out. */
char *draw_address(char out[DRAW_TEXT_BYTES], const struct lab_port *port);

/* "eth0", "eth0 in b0: delay 5ms, loss 1%": a port, its bond, and what happens
 * on its cable if that is said there.  Returns out. */
char *draw_port_label(char out[DRAW_TEXT_BYTES], const struct lab_port *port);
/* The same without its name, or "".  Returns out. */
char *draw_cable_label(char out[DRAW_TEXT_BYTES], const struct lab_port *port);
/* The same of an uplink: "2 cables in b0: delay 5ms", or "".  Returns out. */
char *draw_uplink_label(
    char out[DRAW_TEXT_BYTES], const struct lab_uplink *uplink);

/* The drawings, each in a file of its own.  draw_diagram() returns -E2BIG if
 * it is wider than width, draw_svg() if it has too many parts; nothing is
 * written then. */
int draw_diagram(const struct draw_lab *draw, unsigned int width, FILE *out);
int draw_svg(const struct draw_lab *draw, FILE *out);
void draw_outline(const struct draw_lab *draw, FILE *out);
void draw_dot(const struct draw_lab *draw, FILE *out);
void draw_mermaid(const struct draw_lab *draw, FILE *out);

#endif
