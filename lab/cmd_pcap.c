/*
 * pcap: tools on captures, ours and those of others.
 */
#include "lab/command.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "lab/nearest.h"
#include "lab/table.h"
#include "lab/units.h"
#include "pcap-tools/capture.h"
#include "pcap-tools/diff.h"
#include "pcap-tools/ladder.h"
#include "pcap-tools/pair.h"
#include "pcap-tools/pair_write.h"
#include "pcap-tools/plot.h"
#include "pcap-tools/stats.h"

#define PAIRS_MAX  TABLE_ROWS_MAX
#define FILES_MAX  8
#define FLOWS_SHOW 20 /* conversations in a table, if no other number is said */

/* Rows for programs, or a table for people. */
static void
print_rows(struct call *call, const struct table_head *head, json_t *rows)
{
	if (option_get(&call->options, "json") != NULL) {
		json_dumpf(rows, call->out, JSON_INDENT(2));
		fputc('\n', call->out);
	} else {
		table_print(head, rows, "", call->out);
	}
}

/* ---- pair ---- */

/* Several captures, read in the order of their stamps. */
struct merged {
	struct call *call;
	struct reader *readers[FILES_MAX];
	struct crossing next[FILES_MAX];
	int state[FILES_MAX]; /* what crossing_next() said */
	int n;
};

static bool
open_all(struct merged *m)
{
	m->n = m->call->options.nargs;
	for (int i = 0; i < m->n; i++) {
		m->readers[i] =
		    reader_open_any(m->call->options.args[i], &m->call->err);
		if (m->readers[i] == NULL)
			return false;
		m->state[i] =
		    crossing_next(m->readers[i], &m->next[i], &m->call->err);
		if (m->state[i] < 0)
			return false;
	}
	return true;
}

static void
close_all(struct merged *m)
{
	for (int i = 0; i < m->n; i++)
		reader_free(m->readers[i]);
}

/* The file whose next crossing is the oldest, or -1. */
static int
oldest(const struct merged *m)
{
	int best = -1;

	for (int i = 0; i < m->n; i++)
		if (m->state[i] == 1 &&
		    (best < 0 ||
			m->next[i].frame.at_ns < m->next[best].frame.at_ns))
			best = i;
	return best;
}

static const struct table_head pair_head = {
	.name = "pair",
	.columns = {
		{ "from_frame", "FRAME" },
		{ "from_point", "AT" },
		{ "from_file", NULL },
		{ "to_frame", "BECAME" },
		{ "to_point", "AT" },
		{ "to_file", NULL },
		{ "us", "AFTER us" },
		{ "protocol", "PROTOCOL" },
		{ "was", "WAS" },
		{ "is", "IS" },
		{ "node", "NODE" },
		{ "verdict", "VERDICT" },
		{ "entry", "ENTRY" },
		{ NULL, NULL },
	},
};

static char *
flow_text(char out[2 * PACKET_END_BYTES + 4], const struct packet_flow *flow)
{
	char src[PACKET_END_BYTES], dst[PACKET_END_BYTES];

	snprintf(out, 2 * PACKET_END_BYTES + 4, "%s > %s",
	    packet_end_text(src, flow, &flow->src),
	    packet_end_text(dst, flow, &flow->dst));
	return out;
}

/* As a user names it: with the file where there are several. */
static char *
point_text(char out[128], const struct merged *m, const struct paired *p)
{
	const char *name =
	    reader_interface(m->readers[p->file], p->point)->name;

	if (name[0] == '\0')
		snprintf(out, 128, "%u", p->point);
	else
		snprintf(out, 128, "%s", name);
	return out;
}

