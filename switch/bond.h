/*
 * bond.h - several wires of a switch as one bridge port (IEEE 802.1AX).
 *
 * A bond is a bridge port without a cable of its own.  Its members keep their
 * cables and are wires only: what they receive is learned on the bond, and what
 * goes to the bond leaves by one of them, chosen by a hash of the frame's flow
 * (flow.h), so that frames of one flow stay in order.  When a member stops to
 * send, its flows move to the others; when one starts, it gets its share of
 * theirs; all other flows stay where they are.  Who joins, and who may receive and
 * send, is LACP's to say, or the lab file's.  Loop thread only; none of this
 * within a take().
 */
#ifndef SWITCH_BOND_H
#define SWITCH_BOND_H

#include "switch/flow.h"
#include "switch/switch.h"

#define BOND_WIRES_MAX 16

/* A bond of no wires, the switch's own, removed by switch_remove_port(), which
 * lets its wires go.  NULL: *err says why. */
struct port *switch_add_bond(struct lan_switch *sw, const char *name,
    const struct flow_options *hash, struct err *err);

/* Makes a wire a member, which neither receives nor sends yet.  0; -EBUSY if it
 * is one already; -ENOSPC if the bond has BOND_WIRES_MAX. */
int switch_bond_join(struct port *bond, struct port *wire);
/* Makes it a bridge port by itself again.  Fine if it is one. */
void switch_bond_leave(struct port *wire);

/* Whether a member takes frames (collecting), and sends them (distributing).
 * The bond's link is up while some member distributes and has a link. */
void switch_bond_use(struct port *wire, bool collect, bool distribute);

#endif
