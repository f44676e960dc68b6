/*
 * The way of a frame through one direction of a cable.
 *
 *     cable_enter        queue         transmitter           line
 *     chance, copy --> |||||||||| --> [ rate_bps ] --> - - - - - - - > leave()
 *                      limit, CoDel    free_ns          delay, jitter
 *
 * Time is computed, not waited for.  The transmitter has no timer: whenever
 * somebody looks (a frame enters, one leaves), advance() moves on all that was
 * transmitted until then, each at the instant at which it was, which is kept to
 * the fraction of a nanosecond.  So a rate holds however late the process wakes
 * up, and a timer is needed only for frames that leave; those that were due
 * meanwhile leave in one go.
 *
 *     start     = when the transmitter is free, or the frame entered
 *     free_ns   = start + (bytes + overhead) * 8 / rate_bps
 *     leaves at = free_ns + delay + jitter, or when the one before it does
 *
 * The last clause is why jitter never reorders unless it may overtake: where
 * frames come faster than jitter lets them go, they wait for their predecessor,
 * and the delay is what the slowest of the last few drew, as in any network
 * that keeps frames in order.
 *
 * Loss is settled before the queue, though a real frame is lost behind it: so
 * the sender's verdict can say it, and the same frames are lost however fast
 * they come.  CoDel decides when a frame is at the head of the queue: those it
 * drops, and those that are lost as the link goes down, have been judged before
 * ("on its way"); they are counted where all drops are.
 *
 * Superframes are cut before they enter if they would be more than a lump of
 * LUMP_NS to the transmitter or than half of the queue, and if CoDel or chance
 * is to pick frames.
 */
#include <assert.h>
#include <string.h>

#include "net/ecn.h"
#include "switch/cable_way.h"
#include "switch/offload.h"

#define BURSTS_PER_TURN 16
#define LUMP_NS         NS_PER_MS
#define SUPERFRAME_BITS (UINT64_C(65536) * 8)

/* ---- off the cable ---- */

static void
forget(struct cable_way *way, struct held *held)
{
	way->stats.held--;
	store_put(&way->store, held);
}

static struct frame
view_of(const struct held *held)
{
	return (struct frame){
		.data = held->data,
		.len = held->len,
		.head = held->len,
		.flags = held->flags,
		.csum_start = held->csum_start,
		.csum_offset = held->csum_offset,
		.gso_bytes = held->gso_bytes,
		.header_bytes = held->header_bytes,
		.verdict.journey = held->journey,
	};
}

static void
tell_lost(struct cable_way *way, const struct held *held, enum reason reason)
{
	struct frame frame = view_of(held);

	frame.verdict.node = &way->node;
	frame.verdict.reason = (uint16_t)reason;
	port_tell_lost(way->from, DIR_OUT, &frame);
}

/* Drops a frame whose sender was told that it is on its way. */
static void
drop_held(struct cable_way *way, struct held *held, enum reason reason)
{
	way->node.count[reason]++;
	way->stats.dropped++;
	way->from->out_drops++;
	if (way->from->watchers != NULL)
		tell_lost(way, held, reason);
	forget(way, held);
}

void
cable_flow_drop(struct cable_way *way, enum reason reason)
{
	struct held *held;

	while ((held = held_list_take(&way->queue)) != NULL)
		drop_held(way, held, reason);
	while ((held = held_order_take(&way->line, UINT64_MAX)) != NULL)
		drop_held(way, held, reason);
	way->queued = 0;
	way->queued_bytes = 0;
	way->free_ns = 0;
	way->rest = 0;
	way->line.last_ns = 0;
	way->codel = (struct codel){ .target_ns = way->codel.target_ns,
		.interval_ns = way->codel.interval_ns };
	loop_timer_unset(&way->timer);
	loop_defer_cancel(&way->due);
}

/* ---- the transmitter ---- */

/* How long it works on a frame; what is less than a nanosecond is carried over
 * in *rest. */
static uint64_t
transmit_ns(
    const struct cable_way *way, const struct held *held, uint64_t *rest)
{
	uint64_t rate = way->settings.rate_bps;
	uint64_t work;

	if (rate == 0)
		return 0;
	/* A superframe is below 2^21 bytes, overhead included: 54 bits. */
	work = held->wire_bytes * UINT64_C(8) * NS_PER_S + *rest;
	*rest = work % rate;
	return work / rate;
}

