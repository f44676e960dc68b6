/*
 * From the tree to the model, by the table: one walk over the keys; their values
 * are schema_value.c's.
 */
#include "lab/schema_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "lab/names.h"
#include "lab/nearest.h"
#include "switch/switch.h"

#define PATH_BYTES 128

/* ---- keys ---- */

/* The row of key below path, or NULL. */
static const struct schema_key *
find_row(const char *path, const char *key)
{
	size_t len = strlen(path);

	if (strpbrk(key, ".*[+") != NULL)
		return NULL;
	for (unsigned int i = 0; i < schema_nkeys; i++) {
		const char *p = schema_keys[i].path;

		if (strncmp(p, path, len) != 0)
			continue;
		p += len;
		if (len > 0 && *p++ != '.')
			continue;
		if (strcmp(p, key) == 0)
			return &schema_keys[i];
	}
	return NULL;
}

/* Is row right below path? */
static const char *
child_name(const struct schema_key *row, const char *path)
{
	size_t len = strlen(path);
	const char *p = row->path;

	if (strncmp(p, path, len) != 0)
		return NULL;
	p += len;
	if (len > 0 && *p++ != '.')
		return NULL;
	return strpbrk(p, ".*[") == NULL && *p != '\0' ? p : NULL;
}

/* The next row, from *i on, that has the keys of a set stand below path, or
 * NULL. */
static const struct schema_key *
next_keys(const char *path, unsigned int *i)
{
	while (*i < schema_nkeys) {
		const struct schema_key *row = &schema_keys[(*i)++];

		if (row->type == SCHEMA_KEYS && child_name(row, path) != NULL)
			return row;
	}
	return NULL;
}

static void
tell_unknown(struct schema_reader *r, const struct yaml *node,
    const struct nearest *near, const char *list)
{
	if (near->best != NULL)
		problem_add(r->problems, node->key_at,
		    "key \"%.40s\" is not known here; did you mean \"%s\"?",
		    node->key, near->best);
	else
		problem_add(r->problems, node->key_at,
		    "key \"%.40s\" is not known here; use one of %s", node->key,
		    list);
}

static void
unknown_key(struct schema_reader *r, const char *path, const struct yaml *node)
{
	char list[768] = "";
	size_t used = 0;
	struct nearest near;
	const struct schema_key *at;

	nearest_init(&near, node->key);
	for (unsigned int i = 0; (at = next_keys(path, &i)) != NULL;)
		for (const struct schema_key *row = at->keys->rows;
		     row->path != NULL; row++)
			nearest_try(&near, row->path);
	for (unsigned int i = 0; i < schema_nkeys; i++) {
		const char *name = child_name(&schema_keys[i], path);

		if (name == NULL || schema_keys[i].type == SCHEMA_ABSENT ||
		    schema_keys[i].type == SCHEMA_KEYS)
			continue;
		nearest_try(&near, name);
		if (used < sizeof(list))
			used +=
			    (size_t)snprintf(list + used, sizeof(list) - used,
				"%s%s", used == 0 ? "" : ", ", name);
	}
	tell_unknown(r, node, &near, list);
}

/* The same where the keys of a set stand alone. */
static void
unknown_in_set(
    struct schema_reader *r, const struct keyset *set, const struct yaml *node)
{
	char list[768] = "";
	size_t used = 0;
	struct nearest near;

	nearest_init(&near, node->key);
	for (const struct schema_key *row = set->rows; row->path != NULL;
	     row++) {
		nearest_try(&near, row->path);
		if (used < sizeof(list))
			used +=
			    (size_t)snprintf(list + used, sizeof(list) - used,
				"%s%s", used == 0 ? "" : ", ", row->path);
	}
	tell_unknown(r, node, &near, list);
}

static void read_key(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, unsigned char *object);

/* What a missing key means. */
static void
preset(struct schema_reader *r, const struct schema_key *row,
    unsigned char *object)
{
	struct problems quiet = { .arena = r->lab->arena };
	struct schema_reader silent = { r->lab, &quiet };
	const struct yaml node = {
		.kind = YAML_SCALAR, .text = row->preset, .key = "preset"
	};

	/* Presets in words, as "by DHCP", are the caller's to know. */
	switch (row->type) {
	case SCHEMA_CHOICE:
	case SCHEMA_BOOL:
	case SCHEMA_COUNT:
	case SCHEMA_DURATION:
	case SCHEMA_SIZE: read_key(&silent, row, &node, object); return;
	default: return;
	}
}

