/* libs: vmm/virtio_blk.c vmm/sandbox.c vmm/archive.c vmm/virtq.c vmm/virtio.c vmm/memory.c vmm/machine.c vmm/bus.c base */
/*
 * A disk whose requests are the input's: the store is asked for sectors that it
 * has, each chain is answered once, and no byte of memory changes that the
 * driver did not give for it.
 */
#include <assert.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "tests/vmm/driver_ring.h"
#include "tests/vmm/fake_engine.h"
#include "vmm/virtio_blk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM        (UINT64_C(2) << 20)
#define RING       0x1000
#define SIZE       32
#define HEADERS    0x4000 /* 32 of 64 bytes, which are ranges as well */
#define DATA       0x8000
#define USED_RAM   0xe000 /* the part that is looked at */
#define SECTORS    256
#define LIMIT_MS   10000
#define INPUT_STEP 8

static struct machine machine;
static struct memory memory;
static struct fake_engine engine;
static struct virtio_blk blk;
static uint8_t before[USED_RAM];
static bool may_write[USED_RAM];

/* ---- a store that trusts nobody ---- */

static void
check_place(const struct blk_store *store, uint64_t offset, uint64_t bytes)
{
	assert(offset % BLK_SECTOR_BYTES == 0 && bytes % BLK_SECTOR_BYTES == 0);
	assert(offset <= store->bytes && bytes <= store->bytes - offset);
}

static uint64_t
check_pieces(const struct iovec *piece, unsigned int n)
{
	uint64_t bytes = 0;

	assert(n <= VIRTIO_BLK_QUEUE_SIZE);
	for (unsigned int i = 0; i < n; i++) {
		assert(memory_at(&memory,
			   memory_address(&memory, piece[i].iov_base),
			   piece[i].iov_len) == piece[i].iov_base);
		assert(piece[i].iov_len > 0);
		bytes += piece[i].iov_len;
	}
	return bytes;
}

static int
store_read(struct blk_store *store, const struct iovec *piece, unsigned int n,
    uint64_t offset)
{
	check_place(store, offset, check_pieces(piece, n));
	for (unsigned int i = 0; i < n; i++)
		memset(
		    piece[i].iov_base, (int)(offset / 512), piece[i].iov_len);
	return offset / 512 % 16 == 15 ? -EIO : 0;
}

static int
store_cached(struct blk_store *store, const struct iovec *piece, unsigned int n,
    uint64_t offset)
{
	if (offset / 512 % 2 == 0)
		return -EAGAIN;
	return store_read(store, piece, n, offset);
}

static int
store_write(struct blk_store *store, const struct iovec *piece, unsigned int n,
    uint64_t offset)
{
	assert(!store->read_only);
	check_place(store, offset, check_pieces(piece, n));
	return 0;
}

static int
store_zero(struct blk_store *store, uint64_t offset, uint64_t bytes, bool keep)
{
	(void)keep;
	assert(!store->read_only && bytes > 0);
	check_place(store, offset, bytes);
	return 0;
}

static int
store_discard(struct blk_store *store, uint64_t offset, uint64_t bytes)
{
	return store_zero(store, offset, bytes, false);
}

static int
store_flush(struct blk_store *store)
{
	(void)store;
	return 0;
}

static void
store_close(struct blk_store *store)
{
	(void)store;
}

static const struct blk_store_ops store_ops = {
	.read = store_read,
	.read_cached = store_cached,
	.write = store_write,
	.zero = store_zero,
	.discard = store_discard,
	.flush = store_flush,
	.close = store_close,
};

static struct blk_store store = { .ops = &store_ops,
	.bytes = SECTORS * BLK_SECTOR_BYTES };

/* ---- the input ---- */

static void
changed(void *transport)
{
	(void)transport;
}

static void
init(void)
{
	struct virtio_blk_setup setup = {
		.name = "fuzz", .store = &store, .machine = &machine
	};

	log_set_level(LOG_ERROR);
	if (memory_init(&memory, RAM, NULL) < 0)
		abort();
	machine_init(&machine, &memory, NULL, NULL);
	fake_engine_init(&engine);
	machine.vm = &engine.vm;
	if (virtio_blk_init(&blk, &setup, NULL) < 0)
		abort();
	blk.device.changed = changed;
}

static void
lend(uint64_t at, uint64_t bytes)
{
	for (; bytes > 0 && at < USED_RAM; at++, bytes--)
		may_write[at] = true;
}

static uint64_t
address(uint8_t kind, uint8_t more)
{
	switch (kind & 7) {
	case 0:
	case 1: return HEADERS + (more & 31) * 64u;
	case 2: return RAM - more;
	case 3: return HEADERS + more;
	default: return DATA + (more & 63) * 256u;
	}
}

