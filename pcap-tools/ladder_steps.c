/*
 * Two readings where there is a filter: the first notes which journeys it lets
 * through, in a bitmap by a hash, so that memory is bounded; the second takes
 * all frames of those.  Two journeys that share a bit are shown both, which for
 * a picture is good enough.
 *
 * The columns of our own captures follow from names: a point "gw.inside" is a
 * port of node "gw", and its description says what it is cabled to.
 */
#include "pcap-tools/ladder_steps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pcap-tools/capture.h"
#include "pcap-tools/filter.h"
#include "pcap-tools/pair.h"

#define BITS        (1u << 24)
#define CABLED_TO   "cabled to "
#define RECENT      1024 /* steps that a new one may have come from */
#define LINE_JOINER " > "

struct building {
	struct ladder_model *model;
	struct reader *reader;
	struct filter *filter;
	uint8_t *wanted; /* BITS, or NULL: everything */
	uint8_t *told;   /* BITS: verdicts that ports have told */
	struct pairing *pairing;
	/* By frame number: the step that it is part of; those in the file's
	 * last RECENT frames. */
	struct {
		uint64_t number;
		unsigned int step; /* plus 1 */
	} recent[RECENT];
	uint64_t shown; /* steps, with those that were left out */
};

/* ---- words ---- */

unsigned int
ladder_word(const char **text)
{
	while (**text == ' ')
		(*text)++;
	return (unsigned int)strcspn(*text, " ");
}

/* Marks the words of line that differ from those of before. */
static void
compare(struct ladder_line *line, const struct ladder_line *before)
{
	const char *a = line->text, *b = before->text;

	for (unsigned int i = 0; i < 32; i++) {
		unsigned int n = ladder_word(&a), m = ladder_word(&b);

		if (n == 0)
			return;
		if (n != m || memcmp(a, b, n) != 0)
			line->changed |= 1u << i;
		a += n;
		b += m;
	}
}

/* ---- what is shown ---- */

static size_t
bit_of(uint32_t journey)
{
	return journey * 2654435761u % BITS;
}

/* Whether this comes from the bin and tells what a port has told already. */
static bool
is_told_again(struct building *b, const struct crossing *c)
{
	const struct reader_interface *i =
	    reader_interface(b->reader, c->frame.interface);
	size_t bit = bit_of(
	    c->journey ^ ((uint32_t)reason_of_name(c->verdict.name) << 24));
	uint8_t mask = (uint8_t)(1u << bit % 8);
	bool told = b->told[bit / 8] & mask;

	b->told[bit / 8] |= mask;
	return told && c->journey != 0 && strcmp(i->name, CAPTURE_BIN) == 0;
}

static bool
matches(const struct building *b, const struct crossing *c)
{
	return b->filter == NULL ||
	    filter_match(b->filter, c->frame.data, c->frame.kept_bytes);
}

static bool
is_wanted(const struct building *b, const struct crossing *c)
{
	size_t bit = bit_of(c->journey);

	if (b->wanted == NULL || c->journey == 0)
		return matches(b, c);
	return b->wanted[bit / 8] >> bit % 8 & 1;
}

