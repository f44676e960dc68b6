/*
 * The device's side of a ring, the driver's being written by hand.
 */
#include "switch/vring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE   8
#define BYTES  0x10000u
#define GUEST  0x100000u /* guest address of all memory */
#define USER   0x700000u /* and the front end's */
#define AVAIL  0x1000u   /* where rings lie in it */
#define USED   0x2000u
#define TABLE  0x3000u /* indirect */
#define BUFFER 0x8000u

enum { FLAGS, IDX, RING };

/* Two regions that are neighbours for the guest: a chain may cross from one to
 * the other, which are not neighbours for us. */
struct ring {
	struct guest_mem mem;
	struct vring vring;
	int fd;
	uint8_t *bytes; /* the first region */
	struct vring_slot *desc, *table;
	uint16_t *avail, *used;
	struct vring_used_slot *used_ring;
};

static int
setup(void **state)
{
	struct ring *r = calloc(1, sizeof(*r));

	guest_mem_init(&r->mem);
	r->fd = memfd_create("ring", MFD_CLOEXEC);
	assert_int_equal(ftruncate(r->fd, 4 * BYTES), 0);
	assert_int_equal(
	    guest_mem_add(&r->mem, r->fd, GUEST, USER, BYTES, 0, NULL), 0);
	assert_int_equal(guest_mem_add(&r->mem, r->fd, GUEST + BYTES, 0x900000,
			     BYTES, 2 * BYTES, NULL),
	    0);
	r->bytes = guest_mem_user(&r->mem, USER, BYTES);
	r->desc = (void *)r->bytes;
	r->avail = (void *)(r->bytes + AVAIL);
	r->used = (void *)(r->bytes + USED);
	r->used_ring = (void *)&r->used[RING];
	r->table = (void *)(r->bytes + TABLE);
	vring_init(&r->vring, &r->mem);
	r->vring.size = SIZE;
	r->vring.desc_user = USER;
	r->vring.avail_user = USER + AVAIL;
	r->vring.used_user = USER + USED;
	r->vring.indirect = true;
	assert_true(vring_map(&r->vring));
	vring_start(&r->vring, 0);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct ring *r = *state;

	guest_mem_clear(&r->mem);
	close(r->fd);
	free(r);
	return 0;
}

static void
a_ring_is_mapped_only_where_it_lies_in_memory_and_aligned(void **state)
{
	static const struct {
		uint32_t size;
		uint64_t desc, avail, used;
		bool event_idx, fits;
	} cases[] = {
		{ 8, USER, USER + AVAIL, USER + USED, false, true },
		{ 0, USER, USER + AVAIL, USER + USED, false, false },
		{ 7, USER, USER + AVAIL, USER + USED, false, false },
		{ 65536, USER, USER + AVAIL, USER + USED, false, false },
		{ 8, USER + 8, USER + AVAIL, USER + USED, false, false },
		{ 8, USER, USER + AVAIL + 1, USER + USED, false, false },
		{ 8, USER, USER + AVAIL, USER + USED + 2, false, false },
		{ 8, USER - 16, USER + AVAIL, USER + USED, false, false },
		{ 8, USER + BYTES - 128, USER + AVAIL, USER + USED, false,
		    true },
		{ 8, USER + BYTES - 112, USER + AVAIL, USER + USED, false,
		    false },
		{ 8, USER, USER + BYTES - 20, USER + USED, false, true },
		{ 8, USER, USER + BYTES - 20, USER + USED, true, false },
		{ 8, USER, USER + BYTES - 22, USER + USED, true, true },
		{ 8, USER, USER + AVAIL, USER + BYTES - 68, false, true },
		{ 8, USER, USER + AVAIL, USER + BYTES - 68, true, false },
		{ 8, USER, USER + AVAIL, USER + BYTES - 72, true, true },
		{ 8, USER, UINT64_MAX, USER + USED, false, false },
		{ 8, GUEST, USER + AVAIL, USER + USED, false, false },
	};
	struct ring *r = *state;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		r->vring.size = cases[i].size;
		r->vring.desc_user = cases[i].desc;
		r->vring.avail_user = cases[i].avail;
		r->vring.used_user = cases[i].used;
		r->vring.event_idx = cases[i].event_idx;
		assert_int_equal(vring_map(&r->vring), cases[i].fits);
		assert_int_equal(r->vring.desc != NULL, cases[i].fits);
	}
}

