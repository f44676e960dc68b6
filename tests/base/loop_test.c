/*
 * What both clocks promise is tested with both: each claim of the first part
 * runs once on a virtual and once on a real loop.  Timers there are set for
 * instants that have passed or are a few microseconds ahead, so nothing waits
 * for real time to pass.
 */
#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_LOG 64
#define NRANDOM 4000
#define HOUR_NS (UINT64_C(3600) * NS_PER_S)
#define DAY_NS  (24 * HOUR_NS)

/* What ran, in order: each event is a letter. */
struct fixture {
	struct loop *loop;
	char log[MAX_LOG + 1];
	unsigned int nlog;
};

static void
note(struct fixture *f, char what)
{
	assert_true(f->nlog < MAX_LOG);
	f->log[f->nlog++] = what;
	f->log[f->nlog] = '\0';
}

static int
set_up(void **state, enum loop_clock clock)
{
	static struct fixture fixture;
	struct err err = { "" };

	fixture = (struct fixture){ .loop = loop_new(clock, &err) };
	assert_non_null(fixture.loop);
	*state = &fixture;
	return 0;
}

static int
set_up_virtual(void **state)
{
	return set_up(state, LOOP_VIRTUAL);
}

static int
set_up_real(void **state)
{
	return set_up(state, LOOP_REAL);
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	loop_free(f->loop);
	return 0;
}

/* A timer and a deferred call that note their letter, and then do more. */
struct actor {
	struct fixture *f;
	char letter;
	struct loop_timer timer;
	struct loop_defer defer;
	void (*then)(struct actor *self);
	struct actor *other;
	struct loop_watch *watch;
	unsigned int times; /* left to do it again */
};

static void
act(void *arg)
{
	struct actor *a = arg;

	note(a->f, a->letter);
	if (a->then != NULL)
		a->then(a);
}

static void
actor_init(struct actor *a, struct fixture *f, char letter,
    void (*then)(struct actor *self))
{
	*a = (struct actor){ .f = f, .letter = letter, .then = then };
	loop_timer_init(&a->timer, f->loop, act, a);
	loop_defer_init(&a->defer, f->loop, act, a);
}

/* ---- both clocks: timers ---- */

static void
an_empty_loop_returns(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_run(f->loop), 0);
}

static void
earlier_timers_run_first(void **state)
{
	struct fixture *f = *state;
	struct actor a, b, c;

	actor_init(&a, f, 'a', NULL);
	actor_init(&b, f, 'b', NULL);
	actor_init(&c, f, 'c', NULL);
	loop_timer_set(&c.timer, 3 * NS_PER_US);
	loop_timer_set(&a.timer, 1 * NS_PER_US);
	loop_timer_set(&b.timer, 2 * NS_PER_US);
	assert_true(loop_timer_is_set(&b.timer));
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "abc");
	assert_false(loop_timer_is_set(&b.timer));
}

static void
timers_of_one_instant_run_in_the_order_in_which_they_were_set(void **state)
{
	struct fixture *f = *state;
	struct actor a[10];

	for (int i = 0; i < 10; i++)
		actor_init(&a[i], f, (char)('0' + i), NULL);
	for (int i = 0; i < 10; i++)
		loop_timer_set(&a[i * 7 % 10].timer, 5);
	/* Set once more, to the same instant: it is the last now. */
	loop_timer_set(&a[7].timer, 5);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "0418529637");
}

static void
setting_again_moves_a_timer(void **state)
{
	struct fixture *f = *state;
	struct actor a, b, c;

	actor_init(&a, f, 'a', NULL);
	actor_init(&b, f, 'b', NULL);
	actor_init(&c, f, 'c', NULL);
	loop_timer_set(&a.timer, 10);
	loop_timer_set(&b.timer, 20);
	loop_timer_set(&c.timer, 30);
	loop_timer_set(&a.timer, 25); /* later */
	loop_timer_set(&c.timer, 5);  /* earlier */
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "cba");
}

static void
an_unset_timer_does_not_run(void **state)
{
	struct fixture *f = *state;
	struct actor a, b;

	actor_init(&a, f, 'a', NULL);
	actor_init(&b, f, 'b', NULL);
	loop_timer_unset(&a.timer); /* was not set: fine */
	loop_timer_set(&a.timer, 1);
	loop_timer_set(&b.timer, 2);
	loop_timer_unset(&a.timer);
	loop_timer_unset(&a.timer);
	assert_false(loop_timer_is_set(&a.timer));
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "b");
}

static void
unset_other(struct actor *self)
{
	loop_timer_unset(&self->other->timer);
}

