#include "lab/expect.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_NS        (250 * NS_PER_MS) /* between two runs of a command */
#define LOOK_NS         (50 * NS_PER_MS)  /* at a NAT table */
#define EVIDENCE_LINES  12
#define EVIDENCE_PROOF  3
#define EVIDENCE_FRAMES 3
#define EVIDENCE_ALL    20 /* of more expectations, only of those not met */

static void
stop_measuring(struct expectation *e)
{
	if (e->meter != NULL)
		meter_stop(e->meter);
	e->meter = NULL;
}

static void
decide(struct expectation *e, enum outcome outcome, const char *why)
{
	assert(e->outcome == OUTCOME_OPEN && outcome != OUTCOME_OPEN);
	e->outcome = outcome;
	e->why = why;
	e->decided_ns = loop_now_ns(e->all->loop) - e->all->start_ns;
	loop_timer_unset(&e->next);
	loop_timer_unset(&e->deadline);
	job_cancel(&e->job);
	stop_measuring(e);
	if (!e->want->always)
		e->all->nopen--;
	e->all->decided(e->all->arg, e);
}

/* ---- counts: frames and NAT entries ---- */

static struct compare
wanted(const struct expectation *e)
{
	return e->want->kind == EXPECT_NAT ? e->want->nat : e->want->frames;
}

static void
counted(struct expectation *e)
{
	if (e->outcome != OUTCOME_OPEN || e->want->always)
		return;
	if (compare_is_final(wanted(e)) && compare_holds(wanted(e), e->count))
		decide(e, OUTCOME_MET, NULL);
	else if (e->want->kind == EXPECT_FRAMES &&
	    compare_is_lost(wanted(e), e->count))
		decide(e, OUTCOME_FAILED, "too many");
}

static void
frames_changed(void *arg)
{
	struct expectation *e = arg;

	/* The counter itself is not there yet for its first frames. */
	if (e->counter == NULL)
		return;
	e->count = counter_frames(e->counter);
	counted(e);
}

static void
count_row(void *arg, const struct nat_row *row)
{
	uint64_t *n = arg;

	(void)row;
	++*n;
}

static void
look_at_nat(struct expectation *e)
{
	e->count = 0;
	router_each_nat(fabric_router(e->all->fabric, e->want->router),
	    count_row, &e->count);
}

/* ---- commands ---- */

static void
command_output(void *arg, const char *bytes, size_t len)
{
	struct expectation *e = arg;

	output_add(&e->output, bytes, len);
}

static void
command_done(void *arg, int status)
{
	struct expectation *e = arg;
	bool matches;

	e->latest = e->output;
	output_clear(&e->output);
	e->status = status;
	e->runs++;
	if (status == JOB_GONE && e->job.guest == NULL) {
		struct guest *g = guests_find(e->all->guests, e->want->vm);

		if (g->state == VM_GONE) {
			decide(e, OUTCOME_FAILED, "the VM has gone");
			return;
		}
	}
	matches = !e->has_regex ||
	    regexec(&e->regex, e->latest.text, 0, NULL, 0) == 0;
	if (status >= 0 && (uint64_t)status == e->want->status && matches)
		decide(e, OUTCOME_MET, NULL);
	else
		loop_timer_set(&e->next, loop_now_ns(e->all->loop) + AGAIN_NS);
}

/* ---- streams ---- */

static void
measured(void *arg)
{
	struct expectation *e = arg;
	const struct lab_expect *want = e->want;
	struct meter *meter = e->meter;
	struct meter_result r;

	e->meter = NULL;
	e->measured = measure_answer(meter, &e->why_not);
	if (e->measured == NULL || !meter_result(meter, &r)) {
		decide(e, OUTCOME_FAILED, e->why_not.text);
		return;
	}
	json_object_del(e->measured, "ok");
	e->count = measure_lost(&r);
	if (want->has_lost && !compare_holds(want->lost, e->count))
		decide(e, OUTCOME_FAILED, "not so many were lost");
	else if (want->has_latency && r.tally->received == 0)
		decide(e, OUTCOME_FAILED, "nothing arrived");
	else if (want->has_latency && r.tally->max_ns > want->latency_ns)
		decide(e, OUTCOME_FAILED, "too slow");
	else
		decide(e, OUTCOME_MET, NULL);
}

