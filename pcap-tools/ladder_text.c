/*
 * The ladder in letters:
 *
 *       time       lan                            gw
 *                   │                              │
 *     0.000000 s    │ 10.0.0.100 > 203.0.113.10    │
 *                   │ ICMP echo request id 7 seq 1 │
 *                   ├─────────────────────────────▶│
 *                   │                              │ nat-new, entry 1
 *
 * Under a word that a node changed stand carets.  A line is put together in
 * cells, one glyph each, and may hide the lifelines that it crosses.
 */
#include "pcap-tools/ladder_steps.h"

#include <stdlib.h>
#include <string.h>

#define TIME_CELLS 15
#define CELLS_MAX  8192

struct canvas {
	FILE *out;
	const struct ladder_model *model;
	unsigned int x[LADDER_COLUMNS_MAX];
	const char *cells[CELLS_MAX];
	char letters[128][2];
};

static void
begin_line(struct canvas *c)
{
	memset(c->cells, 0, sizeof(c->cells));
	for (unsigned int i = 0; i < c->model->ncolumns; i++)
		if (c->x[i] < CELLS_MAX)
			c->cells[c->x[i]] = "│";
}

static void
end_line(struct canvas *c)
{
	unsigned int end = CELLS_MAX;

	while (end > 0 && c->cells[end - 1] == NULL)
		end--;
	for (unsigned int i = 0; i < end; i++)
		fputs(c->cells[i] != NULL ? c->cells[i] : " ", c->out);
	fputc('\n', c->out);
}

static void
put(struct canvas *c, unsigned int x, const char *glyph)
{
	if (x < CELLS_MAX)
		c->cells[x] = glyph;
}

static void
put_text(struct canvas *c, unsigned int x, const char *text)
{
	for (; *text != '\0'; text++, x++)
		put(c, x, c->letters[(unsigned char)*text & 0x7f]);
}

static void
put_carets(struct canvas *c, unsigned int x, const struct ladder_line *line)
{
	const char *at = line->text;
	unsigned int n;

	for (unsigned int i = 0; i < 32 && (n = ladder_word(&at)) > 0; i++) {
		for (unsigned int k = 0; k < n && line->changed >> i & 1; k++)
			put(c, x + (unsigned int)(at - line->text) + k, "^");
		at += n;
	}
}

static void
put_arrow(struct canvas *c, const struct ladder_step *step)
{
	unsigned int from = c->x[step->from], to = c->x[step->to];
	unsigned int low = from < to ? from : to;
	unsigned int high = from < to ? to : from;

	if (from == to) {
		put(c, from, "├");
		put(c, from + 1, "─");
		put(c, from + 2, step->drop ? "x" : "─");
		return;
	}
	for (unsigned int x = low; x <= high; x++)
		put(c, x, x > low && c->cells[x] != NULL ? "┼" : "─");
	put(c, from, from < to ? "├" : "┤");
	put(c, to, "│");
	put(c, from < to ? to - 1 : to + 1,
	    step->drop      ? "x"
		: from < to ? "▶"
			    : "◀");
}

static void
put_step(struct canvas *c, const struct ladder_step *step)
{
	unsigned int from = c->x[step->from], to = c->x[step->to];
	unsigned int x = (from < to ? from : to) + 2;
	char text[32];

	if (step->new_journey) {
		begin_line(c);
		end_line(c);
	}
	for (unsigned int i = 0; i < 2; i++) {
		const struct ladder_line *line = &step->line[i];

		if (line->text[0] == '\0')
			continue;
		begin_line(c);
		if (i == 0) {
			snprintf(text, sizeof(text), "%12.6f s",
			    (double)step->at_ns / 1e9);
			put_text(c, 0, text);
		}
		put_text(c, x, line->text);
		end_line(c);
		if (line->changed == 0)
			continue;
		begin_line(c);
		put_carets(c, x, line);
		end_line(c);
	}
	begin_line(c);
	put_arrow(c, step);
	end_line(c);
	if (step->note[0] == '\0')
		return;
	begin_line(c);
	put_text(c, to + 2, step->note);
	end_line(c);
}

static void
put_names(struct canvas *c)
{
	memset(c->cells, 0, sizeof(c->cells));
	put_text(c, 8, "time");
	for (unsigned int i = 0; i < c->model->ncolumns; i++) {
		const char *name = c->model->columns[i].name;
		unsigned int half = (unsigned int)strlen(name) / 2;

		put_text(c, c->x[i] > half ? c->x[i] - half : 0, name);
	}
	end_line(c);
}

void
ladder_text(const struct ladder_model *model, FILE *out)
{
	unsigned int gap[LADDER_COLUMNS_MAX];
	struct canvas *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		fputs("out of memory\n", out);
		return;
	}
	c->out = out;
	c->model = model;
	for (int i = 0; i < 128; i++)
		c->letters[i][0] = (char)i;
	ladder_gaps(model, gap);
	for (unsigned int i = 0, x = TIME_CELLS + 4; i < model->ncolumns; i++) {
		c->x[i] = x;
		x += gap[i];
	}
	put_names(c);
	for (unsigned int i = 0; i < model->nsteps; i++)
		put_step(c, &model->steps[i]);
	put_names(c);
	free(c);
}
