/*
 * The optimal string alignment distance, with three rows of its table.  A
 * candidate is near if a third of the letters, or fewer, differ: farther ones
 * would send the reader astray.
 */
#include "lab/nearest.h"

#include <string.h>

#define NAME_MAX_LETTERS 63
#define FAR_AWAY         1000

static unsigned int
least(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int m = a < b ? a : b;

	return m < c ? m : c;
}

unsigned int
edit_distance(const char *a, const char *b)
{
	unsigned int row[3][NAME_MAX_LETTERS + 1];
	unsigned int *before = row[0], *last = row[1], *now = row[2];
	size_t na = strlen(a), nb = strlen(b);

	if (na > NAME_MAX_LETTERS || nb > NAME_MAX_LETTERS)
		return FAR_AWAY;
	for (size_t j = 0; j <= nb; j++)
		last[j] = (unsigned int)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned int *spare = before;

		now[0] = (unsigned int)i;
		for (size_t j = 1; j <= nb; j++) {
			now[j] = least(last[j] + 1, now[j - 1] + 1,
			    last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[nb];
}

void
nearest_init(struct nearest *nearest, const char *name)
{
	size_t len = strlen(name);

	*nearest = (struct nearest){ .name = name };
	nearest->distance = (unsigned int)(len < 6 ? 2 : len / 3 + 1);
}

void
nearest_try(struct nearest *nearest, const char *candidate)
{
	size_t a = strlen(nearest->name), b = strlen(candidate);
	unsigned int d;

	if ((a > b ? a - b : b - a) >= nearest->distance)
		return;
	d = edit_distance(nearest->name, candidate);
	/* A change of every letter is no likeness. */
	if (d >= a && d >= b)
		return;
	if (d < nearest->distance) {
		nearest->distance = d;
		nearest->best = candidate;
	}
}
