/*
 * The keys are rows as those of the lab file (schema.h), whose values lie in a
 * struct lab_wire, and whose zero means that nothing was said.
 */
#include "lab/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lab/nearest.h"
#include "lab/schema.h"
#include "switch/codel.h"

#define KEY(p, t, m) \
	.path = (p), .type = SCHEMA_##t, .into = offsetof(struct lab_wire, m)

const char *const wire_directions[] = {
	[WIRE_BOTH] = "both", [WIRE_OUT] = "out", [WIRE_IN] = "in", NULL
};

static const char *const spreads[] = { [CABLE_UNIFORM] = "uniform",
	[CABLE_NORMAL] = "normal",
	[CABLE_PARETO] = "pareto",
	NULL };
static const char *const queues[] = {
	[CABLE_FIFO] = "fifo", [CABLE_CODEL] = "codel", NULL
};

const struct schema_key wire_keys[] = {
	{ KEY("delay", DURATION, set.delay_ns), .max = CABLE_DELAY_MAX_NS,
	    .preset = "0s", .help = "How long each frame is on its way." },
	{ KEY("jitter", DURATION, set.jitter_ns), .max = CABLE_DELAY_MAX_NS,
	    .preset = "0s",
	    .help = "How far delays differ from that: the most with "
		    "distribution uniform, else their standard deviation.  Not "
		    "more than delay." },
	{ KEY("distribution", CHOICE, set.spread), .choices = spreads,
	    .preset = "uniform",
	    .help = "Of jitter: equally often everywhere, as a bell, or with "
		    "a long tail of late frames (exponent 3)." },
	{ KEY("jitter-table", TEXT, table),
	    .help = "Instead of distribution: a file with the distribution, "
		    "in the format of netem's tables (tc-netem(8)), relative "
		    "to the lab file." },
	{ KEY("correlation", PERCENT, set.alike_ppb), .preset = "0%",
	    .help = "How alike the jitter of frames in a row is; the "
		    "distribution as a whole stays the same." },
	{ KEY("overtake", BOOL, set.overtake), .preset = "false",
	    .help = "Jitter may let frames overtake each other; else a frame "
		    "waits for the one before it." },
	{ KEY("loss", PERCENT, set.loss_ppb), .preset = "0%",
	    .help = "How many frames are lost, each by itself." },
	{ KEY("loss-burst", SPELLS, set.spells),
	    .help = "Loss in bursts (Gilbert-Elliott), as "
		    "ENTER/LEAVE/BAD/GOOD: with each frame, the chances that a "
		    "bad spell begins and that it ends; how many frames are "
		    "lost within it, 100% if left out, and outside, 0%.  "
		    "1%/10% loses 9% of all frames, ten in a row on "
		    "average." },
	{ KEY("lose", COUNTS, set.lose),
	    .help = "The numbers of frames that are lost, up to 16, as 5,9: "
		    "the first frame from now on has number 1." },
	{ KEY("duplicate", PERCENT, set.duplicate_ppb), .preset = "0%",
	    .help = "How many frames arrive twice." },
	{ KEY("corrupt", PERCENT, set.corrupt_ppb), .preset = "0%",
	    .help = "In how many frames one bit is flipped." },
	{ KEY("reorder", PERCENT, set.reorder_ppb), .preset = "0%",
	    .help = "How many frames are held back, so that later ones "
		    "overtake them." },
	{ KEY("reorder-by", DURATION, set.reorder_by_ns), .min = 1,
	    .max = CABLE_DELAY_MAX_NS, .preset = "10ms",
	    .help = "How much later those arrive." },
	{ KEY("rate", RATE, set.rate_bps), .min = CABLE_RATE_MIN,
	    .max = CABLE_RATE_MAX, .preset = "any",
	    .help = "How fast bits are sent, counted as Ethernet frames "
		    "without FCS." },
	{ KEY("overhead", SIZE, set.overhead_bytes), .max = 1000,
	    .preset = "0B",
	    .help = "What each frame costs beside its own bytes; 24B for "
		    "Ethernet's preamble, FCS and gap." },
	{ KEY("queue", CHOICE, set.discipline), .choices = queues,
	    .preset = "fifo",
	    .help = "Of frames that wait for the rate: first in, first out, "
		    "or with CoDel (RFC 8289), which drops frames when the "
		    "queue stays long." },
	{ KEY("queue-frames", COUNT, set.queue_frames), .min = 1,
	    .max = 1000000, .preset = "1000",
	    .help = "How many frames wait at most; others are dropped." },
	{ KEY("queue-bytes", SIZE, set.queue_bytes), .min = 64,
	    .max = UINT64_C(1) << 30, .preset = "any",
	    .help = "The same in bytes, with overhead.  An empty queue takes "
		    "any frame." },
	{ KEY("target", DURATION, set.target_ns), .min = 1,
	    .max = 60 * NS_PER_S, .preset = "5ms",
	    .help = "CoDel: the wait that is short enough." },
	{ KEY("interval", DURATION, set.interval_ns), .min = 1,
	    .max = 60 * NS_PER_S, .preset = "100ms",
	    .help = "CoDel: how long it may be longer; about the slowest "
		    "connection's round trip." },
	{ KEY("ecn", BOOL, set.ecn), .preset = "false",
	    .help = "CoDel marks packets that understand it (RFC 3168) "
		    "instead of dropping them." },
	{ KEY("mark", DURATION, set.mark_ns), .min = 1, .max = 60 * NS_PER_S,
	    .preset = "never",
	    .help = "Packets that waited longer and understand ECN are "
		    "marked, in either kind of queue." },
	{ KEY("memory", SIZE, set.memory_bytes), .min = CABLE_MEMORY_MIN,
	    .max = CABLE_MEMORY_MAX, .preset = "64M",
	    .help = "For copies of frames on their way; others are dropped.  "
		    "A frame of 1514 bytes takes 2048." },
	{ .path = NULL },
};

