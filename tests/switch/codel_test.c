#include "switch/codel.h"

#include <math.h>
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

/* ---- the loop of RFC 8289, 5.4 to 5.7, in floating point ---- */

#define ARRIVALS 4000

struct queue {
	const uint64_t *arrived; /* ascending */
	unsigned int n, next;
	uint64_t above, drop_next;
	unsigned int count, last;
	bool dropping;
};

/* Frames behind the one at next that are there at now. */
static uint64_t
bytes_behind(
    const uint64_t *arrived, unsigned int n, unsigned int next, uint64_t now)
{
	unsigned int i = next;

	while (i < n && arrived[i] <= now)
		i++;
	return (uint64_t)(i - next) * 1250;
}

/* True if a frame left; *ok: it may be dropped. */
static bool
dequeue(struct queue *q, uint64_t now, bool *ok)
{
	uint64_t waited;

	*ok = false;
	if (q->next == q->n || q->arrived[q->next] > now) {
		q->above = 0;
		return false;
	}
	waited = now - q->arrived[q->next++];
	if (waited < CODEL_TARGET_NS ||
	    bytes_behind(q->arrived, q->n, q->next, now) <= 1250)
		q->above = 0;
	else if (q->above == 0)
		q->above = now + CODEL_INTERVAL_NS;
	else
		*ok = now >= q->above;
	return true;
}

static uint64_t
law(uint64_t t, unsigned int count)
{
	return t + (uint64_t)((double)CODEL_INTERVAL_NS / sqrt(count));
}

/* What leaves at now; the drops before it go to drops.  False: nothing. */
static bool
serve(struct queue *q, uint64_t now, uint64_t *drops, unsigned int *ndrops)
{
	bool ok, left = dequeue(q, now, &ok);
	unsigned int since = q->count - q->last;

	if (q->dropping) {
		q->dropping = ok;
		while (q->dropping && now >= q->drop_next) {
			drops[(*ndrops)++] = now;
			q->count++;
			left = dequeue(q, now, &ok);
			if (ok)
				q->drop_next = law(q->drop_next, q->count);
			else
				q->dropping = false;
		}
	} else if (ok) {
		drops[(*ndrops)++] = now;
		left = dequeue(q, now, &ok);
		q->dropping = true;
		q->count = 1;
		if (since > 1 && now < q->drop_next + 16 * CODEL_INTERVAL_NS)
			q->count = since;
		q->drop_next = law(now, q->count);
		q->last = q->count;
	}
	return left;
}

static unsigned int
drops_of_the_rfc(const uint64_t *arrived, uint64_t *drops)
{
	struct queue q = { .arrived = arrived, .n = ARRIVALS };
	unsigned int n = 0;
	uint64_t free = 0;

	while (q.next < q.n) {
		uint64_t first = arrived[q.next];
		uint64_t now = free > first ? free : first;

		if (serve(&q, now, drops, &n))
			free = now + MS;
	}
	return n;
}

static unsigned int
drops_of_ours(const uint64_t *arrived, uint64_t *drops)
{
	struct codel c = new_codel();
	unsigned int n = 0;
	uint64_t free = 0;

	for (unsigned int i = 0; i < ARRIVALS; i++) {
		uint64_t now = free > arrived[i] ? free : arrived[i];

		if (codel_drops(&c, now, now - arrived[i],
			bytes_behind(arrived, ARRIVALS, i + 1, now), 1250))
			drops[n++] = now;
		else
			free = now + MS;
	}
	return n;
}

/* Loads between 0.7 and 1.5 that change every 100 to 700 ms. */
static void
it_drops_what_the_loop_of_the_rfc_drops(void **state)
{
	static uint64_t arrived[ARRIVALS], a[ARRIVALS], b[ARRIVALS];
	uint64_t random = 1;
	unsigned int all = 0;

	(void)state;
	for (unsigned int run = 0; run < 50; run++) {
		uint64_t t = MS, gap = MS, until = 0;
		unsigned int n;

		for (unsigned int i = 0; i < ARRIVALS; i++) {
			random = random * UINT64_C(6364136223846793005) + 1;
			if (t >= until) {
				gap = 660000 + (random >> 33) % 760000;
				until = t + (100 + (random >> 50) % 600) * MS;
			}
			arrived[i] = t;
			t += gap / 2 + (random >> 32) % gap;
		}
		n = drops_of_the_rfc(arrived, a);
		all += n;
		assert_int_equal(drops_of_ours(arrived, b), n);
		assert_memory_equal(a, b, n * sizeof(a[0]));
	}
	assert_true(all > 5000);
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
		cmocka_unit_test(it_drops_what_the_loop_of_the_rfc_drops),
	};

	return cmocka_run_group_tests_name("codel", tests, NULL, NULL);
}
