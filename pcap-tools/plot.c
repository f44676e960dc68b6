#include "pcap-tools/plot.h"

#include <stdio.h>
#include <string.h>

#include "pcap-tools/svg.h"

#define WIDTH  800u
#define HEIGHT 320u
#define LEFT   88u
#define TOP    24u
#define BOTTOM 44u
#define LEGEND 22u /* per line */
#define TICKS  5u

static const char style[] =
    ".axis{stroke:#57606a;stroke-width:1.5}\n"
    ".grid{stroke:#e4e8ec;stroke-width:1}\n"
    ".y{fill:#57606a;text-anchor:end}\n"
    ".x{fill:#57606a;text-anchor:middle}\n"
    ".plot{fill:none;stroke-width:2;stroke-linejoin:round}\n"
    ".c0{stroke:#0b5394}.c1{stroke:#b3261e}.c2{stroke:#1a7f37}"
    ".c3{stroke:#9a6700}.c4{stroke:#6f42c1}.c5{stroke:#0a7ea4}"
    ".c6{stroke:#bf4b8a}.c7{stroke:#57606a}\n";

/* 1, 2 or 5 times a power of ten, at least v. */
static double
round_up(double v)
{
	double unit = 1;

	if (v <= 0)
		return 1;
	while (unit * 10 <= v)
		unit *= 10;
	while (unit > v)
		unit /= 10;
	return v <= unit    ? unit
	    : v <= 2 * unit ? 2 * unit
	    : v <= 5 * unit ? 5 * unit
			    : 10 * unit;
}

static char *
rate_text(char out[32], double bits_per_s)
{
	static const char *const units[] = { "bit/s", "kbit/s", "Mbit/s",
		"Gbit/s" };
	unsigned int u = 0;

	while (bits_per_s >= 1000 && u < 3) {
		bits_per_s /= 1000;
		u++;
	}
	snprintf(out, 32, "%g %s", bits_per_s, units[u]);
	return out;
}

/* The busiest points, most bytes first; how many. */
static unsigned int
choose(const struct stats *stats, uint32_t chosen[PLOT_LINES])
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < stats_points(stats); i++) {
		uint64_t bytes = stats_point(stats, i)->bytes;
		unsigned int k = n < PLOT_LINES ? n : PLOT_LINES - 1;

		if (bytes == 0 ||
		    (n == PLOT_LINES &&
			stats_point(stats, chosen[k])->bytes >= bytes))
			continue;
		for (;
		     k > 0 && stats_point(stats, chosen[k - 1])->bytes < bytes;
		     k--)
			chosen[k] = chosen[k - 1];
		chosen[k] = i;
		n += n < PLOT_LINES;
	}
	return n;
}

/* How many bins the capture spans, at least one. */
static unsigned int
bins_used(const struct stats *stats)
{
	unsigned int used = 1;

	for (uint32_t i = 0; i < stats_points(stats); i++)
		for (unsigned int b = used; b < STATS_BINS; b++)
			if (stats_point(stats, i)->bin[b] != 0)
				used = b + 1;
	return used;
}

static void
put_axes(FILE *out, double top, double span_s)
{
	double step_s = round_up(span_s / TICKS);
	char text[32];

	for (unsigned int i = 0; i <= TICKS; i++) {
		unsigned int y = TOP + HEIGHT - HEIGHT * i / TICKS;

		svg_line(
		    out, i == 0 ? "axis" : "grid", LEFT, y, LEFT + WIDTH, y);
		svg_text(out, LEFT - 8, y + 4, "y",
		    rate_text(text, top * i / TICKS));
	}
	/* At round times, of which fit as many as there are ticks or fewer. */
	for (unsigned int i = 0; step_s * i <= span_s; i++) {
		unsigned int x =
		    LEFT + (unsigned int)(WIDTH * (step_s * i / span_s));

		svg_line(out, "grid", x, TOP, x, TOP + HEIGHT);
		snprintf(text, sizeof(text), "%.6g s", step_s * i);
		svg_text(out, x, TOP + HEIGHT + 20, "x", text);
	}
	svg_line(out, "axis", LEFT, TOP, LEFT, TOP + HEIGHT);
}

static void
put_curve(FILE *out, const struct stats_point *p, unsigned int color,
    unsigned int bins, double bits_per_byte_s, double top)
{
	fprintf(out, "<polyline class=\"plot c%u\" points=\"", color);
	for (unsigned int b = 0; b < bins; b++)
		fprintf(out, "%s%.1f,%.1f", b > 0 ? " " : "",
		    LEFT + WIDTH * (b + 0.5) / bins,
		    TOP + HEIGHT -
			HEIGHT * (double)p->bin[b] * bits_per_byte_s / top);
	fputs("\"/>\n", out);
}

void
plot(const struct stats *stats, const struct reader *reader, FILE *out)
{
	uint32_t chosen[PLOT_LINES];
	unsigned int n = choose(stats, chosen), bins = bins_used(stats);
	uint64_t start_ns, bin_ns = stats_bin_ns(stats, &start_ns), most = 0;
	double bits_per_byte_s = 8e9 / (double)bin_ns, top;

	for (unsigned int i = 0; i < n; i++)
		for (unsigned int b = 0; b < bins; b++)
			if (stats_point(stats, chosen[i])->bin[b] > most)
				most = stats_point(stats, chosen[i])->bin[b];
	top = round_up((double)most * bits_per_byte_s);
	svg_begin(out, LEFT + WIDTH + 40, TOP + HEIGHT + BOTTOM + n * LEGEND,
	    "bit rates over time", style);
	put_axes(out, top, (double)bin_ns * bins / 1e9);
	for (unsigned int i = 0; i < n; i++) {
		unsigned int y = TOP + HEIGHT + BOTTOM + i * LEGEND;
		const char *name = reader_interface(reader, chosen[i])->name;
		char color[24];

		put_curve(out, stats_point(stats, chosen[i]), i, bins,
		    bits_per_byte_s, top);
		snprintf(color, sizeof(color), "plot c%u", i);
		svg_line(out, color, LEFT, y, LEFT + 24, y);
		svg_text(out, LEFT + 32, y + 4, NULL,
		    name[0] != '\0' ? name : "(no name)");
	}
	svg_end(out);
}
