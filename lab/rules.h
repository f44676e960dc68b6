/*
 * rules.h - what a lab file, an event or `lanyard set` says about the port of a
 * switch: VLANs, limits, storms, isolation.
 *
 * The keys (keyset.h) stand at the port that is plugged in, or at an uplink for
 * both of its ends.
 */
#ifndef LAB_RULES_H
#define LAB_RULES_H

#include "base/err.h"
#include "lab/keyset.h"
#include "switch/switch.h"
#include "switch/vlan.h"

enum rules_tags { RULES_CUSTOMER, RULES_PROVIDER }; /* of a trunk */

/* Zero: nothing. */
struct lab_rules {
	uint64_t vlan, native, tunnel;
	struct vlan_set trunk;
	int tags; /* enum rules_tags */
	bool isolated, sticky;
	uint64_t max_packet, max_macs;
	int over_max; /* enum mac_reaction */
	uint64_t storm[STORM_CLASSES];
	uint64_t given; /* by rules_keys */
};

extern const struct keyset rules_keys; /* of struct lab_rules */

/* keyset_merge(), and what follows from it: of vlan, trunk and tunnel, a new
 * one takes the others' place. */
void rules_merge(struct lab_rules *to, const struct lab_rules *from);

/* What cannot be as a whole: -EINVAL with *err saying what to do; else 0. */
int rules_check(const struct lab_rules *rules, struct err *err);

/* The switch's end of a cable: port itself, or what it is plugged into; or the
 * bond that this is one of.  NULL: there is none. */
struct port *rules_port(struct port *port);

/* Could rules_change() do it?  0, or -EINVAL with *err. */
int rules_would_change(
    struct port *port, const struct lab_rules *rules, struct err *err);

/* Changes what is given, at a port of a switch.  0; or -Exxx with *err, and
 * nothing is changed. */
int rules_change(
    struct port *port, const struct lab_rules *rules, struct err *err);

#endif