/* ---- sets of keys ---- */

static bool
may_be_list(enum schema_type type)
{
	return type == SCHEMA_COUNTS || type == SCHEMA_VLANS ||
	    type == SCHEMA_STATICS || type == SCHEMA_NETS6 ||
	    type == SCHEMA_GUEST6 || type == SCHEMA_IPS6;
}

static void
read_given(struct schema_reader *r, const struct keyset *set,
    const struct schema_key *row, const struct yaml *node, void *values)
{
	if (node->kind == YAML_SCALAR && strcmp(node->text, "none") == 0) {
		keyset_take_back(set, values, row);
	} else if (node->kind != YAML_SCALAR &&
	    !(may_be_list(row->type) && node->kind == YAML_LIST)) {
		problem_add(r->problems, node->at,
		    "%s is %s; write a single value", node->key,
		    yaml_kind_name(node));
	} else if (schema_value_read(
		       r, row, node, (unsigned char *)values + row->into)) {
		keyset_give(set, values, row);
	} else {
		keyset_clear(values, row); /* told already */
	}
}

static void
read_keyset(struct schema_reader *r, const struct keyset *set,
    const struct yaml *map, void *values)
{
	if (map->kind != YAML_MAP) {
		problem_add(r->problems, map->at,
		    "%s is %s; write keys and values below it", map->key,
		    yaml_kind_name(map));
		return;
	}
	for (const struct yaml *n = map->first; n != NULL; n = n->next) {
		const struct schema_key *row = keyset_row(set, n->key);

		if (row == NULL)
			unknown_in_set(r, set, n);
		else
			read_given(r, set, row, n, values);
	}
}

/* True if node's key is one of a set that may stand below path. */
static bool
read_given_key(struct schema_reader *r, const char *path,
    const struct yaml *node, unsigned char *object)
{
	const struct schema_key *at, *row;

	for (unsigned int i = 0; (at = next_keys(path, &i)) != NULL;) {
		row = keyset_row(at->keys, node->key);
		if (row == NULL)
			continue;
		read_given(r, at->keys, row, node, object + at->into);
		return true;
	}
	return false;
}

