/*
 * wire.h - what a lab file, an event or `lanyard set` says about a cable.
 *
 * The same keys stand at a port of the lab file, below its in: and out:, in an
 * event, and as KEY=VALUE behind lanyard set.  They are one table, by the same
 * types as the rest of the lab file; "none" takes back what a key said.
 */
#ifndef LAB_WIRE_H
#define LAB_WIRE_H

#include "base/err.h"
#include "switch/cable.h"

/* Frames both ways; out of the node by that port; into it. */
enum lab_direction { WIRE_BOTH, WIRE_OUT, WIRE_IN, WIRE_DIRECTIONS };

/* What was said about one of these.  Zero: nothing. */
struct lab_wire {
	struct cable_settings set;
	const char *table; /* path of a file for CABLE_TABLE, or NULL */
	uint64_t given;    /* bit i: by key i of wire_keys */
};

extern const char *const wire_directions[]; /* "both", "out", "in" */

struct schema_key; /* the keys are wire_keys[] in schema.h */

/* The key of that name, or NULL. */
const struct schema_key *wire_key(const char *name);

/* Reads KEY and its value as text, which wire goes on to use.  0, or -EINVAL
 * with *err. */
int wire_read(
    struct lab_wire *wire, const char *key, const char *text, struct err *err);

/* For who has put a value where its row says: it is given.  Or it is given that
 * the key says nothing ("none"). */
void wire_give(struct lab_wire *wire, const struct schema_key *row);
void wire_take_back(struct lab_wire *wire, const struct schema_key *row);
bool wire_is_given(const struct lab_wire *wire, const char *key);

/* What is given in from becomes what is given in to. */
void wire_merge(struct lab_wire *to, const struct lab_wire *from);

/* "delay 5ms, loss 1%"; "plain" if there is nothing to say.  Returns out. */
char *wire_text(char *out, size_t len, const struct cable_settings *settings);

#endif
