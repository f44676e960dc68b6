/*
 * keyset.h - values that may be said or not, by a table of keys.
 *
 * The same keys stand at a port of the lab file, in an event, and as KEY=VALUE
 * behind lanyard set.  They are rows as those of the lab file (schema.h), whose
 * values lie in a struct of their own; zero means that nothing was said.  "none"
 * takes back what a key said.
 */
#ifndef LAB_KEYSET_H
#define LAB_KEYSET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct schema_key;

struct keyset {
	const char *name;              /* "keys of cables" */
	const struct schema_key *rows; /* a path of NULL at the end */
	/* Of the uint64_t in the struct whose bit i says that row i was said. */
	size_t given;
};

/* The row of that name, or NULL. */
const struct schema_key *keyset_row(const struct keyset *set, const char *name);

/* For who has put a value where its row says: it is given.  Or it is given that
 * the key says nothing ("none"). */
void keyset_give(
    const struct keyset *set, void *values, const struct schema_key *row);
void keyset_take_back(
    const struct keyset *set, void *values, const struct schema_key *row);
/* Its value is zero, whether given or not. */
void keyset_clear(void *values, const struct schema_key *row);
bool keyset_is_given(
    const struct keyset *set, const void *values, const char *name);

/* What is given in from becomes what is given in to. */
void keyset_merge(const struct keyset *set, void *to, const void *from);

/* Reads KEY and its value as text, which values go on to use.  0, or -EINVAL
 * with *err. */
int keyset_read(const struct keyset *set, void *values, const char *key,
    const char *text, struct err *err);

/* "delay 5ms, loss 1%"; "" if there is nothing to say.  Returns out. */
char *keyset_text(
    char *out, size_t len, const struct keyset *set, const void *values);

#endif
