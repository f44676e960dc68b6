/*
 * problem.h - everything that is wrong with one file, to be told in one go.
 *
 *     nat.yaml:14:22: port "alice.eth0": mtu 90000 is too large; use ...
 *
 * Readers and checks add what they find in any order; problems_sort() puts it
 * in the order of the file.
 */
#ifndef LAB_PROBLEM_H
#define LAB_PROBLEM_H

#include <stdbool.h>
#include <stdio.h>

#include "lab/arena.h"

#define PROBLEMS_MAX 200 /* more are only counted */

/* Where in the file, counted from 1; line 0 is the file as a whole. */
struct place {
	unsigned int line, column;
};

struct problem {
	struct place at;
	bool warning; /* a lab with nothing else runs */
	const char *text;
	unsigned int order; /* as found: breaks ties */
};

struct problems {
	struct arena *arena; /* borrowed */
	const char *file;    /* as the user named it, borrowed */
	struct problem *list;
	unsigned int n;                /* in list */
	unsigned int errors, warnings; /* of all found */
};

void problems_init(
    struct problems *problems, struct arena *arena, const char *file);

/* "what (value); what to do" */
void problem_add(struct problems *problems, struct place at, const char *format,
    ...) __attribute__((format(printf, 3, 4)));
void problem_warn(struct problems *problems, struct place at,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

void problems_sort(struct problems *problems);
void problems_print(const struct problems *problems, FILE *out);

#endif
