/* libs: switch net base */
/*
 * Two ports, a cable on which anything happens, settings that change at any
 * time, links up and down, cables pulled and plugged in, ends that answer from
 * within their take(), frames of all sizes and superframes: whatever the input
 * says.
 *
 * Nothing is lost without being counted: what entered or was made twice has
 * left, was dropped by a reason, or is there.  Every frame that was sent got one verdict.  Where nothing may reorder,
 * nothing does.  At the end nothing stays behind.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "switch/cable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct end {
	struct port port; /* first */
	struct node node;
	bool answers, pulls, ordered;
	uint32_t seen; /* number of the last frame, where order is kept */
};

struct world {
	struct loop *loop;
	struct end end[2];
	struct cable *cable;
	struct loop_timer until;
	uint32_t number;
	bool answered; /* somebody ever did */
};

struct input {
	const uint8_t *at, *end;
};

static struct world w;
static uint8_t bytes[FRAME_MAX_BYTES];

static uint8_t
next(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static uint64_t
next_of(struct input *in, uint64_t max)
{
	uint64_t value = next(in);

	value = value << 8 | next(in);
	return value * max / 65535;
}

/* ---- sending ---- */

static void
send_one(unsigned int from, const struct frame *frame)
{
	struct burst burst;

	burst_clear(&burst);
	burst.frame[burst.n++] = *frame;
	burst.flags = frame->flags;
	port_send(&w.end[from].port, &burst);
	assert(burst.frame[0].verdict.node != NULL);
	assert(burst.frame[0].verdict.reason != REASON_NONE);
}

static void
send_plain(unsigned int from, uint32_t len, uint8_t ecn)
{
	struct frame frame = { .data = bytes, .len = len, .head = len };

	w.number++;
	memset(bytes, 0, 64);
	memcpy(bytes, &w.number, sizeof(w.number));
	bytes[5] = 0; /* its source is no group: bytes 6 to 11 are 0 */
	bytes[12] = 0x08;
	bytes[14] = 0x45;
	bytes[15] = ecn;
	send_one(from, &frame);
}

static void
send_super(unsigned int from, uint32_t payload, uint16_t gso)
{
	struct frame frame = { .data = bytes,
		.len = 54 + payload,
		.head = 54 + payload,
		.flags = FRAME_CSUM | FRAME_TSO4,
		.csum_start = 34,
		.csum_offset = 16,
		.gso_bytes = gso,
		.header_bytes = 54 };

	memset(bytes, 0, 64);
	w.number++;
	memcpy(bytes, &w.number, sizeof(w.number));
	bytes[12] = 0x08;
	bytes[14] = 0x45;
	bytes[23] = 6;
	bytes[46] = 0x50;
	send_one(from, &frame);
}

static void
take(struct port *port, struct burst *burst)
{
	struct end *end = (struct end *)port;
	unsigned int other = end == &w.end[0];

	assert(burst->n > 0 && burst->n <= BURST_MAX);
	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *f = &burst->frame[i];
		uint32_t number;

		assert(!(f->flags & FRAME_TODO & ~port->accepts));
		assert(f->len >= sizeof(number));
		memcpy(&number, f->data, sizeof(number));
		/* Who answers may be overtaken by its own answer's answer. */
		if (end->ordered && !w.answered) {
			assert(number >= end->seen);
			end->seen = number;
		}
		node_judge(port->node, f,
		    f->len % 7 == 0 ? DROP_NOT_READY : REASON_DELIVERED);
	}
	if (end->pulls) {
		end->pulls = false;
		cable_cut(port);
	} else if (end->answers && w.number < 4000) {
		/* one at a time: an answer to an answer would not end */
		end->answers = false;
		send_plain(!other, 60, 0);
		end->answers = true;
	}
}

static const struct port_ops ops = { .take = take };

/* ---- what holds at any time ---- */

static void
check(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct cable_stats s;
		const struct node *node;
		uint64_t dropped = 0;

		if (w.cable == NULL)
			return;
		s = cable_stats(w.cable, (enum cable_side)i);
		node = cable_node(w.cable, (enum cable_side)i);
		for (int r = REASON_FIRST_DROP; r < REASON_COUNT; r++)
			dropped += node->count[r];
		assert(s.dropped == dropped);
		assert(s.entered + s.duplicated == s.left + s.dropped + s.held);
		assert(s.held > 0 || (s.queued == 0 && s.queued_bytes == 0));
	}
}

/* ---- what may happen ---- */