static void
a_callback_may_unset_a_timer_of_the_same_instant(void **state)
{
	struct fixture *f = *state;
	struct actor a, b, c;

	actor_init(&a, f, 'a', unset_other);
	actor_init(&b, f, 'b', NULL);
	actor_init(&c, f, 'c', NULL);
	a.other = &b;
	loop_timer_set(&a.timer, 7);
	loop_timer_set(&b.timer, 7);
	loop_timer_set(&c.timer, 7);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "ac");
}

static void
move_other(struct actor *self)
{
	loop_timer_set(
	    &self->other->timer, loop_now_ns(self->f->loop) + NS_PER_US);
}

static void
a_callback_may_move_a_timer_that_is_due(void **state)
{
	struct fixture *f = *state;
	struct actor a, b, c;

	actor_init(&a, f, 'a', move_other);
	actor_init(&b, f, 'b', NULL);
	actor_init(&c, f, 'c', NULL);
	a.other = &b;
	loop_timer_set(&a.timer, 1);
	loop_timer_set(&b.timer, 1);
	loop_timer_set(&c.timer, 1);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "acb");
}

static void
again_now(struct actor *self)
{
	if (self->times-- > 0)
		loop_timer_set(&self->timer, loop_now_ns(self->f->loop));
}

static void
defer_again(struct actor *self)
{
	if (self->times-- > 0)
		loop_defer_ask(&self->defer);
}

/* The deferred call marks each round. */
static void
a_timer_set_for_now_runs_in_the_next_round(void **state)
{
	struct fixture *f = *state;
	struct actor a, b, round;

	actor_init(&a, f, 'a', again_now);
	actor_init(&b, f, 'b', NULL);
	actor_init(&round, f, '|', defer_again);
	a.times = 2;
	round.times = 3;
	loop_timer_set(&a.timer, 0);
	loop_timer_set(&b.timer, 0);
	loop_defer_ask(&round.defer);
	assert_true(loop_defer_is_asked(&round.defer));
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "ab|a|a||");
	assert_false(loop_defer_is_asked(&round.defer));
}

static void
again_at_zero(struct actor *self)
{
	if (self->times-- > 0)
		loop_timer_set(&self->timer, 0);
}

/* An instant that has passed is now, not before what waits already. */
static void
a_timer_that_keeps_setting_itself_to_the_past_starves_nobody(void **state)
{
	struct fixture *f = *state;
	struct actor a, b;

	actor_init(&a, f, 'a', again_at_zero);
	actor_init(&b, f, 'b', NULL);
	a.times = 5;
	loop_timer_set(&a.timer, 1);
	loop_timer_set(&b.timer, 1);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "abaaaaa");
}

static void
stop(struct actor *self)
{
	loop_stop(self->f->loop);
}

static void
stop_leaves_the_other_timers_set(void **state)
{
	struct fixture *f = *state;
	struct actor a, b;

	actor_init(&a, f, 'a', stop);
	actor_init(&b, f, 'b', NULL);
	loop_timer_set(&a.timer, 1);
	loop_timer_set(&b.timer, 1);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "a");
	assert_true(loop_timer_is_set(&b.timer));
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "ab");
}

static void
freeing_no_loop_is_fine(void **state)
{
	(void)state;
	loop_free(NULL);
}

/* ---- both clocks: the heap against a plain search ---- */

struct entry {
	struct loop_timer timer;
	uint64_t at_ns, order; /* what we believe; order 0: not set */
	struct crowd *crowd;
};

struct crowd {
	struct loop *loop;
	struct entry entries[NRANDOM];
	uint64_t order, random;
	unsigned int nset, nrun;
	uint64_t last_at, last_order; /* of what ran last */
};

static uint64_t
random_next(struct crowd *c)
{
	c->random = c->random * UINT64_C(6364136223846793005) + 1;
	return c->random >> 33;
}

static void
entry_set(struct entry *e, uint64_t at_ns)
{
	struct crowd *c = e->crowd;

	if (e->order == 0)
		c->nset++;
	e->at_ns = at_ns;
	e->order = ++c->order;
	loop_timer_set(&e->timer, at_ns);
}

static void
entry_unset(struct entry *e)
{
	if (e->order != 0)
		e->crowd->nset--;
	e->order = 0;
	loop_timer_unset(&e->timer);
}

static void
entry_runs(void *arg)
{
	struct entry *e = arg;
	struct crowd *c = e->crowd;

	assert_true(e->order != 0);
	assert_false(loop_timer_is_set(&e->timer));
	assert_true(e->at_ns <= loop_now_ns(c->loop));
	assert_true(e->at_ns > c->last_at ||
	    (e->at_ns == c->last_at && e->order > c->last_order));
	c->last_at = e->at_ns;
	c->last_order = e->order;
	e->order = 0;
	c->nset--;
	c->nrun++;
	/* Now and then another one is moved, to where it may still go. */
	if (random_next(c) % 4 == 0) {
		struct entry *other = &c->entries[random_next(c) % NRANDOM];

		if (random_next(c) % 3 == 0)
			entry_unset(other);
		else if (other->order != 0)
			entry_set(other,
			    loop_now_ns(c->loop) + 1 + random_next(c) % 5000);
	}
}