static void
add_pair(struct table *table, const struct merged *m, const struct paired *from,
    const struct paired *to)
{
	char was[2 * PACKET_END_BYTES + 4], is[2 * PACKET_END_BYTES + 4];
	char at[2][128], protocol[16];
	double us = ((double)to->at_ns - (double)from->at_ns) / 1e3;
	bool same = memcmp(&from->flow, &to->flow, sizeof(to->flow)) == 0;

	table_add(table, "[I,s,s,I,s,s,f,s,s,s,s?,s?,o]",
	    (json_int_t)from->number, point_text(at[0], m, from),
	    m->call->options.args[from->file], (json_int_t)to->number,
	    point_text(at[1], m, to), m->call->options.args[to->file], us,
	    packet_protocol_text(protocol, &to->flow),
	    flow_text(was, &from->flow),
	    same ? "the same" : flow_text(is, &to->flow),
	    from->node[0] != '\0' ? from->node : NULL,
	    from->verdict[0] != '\0' ? from->verdict : NULL,
	    from->entry != 0 ? json_integer(from->entry) : json_null());
}

static int
collect_pairs(struct merged *m, struct table *table, uint64_t *frames)
{
	struct pairing *pairing = pairing_new();
	struct paired from, to;
	bool changed = option_get(&m->call->options, "changed") != NULL;
	int i, e = 0;

	if (pairing == NULL)
		return err_set(&m->call->err, -ENOMEM, "out of memory");
	while (e >= 0 && (i = oldest(m)) >= 0) {
		struct crossing *c = &m->next[i];

		++*frames;
		if (pairing_next(pairing, c, (uint32_t)i, c->frame.interface,
			&from, &to) &&
		    !(changed &&
			memcmp(&from.flow, &to.flow, sizeof(to.flow)) == 0))
			add_pair(table, m, &from, &to);
		e = m->state[i] =
		    crossing_next(m->readers[i], c, &m->call->err);
	}
	pairing_free(pairing);
	return e < 0 ? e : 0;
}

/* -w: instead of a table, the capture with references. */
static int
run_pair_write(struct call *call, const char *to)
{
	if (call->options.nargs != 1) {
		err_set(&call->err, -EINVAL,
		    "--write takes one capture; merge several by mergecap");
		return 2;
	}
	return pair_write(call->options.args[0], to, &call->err) < 0 ? 2 : 0;
}

static int
run_pair(struct call *call)
{
	const char *to = option_get(&call->options, "write");
	struct merged *m = calloc(1, sizeof(*m));
	struct table table;
	uint64_t frames = 0;
	int status = 2;

	if (to != NULL) {
		free(m);
		return run_pair_write(call, to);
	}
	if (m == NULL || table_init(&table, &pair_head) < 0) {
		free(m);
		err_set(&call->err, -ENOMEM, "out of memory");
		return 2;
	}
	m->call = call;
	if (open_all(m)) {
		json_t *rows;

		status = collect_pairs(m, &table, &frames) < 0 ? 2 : 0;
		rows = table_json(&table);
		print_rows(call, &pair_head, rows);
		if (option_get(&call->options, "json") == NULL)
			fprintf(call->out, "%zu pairs, in %" PRIu64 " frames\n",
			    json_array_size(rows) + table.left_out, frames);
		json_decref(rows);
	}
	close_all(m);
	table_free(&table);
	free(m);
	return status;
}

static const struct option_row pair_options[] = {
	{ "changed", 0, NULL, "only those whose addresses or ports changed" },
	{ "json", 0, NULL, "for programs" },
	{ "write", 'w', "FILE",
	    "instead: a copy whose comments name each frame's pair" },
	{ 0 },
};

static const struct command command_pair = {
	.name = "pcap pair",
	.arguments = "FILE...",
	.summary = "which frame became which, through switches and NATs",
	.help =
	    "Links each frame to the one that it became at another point, "
	    "and says how long\nthat took.  In captures of lanyard exactly; "
	    "in others by what a NAT leaves as it is,\nso that two files "
	    "of both sides of any router can be compared.",
	.options = pair_options,
	.min_args = 1,
	.max_args = FILES_MAX,
	.run = run_pair,
};

/* ---- ladder ---- */

static const struct option_row ladder_options[] = {
	{ "filter", 'f', "FILTER",
	    "frames that libpcap's expression lets through, and what became "
	    "of them" },
	{ "format", 0, "FORMAT", "text (the default) or svg" },
	{ "steps", 'n', "N", "how many arrows at most (200)" },
	{ 0 },
};

