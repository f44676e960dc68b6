/*
 * From the tree to the model, by the table: one function per type, one walk.
 * Types are what the schema says; nothing is guessed from how a value looks,
 * so "no", "010" and "22:22" are never more than the text they are.
 */
#include "lab/schema.h"

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

struct reader {
	struct lab *lab;
	struct problems *problems;
};

bool
schema_is_name(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= LAB_NAME_MAX &&
	    strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len &&
	    text[0] != '-' && text[len - 1] != '-';
}

/* ---- scalars ---- */

static bool
in_range(struct reader *r, const struct schema_key *key,
    const struct yaml *node, uint64_t value,
    char *(*text)(char out[UNITS_TEXT_BYTES], uint64_t value))
{
	char min[UNITS_TEXT_BYTES], max[UNITS_TEXT_BYTES];

	if (value >= key->min && (key->max == 0 || value <= key->max))
		return true;
	problem_add(r->problems, node->at, "%s %s is too %s; use %s to %s",
	    node->key != NULL ? node->key : "value", node->text,
	    value < key->min ? "small" : "large", text(min, key->min),
	    text(max, key->max));
	return false;
}

static char *
count_text(char out[UNITS_TEXT_BYTES], uint64_t value)
{
	snprintf(out, UNITS_TEXT_BYTES, "%" PRIu64, value);
	return out;
}

/* Adds "key: sentence of err" at node. */
static bool
bad_value(struct reader *r, const struct yaml *node, const struct err *err)
{
	problem_add(r->problems, node->at, "%s: %s",
	    node->key != NULL ? node->key : "value", err->text);
	return false;
}

static bool
read_count(struct reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct err err = { "" };
	uint64_t *out = to;

	if (!count_read(out, node->text, &err))
		return bad_value(r, node, &err);
	return in_range(r, key, node, *out, count_text);
}

static bool
read_duration(struct reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct err err = { "" };
	uint64_t *out = to;

	if (!duration_read(out, node->text, &err))
		return bad_value(r, node, &err);
	return in_range(r, key, node, *out, duration_text);
}

static bool
read_size(struct reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct err err = { "" };
	uint64_t *out = to;

	if (!size_read(out, node->text, &err))
		return bad_value(r, node, &err);
	return in_range(r, key, node, *out, size_text);
}

static bool
read_compare(struct reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct err err = { "" };

	(void)key;
	return compare_read(to, node->text, &err) || bad_value(r, node, &err);
}

static bool
read_bool(struct reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	bool *out = to;

	(void)key;
	*out = strcmp(node->text, "true") == 0;
	if (*out || strcmp(node->text, "false") == 0)
		return true;
	problem_add(r->problems, node->at,
	    "%s is \"%.40s\"; write true or false", node->key, node->text);
	return false;
}

static bool
read_text(struct reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	const char **out = to;

	(void)key;
	if (yaml_is_empty(node)) {
		problem_add(r->problems, node->at,
		    "%s has no value; write one, or remove the key", node->key);
		return false;
	}
	*out = node->text;
	return true;
}

static bool
read_name(struct reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct names names;

	if (!read_text(r, key, node, to))
		return false;
	if (schema_is_name(node->text) ||
	    (key->ranges && names_read(&names, node->text) &&
		names_are_good(&names)))
		return true;
	problem_add(r->problems, node->at,
	    "%s \"%.60s\" is not a name; use a to z, 0 to 9 and - inside, at "
	    "most %d letters",
	    node->key, node->text, LAB_NAME_MAX);
	return false;
}

/* The index of text in choices, or -1 with a problem. */
static int
choose(struct reader *r, const char *const *choices, const char *what,
    const struct yaml *node)
{
	char list[256] = "";
	size_t used = 0;
	struct nearest near;

	nearest_init(&near, node->text);
	for (int i = 0; choices[i] != NULL; i++) {
		if (strcmp(choices[i], node->text) == 0)
			return i;
		nearest_try(&near, choices[i]);
		used +=
		    (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
			i == 0                       ? ""
			    : choices[i + 1] != NULL ? ", "
						     : " or ",
			choices[i]);
	}
	if (near.best != NULL)
		problem_add(r->problems, node->at,
		    "%s \"%.40s\" is not known; did you mean \"%s\"?", what,
		    node->text, near.best);
	else
		problem_add(r->problems, node->at,
		    "%s \"%.40s\" is not known; use %s", what, node->text,
		    list);
	return -1;
}

