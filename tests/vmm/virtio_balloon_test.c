#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/vmm/loop_device.h"
#include "vmm/virtio_balloon.h"

#define RAM       (UINT64_C(4) << 20)
#define PAGE      MEMORY_PAGE_BYTES
#define RING(n)   (0x10000 + 0x2000 * (n))
#define LIST      0x30000 /* of page numbers */
#define FIRST     512     /* page of those that go: 2 MiB */
#define SIZE      VIRTIO_BALLOON_QUEUE_SIZE
#define TARGET    (UINT64_C(1) << 20)
#define INFLATE   0
#define DEFLATE   1
#define REPORTING (UINT64_C(1) << 5)

struct rig {
	struct loop_machine m;
	struct virtio_balloon balloon;
	struct driver_ring ring[VIRTIO_BALLOON_QUEUES];
};

static void
start(struct rig *rig)
{
	for (unsigned int i = 0; i < VIRTIO_BALLOON_QUEUES; i++)
		ring_init(
		    &rig->ring[i], &rig->balloon.device, i, RING(i), SIZE);
	loop_machine_ready(
	    &rig->m, &rig->balloon.device, DEVICE_VERSION_1 | REPORTING);
	assert_true(rig->balloon.device.started);
}

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	loop_machine_init(&rig->m, RAM);
	assert_int_equal(virtio_balloon_init(&rig->balloon, &rig->m.machine,
			     TARGET, rig->m.loop, NULL),
	    0);
	loop_machine_attach(&rig->m, &rig->balloon.device);
	start(rig);
	memset(memory_at(&rig->m.memory, FIRST * PAGE, 0), 0xaa,
	    RAM - FIRST * PAGE);
	memset(memory_at(&rig->m.memory, LIST, 0), 0xaa, 2 * PAGE);
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	virtio_reset(&rig->balloon.device);
	virtio_balloon_fini(&rig->balloon);
	loop_machine_fini(&rig->m);
	free(rig);
	return 0;
}