static void
chains_are_taken_and_given_back_in_order_around_the_ring(void **state)
{
	struct ring *r = *state;
	uint16_t offered = 0;

	/* Past the end of 16 bits, too. */
	r->avail[IDX] = r->used[IDX] = offered = 65000;
	vring_start(&r->vring, offered);
	for (unsigned int round = 0; round < 400; round++) {
		unsigned int n = round % SIZE + 1;

		for (unsigned int i = 0; i < n; i++)
			r->avail[RING + offered++ % SIZE] =
			    (uint16_t)((round + i) % SIZE);
		assert_int_equal(vring_poll(&r->vring), 0);
		r->avail[IDX] = offered;
		assert_int_equal(vring_poll(&r->vring), n);
		for (unsigned int i = 0; i < n; i++) {
			assert_int_equal(
			    vring_head(&r->vring, i), (round + i) % SIZE);
			vring_put(&r->vring, vring_head(&r->vring, i), i + 5);
		}
		vring_take(&r->vring, n);
		assert_int_equal(r->used[IDX], (uint16_t)(offered - n));
		vring_publish(&r->vring);
		assert_int_equal(r->used[IDX], offered);
		for (unsigned int i = 0; i < n; i++) {
			uint16_t at = (uint16_t)(offered - n + i) % SIZE;

			assert_int_equal(
			    r->used_ring[at].id, (round + i) % SIZE);
			assert_int_equal(r->used_ring[at].len, i + 5);
		}
	}
}

static void
an_index_may_run_ahead_by_the_size_of_the_ring_at_most(void **state)
{
	struct ring *r = *state;

	r->avail[IDX] = SIZE;
	assert_int_equal(vring_poll(&r->vring), SIZE);
	r->avail[IDX] = SIZE + 1;
	assert_int_equal(vring_poll(&r->vring), -1);
	r->avail[IDX] = 1;
	assert_int_equal(vring_poll(&r->vring), -1); /* it stays broken */
	assert_int_equal(vring_poll_for(&r->vring, 1), -1);
	vring_start(&r->vring, 0);
	assert_int_equal(vring_poll(&r->vring), 1);
	vring_take(&r->vring, 1);
	r->avail[IDX] = 0; /* backwards is far ahead */
	assert_int_equal(vring_poll(&r->vring), -1);
}

#define AT(offset) (GUEST + (offset))
#define NEXT       VRING_SLOT_NEXT
#define WRITE      VRING_SLOT_WRITE
#define INDIRECT   VRING_SLOT_INDIRECT

/* Chains that begin at slot 0: the first slots, an indirect table, and what
 * comes out. */
