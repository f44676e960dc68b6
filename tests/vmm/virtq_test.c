/*
 * The device's side of a queue, with a driver that does it right and one that
 * does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>

#include "tests/vmm/driver_ring.h"
#include "vmm/virtq.h"

#define SIZE     8
#define RAM      (UINT64_C(2) << 20)
#define RING     0x1000
#define DATA     0x4000
#define TABLE    0x3000 /* an indirect one */
#define PIECES   6
#define FEATURES VIRTIO_BIT(VIRTIO_F_VERSION_1)
#define INDIRECT VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC)
#define EVENT    VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX)

struct rig {
	struct virtio_device device;
	struct memory memory;
	struct driver_ring ring;
	struct virtq q;
	struct iovec piece[PIECES];
	struct virtq_chain chain;
};

static uint64_t
dev_features(struct virtio_device *device)
{
	(void)device;
	return FEATURES | INDIRECT | EVENT;
}

static const struct virtio_ops ops = { .name = "test",
	.features = dev_features };

/* With features of the ring, from the start. */
static void
start(struct rig *rig, uint64_t features)
{
	rig->device.features = FEATURES | features;
	ring_init(&rig->ring, &rig->device, 0, RING, SIZE);
	virtq_start(&rig->q, &rig->device, 0);
}

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_int_equal(memory_init(&rig->memory, RAM, NULL), 0);
	assert_int_equal(
	    virtio_init(&rig->device, &ops, &rig->memory, 1, 256, NULL), 0);
	rig->chain = (struct virtq_chain){ .piece = rig->piece, .max = PIECES };
	start(rig, INDIRECT);
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	virtio_fini(&rig->device);
	memory_free(&rig->memory);
	free(rig);
	return 0;
}

static enum virtq_got
take(struct rig *rig)
{
	return virtq_take(&rig->q, &rig->chain);
}

static uint8_t *
data(const struct rig *rig, uint64_t address)
{
	return memory_at(&rig->memory, address, 1);
}

/* ---- chains as they should be ---- */

static void
a_chain_comes_out_as_its_pieces(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece piece[] = { { DATA, 16, false },
		{ DATA + 0x100, 0, false }, /* passed over */
		{ DATA + 0x200, 5, false }, { DATA + 0x300, 512, true },
		{ DATA + 0x600, 1, true } };

	assert_int_equal(take(rig), VIRTQ_NONE);
	ring_chain(&rig->ring, piece, 5);
	assert_int_equal(take(rig), VIRTQ_TAKEN);
	assert_int_equal(rig->chain.head, 0);
	assert_int_equal(rig->chain.nreads, 2);
	assert_int_equal(rig->chain.read_bytes, 21);
	assert_ptr_equal(rig->chain.reads[0].iov_base, data(rig, DATA));
	assert_ptr_equal(rig->chain.reads[1].iov_base, data(rig, DATA + 0x200));
	assert_int_equal(rig->chain.reads[1].iov_len, 5);
	assert_int_equal(rig->chain.nwrites, 2);
	assert_int_equal(rig->chain.write_bytes, 513);
	assert_ptr_equal(
	    rig->chain.writes[0].iov_base, data(rig, DATA + 0x300));
	assert_int_equal(take(rig), VIRTQ_NONE);
}

static void
an_indirect_table_is_followed_after_direct_entries(void **state)
{
	struct rig *rig = *state;
	uint8_t *table = data(rig, TABLE);

	/* The table's entries are not in the order of the chain. */
	ring_put_desc(table, DATA, 7, RING_NEXT, 2);
	ring_put_desc(table + 16, DATA + 0x20, 9, RING_WRITE, 0);
	ring_put_desc(table + 32, DATA + 0x10, 8, RING_NEXT, 1);
	ring_desc(&rig->ring, 3, DATA + 0x80, 3, RING_NEXT, 5);
	ring_desc(&rig->ring, 5, TABLE, 48, RING_INDIRECT, 0);
	ring_offer(&rig->ring, 3);
	assert_int_equal(take(rig), VIRTQ_TAKEN);
	assert_int_equal(rig->chain.head, 3);
	assert_int_equal(rig->chain.nreads, 3);
	assert_int_equal(rig->chain.read_bytes, 18);
	assert_int_equal(rig->chain.write_bytes, 9);
	assert_ptr_equal(rig->chain.reads[2].iov_base, data(rig, DATA + 0x10));
}

