/*
 * stp.h - the spanning tree: which ports of a bridge forward.
 *
 * RSTP (IEEE 802.1D-2004, 17) and MSTP (802.1Q-2018, 13) by the same machines,
 * and on each port the STP of 802.1D-1998 with those that speak nothing newer.
 * RSTP is MSTP with one tree and every bridge a region of its own.
 *
 * Pure: bytes and time come as arguments, in nanoseconds that never go back;
 * what is to be done goes out by struct stp_ops.  Trees are numbered: 0 is the
 * CIST (the only one but in MSTP), 1 and up are the instances in the order of
 * their MSTIDs.  A port's number, 1 to STP_PORTS_MAX, is the caller's choice
 * and is part of its port identifier.
 *
 * A port belongs to no tree until its link is up: it begins discarding, and
 * is discarding again when the link goes.
 */
#ifndef SWITCH_STP_H
#define SWITCH_STP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "net/addr.h"
#include "net/bpdu.h"

#define STP_PORTS_MAX 4095
#define STP_MSTIS_MAX 63 /* with the CIST, what a switch has room for */
#define STP_VLANS     4096
#define STP_NEVER     UINT64_MAX

/* Defaults and bounds (802.1D-2004, tables 17-1 and 17-2). */
#define STP_PRIORITY           32768 /* a multiple of STP_PRIORITY_STEP */
#define STP_PRIORITY_MAX       61440
#define STP_PRIORITY_STEP      4096
#define STP_PORT_PRIORITY      128 /* a multiple of STP_PORT_PRIORITY_STEP */
#define STP_PORT_PRIORITY_MAX  240
#define STP_PORT_PRIORITY_STEP 16
#define STP_AS_PORT            255
#define STP_COST               20000 /* 1 Gbit/s (table 17-3) */
#define STP_COST_MAX           200000000
#define STP_HELLO_S            2
#define STP_HELLO_MIN_S        1
#define STP_HELLO_MAX_S        10
#define STP_MAX_AGE_S          20
#define STP_MAX_AGE_MIN_S      6
#define STP_MAX_AGE_MAX_S      40
#define STP_DELAY_S            15
#define STP_DELAY_MIN_S        4
#define STP_DELAY_MAX_S        30
#define STP_HOLD               6
#define STP_HOLD_MIN           1
#define STP_HOLD_MAX           10
#define STP_HOPS               20
#define STP_HOPS_MIN           6
#define STP_HOPS_MAX           40

enum stp_mode { STP_MODE_STP, STP_MODE_RSTP, STP_MODE_MSTP, STP_NMODES };

enum stp_role {
	STP_DISABLED, /* link down, or closed by the guard */
	STP_ROOT,
	STP_DESIGNATED,
	STP_ALTERNATE,
	STP_BACKUP,
	STP_MASTER, /* the way out of the region, in an MSTI */
	STP_NROLES,
};

enum stp_state { STP_DISCARDING, STP_LEARNING, STP_FORWARDING, STP_NSTATES };

const char *stp_mode_name(enum stp_mode mode);
const char *stp_role_name(enum stp_role role);
const char *stp_state_name(enum stp_state state);

struct stp_msti_options {
	uint16_t id;       /* MSTID, 1 to 4094, ascending */
	uint16_t priority; /* of the bridge in it */
};

/* Every value counts: stp_options_init() fills in the defaults. */
struct stp_options {
	enum stp_mode mode;
	uint16_t priority;
	uint8_t hello_s, max_age_s, forward_delay_s; /* what a root rules */
	uint8_t hold; /* BPDUs a second and port: Transmit Hold Count */
	uint8_t max_hops;
	/* MSTP: the region is one where all of this is alike. */
	char region[BPDU_NAME_BYTES + 1];
	uint16_t revision;
	unsigned int nmstis;
	struct stp_msti_options msti[STP_MSTIS_MAX];
	uint8_t tree[STP_VLANS]; /* of each VLAN: 0, or index in msti + 1 */
};

enum stp_edge { STP_EDGE_AUTO, STP_EDGE_YES, STP_EDGE_NO };

struct stp_port_options {
	uint32_t cost; /* external, and internal to the CIST */
	uint8_t priority;
	enum stp_edge edge;
	bool bpdu_guard;     /* a BPDU closes the port until its link goes */
	bool root_guard;     /* never the way to the root (restrictedRole) */
	bool tcn_guard;      /* tells no topology change (restrictedTcn) */
	bool point_to_point; /* false: a LAN of many, no handshakes */
	/* In the instances; 0 and STP_AS_PORT: as above. */
	uint32_t msti_cost[STP_MSTIS_MAX];
	uint8_t msti_priority[STP_MSTIS_MAX];
};