static void
thousands_of_timers_run_in_order(void **state)
{
	struct fixture *f = *state;
	struct crowd *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->loop = f->loop;
	c->random = 42;
	for (unsigned int i = 0; i < NRANDOM; i++) {
		c->entries[i].crowd = c;
		loop_timer_init(
		    &c->entries[i].timer, f->loop, entry_runs, &c->entries[i]);
	}
	/* Few instants, so that many timers share one. */
	for (unsigned int i = 0; i < 5 * NRANDOM; i++) {
		struct entry *e = &c->entries[random_next(c) % NRANDOM];

		if (random_next(c) % 8 == 0)
			entry_unset(e);
		else
			entry_set(e, 1 + random_next(c) % 1000);
		assert_int_equal(loop_timer_is_set(&e->timer), e->order != 0);
	}
	assert_true(c->nset > NRANDOM / 2);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(c->nset, 0);
	assert_true(c->nrun > NRANDOM / 4);
	for (unsigned int i = 0; i < NRANDOM; i++)
		assert_false(loop_timer_is_set(&c->entries[i].timer));
	free(c);
}

/* ---- both clocks: deferred calls ---- */

static void
ask_other_twice(struct actor *self)
{
	loop_defer_ask(&self->other->defer);
	loop_defer_ask(&self->other->defer);
}

static void
a_deferred_call_runs_once_after_the_timers_of_its_round(void **state)
{
	struct fixture *f = *state;
	struct actor a, b, d;

	actor_init(&a, f, 'a', ask_other_twice);
	actor_init(&b, f, 'b', ask_other_twice);
	actor_init(&d, f, 'd', NULL);
	a.other = b.other = &d;
	loop_timer_set(&a.timer, 0);
	loop_timer_set(&b.timer, 0);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "abd");
}

static void
deferred_calls_run_in_the_order_asked_for(void **state)
{
	struct fixture *f = *state;
	struct actor a, b, c;

	actor_init(&a, f, 'a', NULL);
	actor_init(&b, f, 'b', NULL);
	actor_init(&c, f, 'c', NULL);
	loop_defer_ask(&b.defer);
	loop_defer_ask(&a.defer);
	loop_defer_ask(&c.defer);
	loop_defer_ask(&b.defer);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "bac");
}

/* 'd' asks for itself until it has run three times; a timer that is due in
 * the meantime gets its turn between two of them. */
static void
a_deferred_call_that_asks_again_runs_once_per_round(void **state)
{
	struct fixture *f = *state;
	struct actor a, d, e;

	actor_init(&a, f, 'a', again_now);
	actor_init(&d, f, 'd', defer_again);
	actor_init(&e, f, 'e', NULL);
	a.times = d.times = 2;
	loop_timer_set(&a.timer, 0);
	loop_defer_ask(&d.defer);
	loop_defer_ask(&e.defer);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "adeadad");
}

static void
cancel_other(struct actor *self)
{
	loop_defer_cancel(&self->other->defer);
}

static void
a_deferred_call_may_cancel_another(void **state)
{
	struct fixture *f = *state;
	struct actor a[4];

	/* 1 cancels the last, 2 is cancelled from outside. */
	for (int i = 0; i < 4; i++) {
		actor_init(&a[i], f, (char)('0' + i), NULL);
		loop_defer_ask(&a[i].defer);
	}
	a[1].then = cancel_other;
	a[1].other = &a[3];
	loop_defer_cancel(&a[2].defer);
	loop_defer_cancel(&a[2].defer); /* fine when not asked for */
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "01");
	/* The list is whole: it takes new ones. */
	loop_defer_ask(&a[3].defer);
	loop_defer_ask(&a[2].defer);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "0132");
}

static void
cancel_and_ask(struct actor *self)
{
	loop_defer_cancel(&self->other->defer);
	loop_defer_ask(&self->other->defer);
}

/* What is asked for during the deferred calls belongs to the next round, also
 * when it was waiting in this one. */
static void
a_deferred_call_asked_for_anew_waits_for_the_next_round(void **state)
{
	struct fixture *f = *state;
	struct actor a, b, c, round;

	actor_init(&a, f, 'a', cancel_and_ask);
	actor_init(&b, f, 'b', NULL);
	actor_init(&c, f, 'c', NULL);
	actor_init(&round, f, '|', again_now);
	a.other = &b;
	round.times = 1;
	loop_timer_set(&round.timer, 0);
	loop_defer_ask(&a.defer);
	loop_defer_ask(&b.defer);
	loop_defer_ask(&c.defer);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "|ac|b");
}

