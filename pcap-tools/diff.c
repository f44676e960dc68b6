#include "pcap-tools/diff.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "pcap-tools/capture.h"
#include "pcap-tools/crossing.h"

struct side {
	const char *path;
	struct reader *reader;
	struct crossing crossing;
	int end; /* what crossing_next() said */
};

static const char *
point_name(const struct side *side)
{
	return reader_interface(side->reader, side->crossing.frame.interface)
	    ->name;
}

static void
say_side(const struct side *side, FILE *out)
{
	const struct crossing *c = &side->crossing;
	char text[SUMMARY_BYTES];

	if (side->end == 0) {
		fprintf(out, "  %s: ends here\n", side->path);
		return;
	}
	fprintf(out, "  %s: %" PRIu64 ".%09" PRIu64 " s %s, %u bytes: %s\n",
	    side->path, c->frame.at_ns / 1000000000,
	    c->frame.at_ns % 1000000000,
	    point_name(side)[0] != '\0' ? point_name(side) : "(no name)",
	    c->frame.len_bytes,
	    frame_summary(
		text, sizeof(text), c->frame.data, c->frame.kept_bytes));
	if (c->verdict.node[0] != '\0')
		fprintf(out, "    %s: %s\n", c->verdict.node, c->verdict.name);
}

static bool
verdicts_differ(
    const struct crossing_verdict *a, const struct crossing_verdict *b)
{
	return strcmp(a->node, b->node) != 0 || strcmp(a->name, b->name) != 0 ||
	    strcmp(a->out, b->out) != 0 || a->ports != b->ports ||
	    a->entry != b->entry || a->other != b->other;
}

/* Where the bytes of two frames differ first, or -1. */
static long
first_byte(const struct reader_frame *a, const struct reader_frame *b)
{
	uint32_t n =
	    a->kept_bytes < b->kept_bytes ? a->kept_bytes : b->kept_bytes;

	for (uint32_t i = 0; i < n; i++)
		if (a->data[i] != b->data[i])
			return i;
	return a->kept_bytes != b->kept_bytes ? (long)n : -1;
}

/* What differs between the two frames that are there; false: nothing. */
static bool
say_difference(const struct side *a, const struct side *b,
    const struct diff_options *options, FILE *out)
{
	const struct reader_frame *fa = &a->crossing.frame;
	const struct reader_frame *fb = &b->crossing.frame;
	long byte;

	if (a->end == 0 || b->end == 0) {
		fprintf(out, "one capture is longer");
		return true;
	}
	byte = first_byte(fa, fb);
	if (strcmp(point_name(a), point_name(b)) != 0)
		fprintf(out, "another point");
	else if (byte >= 0)
		fprintf(out, "byte %ld differs", byte);
	else if (fa->len_bytes != fb->len_bytes)
		fprintf(out, "another length");
	else if (a->crossing.out != b->crossing.out)
		fprintf(out, "another direction");
	else if (!options->ignore_times && fa->at_ns != fb->at_ns)
		fprintf(out, "the same, %" PRIu64 " ns %s",
		    fa->at_ns < fb->at_ns ? fb->at_ns - fa->at_ns
					  : fa->at_ns - fb->at_ns,
		    fa->at_ns < fb->at_ns ? "later" : "earlier");
	else if (verdicts_differ(&a->crossing.verdict, &b->crossing.verdict) ||
	    verdicts_differ(&a->crossing.cause, &b->crossing.cause))
		fprintf(out, "another verdict");
	else
		return false;
	return true;
}

static int
compare(struct side *a, struct side *b, const struct diff_options *options,
    FILE *out, struct err *err)
{
	for (uint64_t n = 1;; n++) {
		a->end = crossing_next(a->reader, &a->crossing, err);
		b->end = crossing_next(b->reader, &b->crossing, err);
		if (a->end < 0 || b->end < 0)
			return -EINVAL;
		if (a->end == 0 && b->end == 0) {
			fprintf(out, "alike: %" PRIu64 " frames\n", n - 1);
			return 0;
		}
		if (!say_difference(a, b, options, out))
			continue;
		fprintf(out, " at frame %" PRIu64 "\n", n);
		say_side(a, out);
		say_side(b, out);
		return 1;
	}
}

int
capture_diff(const char *a, const char *b, const struct diff_options *options,
    FILE *out, struct err *err)
{
	struct side sa = { .path = a }, sb = { .path = b };
	int e = -EINVAL;

	sa.reader = reader_open_any(a, err);
	sb.reader = sa.reader != NULL ? reader_open_any(b, err) : NULL;
	if (sb.reader != NULL)
		e = compare(&sa, &sb, options, out, err);
	reader_free(sa.reader);
	reader_free(sb.reader);
	return e;
}
