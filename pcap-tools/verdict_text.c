/*
 * The sentences are those of reason.def.  Two things are put into them: the
 * number of the NAT entry, where they speak of one, and where the frame went.
 */
#include "pcap-tools/verdict_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text {
	char *at;
	size_t left; /* with the end */
};

static void __attribute__((format(printf, 2, 3)))
add(struct text *t, const char *format, ...)
{
	va_list args;
	int n;

	if (t->left == 0)
		return;
	va_start(args, format);
	n = vsnprintf(t->at, t->left, format, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n >= t->left)
		n = (int)t->left - 1;
	t->at += n;
	t->left -= (size_t)n;
}

struct verdict_facts
verdict_facts(const struct verdict *verdict)
{
	if (verdict == NULL || verdict->node == NULL ||
	    verdict->reason == REASON_NONE)
		return (struct verdict_facts){ .reason = REASON_NONE };
	return (struct verdict_facts){
		.node = verdict->node->name,
		.out = verdict->out != NULL ? verdict->out->name : NULL,
		.reason = (enum reason)verdict->reason,
		.nout = verdict->nout,
		.entry = verdict->entry,
		.other = verdict->other,
	};
}

/* Sentence with the number of an entry: "by a NAT entry" becomes "by NAT entry
 * 3", and a sentence that speaks of none ends in "(NAT entry 3)". */
static void
add_sentence(struct text *t, const char *sentence, uint32_t entry)
{
	static const char what[] = "NAT entry";
	static const char *const articles[] = { "a ", "the ", "a new " };
	const char *found = strstr(sentence, what);
	size_t before;

	if (entry == 0) {
		add(t, "%s", sentence);
		return;
	}
	if (found == NULL) {
		add(t, "%s (%s %u)", sentence, what, entry);
		return;
	}
	before = (size_t)(found - sentence);
	for (size_t i = 0; i < sizeof(articles) / sizeof(articles[0]); i++) {
		size_t n = strlen(articles[i]);

		if (before < n || memcmp(found - n, articles[i], n) != 0)
			continue;
		add(t, "%.*s%s%s %u%s", (int)(before - n), sentence,
		    strcmp(articles[i], "a new ") == 0 ? "new " : "", what,
		    entry, found + strlen(what));
		return;
	}
	add(t, "%.*s %u%s", (int)(before + strlen(what)), sentence, entry,
	    found + strlen(what));
}

/* Where a frame went that was not dropped. */
static void
add_ways(struct text *t, const struct verdict_facts *v)
{
	if (v->nout > 1 && reason_is_of_cable(v->reason))
		add(t, "%s",
		    v->reason == REASON_CABLE_DUPLICATED
			? ""
			: ", and it was sent twice");
	else if (v->nout > 1)
		add(t, " -> %u ports", v->nout);
	else if (v->out != NULL && v->reason == REASON_FORWARDED)
		add(t, " (%s)", v->out); /* "to the port where ..." */
	else if (v->out != NULL)
		add(t, " -> %s", v->out);
}

static void
add_verdict(struct text *t, const struct verdict_facts *v)
{
	add(t, "%s: ", v->node);
	if (reason_is_drop(v->reason))
		add(t, "dropped (%s): ", reason_name(v->reason));
	add_sentence(t, reason_sentence(v->reason), v->entry);
	if (!reason_is_drop(v->reason))
		add_ways(t, v);
}

char *
verdict_text(char *out, size_t out_bytes, const struct verdict_facts *verdict)
{
	struct text t = { .at = out, .left = out_bytes };

	add(&t, "%s", "");
	if (verdict->node != NULL)
		add_verdict(&t, verdict);
	return out;
}

/* Of what comes in, the port that it left by has said the cause; but for a cable
 * that did something to it on the way. */
static bool
has_cause(enum direction dir, const struct verdict_facts *cause)
{
	return dir == DIR_OUT || reason_is_of_cable(cause->reason);
}

char *
frame_verdict_text(char *out, size_t out_bytes, enum direction dir,
    const struct verdict_facts *cause, const struct verdict_facts *verdict)
{
	struct text t = { .at = out, .left = out_bytes };
	const char *between = "";

	add(&t, "%s", "");
	if (has_cause(dir, cause) && cause->node != NULL) {
		add_verdict(&t, cause);
		between = "; ";
	}
	if (verdict->node != NULL) {
		add(&t, "%s", between);
		add_verdict(&t, verdict);
	}
	return out;
}

/* ---- for programs ---- */

/* A name as one word: that of a cable has blanks. */
static void
add_name(struct text *t, const char *whose, const char *key, const char *name)
{
	char *at;

	add(t, " %s%s=", whose, key);
	at = t->at;
	add(t, "%s", name);
	for (; at < t->at; at++)
		if (*at == ' ')
			*at = '_';
}

static void
add_facts(struct text *t, const char *whose, const struct verdict_facts *v)
{
	if (v->node == NULL)
		return;
	add_name(t, whose, "node", v->node);
	add(t, " %sverdict=%s", whose, reason_name(v->reason));
	if (v->out != NULL)
		add_name(t, whose, "out", v->out);
	if (v->nout != 0)
		add(t, " %sports=%u", whose, v->nout);
	if (v->entry != 0)
		add(t, " %sentry=%u", whose, v->entry);
	if (v->other != 0)
		add(t, " %sother=%u", whose, v->other);
}

char *
frame_verdict_facts(char *out, size_t out_bytes, enum direction dir,
    const struct verdict_facts *cause, const struct verdict_facts *verdict)
{
	struct text t = { .at = out, .left = out_bytes };

	add(&t, "%s", "");
	if (has_cause(dir, cause))
		add_facts(&t, "cause.", cause);
	add_facts(&t, "", verdict);
	return out;
}