const struct schema_key *
wire_key(const char *name)
{
	for (const struct schema_key *row = wire_keys; row->path != NULL; row++)
		if (strcmp(row->path, name) == 0)
			return row;
	return NULL;
}

/* How long a row's value is. */
static size_t
bytes_of(const struct schema_key *row)
{
	switch (row->type) {
	case SCHEMA_BOOL: return sizeof(bool);
	case SCHEMA_CHOICE: return sizeof(int);
	case SCHEMA_TEXT: return sizeof(const char *);
	case SCHEMA_COUNTS: return sizeof(struct cable_lose);
	case SCHEMA_SPELLS: return sizeof(struct cable_spells);
	default: return sizeof(uint64_t);
	}
}

void
wire_give(struct lab_wire *wire, const struct schema_key *row)
{
	wire->given |= UINT64_C(1) << (row - wire_keys);
}

void
wire_take_back(struct lab_wire *wire, const struct schema_key *row)
{
	memset((unsigned char *)wire + row->into, 0, bytes_of(row));
	wire_give(wire, row);
}

bool
wire_is_given(const struct lab_wire *wire, const char *key)
{
	const struct schema_key *row = wire_key(key);

	return row != NULL && wire->given >> (row - wire_keys) & 1;
}

/* Of the two keys that say how jitter is distributed, a new one holds. */
static void
settle_spread(struct lab_wire *to, const struct lab_wire *from)
{
	if (wire_is_given(from, "jitter-table"))
		to->set.spread =
		    from->table != NULL ? CABLE_TABLE : CABLE_UNIFORM;
	else if (wire_is_given(from, "distribution"))
		to->table = NULL;
}

void
wire_merge(struct lab_wire *to, const struct lab_wire *from)
{
	for (const struct schema_key *row = wire_keys; row->path != NULL; row++)
		if (from->given >> (row - wire_keys) & 1)
			memcpy((unsigned char *)to + row->into,
			    (const unsigned char *)from + row->into,
			    bytes_of(row));
	to->given |= from->given;
	settle_spread(to, from);
}

