/*
 * The disk, with a store that can be held up, and the store that is a file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "tests/vmm/driver_ring.h"
#include "tests/vmm/fake_engine.h"
#include "disk/disk.h"
#include "vmm/blk_file.h"
#include "vmm/blk_image.h"
#include "vmm/virtio_blk.h"

#define RAM       (UINT64_C(2) << 20)
#define RING      0x10000
#define HEADER    0x1000 /* of request n: + 64 n */
#define STATUS    0x3000 /* + n */
#define DATA      0x20000
#define SECTORS   64
#define LIMIT_MS  10000 /* for what happens at once */
#define VERSION_1 VIRTIO_BIT(VIRTIO_F_VERSION_1)
#define F(name)   VIRTIO_BIT(VIRTIO_BLK_F_##name)
#define USUAL     (VERSION_1 | F(FLUSH) | F(DISCARD) | F(WRITE_ZEROES))
#define NO_STATUS 0xee

/* ---- a store in memory ---- */

enum op { READ, CACHED, WRITE, ZERO, ZERO_KEEP, DISCARD, FLUSH, OPS };

struct slow_store {
	struct blk_store store; /* first */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint8_t data[SECTORS * BLK_SECTOR_BYTES];
	unsigned int count[OPS]; /* of calls */
	unsigned int inside;     /* now */
	unsigned int held;       /* by op: its calls wait */
	int result[OPS];
	bool closed;
};

static int
enter(struct slow_store *s, enum op op)
{
	int r;

	pthread_mutex_lock(&s->lock);
	s->count[op]++;
	s->inside++;
	pthread_cond_broadcast(&s->changed);
	while (s->held & 1u << op)
		pthread_cond_wait(&s->changed, &s->lock);
	r = s->result[op];
	return r;
}

static int
leave(struct slow_store *s, int r)
{
	s->inside--;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return r;
}

static int
copy(struct slow_store *s, enum op op, const struct iovec *piece,
    unsigned int n, uint64_t offset)
{
	int r = enter(s, op);

	for (unsigned int i = 0; r == 0 && i < n; i++) {
		assert_true(offset + piece[i].iov_len <= sizeof(s->data));
		if (op == WRITE)
			memcpy(s->data + offset, piece[i].iov_base,
			    piece[i].iov_len);
		else
			memcpy(piece[i].iov_base, s->data + offset,
			    piece[i].iov_len);
		offset += piece[i].iov_len;
	}
	return leave(s, r);
}

static int
slow_read(struct blk_store *store, const struct iovec *piece, unsigned int n,
    uint64_t offset)
{
	return copy((struct slow_store *)store, READ, piece, n, offset);
}

static int
slow_cached(struct blk_store *store, const struct iovec *piece, unsigned int n,
    uint64_t offset)
{
	return copy((struct slow_store *)store, CACHED, piece, n, offset);
}

static int
slow_write(struct blk_store *store, const struct iovec *piece, unsigned int n,
    uint64_t offset)
{
	return copy((struct slow_store *)store, WRITE, piece, n, offset);
}

static int
clear(struct slow_store *s, enum op op, uint64_t offset, uint64_t bytes)
{
	int r = enter(s, op);

	assert_true(offset + bytes <= sizeof(s->data));
	if (r == 0)
		memset(s->data + offset, 0, bytes);
	return leave(s, r);
}

static int
slow_zero(struct blk_store *store, uint64_t offset, uint64_t bytes, bool keep)
{
	return clear(
	    (struct slow_store *)store, keep ? ZERO_KEEP : ZERO, offset, bytes);
}

static int
slow_discard(struct blk_store *store, uint64_t offset, uint64_t bytes)
{
	return clear((struct slow_store *)store, DISCARD, offset, bytes);
}

static int
slow_flush(struct blk_store *store)
{
	struct slow_store *s = (struct slow_store *)store;

	return leave(s, enter(s, FLUSH));
}

static void
slow_close(struct blk_store *store)
{
	((struct slow_store *)store)->closed = true;
}

static const struct blk_store_ops slow_ops = {
	.read = slow_read,
	.read_cached = slow_cached,
	.write = slow_write,
	.zero = slow_zero,
	.discard = slow_discard,
	.flush = slow_flush,
	.close = slow_close,
};

