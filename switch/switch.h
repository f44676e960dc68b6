/*
 * switch.h - a learning Ethernet switch (IEEE 802.1D-2004, clause 7).
 *
 * Forwards by the port on which each address was last seen (fdb.h), floods what
 * it does not know, never back to where it came from.  The link-local group
 * addresses 01-80-C2-00-00-00 to -0F are not forwarded (7.12.6).  Tags pass
 * untouched.  Any number of ports; loop thread only.
 *
 * A frame's verdict is written before it is sent on, and stays when all that it
 * is sent to refuse it.  One that comes back by a loop of cables is refused as
 * DROP_LOOP, and teaches nothing; there is no spanning tree.
 */
#ifndef SWITCH_SWITCH_H
#define SWITCH_SWITCH_H

#include "net/addr.h"
#include "switch/port.h"

#define SWITCH_AGE_S    300     /* default (IEEE 802.1D-2004, table 7-5) */
#define SWITCH_MACS     100000  /* default limit of the address table */
#define SWITCH_MACS_MAX 1000000 /* what max_macs may ask for */

struct switch_options {
	uint64_t age_ns;   /* 0: SWITCH_AGE_S */
	uint32_t max_macs; /* 0: SWITCH_MACS */
};

struct lan_switch;

/* The caller's to free.  NULL: *err says why. */
struct lan_switch *switch_new(struct loop *loop, const char *name,
    const struct switch_options *options, struct err *err);
void switch_free(struct lan_switch *sw); /* cuts its cables; NULL is fine */

struct node *switch_node(struct lan_switch *sw);

/* A new port named name ("lan.alice.eth0"), the switch's own, or NULL. */
struct port *switch_add_port(
    struct lan_switch *sw, const char *name, struct err *err);
/* Cuts its cable and forgets the addresses behind it.  Not within a take(). */
void switch_remove_port(struct lan_switch *sw, struct port *port);

/* Calls each for every address that has not aged out. */
void switch_each_mac(const struct lan_switch *sw,
    void (*each)(void *arg, const struct mac *mac, const struct port *port,
	uint64_t age_ns),
    void *arg);

#endif
