#include "lab/measure.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/fabric.h"
#include "lab/nearest.h"
#include "lab/schema.h"
#include "lab/units.h"

#define KEY(p, t, m) \
	.path = (p), .type = SCHEMA_##t, .into = offsetof(struct lab_measure, m)

#define RATE    1000
#define FRAME   64
#define FRAME6  84 /* the shortest of IPv6 */
#define FOR_NS  NS_PER_S
#define WAIT_NS (2 * NS_PER_S) /* RFC 2544, 23 */

static const char *const patterns[] = { "any", [TEST_ETHERNET + 1] = "ethernet",
	[TEST_UDP4 + 1] = "udp4", [TEST_UDP6 + 1] = "udp6", NULL };

static const struct schema_key keys[] = {
	{ KEY("rate", TEXT, rate), .preset = "1000",
	    .help = "Frames in a second; or 10Mbit/s, which counts the 24 "
		    "bytes of FCS, preamble and gap that a frame takes on a "
		    "wire; or max, as fast as possible, in real time only." },
	{ KEY("frame", TEXT, frame), .preset = "64",
	    .help = "The size of frames with FCS, from 64 to 9220 bytes: one, "
		    "or up to 16 in turn as 64,512,1518; imix; "
		    "sweep:64-1518; or random:64-1518.  IPv6 needs 84, a tag 4 "
		    "more." },
	{ KEY("count", COUNT, count), .min = 1, .max = METER_COUNT_MAX,
	    .preset = "any", .help = "How many frames." },
	{ KEY("for", DURATION, for_ns), .min = NS_PER_US,
	    .max = METER_FOR_MAX_NS, .preset = "1s, without count",
	    .help = "How long frames are sent." },
	{ KEY("wait", DURATION, wait_ns), .max = METER_FOR_MAX_NS,
	    .preset = "2s",
	    .help = "How long the last frames are waited for." },
	{ KEY("pattern", CHOICE, pattern), .choices = patterns, .preset = "any",
	    .help = "UDP over IPv4 or IPv6, or Ethernet alone, of type 0x88b5; "
		    "any: the first for which both ends have an address." },
	{ KEY("burst", COUNT, burst), .min = 1, .max = METER_BURST_MAX,
	    .preset = "1",
	    .help = "How many frames go back to back; the rate is the mean." },
	{ KEY("flows", COUNT, flows), .min = 1, .max = METER_FLOWS_MAX,
	    .preset = "1", .help = "How many UDP source ports take turns." },
	{ KEY("macs", COUNT, macs), .min = 1, .max = METER_MACS_MAX,
	    .preset = "1",
	    .help = "How many Ethernet source addresses take turns." },
	{ KEY("vlan", COUNT, vlan), .min = 1, .max = 4094, .preset = "no tag",
	    .help = "The VLAN in the frames' tag." },
	{ KEY("port", COUNT, port), .min = 1, .max = 65535, .preset = "9",
	    .help = "The UDP destination port." },
	{ KEY("seed", COUNT, seed), .max = UINT64_MAX, .preset = "0",
	    .help = "What random sizes follow from." },
	{ .path = NULL },
};

const struct keyset measure_keys = { "keys of measurements", keys,
	offsetof(struct lab_measure, given) };

/* ---- sizes ---- */

/* A size, and moves *text behind it.  With FCS in the text, without here. */
static bool
read_size(uint32_t *bytes, const char **text)
{
	char *end;
	unsigned long n;

	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	n = strtoul(*text, &end, 10);
	*text = end;
	if (errno != 0 || n < MEASURE_FCS_BYTES ||
	    n > TEST_FRAME_MAX + MEASURE_FCS_BYTES)
		return false;
	*bytes = (uint32_t)n - MEASURE_FCS_BYTES;
	return true;
}

static bool
read_list(struct meter_sizes *s, const char *text)
{
	s->order = METER_IN_TURN;
	for (s->n = 0; s->n < METER_SIZES_MAX;) {
		if (!read_size(&s->bytes[s->n++], &text))
			return false;
		if (*text == '\0')
			return true;
		if (*text++ != ',')
			return false;
	}
	return false;
}

static bool
read_span(struct meter_sizes *s, const char *text)
{
	return read_size(&s->bytes[0], &text) && *text++ == '-' &&
	    read_size(&s->bytes[1], &text) && *text == '\0';
}

