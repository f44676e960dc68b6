/*
 * patience.h - how long to look at an empty ring before it is slept over.
 *
 * Where guests answer each other at once, a kick and the sleep before it cost
 * more than all the frames between.  How long a look pays follows from what
 * came of the last ones, as KVM waits for a halted processor: a kick that came
 * soon after the last frame doubles the patience, one that came late halves it,
 * to nothing for a guest that is heard of now and then.  So rest costs nothing.
 *
 * Who is to answer may wait for the very processor that looks.  It shows: the
 * kick comes as soon as the longest patience has ended.  Then there is none for
 * a while but for streams, whose frames come too fast to matter.
 */
#ifndef SWITCH_PATIENCE_H
#define SWITCH_PATIENCE_H

#include "base/loop.h"

#define PATIENCE_MIN_NS    (8 * NS_PER_US)
#define PATIENCE_STREAM_NS (20 * NS_PER_US)
#define PATIENCE_MAX_NS    (100 * NS_PER_US) /* a few wakes of a processor */
#define PATIENCE_WAKE_NS   (30 * NS_PER_US)  /* one such wake */
#define PATIENCE_BAN_NS    (100 * NS_PER_MS)

struct patience {
	uint64_t ns;        /* it is looked at before the sleep */
	uint64_t last_ns;   /* when frames were last there */
	uint64_t banned_ns; /* until when there is none but for streams */
};

/* A kick, or whatever it was that ended the sleep, told of frames. */
static inline void
patience_kicked(struct patience *patience, uint64_t now_ns)
{
	uint64_t idle_ns = now_ns - patience->last_ns, had_ns = patience->ns;

	patience->last_ns = now_ns;
	if (had_ns == PATIENCE_MAX_NS && idle_ns >= had_ns &&
	    idle_ns < had_ns + PATIENCE_WAKE_NS)
		patience->banned_ns = now_ns + PATIENCE_BAN_NS;
	if (idle_ns >= PATIENCE_MAX_NS)
		patience->ns = had_ns / 2 < PATIENCE_MIN_NS ? 0 : had_ns / 2;
	else if (had_ns < PATIENCE_MIN_NS)
		patience->ns = PATIENCE_MIN_NS;
	else
		patience->ns =
		    had_ns < PATIENCE_MAX_NS / 2 ? had_ns * 2 : PATIENCE_MAX_NS;
	if (now_ns < patience->banned_ns)
		patience->ns =
		    idle_ns < PATIENCE_STREAM_NS ? PATIENCE_STREAM_NS : 0;
}

/* A look found frames: what has to be waited for so long is worth waiting for
 * twice as long. */
static inline void
patience_rewarded(struct patience *patience, uint64_t now_ns)
{
	uint64_t ns = 2 * (now_ns - patience->last_ns);

	patience->last_ns = now_ns;
	if (ns > PATIENCE_MAX_NS)
		ns = PATIENCE_MAX_NS;
	if (ns > patience->ns)
		patience->ns = ns;
}

/* Is another look to be taken? */
static inline bool
patience_lasts(const struct patience *patience, uint64_t now_ns)
{
	return now_ns - patience->last_ns < patience->ns;
}

#endif