/* One stream at a time comes to a port, and one leaves it. */
static void
measure(struct expectation *e)
{
	const struct lab_expect *want = e->want;
	struct fabric *fabric = e->all->fabric;
	struct err err = { "" };
	struct meter_options options;
	struct meter *from = measure_meter(fabric, want->from, &err);
	struct meter *to = measure_meter(fabric, want->to, &err);
	int status = from != NULL && to != NULL ? 0 : -ENOENT;

	if (status == 0)
		status = measure_options(&want->measure, &options, &err);
	if (status == 0)
		status = meter_start(from, to, &options, measured, e, &err);
	if (status == 0) {
		e->meter = from;
	} else if (status == -EBUSY) {
		loop_timer_set(&e->next, loop_now_ns(e->all->loop) + LOOK_NS);
	} else {
		e->why_not = err;
		decide(e, OUTCOME_FAILED, e->why_not.text);
	}
}

/* ---- time ---- */

/* The next look, run, or the beginning of the count. */
static void
next(void *arg)
{
	struct expectation *e = arg;
	struct err err = { "" };

	switch (e->want->kind) {
	case EXPECT_RUN:
		job_ask(&e->job, guests_find(e->all->guests, e->want->vm));
		return;
	case EXPECT_NAT:
		look_at_nat(e);
		counted(e);
		if (e->outcome == OUTCOME_OPEN && !e->want->always)
			loop_timer_set(
			    &e->next, loop_now_ns(e->all->loop) + LOOK_NS);
		return;
	case EXPECT_MEASURE: measure(e); return;
	case EXPECT_FRAMES:
		if (e->counter != NULL)
			return;
		e->counter = counter_new(e->all->loop,
		    fabric_port(e->all->fabric, e->want->at), e->want->filter,
		    e->want->reason, frames_changed, e, &err);
		if (e->counter == NULL)
			decide(e, OUTCOME_FAILED, "it could not be counted");
		return;
	}
}

/* The end of within, or of the lab. */
static void
judge_count(struct expectation *e, const char *why)
{
	if (e->want->kind == EXPECT_NAT)
		look_at_nat(e);
	if (compare_holds(wanted(e), e->count))
		decide(e, OUTCOME_MET, NULL);
	else
		decide(e, OUTCOME_FAILED, why);
}

static void
time_is_over(void *arg)
{
	struct expectation *e = arg;

	if (e->want->kind == EXPECT_MEASURE)
		decide(e, OUTCOME_FAILED,
		    e->meter != NULL ? "time is over, and it still sends"
				     : "time is over");
	else if (e->want->kind != EXPECT_RUN)
		judge_count(e, "time is over");
	else
		decide(e, OUTCOME_FAILED,
		    e->runs == 0 ? "time is over, and it did not end once"
				 : "time is over");
}

/* ---- all of them ---- */

static int
start_one(struct expects *all, unsigned int i, uint64_t now, struct err *err)
{
	struct expectation *e = &all->list[i];
	const struct lab_expect *want = &all->lab->expects[i];

	e->all = all;
	e->want = want;
	e->job = (struct job){
		.command = want->run,
		.output = command_output,
		.done = command_done,
		.arg = e,
	};
	loop_timer_init(&e->next, all->loop, next, e);
	loop_timer_init(&e->deadline, all->loop, time_is_over, e);
	if (want->output != NULL) {
		if (regcomp(&e->regex, want->output,
			REG_EXTENDED | REG_NOSUB | REG_NEWLINE) != 0)
			return err_set(err, -EINVAL,
			    "output: \"%.60s\" is no regular expression",
			    want->output);
		e->has_regex = true;
	}
	/* Counters are there before the first frame. */
	if (want->kind == EXPECT_FRAMES && want->after_ns == 0) {
		e->counter =
		    counter_new(all->loop, fabric_port(all->fabric, want->at),
			want->filter, want->reason, frames_changed, e, err);
		if (e->counter == NULL)
			return -EINVAL;
	} else if (!want->always || want->after_ns != 0) {
		loop_timer_set(&e->next, now + want->after_ns);
	}
	if (!want->always) {
		loop_timer_set(&e->deadline, now + want->within_ns);
		all->nwithin++;
		all->nopen++;
	}
	return 0;
}

int
expects_start(struct expects *all, struct loop *loop, const struct lab *lab,
    struct fabric *fabric, struct guests *guests,
    void (*decided)(void *arg, struct expectation *e), void *arg,
    struct err *err)
{
	int e = 0;

