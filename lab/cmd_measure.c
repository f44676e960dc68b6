/*
 * measure: a run between two traffic ports of a running lab, or the tests of RFC
 * 2544.
 *
 * The lab makes one run at a time and knows nothing of searches: those are
 * here, trial by trial, by its control socket.
 */
#include "lab/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lab/client.h"
#include "lab/measure.h"
#include "lab/rfc2544.h"
#include "lab/table.h"
#include "lab/units.h"

#define SIZES                                       \
	{                                           \
		64, 128, 256, 512, 1024, 1280, 1518 \
	} /* RFC 2544 9.1 */
#define SIZES6                                      \
	{                                           \
		84, 128, 256, 512, 1024, 1280, 1518 \
	}
#define NSIZES       7
#define LINE_BPS     UINT64_C(1000000000)
#define RESOLUTION   UINT64_C(10000000) /* 1 % in billionths */
#define BURST_TIME_S 2                  /* of the line, at most (26.4) */

struct measuring {
	struct call *call;
	struct client_link link;
	const char *from, *to;
	json_t *with; /* {KEY: VALUE} */
	struct lab_measure measure;
	/* The tests. */
	bool wants[4];
	uint64_t line_bps, resolution_ppb;
	uint32_t frame_bytes; /* with FCS, of the present one */
};

enum { THROUGHPUT, LATENCY, LOSS, BACK_TO_BACK };

static const char *const tests[] = {
	[THROUGHPUT] = "throughput",
	[LATENCY] = "latency",
	[LOSS] = "loss",
	[BACK_TO_BACK] = "back-to-back",
};

/* ---- the command line ---- */

static int
read_word(struct measuring *m, const char *word, struct err *err)
{
	const char *equals = strchr(word, '=');
	char key[40];
	int e;

	if (equals == NULL)
		return err_set(err, -EINVAL,
		    "\"%.40s\" is no KEY=VALUE; use as rate=1000", word);
	snprintf(key, sizeof(key), "%.*s", (int)(equals - word), word);
	e = keyset_read(&measure_keys, &m->measure, key, equals + 1, err);
	if (e == 0 &&
	    json_object_set_new(m->with, key, json_string(equals + 1)) < 0)
		e = err_set(err, -EINVAL, "%s: is not UTF-8", key);
	return e;
}

static int
read_tests(struct measuring *m, const char *text, struct err *err)
{
	bool all = strcmp(text, "all") == 0;

	for (int i = 0; i < 4; i++)
		m->wants[i] = all;
	while (!all && *text != '\0') {
		size_t n = strcspn(text, ",");
		int i = 0;

		while (i < 4 &&
		    (strlen(tests[i]) != n || memcmp(tests[i], text, n) != 0))
			i++;
		if (i == 4)
			return err_set(err, -EINVAL,
			    "--rfc2544: test \"%.*s\" is not known; there are "
			    "throughput, latency, loss, back-to-back, and all",
			    (int)n, text);
		m->wants[i] = true;
		text += n + (text[n] == ',');
	}
	return 0;
}

static int
read_line(struct measuring *m, struct err *err)
{
	const char *line = option_get(&m->call->options, "line");
	const char *resolution = option_get(&m->call->options, "resolution");

	m->line_bps = LINE_BPS;
	m->resolution_ppb = RESOLUTION;
	if (line != NULL && !rate_read(&m->line_bps, line, err))
		return -EINVAL;
	if (m->line_bps < 1000000 || m->line_bps > METER_BPS_MAX)
		return err_set(err, -EINVAL,
		    "--line: use a rate from 1Mbit/s to 1000Gbit/s");
	if (resolution != NULL &&
	    !percent_read(&m->resolution_ppb, resolution, err))
		return -EINVAL;
	if (m->resolution_ppb < 100000 || m->resolution_ppb > 500000000)
		return err_set(
		    err, -EINVAL, "--resolution: use 0.01%% to 50%%");
	return 0;
}

static int
read_words(struct measuring *m, struct err *err)
{
	const struct options *o = &m->call->options;
	const char *wants = option_get(o, "rfc2544");
	struct meter_options options;
	int e = 0;

	m->from = o->args[1];
	m->to = o->args[2];
	for (int i = 3; i < o->nargs && e == 0; i++)
		e = read_word(m, o->args[i], err);
	if (e == 0)
		e = measure_options(&m->measure, &options, err);
	if (e < 0 || wants == NULL)
		return e;
	if (options.sizes.order != METER_IN_TURN)
		return err_set(err, -EINVAL,
		    "--rfc2544 takes one size after the other; give them as "
		    "frame=64,512,1518");
	if (m->measure.rate != NULL || m->measure.count != 0)
		return err_set(err, -EINVAL,
		    "--rfc2544 finds the rate; use --line for that of the "
		    "medium, and for= for the time of a trial");
	e = read_tests(m, wants, err);
	return e < 0 ? e : read_line(m, err);
}

