#include "lab/wire.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

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
	[CABLE_TABLE] = NULL };
static const char *const queues[] = {
	[CABLE_FIFO] = "fifo", [CABLE_CODEL] = "codel", NULL
};

static const struct schema_key keys[] = {
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

const struct keyset wire_keys = { "keys of cables", keys,
	offsetof(struct lab_wire, given) };

/* Of the two keys that say how jitter is distributed, a new one holds. */
static void
settle_spread(struct lab_wire *to, const struct lab_wire *from)
{
	if (keyset_is_given(&wire_keys, from, "jitter-table"))
		to->set.spread =
		    from->table != NULL ? CABLE_TABLE : CABLE_UNIFORM;
	else if (keyset_is_given(&wire_keys, from, "distribution"))
		to->table = NULL;
}

void
wire_merge(struct lab_wire *to, const struct lab_wire *from)
{
	keyset_merge(&wire_keys, to, from);
	settle_spread(to, from);
}

char *
wire_text(char *out, size_t len, const struct cable_settings *settings)
{
	struct lab_wire wire = { .set = *settings };

	if (settings->spread == CABLE_TABLE) {
		wire.set.spread = 0;
		wire.table = "given"; /* its path is not kept */
	}
	keyset_text(out, len, &wire_keys, &wire);
	if (out[0] == '\0')
		snprintf(out, len, "plain");
	return out;
}