static int
run_ladder(struct call *call)
{
	const char *format = option_get(&call->options, "format");
	const char *steps = option_get(&call->options, "steps");
	struct ladder_options options = {
		.filter = option_get(&call->options, "filter"),
		.max_steps = 200,
	};
	uint64_t n;
	int e;

	if (format != NULL && strcmp(format, "svg") == 0) {
		options.format = LADDER_SVG;
	} else if (format != NULL && strcmp(format, "text") != 0) {
		err_set(&call->err, -EINVAL,
		    "format \"%.40s\" is not known; use text or svg", format);
		return 2;
	}
	if (steps != NULL) {
		if (!count_read(&n, steps, &call->err))
			return 2;
		if (n == 0 || n > LADDER_STEPS_MAX) {
			err_set(&call->err, -EINVAL,
			    "%s steps cannot be drawn; use 1 to %d", steps,
			    LADDER_STEPS_MAX);
			return 2;
		}
		options.max_steps = (unsigned int)n;
	}
	e = ladder(call->options.args[0], &options, call->out, &call->err);
	if (e > 0)
		fprintf(call->notes,
		    "%d frames more are left out; use --steps or --filter\n",
		    e);
	return e < 0 ? 2 : 0;
}

static const struct command command_ladder = {
	.name = "pcap ladder",
	.arguments = "FILE",
	.summary = "a capture as a sequence diagram",
	.help = "Draws who sent what to whom: columns are nodes, arrows are "
		"frames.  What a node\nchanged in a frame is set off, and its "
		"verdict stands beside the arrow.",
	.options = ladder_options,
	.min_args = 1,
	.max_args = 1,
	.run = run_ladder,
};

/* ---- stats ---- */

static const struct table_head point_head = {
	.name = "points",
	.columns = {
		{ "point", "POINT" },
		{ "frames", "FRAMES" },
		{ "bytes", "BYTES" },
		{ "seconds", "SECONDS" },
		{ "frames_per_s", "FRAMES/s" },
		{ "mbit_per_s", "Mbit/s" },
		{ "dropped", "DROPPED" },
		{ "lost", "NOT CAPTURED" },
		{ NULL, NULL },
	},
};

static const struct table_head flow_head = {
	.name = "flows",
	.columns = {
		{ "point", "POINT" },
		{ "protocol", "PROTOCOL" },
		{ "a", "A" },
		{ "b", "B" },
		{ "frames_ab", "A>B" },
		{ "bytes_ab", "BYTES" },
		{ "frames_ba", "B>A" },
		{ "bytes_ba", "BYTES" },
		{ "seconds", "SECONDS" },
		{ "dropped", "DROPPED" },
		{ "retransmissions", "RESENT" },
		{ "rtt_min_us", NULL },
		{ "rtt_mean_us", "RTT us" },
		{ "rtt_max_us", NULL },
		{ "rtts", NULL },
		{ NULL, NULL },
	},
};

static const struct table_head hop_head = {
	.name = "delays",
	.columns = {
		{ "from", "FROM" },
		{ "to", "TO" },
		{ "frames", "FRAMES" },
		{ "min_us", "MIN us" },
		{ "median_us", "MEDIAN us" },
		{ "max_us", "MAX us" },
		{ NULL, NULL },
	},
};

static double
seconds(uint64_t first_ns, uint64_t last_ns)
{
	return last_ns > first_ns ? (double)(last_ns - first_ns) / 1e9 : 0;
}

static const char *
name_at(const struct reader *reader, uint32_t point, char out[16])
{
	const char *name = reader_interface(reader, point)->name;

	if (name[0] != '\0')
		return name;
	snprintf(out, 16, "%u", point);
	return out;
}

static json_t *
per_second(double amount, double s)
{
	return s > 0 ? json_real(amount / s) : json_null();
}

static void
add_points(
    struct table *table, const struct stats *stats, const struct reader *reader)
{
	char text[16];