static void
put_on_line(struct cable_way *way, struct held *held, uint64_t at_ns)
{
	held->at_ns = at_ns + held->line_ns;
	if (!held->late && !way->settings.overtake &&
	    held->at_ns < way->line.last_ns)
		held->at_ns = way->line.last_ns;
	held_order_add(&way->line, held);
}

static void
mark(struct cable_way *way, struct held *held)
{
	if (held->reason == REASON_CABLE_MARKED)
		return;
	held->reason = REASON_CABLE_MARKED;
	way->node.count[REASON_CABLE_MARKED]++;
	way->stats.marked++;
}

/* What the queue makes of its head, which begins to be transmitted at at_ns.
 * False: it was dropped. */
static bool
judge_head(struct cable_way *way, struct held *held, uint64_t at_ns)
{
	const struct cable_settings *s = &way->settings;
	uint64_t waited_ns = at_ns - held->at_ns;

	if (s->discipline == CABLE_CODEL &&
	    codel_drops(&way->codel, at_ns, waited_ns, way->queued_bytes,
		way->longest_bytes)) {
		if (!s->ecn || !ecn_mark(held->data, held->len)) {
			drop_held(way, held, DROP_CABLE_CODEL);
			return false;
		}
		mark(way, held);
	}
	if (s->mark_ns != 0 && waited_ns > s->mark_ns &&
	    ecn_mark(held->data, held->len))
		mark(way, held);
	return true;
}

/* Transmits what the transmitter had time for until now. */
static void
advance(struct cable_way *way, uint64_t now_ns)
{
	while (way->queue.first != NULL) {
		struct held *held = way->queue.first;
		uint64_t at_ns = now_ns;

		if (way->settings.rate_bps != 0) {
			if (way->free_ns > now_ns)
				return;
			at_ns = way->free_ns > held->at_ns ? way->free_ns
							   : held->at_ns;
		}
		held_list_take(&way->queue);
		way->queued -= held->wire_frames;
		way->queued_bytes -= held->wire_bytes;
		if (!judge_head(way, held, at_ns))
			continue;
		if (at_ns > way->free_ns)
			way->rest = 0; /* it had stood idle */
		way->free_ns = at_ns + transmit_ns(way, held, &way->rest);
		put_on_line(way, held, way->free_ns);
	}
}

/* ---- when to look again ---- */

/* When the first of those in the queue might leave, or needs to be looked at;
 * UINT64_MAX: none is there. */
static uint64_t
queue_next_ns(const struct cable_way *way)
{
	const struct held *head = way->queue.first;
	uint64_t rest = way->rest;

	if (head == NULL)
		return UINT64_MAX;
	if (way->settings.overtake || head->late ||
	    way->settings.discipline == CABLE_CODEL)
		return way->free_ns;
	return way->free_ns + transmit_ns(way, head, &rest) + head->line_ns;
}

static void
look_again(struct cable_way *way, uint64_t now_ns)
{
	uint64_t at_ns = held_order_next_ns(&way->line);
	uint64_t queue_ns = queue_next_ns(way);

	if (way->leaving)
		return; /* leave() does it at its end */
	if (queue_ns < at_ns)
		at_ns = queue_ns;
	if (at_ns <= now_ns) {
		loop_timer_unset(&way->timer);
		loop_defer_ask(&way->due);
	} else if (at_ns == UINT64_MAX) {
		loop_timer_unset(&way->timer);
	} else if (!loop_timer_is_set(&way->timer) ||
	    way->timer.at_ns != at_ns) {
		loop_timer_set(&way->timer, at_ns);
	}
}

/* ---- out ---- */

/* A burst of frames whose time has come, and what they are. */
struct leaving {
	struct burst burst;
	struct held *held[BURST_MAX];
	struct verdict cause[BURST_MAX];
};