static void
deferred_calls_still_run_in_the_round_that_stops(void **state)
{
	struct fixture *f = *state;
	struct actor a, d;

	actor_init(&a, f, 'a', stop);
	actor_init(&d, f, 'd', NULL);
	loop_timer_set(&a.timer, 0);
	loop_defer_ask(&d.defer);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "ad");
}

/* ---- virtual clock ---- */

static void
at_a_day(struct actor *self)
{
	struct loop *loop = self->f->loop;

	assert_int_equal(loop_now_ns(loop), DAY_NS);
	assert_int_equal(loop_wall_ns(loop), DAY_NS);
	loop_update_now(loop);
	assert_int_equal(loop_now_ns(loop), DAY_NS);
}

static void
virtual_time_jumps_to_the_next_timer(void **state)
{
	struct fixture *f = *state;
	struct actor a;

	actor_init(&a, f, 'a', at_a_day);
	assert_int_equal(loop_clock(f->loop), LOOP_VIRTUAL);
	assert_int_equal(loop_now_ns(f->loop), 0);
	assert_int_equal(loop_wall_ns(f->loop), 0);
	loop_timer_set(&a.timer, DAY_NS);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "a");
	assert_int_equal(loop_now_ns(f->loop), DAY_NS);
}

static void
virtual_time_does_not_go_back(void **state)
{
	struct fixture *f = *state;
	struct actor a, b;

	actor_init(&a, f, 'a', NULL);
	actor_init(&b, f, 'b', NULL);
	loop_timer_set(&a.timer, 1000);
	loop_run(f->loop);
	loop_timer_set(&b.timer, 10);
	loop_run(f->loop);
	assert_string_equal(f->log, "ab");
	assert_int_equal(loop_now_ns(f->loop), 1000);
}

static void
virtual_time_waits_for_deferred_calls(void **state)
{
	struct fixture *f = *state;
	struct actor a, d;

	actor_init(&a, f, 'a', NULL);
	actor_init(&d, f, 'd', defer_again);
	d.times = 3;
	loop_timer_set(&a.timer, 5);
	loop_defer_ask(&d.defer);
	loop_run(f->loop);
	assert_string_equal(f->log, "dddda");
}

static void
call_for_ever(void *arg)
{
	struct actor *self = arg;

	self->times++;
	loop_defer_ask(&self->defer);
}

static void
virtual_time_passes_though_a_call_never_ends(void **state)
{
	struct fixture *f = *state;
	struct actor a, d;

	actor_init(&a, f, 'a', stop);
	actor_init(&d, f, 'd', NULL);
	loop_defer_init(&d.defer, f->loop, call_for_ever, &d);
	loop_timer_set(&a.timer, NS_PER_S);
	loop_defer_ask(&d.defer);
	loop_run(f->loop);
	assert_int_equal(loop_now_ns(f->loop), NS_PER_S);
	assert_in_range(d.times, 256, 600);
	loop_defer_cancel(&d.defer);
}

static void
set_for_ever(void *arg)
{
	struct actor *self = arg;

	self->times++;
	loop_timer_set(&self->timer, 0);
}

static void
virtual_time_passes_though_a_timer_is_always_due(void **state)
{
	struct fixture *f = *state;
	struct actor a, t;

	actor_init(&a, f, 'a', stop);
	actor_init(&t, f, 't', NULL);
	loop_timer_init(&t.timer, f->loop, set_for_ever, &t);
	loop_timer_set(&a.timer, NS_PER_S);
	loop_timer_set(&t.timer, 0);
	loop_run(f->loop);
	assert_in_range(
	    loop_now_ns(f->loop), NS_PER_S, NS_PER_S + 10 * NS_PER_MS);
	assert_in_range(t.times, 256, 600);
	loop_timer_unset(&t.timer);
}

static void
the_last_instant_of_virtual_time_can_be_reached(void **state)
{
	struct fixture *f = *state;
	struct actor a;

	actor_init(&a, f, 'a', NULL);
	loop_timer_set(&a.timer, UINT64_MAX);
	loop_run(f->loop);
	assert_string_equal(f->log, "a");
}

static void
never_called(void *arg, unsigned int events)
{
	(void)arg;
	(void)events;
	fail();
}

