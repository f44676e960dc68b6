#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pcap-tools/ring.h"

#define RING_BYTES  16384
#define PIECE_BYTES 2048

struct numbered {
	struct ring_record head;
	uint32_t number, fill;
	uint8_t data[];
};

static struct ring ring;

static int
set_up(void **state)
{
	(void)state;
	return ring_init(&ring, RING_BYTES);
}

static int
tear_down(void **state)
{
	(void)state;
	ring_fini(&ring);
	return 0;
}

static struct numbered *
reserve(uint32_t number, size_t data_bytes)
{
	struct numbered *r =
	    ring_reserve(&ring, sizeof(struct numbered) + data_bytes);

	if (r != NULL) {
		r->number = number;
		r->fill = (uint32_t)data_bytes;
		memset(r->data, (int)number, data_bytes);
	}
	return r;
}

static void
check(const struct numbered *r, uint32_t number)
{
	assert_non_null(r);
	assert_int_equal(r->number, number);
	assert_true(r->head.bytes >= sizeof(*r) + r->fill);
	for (uint32_t i = 0; i < r->fill; i++)
		assert_int_equal(r->data[i], (uint8_t)number);
}

static void
nothing_is_seen_before_it_is_published(void **state)
{
	(void)state;
	assert_null(ring_next(&ring));
	reserve(1, 10);
	reserve(2, 20);
	assert_null(ring_next(&ring));
	ring_publish(&ring);
	check(ring_next(&ring), 1);
	check(ring_next(&ring), 2);
	assert_null(ring_next(&ring));
}

static void
room_is_given_back_by_release_alone(void **state)
{
	const size_t half = PIECE_BYTES / 2 - sizeof(struct numbered);

	(void)state;
	for (uint32_t i = 0; i < 16; i++)
		assert_non_null(reserve(i, half));
	assert_null(reserve(16, 0));
	ring_publish(&ring);
	check(ring_next(&ring), 0);
	check(ring_next(&ring), 1);
	assert_null(reserve(16, 0));
	ring_release(&ring); /* a piece */
	assert_non_null(reserve(16, half));
	assert_non_null(reserve(17, half));
	assert_null(reserve(18, 0));
	ring_publish(&ring);
	for (uint32_t i = 2; i < 18; i++)
		check(ring_next(&ring), i);
}

/* While the consumer keeps up, a large ring uses as little memory as a small
 * one. */
static void
the_piece_used_last_is_used_next(void **state)
{
	uint8_t *low = NULL, *high = NULL;

	(void)state;
	ring_fini(&ring);
	assert_int_equal(ring_init(&ring, 64 * RING_PIECE_BYTES), 0);
	for (uint32_t i = 0; i < 100000; i++) {
		uint8_t *r = (uint8_t *)reserve(i, 1000);

		if (low == NULL || r < low)
			low = r;
		if (high == NULL || r > high)
			high = r;
		ring_publish(&ring);
		check(ring_next(&ring), i);
		ring_release(&ring);
	}
	assert_true(high - low < 2 * RING_PIECE_BYTES);
}

/* A consumer that is stuck is not met again by what it holds. */
static void
all_pieces_can_be_full_at_once(void **state)
{
	const size_t bytes = RING_PIECE_BYTES - sizeof(struct numbered);

	(void)state;
	ring_fini(&ring);
	assert_int_equal(ring_init(&ring, 16 * RING_PIECE_BYTES), 0);
	for (uint32_t round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < 16; i++)
			assert_non_null(reserve(i, bytes));
		assert_null(reserve(16, 0));
		ring_publish(&ring);
		for (uint32_t i = 0; i < 16; i++)
			check(ring_next(&ring), i);
		ring_release(&ring);
	}
}

static void
a_piece_is_the_largest_record(void **state)
{
	const size_t head = sizeof(struct numbered);

	(void)state;
	assert_null(reserve(0, PIECE_BYTES - head + 1));
	for (uint32_t i = 0; i < RING_BYTES / PIECE_BYTES; i++)
		assert_non_null(reserve(i, PIECE_BYTES - head));
	assert_null(reserve(2, 0));
}

static void
records_are_whole_across_the_ends_of_pieces(void **state)
{
	uint32_t in = 0, out = 0;

	(void)state;
	while (in < 20000) {
		for (uint32_t i = 0; i < 1 + in % 5; i++)
			if (reserve(in, in * 7 % 1700) != NULL)
				in++;
		ring_publish(&ring);
		for (uint32_t i = 0; i < 1 + in % 3; i++) {
			struct numbered *r = ring_next(&ring);

			if (r != NULL)
				check(r, out++);
		}
		ring_release(&ring);
	}
	for (struct numbered *r; (r = ring_next(&ring)) != NULL;)
		check(r, out++);
	assert_int_equal(in, out);
}

static void
tokens_find_records_and_the_ones_after_them(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 300; round++) {
		uint32_t first = 0, last = 0;
		struct numbered *r;

		for (uint32_t i = 0; i < 5; i++) {
			r = reserve(i, 100 + round);
			check(r, i);
			last = ring_token(&ring, r);
			assert_int_not_equal(last, 0);
			if (i == 0)
				first = last;
		}
		r = ring_record(&ring, first);
		for (uint32_t i = 0; i < 5; i++) {
			check(r, i);
			if (i < 4)
				r = ring_after(&ring, r);
		}
		assert_int_equal(ring_token(&ring, r), last);
		ring_publish(&ring);
		while (ring_next(&ring) != NULL)
			;
		ring_release(&ring);
	}
}

static void
used_is_never_too_low(void **state)
{
	(void)state;
	assert_int_equal(ring_used(&ring, 0), 0);
	reserve(0, 512 - sizeof(struct numbered));
	assert_int_equal(ring_used(&ring, 0), 512);
	ring_publish(&ring);
	ring_next(&ring);
	ring_release(&ring);
	assert_true(ring_used(&ring, 1024) <= 512);
	assert_int_equal(ring_used(&ring, 0), 0);
}

#define NRECORDS 200000

static void *
produce(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < NRECORDS;) {
		if (reserve(i, i * 13 % 300) == NULL) {
			ring_publish(&ring);
			sched_yield();
			continue;
		}
		if (i % 3 == 0)
			ring_publish(&ring);
		i++;
	}
	ring_publish(&ring);
	return NULL;
}

static void
two_threads_pass_everything_in_order(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, produce, NULL), 0);
	for (uint32_t i = 0; i < NRECORDS;) {
		struct numbered *r = ring_next(&ring);

		if (r == NULL) {
			ring_release(&ring);
			sched_yield();
			continue;
		}
		check(r, i++);
	}
	pthread_join(thread, NULL);
	assert_null(ring_next(&ring));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_seen_before_it_is_published),
		TEST(room_is_given_back_by_release_alone),
		TEST(the_piece_used_last_is_used_next),
		TEST(all_pieces_can_be_full_at_once),
		TEST(a_piece_is_the_largest_record),
		TEST(records_are_whole_across_the_ends_of_pieces),
		TEST(tokens_find_records_and_the_ones_after_them),
		TEST(used_is_never_too_low),
		TEST(two_threads_pass_everything_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