	for (uint32_t i = 0; i < reader_interfaces(reader); i++) {
		static const struct stats_point none;
		const struct stats_point *p =
		    i < stats_points(stats) ? stats_point(stats, i) : &none;
		const struct reader_interface *is = reader_interface(reader, i);
		double s = seconds(p->first_ns, p->last_ns);

		table_add(table, "[s,I,I,f,o,o,I,o]", name_at(reader, i, text),
		    (json_int_t)p->frames, (json_int_t)p->bytes, s,
		    per_second((double)p->frames, s),
		    per_second((double)p->bytes * 8 / 1e6, s),
		    (json_int_t)p->dropped,
		    is->counted ? json_integer((json_int_t)is->dropped)
				: json_null());
	}
}

static json_t *
microseconds(bool known, double ns)
{
	return known ? json_real(ns / 1e3) : json_null();
}

static void
add_flow(struct table *table, const struct stats_flow *f,
    const struct reader *reader)
{
	char a[PACKET_END_BYTES], b[PACKET_END_BYTES], text[16], protocol[16];
	bool timed = f->rtts > 0;

	table_add(table, "[s,s,s,s,I,I,I,I,f,I,I,o,o,o,I]",
	    name_at(reader, f->point, text),
	    packet_protocol_text(protocol, &f->flow),
	    packet_end_text(a, &f->flow, &f->flow.src),
	    packet_end_text(b, &f->flow, &f->flow.dst),
	    (json_int_t)f->way[0].frames, (json_int_t)f->way[0].bytes,
	    (json_int_t)f->way[1].frames, (json_int_t)f->way[1].bytes,
	    seconds(f->first_ns, f->last_ns),
	    (json_int_t)(f->way[0].dropped + f->way[1].dropped),
	    (json_int_t)(f->way[0].retransmissions + f->way[1].retransmissions),
	    microseconds(timed, (double)f->rtt_min_ns),
	    microseconds(
		timed, timed ? (double)f->rtt_sum_ns / (double)f->rtts : 0),
	    microseconds(timed, (double)f->rtt_max_ns), (json_int_t)f->rtts);
}

static void
add_hops(
    struct table *table, const struct stats *stats, const struct reader *reader)
{
	for (uint32_t i = 0; i < stats_hops(stats); i++) {
		const struct stats_hop *h = stats_hop(stats, i);
		char from[16], to[16];

		table_add(table, "[s,s,I,f,f,f]",
		    name_at(reader, h->from, from), name_at(reader, h->to, to),
		    (json_int_t)h->delay.n, (double)h->delay.min_ns / 1e3,
		    (double)stats_median_ns(&h->delay) / 1e3,
		    (double)h->delay.max_ns / 1e3);
	}
}

/* The three tables, in JSON as one object. */
static int
print_stats(struct call *call, struct stats *stats, const struct reader *reader,
    uint64_t most)
{
	const struct table_head *const heads[] = { &point_head, &flow_head,
		&hop_head };
	bool json = option_get(&call->options, "json") != NULL;
	uint32_t flows = stats_flows(stats);
	json_t *all = json_object();

	for (int i = 0; i < 3; i++) {
		struct table table;
		json_t *rows;

		if (table_init(&table, heads[i]) < 0)
			break;
		if (i == 0)
			add_points(&table, stats, reader);
		for (uint32_t k = 0; i == 1 && k < flows && k < most; k++)
			add_flow(&table, stats_flow(stats, k), reader);
		if (i == 2)
			add_hops(&table, stats, reader);
		rows = table_json(&table);
		table_free(&table);
		if (!json && json_array_size(rows) > 0) {
			table_print(heads[i], rows, "", call->out);
			fputc('\n', call->out);
		}
		json_object_set_new(all, heads[i]->name, rows);
	}
	if (json) {
		json_dumpf(all, call->out, JSON_INDENT(2));
		fputc('\n', call->out);
	} else if (flows > most) {
		fprintf(call->out,
		    "%" PRIu64 " conversations more; use --flows\n",
		    flows - most);
	}
	json_decref(all);
	return 0;
}