static void
a_virtual_loop_refuses_to_watch(void **state)
{
	struct fixture *f = *state;
	struct err err = { "" };

	assert_null(
	    loop_watch_new(f->loop, 0, LOOP_READ, never_called, NULL, &err));
	assert_non_null(strstr(err.text, "--virtual-time"));
	err_clear(&err);
	assert_null(
	    loop_signal_new(f->loop, SIGUSR1, never_called, NULL, &err));
	assert_non_null(strstr(err.text, "--virtual-time"));
	loop_wake(f->loop); /* does nothing */
	assert_int_equal(loop_run(f->loop), 0);
}

/* ---- real clock ---- */

static void
not_early(struct actor *self)
{
	struct loop *loop = self->f->loop;
	uint64_t due = self->timer.at_ns, now = loop_now_ns(loop);

	assert_true(now >= due);
	loop_update_now(loop);
	assert_true(loop_now_ns(loop) >= now);
}

static void
a_real_timer_is_not_early(void **state)
{
	struct fixture *f = *state;
	struct actor a[3];

	assert_int_equal(loop_clock(f->loop), LOOP_REAL);
	loop_update_now(f->loop);
	for (unsigned int i = 0; i < 3; i++) {
		actor_init(&a[i], f, (char)('a' + i), not_early);
		loop_timer_set(&a[i].timer,
		    loop_now_ns(f->loop) + 1 + i * 300 * NS_PER_US);
	}
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "abc");
}

static void
wall_time_is_since_1970(void **state)
{
	struct fixture *f = *state;
	uint64_t wall, now = (uint64_t)time(NULL);

	loop_update_now(f->loop);
	wall = loop_wall_ns(f->loop) / NS_PER_S;
	assert_true(wall + 5 > now && wall < now + 5);
}

/* A socket pair: what a test writes into one end makes the other ready. */
struct pipe {
	struct fixture *f;
	char letter;
	int near_fd, far_fd;
	struct loop_watch *watch;
	unsigned int events; /* of the last call */
	void (*then)(struct pipe *self);
	struct pipe *other;
	uint64_t now_ns; /* in the last call */
};

static void
pipe_ready(void *arg, unsigned int events)
{
	struct pipe *p = arg;

	note(p->f, p->letter);
	p->events = events;
	p->now_ns = loop_now_ns(p->f->loop);
	if (p->then != NULL)
		p->then(p);
}

static void
pipe_open(struct pipe *p, struct fixture *f, char letter, unsigned int events,
    void (*then)(struct pipe *self))
{
	struct err err = { "" };
	int fds[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	*p = (struct pipe){ .f = f,
		.letter = letter,
		.then = then,
		.near_fd = fds[0],
		.far_fd = fds[1] };
	p->watch =
	    loop_watch_new(f->loop, p->near_fd, events, pipe_ready, p, &err);
	assert_non_null(p->watch);
}

static void
pipe_close(struct pipe *p)
{
	loop_watch_free(p->watch);
	p->watch = NULL;
	if (p->near_fd >= 0)
		close(p->near_fd);
	close(p->far_fd);
	p->near_fd = -1;
}

static void
pipe_feed(struct pipe *p)
{
	assert_int_equal(write(p->far_fd, "x", 1), 1);
}

static void
pipe_drain(struct pipe *p)
{
	char byte;

	assert_int_equal(read(p->near_fd, &byte, 1), 1);
}

static void
drain_and_free(struct pipe *p)
{
	pipe_drain(p);
	loop_watch_free(p->watch);
	p->watch = NULL;
}

static void
free_if_thrice(struct pipe *p)
{
	if (strlen(p->f->log) == 3) {
		loop_watch_free(p->watch);
		p->watch = NULL;
	}
}

static void
a_watch_is_level_triggered(void **state)
{
	struct fixture *f = *state;
	struct pipe p;

	pipe_open(&p, f, 'p', LOOP_READ, free_if_thrice);
	pipe_feed(&p);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "ppp");
	assert_int_equal(p.events, LOOP_READ);
	pipe_close(&p);
}

/* Nothing is read: the first call asks anew, the second lets another byte come,
 * and the third ends it. */
static void
change_twice(struct pipe *p)
{
	size_t n = strlen(p->f->log);

	if (n == 1)
		loop_watch_events(p->watch, LOOP_READ | LOOP_EDGE);
	else if (n == 2)
		pipe_feed(p);
	else
		free_if_thrice(p);
}

static void
end_loop(void *arg)
{
	loop_stop(arg);
}

static void
a_watch_for_edges_tells_of_changes_alone(void **state)
{
	struct fixture *f = *state;
	struct loop_timer end;
	struct pipe p;

	pipe_open(&p, f, 'p', LOOP_READ | LOOP_EDGE, change_twice);
	pipe_feed(&p);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "ppp");
	pipe_close(&p);
	/* What does not change is told of once. */
	f->nlog = 0;
	pipe_open(&p, f, 'q', LOOP_READ | LOOP_EDGE, NULL);
	pipe_feed(&p);
	loop_timer_init(&end, f->loop, end_loop, f->loop);
	loop_timer_set(&end, loop_now_ns(f->loop) + 20 * NS_PER_MS);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "q");
	pipe_close(&p);
}

