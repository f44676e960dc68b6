/*
 * fragment.h - fragments on their way through a NAT, or to the router itself.
 *
 * Only the first fragment of a packet has its ports.  What was decided about it
 * holds for the others: those that come later pass at once, those that came
 * earlier are kept until then (RFC 4787 REQ-14).  Packets to the router itself
 * are collected until they are whole.
 *
 * Bounds: FRAGMENT_PACKETS packets at a time, FRAGMENT_BLOCKS of memory for all
 * that is kept, FRAGMENT_PACKET_BLOCKS for one packet, FRAGMENT_TIMEOUT_S.  A
 * full table forgets a packet of that group of senders which has the most: the
 * oldest that was refused, else that waits for fragments, else that passes.
 * Memory is taken from who keeps most.  So a flood pushes out its own sender's,
 * and first its own kind (REQ-14a).
 *
 * A fragment that comes twice is dropped while the first is kept, and else
 * passes as the first did.
 */
#ifndef ROUTER_FRAGMENT_H
#define ROUTER_FRAGMENT_H

#include "net/ip4.h"
#include "router/hold.h"
#include "router/nat_translate.h"

#define FRAGMENT_PACKETS       1024
#define FRAGMENT_BLOCKS        512 /* 1 MiB */
#define FRAGMENT_PACKET_BLOCKS 64
#define FRAGMENT_TIMEOUT_S     30
#define FRAGMENT_GROUPS        64 /* of senders */
#define FRAGMENT_SPANS         8

enum fragment_state {
	FRAGMENT_FREE,
	FRAGMENT_WAITING, /* for the first */
	FRAGMENT_PASSING,
	FRAGMENT_COLLECTING,
	FRAGMENT_REFUSED,
	FRAGMENT_NSTATES,
};

struct iface;

/* What was decided about a packet by its first fragment. */
struct fragment_fate {
	struct iface *out;
	uint32_t next_hop;
	uint32_t src, dst; /* to be written */
	uint16_t id;       /* to be written (RFC 7857 10) */
	enum reason reason;
	uint32_t entry, other;
};

/* One packet in fragments. */
struct fragments {
	struct fragments *next; /* in its bucket, or free */
	TAILQ_ENTRY(fragments) order, kin;
	const struct iface *in;
	uint32_t src, dst;
	uint16_t id;
	uint8_t protocol;
	uint8_t state;        /* enum fragment_state */
	uint8_t group;        /* of its sender */
	uint16_t nblocks;     /* of queue */
	uint32_t seen_bytes;  /* of its data, once each */
	uint32_t total_bytes; /* 0: the last has not come */
	uint64_t expires_ns;
	uint16_t spans[FRAGMENT_SPANS][2]; /* of what was seen: from, to */
	uint8_t nspans;
	struct fragment_fate fate; /* PASSING; REFUSED: only its reason */
	struct held_list queue;    /* by offset */
};

struct fragment_table;

/* Is told of each kept fragment, come in by in, that will never be sent. */
typedef void fragment_lost(
    void *arg, const struct iface *in, struct held *held);

/* NULL: no memory. */
struct fragment_table *fragment_table_new(
    uint64_t seed, fragment_lost *lost, void *arg);
void fragment_table_free(struct fragment_table *table); /* NULL is fine */

/* The packet that a fragment belongs to, made if need be, and told about it. */
struct fragments *fragment_find(struct fragment_table *table,
    const struct iface *in, const struct ip4 *ip, uint64_t now_ns);

/* Have all come? */
static inline bool
fragment_is_complete(const struct fragments *fragments)
{
	return fragments->total_bytes != 0 &&
	    fragments->seen_bytes >= fragments->total_bytes;
}

/* Keeps a fragment.  REASON_FRAGMENT_HELD, or DROP_FRAGMENT if it is there
 * already; or if there is no room or it overlaps with another: then the whole
 * packet is refused. */
enum reason fragment_keep(struct fragment_table *table,
    struct fragments *fragments, const struct ip4 *ip,
    const struct frame *frame, const struct verdict *verdict);

/* Decides a packet.  fate may be NULL but for FRAGMENT_PASSING. */
void fragment_decide(struct fragment_table *table, struct fragments *fragments,
    enum fragment_state state, const struct fragment_fate *fate);
void fragment_refuse(struct fragment_table *table, struct fragments *fragments,
    enum reason reason);

/* The kept fragment of the lowest offset, which is the caller's to give to
 * fragment_drop(); NULL: none. */
struct held *fragment_pop(
    struct fragment_table *table, struct fragments *fragments);
void fragment_drop(struct fragment_table *table, struct held *held);

/* Writes the data of a packet, total_bytes of it, to at.  It is kept no more.
 * False: some of it is missing. */
bool fragment_join(
    struct fragment_table *table, struct fragments *fragments, uint8_t *at);

/*
 * Keeps a fragment of a packet that is wanted whole, for node.  With the last one
 * its data, up to IP4_MAX_BYTES without a header, is at at, and the packet
 * forgotten: REASON_NONE.  REASON_FRAGMENT_HELD, DROP_FRAGMENT.
 */
enum reason fragment_collect(struct fragment_table *table,
    const struct iface *in, const struct ip4 *ip, const struct frame *frame,
    const struct node *node, uint64_t now_ns, uint8_t *at, size_t *bytes);

/* Forgets a packet; what is kept of it is lost. */
void fragment_end(struct fragment_table *table, struct fragments *fragments);

/* How many fragments are kept now. */
unsigned int fragment_held(const struct fragment_table *table);

/* Forgets what is too old. */
void fragment_expire(struct fragment_table *table, uint64_t now_ns);
/* When to call it next; UINT64_MAX: when there is a fragment again. */
uint64_t fragment_due_ns(const struct fragment_table *table);

#endif
