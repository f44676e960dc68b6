/*
 * switch_state.h - what a switch is made of, for the files of switch/ only.
 *
 *   switch.c    ports, what is set on them
 *   forward.c   the way of a burst
 *   decide.c    where a frame goes, and why: changes nothing
 *   egress.c    what has to be done to frames on their way out
 *   vlan.c      tags        bond.c    several wires as one port
 *   mirror.c    copies      guard.c   loops
 *   protocol.c  those that join
 */
#ifndef SWITCH_SWITCH_STATE_H
#define SWITCH_SWITCH_STATE_H

#include <assert.h>

#include "net/cursor.h"
#include "net/eth.h"
#include "switch/bond.h"
#include "switch/protocol.h"
#include "switch/switch.h"
#include "switch/vlan.h"

/* Index of the switch's own address in its table; no port. */
#define SELF_INDEX 0

/* What makes a port more than plain: none set is the fast path. */
#define PORT_VLANS      0x001 /* tags are looked at and changed */
#define PORT_STATES     0x002 /* does not forward in some tree */
#define PORT_STORMS     0x004
#define PORT_ISOLATED   0x008
#define PORT_MTU        0x010
#define PORT_MIRROR_IN  0x020 /* its frames, or those of a VLAN, are copied */
#define PORT_MIRROR_OUT 0x040
#define PORT_MIRROR_TO  0x080 /* copies go there */
#define PORT_BOND       0x100 /* is one */
#define PORT_MEMBER     0x200 /* a wire of one */
#define PORT_LOOPED     0x400 /* blocked by the guard */
#define PORT_SELF       0x800 /* SELF_INDEX */

/* At most rate frames a second, of which a second's worth may come at once:
 * time is saved up, and a frame costs its part of a second. */
struct storm {
	uint32_t rate;     /* 0: any number */
	uint64_t saved_ns; /* up to a second */
	uint64_t at_ns;    /* of which this is the date */
};

#define BOND_BUCKETS 256

struct bond {
	struct flow_options hash;
	unsigned int nwires, nsending; /* the latter first in wire[] */
	struct switch_port *wire[BOND_WIRES_MAX];
	/* Who sends the flows of each bucket; NULL: nobody sends. */
	struct switch_port *bucket[BOND_BUCKETS];
};

/* What the guard knows of a port; guard.c. */
struct guard_port {
	uint64_t next_ns; /* no probe leaves before */
	uint64_t up_ns;   /* when the link came up */
	uint64_t back_ns; /* PORT_LOOPED: when a probe came back */
	uint16_t vlan;    /* of the suspicion, then of the loop */
	uint16_t with;    /* PORT_LOOPED: index of the loop's other end */
	uint16_t prober;  /* PORT_LOOPED: of the one that the probe left by */
	uint16_t copied;  /* PORT_MIRROR_TO: frames since the last look */
	uint16_t flooded; /* bursts since flooded_ns */
	uint64_t flooded_ns;
	uint64_t admitted_ns; /* probes, beyond what storms are limited to */
	uint16_t admitted;    /* so many since then */
	bool suspect;         /* to be probed at the end of this round */
};

struct switch_port {
	struct port port; /* first: ports of a switch are these */
	struct lan_switch *sw;
	struct switch_port *lead; /* its bridge port: itself, or its bond */
	uint32_t flags;
	uint16_t index;
	bool linked;                   /* the wire's link is up */
	bool up;                       /* a bridge port with a link */
	bool collecting, distributing; /* PORT_MEMBER: takes, sends frames */
	bool over_limit;               /* MAC_SHUT: to be taken down */
	enum mac_reaction reaction;
	bool sticky;
	uint32_t max_macs; /* 0: no limit */
	uint32_t mtu;
	uint64_t learns, forwards; /* bits by tree */
	struct storm storm[STORM_CLASSES];
	struct vlan_options vlans;
	struct bond *bond; /* PORT_BOND */
	struct guard_port guard;
};

struct plan;

/* A burst that the switch is busy with: on the stack of its take(). */
struct passage {
	struct passage *outer;
	const struct burst *burst;
	const struct plan *plan;
	const uint8_t *lowest, *highest; /* of its frames; NULL: not known */
};

struct mirror {
	bool used;
	struct mirror_options options;
};

/* Memory that a frame on its way may refer to. */
struct later {
	struct later *next;
	void *memory;
};

struct guard {
	bool off; /* or a spanning tree has joined */
	struct loop_defer defer;
	struct loop_timer timer;
	uint64_t seed;
	unsigned int nblocked;
	bool everywhere; /* all ports are to be probed, in this VLAN */
	uint16_t vlan;
};

struct lan_switch {
	struct node node;
	struct loop *loop;
	struct fdb *fdb;
	struct switch_port **port; /* NULL: the index is free */
	unsigned int nports;       /* indices in use or free */
	unsigned int nup;          /* bridge ports with a link */
	unsigned int nspecial;     /* of those, with flags */
	struct passage *passage;   /* innermost */