static void
again_until_thrice(struct actor *a)
{
	if (++a->times < 3)
		loop_defer_again(&a->defer);
}

static void
ask_until_thrice(struct actor *a)
{
	if (++a->times < 3)
		loop_defer_ask(&a->defer);
}

static void
free_if_fourth(struct pipe *p)
{
	if (strlen(p->f->log) >= 4) {
		loop_watch_free(p->watch);
		p->watch = NULL;
	}
}

/* The pipe is ready all the time; who was interrupted for longer than it may be
 * left alone tries again. */
static void
a_call_that_goes_on_comes_before_descriptors(void **state)
{
	struct fixture *f = *state;
	struct actor d;
	struct pipe p;
	unsigned int tries = 0;

	do {
		f->nlog = 0;
		f->log[0] = '\0';
		actor_init(&d, f, 'd', again_until_thrice);
		pipe_open(&p, f, 'p', LOOP_READ, free_if_fourth);
		pipe_feed(&p);
		loop_defer_again(&d.defer);
		assert_int_equal(loop_run(f->loop), 0);
		pipe_close(&p);
	} while (strcmp(f->log, "pdddp") != 0 && strcmp(f->log, "dddp") != 0 &&
	    ++tries < 1000);
	assert_true(tries < 1000);
}

static void
a_call_that_asks_again_lets_descriptors_pass(void **state)
{
	struct fixture *f = *state;
	struct actor d;
	struct pipe p;

	actor_init(&d, f, 'd', ask_until_thrice);
	pipe_open(&p, f, 'p', LOOP_READ, free_if_thrice);
	pipe_feed(&p);
	loop_defer_ask(&d.defer);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "pdpdd");
	pipe_close(&p);
}

static void
free_it(struct pipe *p)
{
	loop_watch_free(p->watch);
	p->watch = NULL;
}

static void
a_watch_tells_what_is_ready(void **state)
{
	static const struct {
		unsigned int watched;
		bool fed;
		unsigned int told;
	} cases[] = {
		{ LOOP_READ, true, LOOP_READ },
		{ LOOP_WRITE, false, LOOP_WRITE },
		{ LOOP_WRITE, true, LOOP_WRITE },
		{ LOOP_READ | LOOP_WRITE, false, LOOP_WRITE },
		{ LOOP_READ | LOOP_WRITE, true, LOOP_READ | LOOP_WRITE },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pipe p;

		pipe_open(&p, f, 'p', cases[i].watched, free_it);
		if (cases[i].fed)
			pipe_feed(&p);
		assert_int_equal(loop_run(f->loop), 0);
		assert_int_equal(p.events, cases[i].told);
		pipe_close(&p);
	}
	assert_string_equal(f->log, "ppppp");
}

static void
a_closed_peer_makes_a_watch_ready_to_read(void **state)
{
	struct fixture *f = *state;
	struct pipe p;

	pipe_open(&p, f, 'p', LOOP_READ, free_it);
	shutdown(p.far_fd, SHUT_RDWR);
	assert_int_equal(loop_run(f->loop), 0);
	assert_true(p.events & LOOP_READ);
	pipe_close(&p);
}

static void
now_write(struct pipe *p)
{
	if (p->events & LOOP_READ) {
		loop_watch_events(p->watch, LOOP_WRITE);
	} else {
		loop_watch_events(p->watch, 0);
		loop_stop(p->f->loop);
	}
}

static void
events_of_a_watch_can_be_changed_in_its_callback(void **state)
{
	struct fixture *f = *state;
	struct pipe p;

	pipe_open(&p, f, 'p', LOOP_READ, now_write);
	pipe_feed(&p);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "pp");
	assert_int_equal(p.events, LOOP_WRITE);
	pipe_close(&p);
}

static void
wake_other_up(struct actor *self)
{
	loop_watch_events(self->watch, LOOP_READ);
}

static void
a_sleeping_watch_is_not_called(void **state)
{
	struct fixture *f = *state;
	struct actor a;
	struct pipe p;

	pipe_open(&p, f, 'p', 0, drain_and_free);
	pipe_feed(&p);
	actor_init(&a, f, 'a', wake_other_up);
	a.watch = p.watch;
	loop_timer_set(&a.timer, NS_PER_US);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "ap");
	pipe_close(&p);
}

/* Frees the other one, and closes its descriptor, in whose round it is. */
static void
free_other(struct pipe *p)
{
	struct pipe *other = p->other;

	free_it(p);
	loop_watch_free(other->watch);
	other->watch = NULL;
	close(other->near_fd);
	other->near_fd = -1;
}

