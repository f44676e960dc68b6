/*
 * nat_facts.h - what a capture says of the router whose port it looks at: the
 * router's name, its outside port, and how its NAT behaves.
 *
 *     nat=gw outside=gw.outside mapping=endpoint-independent udp-idle=300s ...
 *
 * By these the table can be seen later as it was at a frame (nat_history.h).
 */
#ifndef LAB_NAT_FACTS_H
#define LAB_NAT_FACTS_H

#include <stdbool.h>

#include "router/nat_rules.h"
#include "switch/port.h"

struct nat_facts {
	char router[NODE_NAME_BYTES], outside[NODE_NAME_BYTES];
	struct nat_rules rules; /* timers and refresh are read */
};

/* "udp-idle". */
extern const char *const nat_timer_keys[NAT_TIMERS];

/* Reads the facts of a capture, which may be anything; keys that are not known,
 * as of a later version, are passed over.  False: they are not about a NAT. */
bool nat_facts_read(struct nat_facts *facts, const char *text);

#endif
