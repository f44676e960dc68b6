/*
 * Built from libyaml's events rather than its documents: only the events have
 * anchors and tags in them to refuse, and a place for each.  One problem is
 * fatal here, since what follows a broken line is guesswork; but duplicate
 * keys and the like are told and the reading goes on.
 */
#include "lab/yaml.h"

#include <assert.h>
#include <string.h>
#include <yaml.h>

struct reader {
	yaml_parser_t parser;
	struct arena *arena;
	struct problems *problems;
	unsigned int depth;
	struct {
		struct yaml *node;
		struct yaml **end; /* where the next child goes */
		const char *key;   /* read, and waiting for its value */
		struct place key_at;
	} open[YAML_MAX_DEPTH];
	struct yaml *root;
};

static struct place
place_of(yaml_mark_t mark)
{
	return (struct place){ (unsigned int)mark.line + 1,
		(unsigned int)mark.column + 1 };
}

/* ---- what libyaml itself refuses ---- */

static int
not_yaml(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	const char *what = p->problem != NULL ? p->problem : "not readable";
	struct place at = place_of(p->problem_mark);

	switch (p->error) {
	case YAML_MEMORY_ERROR:
		problem_add(
		    r->problems, (struct place){ 0, 0 }, "out of memory");
		return -1;
	case YAML_READER_ERROR:
		problem_add(r->problems, (struct place){ 0, 0 },
		    "byte %zu is not text in UTF-8 (%s); save the file as "
		    "UTF-8 text",
		    p->problem_offset, what);
		return -1;
	default: break;
	}
	if (strstr(what, "cannot start any token") != NULL)
		problem_add(r->problems, at,
		    "a character that cannot begin a value; indent with "
		    "spaces, not tabs, and put quotes around text that begins "
		    "with %%, @ or `");
	else if (strstr(what, "mapping values are not allowed") != NULL)
		problem_add(r->problems, at,
		    "a second \": \" in one line; put quotes around text that "
		    "contains one, or begin a new line");
	else if (strstr(what, "could not find expected ':'") != NULL)
		problem_add(r->problems, at,
		    "the line before is a key without \":\"; write \"key: "
		    "value\"");
	else if (strstr(what, "did not find expected ','") != NULL)
		problem_add(r->problems, at,
		    "the brackets or braces before are not closed here; close "
		    "them, and put quotes around text that contains [, ], {, } "
		    "or a comma");
	else
		problem_add(r->problems, at,
		    "not YAML: %s%s%s; check indentation, brackets and quotes "
		    "here",
		    p->context != NULL ? p->context : "",
		    p->context != NULL ? ", " : "", what);
	return -1;
}

/* ---- the tree ---- */

static struct yaml *
node_new(struct reader *r, enum yaml_kind kind, yaml_mark_t mark)
{
	struct yaml *node = arena_alloc(r->arena, sizeof(*node));

	if (node == NULL)
		return NULL;
	node->kind = kind;
	node->at = place_of(mark);
	node->text = "";
	return node;
}

/* Gives node its place in the mapping or list that is open. */
static int
put(struct reader *r, struct yaml *node)
{
	struct yaml *parent;

	if (r->depth == 0) {
		r->root = node;
		return 0;
	}
	parent = r->open[r->depth - 1].node;
	if (parent->nchildren == YAML_MAX_CHILDREN) {
		problem_add(r->problems, node->at,
		    "more than %d entries in one place; use fewer",
		    YAML_MAX_CHILDREN);
		return -1;
	}
	node->key = r->open[r->depth - 1].key;
	node->key_at = r->open[r->depth - 1].key_at;
	r->open[r->depth - 1].key = NULL;
	if (node->key != NULL) {
		const struct yaml *twin = yaml_get(parent, node->key);

		if (twin != NULL) {
			problem_add(r->problems, node->key_at,
			    "\"%.60s\" stands here already, in line %u; remove "
			    "one of them",
			    node->key, twin->key_at.line);
			return 0; /* left out: the first one counts */
		}
	}
	*r->open[r->depth - 1].end = node;
	r->open[r->depth - 1].end = &node->next;
	parent->nchildren++;
	return 0;
}

/* Is a key wanted now? */
static bool
wants_key(const struct reader *r)
{
	return r->depth > 0 && r->open[r->depth - 1].node->kind == YAML_MAP &&
	    r->open[r->depth - 1].key == NULL;
}

static int
refuse_extras(struct reader *r, const yaml_char_t *anchor,
    const yaml_char_t *tag, yaml_mark_t mark)
{
	if (anchor != NULL)
		problem_add(r->problems, place_of(mark),
		    "anchor \"&%.40s\" is not read in lab files; write the "
		    "value out where it is needed",
		    (const char *)anchor);
	if (tag != NULL)
		problem_add(r->problems, place_of(mark),
		    "tag \"%.60s\" is not read in lab files; leave it out, "
		    "each key knows its type",
		    (const char *)tag);
	return anchor != NULL || tag != NULL ? -1 : 0;
}

