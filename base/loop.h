/*
 * loop.h - one thread's events: descriptors, timers and the clock.
 *
 * No module asks the operating system for time; it asks its loop, or takes
 * now as an argument.  A loop has one of two clocks.  LOOP_REAL follows the
 * machine (libevent).  LOOP_VIRTUAL jumps from timer to timer, so that a day
 * passes in no time and two runs are alike; it ends when no timer is left, and
 * watches no descriptors.  Calls that go on for hundreds of rounds at one
 * instant, as frames do that go round in a loop of cables, let it pass by steps
 * of up to some milliseconds: what is to stop them may wait for a timer.
 *
 * Times are nanoseconds since the loop was made.  Everything here belongs to
 * the loop's own thread, but for loop_wake().
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

enum loop_clock { LOOP_REAL, LOOP_VIRTUAL };

struct event_base;
struct loop;

/* The caller's to free.  NULL: *err says why. */
struct loop *loop_new(enum loop_clock clock, struct err *err);
void loop_free(struct loop *loop); /* NULL is fine; timers must be unset */

enum loop_clock loop_clock(const struct loop *loop);

/* For other parts of libevent, whose callbacks are then the loop's, too.  NULL:
 * a virtual loop. */
struct event_base *loop_event_base(const struct loop *loop);

/* The time of the present wake-up; it stands still while callbacks run. */
uint64_t loop_now_ns(const struct loop *loop);

/* loop_now_ns() as time since 1970: what a capture stamps.  A virtual loop
 * starts at 1970-01-01 00:00:00 exactly. */
uint64_t loop_wall_ns(const struct loop *loop);

/* Reads the clock anew, for the start of a run after a slow set-up, and for
 * callbacks that measure themselves. */
void loop_update_now(struct loop *loop);

/* Runs callbacks until loop_stop() (returns 0), until nothing is left that
 * could call (0), or until libevent fails (-EIO). */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Makes a sleeping loop go round once.  Any thread, and signal handlers.  A
 * virtual loop does not sleep: there it does nothing. */
void loop_wake(struct loop *loop);

/* Has call run in the loop's thread, once for all the loop_wake() since the
 * last time.  One per loop, for its owner; NULL: none. */
void loop_on_wake(struct loop *loop, void (*call)(void *arg), void *arg);

/*
 * A timer is part of its owner's struct.  It is set or not; setting it again
 * moves it.  Timers of the same instant run in the order in which they were
 * set.  Setting costs O(log n) of the timers set: tables of many entries keep
 * lists by deadline and one timer.
 */
struct loop_timer {
	struct loop *loop;
	void (*call)(void *arg);
	void *arg;
	uint64_t at_ns;
	uint64_t order;
	unsigned int slot; /* place in the heap, 0: not set */
};

void loop_timer_init(struct loop_timer *timer, struct loop *loop,
    void (*call)(void *arg), void *arg);
/* An instant that has passed means at once, in the next round. */
void loop_timer_set(struct loop_timer *timer, uint64_t at_ns);
void loop_timer_unset(struct loop_timer *timer); /* fine when not set */
bool loop_timer_is_set(const struct loop_timer *timer);

/*
 * A deferred call runs once, after the callbacks of the present round and
 * before the loop sleeps: where a port publishes what a round gathered.  A
 * call that was asked for twice runs once.  A deferred call may ask for
 * itself again: it then runs in the next round, which does not sleep.
 */
struct loop_defer {
	struct loop *loop;
	void (*call)(void *arg);
	void *arg;
	struct loop_defer *next, **prev; /* prev NULL: not asked for */
};

void loop_defer_init(struct loop_defer *defer, struct loop *loop,
    void (*call)(void *arg), void *arg);
void loop_defer_ask(struct loop_defer *defer);
/* The same for a call that follows itself while it has work: descriptors that
 * become ready meanwhile may wait LOOP_AGAIN_NS for it. */
#define LOOP_AGAIN_NS (20 * NS_PER_US)
void loop_defer_again(struct loop_defer *defer);
void loop_defer_cancel(struct loop_defer *defer);
bool loop_defer_is_asked(const struct loop_defer *defer);

/*
 * Watches a descriptor, which stays the caller's.  LOOP_READ and LOOP_WRITE
 * are level-triggered.  events 0 keeps the watch but sleeps it.  With LOOP_EDGE
 * it tells of a change only: once of what is so when the events are set, even
 * to what they were, and then of each new arrival, however much was left.
 */
#define LOOP_READ  1u
#define LOOP_WRITE 2u
#define LOOP_EDGE  4u

struct loop_watch;

/* NULL: no memory, or a virtual loop; *err says. */
struct loop_watch *loop_watch_new(struct loop *loop, int fd,
    unsigned int events, void (*call)(void *arg, unsigned int events),
    void *arg, struct err *err);
void loop_watch_events(struct loop_watch *watch, unsigned int events);
/* No call comes after this, not even in the present round.  NULL is fine. */
void loop_watch_free(struct loop_watch *watch);

/* Calls for a signal (SIGINT, SIGCHLD) in the loop, not in a handler. */
struct loop_watch *loop_signal_new(struct loop *loop, int signal,
    void (*call)(void *arg, unsigned int events), void *arg, struct err *err);

#endif
