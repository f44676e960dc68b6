/*
 * The loop: a heap of timers and a list of deferred calls, over libevent for
 * descriptors and real time, or over nothing at all for virtual time.
 *
 * libevent has its own timers, but they follow its own clock; with ours both
 * drivers share one order of events, which is what makes runs alike.  So
 * libevent knows descriptors alone, one of which is the alarm, a timerfd, and is
 * asked for one round at a time: descriptors that are ready, then timers that
 * are due, then deferred calls.  A deferred call that wants another round makes
 * that one not sleep.  Virtual rounds are the same without the descriptors.
 *
 * The alarm is set when the loop goes to sleep, and only if it would ring too
 * late: timers that move on with each packet cost no system call then, but a
 * wake-up for nothing at the instant where they first stood.
 *
 * To look at the descriptors takes two or three system calls, as long as the
 * switch needs for twenty frames.  So while calls follow each other that were
 * asked for by loop_defer_again(), they are looked at every LOOP_AGAIN_NS only.
 *
 * A timer set for the past is set for now: otherwise one that keeps setting
 * itself to an early instant would stay before all others, for ever.
 *
 * The heap's slot 0 is not used, so that a slot of 0 can mean "not set".
 */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

/* Of virtual time, where one instant would never end. */
#define INSTANT_ROUNDS 256
#define STEP_MAX_NS    (8 * NS_PER_MS)

struct loop {
	enum loop_clock clock;
	struct event_base *base; /* NULL: virtual */
	struct event *alarm;     /* reads alarm_fd */
	struct event *wake;      /* reads wake_fd */
	int alarm_fd, wake_fd;
	void (*on_wake)(void *arg);
	void *on_wake_arg;
	bool stop;
	bool fresh; /* now_ns was read in this round */
	uint64_t now_ns;
	unsigned int rounds;    /* since virtual time jumped */
	uint64_t step_ns;       /* how far it goes if there are too many */
	uint64_t start_mono_ns; /* CLOCK_MONOTONIC at time 0 */
	uint64_t start_wall_ns; /* time 0 since 1970 */
	uint64_t alarm_ns;      /* when the alarm rings, 0: never */
	uint64_t looked_ns;     /* when descriptors were looked at */
	bool must_look;         /* they are to be in this round */
	uint64_t order;
	unsigned int nwatches; /* without the loop's own */
	struct loop_timer **heap;
	unsigned int nheap, heap_max;
	struct loop_defer *deferred, **deferred_end;
	struct loop_defer mark; /* never called */
};

struct loop_watch {
	struct loop *loop;
	struct event *event;
	int fd;
	void (*call)(void *arg, unsigned int events);
	void *arg;
};

static uint64_t
clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* ---- the heap ---- */

static bool
earlier(const struct loop_timer *a, const struct loop_timer *b)
{
	if (a->at_ns != b->at_ns)
		return a->at_ns < b->at_ns;
	return a->order < b->order;
}

static void
heap_put(struct loop *loop, unsigned int slot, struct loop_timer *timer)
{
	loop->heap[slot] = timer;
	timer->slot = slot;
}

/* Finds timer its place, from slot on upwards and then downwards. */
static void
heap_settle(struct loop *loop, unsigned int slot, struct loop_timer *timer)
{
	for (; slot > 1 && earlier(timer, loop->heap[slot / 2]); slot /= 2)
		heap_put(loop, slot, loop->heap[slot / 2]);
	for (;;) {
		unsigned int child = slot * 2;

		if (child > loop->nheap)
			break;
		if (child < loop->nheap &&
		    earlier(loop->heap[child + 1], loop->heap[child]))
			child++;
		if (!earlier(loop->heap[child], timer))
			break;
		heap_put(loop, slot, loop->heap[child]);
		slot = child;
	}
	heap_put(loop, slot, timer);
}

void
loop_timer_init(struct loop_timer *timer, struct loop *loop,
    void (*call)(void *arg), void *arg)
{
	*timer = (struct loop_timer){ .loop = loop, .call = call, .arg = arg };
}