int
measure_sizes_read(struct meter_sizes *sizes, const char *text, struct err *err)
{
	/* The mix of 7 : 4 : 1, spread. */
	static const struct meter_sizes imix = { METER_IN_TURN, 12,
		{ 60, 590, 60, 60, 590, 60, 1514, 60, 590, 60, 60, 590 } };
	struct meter_sizes s = { .n = 0 };
	bool good;

	if (strcmp(text, "imix") == 0) {
		s = imix;
		good = true;
	} else if (strncmp(text, "sweep:", 6) == 0) {
		s.order = METER_SWEEP;
		good = read_span(&s, text + 6);
	} else if (strncmp(text, "random:", 7) == 0) {
		s.order = METER_RANDOM;
		good = read_span(&s, text + 7);
	} else {
		good = read_list(&s, text);
	}
	if (!good)
		return err_set(err, -EINVAL,
		    "frame: \"%.40s\" are no sizes; use as 64, 64,512,1518, "
		    "imix, sweep:64-1518 or random:64-1518, each from 64 to "
		    "%d",
		    text, TEST_FRAME_MAX + MEASURE_FCS_BYTES);
	*sizes = s;
	return 0;
}

/* ---- options ---- */

static int
read_rate(struct meter_options *o, const char *text, struct err *err)
{
	struct err why = { "" };

	if (text == NULL) {
		o->fps = RATE;
		return 0;
	}
	if (strcmp(text, "max") == 0)
		return 0;
	if (strstr(text, "bit/s") != NULL) {
		if (rate_read(&o->bps, text, &why) && o->bps > 0)
			return 0;
	} else if (count_read(&o->fps, text, &why) && o->fps > 0) {
		return 0;
	}
	return err_set(err, -EINVAL,
	    "rate: \"%.40s\" is no rate; use frames in a second as 1000, bits "
	    "as 10Mbit/s, or max",
	    text);
}

int
measure_options(
    const struct lab_measure *m, struct meter_options *options, struct err *err)
{
	struct meter_options o = {
		.any_pattern = m->pattern == 0,
		.pattern =
		    (enum test_pattern)(m->pattern > 0 ? m->pattern - 1 : 0),
		.burst = m->burst != 0 ? m->burst : 1,
		.flows = m->flows != 0 ? m->flows : 1,
		.macs = m->macs != 0 ? m->macs : 1,
		.vlan = (uint16_t)m->vlan,
		.port = (uint16_t)m->port,
		.count = m->count,
		.for_ns = m->for_ns,
		.wait_ns = keyset_is_given(&measure_keys, m, "wait")
		    ? m->wait_ns
		    : WAIT_NS,
		.seed = m->seed,
	};
	uint32_t least =
	    (m->pattern == TEST_UDP6 + 1 ? FRAME6 : FRAME) - MEASURE_FCS_BYTES;
	int e = read_rate(&o, m->rate, err);

	if (o.count == 0 && o.for_ns == 0)
		o.for_ns = FOR_NS;
	o.sizes = (struct meter_sizes){ METER_IN_TURN, 1,
		{ least + (m->vlan != 0 ? 4 : 0) } };
	if (e == 0 && m->frame != NULL)
		e = measure_sizes_read(&o.sizes, m->frame, err);
	if (e == 0)
		e = meter_options_check(&o, err);
	if (e == 0)
		*options = o;
	return e;
}

/* ---- the lab ---- */

struct meter *
measure_meter(const struct fabric *fabric, const char *name, struct err *err)
{
	char full[NODE_NAME_BYTES];
	struct port *port = fabric_port(fabric, name);
	struct nearest near;

	if (port == NULL && strchr(name, '.') == NULL) {
		snprintf(full, sizeof(full), "%.40s.eth0", name);
		port = fabric_port(fabric, full);
	}
	if (meter_of(port) != NULL)
		return meter_of(port);
	if (port != NULL) {
		err_set(err, -EINVAL,
		    "%.60s is no traffic port; name a plug with the locator "
		    "\"traffic:ADDRESS/PREFIX\"",
		    name);
		return NULL;
	}
	nearest_init(&near, name);
	for (unsigned int i = 0; i < fabric->lab->nports; i++)
		if (meter_of(fabric->ports[i]) != NULL)
			nearest_try(&near, fabric->ports[i]->node->name);
	err_set(err, -ENOENT, "\"%.60s\" is no port of this lab; %s%s%s", name,
	    near.best != NULL ? "did you mean \""
			      : "\"lanyard show LAB traffic\" lists those that "
				"can measure",
	    near.best != NULL ? near.best : "", near.best != NULL ? "\"?" : "");
	return NULL;
}