static const struct {
	const char *name;
	struct vring_slot desc[4], table[4];
	bool writable;
	enum reason reason;
	unsigned int n; /* pieces */
	uint64_t bytes;
} chains[] = {
	{ "one", { { AT(BUFFER), 100, 0, 0 } }, { { 0 } }, false, DROP_NONE, 1,
	    100 },
	{ "one to write", { { AT(BUFFER), 100, WRITE, 0 } }, { { 0 } }, true,
	    DROP_NONE, 1, 100 },
	{ "several",
	    { { AT(BUFFER), 10, NEXT, 2 }, { AT(BUFFER), 40, 0, 0 },
		{ AT(BUFFER), 30, NEXT, 1 } },
	    { { 0 } }, false, DROP_NONE, 3, 80 },
	{ "empty pieces are none",
	    { { 0, 0, NEXT, 1 }, { AT(BUFFER), 40, NEXT, 2 }, { 0, 0, 0, 0 } },
	    { { 0 } }, false, DROP_NONE, 1, 40 },
	{ "nothing at all", { { 0, 0, 0, 0 } }, { { 0 } }, false, DROP_NONE, 0,
	    0 },
	{ "across two regions", { { AT(BYTES) - 10, 30, 0, 0 } }, { { 0 } },
	    false, DROP_NONE, 2, 30 },
	{ "beyond both regions", { { AT(BYTES), BYTES + 1, 0, 0 } }, { { 0 } },
	    false, DROP_RING_ADDRESS, 1, 0 },
	{ "unknown flags are ignored", { { AT(BUFFER), 100, 0xfff0, 0 } },
	    { { 0 } }, false, DROP_NONE, 1, 100 },
	{ "wrong direction", { { AT(BUFFER), 100, WRITE, 0 } }, { { 0 } },
	    false, DROP_RING_DIRECTION, 0, 0 },
	{ "wrong direction later",
	    { { AT(BUFFER), 10, WRITE | NEXT, 1 }, { AT(BUFFER), 10, 0, 0 } },
	    { { 0 } }, true, DROP_RING_DIRECTION, 0, 0 },
	{ "loop of one", { { AT(BUFFER), 1, NEXT, 0 } }, { { 0 } }, false,
	    DROP_RING_CHAIN, 0, 0 },
	{ "loop of two",
	    { { AT(BUFFER), 1, NEXT, 1 }, { AT(BUFFER), 1, NEXT, 0 } },
	    { { 0 } }, false, DROP_RING_CHAIN, 0, 0 },
	{ "loop of nothing", { { 0, 0, NEXT, 0 } }, { { 0 } }, false,
	    DROP_RING_CHAIN, 0, 0 },
	{ "next beyond the ring", { { AT(BUFFER), 1, NEXT, SIZE } }, { { 0 } },
	    false, DROP_RING_CHAIN, 0, 0 },
	{ "more pieces than wanted",
	    { { AT(BUFFER), 1, NEXT, 1 }, { AT(BUFFER), 1, NEXT, 2 },
		{ AT(BUFFER), 1, NEXT, 3 }, { AT(BUFFER), 1, 0, 0 } },
	    { { 0 } }, false, DROP_RING_PIECES, 0, 0 },
	{ "indirect", { { AT(TABLE), 48, INDIRECT, 0 } },
	    { { AT(BUFFER), 10, NEXT, 2 }, { AT(BUFFER), 20, 0, 0 },
		{ AT(BUFFER), 30, NEXT, 1 } },
	    false, DROP_NONE, 3, 60 },
	{ "indirect, its own direction does not matter",
	    { { AT(TABLE), 16, INDIRECT | WRITE, 0 } },
	    { { AT(BUFFER), 10, 0, 0 } }, false, DROP_NONE, 1, 10 },
	{ "indirect at the end of a chain",
	    { { AT(BUFFER), 10, NEXT, 3 }, { 0 }, { 0 },
		{ AT(TABLE), 16, INDIRECT, 0 } },
	    { { AT(BUFFER), 10, 0, 0 } }, false, DROP_NONE, 2, 20 },
	{ "indirect in the middle of a chain",
	    { { AT(TABLE), 16, INDIRECT | NEXT, 1 }, { AT(BUFFER), 1, 0, 0 } },
	    { { AT(BUFFER), 10, 0, 0 } }, false, DROP_RING_CHAIN, 0, 0 },
	{ "indirect in indirect", { { AT(TABLE), 16, INDIRECT, 0 } },
	    { { AT(TABLE), 16, INDIRECT, 0 } }, false, DROP_RING_CHAIN, 0, 0 },
	{ "indirect loop", { { AT(TABLE), 32, INDIRECT, 0 } },
	    { { AT(BUFFER), 0, NEXT, 1 }, { AT(BUFFER), 0, NEXT, 0 } }, false,
	    DROP_RING_CHAIN, 0, 0 },
	{ "indirect, next beyond its table", { { AT(TABLE), 32, INDIRECT, 0 } },
	    { { AT(BUFFER), 1, NEXT, 2 }, { 0 }, { AT(BUFFER), 1, 0, 0 } },
	    false, DROP_RING_CHAIN, 0, 0 },
	{ "indirect of no length", { { AT(TABLE), 0, INDIRECT, 0 } }, { { 0 } },
	    false, DROP_RING_CHAIN, 0, 0 },
	{ "indirect of odd length", { { AT(TABLE), 24, INDIRECT, 0 } },
	    { { AT(BUFFER), 10, 0, 0 } }, false, DROP_RING_CHAIN, 0, 0 },
	{ "indirect outside memory", { { 0, 16, INDIRECT, 0 } }, { { 0 } },
	    false, DROP_RING_ADDRESS, 0, 0 },
	{ "indirect across two regions",
	    { { AT(BYTES) - 16, 32, INDIRECT, 0 } }, { { 0 } }, false,
	    DROP_RING_ADDRESS, 0, 0 },
	{ "indirect table at an odd address",
	    { { AT(TABLE) + 1, 16, INDIRECT, 0 } }, { { 0 } }, false,
	    DROP_RING_ADDRESS, 0, 0 },
};

