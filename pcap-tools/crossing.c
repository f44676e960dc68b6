/*
 * Facts are words "key=value" (pcapng.h, verdict_text.h).  A capture may have
 * been written by a newer version, or by an enemy: unknown keys are passed
 * over, and values cut to what there is room for.
 */
#include "pcap-tools/crossing.h"

#include <stdio.h>
#include <string.h>

#include "net/reason.h"
#include "pcap-tools/pcapng.h"

#define LINKTYPE_ETHERNET 1
#define CAUSE             "cause."

/* ---- facts ---- */

struct word {
	const char *key, *value;
	size_t key_bytes, value_bytes;
};

/* The next word of the text up to end. */
static bool
next_word(struct word *word, const char **at, const char *end)
{
	const char *p = *at, *start, *equals;

	while (p < end && *p == ' ')
		p++;
	start = p;
	while (p < end && *p != ' ')
		p++;
	*at = p;
	if (p == start)
		return false;
	equals = memchr(start, '=', (size_t)(p - start));
	if (equals == NULL)
		equals = p;
	*word = (struct word){ .key = start,
		.key_bytes = (size_t)(equals - start),
		.value = equals < p ? equals + 1 : p };
	word->value_bytes = (size_t)(p - word->value);
	return true;
}

static bool
is_key(const struct word *word, const char *key)
{
	return strlen(key) == word->key_bytes &&
	    memcmp(key, word->key, word->key_bytes) == 0;
}

/* The value as a name, what is not printable as '?'. */
static void
take_name(char *out, size_t out_bytes, const struct word *word)
{
	size_t n =
	    word->value_bytes < out_bytes ? word->value_bytes : out_bytes - 1;

	for (size_t i = 0; i < n; i++) {
		char c = word->value[i];

		out[i] = c > ' ' && c < 0x7f ? c : '?';
	}
	out[n] = '\0';
}

/* The value as a number; what is none is 0. */
static uint32_t
number(const struct word *word)
{
	uint64_t v = 0;

	for (size_t i = 0; i < word->value_bytes; i++) {
		if (word->value[i] < '0' || word->value[i] > '9')
			return 0;
		v = v * 10 + (uint64_t)(word->value[i] - '0');
		if (v > UINT32_MAX)
			return 0;
	}
	return (uint32_t)v;
}

static void
take_fact(struct crossing_verdict *v, const struct word *word)
{
	enum reason reason;

	if (is_key(word, "node")) {
		take_name(v->node, sizeof(v->node), word);
	} else if (is_key(word, "out")) {
		take_name(v->out, sizeof(v->out), word);
	} else if (is_key(word, "ports")) {
		v->ports = number(word);
	} else if (is_key(word, "entry")) {
		v->entry = number(word);
	} else if (is_key(word, "other")) {
		v->other = number(word);
	} else if (is_key(word, "verdict")) {
		take_name(v->name, sizeof(v->name), word);
		reason = reason_of_name(v->name);
		v->drop = reason != REASON_COUNT && reason_is_drop(reason);
	}
}

bool
crossing_facts(struct crossing *crossing, const char *text, size_t n)
{
	static const char start[] = "lanyard ";
	const char *at = text + sizeof(start) - 1, *end = text + n;
	struct word word;

	if (n < sizeof(start) - 1 ||
	    memcmp(text, start, sizeof(start) - 1) != 0)
		return false;
	while (next_word(&word, &at, end)) {
		size_t skip = sizeof(CAUSE) - 1;

		if (is_key(&word, "journey")) {
			crossing->journey = number(&word);
		} else if (word.key_bytes > skip &&
		    memcmp(word.key, CAUSE, skip) == 0) {
			word.key += skip;
			word.key_bytes -= skip;
			take_fact(&crossing->cause, &word);
		} else {
			take_fact(&crossing->verdict, &word);
		}
	}
	return true;
}

static void
find_facts(struct crossing *crossing)
{
	const struct reader_frame *frame = &crossing->frame;
	const uint8_t *value;
	size_t n;

	for (unsigned int nth = 0;; nth++) {
		value = reader_option(frame, PCAPNG_OPT_CUSTOM_TEXT, nth, &n);
		if (value == NULL)
			return;
		if (n < 4)
			continue;
		if ((frame->big_endian ? (uint32_t)value[0] << 24 |
				(uint32_t)value[1] << 16 |
				(uint32_t)value[2] << 8 | value[3]
				       : (uint32_t)value[3] << 24 |
				(uint32_t)value[2] << 16 |
				(uint32_t)value[1] << 8 | value[0]) !=
		    PCAPNG_ENTERPRISE)
			continue;
		if (crossing_facts(crossing, (const char *)value + 4, n - 4))
			return;
	}
}

int
crossing_next(struct reader *reader, struct crossing *c, struct err *err)
{
	uint32_t way;
	int e;

	memset(c, 0, sizeof(*c));
	e = reader_next(reader, &c->frame, err);
	if (e != 1)
		return e;
	way = c->frame.flags & (PCAPNG_INBOUND | PCAPNG_OUTBOUND);
	c->out = way == PCAPNG_OUTBOUND;
	c->directed = way == PCAPNG_OUTBOUND || way == PCAPNG_INBOUND;
	if (reader_interface(reader, c->frame.interface)->linktype ==
	    LINKTYPE_ETHERNET)
		c->readable = packet_read(&c->packet, c->frame.data,
		    c->frame.kept_bytes, c->frame.len_bytes);
	find_facts(c);
	return 1;
}
