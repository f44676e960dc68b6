/*
 * argv.h - the command line of a program to be started, word by word.
 *
 * Words are copied into the arena.  NULL for a word or a value leaves it out, so
 * that a failure of the arena is looked for once, at the end (arena_failed()).
 */
#ifndef LAB_ARGV_H
#define LAB_ARGV_H

#include "lab/arena.h"

struct argv {
	char **word; /* ended by NULL; NULL: no memory */
	unsigned int n, max;
	struct arena *arena;
};

void argv_init(struct argv *argv, struct arena *arena, unsigned int max);
void argv_add(struct argv *argv, const char *word);
/* Two words: --name value.  A value NULL leaves out both. */
void argv_pair(struct argv *argv, const char *name, const char *value);

#endif
