/*
 * protocol.h - how a switch speaks a protocol on its ports: spanning tree,
 * LACP, LLDP, IGMP and MLD snooping.
 *
 * A protocol is a struct switch_protocol inside its owner's struct, joined to
 * one switch.  It claims some of the reserved group addresses, is handed a copy
 * of each frame to them, hears of ports that come, go, and change their link,
 * and in turn says what ports do: discard, learn or forward, by tree.  A switch
 * without protocols pays nothing for them.
 *
 * There are two kinds of port.  A wire is what a cable is plugged into.  A
 * bridge port is what addresses are learned on: a wire by itself, or a bond of
 * several wires (bond.h), whose members are then no bridge ports.  A protocol
 * is of the one or the other: spanning tree of bridge ports, LACP and LLDP of
 * wires.
 *
 * Loop thread only.  Callbacks may send, set states, flush, and set timers;
 * input() may be called again before it returns, by what it sends.  Ports are
 * neither added nor removed within them, and bonds neither joined nor left
 * within input(): ask for a deferred call (loop.h).
 */
#ifndef SWITCH_PROTOCOL_H
#define SWITCH_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"
#include "net/reason.h"
#include "switch/port.h"
#include "switch/port_set.h"
#include "switch/switch.h"

/* Reserved group addresses by their last digit: 01-80-C2-00-00-0x. */
#define RESERVED_BRIDGE   0x0 /* STP, RSTP, MSTP; LLDP nearest customer */
#define RESERVED_SLOW     0x2 /* LACP */
#define RESERVED_NON_TPMR 0x3 /* 802.1X; LLDP nearest non-TPMR bridge */
#define RESERVED_PROVIDER 0x8 /* spanning tree of provider bridges */
#define RESERVED_NEAREST  0xe /* LLDP nearest bridge */

#define SWITCH_INPUT_BYTES 2048 /* of a frame, as input() sees it */

struct switch_protocol;

/* A frame for the switch itself. */
struct switch_input {
	struct port *port;    /* where it came in: wire or bridge port */
	const uint8_t *bytes; /* a copy, from the destination address on */
	size_t len;           /* of it; at most SWITCH_INPUT_BYTES */
	size_t frame_len;     /* of the whole */
	size_t payload;       /* where what follows the EtherType begins */
	uint16_t type;        /* EtherType behind the tags, or a length */
	uint16_t vlan;        /* that it belongs to; 0: none */
	bool tagged;          /* it came with a tag */
	uint64_t now_ns;
	/* Output, when input() returns REASON_NONE: it goes to these bridge
	 * ports only.  Borrowed until a free by switch_free_later(). */
	const struct port_set *only;
};

struct switch_protocol_ops {
	const char *name;  /* "stp": said by explain */
	bool wires;        /* of wires, else of bridge ports */
	uint16_t reserved; /* bit x: claims 01-80-C2-00-00-0x */
	bool snoops;       /* input() sees IGMP, MLD and PIM messages, too */

	/*
	 * Takes a frame that it claims, on any port, also on one that discards.
	 * Several protocols may claim an address: the first to take it ends it.
	 *
	 *   REASON_NONE       not its own: what the switch does with it
	 *                     otherwise, which in->only may restrict
	 *   REASON_DELIVERED  taken
	 *   DROP_...          taken, and found wrong
	 *
	 * A snooping protocol sees messages that ingress rules let in, on
	 * ports that forward.
	 */
	enum reason (*input)(
	    struct switch_protocol *protocol, struct switch_input *in);

	/*
	 * The bridge ports that a frame to group dst may leave by; NULL: no
	 * restriction.  Changes nothing.  Of the frame it may read what is
	 * behind the addresses, each byte once.  Borrowed until a free by
	 * switch_free_later(); its contents may change.  NULL in all but
	 * snooping.  Never asked about broadcasts and reserved addresses.
	 */
	const struct port_set *(*group)(const struct switch_protocol *protocol,
	    const struct mac *dst, const struct frame *frame, uint16_t vlan);

