/*
 * patience.h - how long to look at an empty ring before it is slept over.
 *
 * Where guests answer each other at once, a kick and the sleep before it cost
 * more than all the frames between.  How long a look pays follows from what
 * came of the last ones, as KVM waits for a halted processor: a kick that came
 * soon after the last frame doubles the patience, one that came late halves it,
 * to nothing for a guest that is heard of now and then.  So rest costs nothing.
 */
#ifndef SWITCH_PATIENCE_H
#define SWITCH_PATIENCE_H

#include "base/loop.h"

#define PATIENCE_MIN_NS (8 * NS_PER_US)
#define PATIENCE_MAX_NS (100 * NS_PER_US) /* a few wakes of a processor */

/* The patience after a kick that came idle_ns after the last frame. */
static inline uint64_t
patience_after_kick(uint64_t patience_ns, uint64_t idle_ns)
{
	if (idle_ns >= PATIENCE_MAX_NS)
		return patience_ns / 2 < PATIENCE_MIN_NS ? 0 : patience_ns / 2;
	if (patience_ns < PATIENCE_MIN_NS)
		return PATIENCE_MIN_NS;
	return patience_ns < PATIENCE_MAX_NS / 2 ? patience_ns * 2
						 : PATIENCE_MAX_NS;
}

#endif