void
loop_timer_set(struct loop_timer *timer, uint64_t at_ns)
{
	struct loop *loop = timer->loop;
	unsigned int slot = timer->slot;

	timer->at_ns = at_ns > loop->now_ns ? at_ns : loop->now_ns;
	timer->order = loop->order++;
	if (slot == 0) {
		if (loop->nheap + 1 >= loop->heap_max) {
			unsigned int max =
			    loop->heap_max != 0 ? loop->heap_max * 2 : 64;
			struct loop_timer **heap =
			    reallocarray(loop->heap, max, sizeof(heap[0]));

			/* A timer that cannot be set would hang its owner
			 * for ever: with a few bytes missing there is no way
			 * to go on. */
			if (heap == NULL)
				abort();
			loop->heap = heap;
			loop->heap_max = max;
		}
		slot = ++loop->nheap;
	}
	heap_settle(loop, slot, timer);
}

void
loop_timer_unset(struct loop_timer *timer)
{
	struct loop *loop = timer->loop;
	unsigned int slot = timer->slot;
	struct loop_timer *last;

	if (slot == 0)
		return;
	timer->slot = 0;
	last = loop->heap[loop->nheap--];
	if (last != timer)
		heap_settle(loop, slot, last);
}

bool
loop_timer_is_set(const struct loop_timer *timer)
{
	return timer->slot != 0;
}

/* Runs what is due now.  Timers set for now by these calls wait a round. */
static void
run_timers(struct loop *loop)
{
	uint64_t last = loop->order;

	while (loop->nheap > 0 && !loop->stop) {
		struct loop_timer *timer = loop->heap[1];

		if (timer->at_ns > loop->now_ns || timer->order >= last)
			break;
		loop_timer_unset(timer);
		timer->call(timer->arg);
	}
}

/* ---- deferred calls ---- */

void
loop_defer_init(struct loop_defer *defer, struct loop *loop,
    void (*call)(void *arg), void *arg)
{
	*defer = (struct loop_defer){ .loop = loop, .call = call, .arg = arg };
}

void
loop_defer_again(struct loop_defer *defer)
{
	struct loop *loop = defer->loop;

	if (defer->prev != NULL)
		return;
	defer->next = NULL;
	defer->prev = loop->deferred_end;
	*loop->deferred_end = defer;
	loop->deferred_end = &defer->next;
}

void
loop_defer_ask(struct loop_defer *defer)
{
	defer->loop->must_look = true;
	loop_defer_again(defer);
}

void
loop_defer_cancel(struct loop_defer *defer)
{
	if (defer->prev == NULL)
		return;
	*defer->prev = defer->next;
	if (defer->next != NULL)
		defer->next->prev = defer->prev;
	else
		defer->loop->deferred_end = defer->prev;
	defer->prev = NULL;
}

bool
loop_defer_is_asked(const struct loop_defer *defer)
{
	return defer->prev != NULL;
}

/* Runs what was asked for up to now; what these calls ask for waits a round.
 * The mark between both is a place in the list that no callback can free. */
static void
run_deferred(struct loop *loop)
{
	struct loop_defer *mark = &loop->mark;

	if (loop->deferred == NULL)
		return;
	loop_defer_again(mark);
	while (loop->deferred != mark) {
		struct loop_defer *defer = loop->deferred;

		loop_defer_cancel(defer);
		defer->call(defer->arg);
	}
	loop_defer_cancel(mark);
}

/* ---- descriptors ---- */

static void
watch_ready(evutil_socket_t fd, short what, void *arg)
{
	struct loop_watch *watch = arg;
	unsigned int events = 0;

	(void)fd;
	if (!watch->loop->fresh)
		loop_update_now(watch->loop);
	if (what & EV_READ)
		events |= LOOP_READ;
	if (what & EV_WRITE)
		events |= LOOP_WRITE;
	watch->call(watch->arg, events);
}

/* What libevent shall wait for; nothing at all for a sleeping watch. */
static short
what_of(unsigned int events)
{
	short what = 0;

	if (events & LOOP_READ)
		what |= EV_READ | EV_PERSIST;
	if (events & LOOP_WRITE)
		what |= EV_WRITE | EV_PERSIST;
	if (what != 0 && events & LOOP_EDGE)
		what |= EV_ET;
	return what;
}

static struct loop_watch *
watch_new(struct loop *loop, int fd, short what,
    void (*call)(void *arg, unsigned int events), void *arg, struct err *err)
{
	struct loop_watch *watch;

	if (loop->base == NULL) {
		err_set(err, -EINVAL,
		    "a lab in virtual time cannot wait for the outside; "
		    "run it without --virtual-time");
		return NULL;
	}
	watch = calloc(1, sizeof(*watch));
	if (watch == NULL)
		goto fail;
	watch->loop = loop;
	watch->fd = fd;
	watch->call = call;
	watch->arg = arg;
	errno = ENOMEM; /* libevent sets it when the system refuses */
	watch->event = event_new(loop->base, fd, what, watch_ready, watch);
	if (watch->event == NULL)
		goto fail;
	if (what != 0 && event_add(watch->event, NULL) < 0)
		goto fail;
	loop->nwatches++;
	return watch;
fail:
	err_sys(err, -errno, NULL, "cannot watch %s %d",
	    what & EV_SIGNAL ? "signal" : "descriptor", fd);
	if (watch != NULL && watch->event != NULL)
		event_free(watch->event);
	free(watch);
	return NULL;
}