static void
a_watch_freed_in_a_callback_of_its_round_is_not_called(void **state)
{
	struct fixture *f = *state;
	struct pipe p, q;

	pipe_open(&p, f, 'x', LOOP_READ, free_other);
	pipe_open(&q, f, 'x', LOOP_READ, free_other);
	p.other = &q;
	q.other = &p;
	pipe_feed(&p);
	pipe_feed(&q);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "x");
	pipe_close(&p);
	pipe_close(&q);
}

static void
sleep_other(struct pipe *p)
{
	loop_watch_events(p->other->watch, 0);
	free_it(p);
	loop_stop(p->f->loop);
}

static void
a_watch_put_to_sleep_in_its_round_is_not_called(void **state)
{
	struct fixture *f = *state;
	struct pipe p, q;

	pipe_open(&p, f, 'x', LOOP_READ, sleep_other);
	pipe_open(&q, f, 'x', LOOP_READ, sleep_other);
	p.other = &q;
	q.other = &p;
	pipe_feed(&p);
	pipe_feed(&q);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "x");
	pipe_close(&p);
	pipe_close(&q);
}

static void
spend_time(struct pipe *p)
{
	uint64_t start = loop_now_ns(p->f->loop);
	struct timespec ts;
	uint64_t from, now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	from = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
	do {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		now = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
	} while (now - from < 50 * NS_PER_US);
	assert_int_equal(loop_now_ns(p->f->loop), start);
	free_it(p);
}

/* Both callbacks of one round, and the timers behind them, see one time. */
static void
time_stands_still_in_a_round(void **state)
{
	struct fixture *f = *state;
	struct pipe p, q;

	pipe_open(&p, f, 'x', LOOP_READ, spend_time);
	pipe_open(&q, f, 'x', LOOP_READ, spend_time);
	pipe_feed(&p);
	pipe_feed(&q);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "xx");
	assert_int_equal(p.now_ns, q.now_ns);
	assert_int_equal(loop_now_ns(f->loop), p.now_ns);
	pipe_close(&p);
	pipe_close(&q);
}

static void
freeing_no_watch_is_fine(void **state)
{
	(void)state;
	loop_watch_free(NULL);
}

static void
a_file_cannot_be_watched(void **state)
{
	struct fixture *f = *state;
	char name[] = "/tmp/loop_test.XXXXXX";
	struct err err = { "" };
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	unlink(name);
	assert_null(
	    loop_watch_new(f->loop, fd, LOOP_READ, never_called, NULL, &err));
	assert_non_null(strstr(err.text, strerror(EPERM)));
	close(fd);
	assert_int_equal(loop_run(f->loop), 0);
}

struct waker {
	struct fixture *f;
	pthread_t thread;
	unsigned int nwoken;
	struct loop_timer far;
};

static void *
wake_thread(void *arg)
{
	struct waker *waker = arg;

	loop_wake(waker->f->loop);
	return NULL;
}

static void
start_thread(void *arg)
{
	struct waker *waker = arg;

	assert_int_equal(
	    pthread_create(&waker->thread, NULL, wake_thread, waker), 0);
}

static void
woken(void *arg)
{
	struct waker *waker = arg;

	pthread_join(waker->thread, NULL);
	if (++waker->nwoken < 3)
		start_thread(waker);
	else
		loop_timer_unset(&waker->far);
}

static void
not_reached(void *arg)
{
	(void)arg;
	fail();
}

/* It sleeps for an hour, but for the thread: nothing else can end that. */
static void
a_thread_wakes_the_loop(void **state)
{
	struct fixture *f = *state;
	struct waker waker = { .f = f };

	loop_timer_init(&waker.far, f->loop, not_reached, NULL);
	loop_timer_set(&waker.far, HOUR_NS);
	loop_on_wake(f->loop, woken, &waker);
	start_thread(&waker);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(waker.nwoken, 3);
}

static void
count_wakes(void *arg)
{
	note(arg, 'w');
	loop_stop(((struct fixture *)arg)->loop);
}

static void
many_wakes_are_one_call(void **state)
{
	struct fixture *f = *state;
	struct actor a;

	actor_init(&a, f, 'a', NULL);
	loop_timer_set(&a.timer, HOUR_NS);
	loop_on_wake(f->loop, count_wakes, f);
	for (int i = 0; i < 100; i++)
		loop_wake(f->loop);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "w");
	loop_timer_unset(&a.timer);
}

