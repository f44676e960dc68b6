/*
 * cable_rig.h - two ports, a cable between them on which something happens, and
 * what came out of it when, in virtual time; for tests.
 *
 * Frames begin with their number.  Time is the loop's: nothing sleeps.
 */
#ifndef TESTS_SWITCH_CABLE_RIG_H
#define TESTS_SWITCH_CABLE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "switch/cable.h"
#include "tests/switch/sink.h"

#define RIG_FRAMES 200000

struct rig {
	struct loop *loop;
	struct sink *a, *b;
	struct cable *cable;
	struct arrival {
		uint64_t at_ns;
		uint32_t number, len;
		uint16_t reason; /* the cable's */
	} * got;
	unsigned int n;
	struct loop_timer until;
	/* rig_stream() */
	struct loop_timer tick;
	uint64_t gap_ns;
	uint32_t sent, left, len;
	uint64_t *sent_ns;
	unsigned int verdicts[REASON_COUNT];
};

static inline void
rig_hook(struct sink *sink, struct burst *burst)
{
	struct rig *rig = sink->arg;

	for (unsigned int i = 0; i < burst->n; i++) {
		const struct frame *f = &burst->frame[i];
		struct arrival *a = &rig->got[rig->n];

		assert_true(rig->n < RIG_FRAMES);
		rig->n++;
		a->at_ns = loop_now_ns(rig->loop);
		a->len = f->len;
		a->reason = f->cause != NULL ? f->cause->reason : 0;
		memcpy(&a->number, f->data, sizeof(a->number));
	}
}

static inline void
rig_stop(void *arg)
{
	struct rig *rig = arg;

	loop_stop(rig->loop);
}

/* Lets time pass. */
static inline void
rig_pass(struct rig *rig, uint64_t ns)
{
	loop_timer_set(&rig->until, loop_now_ns(rig->loop) + ns);
	loop_run(rig->loop);
}

static inline struct verdict
rig_send_frame(struct rig *rig, const struct frame *frame)
{
	struct burst burst;

	burst_clear(&burst);
	burst.frame[burst.n++] = *frame;
	burst.flags = frame->flags;
	port_send(&rig->a->port, &burst);
	rig->verdicts[burst.frame[0].verdict.reason]++;
	return burst.frame[0].verdict;
}

static inline struct verdict
rig_send(struct rig *rig, uint32_t number, uint32_t len)
{
	static uint8_t bytes[FRAME_MAX_BYTES];
	struct frame frame = { .data = bytes, .len = len, .head = len };

	memcpy(bytes, &number, sizeof(number));
	return rig_send_frame(rig, &frame);
}

static inline void
rig_tick(void *arg)
{
	struct rig *rig = arg;

	rig->sent_ns[rig->sent] = loop_now_ns(rig->loop);
	rig_send(rig, rig->sent++, rig->len);
	if (rig->sent < rig->left)
		loop_timer_set(
		    &rig->tick, loop_now_ns(rig->loop) + rig->gap_ns);
}

/* n more frames of len bytes, one every gap_ns, and all that comes of it. */
static inline void
rig_stream(struct rig *rig, uint32_t n, uint32_t len, uint64_t gap_ns)
{
	rig->gap_ns = gap_ns;
	rig->len = len;
	rig->left = rig->sent + n;
	assert_true(rig->left <= RIG_FRAMES);
	loop_timer_set(&rig->tick, loop_now_ns(rig->loop));
	loop_run(rig->loop);
}

static inline int
rig_set(struct rig *rig, struct cable_settings settings)
{
	struct err err = { "" };

	return cable_set(rig->cable, CABLE_A, &settings, NULL, &err);
}

static inline struct cable_stats
rig_stats(struct rig *rig)
{
	return cable_stats(rig->cable, CABLE_A);
}

/* What goes in comes out, is dropped, or is there. */
static inline void
rig_adds_up(struct rig *rig)
{
	struct cable_stats s = rig_stats(rig);
	const struct node *node = cable_node(rig->cable, CABLE_A);
	uint64_t dropped = 0;

	for (int r = REASON_FIRST_DROP; r < REASON_COUNT; r++)
		dropped += node->count[r];
	assert_int_equal(s.dropped, dropped);
	assert_int_equal(s.entered + s.duplicated, s.left + s.dropped + s.held);
	assert_int_equal(s.left, rig->b->port.in_frames);
}

static inline int
rig_set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct err err = { "" };

	rig->loop = loop_new(LOOP_VIRTUAL, &err);
	rig->a = sink_new("alice.eth0");
	rig->b = sink_new("lan.alice.eth0");
	rig->b->hook = rig_hook;
	rig->b->arg = rig;
	rig->got = calloc(RIG_FRAMES, sizeof(rig->got[0]));
	rig->sent_ns = calloc(RIG_FRAMES, sizeof(rig->sent_ns[0]));
	loop_timer_init(&rig->until, rig->loop, rig_stop, rig);
	loop_timer_init(&rig->tick, rig->loop, rig_tick, rig);
	assert_int_equal(cable_join(&rig->a->port, &rig->b->port), 0);
	rig->cable = cable_new(
	    rig->loop, &rig->a->port, &rig->b->port, "alice.eth0", 1, &err);
	assert_non_null(rig->cable);
	*state = rig;
	return 0;
}

static inline int
rig_tear_down(void **state)
{
	struct rig *rig = *state;

	cable_free(rig->cable);
	sink_free(rig->a);
	sink_free(rig->b);
	loop_timer_unset(&rig->until);
	loop_timer_unset(&rig->tick);
	loop_free(rig->loop);
	free(rig->got);
	free(rig->sent_ns);
	free(rig);
	return 0;
}

#endif