static void
add_leaving(struct cable_way *way, struct leaving *l, struct held *held)
{
	unsigned int i = l->burst.n++;

	l->held[i] = held;
	l->cause[i] = (struct verdict){ .node = &way->node,
		.reason = held->reason,
		.out = way->to,
		.nout = 1,
		.journey = held->journey };
	l->burst.flags |= held->flags;
	l->burst.frame[i] = view_of(held);
	l->burst.frame[i].cause = &l->cause[i];
}

/* Hands over up to a burst of what is due.  False: nothing was. */
static bool
leave_burst(struct cable_way *way, uint64_t now_ns)
{
	struct port *from = way->from;
	struct leaving l;

	burst_clear(&l.burst);
	while (l.burst.n < BURST_MAX) {
		struct held *held = held_order_take(&way->line, now_ns);

		if (held == NULL)
			break;
		if (way->line.list.first != NULL)
			__builtin_prefetch(way->line.list.first);
		add_leaving(way, &l, held);
	}
	if (l.burst.n == 0)
		return false;
	way->stats.left += l.burst.n;
	/* The taker may pull the cable: from here on, way may have no ends. */
	port_arrive(way->to, &l.burst);
	for (unsigned int i = 0; i < l.burst.n; i++) {
		from->out_drops +=
		    reason_is_drop(l.burst.frame[i].verdict.reason);
		forget(way, l.held[i]);
	}
	return true;
}

/* The deferred call and the timer. */
static void
leave(void *arg)
{
	struct cable_way *way = arg;
	uint64_t now_ns = loop_now_ns(way->loop);

	way->leaving = true;
	for (unsigned int i = 0; i < BURSTS_PER_TURN && way->from != NULL;
	     i++) {
		advance(way, now_ns);
		if (!leave_burst(way, now_ns))
			break;
	}
	way->leaving = false;
	if (way->from == NULL)
		return;
	look_again(way, now_ns);
	if (way->stats.held == 0)
		cable_emptied(way);
}

void
cable_flow_init(struct cable_way *way)
{
	held_list_init(&way->queue);
	held_order_init(&way->line);
	loop_timer_init(&way->timer, way->loop, leave, way);
	loop_defer_init(&way->due, way->loop, leave, way);
}

void
cable_flow_look(struct cable_way *way)
{
	uint64_t now_ns = loop_now_ns(way->loop);

	advance(way, now_ns);
	look_again(way, now_ns);
}

/* ---- in ---- */

static bool
is_queue_full(
    const struct cable_way *way, uint32_t wire_frames, uint32_t wire_bytes)
{
	const struct cable_settings *s = &way->settings;
	uint64_t frames =
	    s->queue_frames != 0 ? s->queue_frames : CABLE_QUEUE_FRAMES;

	/* An empty queue takes any frame. */
	if (way->queued == 0)
		return false;
	return way->queued + wire_frames > frames ||
	    (s->queue_bytes != 0 &&
		way->queued_bytes + wire_bytes > s->queue_bytes);
}

/* A copy of frame, or NULL: the store is full. */
static struct held *
copy_frame(struct cable_way *way, const struct frame *frame)
{
	struct held *held = store_get(&way->store, sizeof(*held) + frame->len);

	if (held == NULL)
		return NULL;
	*held = (struct held){
		.order = way->order++,
		.len = frame->len,
		.journey = frame->verdict.journey,
		.csum_start = frame->csum_start,
		.csum_offset = frame->csum_offset,
		.gso_bytes = frame->gso_bytes,
		.header_bytes = frame->header_bytes,
		.flags = frame->flags,
	};
	frame_copy(held->data, frame, 0, frame->len);
	way->stats.held++;
	return held;
}

/* Flips a bit.  Checksums were finished on the way in (cable_carries()). */
static void
corrupt(struct cable_way *way, struct held *held)
{
	uint64_t bit;

	if (held->len == 0)
		return;
	bit = chance_bit(&way->chance, held->len * UINT64_C(8));
	held->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	held->flags &= (uint8_t)~FRAME_VALID;
}

/* Takes in one copy of a frame.  Why not, or DROP_NONE. */
static enum reason
hold(struct cable_way *way, const struct frame *frame, const struct fate *fate,
    enum reason verdict, uint64_t now_ns)
{
	uint32_t wire_bytes,
	    wire_frames = offload_wire_frames(frame, &wire_bytes);
	struct held *held;

