/*
 * wire.h - what a lab file, an event or `lanyard set` says about a cable.
 *
 * The keys (keyset.h) stand at a port of the lab file and below its in: and
 * out:.
 */
#ifndef LAB_WIRE_H
#define LAB_WIRE_H

#include "base/err.h"
#include "lab/keyset.h"
#include "switch/cable.h"

/* Frames both ways; out of the node by that port; into it. */
enum lab_direction { WIRE_BOTH, WIRE_OUT, WIRE_IN, WIRE_DIRECTIONS };

/* What was said about one of these.  Zero: nothing. */
struct lab_wire {
	struct cable_settings set;
	const char *table; /* path of a file for CABLE_TABLE, or NULL */
	uint64_t given;    /* by wire_keys */
};

extern const char *const wire_directions[]; /* "both", "out", "in" */

extern const struct keyset wire_keys; /* of struct lab_wire */

/* keyset_merge(), and what follows from it. */
void wire_merge(struct lab_wire *to, const struct lab_wire *from);

/* "delay 5ms, loss 1%"; "plain" if there is nothing to say.  Returns out. */
char *wire_text(char *out, size_t len, const struct cable_settings *settings);

#endif