static void
hold(struct slow_store *s, unsigned int ops)
{
	pthread_mutex_lock(&s->lock);
	s->held = ops;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static void
wait_inside(struct slow_store *s, unsigned int n)
{
	pthread_mutex_lock(&s->lock);
	while (s->inside != n)
		pthread_cond_wait(&s->changed, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

/* ---- a machine with that disk ---- */

struct rig {
	struct machine machine;
	struct memory memory;
	struct fake_engine engine;
	struct slow_store store;
	struct virtio_blk blk;
	struct driver_ring ring;
	unsigned int changes, n;
	/* what the engine heard */
	unsigned int heard;
	uint64_t heard_bytes;
	uint16_t heard_at; /* the device's idx at that time */
	pthread_mutex_t gate;
};

static void
changed(void *transport)
{
	((struct rig *)transport)->changes++;
}

static void
hear(void *arg, const struct iovec *piece, unsigned int n)
{
	struct rig *rig = arg;

	pthread_mutex_lock(&rig->gate);
	rig->heard++;
	rig->heard_at = ring_device_idx(&rig->ring);
	for (unsigned int i = 0; i < n; i++)
		rig->heard_bytes += piece[i].iov_len;
	pthread_mutex_unlock(&rig->gate);
}

static void
init_store(struct slow_store *s)
{
	s->store =
	    (struct blk_store){ .ops = &slow_ops, .bytes = sizeof(s->data) };
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	s->result[CACHED] = -EAGAIN;
	for (size_t i = 0; i < sizeof(s->data); i++)
		s->data[i] = (uint8_t)(i / BLK_SECTOR_BYTES + 1);
}

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct virtio_blk_setup disk = { .name = "disk0",
		.store = &rig->store.store,
		.machine = &rig->machine };

	log_set_level(LOG_ERROR);
	pthread_mutex_init(&rig->gate, NULL);
	assert_int_equal(memory_init(&rig->memory, RAM, NULL), 0);
	machine_init(&rig->machine, &rig->memory, NULL, NULL);
	fake_engine_init(&rig->engine);
	rig->engine.written = hear;
	rig->engine.written_arg = rig;
	rig->machine.vm = &rig->engine.vm;
	init_store(&rig->store);
	assert_int_equal(virtio_blk_init(&rig->blk, &disk, NULL), 0);
	rig->blk.device.changed = changed;
	rig->blk.device.transport = rig;
	*state = rig;
	return 0;
}

static void
reset(struct rig *rig)
{
	pthread_mutex_lock(&rig->machine.lock);
	virtio_reset(&rig->blk.device);
	pthread_mutex_unlock(&rig->machine.lock);
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	hold(&rig->store, 0);
	reset(rig);
	virtio_blk_settle(&rig->blk);
	virtio_blk_fini(&rig->blk);
	assert_true(rig->store.closed);
	pthread_cond_destroy(&rig->store.changed);
	pthread_mutex_destroy(&rig->store.lock);
	machine_fini(&rig->machine);
	memory_free(&rig->memory);
	pthread_mutex_destroy(&rig->gate);
	free(rig);
	return 0;
}

static void
start(struct rig *rig, uint64_t features)
{
	ring_init(&rig->ring, &rig->blk.device, 0, RING, VIRTIO_BLK_QUEUE_SIZE);
	pthread_mutex_lock(&rig->machine.lock);
	ring_ready(&rig->blk.device, features);
	pthread_mutex_unlock(&rig->machine.lock);
	assert_true(rig->blk.device.started);
}

static uint8_t *
ram(struct rig *rig, uint64_t address)
{
	return memory_at(&rig->memory, address, 1);
}

static void
kick(struct rig *rig)
{
	virtio_kick(&rig->blk.device, 0);
}

/* Puts request n's header and status into memory. */
static void
put_header(struct rig *rig, unsigned int n, uint32_t type, uint64_t sector)
{
	uint8_t *h = ram(rig, HEADER + 64 * n);

	put_le32(h, type);
	put_le32(h + 4, 0);
	put_le64(h + 8, sector);
	*ram(rig, STATUS + n) = NO_STATUS;
}

/* Offers request n: its data are one piece, read by the device or written. */
static uint16_t
offer(struct rig *rig, unsigned int n, uint32_t type, uint64_t sector,
    uint64_t data, uint32_t bytes)
{
	bool in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	const struct ring_piece piece[] = { { HEADER + 64 * n, 16, false },
		{ data, bytes, in }, { STATUS + n, 1, true } };

	put_header(rig, n, type, sector);
	return ring_chain(&rig->ring, piece, 3);
}

/* Waits for the next answer; the bytes that the device says to have written. */
static uint32_t
answer(struct rig *rig, uint16_t *head)
{
	uint32_t id, bytes;

	for (;;) {
		ring_want_call(&rig->ring);
		if (ring_used(&rig->ring, &id, &bytes))
			break;
		if (!ring_called(&rig->ring, LIMIT_MS))
			fail_msg("no answer");
	}
	if (head != NULL)
		*head = (uint16_t)id;
	return bytes;
}

/* One request and its status. */
static uint8_t
ask(struct rig *rig, uint32_t type, uint64_t sector, uint64_t data,
    uint32_t bytes)
{
	offer(rig, 0, type, sector, data, bytes);
	kick(rig);
	answer(rig, NULL);
	return *ram(rig, STATUS);
}

/* Until all threads but the leader sleep. */
static void
wait_idle(struct rig *rig)
{
	for (bool idle = false; !idle; usleep(100)) {
		pthread_mutex_lock(&rig->blk.lock);
		idle = rig->blk.has_leader &&
		    rig->blk.idle == VIRTIO_BLK_THREADS - 1;
		pthread_mutex_unlock(&rig->blk.lock);
	}
}

static unsigned int
calls(struct rig *rig)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < OPS; i++)
		n += rig->store.count[i];
	return n;
}

/* ---- what the driver is told ---- */

static void
the_configuration_tells_size_and_limits(void **state)
{
	struct rig *rig = *state;
	struct virtio_device *d = &rig->blk.device;
	uint8_t c[VIRTIO_CONFIG_BYTES_MAX] = { 0 };

	d->ops->config(d, c);
	assert_int_equal(get_le64(c), SECTORS);
	assert_int_equal(get_le32(c + 8), VIRTIO_BLK_SEGMENT_BYTES);
	assert_int_equal(get_le32(c + 12), VIRTIO_BLK_QUEUE_SIZE - 2);
	assert_int_equal(get_le32(c + 20), 512);
	assert_int_equal(c[24], 3);
	assert_int_equal(get_le32(c + 36), VIRTIO_BLK_RANGE_SECTORS);
	assert_int_equal(get_le32(c + 40), VIRTIO_BLK_RANGES);
	assert_int_equal(get_le32(c + 48), VIRTIO_BLK_RANGE_SECTORS);
	assert_int_equal(get_le32(c + 52), VIRTIO_BLK_RANGES);
	assert_int_equal(c[56], 1);
	assert_int_equal(d->ops->features(d) & F(RO), 0);
	rig->store.store.read_only = true;
	assert_int_equal(d->ops->features(d) & F(RO), F(RO));
	assert_int_equal(
	    d->ops->features(d) & (F(DISCARD) | F(WRITE_ZEROES)), 0);
}

