/*
 * The ladder as SVG.  Rows are as high as a line of text; text that crosses a
 * lifeline has a rim of the page's colour, so that it stays readable.
 */
#include "pcap-tools/ladder_steps.h"

#include <string.h>

#include "pcap-tools/svg.h"

#define ROW    18u
#define TOP    44u
#define LEFT   112u /* of the first lifeline, with the time before it */
#define MARGIN 16u
#define HEAD   8u /* of an arrow */

static const char style[] =
    "text{paint-order:stroke;stroke:#fff;stroke-width:4px;"
    "stroke-linejoin:round}\n"
    ".node{fill:#e6f0fa;stroke:#0b5394;stroke-width:1.5}\n"
    ".column{font-weight:bold;fill:#0b5394;text-anchor:middle;"
    "stroke:none}\n"
    ".life{stroke:#9aa4af;stroke-width:1.5;stroke-dasharray:6 4}\n"
    ".arrow{stroke:#1b1f24;stroke-width:1.5;fill:none}\n"
    ".head{fill:#1b1f24}\n"
    ".drop{stroke:#b3261e;stroke-width:2;fill:none}\n"
    ".note{fill:#1a7f37}\n"
    ".bad{fill:#b3261e}\n"
    ".changed{font-weight:bold;fill:#9a4b00}\n"
    ".time{fill:#57606a;text-anchor:end}\n"
    ".rule{stroke:#e4e8ec;stroke-width:1}\n";

struct picture {
	FILE *out;
	const struct ladder_model *model;
	unsigned int x[LADDER_COLUMNS_MAX];
	unsigned int y;
};

static unsigned int
rows_of(const struct ladder_step *step)
{
	return (step->line[0].text[0] != '\0') +
	    (step->line[1].text[0] != '\0') + 1 + (step->note[0] != '\0');
}

/* A line of text with its changed words set off. */
static void
put_line(const struct picture *p, unsigned int x, unsigned int y,
    const struct ladder_line *line)
{
	const char *at = line->text, *from = at;
	char word[LADDER_LINE_BYTES];
	unsigned int n;

	if (line->changed == 0) {
		svg_text(p->out, x, y, NULL, line->text);
		return;
	}
	fprintf(p->out, "<text x=\"%u\" y=\"%u\">", x, y);
	for (unsigned int i = 0; (n = ladder_word(&at)) > 0; i++) {
		fprintf(p->out, "%.*s", (int)(at - from), from); /* blanks */
		memcpy(word, at, n);
		word[n] = '\0';
		if (i < 32 && line->changed >> i & 1)
			fputs("<tspan class=\"changed\">", p->out);
		svg_escaped(p->out, word);
		if (i < 32 && line->changed >> i & 1)
			fputs("</tspan>", p->out);
		at += n;
		from = at;
	}
	fputs("</text>\n", p->out);
}

/* A cross where a frame ended. */
static void
put_cross(const struct picture *p, unsigned int x, unsigned int y)
{
	svg_line(p->out, "drop", x - 5, y - 5, x + 5, y + 5);
	svg_line(p->out, "drop", x - 5, y + 5, x + 5, y - 5);
}

static void
put_arrow(const struct picture *p, const struct ladder_step *step)
{
	unsigned int from = p->x[step->from], to = p->x[step->to];
	unsigned int y = p->y - ROW / 2;

	if (from == to) {
		svg_line(p->out, "arrow", from, y, from + 3 * HEAD, y);
		if (step->drop)
			put_cross(p, from + 3 * HEAD, y);
		return;
	}
	svg_line(
	    p->out, "arrow", from, y, from < to ? to - HEAD : to + HEAD, y);
	if (step->drop)
		put_cross(p, from < to ? to - HEAD : to + HEAD, y);
	else
		fprintf(p->out,
		    "<path class=\"head\" d=\"M%u %ul%d -5v10z\"/>\n", to, y,
		    from < to ? -(int)HEAD : (int)HEAD);
}

static void
put_step(struct picture *p, const struct ladder_step *step)
{
	unsigned int from = p->x[step->from], to = p->x[step->to];
	unsigned int x = (from < to ? from : to) + 2 * SVG_CHAR;
	char text[32];

	if (step->new_journey)
		p->y += ROW / 2;
	snprintf(text, sizeof(text), "%.6f s", (double)step->at_ns / 1e9);
	svg_text(p->out, LEFT - 16, p->y + ROW, "time", text);
	for (unsigned int i = 0; i < 2; i++) {
		if (step->line[i].text[0] == '\0')
			continue;
		p->y += ROW;
		put_line(p, x, p->y, &step->line[i]);
	}
	p->y += ROW;
	put_arrow(p, step);
	if (step->note[0] == '\0')
		return;
	p->y += ROW;
	svg_text(p->out, to + 2 * SVG_CHAR, p->y - 4,
	    step->drop ? "bad" : "note", step->note);
}

static void
put_columns(const struct picture *p, unsigned int bottom)
{
	for (unsigned int i = 0; i < p->model->ncolumns; i++) {
		const char *name = p->model->columns[i].name;
		unsigned int width =
		    (unsigned int)strlen(name) * SVG_CHAR + 2 * SVG_CHAR;
		unsigned int left =
		    p->x[i] > width / 2 ? p->x[i] - width / 2 : 0;

		svg_line(p->out, "life", p->x[i], TOP - 10, p->x[i], bottom);
		svg_box(p->out, "node", left, 10, width, 24);
		svg_text(p->out, p->x[i], 27, "column", name);
	}
}

void
ladder_svg(const struct ladder_model *model, FILE *out)
{
	struct picture p = { .out = out, .model = model, .y = TOP };
	unsigned int gap[LADDER_COLUMNS_MAX];
	unsigned int width = LEFT + 100, height = TOP + MARGIN;

	ladder_gaps(model, gap);
	for (unsigned int i = 0, x = LEFT; i < model->ncolumns; i++) {
		unsigned int half =
		    (unsigned int)strlen(model->columns[i].name) * SVG_CHAR / 2;

		if (i == 0 && half + MARGIN > LEFT)
			x = half + MARGIN;
		p.x[i] = x;
		if (x + half > width)
			width = x + half;
		x += gap[i] * SVG_CHAR;
	}
	for (unsigned int i = 0; i < model->nsteps; i++) {
		const struct ladder_step *s = &model->steps[i];
		unsigned int note =
		    p.x[s->to] + (unsigned int)(strlen(s->note) + 2) * SVG_CHAR;

		width = note > width ? note : width;
		if (s->from == s->to) {
			unsigned int n = (unsigned int)strlen(s->line[0].text);
			unsigned int m = (unsigned int)strlen(s->line[1].text);

			note = p.x[s->to] + ((n > m ? n : m) + 2) * SVG_CHAR;
			width = note > width ? note : width;
		}
		height += rows_of(s) * ROW + (s->new_journey ? ROW / 2 : 0);
	}
	svg_begin(out, width + MARGIN, height, "sequence diagram", style);
	put_columns(&p, height - MARGIN / 2);
	for (unsigned int i = 0; i < model->nsteps; i++)
		put_step(&p, &model->steps[i]);
	svg_end(out);
}
