/*
 * Three kinds of answers: it agrees, it differs, or it cannot be told.  The last
 * is not for what was hard to find, but for what no host behind such a NAT could
 * see: a hairpin that the filters forbid, or how ports are chosen when nobody
 * else wants them.
 */
#include "lab/nat_examine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHAT_BYTES     24
#define FOUND_BYTES    32
#define SEEN_BYTES     200
#define BLOCK_TELLABLE 16384 /* ports; see vmm/guest/nattest.c */
#define SLACK_S        0.25  /* of a timer: what the guest needs to ask */

enum agreement { AGREES, DIFFERS, OPEN };

struct finding {
	char what[WHAT_BYTES], found[FOUND_BYTES], seen[SEEN_BYTES];
};

/* What a NAT of ours always does. */
static const struct {
	const char *what, *value;
} always[] = {
	{ "translation", "nat" },
	{ "icmp-errors", "translated" },
	{ "fragments", "passed" },
	{ "fragments-reversed", "passed" },
	{ "host-limit", "any" },
};

const struct table_head nat_examine_head = {
	.name = "nat-test",
	.help = "what was found out about a NAT",
	.columns = {
		{ "behaviour", "BEHAVIOUR" },
		{ "found", "FOUND" },
		{ "configured", "CONFIGURED" },
		{ "agrees", "AGREES" },
		{ "seen", "SEEN" },
		{ NULL, NULL },
	},
};

static const char *
rule(const json_t *rules, const char *key)
{
	const char *value = json_string_value(json_object_get(rules, key));

	for (size_t i = 0;
	     value == NULL && i < sizeof(always) / sizeof(always[0]); i++)
		if (strcmp(always[i].what, key) == 0)
			value = always[i].value;
	return value;
}

static bool
rule_is(const json_t *rules, const char *key, const char *value)
{
	const char *is = rule(rules, key);

	return is != NULL && strcmp(is, value) == 0;
}

/* "1.98s-2.13s" or ">10.00s", against "2s". */
static enum agreement
timer_agrees(const char *found, const char *is)
{
	double s = strtod(is, NULL);
	char *end;
	double lo = strtod(found + (found[0] == '>'), &end);
	double hi;

	if (strncmp(end, "s", 1) != 0)
		return DIFFERS;
	if (found[0] == '>')
		return s > lo - SLACK_S ? AGREES : DIFFERS;
	if (strncmp(end, "s-", 2) != 0)
		return DIFFERS;
	hi = strtod(end + 2, NULL);
	return s > lo - SLACK_S && s < hi + SLACK_S ? AGREES : DIFFERS;
}

/* Can a packet by another's outer end come through at all?  Either both know
 * that end beforehand, or it is open to all. */
static bool
hairpin_shows(const json_t *rules)
{
	return rule_is(rules, "mapping", "endpoint-independent") ||
	    rule_is(rules, "filtering", "endpoint-independent");
}

/* Is it what only collisions with a neighbour would show? */
static bool
needs_neighbour(const struct finding *f, const json_t *rules)
{
	if (strcmp(f->what, "ports") == 0)
		return strcmp(f->found, "preserving") == 0 &&
		    (rule_is(rules, "ports", "overloading") ||
			rule_is(rules, "ports", "contiguous"));
	return strcmp(f->what, "mapping") == 0 &&
	    strcmp(f->found, "endpoint-independent") == 0 &&
	    rule_is(rules, "ports", "overloading");
}

/* A block so large that a few ports of it look like any. */
static bool
looks_random(const struct finding *f, const json_t *rules)
{
	const char *block = rule(rules, "block");

	return strcmp(f->what, "ports") == 0 &&
	    strcmp(f->found, "random") == 0 && block != NULL &&
	    atol(block) > BLOCK_TELLABLE;
}

/* Soft pooling is paired as long as there are ports.  With one address all
 * pooling looks alike. */
static enum agreement
pooling_agrees(const struct finding *f, const json_t *rules)
{
	bool arbitrary = rule_is(rules, "pooling", "arbitrary");

	if (arbitrary && strcmp(f->found, "paired") == 0 &&
	    rule(rules, "addresses") == NULL)
		return OPEN;
	return arbitrary == (strcmp(f->found, "arbitrary") == 0) ? AGREES
								 : DIFFERS;
}

static enum agreement
agrees(const struct finding *f, const json_t *rules, bool neighbour)
{
	const char *is = rule(rules, f->what);

	if (strcmp(f->found, "unknown") == 0 ||
	    (!neighbour && needs_neighbour(f, rules)))
		return OPEN;
	if (is == NULL)
		return DIFFERS;
	if (looks_random(f, rules))
		return OPEN;
	if (strcmp(f->what, "hairpin") == 0 && strcmp(is, "true") == 0 &&
	    strcmp(f->found, "false") == 0 && !hairpin_shows(rules))
		return OPEN;
	if (strcmp(f->what, "host-limit") == 0)
		return strcmp(is, "any") != 0 ? AGREES : DIFFERS;
	if (strcmp(f->what, "pooling") == 0)
		return pooling_agrees(f, rules);
	if (strcmp(f->what, "block") == 0)
		return f->found[0] == '>' && atol(f->found + 1) < atol(is)
		    ? AGREES
		    : DIFFERS;
	if (strcmp(f->what, "udp-idle") == 0 ||
	    strcmp(f->what, "udp-one-way") == 0)
		return timer_agrees(f->found, is);
	return strcmp(f->found, is) == 0 ? AGREES : DIFFERS;
}

/* A word of at most size bytes with its end; what is not printable ASCII is
 * none.  Returns what follows, or NULL. */
static const char *
read_word(char *out, size_t size, const char *at, const char *end)
{
	size_t n = 0;

	while (at < end && *at == ' ')
		at++;
	for (; at<end && * at> ' ' && *at < 0x7f && n + 1 < size; at++)
		out[n++] = *at;
	out[n] = '\0';
	return n > 0 && (at == end || *at == ' ') ? at : NULL;
}

static bool
read_finding(struct finding *f, const char *at, const char *end)
{
	size_t n = 0;

	at = read_word(f->what, sizeof(f->what), at, end);
	if (at != NULL)
		at = read_word(f->found, sizeof(f->found), at, end);
	if (at == NULL)
		return false;
	while (at < end && *at == ' ')
		at++;
	for (; at < end && n + 1 < sizeof(f->seen); at++)
		f->seen[n++] = *at >= ' ' && *at < 0x7f ? *at : '?';
	f->seen[n] = '\0';
	return true;
}

int
nat_examine(struct table *table, const json_t *rules, bool neighbour,
    const char *text, const char **bad)
{
	int differing = 0;

	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		struct finding f;
		enum agreement a;

		if (!read_finding(&f, text, text + n)) {
			*bad = text;
			return -EPROTO;
		}
		a = agrees(&f, rules, neighbour);
		differing += a == DIFFERS;
		table_add(table, "[s,s,s?,o,s]", f.what, f.found,
		    rule(rules, f.what),
		    a == OPEN ? json_null() : json_boolean(a == AGREES),
		    f.seen);
		text += n + (text[n] == '\n');
	}
	return differing;
}