	wire_bytes += wire_frames * (uint32_t)way->settings.overhead_bytes;
	if (is_queue_full(way, wire_frames, wire_bytes))
		return DROP_CABLE_QUEUE;
	held = copy_frame(way, frame);
	if (held == NULL)
		return DROP_CABLE_MEMORY;
	held->at_ns = now_ns;
	held->wire_frames = wire_frames;
	held->wire_bytes = wire_bytes;
	held->line_ns = fate->line_ns;
	held->late = fate->late;
	held->reason = (uint16_t)verdict;
	if (fate->corrupt)
		corrupt(way, held);
	if (way->longest_bytes < wire_bytes)
		way->longest_bytes = wire_bytes;
	way->queued += wire_frames;
	way->queued_bytes += wire_bytes;
	held_list_add(&way->queue, held);
	advance(way, now_ns);
	return DROP_NONE;
}

static enum reason
verdict_of(const struct fate *fate)
{
	if (fate->corrupt)
		return REASON_CABLE_CORRUPTED;
	if (fate->duplicate)
		return REASON_CABLE_DUPLICATED;
	return fate->late ? REASON_CABLE_REORDERED : REASON_CABLE_HELD;
}

/* The same frame again, right behind. */
static void
hold_again(struct cable_way *way, const struct frame *frame,
    const struct fate *fate, uint64_t now_ns)
{
	enum reason refused;

	way->stats.duplicated++;
	refused = hold(way, frame, fate, verdict_of(fate), now_ns);
	if (refused == DROP_NONE)
		return;
	way->node.count[refused]++;
	way->stats.dropped++;
	if (way->from->watchers != NULL) {
		struct frame lost = *frame;

		lost.verdict = (struct verdict){ .node = &way->node,
			.reason = (uint16_t)refused,
			.journey = frame->verdict.journey };
		port_tell_lost(way->from, DIR_OUT, &lost);
	}
}

static void
enter(struct cable_way *way, struct frame *frame, uint64_t now_ns)
{
	struct fate fate =
	    chance_next(&way->chance, &way->settings, way->table);
	enum reason verdict = fate.drop;

	way->stats.entered++;
	if (verdict == DROP_NONE)
		verdict = hold(way, frame, &fate, verdict_of(&fate), now_ns);
	if (verdict != DROP_NONE) {
		way->stats.dropped++;
		node_judge(&way->node, frame, verdict);
		return;
	}
	way->stats.corrupted += fate.corrupt;
	way->stats.reordered += fate.late;
	if (fate.duplicate)
		hold_again(way, frame, &fate, now_ns);
	node_judge(&way->node, frame, verdict_of(&fate));
	frame->verdict.nout = fate.duplicate ? 2 : 0;
}

void
cable_enter(struct cable_way *way, struct burst *burst)
{
	uint64_t now_ns;

	/* A round of the loop may be long, and the frame younger than that. */
	loop_update_now(way->loop);
	now_ns = loop_now_ns(way->loop);
	advance(way, now_ns);
	for (unsigned int i = 0; i < burst->n; i++)
		enter(way, &burst->frame[i], now_ns);
	look_again(way, now_ns);
}

/* ---- superframes ---- */

uint8_t
cable_flow_carries(const struct cable_settings *s)
{
	uint64_t frames =
	    s->queue_frames != 0 ? s->queue_frames : CABLE_QUEUE_FRAMES;
	bool cut = chance_concerns_frames(s);
	uint8_t carries = FRAME_TODO;

	if (s->rate_bps != 0) {
		/* Even of segments of half a kilobyte. */
		cut |= frames < 256 ||
		    (s->queue_bytes != 0 && s->queue_bytes < 2 * 65536) ||
		    SUPERFRAME_BITS * (NS_PER_S / LUMP_NS) > s->rate_bps ||
		    s->discipline == CABLE_CODEL || s->mark_ns != 0;
	}
	if (cut)
		carries &= (uint8_t) ~(FRAME_TSO4 | FRAME_TSO6);
	if (s->corrupt_ppb != 0)
		carries = 0;
	return carries;
}
