/*
 * vring.h - the device's side of a split virtqueue (virtio 1.2, 2.7).
 *
 * Everything in the ring is written by the guest and believed only after it was
 * checked: a chain comes out as pieces that lie in the guest's memory, or as
 * the reason why it does not.  Chains are looked at, then taken, then given
 * back as used; used entries are the guest's to see once they are published.
 *
 *     n = vring_poll(vring)                 how many chains are offered
 *     head = vring_head(vring, k)           the k-th of them, k < n
 *     vring_chain(vring, head, ...)         its pieces
 *     vring_take(vring, k)                  the first k are ours now
 *     vring_put(vring, head, bytes)         used, in order
 *     vring_publish(vring)
 *     if (vring_wants_call(vring)) ...      once per round
 *
 * Little-endian machines only; loop thread only.
 */
#ifndef SWITCH_VRING_H
#define SWITCH_VRING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include "net/reason.h"
#include "switch/guest_mem.h"

#define VRING_SIZE_MAX 32768

/* Feature bits (virtio 1.2, 6). */
#define VRING_F_INDIRECT_DESC 28
#define VRING_F_EVENT_IDX     29

/* How a descriptor, and the used ring's entries, lie in memory. */
struct vring_slot {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

#define VRING_SLOT_NEXT     1
#define VRING_SLOT_WRITE    2 /* by the device */
#define VRING_SLOT_INDIRECT 4

struct vring_used_slot {
	uint32_t id, len;
};

struct vring {
	struct guest_mem *mem;
	/* As the front end set it up. */
	uint32_t size; /* a power of two; 0: not set */
	uint64_t desc_user, avail_user, used_user;
	bool event_idx, indirect; /* negotiated */
	/* Where that is; desc NULL: not mapped, nothing else may be called. */
	const struct vring_slot *desc;
	uint16_t *avail; /* flags, idx, ring[size], used_event */
	uint16_t *used;  /* flags, idx, ring[size], avail_event */
	struct vring_used_slot *used_ring;
	uint16_t mask;
	uint16_t next;      /* first chain that is not taken */
	uint16_t seen;      /* avail's idx as last read */
	uint16_t done;      /* used's idx, published or not */
	uint16_t published; /* used's idx */
	uint16_t called;    /* used's idx at the last question for a call */
	bool called_once;
	bool kicks_off;
	bool broken; /* an index ran ahead; until vring_start() */
};

/* An empty ring of mem, which outlives it. */
void vring_init(struct vring *vring, struct guest_mem *mem);

/* Finds size, desc_user, avail_user and used_user in memory: at the start, and
 * whenever the memory table changed.  False, and the ring is not mapped, if
 * they do not lie there, aligned. */
bool vring_map(struct vring *vring);
void vring_unmap(struct vring *vring);

/* Begins at avail index next, and where used's idx stands. */
void vring_start(struct vring *vring, uint16_t next);

/* Chains on offer, by the guest's index as of now; -1 when that is impossible:
 * the ring is broken then. */
int vring_poll(struct vring *vring);

/* As vring_poll(), without looking at the guest's index anew if at least want
 * chains are known of. */
static inline int
vring_poll_for(struct vring *vring, unsigned int want)
{
	uint16_t have = (uint16_t)(vring->seen - vring->next);

	return have >= want && !vring->broken ? have : vring_poll(vring);
}

static inline uint16_t
vring_head(const struct vring *vring, unsigned int k)
{
	return __atomic_load_n(
	    &vring->avail[2 + ((vring->next + k) & vring->mask)],
	    __ATOMIC_RELAXED);
}

static inline void
vring_prefetch(const struct vring *vring, uint16_t head)
{
	__builtin_prefetch(&vring->desc[head & vring->mask]);
}

/* A descriptor, read once. */
static inline struct vring_slot
vring_read_slot(const void *at)
{
	uint64_t word[2];
	struct vring_slot slot;

	memcpy(word, at, sizeof(word));
	/* What was read is kept: no second look at the guest's memory. */
	__asm__("" : "+r"(word[0]), "+r"(word[1]));
	memcpy(&slot, word, sizeof(slot));
	return slot;
}

/* What is at head, if it is one descriptor in one piece, as most are: where it
 * lies, in *at, and its bytes.  0: anything else, for vring_chain(). */
static inline uint32_t
vring_single(struct vring *vring, uint16_t head, bool writable, uint8_t **at)
{
	struct vring_slot slot;

	if (head > vring->mask)
		return 0;
	slot = vring_read_slot(&vring->desc[head]);
	if (slot.flags != (writable ? VRING_SLOT_WRITE : 0) ||
	    guest_mem_run(vring->mem, slot.addr, slot.len, at) != slot.len)
		return 0;
	return slot.len;
}

/*
 * The pieces of the chain at head, none of them empty, and how many bytes they
 * hold in all.  writable: for the device to write, else to read.  DROP_NONE, or
 * why not: DROP_RING_CHAIN (it loops, leaves its table, or nests),
 * DROP_RING_ADDRESS, DROP_RING_DIRECTION, DROP_RING_PIECES (more than max, in
 * a loop or not).
 */
enum reason vring_chain(struct vring *vring, uint16_t head, bool writable,
    struct iovec *piece, unsigned int max, unsigned int *n, uint64_t *bytes);

static inline void
vring_take(struct vring *vring, unsigned int k)
{
	vring->next = (uint16_t)(vring->next + k);
}

/* Gives head back, with bytes of it written.  head must be one that vring_chain
 * did not refuse as DROP_RING_CHAIN for not being in the table. */
static inline void
vring_put(struct vring *vring, uint16_t head, uint32_t bytes)
{
	vring->used_ring[vring->done & vring->mask] =
	    (struct vring_used_slot){ head, bytes };
	vring->done++;
}

/* Gives n of them back, with nothing written. */
static inline void
vring_put_read(struct vring *vring, const uint16_t *head, unsigned int n)
{
	struct vring_used_slot *ring = vring->used_ring;
	uint16_t done = vring->done, mask = vring->mask;

	for (unsigned int i = 0; i < n; i++, done++)
		ring[done & mask] = (struct vring_used_slot){ head[i], 0 };
	vring->done = done;
}

static inline void
vring_publish(struct vring *vring)
{
	if (vring->published == vring->done)
		return;
	vring->published = vring->done;
	__atomic_store_n(&vring->used[1], vring->done, __ATOMIC_RELEASE);
}

/* Whether the guest wants to hear of what was published since it was last
 * asked. */
bool vring_wants_call(struct vring *vring);

/* Kicks of the guest are not needed now. */
void vring_kicks_off(struct vring *vring);

/* They are from now on.  True: there are chains already, for which none may
 * come. */
bool vring_kicks_on(struct vring *vring);

#endif