struct loop_watch *
loop_watch_new(struct loop *loop, int fd, unsigned int events,
    void (*call)(void *arg, unsigned int events), void *arg, struct err *err)
{
	return watch_new(loop, fd, what_of(events), call, arg, err);
}

struct loop_watch *
loop_signal_new(struct loop *loop, int signal,
    void (*call)(void *arg, unsigned int events), void *arg, struct err *err)
{
	return watch_new(loop, signal, EV_SIGNAL | EV_PERSIST, call, arg, err);
}

void
loop_watch_events(struct loop_watch *watch, unsigned int events)
{
	short what = what_of(events);

	event_del(watch->event);
	event_assign(watch->event, watch->loop->base, watch->fd, what,
	    watch_ready, watch);
	if (what != 0)
		event_add(watch->event, NULL);
}

void
loop_watch_free(struct loop_watch *watch)
{
	if (watch == NULL)
		return;
	watch->loop->nwatches--;
	event_free(watch->event);
	free(watch);
}

static void
woken(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0)
		return; /* somebody woke us for nothing */
	if (!loop->fresh)
		loop_update_now(loop);
	if (loop->on_wake != NULL)
		loop->on_wake(loop->on_wake_arg);
}

void
loop_wake(struct loop *loop)
{
	const uint64_t one = 1;

	if (loop->wake_fd >= 0 && write(loop->wake_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it is awake already */
}

void
loop_on_wake(struct loop *loop, void (*call)(void *arg), void *arg)
{
	loop->on_wake = call;
	loop->on_wake_arg = arg;
}

/* ---- the loop ---- */

static void
alarm_rang(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) > 0)
		loop->alarm_ns = 0;
}

/* What libevent grumbles about is told by struct err to whom it concerns. */
static void
log_libevent(int severity, const char *text)
{
	(void)severity;
	log_debug("libevent: %s", text);
}

/* Fills in what a real loop needs of libevent. */
static int
open_real(struct loop *loop, struct err *err)
{
	struct event_config *config = event_config_new();

	event_set_log_callback(log_libevent);
	if (config == NULL)
		return err_sys(err, -ENOMEM, NULL, "event loop");
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	loop->base = event_base_new_with_config(config);
	event_config_free(config);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->alarm_fd =
	    timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->base == NULL || loop->wake_fd < 0 || loop->alarm_fd < 0)
		return err_sys(err, -ENOMEM, NULL, "event loop");
	loop->alarm = event_new(
	    loop->base, loop->alarm_fd, EV_READ | EV_PERSIST, alarm_rang, loop);
	loop->wake = event_new(
	    loop->base, loop->wake_fd, EV_READ | EV_PERSIST, woken, loop);
	if (loop->alarm == NULL || loop->wake == NULL ||
	    event_add(loop->alarm, NULL) < 0 || event_add(loop->wake, NULL) < 0)
		return err_sys(err, -ENOMEM, NULL, "event loop");
	return 0;
}

struct loop *
loop_new(enum loop_clock clock, struct err *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (loop == NULL) {
		err_sys(err, -ENOMEM, NULL, "event loop");
		return NULL;
	}
	loop->clock = clock;
	loop->alarm_fd = -1;
	loop->wake_fd = -1;
	loop->deferred_end = &loop->deferred;
	loop_defer_init(&loop->mark, loop, NULL, NULL);
	loop->order = 1;
	loop->step_ns = 1;
	switch (clock) {
	case LOOP_VIRTUAL: break;
	case LOOP_REAL:
		loop->start_mono_ns = clock_ns(CLOCK_MONOTONIC);
		loop->start_wall_ns = clock_ns(CLOCK_REALTIME);
		if (open_real(loop, err) < 0) {
			loop_free(loop);
			return NULL;
		}
		break;
	}
	return loop;
}