void stp_options_init(struct stp_options *options);
void stp_port_options_init(struct stp_port_options *options);

/* 0, or -EINVAL with where, what and what to do. */
int stp_options_check(
    const struct stp_options *options, const char *where, struct err *err);
int stp_port_options_check(
    const struct stp_port_options *options, const char *where, struct err *err);

struct stp;

struct stp_ops {
	/* Sends a BPDU by a port.  Only from stp_tick(); it may call back
	 * stp_receive(), as a looped cable does. */
	void (*send)(void *arg, unsigned int port, const struct bpdu *bpdu);
	/* The port is in another state in a tree, from now on. */
	void (*state)(void *arg, unsigned int port, unsigned int tree,
	    enum stp_state state);
	/* Forgets what was learned behind the port, in the tree's VLANs. */
	void (*flush)(void *arg, unsigned int port, unsigned int tree);
};

/* A bridge without ports, of this address.  Copies the options, which have been
 * checked; the rest is borrowed.  NULL: no memory. */
struct stp *stp_new(const char *name, const struct stp_options *options,
    const struct mac *mac, const struct stp_ops *ops, void *arg);
void stp_free(struct stp *stp); /* NULL is fine */

/* Other options, checked: another mode or region begins anew with every port
 * discarding, the rest takes effect where it makes a difference.  0, or
 * -ENOMEM, and nothing changed. */
int stp_set_options(
    struct stp *stp, const struct stp_options *options, uint64_t now_ns);
const struct stp_options *stp_get_options(const struct stp *stp);

/* A port, with its link down.  0, or -ENOMEM, -EEXIST, -ENOSPC (a number
 * beyond STP_PORTS_MAX). */
int stp_add_port(struct stp *stp, unsigned int port,
    const struct stp_port_options *options, uint64_t now_ns);
/* No op is called for it any more.  Fine when there is none. */
void stp_remove_port(struct stp *stp, unsigned int port, uint64_t now_ns);
void stp_set_port_options(struct stp *stp, unsigned int port,
    const struct stp_port_options *options, uint64_t now_ns);
const struct stp_port_options *stp_get_port_options(
    const struct stp *stp, unsigned int port);

/* The link came up or went.  A port that the guard closed opens when its link
 * comes up anew. */
void stp_set_link(struct stp *stp, unsigned int port, bool up, uint64_t now_ns);

/* Asks the other side again whether it speaks RSTP (mcheck). */
void stp_check_protocol(struct stp *stp, unsigned int port, uint64_t now_ns);

/* A BPDU came in.  REASON_DELIVERED, or why it was refused. */
enum reason stp_receive(struct stp *stp, unsigned int port,
    const struct bpdu *bpdu, uint64_t now_ns);

/* Does what is due, sending among it.  When next, or STP_NEVER: asked for anew
 * after each call of the above. */
void stp_tick(struct stp *stp, uint64_t now_ns);
uint64_t stp_deadline_ns(const struct stp *stp);

enum stp_state stp_port_state(
    const struct stp *stp, unsigned int port, unsigned int tree);

unsigned int stp_trees(const struct stp *stp);

/* For `show`. */
struct stp_tree_view {
	uint16_t id; /* MSTID, 0: CIST */
	uint64_t bridge, root, regional_root;
	unsigned int root_port; /* 0: this bridge is the root */
	uint32_t cost;          /* to the root; of an MSTI, to the regional */
	uint8_t hello_s, max_age_s, forward_delay_s; /* in force */
	uint64_t changes, changed_ns; /* of the topology, seen or made here */
};

struct stp_port_view {
	enum stp_role role;
	enum stp_state state;
	uint16_t id;
	uint32_t cost;
	uint64_t designated_bridge;
	uint16_t designated_port;
	bool edge, point_to_point, guarded; /* closed by the BPDU guard */
	bool rstp;                          /* speaks RSTP, not STP */
	bool disputed, boundary;
	/* Of the port, not of the tree. */
	uint64_t in_bpdus, out_bpdus, forwards; /* turned forwarding */
};

void stp_view_tree(
    const struct stp *stp, unsigned int tree, struct stp_tree_view *view);
/* False: no such port. */
bool stp_view_port(const struct stp *stp, unsigned int port, unsigned int tree,
    struct stp_port_view *view);

/* "32768.52:54:00:12:34:56", of a bridge identifier; in an MSTI priority and
 * MSTID are one number, as in the BPDU. */
#define STP_ID_TEXT_BYTES (6 + MAC_TEXT_BYTES)
char *stp_id_text(char *out, uint64_t id);

#endif
