/*
 * schema_value.h - values of a lab file by their types; a part of the schema.
 */
#ifndef LAB_SCHEMA_VALUE_H
#define LAB_SCHEMA_VALUE_H

#include "lab/schema.h"

struct schema_reader {
	struct lab *lab; /* NULL where a row's type needs none */
	struct problems *problems;
};

/* Reads node, which is a scalar or, for SCHEMA_COUNTS, a list, as the type of
 * row says.  False: with a problem. */
bool schema_value_read(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, void *to);

/* The same for SCHEMA_TEXTS: a text, or a list of them. */
bool schema_texts_read(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, void *to);

/* schema_ip6.c's types; SCHEMA_NETS6, SCHEMA_GUEST6 and
 * SCHEMA_IPS6 may be lists. */
bool schema_any_ip_read(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, void *to);
bool schema_any_net_read(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, void *to);
bool schema_ips6_read(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, void *to);
bool schema_prefix64_read(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, void *to);
bool schema_guest6_read(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, void *to);
bool schema_nets6_read(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, void *to);

#endif
