/* A descriptor that is read when it is ready, and looked at a while after. */
#include "switch/lookout.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	struct loop *loop;
	struct lookout lookout;
	struct loop_timer end;
	int pipe[2];
	unsigned int reads, bytes, empties;
	unsigned int write_at; /* the read that finds nothing, but writes */
	unsigned int stop_at;  /* bytes */
	bool rest, deaf;
};

static bool
read_one(void *arg)
{
	struct fixture *f = arg;
	char byte;

	f->reads++;
	if (f->reads == f->write_at) {
		assert_int_equal(write(f->pipe[1], "x", 1), 1);
		return false;
	}
	if (f->deaf || read(f->pipe[0], &byte, 1) != 1)
		return false;
	f->bytes++;
	if (f->rest)
		lookout_rest(&f->lookout);
	if (f->bytes == f->stop_at)
		loop_stop(f->loop);
	return true;
}

static void
is_empty(void *arg)
{
	struct fixture *f = arg;

	f->empties++;
	loop_stop(f->loop);
}

static const struct lookout_ops ops = { .read = read_one, .empty = is_empty };

static void
stop(void *arg)
{
	loop_stop(((struct fixture *)arg)->loop);
}

static int
set_up(void **state)
{
	static struct fixture f;
	struct err err;

	f = (struct fixture){ 0 };
	f.loop = loop_new(LOOP_REAL, &err);
	assert_non_null(f.loop);
	assert_int_equal(pipe2(f.pipe, O_NONBLOCK), 0);
	assert_int_equal(
	    lookout_open(&f.lookout, f.loop, f.pipe[0], &ops, &f, &err), 0);
	loop_timer_init(&f.end, f.loop, stop, &f);
	*state = &f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	loop_timer_unset(&f->end);
	lookout_close(&f->lookout);
	lookout_close(&f->lookout); /* fine */
	loop_free(f->loop);
	close(f->pipe[0]);
	close(f->pipe[1]);
	return 0;
}

/* Until there is nothing left to be done, or for ms. */
static void
run_for(struct fixture *f, uint64_t ms)
{
	loop_update_now(f->loop);
	loop_timer_set(&f->end, loop_now_ns(f->loop) + ms * NS_PER_MS);
	assert_int_equal(loop_run(f->loop), 0);
}

static void
after_a_late_byte_there_is_no_look(void **state)
{
	struct fixture *f = *state;

	f->lookout.patience.last_ns = -NS_PER_S; /* before the loop was */
	assert_int_equal(write(f->pipe[1], "x", 1), 1);
	run_for(f, 2);
	assert_int_equal(f->bytes, 1);
	assert_int_equal(f->reads, 1);
}

/* The loop stops by the byte that only a look can have found. */
static void
a_look_finds_what_comes_while_it_lasts(void **state)
{
	struct fixture *f = *state;

	f->lookout.patience.ns = PATIENCE_MAX_NS * 1000000;
	f->lookout.patience.last_ns = 0;
	f->write_at = 2;
	f->stop_at = 2;
	assert_int_equal(write(f->pipe[1], "x", 1), 1);
	run_for(f, 60000);
	assert_int_equal(f->bytes, 2);
	assert_int_equal(f->empties, 0);
	assert_true(f->reads >= 3);
}

static void
looks_end(void **state)
{
	struct fixture *f = *state;
	unsigned int reads;

	f->lookout.patience.ns = PATIENCE_MAX_NS;
	assert_int_equal(write(f->pipe[1], "x", 1), 1);
	run_for(f, 2);
	reads = f->reads;
	run_for(f, 2);
	assert_int_equal(f->reads, reads);
}

static void
none_comes_after_it_was_laid_to_rest(void **state)
{
	struct fixture *f = *state;

	f->lookout.patience.ns = PATIENCE_MAX_NS * 1000000;
	f->rest = true;
	assert_int_equal(write(f->pipe[1], "xx", 2), 2);
	run_for(f, 2);
	assert_int_equal(f->reads, 1);
}

static void
ready_without_anything_is_told(void **state)
{
	struct fixture *f = *state;

	f->deaf = true;
	assert_int_equal(write(f->pipe[1], "x", 1), 1);
	run_for(f, 60000);
	assert_int_equal(f->empties, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(after_a_late_byte_there_is_no_look),
		CASE(a_look_finds_what_comes_while_it_lasts),
		CASE(looks_end),
		CASE(none_comes_after_it_was_laid_to_rest),
		CASE(ready_without_anything_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
