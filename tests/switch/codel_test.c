#include "switch/codel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS   UINT64_C(1000000)
#define MUCH 100000 /* bytes behind the head */

static struct codel
new_codel(void)
{
	return (struct codel){ .target_ns = CODEL_TARGET_NS,
		.interval_ns = CODEL_INTERVAL_NS };
}

/* One frame a millisecond that waited so long; returns when it was dropped. */
static void
times_of_drops(struct codel *c, uint64_t waited_ms, uint64_t from_ms,
    uint64_t to_ms, uint64_t *drops, unsigned int *n)
{
	for (uint64_t t = from_ms; t < to_ms; t++)
		if (codel_drops(c, t * MS, waited_ms * MS, MUCH, 1514))
			drops[(*n)++] = t;
}

static void
a_short_wait_drops_nothing(void **state)
{
	struct codel c = new_codel();
	uint64_t drops[1000];
	unsigned int n = 0;

	(void)state;
	times_of_drops(&c, 4, 1, 1000, drops, &n);
	assert_int_equal(n, 0);
}

static void
a_burst_shorter_than_an_interval_drops_nothing(void **state)
{
	struct codel c = new_codel();
	uint64_t drops[1000];
	unsigned int n = 0;

	(void)state;
	for (uint64_t t = 1; t < 1000; t += 100) {
		times_of_drops(&c, 50, t, t + 99, drops, &n);
		times_of_drops(&c, 1, t + 99, t + 100, drops, &n);
	}
	assert_int_equal(n, 0);
}

/* Drop k+1 follows drop k by interval / sqrt(k): RFC 8289, 5.4. */
static void
drops_come_by_the_square_root(void **state)
{
	static const uint64_t want[] = { 101, 201, 272, 330, 380, 424, 465 };
	struct codel c = new_codel();
	uint64_t drops[1000];
	unsigned int n = 0;

	(void)state;
	times_of_drops(&c, 20, 1, 500, drops, &n);
	assert_true(n >= 7);
	for (unsigned int i = 0; i < 7; i++)
		assert_in_range(drops[i], want[i], want[i] + 1);
}

static void
dropping_ends_with_one_short_wait(void **state)
{
	struct codel c = new_codel();
	uint64_t drops[1000];
	unsigned int n = 0;

	(void)state;
	times_of_drops(&c, 20, 1, 300, drops, &n);
	assert_true(c.dropping);
	times_of_drops(&c, 1, 300, 301, drops, &n);
	assert_false(c.dropping);
}

static void
it_goes_on_near_its_old_rate(void **state)
{
	struct codel c = new_codel();
	uint64_t drops[4000];
	unsigned int n = 0, before;

	(void)state;
	times_of_drops(&c, 20, 1, 2000, drops, &n);
	before = c.count;
	assert_true(before > 50);
	times_of_drops(&c, 1, 2000, 2010, drops, &n);
	n = 0;
	times_of_drops(&c, 20, 2010, 2200, drops, &n);
	/* the first interval is waited for, then it is as fast as before */
	assert_int_equal(drops[0], 2110);
	assert_true(n > 5);
	assert_true(c.count >= before - 1);
	/* but not after a long time */
	times_of_drops(&c, 1, 2200, 10000, drops, &n);
	n = 0;
	times_of_drops(&c, 20, 10000, 10200, drops, &n);
	assert_in_range(n, 1, 2);
}

static void
one_frame_in_the_queue_is_no_queue(void **state)
{
	struct codel c = new_codel();

	(void)state;
	for (uint64_t t = 1; t < 1000; t++)
		assert_false(codel_drops(&c, t * MS, 50 * MS, 1514, 1514));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_short_wait_drops_nothing),
		cmocka_unit_test(
		    a_burst_shorter_than_an_interval_drops_nothing),
		cmocka_unit_test(drops_come_by_the_square_root),
		cmocka_unit_test(dropping_ends_with_one_short_wait),
		cmocka_unit_test(it_goes_on_near_its_old_rate),
		cmocka_unit_test(one_frame_in_the_queue_is_no_queue),
	};

	return cmocka_run_group_tests_name("codel", tests, NULL, NULL);
}
