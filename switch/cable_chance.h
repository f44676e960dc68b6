/*
 * cable_chance.h - what chance has in store for the next frame of a cable.
 *
 * Pure: follows from the seed, the settings and the frames before.
 */
#ifndef SWITCH_CABLE_CHANCE_H
#define SWITCH_CABLE_CHANCE_H

#include "switch/cable.h"

/* What each stream of random numbers is for. */
enum chance_stream {
	CHANCE_LOSS,
	CHANCE_SPELL,
	CHANCE_DUPLICATE,
	CHANCE_CORRUPT,
	CHANCE_BIT,
	CHANCE_REORDER,
	CHANCE_JITTER,
	CHANCE_STREAMS,
};

struct chance {
	uint64_t state[CHANCE_STREAMS];
	bool bad;       /* in a bad spell */
	bool drawn;     /* deviate is that of a frame */
	double deviate; /* the last frame's jitter as a standard normal one */
	uint64_t frames;
};

struct fate {
	enum reason drop; /* DROP_NONE: it goes on, and the rest counts */
	bool duplicate, corrupt, late;
	uint64_t line_ns; /* delay and jitter, and what a late one waits */
};

void chance_init(struct chance *chance, uint64_t seed);

/* The fate of the next frame. */
struct fate chance_next(struct chance *chance,
    const struct cable_settings *settings, const struct jitter_table *table);

/* Which of so many bits is flipped. */
uint64_t chance_bit(struct chance *chance, uint64_t bits);

/* Is chance to decide about single frames?  Then none may be a superframe. */
bool chance_concerns_frames(const struct cable_settings *settings);

#endif
