/*
 * cabling.h - the cables of a running lab, and changes to them.
 */
#ifndef LAB_CABLING_H
#define LAB_CABLING_H

#include "lab/fabric.h"

/* A change at a port, by hand or by an event. */
struct cabling_change {
	bool sets_link, down; /* sets_link: take it down, or up */
	bool plain;           /* begin with a plain cable */
	/* By enum lab_direction, as seen from the port's node. */
	struct lab_wire wire[WIRE_DIRECTIONS];
	struct lab_rules rules; /* of the switch's end of the cable */
};

/* Does all of it, or nothing and says why in *err.  0 or -Exxx. */
int cabling_change(
    struct port *port, const struct cabling_change *change, struct err *err);

/* The direction of port's cable that frames out of port's node, or into it,
 * take.  The port must have a struct cable. */
enum cable_side cabling_side(
    const struct port *port, enum lab_direction direction);

#endif