static void
the_name_is_told_as_far_as_there_is_room(void **state)
{
	struct rig *rig = *state;

	start(rig, USUAL);
	memset(ram(rig, DATA), 0xff, 64);
	offer(rig, 0, VIRTIO_BLK_T_GET_ID, 0, DATA, 64);
	kick(rig);
	assert_int_equal(answer(rig, NULL), 21);
	assert_memory_equal(
	    ram(rig, DATA), "disk0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff", 21);
	memset(ram(rig, DATA), 0xff, 64);
	offer(rig, 0, VIRTIO_BLK_T_GET_ID, 0, DATA, 3);
	kick(rig);
	assert_int_equal(answer(rig, NULL), 4);
	assert_memory_equal(ram(rig, DATA), "dis\xff", 4);
}

/* ---- requests ---- */

static void
what_was_written_is_read_back(void **state)
{
	struct rig *rig = *state;
	uint8_t *data;

	start(rig, USUAL);
	data = ram(rig, DATA);
	memset(data, 0xa5, 1024);
	assert_int_equal(ask(rig, VIRTIO_BLK_T_OUT, 62, DATA, 1024), 0);
	memset(data, 0, 2048);
	offer(rig, 0, VIRTIO_BLK_T_IN, 61, DATA, 1536);
	kick(rig);
	assert_int_equal(answer(rig, NULL), 1537);
	assert_int_equal(*ram(rig, STATUS), VIRTIO_BLK_S_OK);
	assert_int_equal(data[0], 62);
	assert_int_equal(data[511], 62);
	assert_int_equal(data[512], 0xa5);
	assert_int_equal(data[1535], 0xa5);
	assert_int_equal(data[1536], 0);
	assert_int_equal(rig->store.count[FLUSH], 0);
}

/* 2.7.4.3: no assumption about how a request is cut up. */
static void
any_layout_of_a_request_will_do(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece read[] = { { HEADER, 3, false },
		{ HEADER + 3, 10, false }, { HEADER + 13, 3, false },
		{ DATA, 100, true }, { DATA + 0x1000, 413, true } };
	const struct ring_piece write[] = { { DATA, 16 + 512, false },
		{ STATUS, 1, true } };

	start(rig, USUAL);
	put_header(rig, 0, VIRTIO_BLK_T_IN, 5);
	ring_chain(&rig->ring, read, 5);
	kick(rig);
	assert_int_equal(answer(rig, NULL), 513);
	assert_int_equal(*ram(rig, DATA), 6);
	assert_int_equal(*ram(rig, DATA + 99), 6);
	assert_int_equal(*ram(rig, DATA + 0x1000 + 411), 6);
	assert_int_equal(*ram(rig, DATA + 0x1000 + 412), VIRTIO_BLK_S_OK);

	put_header(rig, 0, VIRTIO_BLK_T_OUT, 7);
	memcpy(ram(rig, DATA), ram(rig, HEADER), 16);
	memset(ram(rig, DATA + 16), 0x77, 512);
	ring_chain(&rig->ring, write, 2);
	kick(rig);
	assert_int_equal(answer(rig, NULL), 1);
	assert_int_equal(*ram(rig, STATUS), VIRTIO_BLK_S_OK);
	assert_int_equal(rig->store.data[7 * 512], 0x77);
	assert_int_equal(rig->store.data[7 * 512 + 511], 0x77);
	assert_int_equal(rig->store.data[8 * 512], 9);
}

static void
requests_that_make_no_sense_are_refused_untouched(void **state)
{
	static const struct {
		uint32_t type;
		uint64_t sector;
		uint32_t bytes;
		uint8_t status;
	} bad[] = {
		{ VIRTIO_BLK_T_IN, SECTORS, 512, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, SECTORS - 1, 1024, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, UINT64_MAX, 512, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, UINT64_MAX / 512 + 1, 512,
		    VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, 0, 511, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, 0, 513, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_OUT, SECTORS, 512, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_OUT, UINT64_MAX, 1024, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_OUT, 0, 1, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_SCSI_CMD, 0, 512, VIRTIO_BLK_S_UNSUPP },
		{ 3, 0, 512, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_SECURE_ERASE, 0, 16, VIRTIO_BLK_S_UNSUPP },
		{ UINT32_MAX, 0, 512, VIRTIO_BLK_S_UNSUPP },
	};
	struct rig *rig = *state;

	start(rig, USUAL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t got =
		    ask(rig, bad[i].type, bad[i].sector, DATA, bad[i].bytes);

		if (got != bad[i].status)
			fail_msg("row %zu: status %u", i, got);
	}
	assert_int_equal(calls(rig), 0);
	assert_int_equal(rig->blk.refused, sizeof(bad) / sizeof(bad[0]));
	/* At the very end, and of nothing: fine. */
	assert_int_equal(ask(rig, VIRTIO_BLK_T_IN, SECTORS - 1, DATA, 512), 0);
	assert_int_equal(ask(rig, VIRTIO_BLK_T_IN, SECTORS, DATA, 0), 0);
}