	bool guard_unwanted;
	uint16_t reserved_forward;
	uint16_t reserved_claimed;
	struct switch_protocol *protocols;
	struct switch_protocol *snooper; /* the one with group() */
	unsigned int busy;               /* bursts on their way */
	struct later *later;

	unsigned int nvlan_ports; /* with VLANs: 0 is a switch without tags */
	uint8_t *tree_of;         /* by VLAN; NULL: all in tree 0 */
	struct mirror mirror[SWITCH_MIRRORS];
	struct guard guard;
	struct loop_defer shut; /* ports that are over their limit */
	struct mac mac;
	struct switch_port self;
};

#define TO_ALL    0xffff /* where a frame goes, if not to a port's index */
#define TO_NOBODY 0xfffe

static_assert(FDB_PORTS_MAX < TO_NOBODY, "an index that is no index");

/* The first bytes of a frame, read once: they may change in a guest's memory.
 * Behind the type is a tag, or the first bytes of what is carried. */
struct head {
	struct mac dst, src;
	uint8_t type[2], tci[2];
};
static_assert(sizeof(struct head) == 16, "compared as a whole");

/* The VLAN of a frame, and what it has to do with the frame's tag. */
struct tagging {
	uint16_t vlan;
	uint16_t tpid; /* of the tag that says so, or of one that would */
	uint16_t tci;  /* as it came */
	uint8_t bytes; /* of that tag: 0 or 4 */
};

/* What is known of a frame when it is decided upon. */
struct passing {
	const struct switch_port *from; /* bridge port */
	const struct switch_port *wire;
	const struct frame *frame;
	const struct head *head;
	struct tagging tag;
	const struct port_set *only; /* of a message that was snooped */
};

/* What the first pass makes of a burst. */
struct plan {
	uint16_t to[BURST_MAX];
	bool floods;     /* some go to TO_ALL */
	bool restricted; /* of those, some not to all */
	bool detailed;   /* some have the last two of these */
	struct head head[BURST_MAX];
	/* Of frames that go to all, or to a port that is special: */
	struct tagging tag[BURST_MAX];
	const struct port_set *only[BURST_MAX];
};

/* Where it goes. */
struct destination {
	uint16_t to;
	const struct port_set *only; /* with TO_ALL; NULL: no restriction */
};

/* ---- decide.c: where a frame goes, and why.  Nothing changes. ---- */

/* 01-80-C2-00-00-00 to -0F (8.6.3). */
static inline bool
is_reserved(const struct mac *mac)
{
	static const uint8_t group[5] = { 0x01, 0x80, 0xc2, 0x00, 0x00 };

	return memcmp(mac->b, group, sizeof(group)) == 0 && mac->b[5] < 0x10;
}

/* May it come in?  Finds its VLAN.  *learns: whether it teaches its source,
 * which one that may not come in can. */
enum reason decide_entry(struct passing *p, bool *learns);

/* What fdb_learn() returned, as a reason: REASON_NONE if it was learned. */
enum reason decide_learned(int learned);

/* Where a frame goes that came in and whose source was learned.  Writes the
 * verdict, but for its node. */
struct destination decide(
    const struct passing *p, uint64_t now_ns, struct verdict *verdict);

/* Whether it may leave by a port, or why not; DROP_NONE: it may. */
enum reason decide_exit(const struct switch_port *from,
    const struct switch_port *to, uint16_t vlan);

/* The class that storm control counts it in, or STORM_CLASSES. */
enum storm_class decide_storm_class(enum reason reason);
/* Bytes of what a frame carries, by its MTU; of one to be cut, of a segment. */
uint32_t payload_bytes(const struct frame *frame, const struct head *head);

static inline unsigned int
tree_of(const struct lan_switch *sw, uint16_t vlan)
{
	return sw->tree_of == NULL ? 0 : sw->tree_of[vlan & 0xfff];
}

/* ---- vlan.c ---- */

/* The VLAN of a frame that comes in by from, or why it may not. */
enum reason vlan_classify(const struct switch_port *from,
    const struct frame *frame, const struct head *head, struct tagging *tag);
bool vlan_carries(const struct switch_port *port, uint16_t vlan);

/* The tag with which a frame leaves. */
struct new_tag {
	bool changed; /* false: the frame stays as it is */
	bool tagged;
	uint16_t tpid, tci;
};
struct new_tag vlan_new_tag(
    const struct switch_port *to, const struct tagging *tag);

#define RETAG_MAX    32  /* frames of one burst with new heads */
#define RETAG_PIECES 320 /* and their tails */

