/*
 * nearest.h - the name somebody probably meant.
 */
#ifndef LAB_NEAREST_H
#define LAB_NEAREST_H

#include <stddef.h>

/* How many letters must be added, taken away, changed or swapped with their
 * neighbour to make b of a.  Names beyond 63 letters count as far apart. */
unsigned int edit_distance(const char *a, const char *b);

/* Collects candidates one by one; best stays NULL if none is near enough. */
struct nearest {
	const char *name; /* what was written */
	const char *best; /* borrowed from the candidates */
	unsigned int distance;
};

void nearest_init(struct nearest *nearest, const char *name);
void nearest_try(struct nearest *nearest, const char *candidate);

#endif