/* ---- from text ---- */

static int
no_such_key(const char *key, struct err *err)
{
	struct nearest near;

	nearest_init(&near, key);
	for (const struct schema_key *row = wire_keys; row->path != NULL; row++)
		nearest_try(&near, row->path);
	return err_set(err, -EINVAL, "\"%.40s\" cannot be set; %s%s%s", key,
	    near.best != NULL ? "did you mean \""
			      : "the keys are in lanyard.lab(5)",
	    near.best != NULL ? near.best : "", near.best != NULL ? "\"?" : "");
}

int
wire_read(
    struct lab_wire *wire, const char *key, const char *text, struct err *err)
{
	const struct schema_key *row = wire_key(key);

	if (row == NULL)
		return no_such_key(key, err);
	return schema_read_wire(wire, row, text, err);
}

/* ---- to text ---- */

static char *
spells_text(char *out, size_t len, const struct cable_spells *s)
{
	char enter[UNITS_TEXT_BYTES], leave[UNITS_TEXT_BYTES],
	    bad[UNITS_TEXT_BYTES], good[UNITS_TEXT_BYTES];

	snprintf(out, len, "%s/%s/%s/%s", percent_text(enter, s->enter_ppb),
	    percent_text(leave, s->leave_ppb), percent_text(bad, s->bad_ppb),
	    percent_text(good, s->good_ppb));
	return out;
}

static char *
lose_text(char *out, size_t len, const struct cable_lose *lose)
{
	size_t used = 0;

	out[0] = '\0';
	for (uint64_t i = 0; i < lose->n && used < len; i++)
		used += (size_t)snprintf(out + used, len - used, "%s%" PRIu64,
		    i == 0 ? "" : ",", lose->frame[i]);
	return out;
}

/* The value at, as a lab file has it. */
static const char *
value_text(char *out, size_t len, const struct schema_key *row, const void *at)
{
	char text[UNITS_TEXT_BYTES];
	uint64_t number = 0;

	if (bytes_of(row) == sizeof(number))
		memcpy(&number, at, sizeof(number));
	switch (row->type) {
	case SCHEMA_BOOL: return "true"; /* shown only if it is */
	case SCHEMA_CHOICE: return row->choices[*(const int *)at];
	case SCHEMA_COUNTS: return lose_text(out, len, at);
	case SCHEMA_SPELLS: return spells_text(out, len, at);
	case SCHEMA_DURATION: duration_text(text, number); break;
	case SCHEMA_PERCENT: percent_text(text, number); break;
	case SCHEMA_RATE: rate_text(text, number); break;
	case SCHEMA_SIZE: size_text(text, number); break;
	default: snprintf(text, sizeof(text), "%" PRIu64, number); break;
	}
	snprintf(out, len, "%s", text);
	return out;
}

static bool
is_zero(const unsigned char *at, size_t n)
{
	while (n > 0)
		if (at[--n] != 0)
			return false;
	return true;
}

char *
wire_text(char *out, size_t len, const struct cable_settings *settings)
{
	const struct lab_wire wire = { .set = *settings };
	size_t used = 0;

	snprintf(out, len, "plain");
	for (const struct schema_key *row = wire_keys;
	     row->path != NULL && used < len; row++) {
		const unsigned char *at = (const unsigned char *)&wire;
		bool by_table = row->type == SCHEMA_CHOICE &&
		    row->choices == spreads && settings->spread == CABLE_TABLE;
		char value[400];

		at += row->into;
		if (is_zero(at, bytes_of(row)))
			continue;
		used += (size_t)snprintf(out + used, len - used, "%s%s %s",
		    used == 0 ? "" : ", ", row->path,
		    by_table ? "by a table"
			     : value_text(value, sizeof(value), row, at));
	}
	return out;
}