static void
what_is_pulled_crosses_pieces_and_the_last_byte_is_split_off(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece piece[] = { { DATA, 3, false },
		{ DATA + 0x100, 4, false }, { DATA + 0x200, 2, true },
		{ DATA + 0x300, 1, true } };
	char got[8] = "";

	memcpy(data(rig, DATA), "abc", 3);
	memcpy(data(rig, DATA + 0x100), "defg", 4);
	ring_chain(&rig->ring, piece, 4);
	assert_int_equal(take(rig), VIRTQ_TAKEN);
	assert_false(virtq_pull(&rig->chain, got, 8));
	assert_true(virtq_pull(&rig->chain, got, 5));
	assert_string_equal(got, "abcde");
	assert_int_equal(rig->chain.nreads, 1);
	assert_int_equal(rig->chain.read_bytes, 2);
	assert_ptr_equal(rig->chain.reads[0].iov_base, data(rig, DATA + 0x102));
	assert_ptr_equal(virtq_last(&rig->chain), data(rig, DATA + 0x300));
	assert_int_equal(rig->chain.nwrites, 1);
	assert_ptr_equal(virtq_last(&rig->chain), data(rig, DATA + 0x201));
	assert_ptr_equal(virtq_last(&rig->chain), data(rig, DATA + 0x200));
	assert_null(virtq_last(&rig->chain));
	assert_int_equal(rig->chain.write_bytes, 0);
}

static void
chains_are_given_back_in_any_order_and_round_the_ring(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece piece = { DATA, 4, true };
	uint32_t head = 0, bytes = 0;

	for (unsigned int round = 0; round < 20000; round++) {
		uint16_t a = ring_chain(&rig->ring, &piece, 1), b;

		b = ring_chain(&rig->ring, &piece, 1);
		assert_int_equal(take(rig), VIRTQ_TAKEN);
		assert_int_equal(rig->chain.head, a);
		assert_int_equal(take(rig), VIRTQ_TAKEN);
		assert_int_equal(rig->chain.head, b);
		assert_int_equal(take(rig), VIRTQ_NONE);
		virtq_put(&rig->q, b, 4);
		virtq_put(&rig->q, a, 3);
		assert_true(ring_used(&rig->ring, &head, &bytes));
		assert_true(head == b && bytes == 4);
		assert_true(ring_used(&rig->ring, &head, &bytes));
		assert_true(head == a && bytes == 3);
		assert_false(ring_used(&rig->ring, &head, &bytes));
	}
}

/* ---- chains as they should not be ---- */

static const struct bad {
	const char *name;
	uint64_t features;
	struct {
		uint64_t address;
		uint32_t bytes;
		uint16_t flags, next;
	} direct[4], table[4];
} bad[] = {
	{ "a loop of one", 0, { { DATA, 0, RING_NEXT, 0 } }, { { 0 } } },
	{ "a loop of two", 0,
	    { { DATA, 0, RING_NEXT, 1 }, { DATA, 0, RING_NEXT, 0 } },
	    { { 0 } } },
	{ "next beyond the table", 0, { { DATA, 1, RING_NEXT, SIZE } },
	    { { 0 } } },
	{ "next far beyond", 0, { { DATA, 1, RING_NEXT, 65535 } }, { { 0 } } },
	{ "an address beyond RAM", 0, { { RAM, 1, 0, 0 } }, { { 0 } } },
	{ "a piece that ends beyond RAM", 0, { { RAM - 4, 5, 0, 0 } },
	    { { 0 } } },
	{ "an address that wraps", 0, { { UINT64_MAX, 2, 0, 0 } }, { { 0 } } },
	{ "a length that wraps", 0, { { 0x10, UINT32_MAX, 0, 0 } }, { { 0 } } },
	{ "the hole", 0, { { MEMORY_HOLE_START, 1, 0, 0 } }, { { 0 } } },
	{ "a read after a write", 0,
	    { { DATA, 1, RING_WRITE | RING_NEXT, 1 }, { DATA, 1, 0, 0 } },
	    { { 0 } } },
	{ "a read after a write of nothing", 0,
	    { { DATA, 0, RING_WRITE | RING_NEXT, 1 }, { DATA, 1, 0, 0 } },
	    { { 0 } } },
	{ "indirect without the feature", 0,
	    { { TABLE, 16, RING_INDIRECT, 0 } }, { { DATA, 1, 0, 0 } } },
	{ "an indirect table of nothing", INDIRECT,
	    { { TABLE, 0, RING_INDIRECT, 0 } }, { { DATA, 1, 0, 0 } } },
	{ "an indirect table that ends within an entry", INDIRECT,
	    { { TABLE, 17, RING_INDIRECT, 0 } }, { { DATA, 1, 0, 0 } } },
	{ "an indirect table beyond RAM", INDIRECT,
	    { { RAM - 16, 32, RING_INDIRECT, 0 } }, { { 0 } } },
	{ "an indirect entry with a next one", INDIRECT,
	    { { TABLE, 16, RING_INDIRECT | RING_NEXT, 1 }, { DATA, 1, 0, 0 } },
	    { { DATA, 1, 0, 0 } } },
	{ "an indirect table within one", INDIRECT,
	    { { TABLE, 32, RING_INDIRECT, 0 } },
	    { { TABLE + 16, 16, RING_INDIRECT, 0 }, { DATA, 1, 0, 0 } } },
	{ "an indirect table that is the ring's own", INDIRECT,
	    { { RING, 64, RING_INDIRECT, 0 } }, { { 0 } } },
	{ "a loop in an indirect table", INDIRECT,
	    { { TABLE, 32, RING_INDIRECT, 0 } },
	    { { DATA, 0, RING_NEXT, 1 }, { DATA, 0, RING_NEXT, 0 } } },
	{ "next beyond an indirect table", INDIRECT,
	    { { TABLE, 32, RING_INDIRECT, 0 } },
	    { { DATA, 1, RING_NEXT, 2 } } },
};

