/*
 * pcap nat: the NAT table as it was at a frame of a capture.
 */
#include "lab/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lab/nat_history.h"
#include "lab/nat_rows.h"
#include "lab/units.h"

struct looking {
	struct call *call;
	struct nat_history *history;
	struct reader *reader;
	uint64_t at;     /* number of the frame; UINT64_MAX: the last */
	uint64_t number; /* of the frame that was reached */
	struct crossing crossing;
};

static const char *
path_of(const struct looking *l)
{
	return l->call->options.args[0];
}

/* Reads up to the frame that is asked for.  0 or -Exxx with the sentence. */
static int
read_frames(struct looking *l)
{
	struct err *err = &l->call->err;
	int e = 1;

	while (l->number < l->at &&
	    (e = crossing_next(l->reader, &l->crossing, err)) == 1) {
		l->number = l->crossing.frame.number;
		e = nat_history_add(l->history, l->reader, &l->crossing);
		if (e == -ENOMEM)
			return err_set(err, e, "%s: out of memory", path_of(l));
		if (e < 0)
			return err_set(err, e,
			    "%s: more than %d routers or %u NAT entries",
			    path_of(l), NAT_HISTORY_ROUTERS,
			    NAT_HISTORY_ENTRIES);
	}
	if (e < 0)
		return e;
	if (nat_history_routers(l->history) == 0)
		return err_set(err, -ENOENT,
		    "%s: there is no port of a router with NAT; capture at "
		    "its ports by lanyard",
		    path_of(l));
	if (l->at != UINT64_MAX && l->number < l->at)
		return err_set(err, -ENOENT,
		    "%s: there is no frame %" PRIu64 "; the last is %" PRIu64,
		    path_of(l), l->at, l->number);
	return 0;
}

static void
add_row(void *arg, const char *router, const struct nat_row *row)
{
	nat_rows_add(arg, router, row);
}

static int
print_table(struct looking *l)
{
	FILE *out = l->call->out;
	struct table table;
	json_t *rows;

	if (table_init(&table, &nat_rows_head) < 0) {
		err_set(&l->call->err, -ENOMEM, "out of memory");
		return 2;
	}
	nat_history_each(l->history, add_row, &table);
	rows = table_json(&table);
	if (option_get(&l->call->options, "json") != NULL) {
		json_dumpf(rows, out, JSON_INDENT(2));
		fputc('\n', out);
	} else {
		table_print(&nat_rows_head, rows, "", out);
		fprintf(out, "%zu entries at frame %" PRIu64 "\n",
		    json_array_size(rows) + table.left_out, l->number);
	}
	json_decref(rows);
	table_free(&table);
	return 0;
}

static int
look(struct looking *l)
{
	int status = 2;

	l->reader = reader_open_any(path_of(l), &l->call->err);
	l->history = nat_history_new();
	if (l->history == NULL && l->reader != NULL)
		err_set(&l->call->err, -ENOMEM, "out of memory");
	if (l->history != NULL && l->reader != NULL && read_frames(l) == 0)
		status = print_table(l);
	nat_history_free(l->history);
	reader_free(l->reader);
	return status;
}

static int
run_pcap_nat(struct call *call)
{
	const char *at = option_get(&call->options, "at");
	struct looking *l = calloc(1, sizeof(*l));
	int status = 2;

	if (l == NULL) {
		err_set(&call->err, -ENOMEM, "out of memory");
		return 2;
	}
	l->call = call;
	l->at = UINT64_MAX;
	if (at != NULL && !count_read(&l->at, at, &call->err))
		status = 2;
	else if (l->at == 0)
		err_set(
		    &call->err, -EINVAL, "--at 0: the first frame is number 1");
	else
		status = look(l);
	free(l);
	return status;
}

static const struct option_row pcap_nat_options[] = {
	{ "at", 0, "N", "at frame N; otherwise at the last one" },
	{ "json", 0, NULL, "for programs" },
	{ 0 },
};

const struct command command_pcap_nat = {
	.name = "pcap nat",
	.arguments = "FILE",
	.summary = "the NAT table as it was at a frame",
	.help = "Shows the NAT tables of routers as they were when a frame of "
		"a capture passed: the\ncapture is lanyard's, of the ports of "
		"those routers, inside and outside.",
	.options = pcap_nat_options,
	.min_args = 1,
	.max_args = 1,
	.run = run_pcap_nat,
};