static void
far_timers_do_not_keep_the_loop_awake(void **state)
{
	struct fixture *f = *state;
	struct actor never, soon;

	actor_init(&never, f, 'n', NULL);
	actor_init(&soon, f, 's', stop);
	loop_timer_set(&never.timer, UINT64_MAX);
	loop_timer_set(&soon.timer, 200 * NS_PER_US);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "s");
	loop_timer_unset(&never.timer);
}

struct signalled {
	struct fixture *f;
	struct loop_watch *watch;
	unsigned int nraises;
};

static void
signal_came(void *arg, unsigned int events)
{
	struct signalled *s = arg;

	note(s->f, 's');
	assert_int_equal(events, 0);
	if (--s->nraises > 0) {
		raise(SIGUSR1);
		note(s->f, '-'); /* not called from within raise() */
	} else {
		loop_watch_free(s->watch);
	}
}

static void
a_signal_calls_in_the_loop(void **state)
{
	struct fixture *f = *state;
	struct signalled s = { .f = f, .nraises = 3 };
	struct err err = { "" };

	s.watch = loop_signal_new(f->loop, SIGUSR1, signal_came, &s, &err);
	assert_non_null(s.watch);
	raise(SIGUSR1);
	note(f, '-');
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->log, "-s-s-s");
}

#define ON_BOTH(claim)                                                     \
	cmocka_unit_test_setup_teardown(claim, set_up_virtual, tear_down), \
	    cmocka_unit_test_setup_teardown(claim, set_up_real, tear_down)
#define ON_VIRTUAL(claim) \
	cmocka_unit_test_setup_teardown(claim, set_up_virtual, tear_down)
#define ON_REAL(claim) \
	cmocka_unit_test_setup_teardown(claim, set_up_real, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(an_empty_loop_returns),
		ON_BOTH(earlier_timers_run_first),
		ON_BOTH(
		    timers_of_one_instant_run_in_the_order_in_which_they_were_set),
		ON_BOTH(setting_again_moves_a_timer),
		ON_BOTH(an_unset_timer_does_not_run),
		ON_BOTH(a_callback_may_unset_a_timer_of_the_same_instant),
		ON_BOTH(a_callback_may_move_a_timer_that_is_due),
		ON_BOTH(a_timer_set_for_now_runs_in_the_next_round),
		ON_BOTH(
		    a_timer_that_keeps_setting_itself_to_the_past_starves_nobody),
		ON_BOTH(stop_leaves_the_other_timers_set),
		ON_BOTH(freeing_no_loop_is_fine),
		ON_BOTH(thousands_of_timers_run_in_order),
		ON_BOTH(
		    a_deferred_call_runs_once_after_the_timers_of_its_round),
		ON_BOTH(deferred_calls_run_in_the_order_asked_for),
		ON_BOTH(a_deferred_call_that_asks_again_runs_once_per_round),
		ON_BOTH(a_deferred_call_may_cancel_another),
		ON_BOTH(
		    a_deferred_call_asked_for_anew_waits_for_the_next_round),
		ON_BOTH(deferred_calls_still_run_in_the_round_that_stops),

		ON_VIRTUAL(virtual_time_jumps_to_the_next_timer),
		ON_VIRTUAL(virtual_time_does_not_go_back),
		ON_VIRTUAL(virtual_time_waits_for_deferred_calls),
		ON_VIRTUAL(virtual_time_passes_though_a_call_never_ends),
		ON_VIRTUAL(virtual_time_passes_though_a_timer_is_always_due),
		ON_VIRTUAL(the_last_instant_of_virtual_time_can_be_reached),
		ON_VIRTUAL(a_virtual_loop_refuses_to_watch),

		ON_REAL(a_real_timer_is_not_early),
		ON_REAL(wall_time_is_since_1970),
		ON_REAL(a_watch_is_level_triggered),
		ON_REAL(a_watch_for_edges_tells_of_changes_alone),
		ON_REAL(a_watch_tells_what_is_ready),
		ON_REAL(a_closed_peer_makes_a_watch_ready_to_read),
		ON_REAL(events_of_a_watch_can_be_changed_in_its_callback),
		ON_REAL(a_sleeping_watch_is_not_called),
		ON_REAL(a_watch_freed_in_a_callback_of_its_round_is_not_called),
		ON_REAL(a_watch_put_to_sleep_in_its_round_is_not_called),
		ON_REAL(a_call_that_goes_on_comes_before_descriptors),
		ON_REAL(a_call_that_asks_again_lets_descriptors_pass),
		ON_REAL(time_stands_still_in_a_round),
		ON_REAL(freeing_no_watch_is_fine),
		ON_REAL(a_file_cannot_be_watched),
		ON_REAL(a_thread_wakes_the_loop),
		ON_REAL(many_wakes_are_one_call),
		ON_REAL(far_timers_do_not_keep_the_loop_awake),
		ON_REAL(a_signal_calls_in_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
