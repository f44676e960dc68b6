/*
 * reason.h - every fate that a frame can have, by number.
 *
 * Verdicts, counters, captures, `show`, `expect:` and the manual speak of the
 * same reasons: the list is reason.def.
 */
#ifndef NET_REASON_H
#define NET_REASON_H

#include <stdbool.h>

enum reason {
	REASON_NONE, /* no verdict yet; for a parser: nothing wrong */
	DROP_NONE = REASON_NONE,
#define PASS(id, name, sentence, clause) REASON_##id,
#define DROP(id, name, sentence, clause)
#include "net/reason.def"
#undef PASS
#undef DROP
#define PASS(id, name, sentence, clause)
#define DROP(id, name, sentence, clause) id,
#include "net/reason.def"
#undef PASS
#undef DROP
	REASON_COUNT,
	REASON_FIRST_DROP = DROP_NO_CABLE,
};

static inline bool
reason_is_drop(enum reason reason)
{
	return reason >= REASON_FIRST_DROP;
}

/* What a cable did to a frame that it let go on. */
static inline bool
reason_is_of_cable(enum reason reason)
{
	return reason >= REASON_CABLE_CORRUPTED &&
	    reason <= REASON_CABLE_MARKED;
}

/* Never NULL; an unknown number has the name "?". */
const char *reason_name(enum reason reason);
const char *reason_sentence(enum reason reason);
const char *reason_clause(enum reason reason); /* "" if none */

/* The reason of that name, or REASON_COUNT. */
enum reason reason_of_name(const char *name);

#endif