/* The first reading. */
static int
note_journeys(struct building *b, const char *path, struct err *err)
{
	struct reader *reader;
	struct crossing c;
	int e;

	if (strcmp(path, "-") == 0)
		return err_set(err, -EINVAL,
		    "standard input cannot be read twice, as a filter needs; "
		    "write it to a file first");
	b->wanted = calloc(1, BITS / 8);
	if (b->wanted == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", path);
	reader = reader_open_any(path, err);
	if (reader == NULL)
		return -EINVAL;
	while ((e = crossing_next(reader, &c, err)) == 1) {
		size_t bit = bit_of(c.journey);

		if (c.journey != 0 && matches(b, &c))
			b->wanted[bit / 8] |= (uint8_t)(1u << bit % 8);
	}
	reader_free(reader);
	return e;
}

/* ---- columns ---- */

static unsigned int
column(struct ladder_model *model, const char *name, size_t n)
{
	struct ladder_column *c;

	if (n >= sizeof(c->name))
		n = sizeof(c->name) - 1;
	for (unsigned int i = 0; i < model->ncolumns; i++) {
		c = &model->columns[i];
		if (strncmp(c->name, name, n) == 0 && c->name[n] == '\0')
			return i;
	}
	if (model->ncolumns == LADDER_COLUMNS_MAX)
		return LADDER_COLUMNS_MAX - 1;
	c = &model->columns[model->ncolumns];
	memcpy(c->name, name, n);
	c->name[n] = '\0';
	return model->ncolumns++;
}

static unsigned int
column_of_port(struct ladder_model *model, const char *port)
{
	return column(model, port, strcspn(port, "."));
}

/* Between which nodes a crossing lies, as its point says; false: it does not.
 * from first: columns appear in the order of time. */
static bool
nodes_of(struct building *b, const struct crossing *c, struct ladder_step *step)
{
	const struct reader_interface *i =
	    reader_interface(b->reader, c->frame.interface);
	const char *peer = strstr(i->description, CABLED_TO);

	if (c->journey == 0 || !c->directed || i->name[0] == '\0')
		return false;
	if (peer != NULL)
		peer += strlen(CABLED_TO);
	if (c->out) {
		step->from = column_of_port(b->model, i->name);
		step->to = step->from;
		if (c->verdict.node[0] != '\0')
			step->to = column(
			    b->model, c->verdict.node, strlen(c->verdict.node));
		else if (peer != NULL)
			step->to = column_of_port(b->model, peer);
	} else {
		step->from = peer != NULL ? column_of_port(b->model, peer) : 0;
		step->to = column_of_port(b->model, i->name);
		if (peer == NULL)
			step->from = step->to;
	}
	return true;
}

static void
hosts_of(struct building *b, const struct crossing *c, struct ladder_step *step)
{
	struct packet_end src = c->packet.flow.src, dst = c->packet.flow.dst;
	char text[PACKET_END_BYTES];

	if (!c->readable) {
		step->from = step->to = column(b->model, "?", 1);
		return;
	}
	src.port = dst.port = 0;
	packet_end_text(text, &c->packet.flow, &src);
	step->from = column(b->model, text, strlen(text));
	packet_end_text(text, &c->packet.flow, &dst);
	step->to = column(b->model, text, strlen(text));
}

/* ---- lines ---- */

static void
copy_line(char *to, const char *from, size_t n)
{
	if (n >= LADDER_LINE_BYTES)
		n = LADDER_LINE_BYTES - 1;
	memcpy(to, from, n);
	to[n] = '\0';
}

/* "IPv4 a > b REST" becomes "a > b" and "REST". */
static void
write_lines(struct ladder_step *step, const struct crossing *c)
{
	char text[SUMMARY_BYTES];
	const char *start = text, *joiner, *rest;

	frame_summary(text, sizeof(text), c->frame.data, c->frame.kept_bytes);
	if (strncmp(start, "IPv4 ", 5) == 0)
		start += 5;
	joiner = strstr(start, LINE_JOINER);
	if (joiner == NULL) {
		copy_line(step->line[0].text, start, strlen(start));
		return;
	}
	rest = joiner + strlen(LINE_JOINER);
	rest += strcspn(rest, " ");
	copy_line(step->line[0].text, start, (size_t)(rest - start));
	copy_line(step->line[1].text, rest + (*rest == ' '),
	    strlen(rest + (*rest == ' ')));
}

static void
write_note(struct ladder_step *step, const struct crossing *c)
{
	const struct crossing_verdict *v = &c->verdict;
	enum reason reason = reason_of_name(v->name);

	step->drop = v->drop;
	if (v->name[0] == '\0')
		return;
	if (v->drop)
		snprintf(step->note, sizeof(step->note), "dropped: %s%s%s",
		    v->name, reason != REASON_COUNT ? ": " : "",
		    reason != REASON_COUNT ? reason_sentence(reason) : "");
	else if (v->entry != 0)
		snprintf(step->note, sizeof(step->note), "%s, entry %u",
		    v->name, v->entry);
	else if (v->ports > 1 && !reason_is_of_cable(reason))
		snprintf(step->note, sizeof(step->note), "%s, %u ports",
		    v->name, v->ports);
	else
		snprintf(step->note, sizeof(step->note), "%s", v->name);
}

/* ---- steps ---- */

static struct ladder_step *
step_of_frame(struct building *b, uint64_t number)
{
	unsigned int step = 0;

	if (b->recent[number % RECENT].number == number)
		step = b->recent[number % RECENT].step;
	return step != 0 ? &b->model->steps[step - 1] : NULL;
}

static void
remember(struct building *b, uint64_t number, const struct ladder_step *step)
{
	b->recent[number % RECENT].number = number;
	b->recent[number % RECENT].step =
	    (unsigned int)(step - b->model->steps) + 1;
}

static struct ladder_step *
new_step(struct ladder_model *model)
{
	if (model->nsteps == model->max_steps) {
		unsigned int max =
		    model->max_steps != 0 ? 2 * model->max_steps : 64;
		void *grown =
		    realloc(model->steps, max * sizeof(*model->steps));

		if (grown == NULL)
			return NULL;
		model->steps = grown;
		model->max_steps = max;
	}
	return &model->steps[model->nsteps++];
}

/* Whether step is the other end of the cable that before has shown. */
static bool
is_same_hop(const struct ladder_step *step, const struct ladder_step *before)
{
	return step->from == before->from && step->to == before->to &&
	    step->from != step->to &&
	    strcmp(step->line[0].text, before->line[0].text) == 0 &&
	    strcmp(step->line[1].text, before->line[1].text) == 0;
}

static int
add_step(struct building *b, const struct crossing *c, unsigned int most)
{
	struct ladder_step step = { .number = c->frame.number }, *before = NULL;
	struct ladder_model *model = b->model;
	struct paired from, to;

	if (pairing_next(b->pairing, c, 0, c->frame.interface, &from, &to))
		before = step_of_frame(b, from.number);
	if (model->nsteps >= most) {
		model->left_out++;
		return 0;
	}
	if (!nodes_of(b, c, &step))
		hosts_of(b, c, &step);
	write_lines(&step, c);
	write_note(&step, c);
	if (before != NULL && is_same_hop(&step, before)) {
		remember(b, c->frame.number, before);
		return 0;
	}
	if (model->nsteps == 0)
		model->start_ns = c->frame.at_ns;
	step.at_ns = c->frame.at_ns > model->start_ns
	    ? c->frame.at_ns - model->start_ns
	    : 0;
	step.new_journey = before == NULL;
	for (unsigned int i = 0; i < 2 && before != NULL; i++)
		compare(&step.line[i], &before->line[i]);
	before = new_step(model);
	if (before == NULL)
		return -ENOMEM;
	*before = step;
	remember(b, c->frame.number, before);
	return 0;
}

static int
read_steps(
    struct building *b, const char *path, unsigned int most, struct err *err)
{
	struct crossing c;
	int e;

	b->reader = reader_open_any(path, err);
	if (b->reader == NULL)
		return -EINVAL;
	while ((e = crossing_next(b->reader, &c, err)) == 1) {
		if (is_wanted(b, &c) && !is_told_again(b, &c) &&
		    add_step(b, &c, most) < 0)
			return err_set(err, -ENOMEM, "%s: out of memory", path);
	}
	return e;
}

int
ladder_read(struct ladder_model *model, const char *path,
    const struct ladder_options *options, struct err *err)
{
	struct building *b = calloc(1, sizeof(*b));
	unsigned int most = options->max_steps;
	int e = 0;

	*model = (struct ladder_model){ 0 };
	if (b == NULL || (b->pairing = pairing_new()) == NULL ||
	    (b->told = calloc(1, BITS / 8)) == NULL) {
		if (b != NULL)
			pairing_free(b->pairing);
		free(b);
		return err_set(err, -ENOMEM, "%s: out of memory", path);
	}
	b->model = model;
	if (most == 0 || most > LADDER_STEPS_MAX)
		most = LADDER_STEPS_MAX;
	if (options->filter != NULL) {
		b->filter = filter_new(options->filter, 0, err);
		e = b->filter == NULL ? -EINVAL : note_journeys(b, path, err);
	}
	if (e == 0)
		e = read_steps(b, path, most, err);
	filter_free(b->filter);
	pairing_free(b->pairing);
	reader_free(b->reader);
	free(b->wanted);
	free(b->told);
	free(b);
	return e;
}

void
ladder_free(struct ladder_model *model)
{
	free(model->steps);
}

/* ---- room ---- */

static unsigned int
most(unsigned int a, unsigned int b)
{
	return a > b ? a : b;
}

static unsigned int
step_width(const struct ladder_step *step)
{
	return most((unsigned int)strlen(step->line[0].text),
		   (unsigned int)strlen(step->line[1].text)) +
	    4;
}

void
ladder_gaps(
    const struct ladder_model *model, unsigned int gap[LADDER_COLUMNS_MAX])
{
	for (unsigned int i = 0; i < model->ncolumns; i++) {
		unsigned int name =
		    (unsigned int)strlen(model->columns[i].name);
		unsigned int next = i + 1 < model->ncolumns
		    ? (unsigned int)strlen(model->columns[i + 1].name)
		    : 0;

		gap[i] = most(8, (name + next) / 2 + 2);
	}
	/* An arrow has room for its text, and one to itself. */
	for (unsigned int i = 0; i < model->nsteps; i++) {
		const struct ladder_step *s = &model->steps[i];
		unsigned int low = s->from < s->to ? s->from : s->to;
		unsigned int high = most(s->from, s->to), room = 0;

		for (unsigned int k = low; k < high; k++)
			room += gap[k];
		if (low == high)
			gap[low] = most(gap[low], step_width(s));
		else if (room < step_width(s))
			gap[high - 1] += step_width(s) - room;
	}
}