static struct cable_settings
settings(struct input *in)
{
	struct cable_settings s = { 0 };
	uint8_t what = next(in), more = next(in);

	if (what & 1)
		s.delay_ns = next_of(in, 50 * NS_PER_MS);
	if (what & 2) {
		s.jitter_ns = next_of(in, s.delay_ns);
		s.spread = more & 3;
		s.overtake = more & 4;
		s.alike_ppb = next_of(in, CABLE_ALWAYS);
	}
	if (what & 4)
		s.loss_ppb = next_of(in, CABLE_ALWAYS);
	if (what & 8)
		s.spells = (struct cable_spells){ next_of(in, CABLE_ALWAYS),
			next_of(in, CABLE_ALWAYS), next_of(in, CABLE_ALWAYS),
			next_of(in, CABLE_ALWAYS) };
	if (what & 16) {
		s.duplicate_ppb = next_of(in, CABLE_ALWAYS);
		s.lose = (struct cable_lose){ 2, { next(in), next(in) } };
	}
	if (what & 32)
		s.corrupt_ppb = next_of(in, CABLE_ALWAYS);
	if (what & 64) {
		s.reorder_ppb = next_of(in, CABLE_ALWAYS);
		s.reorder_by_ns = next_of(in, 20 * NS_PER_MS);
	}
	if (what & 128) {
		s.rate_bps = 1000 +
		    next_of(in, UINT64_C(1000000000)) * (more & 8 ? 1000 : 1);
		s.overhead_bytes = next(in);
		s.discipline = more >> 4 & 1;
		s.ecn = s.discipline == CABLE_CODEL && more & 32;
		s.queue_frames = next(in);
		s.queue_bytes = next_of(in, 100000);
		s.target_ns = next_of(in, 10 * NS_PER_MS);
		s.interval_ns = next_of(in, 100 * NS_PER_MS);
		s.mark_ns = next_of(in, 10 * NS_PER_MS);
	}
	s.memory_bytes = CABLE_MEMORY_MIN << (more >> 6);
	return s;
}

static bool
keeps_order(const struct cable_settings *s)
{
	return s->reorder_ppb == 0 && !s->overtake && s->corrupt_ppb == 0;
}

static void
set(struct input *in, unsigned int side)
{
	static struct jitter_table table;
	struct cable_settings s = settings(in);
	struct err err = { "" };
	struct cable_stats now;

	if (w.cable == NULL)
		return;
	jitter_table_read(&table, "-16384 -4000 0 100 9000 32767", 29, NULL);
	now = cable_stats(w.cable, (enum cable_side)side);
	if (cable_set(w.cable, (enum cable_side)side, &s, &table, &err) < 0) {
		assert(err.text[0] != '\0');
		return;
	}
	/* From a cable that holds nothing on, order is kept or not. */
	if (now.held == 0)
		w.end[!side].ordered = keeps_order(&s);
	else
		w.end[!side].ordered &= keeps_order(&s);
}

static void
plug_in(void)
{
	struct err err = { "" };

	cable_free(w.cable);
	if (w.end[0].port.peer == NULL &&
	    cable_join(&w.end[0].port, &w.end[1].port) < 0)
		abort();
	w.cable = cable_new(
	    w.loop, &w.end[0].port, &w.end[1].port, "a.eth0", w.number, &err);
	assert(w.cable != NULL);
	/* Reordered frames of the old one are gone. */
	w.end[0].ordered = w.end[1].ordered = true;
}

static void
stop(void *arg)
{
	loop_stop(arg);
}

static void
pass(uint64_t ns)
{
	loop_timer_set(&w.until, loop_now_ns(w.loop) + ns);
	loop_run(w.loop);
}

static void
step(struct input *in)
{
	uint8_t what = next(in);
	unsigned int side = what >> 7;

	switch (what % 12) {
	case 0:
	case 1: set(in, side); break;
	case 2:
	case 3:
	case 4:
		for (unsigned int n = next(in) % 70; n > 0; n--)
			send_plain(side, 60 + (uint32_t)next_of(in, 1454),
			    what >> 5 & 3);
		break;
	case 5:
		send_super(side, 1 + (uint32_t)next_of(in, 65000),
		    (uint16_t)(100 + next_of(in, 1400)));
		break;
	case 6: pass(next_of(in, 100 * NS_PER_MS)); break;
	case 7: pass(next_of(in, 100 * NS_PER_US)); break;
	case 8: port_set_down(&w.end[side].port, next(in) & 1); break;
	case 9:
		w.end[side].answers = next(in) & 1;
		w.answered |= w.end[side].answers;
		break;
	case 10:
		w.end[side].port.accepts = next(in) & 1 ? FRAME_TODO : 0;
		break;
	case 11:
		if (next(in) & 1)
			plug_in();
		else
			w.end[side].pulls = true;
		break;
	default: break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	static const char *const names[] = { "a", "b" };

	memset(&w, 0, sizeof(w));
	w.loop = loop_new(LOOP_VIRTUAL, NULL);
	loop_timer_init(&w.until, w.loop, stop, w.loop);
	for (unsigned int i = 0; i < 2; i++) {
		node_init(&w.end[i].node, names[i]);
		port_init(&w.end[i].port, &ops, &w.end[i].node, names[i]);
	}
	plug_in();
	while (in.at < in.end) {
		step(&in);
		check();
	}
	w.end[0].answers = w.end[1].answers = false;
	loop_timer_unset(&w.until);
	loop_run(w.loop); /* until nothing is left that could call */
	check();
	for (unsigned int i = 0; i < 2; i++)
		assert(cable_stats(w.cable, (enum cable_side)i).held == 0);
	cable_cut(&w.end[0].port);
	check();
	cable_free(w.cable);
	loop_free(w.loop);
	return 0;
}