void
loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	assert(loop->nheap == 0);
	if (loop->alarm != NULL)
		event_free(loop->alarm);
	if (loop->wake != NULL)
		event_free(loop->wake);
	if (loop->base != NULL)
		event_base_free(loop->base);
	if (loop->alarm_fd >= 0)
		close(loop->alarm_fd);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	free(loop->heap);
	free(loop);
}

enum loop_clock
loop_clock(const struct loop *loop)
{
	return loop->clock;
}

struct event_base *
loop_event_base(const struct loop *loop)
{
	return loop->base;
}

uint64_t
loop_now_ns(const struct loop *loop)
{
	return loop->now_ns;
}

uint64_t
loop_wall_ns(const struct loop *loop)
{
	return loop->start_wall_ns + loop->now_ns;
}

void
loop_update_now(struct loop *loop)
{
	if (loop->clock == LOOP_REAL)
		loop->now_ns = clock_ns(CLOCK_MONOTONIC) - loop->start_mono_ns;
	loop->fresh = true;
}

void
loop_stop(struct loop *loop)
{
	loop->stop = true;
	if (loop->base != NULL)
		event_base_loopbreak(loop->base);
}

/* Has the alarm ring for the earliest timer, or before it. */
static void
set_alarm(struct loop *loop)
{
	struct itimerspec at = { 0 };
	uint64_t at_ns, mono_ns;

	if (loop->nheap == 0)
		return;
	at_ns = loop->heap[1]->at_ns;
	if (loop->alarm_ns != 0 && loop->alarm_ns <= at_ns)
		return;
	mono_ns = loop->start_mono_ns + at_ns;
	at.it_value.tv_sec = (time_t)(mono_ns / NS_PER_S);
	at.it_value.tv_nsec = (long)(mono_ns % NS_PER_S);
	timerfd_settime(loop->alarm_fd, TFD_TIMER_ABSTIME, &at, NULL);
	loop->alarm_ns = at_ns;
}

/* Serves the descriptors that are ready; waits for one, or the earliest timer,
 * unless deferred calls are to run.  0 or -EIO. */
static int
look(struct loop *loop)
{
	int flags = EVLOOP_ONCE;

	if (loop->deferred != NULL)
		flags |= EVLOOP_NONBLOCK;
	else
		set_alarm(loop);
	loop->fresh = false;
	if (event_base_loop(loop->base, flags) < 0)
		return -EIO;
	if (!loop->fresh)
		loop_update_now(loop);
	loop->looked_ns = loop->now_ns;
	loop->must_look = false;
	return 0;
}

static int
run_real(struct loop *loop)
{
	while (!loop->stop) {
		if (loop->deferred == NULL && loop->nheap == 0 &&
		    loop->nwatches == 0)
			return 0;
		if (loop->deferred != NULL)
			loop_update_now(loop);
		if ((loop->deferred == NULL || loop->must_look ||
			loop->now_ns - loop->looked_ns >= LOOP_AGAIN_NS) &&
		    look(loop) < 0)
			return -EIO;
		run_timers(loop);
		run_deferred(loop);
	}
	return 0;
}

/* The next instant: that of the first timer, or the present one as long as calls
 * are deferred.  Where those never end, as in a storm of frames, it ends after
 * INSTANT_ROUNDS, and time passes by steps that grow. */
static void
advance_virtual(struct loop *loop)
{
	uint64_t was_ns = loop->now_ns;
	uint64_t next_ns = loop->nheap > 0 ? loop->heap[1]->at_ns : UINT64_MAX;

	if (loop->deferred == NULL && next_ns > was_ns) {
		loop->now_ns = next_ns;
		loop->rounds = 0;
		loop->step_ns = 1;
	} else if (++loop->rounds > INSTANT_ROUNDS) {
		uint64_t most_ns = next_ns > was_ns ? next_ns - was_ns : 0;

		loop->step_ns *= loop->step_ns < STEP_MAX_NS ? 2 : 1;
		loop->now_ns += loop->step_ns < most_ns || most_ns == 0
		    ? loop->step_ns
		    : most_ns;
	}
}

static int
run_virtual(struct loop *loop)
{
	while (!loop->stop) {
		if (loop->deferred == NULL && loop->nheap == 0)
			return 0;
		advance_virtual(loop);
		run_timers(loop);
		run_deferred(loop);
	}
	return 0;
}

int
loop_run(struct loop *loop)
{
	loop->stop = false;
	switch (loop->clock) {
	case LOOP_REAL: return run_real(loop);
	case LOOP_VIRTUAL: return run_virtual(loop);
	}
	return -EINVAL;
}