/* Pieces may lie upon each other: memory is no limit to a request's length. */
static void
a_request_longer_than_the_device_takes_is_refused(void **state)
{
	struct rig *rig = *state;
	struct ring_piece piece[12] = { { HEADER, 16, false } };

	rig->store.store.bytes = UINT64_C(1) << 40;
	start(rig, USUAL);
	for (unsigned int i = 1; i < 11; i++)
		piece[i] = (struct ring_piece){ 0x100000, 1 << 20, true };
	piece[11] = (struct ring_piece){ STATUS, 1, true };
	put_header(rig, 0, VIRTIO_BLK_T_IN, 0);
	ring_chain(&rig->ring, piece, 12);
	kick(rig);
	answer(rig, NULL);
	assert_int_equal(*ram(rig, STATUS), VIRTIO_BLK_S_IOERR);
	assert_int_equal(calls(rig), 0);
}

static void
chains_without_header_or_answer_cost_themselves_alone(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece no_answer[] = { { HEADER, 16, false } };
	const struct ring_piece no_header[] = { { HEADER, 15, false },
		{ DATA, 512, true }, { STATUS, 1, true } };
	const struct ring_piece only_answer[] = { { STATUS, 1, true } };
	const struct ring_piece beyond[] = { { RAM, 16, false },
		{ STATUS, 1, true } };

	start(rig, USUAL);
	put_header(rig, 0, VIRTIO_BLK_T_IN, 0);
	ring_chain(&rig->ring, no_answer, 1);
	kick(rig);
	assert_int_equal(answer(rig, NULL), 0);
	ring_chain(&rig->ring, no_header, 3);
	kick(rig);
	assert_int_equal(answer(rig, NULL), 1);
	assert_int_equal(*ram(rig, STATUS), VIRTIO_BLK_S_IOERR);
	ring_chain(&rig->ring, only_answer, 1);
	kick(rig);
	assert_int_equal(answer(rig, NULL), 1);
	ring_chain(&rig->ring, beyond, 2);
	kick(rig);
	assert_int_equal(answer(rig, NULL), 0);
	assert_int_equal(rig->blk.bad, 4);
	assert_int_equal(calls(rig), 0);
	assert_int_equal(ask(rig, VIRTIO_BLK_T_IN, 0, DATA, 512), 0);
}

