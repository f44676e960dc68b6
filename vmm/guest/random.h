/*
 * random.h - numbers that a stranger on the network cannot guess.
 *
 * SipHash-2-4 (Aumasson and Bernstein, 2012) over a counter, under a key from
 * the CPU's generator or, where it has none, from its clock.  For sequence
 * numbers (RFC 6528), ports (RFC 6056) and transaction ids; not for secrets of
 * lasting worth.
 */
#ifndef GUEST_RANDOM_H
#define GUEST_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
	uint64_t key[2];
	uint64_t counter;
};

void random_seed(struct random *random, uint64_t a, uint64_t b);
uint32_t random_u32(struct random *random);
/* From 0 to below - 1; below is not 0. */
uint32_t random_below(struct random *random, uint32_t below);
/* The keyed hash of two words: the same for the same key and words. */
uint64_t random_hash(const struct random *random, uint64_t a, uint64_t b);

#endif
