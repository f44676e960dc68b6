/*
 * port.h - the plug: one end of a cable, and the frames that pass it.
 *
 * Everything that moves frames is behind struct port: a switch port, a router
 * interface, a guest's NIC, a TAP.  Two ports joined by a plain cable hand each
 * other bursts of borrowed frames by a function call:
 *
 *     port_send(a, burst)  ->  a->peer->ops->take(a->peer, burst)
 *
 * Where something is to happen on the cable (cable.h), the cable judges the
 * burst, and hands over copies later, by port_arrive().
 *
 * The taker decides the fate of every frame and writes it into the frame's
 * verdict before it returns; the sender's counters, and the capture points at
 * both ends, read it there.  Frames are views: whoever keeps bytes copies them
 * before it returns.
 *
 * A frame's bytes may lie in a guest's memory and change while we look: a node
 * that reads a byte twice, or decides by what it read and then sends, copies
 * first (frame_copy).
 *
 * Loop thread only.
 */
#ifndef SWITCH_PORT_H
#define SWITCH_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/loop.h"
#include "net/reason.h"

#define BURST_MAX        64
#define NODE_NAME_BYTES  64           /* node and port names, with their end */
#define FRAME_MAX_BYTES  (65535 + 22) /* Ethernet, two tags, the largest IP */
#define FRAME_HEAD_BYTES 256 /* at least so much of a frame is contiguous */

#define PORT_NESTED_MAX 160    /* sends within sends */
#define PORT_SENDS_MAX  100000 /* sends that one send may cause */

struct port;
struct cable;     /* cable.h */
struct cable_way; /* one direction of it */

/* A switch, router, guest or bridge: what decides, and counts by reason.  Part
 * of its owner's struct, which outlives every port and capture of it. */
struct node {
	char name[NODE_NAME_BYTES];
	uint64_t count[REASON_COUNT]; /* frames by verdict */
};

/* What a node made of one frame. */
struct verdict {
	const struct node *node; /* who decided; NULL with REASON_NONE */
	const struct port *out;  /* first port it left by, or NULL */
	uint16_t reason;         /* enum reason */
	uint16_t nout;           /* ports it left by */
	uint32_t entry;          /* NAT entry or the like; 0: none */
	uint32_t other;          /* the second one, of a hairpin; 0: none */
	/* The same for a frame and all that comes of it, through any node and
	 * cable; 0 until a watcher meets it.  A node does not write it; who
	 * makes a frame of another hands it on. */
	uint32_t journey;
};

/* What remains to be done to a frame before it may meet a wire. */
#define FRAME_CSUM  0x01 /* sum from csum_start is to be stored */
#define FRAME_TSO4  0x02 /* TCP over IPv4, to be cut into gso_bytes */
#define FRAME_TSO6  0x04 /* TCP over IPv6, likewise */
#define FRAME_VALID 0x08 /* a hint: checksums were verified already */
#define FRAME_TODO  (FRAME_CSUM | FRAME_TSO4 | FRAME_TSO6)

/*
 * A view of one Ethernet frame without FCS.  The first head bytes are at data;
 * head is len, or at least FRAME_HEAD_BYTES.  The rest, if any, is in the tail
 * segments, which together hold len - head bytes exactly.
 *
 * With FRAME_CSUM, the 16 bits at csum_start + csum_offset hold the folded sum
 * of the pseudo header and the sum over [csum_start, len) completes it.  With
 * FRAME_TSO*, FRAME_CSUM is set too, and header_bytes covers all headers.  The
 * port that made the frame has checked that all of these lie within it.
 */
struct frame {
	const uint8_t *data;
	const struct iovec *tail;
	uint32_t len, head;
	uint16_t ntail;
	uint8_t flags;
	uint16_t csum_start, csum_offset;
	uint16_t gso_bytes, header_bytes;
	/* Why the sender sent it: the verdict on the frame that caused it, or
	 * NULL.  Borrowed like the bytes. */
	const struct verdict *cause;
	struct verdict verdict; /* the taker writes it */
};

