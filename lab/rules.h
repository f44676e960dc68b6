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

#define RULES_STATICS 16

/* Addresses that are pinned to a port. */
struct rules_statics {
	unsigned int n;
	struct {
		struct mac mac;
		uint16_t vlan; /* 0: of the port's VLAN, or none */
	} of[RULES_STATICS];
};

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
	struct rules_statics statics;
	uint64_t given; /* by rules_keys */
};

extern const struct keyset rules_keys; /* of struct lab_rules */

/* keyset_merge(), and what follows from it: of vlan, trunk and tunnel, a new
 * one takes the others' place. */
void rules_merge(struct lab_rules *to, const struct lab_rules *from);

/* What cannot be as a whole: -EINVAL with *err saying what to do; else 0. */
int rules_check(const struct lab_rules *rules, struct err *err);

/* "52:54:00:12:34:56,52:54:00:12:34:57/10".  False: a part is no station's
 * address, or they are too many. */
bool rules_statics_read(struct rules_statics *statics, const char *text);
char *rules_statics_text(
    char *out, size_t len, const struct rules_statics *statics);

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
