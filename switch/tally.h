/*
 * tally.h - what became of the frames of a stream.
 *
 * A frame counts as received once.  Again, it is a duplicate; below the highest
 * number that came, it is reordered (RFC 4737, 3.3).  Numbers are remembered for
 * TALLY_WINDOW frames; what comes later than that is late, and lost.  What was
 * changed on its way is corrupt, and lost too.
 *
 * Latency is what the mark and the clock say; jitter is the mean of RFC 3550,
 * 6.4.1; percentiles come from a histogram, and are at most 1/64 too high.
 */
#ifndef SWITCH_TALLY_H
#define SWITCH_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#define TALLY_WINDOW  65536u
#define TALLY_LOST    16         /* numbers of lost frames that are kept */
#define TALLY_BUCKETS (43 * 64u) /* times below 2^48 ns */

struct tally {
	uint64_t received, bytes; /* frames; bytes of them without FCS */
	uint64_t duplicate, reordered, late, corrupt;
	uint64_t foreign;           /* of numbers that were never sent */
	uint64_t first_ns, last_ns; /* arrivals, by the loop's clock */
	uint64_t min_ns, max_ns, sum_ns;
	uint64_t jitter16_ns;      /* times 16 */
	uint64_t transit_ns;       /* of the last frame */
	uint32_t next;             /* above the highest that came */
	unsigned int nlost;        /* of the list */
	uint32_t lost[TALLY_LOST]; /* the first ones, from 0 */
	uint64_t seen[TALLY_WINDOW / 64];
	uint64_t bucket[TALLY_BUCKETS];
};

void tally_clear(struct tally *tally);

/* Frame number has come, of sent that are on their way until now. */
void tally_add(struct tally *tally, uint32_t number, uint64_t sent,
    uint64_t latency_ns, uint64_t now_ns, uint32_t bytes);

/* No more will come: completes the list of lost ones. */
void tally_finish(struct tally *tally, uint64_t sent);

/* Latency that so many thousandths of the frames do not exceed; 0 without
 * frames. */
uint64_t tally_percentile_ns(const struct tally *tally, unsigned int permille);
uint64_t tally_mean_ns(const struct tally *tally);

#endif
