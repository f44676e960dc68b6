/*
 * lldp_protocol.h - a switch that says what it is and hears who its neighbours
 * are: lldp_agent.h as a protocol of a switch (IEEE 802.1AB-2016).
 *
 * Says, by each wire: the switch's address and the port's name, the cable's
 * other end, the switch's name and kind, its management address (or its MAC
 * address, if it has none), the port's VLANs, its largest frame and its bond.
 * Speaks to the nearest bridge alone.  Loop thread only.
 */
#ifndef SWITCH_LLDP_PROTOCOL_H
#define SWITCH_LLDP_PROTOCOL_H

#include "switch/lldp_agent.h"
#include "switch/protocol.h"

struct lldp_protocol_options {
	struct lldp_agent_options agent;
	const char *description; /* of the system; borrowed */
	uint32_t address;        /* IPv4, for management; 0: none */
};

struct lldp_protocol;

/* Joins sw, to be freed before it.  NULL: *err says why. */
struct lldp_protocol *lldp_protocol_new(struct lan_switch *sw,
    const struct lldp_protocol_options *options, struct err *err);
/* Says goodbye to the neighbours, and nothing after that. */
void lldp_protocol_stop(struct lldp_protocol *lldp);
void lldp_protocol_free(struct lldp_protocol *lldp); /* NULL is fine */

/* Calls each for every neighbour; what it is told is borrowed. */
void lldp_protocol_each(const struct lldp_protocol *lldp,
    void (*each)(void *arg, const struct port *port,
	const struct lldp *neighbour, uint64_t left_ns),
    void *arg);

#endif