/* ---- a run ---- */

static json_t *
ask(struct measuring *m, json_t *with, struct err *err)
{
	json_t *reply = client_call(&m->link,
	    json_pack("{s:s,s:s,s:s,s:o}", "call", "measure", "from", m->from,
		"to", m->to, "with", with),
	    err);

	json_object_del(reply, "ok");
	return reply;
}

static json_int_t
whole(const json_t *reply, const char *key)
{
	return json_integer_value(json_object_get(reply, key));
}

static double
real(const json_t *reply, const char *key)
{
	return json_number_value(json_object_get(reply, key));
}

/* "312 us" */
static const char *
about(char *out, const json_t *us)
{
	return duration_about(out, (uint64_t)(json_number_value(us) * 1000));
}

static void
print_lost(const json_t *r, FILE *out)
{
	const json_t *list = json_object_get(r, "first_lost");
	size_t n = json_array_size(list);

	fprintf(out, "lost       %lld (%.4g%%)", (long long)whole(r, "lost"),
	    whole(r, "sent") > 0
		? 100.0 * (double)whole(r, "lost") / (double)whole(r, "sent")
		: 0.0);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s%lld", i == 0 ? ": frames " : ", ",
		    (long long)json_integer_value(json_array_get(list, i)));
	fprintf(out, "%s\n",
	    n > 0 && whole(r, "lost") > (json_int_t)n ? " ..." : "");
}

static void
print_run(const json_t *r, FILE *out)
{
	static const struct {
		const char *key, *title;
	} shown[] = { { "min", "min" }, { "mean", "mean" }, { "p50", "p50" },
		{ "p99", "p99" }, { "p999", "p99.9" }, { "max", "max" } };
	const json_t *latency = json_object_get(r, "latency_us");
	char text[UNITS_TEXT_BYTES];

	fprintf(out, "%s to %s, %s\n",
	    json_string_value(json_object_get(r, "from")),
	    json_string_value(json_object_get(r, "to")),
	    json_string_value(json_object_get(r, "pattern")));
	fprintf(out,
	    "sent       %lld in %.3f s: %.0f frames/s, %.4g Mbit/s on a "
	    "wire\n",
	    (long long)whole(r, "sent"), real(r, "seconds"),
	    real(r, "frames_per_s"), real(r, "wire_bits_per_s") / 1e6);
	fprintf(out, "received   %lld\n", (long long)whole(r, "received"));
	print_lost(r, out);
	fprintf(out, "corrupt    %lld\nduplicate  %lld\nreordered  %lld\n",
	    (long long)whole(r, "corrupt"), (long long)whole(r, "duplicate"),
	    (long long)whole(r, "reordered"));
	if (!json_is_object(latency))
		return;
	fputs("latency    ", out);
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		fprintf(out, "%s%s %s", i > 0 ? ", " : "", shown[i].title,
		    about(text, json_object_get(latency, shown[i].key)));
	fputc('\n', out);
	if (json_is_number(json_object_get(r, "jitter_us")))
		fprintf(out, "jitter     %s\n",
		    about(text, json_object_get(r, "jitter_us")));
}

static int
run_once(struct measuring *m)
{
	struct call *call = m->call;
	json_t *reply = ask(m, json_incref(m->with), &call->err);
	bool lost;

	if (reply == NULL)
		return 2;
	if (option_get(&call->options, "json") != NULL) {
		json_dumpf(
		    reply, call->out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
		fputc('\n', call->out);
	} else {
		print_run(reply, call->out);
	}
	lost = whole(reply, "lost") > 0;
	json_decref(reply);
	return lost ? 1 : 0;
}

/* ---- the tests of RFC 2544 ---- */

static int
make_trial(void *arg, const struct trial *trial, struct trial_result *result,
    struct err *err)
{
	struct measuring *m = arg;
	json_t *with = json_deep_copy(m->with), *reply;
	const json_t *latency;
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu32, trial->frame_bytes);
	json_object_set_new(with, "frame", json_string(text));
	snprintf(text, sizeof(text), "%" PRIu64, trial->fps);
	json_object_set_new(with, "rate", json_string(text));
	if (trial->count != 0) {
		snprintf(text, sizeof(text), "%" PRIu64, trial->count);
		json_object_set_new(with, "count", json_string(text));
		json_object_del(with, "for");
	}
	reply = ask(m, with, err);
	if (reply == NULL)
		return -EIO;
	latency = json_object_get(reply, "latency_us");
	*result = (struct trial_result){
		.sent = (uint64_t)whole(reply, "sent"),
		.received = (uint64_t)whole(reply, "received"),
		.fps = real(reply, "frames_per_s"),
		.late_us = real(reply, "overdue_us"),
		.min_us = real(latency, "min"),
		.mean_us = real(latency, "mean"),
		.p99_us = real(latency, "p99"),
		.max_us = real(latency, "max"),
	};
	json_decref(reply);
	return 0;
}

