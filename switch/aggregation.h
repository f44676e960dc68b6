/*
 * aggregation.h - who is in a switch's bonds: what LACP says (lacp.h), or the
 * lab file alone (IEEE 802.1AX-2014).
 *
 * Wires are joined to bonds once and stay; which of them carry frames changes.
 * A static bond's wires carry while enough of them have a link; LACP's, when
 * both sides agree.  Frames that come in by a wire that does not collect are
 * refused, as are those to a bond that has no wire to send by.
 */
#ifndef SWITCH_AGGREGATION_H
#define SWITCH_AGGREGATION_H

#include "switch/bond.h"
#include "switch/lacp.h"
#include "switch/protocol.h"

enum bond_mode { BOND_ACTIVE, BOND_PASSIVE, BOND_STATIC };

struct bond_options {
	enum bond_mode mode;
	struct flow_options hash;
	bool fast;                /* LACP: asks for a PDU each second */
	uint16_t system_priority; /* LACP; 0: LACP_PRIORITY */
	uint16_t key;             /* LACP; 0: the bond's number, from 1 */
	unsigned int min_links;   /* 0: 1 */
	unsigned int max_links;   /* LACP; 0: all */
	bool individual;          /* LACP: one wire carries without a partner */
};

struct aggregation;

/* Joins sw, to be freed before it.  NULL: *err says why. */
struct aggregation *aggregation_new(struct lan_switch *sw, struct err *err);
void aggregation_free(struct aggregation *aggregation); /* NULL is fine */

/* A bond of no wires named name ("lan.b0"), the switch's own.  NULL: *err. */
struct port *aggregation_add(struct aggregation *aggregation, const char *name,
    const struct bond_options *options, struct err *err);

/* Makes a wire a member, before its cable is joined.  priority: of LACP, for
 * max_links; 0: LACP_PRIORITY.  0, or -Exxx with *err. */
int aggregation_join(struct aggregation *aggregation, struct port *bond,
    struct port *wire, uint16_t priority, struct err *err);

struct bond_row {
	const struct port *bond, *wire;
	enum bond_mode mode;
	/* A static bond's say no more than "distributing", or "down". */
	struct lacp_row link;
	uint64_t out_frames, in_frames; /* of the wire */
};

/* Calls each for every wire of every bond. */
void aggregation_each(const struct aggregation *aggregation,
    void (*each)(void *arg, const struct bond_row *row), void *arg);

#endif
