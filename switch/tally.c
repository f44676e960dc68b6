/*
 * The window is a ring of bits, of the last TALLY_WINDOW numbers below next.  A
 * number that leaves it without a bit is lost.  The list is short, so that once
 * it is full a jump of any length costs no more than clearing the ring.
 *
 * The histogram has 64 buckets to each power of two, as HdrHistogram with two
 * digits; a percentile is the end of its bucket, within the extremes that are
 * known exactly.
 */
#include "switch/tally.h"

#include <string.h>

#define SUB_BITS 6
#define SUB      (1u << SUB_BITS)
#define TIME_MAX ((UINT64_C(1) << 48) - 1)

void
tally_clear(struct tally *t)
{
	memset(t, 0, sizeof(*t));
}

/* ---- numbers ---- */

static bool
has_seen(const struct tally *t, uint32_t number)
{
	unsigned int slot = number % TALLY_WINDOW;

	return t->seen[slot / 64] >> slot % 64 & 1;
}

static void
set_seen(struct tally *t, uint32_t number, bool seen)
{
	unsigned int slot = number % TALLY_WINDOW;
	uint64_t bit = UINT64_C(1) << slot % 64;

	if (seen)
		t->seen[slot / 64] |= bit;
	else
		t->seen[slot / 64] &= ~bit;
}

static void
note_lost(struct tally *t, uint32_t number)
{
	if (t->nlost < TALLY_LOST)
		t->lost[t->nlost++] = number;
}

/* The first number that the window holds. */
static uint32_t
window_start(const struct tally *t)
{
	return t->next > TALLY_WINDOW ? t->next - TALLY_WINDOW : 0;
}

/* Makes to the first number above the window. */
static void
move_window(struct tally *t, uint32_t to)
{
	uint32_t start = to > TALLY_WINDOW ? to - TALLY_WINDOW : 0;

	for (uint32_t n = window_start(t);
	     n < start && n < t->next && t->nlost < TALLY_LOST; n++)
		if (!has_seen(t, n))
			note_lost(t, n);
	/* Those that none of the frames reached while they were in it. */
	for (uint32_t n = t->next; n < start && t->nlost < TALLY_LOST; n++)
		note_lost(t, n);
	if (to - t->next >= TALLY_WINDOW)
		memset(t->seen, 0, sizeof(t->seen));
	else
		for (uint32_t n = t->next; n < to; n++)
			set_seen(t, n, false);
	t->next = to;
}

void
tally_finish(struct tally *t, uint64_t sent)
{
	for (uint32_t n = window_start(t); n < t->next && t->nlost < TALLY_LOST;
	     n++)
		if (!has_seen(t, n))
			note_lost(t, n);
	for (uint64_t n = t->next; n < sent && t->nlost < TALLY_LOST; n++)
		note_lost(t, (uint32_t)n);
}

/* ---- times ---- */

static unsigned int
bucket_of(uint64_t ns)
{
	unsigned int top, shift;

	if (ns < SUB)
		return (unsigned int)ns;
	if (ns > TIME_MAX)
		ns = TIME_MAX;
	top = 63 - (unsigned int)__builtin_clzll(ns);
	shift = top - SUB_BITS;
	return (shift + 1) * SUB + (unsigned int)(ns >> shift) - SUB;
}

/* The largest time of a bucket. */
static uint64_t
bucket_end(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < SUB)
		return bucket;
	shift = bucket / SUB - 1;
	return ((uint64_t)(bucket % SUB + SUB + 1) << shift) - 1;
}

static void
add_time(struct tally *t, uint64_t ns)
{
	uint64_t change =
	    ns > t->transit_ns ? ns - t->transit_ns : t->transit_ns - ns;

	if (t->received > 0)
		t->jitter16_ns += change - (t->jitter16_ns + 8) / 16;
	if (t->received == 0 || ns < t->min_ns)
		t->min_ns = ns;
	if (ns > t->max_ns)
		t->max_ns = ns;
	t->sum_ns += ns;
	t->transit_ns = ns;
	t->bucket[bucket_of(ns)]++;
}

void
tally_add(struct tally *t, uint32_t number, uint64_t sent, uint64_t latency_ns,
    uint64_t now_ns, uint32_t bytes)
{
	if (number >= sent) {
		t->foreign++;
		return;
	}
	if (number >= t->next) {
		move_window(t, number + 1);
	} else if (number < window_start(t)) {
		t->late++;
		return;
	} else if (has_seen(t, number)) {
		t->duplicate++;
		return;
	} else {
		t->reordered++;
	}
	set_seen(t, number, true);
	add_time(t, latency_ns);
	if (t->received++ == 0)
		t->first_ns = now_ns;
	t->last_ns = now_ns;
	t->bytes += bytes;
}

uint64_t
tally_percentile_ns(const struct tally *t, unsigned int permille)
{
	uint64_t want = t->received / 1000 * permille +
	    (t->received % 1000 * permille + 999) / 1000;
	uint64_t n = 0, ns;

	if (t->received == 0)
		return 0;
	for (unsigned int i = 0; i < TALLY_BUCKETS; i++) {
		n += t->bucket[i];
		if (n < want || n == 0)
			continue;
		ns = bucket_end(i);
		ns = ns < t->max_ns ? ns : t->max_ns;
		return ns > t->min_ns ? ns : t->min_ns;
	}
	return t->max_ns;
}

uint64_t
tally_mean_ns(const struct tally *t)
{
	return t->received > 0 ? t->sum_ns / t->received : 0;
}