struct burst {
	unsigned int n; /* up to BURST_MAX */
	uint8_t flags;  /* or of the frames' flags */
	struct frame frame[BURST_MAX];
};

static inline void
burst_clear(struct burst *burst)
{
	burst->n = 0;
	burst->flags = 0;
}

/* Appends a contiguous frame with nothing left to do.  There must be room. */
struct frame *burst_add(struct burst *burst, const void *data, size_t len);

/* Copies n bytes from offset on, which the frame must hold. */
void frame_copy(void *to, const struct frame *frame, size_t offset, size_t n);

/*
 * A capture point, told of each frame twice: before its fate is decided, so
 * that a frame comes before what it causes, and after.  begin returns a token
 * for end, 0 for "not interested".  Frames that a port's own node refuses to
 * send (no cable, link down) are seen there as DIR_OUT too.  Neither callback
 * attaches or detaches watchers; while a frame is on its way others may, and
 * who was detached meanwhile is not told the end.
 */
enum direction { DIR_IN, DIR_OUT }; /* into the node, out of the node */

struct watcher {
	uint32_t (*begin)(struct watcher *watcher, const struct port *port,
	    enum direction dir, const struct frame *frame);
	void (*end)(
	    struct watcher *watcher, uint32_t token, const struct frame *frame);
	/* What port_tell_lost() tells.  May be NULL. */
	void (*lost)(struct watcher *watcher, const struct port *port,
	    enum direction dir, const struct frame *frame);
	struct watcher *next;
};

struct port_ops {
	/* Takes the frames in burst, whose verdicts it writes, and counts them
	 * in node->count.  It may change the frames' descriptions (never the
	 * bytes), but not add or remove frames.  It may send, by this port too,
	 * and so may be called again before it returns.  No port is freed and
	 * no switch loses a port during a call. */
	void (*take)(struct port *port, struct burst *burst);
	/* The link came up or went down: tell the guest.  May be NULL. */
	void (*link)(struct port *port, bool up);
	/* A port made by port_open() is freed by this; no callback of it runs
	 * afterwards.  NULL for ports that are part of a node. */
	void (*close)(struct port *port);
	/* One line for `show ports`: state that only this kind has, as "guest
	 * connected, 2 queues".  May be NULL.  Returns out. */
	const char *(*describe)(const struct port *port, char *out, size_t len);
};

struct port {
	const struct port_ops *ops;
	struct node *node;
	char name[NODE_NAME_BYTES]; /* "gw.inside": unique in the lab */
	struct port *peer;          /* the cable's other end, or NULL */
	struct cable *cable;   /* what may happen on it, NULL: nothing ever */
	struct cable_way *way; /* for frames from here, NULL: it is plain */
	bool down;             /* link down by command */
	bool watched;          /* there are watchers, here or at peer */
	uint8_t accepts;       /* FRAME_TODO bits that take() can do itself */
	uint32_t mtu_bytes;    /* largest frame that take() accepts, 0: any */
	uint16_t linktype;     /* of its frames, as libpcap's; 0: Ethernet */
	struct watcher *watchers;
	/* Frames and bytes out of and into the node by this port.  out counts
	 * what was sent, whatever became of it; out_drops of it was refused by
	 * the other end. */
	uint64_t in_frames, in_bytes, out_frames, out_bytes, out_drops;
};

/* Fills in a port of a node.  name is "node.port". */
void port_init(struct port *port, const struct port_ops *ops, struct node *node,
    const char *name);

void node_init(struct node *node, const char *name);

/* Writes a verdict of node into frame, for the caller to count. */
static inline void
frame_judge(struct frame *frame, const struct node *node, enum reason reason)
{
	/* Field by field: a whole struct goes by the stack, where wide loads
	 * wait for narrow stores. */
	frame->verdict.node = node;
	frame->verdict.out = NULL;
	frame->verdict.reason = (uint16_t)reason;
	frame->verdict.nout = 0;
	frame->verdict.entry = 0;
	frame->verdict.other = 0;
}

/* The same, counted for node. */
static inline void
node_judge(struct node *node, struct frame *frame, enum reason reason)
{
	frame_judge(frame, node, reason);
	node->count[reason]++;
}

