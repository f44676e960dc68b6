/* libs: vmm/archive.c vmm/virtq.c vmm/virtio.c vmm/memory.c base */
/*
 * A queue whose ring is the input's: what comes out of it lies in memory, reads
 * before writes, within the room given, and each chain comes out once.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "tests/vmm/driver_ring.h"
#include "vmm/virtq.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM        (UINT64_C(2) << 20)
#define RING       0x1000
#define TABLES     0x2000 /* 16 of 16 entries */
#define SIZE       16
#define PIECES     12
#define INPUT_STEP 8

static struct memory memory;

static const struct virtio_ops ops = { .name = "fuzz" };

static uint64_t
address(uint8_t kind, uint16_t more)
{
	switch (kind & 7) {
	case 0: return RAM - (more & 0xff);
	case 1: return UINT64_MAX - more;
	case 2: return MEMORY_HOLE_END - 128 + more;
	case 3:
	case 4: return TABLES + (more & 15) * 256u;
	case 5: return RING + more % 1024;
	default: return 0x10000 + more * UINT64_C(16);
	}
}

static uint32_t
length(uint8_t kind, uint8_t more)
{
	switch (kind >> 3 & 3) {
	case 0: return more * 16u;
	case 1: return more;
	case 2: return more * UINT32_C(0x10001);
	default: return UINT32_MAX - more;
	}
}

static void
check_chain(const struct virtq_chain *chain)
{
	uint64_t reads = 0, writes = 0;

	assert(chain->head < SIZE);
	assert(chain->nreads + chain->nwrites <= chain->max);
	for (unsigned int i = 0; i < chain->nreads + chain->nwrites; i++) {
		const struct iovec *p = &chain->piece[i];
		uint8_t *at = p->iov_base;

		assert(p->iov_len > 0);
		assert(at >= memory.base && at < memory.base + RAM);
		assert(p->iov_len <= (size_t)(memory.base + RAM - at));
		*(i < chain->nreads ? &reads : &writes) += p->iov_len;
	}
	assert(reads == chain->read_bytes && writes == chain->write_bytes);
	assert(chain->reads == chain->piece);
	assert(chain->nwrites == 0 ||
	    chain->writes == chain->piece + chain->nreads);
}

/* Uses it up by both ends. */
static void
consume(struct virtq_chain *chain)
{
	uint64_t reads = chain->read_bytes, writes = chain->write_bytes;
	uint8_t to[64], *last;

	for (unsigned int n = 1; virtq_pull(chain, to, n); n = n % 61 + 3)
		if ((reads -= n) == 0 || reads > 4096)
			break;
	assert(chain->read_bytes == reads);
	for (unsigned int n = 0; n < 64 && (last = virtq_last(chain)); n++) {
		assert(last >= memory.base && last < memory.base + RAM);
		writes--;
	}
	assert(chain->write_bytes == writes);
}

static bool
take(struct virtq *q, uint16_t *next)
{
	struct iovec piece[PIECES];
	struct virtq_chain chain = { .piece = piece, .max = PIECES };

	switch (virtq_take(q, &chain)) {
	case VIRTQ_NONE: return false;
	case VIRTQ_BROKEN:
		assert(virtq_take(q, &chain) == VIRTQ_NONE);
		return false;
	case VIRTQ_BAD: assert(chain.head < SIZE); break;
	case VIRTQ_TAKEN:
		check_chain(&chain);
		consume(&chain);
		break;
	}
	assert(q->next == ++*next);
	virtq_put(q, chain.head, 1);
	return true;
}

static void
step(
    struct driver_ring *ring, struct virtq *q, uint16_t *next, const uint8_t *d)
{
	uint16_t more = get_le16(d + 2);
	void *desc = d[1] & 0x40
	    ? ring_at(ring, TABLES - RING + d[1] * UINT64_C(16))
	    : ring_at(ring, d[1] % SIZE * UINT64_C(16));

	switch (d[0] & 7) {
	case 0:
	case 1:
	case 2:
		ring_put_desc(desc, address(d[4], more), length(d[4], d[5]),
		    d[6] & 0x80 ? d[6] : d[6] & 7, d[7] & 31);
		break;
	case 3: ring_offer(ring, d[1] % (SIZE + (d[2] == 0))); break;
	case 4: ring_set_idx(ring, (uint16_t)(ring->idx + d[1] % 20)); break;
	case 5: virtq_kicks_off(q); break;
	case 6:
		ring_want_call(ring);
		put_le16(ring_driver(ring), d[1] & 1);
		(void)virtq_wants_call(q);
		break;
	default:
		while (take(q, next))
			;
		if (!virtq_kicks_on(q))
			assert(!take(q, next));
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_device device;
	struct driver_ring ring;
	struct virtq q;
	uint16_t next = 0;

	if (size < 1)
		return 0;
	if (memory.base == NULL && memory_init(&memory, RAM, NULL) < 0)
		abort();
	log_set_level(LOG_ERROR);
	if (virtio_init(&device, &ops, &memory, 1, SIZE, NULL) < 0)
		abort();
	memset(memory.base, 0, 0x4000);
	ring_init(&ring, &device, 0, RING, SIZE);
	device.features = (uint64_t)(data[0] & 3) << 28;
	virtq_start(&q, &device, 0);
	for (size_t i = 1; i + INPUT_STEP <= size; i += INPUT_STEP)
		step(&ring, &q, &next, data + i);
	virtio_fini(&device);
	return 0;
}
