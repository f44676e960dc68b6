/*
 * Split virtqueues, device side.
 *
 * Memory order.  The guest fills descriptors and the available ring, then
 * stores avail's idx: we load that with acquire.  We fill buffers and used
 * entries, then store used's idx with release.  Notification suppression needs
 * more, since each side stores one word and then loads the other's: kicks_on
 * and wants_call have a full fence between the two, as the guest has.
 *
 * With VIRTIO_RING_F_EVENT_IDX there is no flag that switches kicks off.  The
 * index at which we want one is simply left behind: the guest does not cross it
 * again before 65536 chains have passed, and a kick in vain then does no harm.
 *
 * What a guest does wrong is answered as far as it reaches: a bad chain costs
 * that chain, which is given back empty.  An index that runs ahead of the ring
 * leaves nothing to go on from, so the ring is dead until it is set up anew.
 *
 * A descriptor is read once, into registers (vring_read_slot), so that what was
 * checked is what is used.
 */
#include "switch/vring.h"

#include <assert.h>
#include <stdint.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
    "virtqueues are read as they lie in memory");
static_assert(sizeof(struct vring_slot) == 16, "as virtio 1.2, 2.7.5");

/* Words of the avail and used rings before their entries. */
enum { FLAGS, IDX, RING };

#define AVAIL_NO_INTERRUPT 1
#define USED_NO_NOTIFY     1

void
vring_init(struct vring *vring, struct guest_mem *mem)
{
	*vring = (struct vring){ .mem = mem };
}

void
vring_unmap(struct vring *vring)
{
	vring->desc = NULL;
	vring->avail = NULL;
	vring->used = NULL;
	vring->used_ring = NULL;
}

static void *
find(const struct vring *vring, uint64_t user, uint64_t len, unsigned int align)
{
	uint8_t *at = guest_mem_user(vring->mem, user, len);

	return (uintptr_t)at % align == 0 ? at : NULL;
}

bool
vring_map(struct vring *vring)
{
	uint64_t n = vring->size, event = vring->event_idx ? 2 : 0;

	vring_unmap(vring);
	if (n == 0 || n > VRING_SIZE_MAX || (n & (n - 1)) != 0)
		return false;
	vring->mask = (uint16_t)(n - 1);
	vring->avail = find(vring, vring->avail_user, 4 + 2 * n + event, 2);
	vring->used = find(vring, vring->used_user, 4 + 8 * n + event, 4);
	vring->desc = find(vring, vring->desc_user, 16 * n, 16);
	if (vring->avail == NULL || vring->used == NULL ||
	    vring->desc == NULL) {
		vring_unmap(vring);
		return false;
	}
	vring->used_ring = (struct vring_used_slot *)(void *)&vring->used[RING];
	return true;
}

void
vring_start(struct vring *vring, uint16_t next)
{
	vring->next = vring->seen = next;
	vring->done = __atomic_load_n(&vring->used[IDX], __ATOMIC_RELAXED);
	vring->published = vring->called = vring->done;
	vring->called_once = false;
	vring->kicks_off = false;
	vring->broken = false;
	__atomic_store_n(&vring->used[FLAGS], 0, __ATOMIC_RELAXED);
}

int
vring_poll(struct vring *vring)
{
	uint16_t seen, n;

	if (vring->broken)
		return -1;
	seen = __atomic_load_n(&vring->avail[IDX], __ATOMIC_ACQUIRE);
	n = (uint16_t)(seen - vring->next);
	if (n > vring->size) {
		vring->broken = true;
		return -1;
	}
	vring->seen = seen;
	return n;
}

/* One chain under way. */
struct walk {
	struct vring *vring;
	struct iovec *piece;
	unsigned int n, max;
	uint64_t bytes;
	bool writable;
};

static enum reason
add(struct walk *walk, const struct vring_slot *slot)
{
	uint64_t addr = slot->addr, len = slot->len;

	if (!(slot->flags & VRING_SLOT_WRITE) == walk->writable)
		return DROP_RING_DIRECTION;
	while (len > 0) {
		uint8_t *at;
		size_t here = guest_mem_run(walk->vring->mem, addr, len, &at);

		if (here == 0)
			return DROP_RING_ADDRESS;
		if (walk->n == walk->max)
			return DROP_RING_PIECES;
		walk->piece[walk->n++] = (struct iovec){ at, here };
		walk->bytes += here;
		addr += here;
		len -= here;
	}
	return DROP_NONE;
}