/* Memory for frames with other tags: each a new head, and the rest as it is. */
struct retag {
	unsigned int n, pieces;
	struct iovec piece[RETAG_PIECES];
	uint8_t head[RETAG_MAX][FRAME_HEAD_BYTES + ETH_VLAN_BYTES + 4];
};

/* Changes the view of a frame.  DROP_NONE; DROP_PORT_FULL if the memory is used
 * up; or why it cannot have another tag. */
enum reason vlan_retag(struct retag *retag, struct frame *frame,
    uint8_t old_tag_bytes, const struct new_tag *tag);

/* ---- egress.c ---- */

/* Sends what goes out by a port, mirrored, or by a wire of the bond. */
void egress_send(struct switch_port *port, struct burst *out);

/* Sends those frames of in, from first on, that go to a port that is special,
 * or of which some do not go to all. */
void egress_special(struct switch_port *port, const struct burst *in,
    const struct plan *plan, const struct switch_port *from,
    unsigned int first);

/* ---- mirror.c ---- */
void mirror_in(struct lan_switch *sw, const struct switch_port *from,
    const struct burst *in, const struct plan *plan);
void mirror_out(const struct switch_port *port, const struct burst *out);
/* Sets the ports' flags anew. */
void mirror_flags(struct lan_switch *sw);
void mirror_forget_port(struct lan_switch *sw, const struct switch_port *port);

/* ---- bond.c ---- */
struct switch_port *bond_wire(
    const struct switch_port *bond, const struct frame *frame);
void bond_send(const struct switch_port *bond, struct burst *out);
void bond_link_changed(struct switch_port *bond);
void bond_dissolve(struct switch_port *bond);

/* ---- guard.c ---- */
void guard_init(struct lan_switch *sw, uint64_t seed, bool off);
void guard_set_off(struct lan_switch *sw, bool off);
void guard_free(struct lan_switch *sw);
/* An address moved to port, or a frame came round there: look for a loop. */
void guard_suspect(struct switch_port *port, uint16_t vlan);
/* Is a frame that a limit refuses a probe, and not one of many? */
bool guard_admits(
    struct switch_port *port, const struct frame *frame, uint64_t now_ns);
/* A burst from port, of that VLAN, is flooded. */
void guard_flood(struct switch_port *port, uint16_t vlan, uint64_t now_ns);
/* Copies of a mirror are to leave by port.  False: a loop begins there. */
bool guard_mirror(struct switch_port *port, const struct burst *copies);
/* A frame from the switch's own address came in. */
void guard_own_frame(struct switch_port *port, const struct frame *frame);
void guard_link_changed(struct switch_port *port);
size_t guard_describe(const struct switch_port *port, char *out, size_t len);

/* ---- protocol.c ---- */

/* Hands a frame to those that may want it; fills in p->only. */
enum reason protocol_take(
    struct switch_port *wire, struct passing *p, uint64_t now_ns);
bool protocol_is_snooped(const struct lan_switch *sw, const struct passing *p);
/* The protocol that reads a frame to a reserved address or a snooped one, as
 * far as that can be said without asking it.  NULL: none. */
const char *protocol_of(const struct lan_switch *sw, const struct passing *p);
void protocol_added(struct switch_port *port, bool wire);
void protocol_removed(struct switch_port *port, bool wire);
void protocol_link(struct switch_port *port, bool wire, bool up);
void protocol_set(struct switch_port *port); /* its VLANs, its MTU */

/* ---- switch.c ---- */
static inline struct switch_port *
switch_port_of(const struct port *port)
{
	return (struct switch_port *)(uintptr_t)port;
}

void switch_take(struct port *port, struct burst *burst); /* forward.c */
/* Sets a bridge port's link, and what follows from it. */
void bridge_port_link(struct switch_port *port, bool up);
void port_flags(struct switch_port *port, uint32_t set, uint32_t clear);
void later_free(struct lan_switch *sw);
/* A port without its protocols told.  NULL: *err. */
struct switch_port *port_create(
    struct lan_switch *sw, const char *name, struct err *err);

/* ---- storms ---- */
static inline uint64_t
storm_saved_ns(const struct storm *storm, uint64_t now_ns)
{
	uint64_t saved = storm->saved_ns + (now_ns - storm->at_ns);

	return saved < NS_PER_S ? saved : NS_PER_S;
}

static inline bool
storm_would_admit(const struct storm *storm, uint64_t now_ns)
{
	return storm->rate == 0 ||
	    storm_saved_ns(storm, now_ns) >= NS_PER_S / storm->rate;
}

static inline bool
storm_admits(struct storm *storm, uint64_t now_ns)
{
	if (!storm_would_admit(storm, now_ns))
		return false;
	if (storm->rate != 0)
		storm->saved_ns =
		    storm_saved_ns(storm, now_ns) - NS_PER_S / storm->rate;
	storm->at_ns = now_ns;
	return true;
}

#endif
