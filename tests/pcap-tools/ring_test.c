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

#define RING_BYTES 4096

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
	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		assert_non_null(reserve(i, 1024 - sizeof(struct numbered)));
	assert_null(reserve(4, 0));
	ring_publish(&ring);
	check(ring_next(&ring), 0);
	assert_null(reserve(4, 0));
	ring_release(&ring);
	assert_non_null(reserve(4, 1024 - sizeof(struct numbered)));
	assert_null(reserve(5, 0));
	ring_publish(&ring);
	for (uint32_t i = 1; i < 5; i++)
		check(ring_next(&ring), i);
}

static void
half_the_ring_is_the_largest_record(void **state)
{
	const size_t head = sizeof(struct numbered);

	(void)state;
	assert_null(reserve(0, RING_BYTES / 2 - head + 1));
	assert_non_null(reserve(0, RING_BYTES / 2 - head));
	assert_non_null(reserve(1, RING_BYTES / 2 - head));
	assert_null(reserve(2, 0));
}

static void
records_are_whole_across_the_end_of_memory(void **state)
{
	uint32_t in = 0, out = 0;

	(void)state;
	while (in < 20000) {
		for (uint32_t i = 0; i < 1 + in % 5; i++)
			if (reserve(in, in * 7 % 700) != NULL)
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
		TEST(half_the_ring_is_the_largest_record),
		TEST(records_are_whole_across_the_end_of_memory),
		TEST(tokens_find_records_and_the_ones_after_them),
		TEST(used_is_never_too_low),
		TEST(two_threads_pass_everything_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