/* The table that an indirect descriptor names (2.7.5.3). */
static enum reason
walk_indirect(struct walk *walk, const struct vring_slot *from)
{
	uint32_t count = from->len / sizeof(struct vring_slot), i = 0;
	uint8_t *table;

	if (!walk->vring->indirect || from->flags & VRING_SLOT_NEXT ||
	    from->len == 0 || from->len % sizeof(struct vring_slot) != 0 ||
	    count > VRING_SIZE_MAX)
		return DROP_RING_CHAIN;
	if (guest_mem_run(walk->vring->mem, from->addr, from->len, &table) !=
	    from->len)
		return DROP_RING_ADDRESS;
	for (uint32_t steps = 0; steps < count; steps++) {
		struct vring_slot slot =
		    vring_read_slot(table + i * sizeof(slot));
		enum reason reason;

		if (slot.flags & VRING_SLOT_INDIRECT)
			return DROP_RING_CHAIN;
		reason = add(walk, &slot);
		if (reason != DROP_NONE)
			return reason;
		if (!(slot.flags & VRING_SLOT_NEXT))
			return DROP_NONE;
		i = slot.next;
		if (i >= count)
			return DROP_RING_CHAIN;
	}
	return DROP_RING_CHAIN; /* more steps than entries: a loop */
}

static enum reason
walk_direct(struct walk *walk, uint16_t head)
{
	struct vring *vring = walk->vring;
	uint16_t i = head;

	for (uint32_t steps = 0; steps < vring->size; steps++) {
		struct vring_slot slot;
		enum reason reason;

		if (i > vring->mask)
			return DROP_RING_CHAIN;
		slot = vring_read_slot(&vring->desc[i]);
		if (slot.flags & VRING_SLOT_INDIRECT)
			return walk_indirect(walk, &slot);
		reason = add(walk, &slot);
		if (reason != DROP_NONE)
			return reason;
		if (!(slot.flags & VRING_SLOT_NEXT))
			return DROP_NONE;
		i = slot.next;
	}
	return DROP_RING_CHAIN;
}

enum reason
vring_chain(struct vring *vring, uint16_t head, bool writable,
    struct iovec *piece, unsigned int max, unsigned int *n, uint64_t *bytes)
{
	struct walk walk = {
		.vring = vring, .piece = piece, .max = max, .writable = writable
	};
	enum reason reason = walk_direct(&walk, head);

	*n = walk.n;
	*bytes = walk.bytes;
	return reason;
}

/* ---- notifications (2.7.7, 2.7.10) ---- */

bool
vring_wants_call(struct vring *vring)
{
	uint16_t now = vring->published, was = vring->called, event;
	bool first = !vring->called_once;

	if (now == was)
		return false;
	atomic_thread_fence(memory_order_seq_cst);
	vring->called = now;
	vring->called_once = true;
	if (!vring->event_idx)
		return !(
		    __atomic_load_n(&vring->avail[FLAGS], __ATOMIC_RELAXED) &
		    AVAIL_NO_INTERRUPT);
	event = __atomic_load_n(
	    &vring->avail[RING + vring->size], __ATOMIC_RELAXED);
	return first || (uint16_t)(now - event - 1) < (uint16_t)(now - was);
}

void
vring_kicks_off(struct vring *vring)
{
	if (vring->kicks_off)
		return;
	vring->kicks_off = true;
	if (!vring->event_idx)
		__atomic_store_n(
		    &vring->used[FLAGS], USED_NO_NOTIFY, __ATOMIC_RELAXED);
}

bool
vring_kicks_on(struct vring *vring)
{
	vring->kicks_off = false;
	if (vring->event_idx)
		__atomic_store_n(&vring->used[RING + 4 * vring->size],
		    vring->next, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&vring->used[FLAGS], 0, __ATOMIC_RELAXED);
	atomic_thread_fence(memory_order_seq_cst);
	return vring_poll(vring) != 0;
}
