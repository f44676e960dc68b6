/*
 * switch.h - a learning Ethernet switch (IEEE 802.1Q-2018, clause 8).
 *
 * Forwards by the port on which each address was last seen (fdb.h), floods what
 * it does not know, never back to where it came from.  Any number of ports;
 * loop thread only.
 *
 * The reserved group addresses 01-80-C2-00-00-00 to -0F are not forwarded
 * (8.6.3), but on request; those of a provider's VLAN are fewer (vlan.h).
 *
 * A frame's verdict is written before it is sent on, and stays when all that it
 * is sent to refuse it.  One that comes back by a loop of cables is refused as
 * DROP_LOOP, and teaches nothing.  A switch without spanning tree finds loops,
 * also those that lead through others' machines, and blocks one of their ports
 * (guard.c).
 *
 * What is set by the functions below can be set at any time but within a
 * take().  A port with nothing set costs what it did in a switch that knows
 * nothing of all this.
 */
#ifndef SWITCH_SWITCH_H
#define SWITCH_SWITCH_H

#include "net/addr.h"
#include "switch/fdb.h"
#include "switch/port.h"
#include "switch/port_set.h"

#define SWITCH_AGE_S    300     /* default (IEEE 802.1Q-2018, table 8-6) */
#define SWITCH_MACS     100000  /* default limit of the address table */
#define SWITCH_MACS_MAX 1000000 /* what max_macs may ask for */

struct switch_options {
	uint64_t age_ns;   /* 0: SWITCH_AGE_S */
	uint32_t max_macs; /* 0: SWITCH_MACS */
	uint16_t reserved; /* bit x: 01-80-C2-00-00-0x is forwarded */
	bool no_guard;     /* do not look for loops */
};

struct lan_switch;

/* The caller's to free.  NULL: *err says why. */
struct lan_switch *switch_new(struct loop *loop, const char *name,
    const struct switch_options *options, struct err *err);
/* Cuts its cables.  Its protocols must have left.  NULL is fine. */
void switch_free(struct lan_switch *sw);

struct node *switch_node(struct lan_switch *sw);

/* A new port named name ("lan.alice.eth0"), the switch's own, or NULL. */
struct port *switch_add_port(
    struct lan_switch *sw, const char *name, struct err *err);
/* Cuts its cable and forgets the addresses behind it.  Not within a take(). */
void switch_remove_port(struct lan_switch *sw, struct port *port);
/* The switch whose port it is, or NULL. */
struct lan_switch *switch_of(const struct port *port);

/* ---- addresses ---- */

/* Calls each for every address that has not aged out.  port is row->port. */
void switch_each_mac(const struct lan_switch *sw,
    void (*each)(void *arg, const struct fdb_row *row, const struct port *port),
    void *arg);

/* Pins an address to a port.  As fdb_pin() and fdb_unpin(). */
int switch_pin(struct port *port, const struct mac *mac, uint16_t vlan);
int switch_unpin(struct port *port, const struct mac *mac, uint16_t vlan);

/* What happens to a frame from one address more than a port may have. */
enum mac_reaction {
	MAC_DROP,  /* it is refused as DROP_MAC_LIMIT */
	MAC_SHUT,  /* and the port's link goes down until it is set up again */
	MAC_EVICT, /* the address that was learned first is forgotten */
};

/* At most max addresses on port, up to FDB_LIMIT_MAX; 0: no limit.  sticky:
 * what it learns stays.  0, or -ENOMEM. */
int switch_limit_macs(
    struct port *port, uint32_t max, enum mac_reaction reaction, bool sticky);

/* ---- storms, isolation, size ---- */

enum storm_class {
	STORM_BROADCAST,
	STORM_UNKNOWN,   /* unicast to an address that is not known */
	STORM_MULTICAST, /* other groups */
	STORM_CLASSES,
};

/* How many frames a second of one class enter by port, of which a second's
 * worth may come at once; others are refused as DROP_STORM.  0: no limit. */
void switch_limit_storm(
    struct port *port, enum storm_class of, uint32_t frames_per_s);

/* Isolated ports exchange nothing with each other, all with the rest. */
void switch_set_isolated(struct port *port, bool isolated);

/* The largest packet that passes port either way, in bytes without Ethernet
 * header and tags; 0: any.  Larger ones are refused as DROP_TOO_LONG. */
#define SWITCH_MTU_MIN 68
#define SWITCH_MTU_MAX 9216
void switch_set_mtu(struct port *port, uint32_t bytes);
uint32_t switch_mtu(const struct port *port);

/* What was set by the functions above. */
struct switch_limits {
	uint32_t max_macs, mtu, storm[STORM_CLASSES]; /* 0: any */
	enum mac_reaction reaction;
	bool sticky, isolated;
};

void switch_get_limits(const struct port *port, struct switch_limits *limits);

/* ---- mirrors ---- */

#define SWITCH_MIRRORS 16

/*
 * Copies of what passes, sent to a port.  A frame is copied as it comes in,
 * tags and all and whatever becomes of it, if its port is in in, or it belongs
 * to vlan; and as it goes out, once for each port in out that it leaves by.
 * The port to is then for that alone: nothing else is sent there, and what
 * comes from it is refused as DROP_MIRROR_PORT.
 */
struct mirror_options {
	struct port_set in, out;
	uint16_t vlan; /* 0: none */
	struct port *to;
};

/* Its number, to remove it by; -ENOSPC beyond SWITCH_MIRRORS, -EBUSY if to is
 * looked at itself. */
int switch_add_mirror(
    struct lan_switch *sw, const struct mirror_options *options);
void switch_remove_mirror(struct lan_switch *sw, unsigned int number);

/* What a port is and does beyond plain switching, in words for `show ports`:
 * "access 10, isolated".  Returns out. */
const char *switch_describe(const struct port *port, char *out, size_t len);

#endif