	*all = (struct expects){
		.loop = loop,
		.start_ns = loop_now_ns(loop),
		.lab = lab,
		.fabric = fabric,
		.guests = guests,
		.decided = decided,
		.arg = arg,
	};
	all->list = calloc(lab->nexpects + 1, sizeof(all->list[0]));
	if (all->list == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < lab->nexpects && e == 0; i++)
		e = start_one(all, i, loop_now_ns(loop), err);
	if (e < 0)
		expects_free(all);
	return e;
}

void
expects_judge(struct expects *all)
{
	for (unsigned int i = 0; i < all->lab->nexpects; i++) {
		struct expectation *e = &all->list[i];

		if (e->outcome != OUTCOME_OPEN)
			continue;
		if (e->want->kind == EXPECT_RUN ||
		    e->want->kind == EXPECT_MEASURE)
			decide(e, OUTCOME_FAILED, "the lab ended before");
		else if (e->want->kind == EXPECT_FRAMES && e->counter == NULL)
			decide(e, OUTCOME_FAILED,
			    "the lab ended before \"after\"");
		else
			judge_count(e,
			    e->want->always ? "not so"
					    : "the lab ended before");
	}
}

void
expects_free(struct expects *all)
{
	if (all->list == NULL)
		return;
	for (unsigned int i = 0; i < all->lab->nexpects; i++) {
		struct expectation *e = &all->list[i];

		if (e->all == NULL)
			continue;
		loop_timer_unset(&e->next);
		loop_timer_unset(&e->deadline);
		job_cancel(&e->job);
		stop_measuring(e);
		json_decref(e->measured);
		counter_free(e->counter);
		if (e->has_regex)
			regfree(&e->regex);
	}
	free(all->list);
	all->list = NULL;
}

unsigned int
expects_failed(const struct expects *all)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < all->lab->nexpects; i++)
		n += all->list[i].outcome != OUTCOME_MET;
	return n;
}

/* ---- for people ---- */

static void
measure_text(const struct lab_expect *want, char *out, size_t len)
{
	char keys[256], lost[40] = "", latency[40] = "";
	char text[UNITS_TEXT_BYTES];

	keyset_text(keys, sizeof(keys), &measure_keys, &want->measure);
	if (want->has_lost)
		snprintf(lost, sizeof(lost), ", lost %s",
		    compare_text(text, want->lost));
	if (want->has_latency)
		snprintf(latency, sizeof(latency), ", latency <=%s",
		    duration_text(text, want->latency_ns));
	snprintf(out, len, "%s to %s%s%s%s%s", want->from, want->to,
	    keys[0] != '\0' ? ": " : "", keys, lost, latency);
}

char *
expect_text(const struct lab_expect *want, char *out, size_t len)
{
	char compare[UNITS_TEXT_BYTES], status[40] = "";

	switch (want->kind) {
	case EXPECT_RUN:
		if (want->status != 0)
			snprintf(status, sizeof(status),
			    ", exit status %" PRIu64, want->status);
		snprintf(out, len, "%s: %s%s%s%s", want->vm, want->run,
		    want->output != NULL ? ", output matches " : "",
		    want->output != NULL ? want->output : "", status);
		return out;
	case EXPECT_NAT:
		snprintf(out, len, "%s: %s NAT entries", want->router,
		    compare_text(compare, want->nat));
		return out;
	case EXPECT_MEASURE: measure_text(want, out, len); return out;
	case EXPECT_FRAMES:
		snprintf(out, len, "%s: %s frames%s%s%s%s", want->at,
		    compare_text(compare, want->frames),
		    want->filter != NULL ? " of " : "",
		    want->filter != NULL ? want->filter : "",
		    want->verdict != NULL ? ", verdict " : "",
		    want->verdict != NULL ? want->verdict : "");
		return out;
	}
	return out;
}

static void
print_frames(const struct expectation *e, FILE *out)
{
	struct counter_frame kept[COUNTER_KEEP];
	unsigned int n =
	    e->counter != NULL ? counter_kept(e->counter, kept) : 0;
	unsigned int from = 0;

	if (n > EVIDENCE_FRAMES)
		from = n - EVIDENCE_FRAMES;
	if (e->count > n - from)
		fprintf(out, "          (%" PRIu64 " frames, the last %u:)\n",
		    e->count, n - from);
	for (unsigned int i = from; i < n; i++) {
		char line[256];

		frame_summary(line, sizeof(line), kept[i].data, kept[i].kept);
		fprintf(out, "          %9.6f s %-3s %s%s%s\n",
		    (double)(kept[i].at_ns - e->all->start_ns) / 1e9,
		    kept[i].dir == DIR_IN ? "in" : "out", line,
		    kept[i].reason != REASON_NONE ? ": " : "",
		    kept[i].reason != REASON_NONE ? reason_name(kept[i].reason)
						  : "");
	}
}