static const struct table_head throughput_head = {
	.name = "throughput",
	.columns = {
		{ "frame", "FRAME" },
		{ "frames_per_s", "FRAMES/S" },
		{ "wire_mbit_per_s", "MBIT/S" },
		{ "line_percent", "LINE %" },
		{ "limited", "LIMIT" },
		{ "latency_min_us", "MIN US" },
		{ "latency_mean_us", "MEAN US" },
		{ "latency_p99_us", "P99 US" },
		{ "latency_max_us", "MAX US" },
		{ NULL, NULL },
	},
};

static const struct table_head loss_head = {
	.name = "loss",
	.columns = {
		{ "frame", "FRAME" },
		{ "line_percent", "LINE %" },
		{ "frames_per_s", "FRAMES/S" },
		{ "sent", "SENT" },
		{ "lost", "LOST" },
		{ "loss_percent", "LOSS %" },
		{ NULL, NULL },
	},
};

static const struct table_head burst_head = {
	.name = "back-to-back",
	.columns = {
		{ "frame", "FRAME" },
		{ "frames", "FRAMES" },
		{ "limited", "LIMIT" },
		{ NULL, NULL },
	},
};

static double
to_digits(double value)
{
	return (double)(int64_t)(value * 1000 + 0.5) / 1000;
}

static int
test_throughput(struct measuring *m, const struct rfc2544 *t, struct table *to)
{
	struct throughput r;
	int e = rfc2544_throughput(t, &r, &m->call->err);
	double bits = (t->frame_bytes + 20.0) * 8;

	if (e < 0)
		return e;
	table_add(to, "[I,I,f,f,s,f,f,f,f]", (json_int_t)t->frame_bytes,
	    (json_int_t)r.fps, to_digits((double)r.fps * bits / 1e6),
	    to_digits((double)r.fps * 100 / (double)t->max_fps),
	    r.limited ? "sender" : "", to_digits(r.at.min_us),
	    to_digits(r.at.mean_us), to_digits(r.at.p99_us),
	    to_digits(r.at.max_us));
	return 0;
}

static int
test_loss(struct measuring *m, const struct rfc2544 *t, struct table *to)
{
	struct loss_step steps[RFC2544_STEPS];
	int n = rfc2544_loss(t, steps, &m->call->err);

	for (int i = 0; i < n; i++)
		table_add(to, "[I,I,f,I,I,f]", (json_int_t)t->frame_bytes,
		    (json_int_t)steps[i].percent, to_digits(steps[i].fps),
		    (json_int_t)steps[i].sent, (json_int_t)steps[i].lost,
		    steps[i].sent > 0
			? to_digits(100.0 * (double)steps[i].lost /
			      (double)steps[i].sent)
			: 0.0);
	return n < 0 ? n : 0;
}

static int
test_back_to_back(
    struct measuring *m, const struct rfc2544 *t, struct table *to)
{
	uint64_t frames;
	bool limited;
	int e = rfc2544_back_to_back(t, &frames, &limited, &m->call->err);

	if (e < 0)
		return e;
	table_add(to, "[I,I,s]", (json_int_t)t->frame_bytes, (json_int_t)frames,
	    limited                       ? "sender"
		: frames == t->max_frames ? "longest"
					  : "");
	return 0;
}