static uint32_t
length(uint8_t kind, uint8_t more)
{
	switch (kind >> 3 & 3) {
	case 0: return 16;
	case 1: return (more & 0x80 ? more & 15 : more & 1) * 512u;
	case 2: return more & 63;
	default: return 1;
	}
}

static void
put_header(const uint8_t *d)
{
	static const uint32_t types[] = { 0, 1, 4, 8, 11, 13, 0, 2 };
	uint8_t *h = memory_at(&memory, HEADERS + (d[1] & 31) * 64u, 64);
	uint64_t sector = d[2] | (uint64_t)(d[3] & 3) << 8;

	put_le32(h, d[0] & 0x80 ? get_le32(d + 2) : types[d[4] & 7]);
	put_le64(h + 8, d[3] & 0x80 ? ~sector : sector);
	for (unsigned int i = 16; i < 64; i += 16) { /* as ranges */
		put_le64(h + i, sector + i);
		put_le32(h + i + 8, d[5]);
		put_le32(h + i + 12, d[6] & 0x83);
	}
}

static void
put_desc(struct driver_ring *ring, const uint8_t *d)
{
	uint64_t at = address(d[2], d[3]);
	uint32_t bytes = length(d[2], d[4]);
	uint16_t flags = d[5] & 7;

	ring_desc(ring, d[1] % SIZE, at, bytes, flags, d[6] % (SIZE + 1));
	if (flags & RING_WRITE)
		lend(at, bytes);
}

/* A whole request, as a driver would make it, but for what the input says. */
static void
put_request(struct driver_ring *ring, const uint8_t *d)
{
	uint16_t i = d[1] % (SIZE - 2);
	bool in = d[4] & 1;
	uint64_t data = address(4, d[3]), status = HEADERS + 63;
	uint32_t bytes = d[5] & 0x40 ? 16 * (d[5] & 31) : 512 * (d[5] & 7);

	ring_desc(ring, i, HEADERS + (d[2] & 31) * 64u, 16, RING_NEXT,
	    (uint16_t)(i + 1));
	ring_desc(ring, i + 1, data, bytes,
	    in ? RING_NEXT | RING_WRITE : RING_NEXT, (uint16_t)(i + 2));
	ring_desc(ring, i + 2, status, 1, RING_WRITE, 0);
	lend(status, 1);
	if (in)
		lend(data, bytes);
}

static void
step(struct driver_ring *ring, unsigned int *offered, const uint8_t *d)
{
	switch (d[0] & 7) {
	case 0:
	case 1: put_header(d); break;
	case 2:
		if (*offered < SIZE) {
			ring_offer(ring, d[1] % SIZE);
			++*offered;
		}
		break;
	case 3:
	case 4: put_request(ring, d); break;
	default: put_desc(ring, d); break;
	}
}

static void
wait_for_answers(struct driver_ring *ring, unsigned int offered)
{
	uint16_t done;

	virtio_kick(&blk.device, 0);
	for (;;) {
		ring->seen = ring_device_idx(ring);
		ring_want_call(ring);
		done = ring_device_idx(ring);
		assert(done <= offered);
		if (done == offered)
			return;
		if (done == ring->seen && !ring_called(ring, LIMIT_MS))
			abort();
	}
}

static void
check_memory(void)
{
	for (size_t i = 0; i < USED_RAM; i++)
		assert(may_write[i] || memory.base[i] == before[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct driver_ring ring;
	unsigned int offered = 0;
	uint64_t features;

	if (size < 1)
		return 0;
	if (memory.base == NULL)
		init();
	memset(memory.base, 0, USED_RAM);
	memset(may_write, 0, sizeof(may_write));
	store.read_only = data[0] & 1;
	features = blk.device.ops->features(&blk.device);
	/* What tables lend cannot be told here. */
	features &= ~VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC);
	if (data[0] & 2)
		features &= ~VIRTIO_BIT(VIRTIO_BLK_F_FLUSH);
	if (data[0] & 4)
		features &= ~VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX);
	ring_init(&ring, &blk.device, 0, RING, SIZE);
	for (size_t i = 1; i + INPUT_STEP <= size; i += INPUT_STEP)
		step(&ring, &offered, data + i);
	lend(memory_address(&memory, ring_device(&ring)), 6 + 8 * SIZE);
	lend(memory_address(&memory, ring_driver(&ring)) + 4 + 2 * SIZE,
	    2); /* we write that while we wait */
	memcpy(before, memory.base, USED_RAM);
	pthread_mutex_lock(&machine.lock);
	ring_ready(&blk.device, features);
	pthread_mutex_unlock(&machine.lock);
	assert(blk.device.started);
	wait_for_answers(&ring, offered);
	pthread_mutex_lock(&machine.lock);
	virtio_reset(&blk.device);
	pthread_mutex_unlock(&machine.lock);
	virtio_blk_settle(&blk);
	check_memory();
	return 0;
}
