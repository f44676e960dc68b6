/*
 * Split virtqueues, device side.
 *
 * Memory order.  The guest fills descriptors and its ring, then stores its idx:
 * we load that with acquire.  We fill buffers and our ring, then store our idx
 * with release.  Whether to notify needs more, since each side stores one word
 * and then loads the other's: virtq_kicks_on() and virtq_wants_call() have a
 * full fence between the two, as the driver has.
 *
 * With the event index there is no flag that switches kicks off; the index at
 * which we want one is simply left behind, and a kick in vain does no harm.
 *
 * A driver may not make a chain longer than its queue (2.7.5.3.1), so that the
 * number of steps needs no other limit, within a table or not.  Descriptors of
 * no bytes are passed over.
 *
 * The fabric has a second implementation, for bursts of frames that are looked
 * at before they are taken.  This one is for requests: reads and writes in one
 * chain, given back in any order.
 */
#include "vmm/virtq.h"

#include <assert.h>
#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
    "queues are read as they lie in memory");

#define DESC_BYTES 16

/* Words of both rings before their entries. */
enum { FLAGS, IDX, RING };

/* As it lies in memory. */
struct desc {
	uint64_t address;
	uint32_t bytes;
	uint16_t flags, next;
};
static_assert(sizeof(struct desc) == DESC_BYTES, "2.7.5");

void
virtq_start(struct virtq *q, const struct virtio_device *device, unsigned int i)
{
	const struct virtio_queue *from = &device->queue[i];
	const struct memory *m = device->memory;

	*q = (struct virtq){
		.memory = m,
		.size = from->size,
		.event_idx =
		    device->features & VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX),
		.indirect =
		    device->features & VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC),
	};
	if (i >= device->nqueues || !from->enabled)
		return;
	q->driver = memory_at(m, from->driver, 6 + 2 * (uint64_t)q->size);
	q->device = memory_at(m, from->device, 6 + 8 * (uint64_t)q->size);
	q->desc = memory_at(m, from->desc, (uint64_t)q->size * DESC_BYTES);
	assert(q->driver != NULL && q->device != NULL && q->desc != NULL);
}

void
virtq_stop(struct virtq *q)
{
	*q = (struct virtq){ .desc = NULL };
}

static uint16_t
load(const uint16_t *at)
{
	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

static void
store(uint16_t *at, uint16_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELAXED);
}

/* ---- chains ---- */

static struct desc
read_desc(const void *at)
{
	uint64_t word[2];
	struct desc desc;

	memcpy(word, at, sizeof(word));
	/* What was read is kept: no second look at the guest's memory. */
	__asm__("" : "+r"(word[0]), "+r"(word[1]));
	memcpy(&desc, word, sizeof(desc));
	return desc;
}

static bool
add(const struct virtq *q, struct virtq_chain *chain, const struct desc *desc)
{
	unsigned int n = chain->nreads + chain->nwrites;
	bool write = desc->flags & VRING_DESC_F_WRITE;
	void *at;

	if (!write && chain->writes != NULL) /* 2.7.4.2 */
		return false;
	if (write && chain->writes == NULL)
		chain->writes = &chain->piece[n];
	if (desc->bytes == 0)
		return true;
	at = memory_at(q->memory, desc->address, desc->bytes);
	if (at == NULL || n == chain->max)
		return false;
	chain->piece[n] = (struct iovec){ at, desc->bytes };
	if (write) {
		chain->nwrites++;
		chain->write_bytes += desc->bytes;
	} else {
		chain->nreads++;
		chain->read_bytes += desc->bytes;
	}
	return true;
}

/* Follows a chain from entry i of a table of count. */
static bool
walk(const struct virtq *q, struct virtq_chain *chain, const uint8_t *table,
    uint32_t count, uint32_t i, bool inner)
{
	for (uint32_t steps = 0; steps < q->size && i < count; steps++) {
		struct desc desc = read_desc(table + (size_t)i * DESC_BYTES);

		if (desc.flags & VRING_DESC_F_INDIRECT) { /* 2.7.5.3 */
			if (inner || !q->indirect || desc.bytes == 0 ||
			    desc.bytes % DESC_BYTES != 0 ||
			    desc.flags & VRING_DESC_F_NEXT)
				return false;
			table = memory_at(q->memory, desc.address, desc.bytes);
			return table != NULL &&
			    walk(q, chain, table, desc.bytes / DESC_BYTES, 0,
				true);
		}
		if (!add(q, chain, &desc))
			return false;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return true;
		i = desc.next;
	}
	return false;
}