	/* May be NULL.  On joining a switch, its ports are told as added.  A
	 * port's link is down when it is added, up only after link(). */
	void (*port_added)(struct switch_protocol *protocol, struct port *port);
	void (*port_removed)(
	    struct switch_protocol *protocol, struct port *port);
	void (*link)(
	    struct switch_protocol *protocol, struct port *port, bool up);
	/* Its VLANs or its MTU were set.  A bond's are told of the bond. */
	void (*set)(struct switch_protocol *protocol, struct port *port);
	/* What was learned on it was flushed: the topology has changed. */
	void (*flushed)(struct switch_protocol *protocol, struct port *port);

	/* What it makes of a port, for `show ports`, as "root, forwarding".
	 * May be NULL.  Returns the bytes written, 0: nothing to say. */
	size_t (*describe)(const struct switch_protocol *protocol,
	    const struct port *port, char *out, size_t len);
};

struct switch_protocol {
	const struct switch_protocol_ops *ops; /* set before joining */
	struct lan_switch *sw;                 /* the switch sets these */
	struct switch_protocol *next;
};

/* Joins and leaves a switch, which does not own it and must outlive it.  -EBUSY
 * if another one with group() has joined.  Leaving sets no port's state back:
 * that is the protocol's to do before. */
int switch_join(struct lan_switch *sw, struct switch_protocol *protocol);
void switch_leave(struct switch_protocol *protocol); /* fine if not joined */

/* ---- what a switch offers ---- */

/* free(), once no frame on its way can refer to it any more. */
void switch_free_later(struct lan_switch *sw, void *memory);

/* The switch's address, derived from its name; ports have their own. */
struct mac switch_mac(const struct lan_switch *sw);
struct mac switch_port_mac(const struct port *port);
struct loop *switch_loop(const struct lan_switch *sw);
/* A number that guests cannot guess, to key the hash of a table. */
uint64_t switch_secret(const struct lan_switch *sw);

/* Small, unique in the switch, and of a later port again once this one is
 * removed: for arrays and port sets. */
unsigned int switch_port_index(const struct port *port);
/* The bridge port that a wire belongs to: itself, or its bond. */
struct port *switch_bridge_port(const struct port *wire);
bool switch_port_link(const struct port *port); /* a bond: some member's */

/* Calls each for the ports of one kind, by index. */
void switch_each_port(struct lan_switch *sw, bool wires,
    void (*each)(void *arg, struct port *port), void *arg);

/* Sends a frame of the switch itself out of port as it is, whatever the port's
 * state; of a bond, by one of its wires.  Returns the verdict of the other end,
 * or why it could not leave. */
enum reason switch_send(struct port *port, const void *bytes, size_t len);

/* Sends an untagged frame of the switch itself into a VLAN (0: none) by those
 * of its bridge ports that forward it, tagged as each wants it, and that are in
 * only (NULL: all).  Returns by how many. */
unsigned int switch_send_vlan(struct lan_switch *sw, uint16_t vlan,
    const struct port_set *only, const void *bytes, size_t len);

/*
 * Trees: each VLAN belongs to one (0 to begin with; MSTP has up to 64), and
 * each bridge port has a state in each tree, forwarding to begin with.
 *
 *                  learns  forwards
 *     discarding     no       no
 *     learning       yes      no
 *     forwarding     yes      yes
 */
#define SWITCH_TREES 64

enum switch_state { SWITCH_DISCARDING, SWITCH_LEARNING, SWITCH_FORWARDING };

/* 0, or -ENOMEM. */
int switch_set_tree(struct lan_switch *sw, uint16_t vlan, unsigned int tree);
void switch_set_state(
    struct port *port, unsigned int tree, enum switch_state state);
enum switch_state switch_get_state(const struct port *port, unsigned int tree);

/* Forgets what was learned on a bridge port, in the VLANs of one tree or
 * (SWITCH_ALL_TREES) in all.  Static and sticky addresses stay. */
#define SWITCH_ALL_TREES SWITCH_TREES
void switch_flush(struct port *port, unsigned int tree);

#endif
