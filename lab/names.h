/*
 * names.h - "vm[001-100]": many names in one.
 *
 * A prefix, two numbers in brackets, a suffix.  With leading zeros all numbers
 * have as many digits; without, none has leading zeros.
 */
#ifndef LAB_NAMES_H
#define LAB_NAMES_H

#include <stdbool.h>

#include "lab/arena.h"

struct names {
	char prefix[64];
	const char *suffix; /* borrowed from the text */
	unsigned long first, last;
	int digits; /* of each number; 0: as many as it needs */
	bool plain; /* a name without brackets: just one */
};

/* Takes text apart.  False: brackets that are no range. */
bool names_read(struct names *names, const char *text);

/* How many they are. */
unsigned long names_count(const struct names *names);

/* The i-th of them, from 0; text for a plain name.  NULL: no memory. */
const char *names_get(struct arena *arena, const struct names *names,
    const char *text, unsigned long i);

/* Is each of a range a name as nodes have it? */
bool names_are_good(const struct names *names);

#endif