bool
virtq_look(const struct virtq *q, uint16_t head, struct virtq_chain *chain)
{
	*chain = (struct virtq_chain){ .piece = chain->piece,
		.max = chain->max,
		.head = head,
		.reads = chain->piece };
	return walk(q, chain, q->desc, q->size, head, false);
}

enum virtq_got
virtq_take(struct virtq *q, struct virtq_chain *chain)
{
	uint16_t idx, head;

	if (q->desc == NULL)
		return VIRTQ_NONE;
	idx = __atomic_load_n(&q->driver[IDX], __ATOMIC_ACQUIRE);
	if (idx == q->next)
		return VIRTQ_NONE;
	head = load(&q->driver[RING + (q->next & (q->size - 1))]);
	if ((uint16_t)(idx - q->next) > q->size || head >= q->size) {
		virtq_stop(q);
		return VIRTQ_BROKEN;
	}
	q->next++;
	return virtq_look(q, head, chain) ? VIRTQ_TAKEN : VIRTQ_BAD;
}

uint16_t
virtq_given_back(const struct virtq *q)
{
	return __atomic_load_n(&q->device[IDX], __ATOMIC_ACQUIRE);
}

uint32_t
virtq_given_head(const struct virtq *q, uint16_t n)
{
	uint32_t head;

	memcpy(&head, &q->device[RING + 4 * (n & (q->size - 1))], sizeof(head));
	return head;
}

void
virtq_put(struct virtq *q, uint16_t head, uint32_t bytes)
{
	uint32_t entry[2] = { head, bytes };

	if (q->desc == NULL) /* broken since */
		return;
	memcpy(&q->device[RING + 4 * (q->done & (q->size - 1))], entry,
	    sizeof(entry));
	q->done++;
	__atomic_store_n(&q->device[IDX], q->done, __ATOMIC_RELEASE);
}

bool
virtq_pull(struct virtq_chain *chain, void *to, size_t bytes)
{
	uint8_t *p = to;

	if (chain->read_bytes < bytes)
		return false;
	chain->read_bytes -= bytes;
	while (bytes > 0) {
		struct iovec *piece = chain->reads;
		size_t n = piece->iov_len < bytes ? piece->iov_len : bytes;

		memcpy(p, piece->iov_base, n);
		p += n;
		bytes -= n;
		piece->iov_base = (uint8_t *)piece->iov_base + n;
		piece->iov_len -= n;
		if (piece->iov_len == 0) {
			chain->reads++;
			chain->nreads--;
		}
	}
	return true;
}

uint8_t *
virtq_last(struct virtq_chain *chain)
{
	struct iovec *piece;

	if (chain->nwrites == 0)
		return NULL;
	piece = &chain->writes[chain->nwrites - 1];
	chain->write_bytes--;
	if (--piece->iov_len == 0)
		chain->nwrites--;
	return (uint8_t *)piece->iov_base + piece->iov_len;
}

/* ---- notifications (2.7.7, 2.7.10) ---- */

bool
virtq_wants_call(struct virtq *q)
{
	uint16_t now = q->done, was = q->called;

	if (q->desc == NULL || now == was)
		return false;
	q->called = now;
	atomic_thread_fence(memory_order_seq_cst);
	if (!q->event_idx)
		return !(load(&q->driver[FLAGS]) & VRING_AVAIL_F_NO_INTERRUPT);
	return vring_need_event(load(&q->driver[RING + q->size]), now, was);
}

void
virtq_kicks_off(struct virtq *q)
{
	if (q->desc == NULL || q->kicks_off)
		return;
	q->kicks_off = true;
	if (!q->event_idx)
		store(&q->device[FLAGS], VRING_USED_F_NO_NOTIFY);
}

bool
virtq_kicks_on(struct virtq *q)
{
	if (q->desc == NULL)
		return false;
	q->kicks_off = false;
	if (q->event_idx)
		store(&q->device[RING + 4 * q->size], q->next);
	else
		store(&q->device[FLAGS], 0);
	atomic_thread_fence(memory_order_seq_cst);
	return __atomic_load_n(&q->driver[IDX], __ATOMIC_ACQUIRE) != q->next;
}

/* ---- as a value ---- */

void
virtq_archive(struct virtq *q, const struct virtio_device *device,
    unsigned int i, struct archive *a)
{
	bool live = q->desc != NULL;

	archive_bool(a, &live);
	if (a->loads && live)
		virtq_start(q, device, i);
	archive_u16(a, &q->next);
	archive_u16(a, &q->done);
	archive_u16(a, &q->called);
	if (a->loads && live && q->desc == NULL)
		archive_fail(a, "queue %u is in use and not set up", i);
}