/* Judges the whole burst alike. */
void node_judge_all(struct node *node, struct burst *burst, enum reason reason);

/* Joins two ports by a plain cable.  0, or -EBUSY if one has a cable. */
int cable_join(struct port *a, struct port *b);
void cable_cut(struct port *port); /* fine when there is none */

/* Takes the link down or up again; the other end is told too.  What is on its
 * way in a cable is lost. */
void port_set_down(struct port *port, bool down);
bool port_is_up(const struct port *port); /* cable, and both ends up */

/*
 * Hands a burst to the other end of the cable.  All verdicts are set when it
 * returns.  Frames with work left to do that the other end does not accept
 * are finished or segmented on the way (offload.h); frames beyond the other
 * end's mtu_bytes are refused as DROP_TOO_LONG.
 *
 * Each frame sent, or each segment of it, is counted once in out_frames, and
 * gets one verdict, which one node counts: the other end's, or this port's own
 * where it cannot leave.  Sends that nest deeper than PORT_NESTED_MAX, or of
 * which one causes more than PORT_SENDS_MAX, are refused as DROP_LOOP.
 */
void port_send(struct port *port, struct burst *burst);

/*
 * Hands a burst that comes out of a cable to port's node, as port_send() at the
 * other end does by a plain one: offloads, MTU, watchers, counters.
 */
void port_arrive(struct port *port, struct burst *burst);

/* Refuses a burst that this port's node was to send but cannot: judged and
 * counted as port_send() does when there is no cable. */
void port_refuse(struct port *port, struct burst *burst, enum reason reason);

/* The newest journey's number on this thread.  They are given in order, from 1,
 * and start anew after 2^32. */
uint32_t port_journeys(void);

/* Tells watchers of port that a frame ended later than its verdict said: one that
 * it sent or was to send (DIR_OUT), or one that came in by it (DIR_IN) and had
 * not been given a way yet.  frame has its verdict, which is counted already. */
void port_tell_lost(
    const struct port *port, enum direction dir, const struct frame *frame);

/* Attaches and detaches a capture point. */
void port_watch(struct port *port, struct watcher *watcher);
void port_unwatch(struct port *port, struct watcher *watcher);

/*
 * Port kinds that reach outside the process, by locator: "tap:lan0",
 * "vhost-user:/run/x.sock".  Each is one file, and a row in the list of the
 * program that wants it.
 */
struct port_kind {
	const char *scheme; /* "tap" in tap:lan0 */
	const char *syntax; /* "tap:NAME", for messages and the manual */
	bool virtual_time;  /* knows no clock but the loop's */
	/* Whether rest, what follows "scheme:", can be opened at all, as far as
	 * that follows from itself.  0, or -EINVAL with *err saying what to do
	 * about it.  NULL: anything but nothing can. */
	int (*check)(const char *name, const char *rest, struct err *err);
	/* A new port of node, to be closed by ops->close(); or NULL, with *err
	 * saying what to do about it. */
	struct port *(*open)(struct loop *loop, struct node *node,
	    const char *name, const char *rest, struct err *err);
};

extern const struct port_kind port_tap, port_vhost, port_qemu, port_qemu_dgram,
    port_vde, port_vde_listen, port_udp, port_vxlan;

/* Opens what locator names, which is of one of kinds, a list that ends in NULL.
 * NULL: *err says why. */
struct port *port_open(const struct port_kind *const *kinds, struct loop *loop,
    struct node *node, const char *name, const char *locator, struct err *err);
/* The kind that locator is of, or NULL. */
const struct port_kind *port_kind_of(
    const struct port_kind *const *kinds, const char *locator);
/* Says what would be wrong with it, without opening anything.  0 or -EINVAL. */
int port_check(const struct port_kind *const *kinds, const char *name,
    const char *locator, struct err *err);
/* The check of kinds of which rest is the path of a unix socket. */
int port_check_path(const char *name, const char *rest, struct err *err);
void port_close(struct port *port); /* cuts the cable; NULL is fine */

#endif