static void
a_bad_chain_costs_itself_alone(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece good = { DATA, 4, true };
	uint32_t head = 0, bytes = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start(rig, bad[i].features);
		for (unsigned int k = 0; k < 4; k++) {
			ring_desc(&rig->ring, k, bad[i].direct[k].address,
			    bad[i].direct[k].bytes, bad[i].direct[k].flags,
			    bad[i].direct[k].next);
			ring_put_desc(data(rig, TABLE + 16 * k),
			    bad[i].table[k].address, bad[i].table[k].bytes,
			    bad[i].table[k].flags, bad[i].table[k].next);
		}
		ring_offer(&rig->ring, 0);
		if (take(rig) != VIRTQ_BAD)
			fail_msg("%s is taken", bad[i].name);
		virtq_put(&rig->q, rig->chain.head, 0);
		assert_true(ring_used(&rig->ring, &head, &bytes));
		assert_true(head == 0 && bytes == 0);
		rig->ring.desc = 4;
		ring_chain(&rig->ring, &good, 1);
		assert_int_equal(take(rig), VIRTQ_TAKEN);
	}
}

static void
more_pieces_than_there_is_room_for_are_refused(void **state)
{
	struct rig *rig = *state;
	struct ring_piece piece[PIECES + 1];

	for (unsigned int i = 0; i <= PIECES; i++)
		piece[i] = (struct ring_piece){ DATA + 16 * i, 16, false };
	ring_chain(&rig->ring, piece, PIECES);
	assert_int_equal(take(rig), VIRTQ_TAKEN);
	assert_int_equal(rig->chain.nreads, PIECES);
	ring_chain(&rig->ring, piece, PIECES + 1);
	assert_int_equal(take(rig), VIRTQ_BAD);
}

static void
an_index_that_runs_ahead_breaks_the_queue(void **state)
{
	struct rig *rig = *state;

	ring_set_idx(&rig->ring, SIZE + 1);
	assert_int_equal(take(rig), VIRTQ_BROKEN);
	assert_int_equal(take(rig), VIRTQ_NONE);
	/* Nothing is written from then on. */
	virtq_put(&rig->q, 0, 1);
	assert_int_equal(ring_device_idx(&rig->ring), 0);
	assert_false(virtq_wants_call(&rig->q));
	assert_false(virtq_kicks_on(&rig->q));
	start(rig, 0);
	assert_int_equal(take(rig), VIRTQ_NONE);
}

static void
a_head_beyond_the_table_breaks_the_queue(void **state)
{
	struct rig *rig = *state;

	ring_offer(&rig->ring, SIZE);
	assert_int_equal(take(rig), VIRTQ_BROKEN);
	assert_int_equal(take(rig), VIRTQ_NONE);
}