static uint64_t
occupied(const struct rig *rig)
{
	struct stat st;

	assert_int_equal(fstat(rig->m.memory.fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void
answer(struct rig *rig, unsigned int queue)
{
	uint32_t head, bytes;

	if (!loop_machine_answer(&rig->m, &rig->ring[queue], &head, &bytes))
		fail_msg("no answer");
	assert_int_equal(bytes, 0);
}

static void
name_pages(
    struct rig *rig, unsigned int queue, const uint32_t *page, unsigned int n)
{
	const struct ring_piece piece = { LIST, 4 * n, false };

	for (unsigned int i = 0; i < n; i++)
		put_le32(memory_at(&rig->m.memory, LIST + 4 * i, 4), page[i]);
	ring_chain(&rig->ring[queue], &piece, 1);
	answer(rig, queue);
}

static uint8_t
first_byte(const struct rig *rig, uint32_t page)
{
	return *(uint8_t *)memory_at(&rig->m.memory, page * PAGE, 1);
}

static void
the_guest_is_told_the_target_and_tells_what_it_has_given(void **state)
{
	struct rig *rig = *state;
	struct virtio_device *d = &rig->balloon.device;
	uint8_t c[VIRTIO_CONFIG_BYTES_MAX] = { 0 };

	d->ops->config(d, c);
	assert_int_equal(get_le32(c), TARGET / PAGE);
	assert_int_equal(get_le32(c + 4), 0);
	virtio_balloon_set_target(&rig->balloon, 2 * TARGET);
	assert_int_equal(rig->m.changes, 1);
	d->ops->set_config(d, 0, 4, 77); /* not the driver's to write */
	d->ops->set_config(d, 4, 4, 0x12345);
	d->ops->config(d, c);
	assert_int_equal(get_le32(c), 2 * TARGET / PAGE);
	assert_int_equal(get_le32(c + 4), 0x12345);
	d->ops->set_config(d, 5, 1, 0x66);
	d->ops->set_config(d, 6, 4, 0xffff0000); /* beyond its end, too */
	assert_int_equal(
	    virtio_balloon_actual_bytes(&rig->balloon), 0x6645 * PAGE);
	virtio_reset(d);
	assert_int_equal(virtio_balloon_actual_bytes(&rig->balloon), 0);
}

static void
pages_that_are_given_go_and_no_others(void **state)
{
	struct rig *rig = *state;
	/* Up, down, apart, and twice. */
	const uint32_t page[] = { FIRST, FIRST + 1, FIRST + 2, FIRST + 9,
		FIRST + 8, FIRST + 20, FIRST + 20 };
	uint64_t before = occupied(rig);

	name_pages(rig, INFLATE, page, 7);
	assert_int_equal(before - occupied(rig), 6 * PAGE);
	for (uint32_t p = FIRST; p < FIRST + 30; p++) {
		bool gone = p < FIRST + 3 || p == FIRST + 8 || p == FIRST + 9 ||
		    p == FIRST + 20;

		assert_int_equal(first_byte(rig, p), gone ? 0 : 0xaa);
	}
	assert_int_equal(rig->m.heard, 1);
	assert_int_equal(rig->m.heard_bytes, 7 * PAGE);
}

static void
pages_come_back_when_they_are_touched(void **state)
{
	struct rig *rig = *state;
	const uint32_t page = FIRST;
	uint64_t before = occupied(rig);

	name_pages(rig, INFLATE, &page, 1);
	assert_int_equal(occupied(rig), before - PAGE);
	name_pages(rig, DEFLATE, &page, 1);
	assert_int_equal(occupied(rig), before - PAGE);
	*(uint8_t *)memory_at(&rig->m.memory, FIRST * PAGE, 1) = 1;
	assert_int_equal(occupied(rig), before);
}

static void
what_is_reported_as_free_goes_whatever_the_queues_number(void **state)
{
	struct rig *rig = *state;

	for (unsigned int q = 2; q < VIRTIO_BALLOON_QUEUES; q++) {
		uint64_t at = (FIRST + 16 * q) * PAGE;
		uint64_t before = occupied(rig);
		/* Whole pages only: this one is cut at both ends. */
		const struct ring_piece piece[] = { { at, 4 * PAGE, true },
			{ at + 8 * PAGE - 1, 2 * PAGE, true } };

		ring_chain(&rig->ring[q], piece, 2);
		answer(rig, q);
		assert_int_equal(before - occupied(rig), 5 * PAGE);
		assert_int_equal(first_byte(rig, FIRST + 16 * q + 3), 0);
		assert_int_equal(first_byte(rig, FIRST + 16 * q + 4), 0xaa);
		assert_int_equal(first_byte(rig, FIRST + 16 * q + 7), 0xaa);
		assert_int_equal(first_byte(rig, FIRST + 16 * q + 8), 0);
		assert_int_equal(first_byte(rig, FIRST + 16 * q + 9), 0xaa);
	}
}

static void
numbers_that_are_not_memory_are_passed_over(void **state)
{
	struct rig *rig = *state;
	const uint32_t page[] = { RAM / PAGE, UINT32_MAX, FIRST,
		MEMORY_HOLE_START / PAGE };
	uint64_t before = occupied(rig);

	name_pages(rig, INFLATE, page, 4);
	assert_int_equal(occupied(rig), before - PAGE);
	assert_int_equal(first_byte(rig, FIRST), 0);
}

static void
chains_that_make_no_sense_take_nothing(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece odd = { LIST, 5, false };
	const struct ring_piece too_many = { LIST, 4 * VIRTIO_BALLOON_PAGES + 4,
		false };
	const struct ring_piece beyond = { RAM, 4, false };
	const struct ring_piece beyond_report = { RAM - PAGE, 2 * PAGE, true };
	const uint32_t page = FIRST;
	uint64_t before;

	put_le32(memory_at(&rig->m.memory, LIST, 4), FIRST);
	before = occupied(rig);
	ring_chain(&rig->ring[INFLATE], &odd, 1);
	answer(rig, INFLATE);
	ring_chain(&rig->ring[INFLATE], &too_many, 1);
	answer(rig, INFLATE);
	ring_chain(&rig->ring[INFLATE], &beyond, 1);
	answer(rig, INFLATE);
	ring_chain(&rig->ring[4], &beyond_report, 1);
	answer(rig, 4);
	assert_int_equal(rig->balloon.bad, 4);
	assert_int_equal(occupied(rig), before);
	name_pages(rig, INFLATE, &page, 1);
	assert_int_equal(occupied(rig), before - PAGE);

	ring_set_idx(&rig->ring[DEFLATE], SIZE + 1);
	virtio_kick(&rig->balloon.device, DEFLATE);
	loop_machine_go(&rig->m);
	assert_true(rig->balloon.device.status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void
a_reset_in_the_middle_leaves_no_answer(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece report = { FIRST * PAGE, PAGE, true };

	rig->m.reset_when_heard = &rig->balloon.device;
	ring_chain(&rig->ring[4], &report, 1);
	virtio_kick(&rig->balloon.device, 4);
	loop_machine_go(&rig->m);
	assert_int_equal(rig->m.heard, 1);
	assert_int_equal(ring_device_idx(&rig->ring[4]), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_guest_is_told_the_target_and_tells_what_it_has_given),
		TEST(pages_that_are_given_go_and_no_others),
		TEST(pages_come_back_when_they_are_touched),
		TEST(what_is_reported_as_free_goes_whatever_the_queues_number),
		TEST(numbers_that_are_not_memory_are_passed_over),
		TEST(chains_that_make_no_sense_take_nothing),
		TEST(a_reset_in_the_middle_leaves_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