static int
open_node(struct reader *r, enum yaml_kind kind, yaml_mark_t mark)
{
	struct yaml *node;

	if (wants_key(r)) {
		problem_add(r->problems, place_of(mark),
		    "a key that is %s; keys are names",
		    kind == YAML_MAP ? "a mapping" : "a list");
		return -1;
	}
	if (r->depth == YAML_MAX_DEPTH) {
		problem_add(r->problems, place_of(mark),
		    "nested more than %d levels deep; lab files need 6",
		    YAML_MAX_DEPTH);
		return -1;
	}
	node = node_new(r, kind, mark);
	if (node == NULL || put(r, node) < 0)
		return -1;
	r->open[r->depth].node = node;
	r->open[r->depth].end = &node->first;
	r->open[r->depth].key = NULL;
	r->depth++;
	return 0;
}

static int
check_text(struct reader *r, const char *text, size_t len, struct place at)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c != 0x7f)
			continue;
		problem_add(r->problems, at,
		    "a value with %s in it; write it in one line of printable "
		    "text",
		    c == '\n' ? "a line break" : "a control character");
		return -1;
	}
	return 0;
}

static int
scalar(struct reader *r, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;
	struct place at = place_of(event->start_mark);
	struct yaml *node;
	char *copy;

	if (check_text(r, text, len, at) < 0)
		return -1;
	copy = arena_text(r->arena, text, len);
	if (copy == NULL)
		return -1;
	if (wants_key(r)) {
		if (strcmp(copy, "<<") == 0) {
			problem_add(r->problems, at,
			    "merge key \"<<\" is not read in lab files; write "
			    "the keys out");
			return -1;
		}
		r->open[r->depth - 1].key = copy;
		r->open[r->depth - 1].key_at = at;
		return 0;
	}
	node = node_new(r, YAML_SCALAR, event->start_mark);
	if (node == NULL)
		return -1;
	node->text = copy;
	return put(r, node);
}

/* One event.  1: the file is over; -1: it is refused. */
static int
take_event(struct reader *r, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (r->root != NULL) {
			problem_add(r->problems, place_of(event->start_mark),
			    "a second document; one lab per file");
			return -1;
		}
		return 0;
	case YAML_ALIAS_EVENT:
		problem_add(r->problems, place_of(event->start_mark),
		    "alias \"*%.40s\" is not read in lab files; write the "
		    "value out",
		    (const char *)event->data.alias.anchor);
		return -1;
	case YAML_SCALAR_EVENT:
		if (refuse_extras(r, event->data.scalar.anchor,
			event->data.scalar.tag, event->start_mark) < 0)
			return -1;
		return scalar(r, event);
	case YAML_SEQUENCE_START_EVENT:
		if (refuse_extras(r, event->data.sequence_start.anchor,
			event->data.sequence_start.tag, event->start_mark) < 0)
			return -1;
		return open_node(r, YAML_LIST, event->start_mark);
	case YAML_MAPPING_START_EVENT:
		if (refuse_extras(r, event->data.mapping_start.anchor,
			event->data.mapping_start.tag, event->start_mark) < 0)
			return -1;
		return open_node(r, YAML_MAP, event->start_mark);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		assert(r->depth > 0);
		r->depth--;
		return 0;
	case YAML_STREAM_END_EVENT: return 1;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT: return 0;
	}
	return 0;
}

struct yaml *
yaml_read(struct arena *arena, const char *bytes, size_t len,
    struct problems *problems)
{
	struct reader r = { .arena = arena, .problems = problems };
	const struct place whole = { 0, 0 };
	int state = 0;

	if (len > YAML_MAX_BYTES) {
		problem_add(problems, whole,
		    "larger than %zu bytes; a lab file is text written by hand",
		    YAML_MAX_BYTES);
		return NULL;
	}
	if (!yaml_parser_initialize(&r.parser)) {
		problem_add(problems, whole, "out of memory");
		return NULL;
	}
	yaml_parser_set_input_string(
	    &r.parser, (const unsigned char *)bytes, len);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	while (state == 0) {
		yaml_event_t event;

		if (!yaml_parser_parse(&r.parser, &event)) {
			state = not_yaml(&r);
			break;
		}
		state = take_event(&r, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&r.parser);
	if (arena_failed(arena))
		problem_add(problems, whole, "out of memory");
	else if (state > 0 && r.root == NULL)
		problem_add(problems, whole,
		    "empty; begin with \"lab: NAME\" and \"switches:\"");
	return state > 0 ? r.root : NULL;
}

const struct yaml *
yaml_get(const struct yaml *map, const char *key)
{
	if (map == NULL || map->kind != YAML_MAP)
		return NULL;
	for (const struct yaml *n = map->first; n != NULL; n = n->next)
		if (strcmp(n->key, key) == 0)
			return n;
	return NULL;
}

bool
yaml_is_empty(const struct yaml *node)
{
	return node->kind == YAML_SCALAR && node->text[0] == '\0';
}

const char *
yaml_kind_name(const struct yaml *node)
{
	switch (node->kind) {
	case YAML_SCALAR: return node->text[0] == '\0' ? "nothing" : "text";
	case YAML_MAP: return "a mapping";
	case YAML_LIST: return "a list";
	}
	return "?";
}
