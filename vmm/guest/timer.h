/*
 * timer.h - calls at a later time, for a handful of timers.
 *
 * A timer is part of its owner's struct and is either set or not.  Times are
 * microseconds since the guest started.  Setting costs a walk over the timers
 * that fire earlier: made for tens of them, not thousands.
 */
#ifndef GUEST_TIMER_H
#define GUEST_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define US_PER_MS   UINT64_C(1000)
#define US_PER_S    UINT64_C(1000000)
#define TIMER_NEVER UINT64_MAX

struct timer {
	uint64_t at_us;
	void (*call)(void *arg);
	void *arg;
	struct timer *next;
	bool set;
};

struct timers {
	struct timer *first; /* by time */
};

void timer_init(struct timer *timer, void (*call)(void *arg), void *arg);
/* Setting a timer that is set moves it.  TIMER_NEVER unsets it. */
void timer_set(struct timers *all, struct timer *timer, uint64_t at_us);
void timer_unset(struct timers *all, struct timer *timer);

/* When the next one is due, TIMER_NEVER if none is set. */
uint64_t timers_next(const struct timers *all);
/* Calls what is due.  A timer is unset when it is called, and may set itself
 * again: for now or the past, that runs in the next timers_run(). */
void timers_run(struct timers *all, uint64_t now_us);

#endif