static bool
read_choice(struct reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	int choice = choose(r, key->choices, node->key, node);
	int *out = to;

	if (choice >= 0)
		*out = choice;
	return choice >= 0;
}

static bool
read_ip(struct reader *r, const struct schema_key *key, const struct yaml *node,
    void *to)
{
	uint32_t *out = to;

	(void)key;
	if (ip4_read(out, node->text) && *out != 0)
		return true;
	problem_add(r->problems, node->at,
	    "%s \"%.40s\" is not an IPv4 address; write one as 10.0.0.1",
	    node->key, node->text);
	return false;
}

static bool
read_net(struct reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	uint32_t addr;

	(void)key;
	if (ip4_net_read(to, node->text))
		return true;
	if (ip4_read(&addr, node->text))
		problem_add(r->problems, node->at,
		    "%s \"%s\" has no prefix length; write it as %s/24",
		    node->key, node->text, node->text);
	else
		problem_add(r->problems, node->at,
		    "%s \"%.40s\" is not an address with its prefix length; "
		    "write it as 10.0.0.1/24",
		    node->key, node->text);
	return false;
}

static bool
read_range(struct reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	const char *dash = strchr(node->text, '-');
	char first[IP4_TEXT_BYTES] = "";
	struct lab_range *out = to;

	(void)key;
	if (dash != NULL && (size_t)(dash - node->text) < sizeof(first)) {
		memcpy(first, node->text, (size_t)(dash - node->text));
		if (ip4_read(&out->first, first) &&
		    ip4_read(&out->last, dash + 1) && out->first != 0 &&
		    out->last != 0)
			return true;
	}
	*out = (struct lab_range){ 0 };
	problem_add(r->problems, node->at,
	    "%s \"%.50s\" is not a range of addresses; write it as "
	    "10.0.0.100-10.0.0.199",
	    node->key, node->text);
	return false;
}

static bool
read_mac(struct reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct mac *out = to;

	(void)key;
	if (!mac_read(out, node->text)) {
		problem_add(r->problems, node->at,
		    "%s \"%.40s\" is not a MAC address; write it as "
		    "52:54:00:12:34:56",
		    node->key, node->text);
		return false;
	}
	if (!mac_is_group(out) && !mac_is_zero(out))
		return true;
	problem_add(r->problems, node->at,
	    "%s %s is no station's address%s; make its first byte even, as 52",
	    node->key, node->text,
	    mac_is_group(out) ? ", it means a group" : "");
	return false;
}

static bool
read_texts(struct reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct lab_texts *out = to;
	const struct yaml *first = node;
	unsigned int n = 1;
	bool good = true;

	if (node->kind == YAML_LIST) {
		first = node->first;
		n = node->nchildren;
	}
	out->list = arena_array(r->lab->arena, n, sizeof(out->list[0]));
	if (out->list == NULL)
		return false;
	for (const struct yaml *e = first; e != NULL && out->n < n;
	     e = e->next) {
		if (e->kind != YAML_SCALAR || yaml_is_empty(e)) {
			problem_add(r->problems, e->at,
			    "%s wants text here, not %s", node->key,
			    yaml_kind_name(e));
			good = false;
			continue;
		}
		if (key->choices != NULL &&
		    choose(r, key->choices, node->key, e) < 0) {
			good = false;
			continue;
		}
		out->list[out->n++] = (struct lab_text){ e->text, e };
	}
	return good;
}

/* ---- keys ---- */