/* ---- results ---- */

uint64_t
measure_lost(const struct meter_result *r)
{
	return r->sent - r->tally->received;
}

static double
us(uint64_t ns)
{
	return (double)ns / 1000;
}

static json_t *
latency_json(const struct tally *t)
{
	return json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "min", us(t->min_ns),
	    "mean", us(tally_mean_ns(t)), "p50",
	    us(tally_percentile_ns(t, 500)), "p90",
	    us(tally_percentile_ns(t, 900)), "p99",
	    us(tally_percentile_ns(t, 990)), "p999",
	    us(tally_percentile_ns(t, 999)), "max", us(t->max_ns));
}

static double
per_second(uint64_t n, uint64_t ns)
{
	return ns > 0 ? (double)n * 1e9 / (double)ns : 0;
}

static json_t *
result_json(const struct meter *from, const struct meter_result *r)
{
	const struct tally *t = r->tally;
	uint64_t wire_bits = (r->sent_bytes + r->sent * METER_WIRE_BYTES) * 8;
	json_t *lost = json_array();
	json_t *json = json_pack(
	    "{s:b,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:f}",
	    "ok", 1, "from", meter_port(from)->name, "to", meter_to(from)->name,
	    "pattern", patterns[r->pattern + 1], "sent", (json_int_t)r->sent,
	    "received", (json_int_t)t->received, "lost",
	    (json_int_t)measure_lost(r), "corrupt", (json_int_t)t->corrupt,
	    "duplicate", (json_int_t)t->duplicate, "reordered",
	    (json_int_t)t->reordered, "late", (json_int_t)t->late, "seconds",
	    (double)r->sent_ns / 1e9, "frames_per_s",
	    per_second(r->sent, r->sent_ns), "wire_bits_per_s",
	    per_second(wire_bits, r->sent_ns), "overdue_us", us(r->late_ns));

	for (unsigned int i = 0; i < t->nlost; i++)
		json_array_append_new(
		    lost, json_integer((json_int_t)t->lost[i] + 1));
	json_object_set_new(json, "first_lost", lost);
	json_object_set_new(json, "latency_us",
	    t->received > 0 ? latency_json(t) : json_null());
	json_object_set_new(json, "jitter_us",
	    t->received > 1 ? json_real(us(t->jitter16_ns / 16)) : json_null());
	return json;
}

json_t *
measure_answer(const struct meter *from, struct err *err)
{
	struct meter_result result;

	if (!meter_result(from, &result)) {
		err_set(err, -EIO, "%s: the receiver has gone",
		    meter_port(from)->name);
		return NULL;
	}
	if (result.why == NULL)
		return result_json(from, &result);
	err_set(err, -EIO, "%s to %s: %s", meter_port(from)->name,
	    meter_to(from)->name, result.why);
	return NULL;
}

/* ---- runs ---- */

static int
read_pairs(struct lab_measure *measure, json_t *with, struct err *err)
{
	for (void *at = json_object_iter(with); at != NULL;
	     at = json_object_iter_next(with, at)) {
		int e = keyset_read(&measure_keys, measure,
		    json_object_iter_key(at),
		    json_string_value(json_object_iter_value(at)), err);

		if (e < 0)
			return e;
	}
	return 0;
}

struct meter *
measure_start(const struct fabric *fabric, const char *from_name,
    const char *to_name, json_t *with, void (*done)(void *arg), void *arg,
    struct err *err)
{
	struct lab_measure measure = { .given = 0 };
	struct meter_options options;
	struct meter *from = measure_meter(fabric, from_name, err);
	struct meter *to =
	    from != NULL ? measure_meter(fabric, to_name, err) : NULL;

	if (to == NULL || read_pairs(&measure, with, err) < 0 ||
	    measure_options(&measure, &options, err) < 0 ||
	    meter_start(from, to, &options, done, arg, err) < 0)
		return NULL;
	return from;
}