static void
print_measured(const struct expectation *e, FILE *out)
{
	const json_t *times = json_object_get(e->measured, "latency_us");
	const json_t *lost = json_object_get(e->measured, "first_lost");
	size_t n = json_array_size(lost);

	if (e->measured == NULL)
		return;
	fprintf(out, "          %lld sent, %lld received",
	    (long long)json_integer_value(json_object_get(e->measured, "sent")),
	    (long long)json_integer_value(
		json_object_get(e->measured, "received")));
	if (json_is_object(times))
		fprintf(out, ", latency %.6g to %.6g us",
		    json_number_value(json_object_get(times, "min")),
		    json_number_value(json_object_get(times, "max")));
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s%lld", i == 0 ? ", lost: frames " : ", ",
		    (long long)json_integer_value(json_array_get(lost, i)));
	fprintf(out, "%s\n", e->count > n ? " ..." : "");
}

static bool
matches(void *arg, const char *line)
{
	return regexec(arg, line, 0, NULL, 0) == 0;
}

/* Of success the lines that prove it, of failure more. */
static void
print_output(const struct expectation *e, FILE *out)
{
	static const char indent[] = "          ";
	regex_t regex = e->regex;

	if (e->outcome != OUTCOME_MET)
		output_print(
		    &e->latest, indent, EVIDENCE_LINES, NULL, NULL, out);
	else if (e->has_regex)
		output_print(
		    &e->latest, indent, EVIDENCE_PROOF, matches, &regex, out);
	else
		output_print(
		    &e->latest, indent, EVIDENCE_PROOF, NULL, NULL, out);
}

static void
print_evidence(const struct expectation *e, FILE *out)
{
	switch (e->want->kind) {
	case EXPECT_RUN:
		print_output(e, out);
		if (e->runs > 0 && e->status > 0)
			fprintf(out, "          (exit status %d)\n", e->status);
		return;
	case EXPECT_NAT:
		fprintf(out, "          %" PRIu64 " entries\n", e->count);
		return;
	case EXPECT_MEASURE: print_measured(e, out); return;
	case EXPECT_FRAMES:
		if (e->count == 0)
			fprintf(out, "          0 frames\n");
		print_frames(e, out);
		return;
	}
}

void
expects_print(const struct expects *all, FILE *out)
{
	for (unsigned int i = 0; i < all->lab->nexpects; i++) {
		const struct expectation *e = &all->list[i];
		char text[1024], after[UNITS_TEXT_BYTES];

		expect_text(e->want, text, sizeof(text));
		fprintf(out, "  %-6s  %s",
		    e->outcome == OUTCOME_MET ? "ok" : "FAILED", text);
		if (e->outcome == OUTCOME_MET && !e->want->always)
			fprintf(out, "  (after %s",
			    duration_about(after, e->decided_ns));
		else
			fprintf(out, "  (%s",
			    e->outcome == OUTCOME_MET ? "always" : e->why);
		fprintf(out, "; line %u)\n", e->want->item.node->at.line);
		if (e->outcome != OUTCOME_MET ||
		    all->lab->nexpects <= EVIDENCE_ALL)
			print_evidence(e, out);
	}
}

json_t *
expects_json(const struct expects *all)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < all->lab->nexpects; i++) {
		const struct expectation *e = &all->list[i];
		char text[1024];
		json_t *row = json_pack("{s:s,s:b,s:i,s:f}", "expect",
		    expect_text(e->want, text, sizeof(text)), "met",
		    e->outcome == OUTCOME_MET, "line",
		    (int)e->want->item.node->at.line, "decided_s",
		    (double)e->decided_ns / 1e9);

		if (e->why != NULL)
			json_object_set_new(row, "why", json_string(e->why));
		if (e->want->kind == EXPECT_RUN) {
			char output[OUTPUT_MAX_BYTES + 1];

			memcpy(output, e->latest.text, sizeof(output));
			output_clean(output, e->latest.len);
			json_object_set_new(row, "output", json_string(output));
			json_object_set_new(
			    row, "status", json_integer(e->status));
		} else if (e->measured != NULL) {
			json_object_set(row, "measured", e->measured);
		} else {
			json_object_set_new(
			    row, "count", json_integer((json_int_t)e->count));
		}
		json_array_append_new(list, row);
	}
	return list;
}