static void
each_chain_comes_out_as_its_pieces_or_its_reason(void **state)
{
	struct ring *r = *state;

	for (unsigned int i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
		struct iovec piece[16];
		unsigned int n = 0;
		unsigned int max =
		    chains[i].reason == DROP_RING_PIECES ? 3 : 16;
		uint64_t bytes = 0;
		enum reason reason;

		memcpy(r->desc, chains[i].desc, sizeof(chains[i].desc));
		memset(r->bytes + TABLE, 0, 256);
		memcpy(r->table, chains[i].table, sizeof(chains[i].table));
		if (strstr(chains[i].name, "odd address") != NULL)
			r->bytes[TABLE + 1 + 8] = 4; /* 4 bytes at 0 */
		reason = vring_chain(
		    &r->vring, 0, chains[i].writable, piece, max, &n, &bytes);
		if (reason != chains[i].reason)
			fail_msg("%s: %s, not %s", chains[i].name,
			    reason_name(reason), reason_name(chains[i].reason));
		if (reason != DROP_NONE)
			continue;
		if (n != chains[i].n || bytes != chains[i].bytes)
			fail_msg("%s: %u pieces", chains[i].name, n);
		for (unsigned int k = 0; k < n; k++)
			bytes -= piece[k].iov_len;
		assert_int_equal(bytes, 0);
	}
}

static void
a_head_outside_the_ring_is_no_chain(void **state)
{
	struct ring *r = *state;
	struct iovec piece[3];
	uint64_t bytes;
	unsigned int n;
	uint8_t *at;

	r->desc[SIZE] = (struct vring_slot){ AT(BUFFER), 100, 0, 0 };
	assert_int_equal(
	    vring_chain(&r->vring, SIZE, false, piece, 3, &n, &bytes),
	    DROP_RING_CHAIN);
	assert_int_equal(
	    vring_chain(&r->vring, 0xffff, false, piece, 3, &n, &bytes),
	    DROP_RING_CHAIN);
	assert_int_equal(vring_single(&r->vring, SIZE, false, &at), 0);
}

static void
a_single_descriptor_is_found_in_one_look(void **state)
{
	struct ring *r = *state;
	uint8_t *at = NULL;

	r->desc[0] = (struct vring_slot){ AT(BUFFER), 100, 0, 0 };
	assert_int_equal(vring_single(&r->vring, 0, false, &at), 100);
	assert_ptr_equal(at, r->bytes + BUFFER);
	assert_int_equal(vring_single(&r->vring, 0, true, &at), 0);
	r->desc[0].flags = WRITE;
	assert_int_equal(vring_single(&r->vring, 0, true, &at), 100);
	r->desc[0].flags = NEXT;
	assert_int_equal(vring_single(&r->vring, 0, false, &at), 0);
	r->desc[0] = (struct vring_slot){ AT(BYTES) - 10, 20, 0, 0 };
	assert_int_equal(vring_single(&r->vring, 0, false, &at), 0);
	r->desc[0] = (struct vring_slot){ 0, 20, 0, 0 };
	assert_int_equal(vring_single(&r->vring, 0, false, &at), 0);
	r->desc[0] = (struct vring_slot){ AT(BUFFER), 0, 0, 0 };
	assert_int_equal(vring_single(&r->vring, 0, false, &at), 0);
}

static void
indirect_is_refused_where_it_was_not_negotiated(void **state)
{
	struct ring *r = *state;
	struct iovec piece[3];
	uint64_t bytes;
	unsigned int n;

	r->vring.indirect = false;
	r->desc[0] = (struct vring_slot){ AT(TABLE), 16, INDIRECT, 0 };
	r->table[0] = (struct vring_slot){ AT(BUFFER), 10, 0, 0 };
	assert_int_equal(vring_chain(&r->vring, 0, false, piece, 3, &n, &bytes),
	    DROP_RING_CHAIN);
}

/* Uses and publishes n chains. */
static void
use(struct ring *r, unsigned int n)
{
	while (n-- > 0)
		vring_put(&r->vring, 0, 0);
	vring_publish(&r->vring);
}