static int
test_sizes(struct measuring *m, struct table table[3])
{
	const uint32_t all[2][NSIZES] = { SIZES, SIZES6 };
	struct meter_sizes sizes = { .n = NSIZES };
	bool six = m->measure.pattern == TEST_UDP6 + 1;
	int e = 0;

	if (m->measure.frame != NULL)
		e = measure_sizes_read(&sizes, m->measure.frame, &m->call->err);
	for (unsigned int i = 0; i < sizes.n && e == 0; i++) {
		uint32_t bytes = m->measure.frame != NULL
		    ? sizes.bytes[i] + MEASURE_FCS_BYTES
		    : all[six][i];
		struct rfc2544 t = {
			.run = make_trial,
			.arg = m,
			.frame_bytes = bytes,
			.max_fps = rfc2544_line_fps(m->line_bps, bytes),
			.resolution_ppb = m->resolution_ppb,
		};

		t.max_frames = t.max_fps * BURST_TIME_S;
		if (m->wants[THROUGHPUT] || m->wants[LATENCY])
			e = test_throughput(m, &t, &table[0]);
		if (e == 0 && m->wants[LOSS])
			e = test_loss(m, &t, &table[1]);
		if (e == 0 && m->wants[BACK_TO_BACK])
			e = test_back_to_back(m, &t, &table[2]);
	}
	return e;
}

static void
print_tables(const struct measuring *m, const struct table table[3])
{
	FILE *out = m->call->out;
	json_t *json = json_object();
	const bool wanted[] = { m->wants[THROUGHPUT] || m->wants[LATENCY],
		m->wants[LOSS], m->wants[BACK_TO_BACK] };
	bool first = true;

	for (int i = 0; i < 3; i++) {
		json_t *rows = table_json(&table[i]);

		if (wanted[i] &&
		    option_get(&m->call->options, "json") == NULL) {
			fprintf(out, "%s%s\n", first ? "" : "\n",
			    table[i].head->name);
			table_print(table[i].head, rows, "", out);
			first = false;
		}
		if (wanted[i])
			json_object_set(json, table[i].head->name, rows);
		json_decref(rows);
	}
	if (option_get(&m->call->options, "json") != NULL) {
		json_dumpf(json, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
		fputc('\n', out);
	}
	json_decref(json);
}

static int
run_tests(struct measuring *m)
{
	static const struct table_head *const heads[] = { &throughput_head,
		&loss_head, &burst_head };
	struct table table[3];
	int e = 0;

	for (int i = 0; i < 3; i++)
		if (table_init(&table[i], heads[i]) < 0)
			e = -ENOMEM;
	if (e == 0)
		e = test_sizes(m, table);
	if (e == 0)
		print_tables(m, table);
	for (int i = 0; i < 3; i++)
		table_free(&table[i]);
	return e < 0 ? 2 : 0;
}

/* ---- the command ---- */

static int
run_measure(struct call *call)
{
	struct measuring m = { .call = call, .with = json_object() };
	int status = 2;

	if (read_words(&m, &call->err) == 0 &&
	    client_open(&m.link, call->options.args[0], &call->err) == 0) {
		status = option_get(&call->options, "rfc2544") != NULL
		    ? run_tests(&m)
		    : run_once(&m);
		client_close(&m.link);
	}
	json_decref(m.with);
	return status;
}

static const struct option_row measure_options_rows[] = {
	{ "rfc2544", 0, "TESTS",
	    "throughput, latency, loss, back-to-back, several with commas, or "
	    "all" },
	{ "line", 0, "RATE", "of the medium, for the tests; 1Gbit/s" },
	{ "resolution", 0, "PERCENT", "of the searches; 1%" },
	{ "json", 0, NULL, "as JSON" },
	{ 0 },
};

const struct command command_measure = {
	.name = "measure",
	.arguments = "LAB FROM TO [KEY=VALUE...]",
	.summary = "measures rate, loss and latency through a lab",
	.help =
	    "Sends frames from one traffic port of a running lab to another, "
	    "and says how many\ncame, in which order and after what time.  A "
	    "traffic port is a plug with the locator\n"
	    "\"traffic:ADDRESS/PREFIX\".\n\n"
	    "KEY is rate (1000, 10Mbit/s or max), frame (64, 64,512,1518, "
	    "imix,\nsweep:64-1518, random:64-1518), count, for, wait, pattern "
	    "(ethernet, udp4, udp6),\nburst, flows, macs, vlan, port or seed; "
	    "see lanyard.lab(5).\n\n"
	    "With --rfc2544: the tests of RFC 2544, each with frames of 64, "
	    "128, 256, 512, 1024,\n1280 and 1518 bytes, or those of frame=.",
	.options = measure_options_rows,
	.min_args = 3,
	.max_args = -1,
	.run = run_measure,
};
