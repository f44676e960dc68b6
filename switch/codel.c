/*
 * Controlled delay: "Controlled Delay Active Queue Management", RFC 8289.
 *
 * A queue is there to take bursts; one that never empties only delays.  So
 * CoDel asks whether the wait was above target for a whole interval: a burst
 * that drains within an interval is left alone.
 *
 *             wait above target for an interval
 *     PASSING ---------------------------------> DROPPING
 *        ^                                      | one at next_ns, which comes
 *        |                                      | nearer: interval / sqrt(count)
 *        '----- one frame waited less ----------'
 *
 * The rate of drops grows with the square root of their number, since that is
 * how TCP's throughput answers to loss, until the queue is short.  When it must
 * begin again soon after it had stopped, it goes on near the rate that worked
 * before (5.6).
 *
 * RFC 8289 gives this as a loop that drops within its dequeue; here each frame
 * is one call, so that the caller may mark instead of drop.  What the loop does
 * after a drop, it does at the next call, which dropped remembers.
 *
 * The square root is of an integer, in 32 fractional bits, so that runs are
 * alike on all machines.
 */
#include "switch/codel.h"

#define SOON 16 /* intervals in which the old rate is good (5.6) */

/* sqrt(n) in 32 fractional bits, bit by bit. */
static uint64_t
root_32(uint32_t n)
{
	unsigned __int128 left = (unsigned __int128)n << 64, root = 0;

	for (unsigned __int128 bit = (unsigned __int128)1 << 94; bit != 0;
	     bit >>= 2) {
		if (left >= root + bit) {
			left -= root + bit;
			root = (root >> 1) + bit;
		} else {
			root >>= 1;
		}
	}
	return (uint64_t)root;
}

static uint64_t
control_law(const struct codel *c, uint64_t t_ns)
{
	return t_ns +
	    (uint64_t)(((unsigned __int128)c->interval_ns << 32) /
		root_32(c->count));
}

/* Has the wait been above target for an interval? */
static bool
is_too_long(struct codel *c, uint64_t now_ns, uint64_t waited_ns,
    uint64_t left_bytes, uint64_t longest_bytes)
{
	/* One frame that the link works on is no queue. */
	if (waited_ns < c->target_ns || left_bytes <= longest_bytes) {
		c->above_ns = 0;
		return false;
	}
	if (c->above_ns == 0) {
		c->above_ns = now_ns + c->interval_ns;
		return false;
	}
	return now_ns >= c->above_ns;
}

static void
begin_dropping(struct codel *c, uint64_t now_ns)
{
	uint32_t since = c->count - c->before;

	c->dropping = true;
	c->dropped = false;
	c->count = 1;
	/* next_ns may lie ahead: dropping can end before it. */
	if (since > 1 && now_ns < c->next_ns + SOON * c->interval_ns)
		c->count = since;
	c->before = c->count;
	c->next_ns = control_law(c, now_ns);
}

bool
codel_drops(struct codel *c, uint64_t now_ns, uint64_t waited_ns,
    uint64_t left_bytes, uint64_t longest_bytes)
{
	bool too_long =
	    is_too_long(c, now_ns, waited_ns, left_bytes, longest_bytes);

	if (!too_long) {
		c->dropping = false;
		return false;
	}
	if (!c->dropping) {
		begin_dropping(c, now_ns);
		return true;
	}
	if (c->dropped)
		c->next_ns = control_law(c, c->next_ns);
	c->dropped = now_ns >= c->next_ns;
	if (c->dropped)
		c->count++;
	return c->dropped;
}