/* The row of key below path, or NULL. */
static const struct schema_key *
find_row(const char *path, const char *key)
{
	size_t len = strlen(path);

	if (strpbrk(key, ".*[") != NULL)
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

static void
unknown_key(struct reader *r, const char *path, const struct yaml *node)
{
	char list[512] = "";
	size_t used = 0;
	struct nearest near;

	nearest_init(&near, node->key);
	for (unsigned int i = 0; i < schema_nkeys; i++) {
		const char *name = child_name(&schema_keys[i], path);

		if (name == NULL || schema_keys[i].type == SCHEMA_ABSENT)
			continue;
		nearest_try(&near, name);
		if (used < sizeof(list))
			used +=
			    (size_t)snprintf(list + used, sizeof(list) - used,
				"%s%s", used == 0 ? "" : ", ", name);
	}
	if (near.best != NULL)
		problem_add(r->problems, node->key_at,
		    "key \"%.40s\" is not known here; did you mean \"%s\"?",
		    node->key, near.best);
	else
		problem_add(r->problems, node->key_at,
		    "key \"%.40s\" is not known here; use one of %s", node->key,
		    list);
}

static void read_key(struct reader *r, const struct schema_key *row,
    const struct yaml *node, unsigned char *object);

/* What a missing key means. */
static void
preset(struct reader *r, const struct schema_key *row, unsigned char *object)
{
	struct problems quiet = { .arena = r->lab->arena };
	struct reader silent = { r->lab, &quiet };
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

/* Reads the keys of map, which stand below path, into object. */
static void
read_keys(struct reader *r, const char *path, const struct yaml *map,
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

		if (row == NULL)
			unknown_key(r, path, n);
		else
			read_key(r, row, n, object);
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
check_names(struct reader *r, const struct schema_key *row,
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
array_new(struct reader *r, const struct schema_key *row, unsigned char *object,
    size_t n)
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
read_entry(struct reader *r, const char *path, const struct yaml *n,
    const struct names *names, unsigned char *to, size_t bytes)
{
	struct problems quiet = { .arena = r->lab->arena };
	struct reader silent = { r->lab, &quiet };

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

static void
read_entries(struct reader *r, const struct schema_key *row,
    const struct yaml *node, unsigned char *object)
{
	char path[PATH_BYTES];
	unsigned char *array;
	size_t n = 0;
	unsigned int done = 0;
	struct names names;
	struct problems quiet = { .arena = r->lab->arena };
	struct reader silent = { r->lab, &quiet };

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
read_items(struct reader *r, const struct schema_key *row,
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
read_map(struct reader *r, const struct schema_key *row,
    const struct yaml *node, unsigned char *object)
{
	const struct lab_item item = { .node = node };
	char what[80];

	memcpy(object + row->into, &item, sizeof(item));
	snprintf(what, sizeof(what), "\"%.40s\"", node->key);
	read_keys(r, row->path, node, object + row->into, what);
}

/* ---- the walk ---- */

static bool (*const scalar_readers[SCHEMA_NTYPES])(struct reader *r,
    const struct schema_key *key, const struct yaml *node, void *to) = {
	[SCHEMA_NAME] = read_name,
	[SCHEMA_TEXT] = read_text,
	[SCHEMA_CHOICE] = read_choice,
	[SCHEMA_BOOL] = read_bool,
	[SCHEMA_COUNT] = read_count,
	[SCHEMA_DURATION] = read_duration,
	[SCHEMA_SIZE] = read_size,
	[SCHEMA_IP] = read_ip,
	[SCHEMA_NET] = read_net,
	[SCHEMA_RANGE] = read_range,
	[SCHEMA_MAC] = read_mac,
	[SCHEMA_COMPARE] = read_compare,
};

static void
read_key(struct reader *r, const struct schema_key *row,
    const struct yaml *node, unsigned char *object)
{
	switch (row->type) {
	case SCHEMA_MAP: read_map(r, row, node, object); return;
	case SCHEMA_ENTRIES: read_entries(r, row, node, object); return;
	case SCHEMA_ITEMS: read_items(r, row, node, object); return;
	case SCHEMA_TEXTS: read_texts(r, row, node, object + row->into); return;
	case SCHEMA_ABSENT:
		problem_add(r->problems, node->key_at,
		    "%s: %s are not available in this version; remove the key",
		    node->key, row->help);
		return;
	default: break;
	}
	if (node->kind != YAML_SCALAR) {
		problem_add(r->problems, node->at,
		    "%s is %s; write a single value", node->key,
		    yaml_kind_name(node));
		return;
	}
	scalar_readers[row->type](r, row, node, object + row->into);
}

void
schema_read(struct lab *lab, const struct yaml *root, struct problems *problems)
{
	struct reader r = { lab, problems };

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