/* Reads a value that stands in no file: of set, or (NULL) where row says. */
static int
read_alone(const struct keyset *set, const struct schema_key *row,
    const char *key, const char *text, void *to, struct err *err)
{
	const struct yaml node = {
		.kind = YAML_SCALAR, .text = text, .key = key
	};
	struct problems problems;
	struct arena *arena = arena_new();
	struct schema_reader r = { NULL, &problems };
	int e = 0;

	if (arena == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	problems_init(&problems, arena, "");
	if (set != NULL)
		read_given(&r, set, row, &node, to);
	else
		schema_value_read(
		    &r, row, &node, (unsigned char *)to + row->into);
	if (problems.errors > 0)
		e = err_set(err, -EINVAL, "%s",
		    problems.n > 0 ? problems.list[0].text : "out of memory");
	arena_free(arena);
	return e;
}

int
schema_read_value(const struct keyset *set, void *values,
    const struct schema_key *row, const char *text, struct err *err)
{
	return read_alone(set, row, row->path, text, values, err);
}

static bool
has_one_value(enum schema_type type)
{
	switch (type) {
	case SCHEMA_TEXT:
	case SCHEMA_CHOICE:
	case SCHEMA_BOOL:
	case SCHEMA_COUNT:
	case SCHEMA_DURATION:
	case SCHEMA_SIZE: return true;
	default: return false;
	}
}

int
schema_read_text(const char *path, const char *key, const char *text,
    void *object, struct err *err)
{
	const struct schema_key *row = find_row(path, key);
	struct nearest near;

	if (row != NULL && !row->required && has_one_value(row->type))
		return read_alone(NULL, row, key, text, object, err);
	nearest_init(&near, key);
	for (unsigned int i = 0; i < schema_nkeys; i++) {
		const char *name = child_name(&schema_keys[i], path);

		if (name != NULL && !schema_keys[i].required &&
		    has_one_value(schema_keys[i].type))
			nearest_try(&near, name);
	}
	return err_set(err, -EINVAL, "\"%.40s\" cannot be set here%s%s%s", key,
	    near.best != NULL ? "; did you mean \"" : "",
	    near.best != NULL ? near.best : "", near.best != NULL ? "\"?" : "");
}

/* ---- keys of a mapping ---- */

/* Reads the keys of map, which stand below path, into object. */
static void
read_keys(struct schema_reader *r, const char *path, const struct yaml *map,
    unsigned char *object, const char *what)
{
	if (map->kind != YAML_MAP && !yaml_is_empty(map)) {
		problem_add(r->problems, map->at,
		    "%s is %s; write keys and values below it", what,
		    yaml_kind_name(map));
		return;
	}
	for (const struct yaml *n = map->first; n != NULL; n = n->next) {
		const struct schema_key *row = find_row(path, n->key);

		if (row != NULL)
			read_key(r, row, n, object);
		else if (!read_given_key(r, path, n, object))
			unknown_key(r, path, n);
	}
	for (unsigned int i = 0; i < schema_nkeys; i++) {
		const struct schema_key *row = &schema_keys[i];
		const char *name = child_name(row, path);

		if (name == NULL || yaml_get(map, name) != NULL)
			continue;
		if (row->required)
			problem_add(r->problems,
			    map->key != NULL ? map->key_at : map->at,
			    "%s lacks \"%s\"; add \"%s:\"", what, name, name);
		else if (row->preset != NULL)
			preset(r, row, object);
	}
}

/* ---- named entries and lists ---- */

static bool
check_names(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *n, struct names *names)
{
	if (!names_read(names, n->key) || (!names->plain && !row->ranges)) {
		problem_add(r->problems, n->key_at,
		    row->ranges ? "\"%.60s\" is not a range of names; write it "
				  "as \"vm[1-9]\" or \"vm[001-100]\""
				: "\"%.60s\" is a range of names, which cannot "
				  "stand here; write each by itself",
		    n->key);
		return false;
	}
	if (names->last - names->first >= LAB_NODES_MAX) {
		problem_add(r->problems, n->key_at,
		    "\"%.60s\" makes %lu; a lab holds %d nodes", n->key,
		    names->last - names->first + 1, LAB_NODES_MAX);
		return false;
	}
	if (names->plain ? schema_is_name(n->key) : names_are_good(names))
		return true;
	problem_add(r->problems, n->key_at,
	    "\"%.60s\" is not a name; use a to z, 0 to 9 and - inside, at most "
	    "%d letters",
	    n->key, LAB_NAME_MAX);
	return false;
}

/* The array of row in object, with n elements; NULL: no memory. */
static unsigned char *
array_new(struct schema_reader *r, const struct schema_key *row,
    unsigned char *object, size_t n)
{
	unsigned char *array = arena_array(r->lab->arena, n, row->element);

	memcpy(object + row->into, &array, sizeof(array));
	return array;
}

static void
array_set_count(
    const struct schema_key *row, unsigned char *object, unsigned int n)
{
	memcpy(object + row->count_into, &n, sizeof(n));
}

/* Reads one entry under all of its names; from the second name on quietly. */
static void
read_entry(struct schema_reader *r, const char *path, const struct yaml *n,
    const struct names *names, unsigned char *to, size_t bytes)
{
	struct problems quiet = { .arena = r->lab->arena };
	struct schema_reader silent = { r->lab, &quiet };

	for (unsigned long i = 0; i <= names->last - names->first; i++) {
		const struct lab_item item = { .name = names_get(r->lab->arena,
						   names, n->key, i),
			.node = n };
		char what[80];

		memcpy(to, &item, sizeof(item));
		snprintf(what, sizeof(what), "\"%.40s\"", n->key);
		read_keys(i == 0 ? r : &silent, path, n, to, what);
		to += bytes;
	}
}

/* Entries of which nothing is said: a name, or a list of them. */
static void
read_plain(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, unsigned char *object)
{
	const struct yaml nothing = { .kind = YAML_MAP };
	struct problems quiet = { .arena = r->lab->arena };
	struct schema_reader silent = { r->lab, &quiet };
	struct lab_texts names = { .list = NULL };
	unsigned char *to;
	char path[PATH_BYTES];

	if (!schema_texts_read(r, row, node, &names))
		return;
	to = array_new(r, row, object, names.n);
	if (to == NULL)
		return;
	snprintf(path, sizeof(path), "%s.*", row->path);
	for (unsigned int i = 0; i < names.n; i++, to += row->element) {
		const struct lab_item item = { .name = names.list[i].text,
			.node = names.list[i].node };

		memcpy(to, &item, sizeof(item));
		read_keys(&silent, path, &nothing, to, "");
	}
	array_set_count(row, object, names.n);
}

static void
read_entries(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, unsigned char *object)
{
	char path[PATH_BYTES];
	unsigned char *array;
	size_t n = 0;
	unsigned int done = 0;
	struct names names;
	struct problems quiet = { .arena = r->lab->arena };
	struct schema_reader silent = { r->lab, &quiet };

	if (row->plain && node->kind != YAML_MAP) {
		read_plain(r, row, node, object);
		return;
	}
	if (node->kind != YAML_MAP) {
		problem_add(r->problems, node->at,
		    "%s is %s; write a name and a colon for each, below it",
		    node->key, yaml_kind_name(node));
		return;
	}
	for (const struct yaml *e = node->first; e != NULL; e = e->next)
		if (check_names(&silent, row, e, &names))
			n += names.last - names.first + 1;
	if (n > (row->max != 0 ? row->max : LAB_NODES_MAX)) {
		problem_add(r->problems, node->key_at,
		    "%zu %s are too many; there can be %" PRIu64 " here", n,
		    node->key, row->max != 0 ? row->max : LAB_NODES_MAX);
		return;
	}
	array = array_new(r, row, object, n);
	snprintf(path, sizeof(path), "%s.*", row->path);
	for (const struct yaml *e = node->first; e != NULL; e = e->next) {
		if (!check_names(r, row, e, &names) || array == NULL)
			continue;
		read_entry(r, path, e, &names, array + done * row->element,
		    row->element);
		done += (unsigned int)(names.last - names.first + 1);
	}
	array_set_count(row, object, done);
}

static void
read_items(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, unsigned char *object)
{
	char path[PATH_BYTES], what[80];
	unsigned char *array;
	unsigned int done = 0;

	if (node->kind != YAML_LIST) {
		problem_add(r->problems, node->at,
		    "%s is %s; write a list, one \"- {...}\" each", node->key,
		    yaml_kind_name(node));
		return;
	}
	array = array_new(r, row, object, node->nchildren);
	if (array == NULL)
		return;
	snprintf(path, sizeof(path), "%s[]", row->path);
	snprintf(what, sizeof(what), "this entry of %s", node->key);
	for (const struct yaml *e = node->first; e != NULL; e = e->next) {
		const struct lab_item item = { .node = e };
		unsigned char *to = array + done * row->element;

		memcpy(to, &item, sizeof(item));
		read_keys(r, path, e, to, what);
		done++;
	}
	array_set_count(row, object, done);
}

static void
read_map(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, unsigned char *object)
{
	const struct lab_item item = { .node = node };
	char what[80];

	memcpy(object + row->into, &item, sizeof(item));
	snprintf(what, sizeof(what), "\"%.40s\"", node->key);
	read_keys(r, row->path, node, object + row->into, what);
}

/* ---- the walk ---- */

static void
read_key(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, unsigned char *object)
{
	switch (row->type) {
	case SCHEMA_MAP: read_map(r, row, node, object); return;
	case SCHEMA_ENTRIES: read_entries(r, row, node, object); return;
	case SCHEMA_ITEMS: read_items(r, row, node, object); return;
	case SCHEMA_TEXTS:
		schema_texts_read(r, row, node, object + row->into);
		return;
	case SCHEMA_KEYSET:
		read_keyset(r, row->keys, node, object + row->into);
		return;
	case SCHEMA_ABSENT:
		problem_add(r->problems, node->key_at,
		    "%s: %s are not available in this version; remove the key",
		    node->key, row->help);
		return;
	default: break;
	}
	if (node->kind != YAML_SCALAR &&
	    !(may_be_list(row->type) && node->kind == YAML_LIST)) {
		problem_add(r->problems, node->at,
		    "%s is %s; write a single value", node->key,
		    yaml_kind_name(node));
		return;
	}
	schema_value_read(r, row, node, object + row->into);
}

void
schema_read(struct lab *lab, const struct yaml *root, struct problems *problems)
{
	struct schema_reader r = { lab, problems };

	lab->item.node = root;
	if (root->kind != YAML_MAP) {
		problem_add(problems, root->at,
		    "the file is %s; begin with \"lab: NAME\" and "
		    "\"switches:\"",
		    yaml_kind_name(root));
		return;
	}
	read_keys(&r, "", root, (unsigned char *)lab, "the file");
}