static void
a_ring_that_makes_no_sense_needs_a_reset(void **state)
{
	struct rig *rig = *state;

	start(rig, USUAL);
	ring_set_idx(&rig->ring, VIRTIO_BLK_QUEUE_SIZE + 1);
	kick(rig);
	for (;;) {
		bool told;

		pthread_mutex_lock(&rig->machine.lock);
		told = rig->changes > 0;
		pthread_mutex_unlock(&rig->machine.lock);
		if (told)
			break;
	}
	assert_true(rig->blk.device.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	reset(rig);
	start(rig, USUAL);
	assert_int_equal(ask(rig, VIRTIO_BLK_T_IN, 0, DATA, 512), 0);
}

static void
a_store_that_fails_is_an_error_for_the_guest(void **state)
{
	struct rig *rig = *state;

	start(rig, USUAL);
	rig->store.result[READ] = rig->store.result[WRITE] = -EIO;
	rig->store.result[FLUSH] = -ENOSPC;
	assert_int_equal(ask(rig, VIRTIO_BLK_T_IN, 0, DATA, 512), 1);
	assert_int_equal(ask(rig, VIRTIO_BLK_T_OUT, 0, DATA, 512), 1);
	assert_int_equal(ask(rig, VIRTIO_BLK_T_FLUSH, 0, DATA, 0), 1);
	rig->store.result[READ] = 0;
	assert_int_equal(ask(rig, VIRTIO_BLK_T_IN, 0, DATA, 512), 0);
}

static void
a_disk_that_is_read_only_refuses_every_change(void **state)
{
	struct rig *rig = *state;

	rig->store.store.read_only = true;
	start(rig, VERSION_1 | F(FLUSH) | F(RO));
	assert_int_equal(ask(rig, VIRTIO_BLK_T_OUT, 0, DATA, 512), 1);
	assert_int_equal(
	    ask(rig, VIRTIO_BLK_T_DISCARD, 0, DATA, 16), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(ask(rig, VIRTIO_BLK_T_IN, 0, DATA, 512), 0);
	assert_int_equal(ask(rig, VIRTIO_BLK_T_FLUSH, 0, DATA, 0), 0);
	assert_int_equal(rig->store.count[WRITE], 0);
}

/* ---- discards and zeros ---- */

struct range {
	uint64_t sector;
	uint32_t sectors, flags;
};

static uint8_t
ask_ranges(
    struct rig *rig, uint32_t type, const struct range *range, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		put_le64(ram(rig, DATA + 16 * i), range[i].sector);
		put_le32(ram(rig, DATA + 16 * i + 8), range[i].sectors);
		put_le32(ram(rig, DATA + 16 * i + 12), range[i].flags);
	}
	return ask(rig, type, 0, DATA, 16 * n);
}

static void
ranges_are_discarded_and_zeroed(void **state)
{
	struct rig *rig = *state;
	const struct range two[] = { { 1, 2, 0 }, { SECTORS - 1, 1, 0 } };
	const struct range unmap[] = { { 8, 4, 1 }, { 0, 0, 1 } };
	const struct range keep[] = { { 20, 1, 0 } };

	start(rig, USUAL);
	assert_int_equal(ask_ranges(rig, VIRTIO_BLK_T_DISCARD, two, 2), 0);
	assert_int_equal(rig->store.data[512 - 1], 1);
	assert_int_equal(rig->store.data[512], 0);
	assert_int_equal(rig->store.data[3 * 512 - 1], 0);
	assert_int_equal(rig->store.data[3 * 512], 4);
	assert_int_equal(rig->store.data[SECTORS * 512 - 1], 0);
	assert_int_equal(
	    ask_ranges(rig, VIRTIO_BLK_T_WRITE_ZEROES, unmap, 2), 0);
	assert_int_equal(
	    ask_ranges(rig, VIRTIO_BLK_T_WRITE_ZEROES, keep, 1), 0);
	assert_int_equal(rig->store.data[8 * 512], 0);
	assert_int_equal(rig->store.data[12 * 512], 13);
	assert_int_equal(rig->store.data[20 * 512], 0);
	assert_int_equal(rig->store.count[DISCARD], 2);
	assert_int_equal(rig->store.count[ZERO], 1);
	assert_int_equal(rig->store.count[ZERO_KEEP], 1);
}

static void
one_bad_range_and_none_is_touched(void **state)
{
	static const struct {
		uint32_t type;
		struct range range[2];
		uint8_t status;
	} bad[] = {
		{ VIRTIO_BLK_T_DISCARD, { { 0, 1, 0 }, { SECTORS, 1, 0 } },
		    VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD,
		    { { 0, 1, 0 }, { UINT64_MAX, UINT32_MAX, 0 } },
		    VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, { { 0, 1, 0 }, { 0, SECTORS + 1, 0 } },
		    VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, { { 0, 1, 0 }, { 0, 1, 1 } },
		    VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_DISCARD, { { 0, 1, 0 }, { 0, 1, 2 } },
		    VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_WRITE_ZEROES, { { 0, 1, 1 }, { 0, 1, 3 } },
		    VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_WRITE_ZEROES,
		    { { 0, 1, 1 }, { SECTORS - 1, 2, 0 } },
		    VIRTIO_BLK_S_IOERR },
	};
	struct rig *rig = *state;
	const struct range huge = { 0, VIRTIO_BLK_RANGE_SECTORS + 1, 0 };
	struct range many[VIRTIO_BLK_RANGES + 1];

	start(rig, USUAL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (ask_ranges(rig, bad[i].type, bad[i].range, 2) !=
		    bad[i].status)
			fail_msg("row %zu", i);
	memset(many, 0, sizeof(many));
	assert_int_equal(
	    ask_ranges(rig, VIRTIO_BLK_T_DISCARD, many, VIRTIO_BLK_RANGES + 1),
	    1);
	assert_int_equal(ask_ranges(rig, VIRTIO_BLK_T_DISCARD, many, 0), 1);
	assert_int_equal(ask(rig, VIRTIO_BLK_T_DISCARD, 0, DATA, 17), 1);
	reset(rig);
	rig->store.store.bytes = UINT64_C(1) << 40;
	start(rig, USUAL);
	assert_int_equal(ask_ranges(rig, VIRTIO_BLK_T_DISCARD, &huge, 1), 1);
	assert_int_equal(calls(rig), 0);
}

static void
what_the_driver_did_not_take_is_not_there(void **state)
{
	struct rig *rig = *state;
	const struct range one = { 0, 1, 0 };

	start(rig, VERSION_1 | F(FLUSH));
	assert_int_equal(ask_ranges(rig, VIRTIO_BLK_T_DISCARD, &one, 1),
	    VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(ask_ranges(rig, VIRTIO_BLK_T_WRITE_ZEROES, &one, 1),
	    VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(calls(rig), 0);
}

/* ---- order ---- */

static void
without_flushes_each_change_is_safe_when_it_is_answered(void **state)
{
	struct rig *rig = *state;
	const struct range one = { 0, 1, 0 };

	start(rig, VERSION_1 | F(DISCARD));
	assert_int_equal(ask(rig, VIRTIO_BLK_T_OUT, 0, DATA, 512), 0);
	assert_int_equal(rig->store.count[FLUSH], 1);
	assert_int_equal(ask_ranges(rig, VIRTIO_BLK_T_DISCARD, &one, 1), 0);
	assert_int_equal(rig->store.count[FLUSH], 2);
	assert_int_equal(ask(rig, VIRTIO_BLK_T_IN, 0, DATA, 512), 0);
	assert_int_equal(rig->store.count[FLUSH], 2);
	rig->store.result[FLUSH] = -EIO;
	assert_int_equal(ask(rig, VIRTIO_BLK_T_OUT, 0, DATA, 512), 1);
}

static void
as_many_requests_are_under_way_as_there_are_threads(void **state)
{
	struct rig *rig = *state;
	bool seen[VIRTIO_BLK_THREADS + 1] = { false };

	start(rig, USUAL);
	hold(&rig->store, 1u << READ);
	for (unsigned int i = 0; i <= VIRTIO_BLK_THREADS; i++) {
		offer(rig, i, VIRTIO_BLK_T_IN, i, DATA + 0x1000 * i, 512);
		kick(rig);
	}
	wait_inside(&rig->store, VIRTIO_BLK_THREADS);
	assert_int_equal(ring_device_idx(&rig->ring), 0);
	hold(&rig->store, 0);
	for (unsigned int i = 0; i <= VIRTIO_BLK_THREADS; i++) {
		uint16_t head;

		answer(rig, &head);
		seen[head / 3] = true;
	}
	for (unsigned int i = 0; i <= VIRTIO_BLK_THREADS; i++) {
		assert_true(seen[i]);
		assert_int_equal(*ram(rig, STATUS + i), VIRTIO_BLK_S_OK);
		assert_int_equal(*ram(rig, DATA + 0x1000 * i), i + 1);
	}
}

static void
a_slow_flush_holds_nothing_else_up(void **state)
{
	struct rig *rig = *state;
	uint16_t flush, head;

	start(rig, USUAL);
	hold(&rig->store, 1u << FLUSH);
	flush = offer(rig, 1, VIRTIO_BLK_T_FLUSH, 0, DATA, 0);
	kick(rig);
	wait_inside(&rig->store, 1);
	for (unsigned int i = 0; i < 50; i++) {
		uint16_t mine = offer(rig, 0, VIRTIO_BLK_T_IN, 3, DATA, 512);

		kick(rig);
		answer(rig, &head);
		assert_int_equal(head, mine);
	}
	hold(&rig->store, 0);
	answer(rig, &head);
	assert_int_equal(head, flush);
	assert_int_equal(*ram(rig, STATUS + 1), VIRTIO_BLK_S_OK);
}

static void
what_the_store_has_at_hand_is_not_read_twice(void **state)
{
	struct rig *rig = *state;

	start(rig, USUAL);
	rig->store.result[CACHED] = 0;
	wait_idle(rig);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(ask(rig, VIRTIO_BLK_T_IN, 0, DATA, 512), 0);
	assert_int_equal(rig->store.count[CACHED], 10);
	assert_int_equal(rig->store.count[READ], 0);
	rig->store.result[CACHED] = -EAGAIN;
	assert_int_equal(ask(rig, VIRTIO_BLK_T_IN, 0, DATA, 512), 0);
	assert_int_equal(rig->store.count[READ], 1);
	/* Not at hand is no error; another trouble is. */
	rig->store.result[CACHED] = -EIO;
	wait_idle(rig);
	assert_int_equal(ask(rig, VIRTIO_BLK_T_IN, 0, DATA, 512), 1);
}

static void
many_requests_at_once_are_all_answered(void **state)
{
	struct rig *rig = *state;
	unsigned int answers = 0, offers = 0;

	start(rig,
	    USUAL | VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX) |
		VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC));
	while (answers < 4000) {
		/* Bursts of 1 to 40: the ring holds 42 of three pieces. */
		unsigned int burst = 1 + answers % 40;

		for (unsigned int i = 0; i < burst; i++, offers++)
			offer(rig, i,
			    offers % 3 == 0 ? VIRTIO_BLK_T_OUT
					    : VIRTIO_BLK_T_IN,
			    i, DATA + 0x1000 * i, 512);
		kick(rig);
		for (unsigned int i = 0; i < burst; i++, answers++)
			answer(rig, NULL);
		for (unsigned int i = 0; i < burst; i++)
			assert_int_equal(
			    *ram(rig, STATUS + i), VIRTIO_BLK_S_OK);
	}
	assert_int_equal(ring_device_idx(&rig->ring), offers % 65536);
}

/* ---- the engine ---- */

static void
the_engine_hears_of_data_before_the_guest_does(void **state)
{
	struct rig *rig = *state;

	start(rig, USUAL);
	assert_int_equal(ask(rig, VIRTIO_BLK_T_OUT, 0, DATA, 1024), 0);
	assert_int_equal(rig->heard, 0); /* it wrote a status alone */
	assert_int_equal(ask(rig, VIRTIO_BLK_T_IN, 0, DATA, 1024), 0);
	assert_int_equal(rig->heard, 1);
	assert_int_equal(rig->heard_bytes, 1024);
	assert_int_equal(rig->heard_at, 1); /* the write's answer */
	rig->store.result[READ] = -EIO;     /* who knows what it wrote */
	assert_int_equal(ask(rig, VIRTIO_BLK_T_IN, 0, DATA, 1024), 1);
	assert_int_equal(rig->heard, 2);
}

static void *
reset_thread(void *arg)
{
	reset(arg);
	return NULL;
}

static void
a_reset_waits_for_who_uses_the_guests_memory(void **state)
{
	struct rig *rig = *state;
	pthread_t thread;

	start(rig, USUAL);
	hold(&rig->store, 1u << READ);
	offer(rig, 0, VIRTIO_BLK_T_IN, 0, DATA, 512);
	kick(rig);
	wait_inside(&rig->store, 1);
	assert_int_equal(pthread_create(&thread, NULL, reset_thread, rig), 0);
	/* The reset takes the machine's lock and cannot give it back. */
	for (;;) {
		if (pthread_mutex_trylock(&rig->machine.lock) != 0)
			break;
		pthread_mutex_unlock(&rig->machine.lock);
	}
	assert_true(rig->blk.device.started);
	hold(&rig->store, 0);
	pthread_join(thread, NULL);
	virtio_blk_settle(&rig->blk);
	/* Nobody answers a driver that has gone. */
	assert_int_equal(ring_device_idx(&rig->ring), 0);
	assert_int_equal(*ram(rig, STATUS), NO_STATUS);
	start(rig, USUAL);
	assert_int_equal(ask(rig, VIRTIO_BLK_T_IN, 0, DATA, 512), 0);
}

static void
a_reset_does_not_wait_for_the_engine(void **state)
{
	struct rig *rig = *state;

	start(rig, USUAL);
	/* As when the CPU that resets the disk has the turn. */
	pthread_mutex_lock(&rig->gate);
	offer(rig, 0, VIRTIO_BLK_T_IN, 0, DATA, 512);
	kick(rig);
	wait_inside(&rig->store, 0);
	for (bool done = false; !done;) {
		pthread_mutex_lock(&rig->blk.lock);
		done = rig->store.count[READ] == 1 && rig->blk.using == 0;
		pthread_mutex_unlock(&rig->blk.lock);
	}
	reset(rig);
	pthread_mutex_unlock(&rig->gate);
	virtio_blk_settle(&rig->blk);
	assert_int_equal(rig->heard, 1);
	assert_int_equal(ring_device_idx(&rig->ring), 0);
	assert_int_equal(*ram(rig, STATUS), NO_STATUS);
}

/* ---- files ---- */

struct file_rig {
	char path[32];
	int fd;
};

static int
file_setup(void **state)
{
	struct file_rig *rig = calloc(1, sizeof(*rig));

	log_set_level(LOG_ERROR);
	strcpy(rig->path, "/tmp/blkXXXXXX");
	rig->fd = mkstemp(rig->path);
	assert_true(rig->fd >= 0);
	*state = rig;
	return 0;
}

static int
file_teardown(void **state)
{
	struct file_rig *rig = *state;

	close(rig->fd);
	unlink(rig->path);
	free(rig);
	return 0;
}

static void
a_file_is_a_disk_of_its_whole_sectors(void **state)
{
	struct file_rig *rig = *state;
	struct blk_store *store;
	char a[700], b[1348], c[700], d[1348];
	const struct iovec from[] = { { a, sizeof(a) }, { b, sizeof(b) } };
	const struct iovec to[] = { { d, sizeof(d) }, { c, sizeof(c) } };

	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	assert_int_equal(ftruncate(rig->fd, (1 << 20) + 100), 0);
	store = blk_file_open(rig->path, false, NULL);
	assert_non_null(store);
	assert_int_equal(store->bytes, 1 << 20);
	assert_false(store->read_only);
	assert_int_equal(
	    store->ops->write(store, from, 2, (1 << 20) - 2048), 0);
	assert_int_equal(store->ops->flush(store), 0);
	assert_int_equal(store->ops->read(store, to, 2, (1 << 20) - 2048), 0);
	assert_int_equal(d[699], 'a');
	assert_int_equal(d[700], 'b');
	assert_int_equal(c[699], 'b');
	memset(c, 0, sizeof(c));
	/* At hand, if the file system can say so at all. */
	if (store->ops->read_cached(store, to, 2, (1 << 20) - 2048) == 0)
		assert_int_equal(c[699], 'b');
	store->ops->close(store);
}

static uint64_t
occupied(const struct file_rig *rig)
{
	struct stat st;

	assert_int_equal(fstat(rig->fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void
discards_and_zeros_give_room_back_or_keep_it(void **state)
{
	struct file_rig *rig = *state;
	static char data[1 << 20];
	const struct iovec all = { data, sizeof(data) };
	struct blk_store *store;
	uint64_t full, half;

	memset(data, 'x', sizeof(data));
	assert_int_equal(ftruncate(rig->fd, sizeof(data)), 0);
	store = blk_file_open(rig->path, false, NULL);
	assert_non_null(store);
	assert_int_equal(store->ops->write(store, &all, 1, 0), 0);
	assert_int_equal(store->ops->flush(store), 0);
	full = occupied(rig);
	assert_int_equal(store->ops->discard(store, 0, 1 << 19), 0);
	half = occupied(rig);
	assert_int_equal(store->ops->zero(store, 1 << 19, 1 << 18, false), 0);
	assert_int_equal(store->ops->zero(store, 3 << 18, 1 << 17, true), 0);
	assert_int_equal(store->ops->read(store, &all, 1, 0), 0);
	for (size_t i = 0; i < sizeof(data) * 7 / 8; i++)
		if (data[i] != 0)
			fail_msg("byte %zu is not zero", i);
	assert_int_equal(data[sizeof(data) * 7 / 8], 'x');
	assert_true(half < full);
	store->ops->close(store);
}

static void
a_file_that_became_shorter_is_an_error(void **state)
{
	struct file_rig *rig = *state;
	char data[1024];
	const struct iovec all = { data, sizeof(data) };
	struct blk_store *store;

	assert_int_equal(ftruncate(rig->fd, 4096), 0);
	store = blk_file_open(rig->path, true, NULL);
	assert_non_null(store);
	assert_true(store->read_only);
	assert_int_equal(ftruncate(rig->fd, 512), 0);
	assert_int_equal(store->ops->read(store, &all, 1, 0), -EIO);
	store->ops->close(store);
}

static void
expect_refusal(const char *path, bool read_only, const char *words)
{
	struct err err = { "" };

	assert_null(blk_file_open(path, read_only, &err));
	if (strstr(err.text, path) == NULL || strstr(err.text, words) == NULL)
		fail_msg("\"%s\" does not say: %s", err.text, words);
}

static void
what_is_no_disk_is_refused_with_a_reason(void **state)
{
	struct file_rig *rig = *state;

	expect_refusal("/nonexistent/disk", false, "No such file");
	expect_refusal("/tmp", true, "give a file or a block device");
	expect_refusal("/dev/null", false, "give a file or a block device");
	expect_refusal(rig->path, false, "truncate -s 1G");
	assert_int_equal(ftruncate(rig->fd, 511), 0);
	expect_refusal(rig->path, false, "has no sector");
}

static void
a_disk_has_one_writer_or_many_readers(void **state)
{
	struct file_rig *rig = *state;
	struct blk_store *one, *two;

	assert_int_equal(ftruncate(rig->fd, 4096), 0);
	one = blk_file_open(rig->path, false, NULL);
	assert_non_null(one);
	expect_refusal(rig->path, false, "another program uses");
	expect_refusal(rig->path, true, "another program uses");
	one->ops->close(one);
	one = blk_file_open(rig->path, true, NULL);
	two = blk_file_open(rig->path, true, NULL);
	assert_non_null(one);
	assert_non_null(two);
	expect_refusal(rig->path, false, "another program uses");
	one->ops->close(one);
	two->ops->close(two);
}

/* ---- images ---- */

static void
an_image_is_a_disk_over_its_backing_file(void **state)
{
	struct file_rig *rig = *state;
	struct disk_options options = { .size = (1 << 20) + 512,
		.backing = rig->path + strlen("/tmp/"),
		.backing_format = "raw" };
	char top[40], a[1024], b[1024];
	const struct iovec from = { a, sizeof(a) }, to = { b, sizeof(b) };
	struct blk_store *store;

	snprintf(top, sizeof(top), "%s.qcow2", rig->path);
	assert_true(blk_image_named(top));
	assert_int_equal(ftruncate(rig->fd, (1 << 20) + 512), 0);
	memset(a, 'a', sizeof(a));
	assert_int_equal(pwrite(rig->fd, a, 512, 4096), 512);
	assert_int_equal(disk_create(top, &options, NULL), 0);
	store = blk_image_open(top, false, NULL, NULL);
	assert_non_null(store);
	assert_int_equal(store->bytes, (1 << 20) + 512);
	assert_int_equal(store->ops->read(store, &to, 1, 4096), 0);
	assert_true(b[0] == 'a' && b[511] == 'a' && b[512] == 0);
	assert_int_equal(store->ops->write(store, &from, 1, 4608), 0);
	assert_int_equal(store->ops->zero(store, 4096, 512, true), 0);
	assert_int_equal(store->ops->flush(store), 0);
	store->ops->close(store);

	store = blk_image_open(top, true, NULL, NULL);
	assert_non_null(store);
	assert_int_equal(store->ops->read(store, &to, 1, 4096), 0);
	assert_true(b[0] == 0 && b[511] == 0 && b[512] == 'a');
	store->ops->close(store);
	assert_int_equal(pread(rig->fd, b, 1, 4096), 1);
	assert_int_equal(b[0], 'a');
	unlink(top);
}

/* Whatever a guest wrote into its raw disk. */
static void
what_a_file_is_does_not_depend_on_what_it_holds(void **state)
{
	struct file_rig *rig = *state;
	struct disk_options options = { .size = 1 << 20, .replace = true };
	struct blk_store *store;
	struct err err = { "" };
	struct stat st;

	assert_int_equal(disk_create(rig->path, &options, NULL), 0);
	assert_int_equal(stat(rig->path, &st), 0);
	assert_false(blk_image_named(rig->path));
	assert_false(blk_image_named(".qcow2"));
	store = blk_file_open(rig->path, true, NULL);
	assert_non_null(store);
	assert_int_equal(store->bytes, st.st_size / 512 * 512);
	store->ops->close(store);
	assert_int_equal(truncate(rig->path, 0), 0);
	assert_int_equal(truncate(rig->path, 4096), 0);
	assert_null(blk_image_open(rig->path, true, NULL, &err));
	assert_non_null(strstr(err.text, "not a qcow2 image"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define FILE_TEST(name) \
	cmocka_unit_test_setup_teardown(name, file_setup, file_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_configuration_tells_size_and_limits),
		TEST(the_name_is_told_as_far_as_there_is_room),
		TEST(what_was_written_is_read_back),
		TEST(any_layout_of_a_request_will_do),
		TEST(requests_that_make_no_sense_are_refused_untouched),
		TEST(a_request_longer_than_the_device_takes_is_refused),
		TEST(chains_without_header_or_answer_cost_themselves_alone),
		TEST(a_ring_that_makes_no_sense_needs_a_reset),
		TEST(a_store_that_fails_is_an_error_for_the_guest),
		TEST(a_disk_that_is_read_only_refuses_every_change),
		TEST(ranges_are_discarded_and_zeroed),
		TEST(one_bad_range_and_none_is_touched),
		TEST(what_the_driver_did_not_take_is_not_there),
		TEST(without_flushes_each_change_is_safe_when_it_is_answered),
		TEST(as_many_requests_are_under_way_as_there_are_threads),
		TEST(a_slow_flush_holds_nothing_else_up),
		TEST(what_the_store_has_at_hand_is_not_read_twice),
		TEST(many_requests_at_once_are_all_answered),
		TEST(the_engine_hears_of_data_before_the_guest_does),
		TEST(a_reset_waits_for_who_uses_the_guests_memory),
		TEST(a_reset_does_not_wait_for_the_engine),
		FILE_TEST(a_file_is_a_disk_of_its_whole_sectors),
		FILE_TEST(discards_and_zeros_give_room_back_or_keep_it),
		FILE_TEST(a_file_that_became_shorter_is_an_error),
		FILE_TEST(what_is_no_disk_is_refused_with_a_reason),
		FILE_TEST(a_disk_has_one_writer_or_many_readers),
		FILE_TEST(an_image_is_a_disk_over_its_backing_file),
		FILE_TEST(what_a_file_is_does_not_depend_on_what_it_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