static void
calls_follow_the_guests_flag(void **state)
{
	struct ring *r = *state;

	assert_false(vring_wants_call(&r->vring)); /* about nothing */
	use(r, 1);
	assert_true(vring_wants_call(&r->vring));
	assert_false(vring_wants_call(&r->vring)); /* it was told */
	r->avail[FLAGS] = 1;
	use(r, 3);
	assert_false(vring_wants_call(&r->vring));
	r->avail[FLAGS] = 0;
	use(r, 1);
	assert_true(vring_wants_call(&r->vring));
}

static void
calls_follow_the_event_index(void **state)
{
	struct ring *r = *state;
	uint16_t *event = &r->avail[RING + SIZE];

	r->vring.event_idx = true;
	assert_true(vring_map(&r->vring));
	vring_start(&r->vring, 0);
	r->avail[FLAGS] = 1; /* means nothing now */
	*event = 0;
	use(r, 1); /* index 0 was used */
	assert_true(vring_wants_call(&r->vring));
	use(r, 1);
	assert_false(vring_wants_call(&r->vring));
	*event = 4;
	use(r, 2); /* indices 2 and 3 */
	assert_false(vring_wants_call(&r->vring));
	use(r, 3); /* 4 to 6 */
	assert_true(vring_wants_call(&r->vring));
	*event = 7;
	use(r, 1);
	assert_true(vring_wants_call(&r->vring));
}

static void
kicks_follow_the_devices_flag(void **state)
{
	struct ring *r = *state;

	vring_kicks_off(&r->vring);
	assert_int_equal(r->used[FLAGS], 1);
	assert_false(vring_kicks_on(&r->vring));
	assert_int_equal(r->used[FLAGS], 0);
	vring_kicks_off(&r->vring);
	r->avail[IDX] = 1; /* came while kicks were off */
	assert_true(vring_kicks_on(&r->vring));
}

static void
kicks_follow_the_event_index(void **state)
{
	struct ring *r = *state;

	r->vring.event_idx = true;
	assert_true(vring_map(&r->vring));
	vring_start(&r->vring, 0);
	r->avail[IDX] = 5;
	assert_int_equal(vring_poll(&r->vring), 5);
	vring_kicks_off(&r->vring);
	vring_take(&r->vring, 5);
	assert_int_equal(r->used[RING + 4 * SIZE], 0);
	assert_false(vring_kicks_on(&r->vring));
	assert_int_equal(r->used[RING + 4 * SIZE], 5); /* the next one */
	assert_int_equal(r->used[FLAGS], 0);
	vring_kicks_off(&r->vring);
	r->avail[IDX] = 6;
	assert_true(vring_kicks_on(&r->vring));
}

static void
a_ring_goes_on_from_the_index_it_is_started_at(void **state)
{
	struct ring *r = *state;

	r->avail[IDX] = 0x1003;
	r->used[IDX] = 0x1000;
	r->avail[RING] = 7;
	vring_start(&r->vring, 0x1000);
	assert_int_equal(vring_poll(&r->vring), 3);
	assert_int_equal(vring_head(&r->vring, 0), 7);
	vring_take(&r->vring, 1);
	vring_put(&r->vring, 7, 0);
	vring_publish(&r->vring);
	assert_int_equal(r->used[IDX], 0x1001);
	assert_int_equal(r->used_ring[0].id, 7);
}

#define FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE(
		    a_ring_is_mapped_only_where_it_lies_in_memory_and_aligned),
		FIXTURE(
		    chains_are_taken_and_given_back_in_order_around_the_ring),
		FIXTURE(an_index_may_run_ahead_by_the_size_of_the_ring_at_most),
		FIXTURE(each_chain_comes_out_as_its_pieces_or_its_reason),
		FIXTURE(a_head_outside_the_ring_is_no_chain),
		FIXTURE(a_single_descriptor_is_found_in_one_look),
		FIXTURE(indirect_is_refused_where_it_was_not_negotiated),
		FIXTURE(calls_follow_the_guests_flag),
		FIXTURE(calls_follow_the_event_index),
		FIXTURE(kicks_follow_the_devices_flag),
		FIXTURE(kicks_follow_the_event_index),
		FIXTURE(a_ring_goes_on_from_the_index_it_is_started_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
