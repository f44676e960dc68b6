/*
 * show traffic: the ports that measure, what they send and what came.
 */
#include "lab/show_rows.h"
#include "switch/meter.h"

const struct table_head traffic_head = {
	.name = "traffic",
	.help = "the ports that measure, and what the last streams to and from "
		"them met",
	.columns = {
		{ "port", "PORT" },
		{ "state", "STATE" },
		{ "to", "TO" },
		{ "sent", "SENT" },
		{ "hears", "HEARS" },
		{ "received", "RECEIVED" },
		{ "corrupt", "CORRUPT" },
		{ "duplicate", "DUPLICATE" },
		{ "reordered", "REORDERED" },
		{ "late", NULL },
		{ "foreign", NULL },
		{ "latency_min_us", "MIN US" },
		{ "latency_mean_us", "MEAN US" },
		{ "latency_max_us", "MAX US" },
		{ NULL, NULL },
	},
};

static json_t *
time_of(const struct tally *t, uint64_t ns)
{
	return t->received > 0 ? json_real((double)ns / 1000) : json_null();
}

static json_t *
name_of(const struct port *port)
{
	return port != NULL ? json_string(port->name) : json_null();
}

static void
add_meter(struct rows *rows, const struct meter *m)
{
	const struct tally *t = meter_tally(m);
	struct meter_result result = { .sent = 0 };

	(void)meter_result(m, &result);
	table_add(rows->table, "[s,s,o,I,o,I,I,I,I,I,I,o,o,o]",
	    meter_port(m)->name, meter_state(m), name_of(meter_to(m)),
	    number(result.sent), name_of(meter_fed_by(m)), number(t->received),
	    number(t->corrupt), number(t->duplicate), number(t->reordered),
	    number(t->late), number(t->foreign), time_of(t, t->min_ns),
	    time_of(t, tally_mean_ns(t)), time_of(t, t->max_ns));
}

void
show_traffic(struct rows *rows)
{
	const struct fabric *fabric = rows->show->fabric;

	for (unsigned int i = 0; i < fabric->lab->nports; i++) {
		const struct meter *m = meter_of(fabric->ports[i]);

		if (m != NULL)
			add_meter(rows, m);
	}
}