static int
read_stats(struct call *call, struct stats *stats, struct reader *reader)
{
	struct crossing *c = calloc(1, sizeof(*c));
	int e = c != NULL ? 1 : -ENOMEM;

	while (e == 1 && (e = crossing_next(reader, c, &call->err)) == 1) {
		e = stats_add(stats, c);
		if (e == -E2BIG)
			err_set(&call->err, e, "%s: more than %d points",
			    call->options.args[0], STATS_POINTS);
		e = e < 0 ? e : 1;
	}
	free(c);
	if (e == -ENOMEM)
		err_set(
		    &call->err, e, "%s: out of memory", call->options.args[0]);
	return e;
}

static int
run_stats(struct call *call)
{
	const char *flows = option_get(&call->options, "flows");
	const char *format = option_get(&call->options, "format");
	uint64_t most = FLOWS_SHOW;
	struct reader *reader;
	struct stats *stats;
	int e;

	if (flows != NULL && !count_read(&most, flows, &call->err))
		return 2;
	if (format != NULL && strcmp(format, "svg") != 0 &&
	    strcmp(format, "text") != 0) {
		err_set(&call->err, -EINVAL,
		    "format \"%.40s\" is not known; use text or svg", format);
		return 2;
	}
	reader = reader_open_any(call->options.args[0], &call->err);
	if (reader == NULL)
		return 2;
	stats = stats_new();
	if (stats == NULL) {
		reader_free(reader);
		err_set(&call->err, -ENOMEM, "out of memory");
		return 2;
	}
	e = read_stats(call, stats, reader);
	if (e != -ENOMEM && format != NULL && strcmp(format, "svg") == 0)
		plot(stats, reader, call->out);
	else if (e != -ENOMEM)
		print_stats(call, stats, reader,
		    option_get(&call->options, "json") != NULL && flows == NULL
			? STATS_FLOWS
			: most);
	stats_free(stats);
	reader_free(reader);
	return e < 0 ? 2 : 0;
}

static const struct option_row stats_options[] = {
	{ "flows", 'n', "N", "how many conversations to show (20)" },
	{ "format", 0, "FORMAT",
	    "text (the default), or svg: bit rates over time" },
	{ "json", 0, NULL, "for programs" },
	{ 0 },
};

static const struct command command_stats = {
	.name = "pcap stats",
	.arguments = "FILE",
	.summary = "rates, conversations, round trips, delays",
	.help = "Counts a capture: per point, per conversation (with "
		"retransmissions and round\ntrips as that point saw them), and "
		"the delay between points.",
	.options = stats_options,
	.min_args = 1,
	.max_args = 1,
	.run = run_stats,
};

/* ---- diff ---- */

static const struct option_row diff_options[] = {
	{ "ignore-times", 0, NULL, "frames may differ in when they came" },
	{ 0 },
};

static int
run_diff(struct call *call)
{
	const struct diff_options options = {
		.ignore_times =
		    option_get(&call->options, "ignore-times") != NULL,
	};
	int e = capture_diff(call->options.args[0], call->options.args[1],
	    &options, call->out, &call->err);

	return e < 0 ? 2 : e;
}

static const struct command command_diff = {
	.name = "pcap diff",
	.arguments = "A B",
	.summary = "whether two captures tell the same",
	.help = "Compares two captures frame by frame, and shows the first "
		"that differs.\nThe exit status is 0 if none does, else 1.",
	.options = diff_options,
	.min_args = 2,
	.max_args = 2,
	.run = run_diff,
};

static const struct command *const parts[] = {
	&command_pair,
	&command_ladder,
	&command_stats,
	&command_diff,
	&command_pcap_nat,
	NULL,
};

const struct command command_pcap = {
	.name = "pcap",
	.arguments = "COMMAND ...",
	.summary = "tools on captures: pair, ladder, stats, diff, nat",
	.help = "Tools on captures: pcapng and pcap, also compressed; "
		"\"-\" is standard input.",
	.parts = parts,
};
