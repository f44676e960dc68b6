/*
 * Both searches halve what is between the most that went through and the least
 * that did not, as RFC 2544 leaves open, after a first trial at the full rate,
 * which is often all it takes.  Loss that comes and goes by chance has no such
 * border: the search then ends at a rate that happened to pass.
 */
#include "lab/rfc2544.h"

#define ENOUGH     0.99 /* of the rate, to have been sent */
#define LATE_US    2000
#define FEW        100
#define WIRE_BYTES 20 /* preamble and gap (IEEE 802.3 4.4.2) */
#define PPB        UINT64_C(1000000000)

uint64_t
rfc2544_line_fps(uint64_t line_bps, uint32_t frame_bytes)
{
	return line_bps / ((frame_bytes + WIRE_BYTES) * UINT64_C(8));
}

/* Did the sender do something else than it was told, and does that matter? */
static bool
is_doubtful(const struct trial *trial, const struct trial_result *r)
{
	/* A few frames are over before their rate means anything. */
	bool slow = r->sent > FEW && r->fps < ENOUGH * (double)trial->fps;

	return slow || (r->received < r->sent && r->late_us > LATE_US);
}

static int
make(const struct rfc2544 *t, const struct trial *trial, struct trial_result *r,
    struct err *err)
{
	int e = 0;

	for (int i = 0; i < RFC2544_TRIES; i++) {
		e = t->run(t->arg, trial, r, err);
		if (e < 0 || !is_doubtful(trial, r))
			break;
	}
	return e;
}

/* Searches for the highest value that passes; trial is filled in by it. */
struct search {
	const struct rfc2544 *test;
	struct trial trial;
	uint64_t *value; /* in trial */
	uint64_t low, high;
	bool limited;
	struct trial_result best, last;
};

/* 1: passed, 0: failed, or -Exxx. */
static int
try(struct search *s, uint64_t value, struct err *err)
{
	int e;

	*s->value = value;
	e = make(s->test, &s->trial, &s->last, err);
	if (e < 0)
		return e;
	if (s->last.received < s->last.sent ||
	    is_doubtful(&s->trial, &s->last)) {
		s->high = value;
		s->limited = is_doubtful(&s->trial, &s->last);
		return 0;
	}
	s->low = value;
	s->best = s->last;
	return 1;
}

/* Of a value, at least 1. */
static uint64_t
resolution(const struct rfc2544 *t, uint64_t value)
{
	uint64_t step = value / PPB * t->resolution_ppb +
	    value % PPB * t->resolution_ppb / PPB;

	return step > 0 ? step : 1;
}

static int
search(struct search *s, struct err *err)
{
	int e = try(s, s->high, err);

	while (e == 0 || (e == 1 && s->low < s->high)) {
		uint64_t gap = s->high - s->low;

		if (gap <= resolution(s->test, s->high))
			break;
		e = try(s, s->low + gap / 2, err);
	}
	return e < 0 ? e : 0;
}

int
rfc2544_throughput(
    const struct rfc2544 *t, struct throughput *out, struct err *err)
{
	struct search s = {
		.test = t,
		.trial = { .frame_bytes = t->frame_bytes },
		.high = t->max_fps,
	};
	int e;

	s.value = &s.trial.fps;
	e = search(&s, err);
	*out = (struct throughput){
		.fps = s.low, .limited = s.limited, .at = s.best
	};
	return e;
}

int
rfc2544_loss(const struct rfc2544 *t, struct loss_step out[RFC2544_STEPS],
    struct err *err)
{
	int n = 0;

	for (unsigned int percent = 100; percent > 0;
	     percent -= 100 / RFC2544_STEPS) {
		struct trial trial = {
			.frame_bytes = t->frame_bytes,
			.fps = t->max_fps * percent / 100,
		};
		struct trial_result r;
		int e;

		if (trial.fps == 0)
			break;
		e = make(t, &trial, &r, err);
		if (e < 0)
			return e;
		out[n++] = (struct loss_step){ percent, r.sent,
			r.sent - r.received, r.fps };
		if (n > 1 && out[n - 1].lost == 0 && out[n - 2].lost == 0)
			break;
	}
	return n;
}

int
rfc2544_back_to_back(
    const struct rfc2544 *t, uint64_t *frames, bool *limited, struct err *err)
{
	struct search s = {
		.test = t,
		.trial = { .frame_bytes = t->frame_bytes, .fps = t->max_fps },
		.high = t->max_frames,
	};
	int e;

	s.value = &s.trial.count;
	e = search(&s, err);
	*frames = s.low;
	*limited = s.limited;
	return e;
}