static void
a_queue_that_the_driver_does_not_use_gives_nothing(void **state)
{
	struct rig *rig = *state;

	rig->device.queue[0].enabled = false;
	virtq_start(&rig->q, &rig->device, 0);
	assert_int_equal(take(rig), VIRTQ_NONE);
	rig->device.queue[0].enabled = true;
	virtq_start(&rig->q, &rig->device, 1);
	assert_int_equal(take(rig), VIRTQ_NONE);
}

/* ---- notifications ---- */

static void
give_back_one(struct rig *rig)
{
	const struct ring_piece piece = { DATA, 4, true };

	ring_chain(&rig->ring, &piece, 1);
	assert_int_equal(take(rig), VIRTQ_TAKEN);
	virtq_put(&rig->q, rig->chain.head, 0);
}

static void
calls_are_made_once_and_unless_the_driver_says_no(void **state)
{
	struct rig *rig = *state;

	assert_false(virtq_wants_call(&rig->q));
	give_back_one(rig);
	assert_true(virtq_wants_call(&rig->q));
	assert_false(virtq_wants_call(&rig->q));
	put_le16(ring_driver(&rig->ring), VRING_AVAIL_F_NO_INTERRUPT);
	give_back_one(rig);
	assert_false(virtq_wants_call(&rig->q));
}

static void
with_event_indices_a_call_comes_at_the_one_asked_for(void **state)
{
	struct rig *rig = *state;
	uint8_t *used_event;

	start(rig, EVENT);
	used_event = ring_driver(&rig->ring) + 4 + 2 * SIZE;
	give_back_one(rig); /* number 0 */
	assert_true(virtq_wants_call(&rig->q));
	put_le16(used_event, 3);
	give_back_one(rig);
	assert_false(virtq_wants_call(&rig->q));
	give_back_one(rig);
	assert_false(virtq_wants_call(&rig->q));
	give_back_one(rig); /* number 3 */
	assert_true(virtq_wants_call(&rig->q));
	put_le16(used_event, 5);
	for (unsigned int i = 0; i < 3; i++) /* 4, 5 and 6 at once */
		give_back_one(rig);
	assert_true(virtq_wants_call(&rig->q));
	give_back_one(rig);
	assert_false(virtq_wants_call(&rig->q));
}

static void
kicks_are_asked_for_only_while_they_are_needed(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece piece = { DATA, 4, true };
	uint8_t *flags = ring_device(&rig->ring);
	uint8_t *avail_event = flags + 4 + 8 * SIZE;

	virtq_kicks_off(&rig->q);
	assert_int_equal(get_le16(flags), VRING_USED_F_NO_NOTIFY);
	assert_false(virtq_kicks_on(&rig->q));
	assert_int_equal(get_le16(flags), 0);
	ring_chain(&rig->ring, &piece, 1);
	assert_true(virtq_kicks_on(&rig->q));

	start(rig, EVENT);
	virtq_kicks_off(&rig->q);
	ring_chain(&rig->ring, &piece, 1);
	ring_chain(&rig->ring, &piece, 1);
	assert_int_equal(take(rig), VIRTQ_TAKEN);
	assert_int_equal(get_le16(avail_event), 0);
	assert_true(virtq_kicks_on(&rig->q));
	assert_int_equal(take(rig), VIRTQ_TAKEN);
	assert_false(virtq_kicks_on(&rig->q));
	assert_int_equal(get_le16(avail_event), 2);
	assert_int_equal(get_le16(flags), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_chain_comes_out_as_its_pieces),
		TEST(an_indirect_table_is_followed_after_direct_entries),
		TEST(
		    what_is_pulled_crosses_pieces_and_the_last_byte_is_split_off),
		TEST(chains_are_given_back_in_any_order_and_round_the_ring),
		TEST(a_bad_chain_costs_itself_alone),
		TEST(more_pieces_than_there_is_room_for_are_refused),
		TEST(an_index_that_runs_ahead_breaks_the_queue),
		TEST(a_head_beyond_the_table_breaks_the_queue),
		TEST(a_queue_that_the_driver_does_not_use_gives_nothing),
		TEST(calls_are_made_once_and_unless_the_driver_says_no),
		TEST(with_event_indices_a_call_comes_at_the_one_asked_for),
		TEST(kicks_are_asked_for_only_while_they_are_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
