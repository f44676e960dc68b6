#include "lab/results.h"

#include <inttypes.h>
#include <string.h>

#include "lab/held.h"
#include "lab/show.h"

#define NODES_SHOWN 4

/* ---- frames that ended on their way ---- */

struct drops {
	enum reason reason;
	uint64_t frames;
	unsigned int nnodes;
	char nodes[NODES_SHOWN * (NODE_NAME_BYTES + 2)];
};

static void
count(struct drops *d, const struct node *node, uint64_t frames)
{
	size_t used = strlen(d->nodes);

	if (frames == 0)
		return;
	d->frames += frames;
	if (d->nnodes++ < NODES_SHOWN)
		snprintf(d->nodes + used, sizeof(d->nodes) - used, "%s%s",
		    used > 0 ? ", " : "", node->name);
}

static void
count_drops(void *arg, struct node *node)
{
	struct drops *d = arg;

	count(d, node, node->count[d->reason]);
}

static void
count_held(
    void *arg, const struct node *node, enum reason reason, uint64_t frames)
{
	struct drops *d = arg;

	count(d, node, reason == d->reason ? frames : 0);
}

static void
print_drop(const struct drops *d, const char *head, bool *first, FILE *out)
{
	if (d->frames == 0)
		return;
	if (*first)
		fprintf(out, "\n%s\n", head);
	*first = false;
	fprintf(out, "  %6" PRIu64 "  %-16s %s, at %s", d->frames,
	    reason_name(d->reason), reason_sentence(d->reason), d->nodes);
	if (d->nnodes > NODES_SHOWN)
		fprintf(out, " and %u more", d->nnodes - NODES_SHOWN);
	fputc('\n', out);
}

static void
print_drops(const struct results *r, FILE *out)
{
	bool first = true;

	for (int i = REASON_FIRST_DROP; i < REASON_COUNT; i++) {
		struct drops d = { .reason = (enum reason)i };

		fabric_each_node(r->fabric, count_drops, &d);
		print_drop(
		    &d, "frames that ended on their way, and why", &first, out);
	}
}

static void
print_held(const struct results *r, FILE *out)
{
	bool first = true;

	for (int i = 0; i < REASON_FIRST_DROP; i++) {
		struct drops d = { .reason = (enum reason)i };

		held_each(r->fabric, count_held, &d);
		print_drop(&d, "frames that are still on their way, and why",
		    &first, out);
	}
}

/* ---- tables and captures ---- */

static void
print_table(const struct results *r, const char *name, FILE *out)
{
	const struct show show = { r->fabric, r->guests };
	const struct table_head *head = show_head(name, NULL);
	struct table table;
	json_t *rows;

	if (head == NULL || show_fill(&table, head, &show) < 0)
		return;
	rows = table_json(&table);
	fprintf(out, "\n%s: %s\n", name, head->help);
	if (json_array_size(rows) > 0)
		table_print(head, rows, "  ", out);
	else
		fprintf(out, "  none\n");
	json_decref(rows);
	table_free(&table);
}

static void
print_captures(const struct results *r, FILE *out)
{
	if (r->lab->ncaptures > 0)
		fprintf(out, "\ncaptures\n");
	for (unsigned int i = 0; i < r->lab->ncaptures; i++) {
		struct capture_stats stats;

		capture_flush(r->captures[i]);
		stats = capture_stats(r->captures[i]);
		fprintf(out, "  %s: %" PRIu64 " frames at %u point%s",
		    r->lab->captures[i].file, stats.frames, stats.points,
		    stats.points == 1 ? "" : "s");
		if (stats.lost > 0)
			fprintf(out,
			    ", and %" PRIu64 " lost: the disk was too slow",
			    stats.lost);
		fputc('\n', out);
	}
}

void
results_print(const struct results *r, FILE *out)
{
	const struct lab *lab = r->lab;
	unsigned int failed = expects_failed(r->expects);
	char took[UNITS_TEXT_BYTES];

	if (lab->nexpects > 0) {
		fprintf(out, "\nexpectations\n");
		expects_print(r->expects, out);
	}
	for (unsigned int i = 0; i < lab->show.n; i++)
		print_table(r, lab->show.list[i].text, out);
	print_drops(r, out);
	print_held(r, out);
	print_captures(r, out);
	fprintf(out, "\n%s: ", lab->name);
	if (lab->nexpects > 0)
		fprintf(out, "%u of %u expectations met",
		    lab->nexpects - failed, lab->nexpects);
	else
		fprintf(out, "ended");
	if (r->ndied > 0)
		fprintf(
		    out, ", %u VM%s died", r->ndied, r->ndied == 1 ? "" : "s");
	fprintf(out, ", %s%s\n", duration_about(took, r->ran_ns),
	    r->virtual_time ? " of virtual time" : "");
}

/* ---- JSON ---- */

static json_t *
tables_json(const struct results *r)
{
	const struct show show = { r->fabric, r->guests };
	json_t *tables = json_object();

	for (unsigned int i = 0; show_heads[i] != NULL; i++) {
		struct table table;

		if (show_fill(&table, show_heads[i], &show) < 0)
			continue;
		json_object_set_new(
		    tables, show_heads[i]->name, table_json(&table));
		table_free(&table);
	}
	return tables;
}

static json_t *
captures_json(const struct results *r)
{
	json_t *captures = json_array();

	for (unsigned int i = 0; i < r->lab->ncaptures; i++) {
		struct capture_stats stats;

		capture_flush(r->captures[i]);
		stats = capture_stats(r->captures[i]);
		json_array_append_new(captures,
		    json_pack("{s:s,s:I,s:I}", "file", r->lab->captures[i].file,
			"frames", (json_int_t)stats.frames, "lost",
			(json_int_t)stats.lost));
	}
	return captures;
}

void
results_json(const struct results *r, FILE *out)
{
	json_t *all = json_pack("{s:s,s:b,s:f,s:b,s:i,s:o,s:o,s:o}", "lab",
	    r->lab->name, "met", expects_failed(r->expects) == 0, "ran_s",
	    (double)r->ran_ns / 1e9, "virtual_time", r->virtual_time,
	    "vms_died", (int)r->ndied, "expectations", expects_json(r->expects),
	    "captures", captures_json(r), "tables", tables_json(r));

	json_dumpf(all, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(all);
}
