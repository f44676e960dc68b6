#include "lab/rfc2544.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* A network that carries so much, from a sender that can make so much. */
struct network {
	uint64_t carries_fps, queue, makes_fps;
	unsigned int hiccups; /* trials whose sender stops for a while */
	unsigned int trials;
};

static int
run(void *arg, const struct trial *trial, struct trial_result *r,
    struct err *err)
{
	struct network *n = arg;
	uint64_t fps = trial->fps < n->makes_fps ? trial->fps : n->makes_fps;
	uint64_t sent = trial->count != 0 ? trial->count : fps;
	uint64_t can = fps <= n->carries_fps
	    ? sent
	    : sent * n->carries_fps / fps + n->queue;

	if (++n->trials > 200)
		return err_set(err, -EIO, "it does not end");
	*r = (struct trial_result){
		.sent = sent,
		.received = sent < can ? sent : can,
		.fps = (double)fps,
	};
	if (n->hiccups > 0) {
		n->hiccups--;
		r->received /= 2;
		r->late_us = 5000;
	}
	return 0;
}

static struct rfc2544
test_of(struct network *n, uint64_t resolution_ppb)
{
	return (struct rfc2544){
		.run = run,
		.arg = n,
		.frame_bytes = 64,
		.max_fps = 1488095,
		.max_frames = 2976190,
		.resolution_ppb = resolution_ppb,
	};
}

static void
a_line_carries_what_the_standard_says(void **state)
{
	static const struct {
		uint32_t bytes;
		uint64_t fps;
	} table[] = { { 64, 14880 }, { 128, 8445 }, { 256, 4528 },
		{ 512, 2349 }, { 1024, 1197 }, { 1280, 961 }, { 1518, 812 } };

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_int_equal(
		    rfc2544_line_fps(10000000, table[i].bytes), table[i].fps);
}

static void
throughput_is_found_within_the_resolution(void **state)
{
	static const uint64_t carries[] = { 1, 10, 777, 20000, 1000000, 1488094,
		1488095, 9000000 };
	static const uint64_t resolutions[] = { 100000, 10000000, 100000000 };

	(void)state;
	for (size_t i = 0; i < sizeof(carries) / sizeof(carries[0]); i++)
		for (size_t k = 0; k < 3; k++) {
			struct network n = { .carries_fps = carries[i],
				.makes_fps = UINT64_MAX };
			struct rfc2544 t = test_of(&n, resolutions[k]);
			uint64_t want =
			    carries[i] < t.max_fps ? carries[i] : t.max_fps;
			struct throughput out;
			struct err err = { "" };

			assert_int_equal(rfc2544_throughput(&t, &out, &err), 0);
			assert_true(out.fps <= want);
			/* A frame or the resolution, whichever is more. */
			assert_true((double)(out.fps + 1) >=
			    (double)want * (1 - (double)resolutions[k] / 1e9) -
				1);
			assert_false(out.limited);
			assert_true(n.trials <= 34);
		}
}

static void
a_slow_sender_is_told_from_a_slow_network(void **state)
{
	struct network n = { .carries_fps = UINT64_MAX, .makes_fps = 500000 };
	struct rfc2544 t = test_of(&n, 1000000);
	struct throughput out;
	struct err err = { "" };

	(void)state;
	assert_int_equal(rfc2544_throughput(&t, &out, &err), 0);
	assert_true(out.limited);
	assert_in_range(out.fps, 494000, 506000);
}

static void
a_trial_whose_sender_stumbled_is_made_again(void **state)
{
	struct network n = { .carries_fps = UINT64_MAX,
		.makes_fps = UINT64_MAX,
		.hiccups = RFC2544_TRIES - 1 };
	struct rfc2544 t = test_of(&n, 1000000);
	struct throughput out;
	struct err err = { "" };

	(void)state;
	assert_int_equal(rfc2544_throughput(&t, &out, &err), 0);
	assert_int_equal(out.fps, t.max_fps);
	assert_int_equal(n.trials, RFC2544_TRIES);
	/* Not for ever. */
	n.hiccups = RFC2544_TRIES;
	assert_int_equal(rfc2544_throughput(&t, &out, &err), 0);
	assert_true(out.fps < t.max_fps);
}

static void
loss_is_told_until_two_rates_are_without(void **state)
{
	struct network n = { .carries_fps = 1000000, .makes_fps = UINT64_MAX };
	struct rfc2544 t = test_of(&n, 10000000);
	struct loss_step out[RFC2544_STEPS];
	struct err err = { "" };

	(void)state;
	/* 100 %, 90, 80, 70 lose some, 60 and 50 do not. */
	assert_int_equal(rfc2544_loss(&t, out, &err), 6);
	assert_int_equal(out[0].percent, 100);
	assert_int_equal(out[0].lost, 488095);
	assert_true(out[3].lost > 0);
	assert_int_equal(out[4].lost + out[5].lost, 0);
	n.carries_fps = 1;
	assert_int_equal(rfc2544_loss(&t, out, &err), 10);
	assert_int_equal(out[9].percent, 10);
}

static void
the_longest_burst_is_what_the_queue_makes_of_it(void **state)
{
	struct network n = {
		.carries_fps = 744047, .queue = 500, .makes_fps = UINT64_MAX
	};
	struct rfc2544 t = test_of(&n, 1000000);
	uint64_t frames;
	bool limited;
	struct err err = { "" };

	(void)state;
	/* Half of it leaves meanwhile. */
	assert_int_equal(rfc2544_back_to_back(&t, &frames, &limited, &err), 0);
	assert_in_range(frames, 990, 1001);
	assert_false(limited);
}

static void
a_trial_that_fails_ends_the_test(void **state)
{
	struct network n = { .trials = 200 };
	struct rfc2544 t = test_of(&n, 1000000);
	struct throughput out;
	struct err err = { "" };

	(void)state;
	assert_int_equal(rfc2544_throughput(&t, &out, &err), -EIO);
	assert_string_equal(err.text, "it does not end");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_carries_what_the_standard_says),
		cmocka_unit_test(throughput_is_found_within_the_resolution),
		cmocka_unit_test(a_slow_sender_is_told_from_a_slow_network),
		cmocka_unit_test(a_trial_whose_sender_stumbled_is_made_again),
		cmocka_unit_test(loss_is_told_until_two_rates_are_without),
		cmocka_unit_test(
		    the_longest_burst_is_what_the_queue_makes_of_it),
		cmocka_unit_test(a_trial_that_fails_ends_the_test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
