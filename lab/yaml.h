/*
 * yaml.h - a YAML file as a small tree with the place of each value.
 *
 * The part of YAML that a lab file needs: mappings, lists and scalars, which
 * stay text until the schema gives them a type.  Anchors, aliases, merge keys,
 * tags, several documents, keys that are no scalars, keys that appear twice,
 * control characters, and files beyond the limits below are refused, each
 * with its place.  So memory is bounded by the size of the file.
 */
#ifndef LAB_YAML_H
#define LAB_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "lab/arena.h"
#include "lab/problem.h"

#define YAML_MAX_BYTES    ((size_t)1 << 20)
#define YAML_MAX_DEPTH    16
#define YAML_MAX_CHILDREN 2048 /* of one mapping or list */

enum yaml_kind { YAML_SCALAR, YAML_MAP, YAML_LIST };

struct yaml {
	enum yaml_kind kind;
	struct place at;  /* where the value begins */
	const char *text; /* YAML_SCALAR; "" for an empty value */
	const char *key;  /* in a mapping, else NULL */
	struct place key_at;
	struct yaml *first; /* children of a mapping or list */
	struct yaml *next;  /* sibling */
	unsigned int nchildren;
};

/* Reads len bytes.  NULL: what is there cannot be read further, and problems
 * has an error more.  A tree may come with errors as well. */
struct yaml *yaml_read(struct arena *arena, const char *bytes, size_t len,
    struct problems *problems);

/* The value of key in a mapping, or NULL. */
const struct yaml *yaml_get(const struct yaml *map, const char *key);

/* A key without any value, as "lan:". */
bool yaml_is_empty(const struct yaml *node);

/* "a mapping", "a list", "text". */
const char *yaml_kind_name(const struct yaml *node);

#endif
