/*
 * A burst goes through the switch in two passes.  The first reads the heads of
 * all frames, once, into the stack: they may lie in a guest's memory and
 * change.  It learns, decides, and writes every verdict.  The second gathers
 * for each port what goes there, in order, and sends it as one burst: the
 * known destinations first to last, or every port that is up if something is
 * flooded.  Ports that nothing goes to cost nothing.
 *
 * The way of most frames is short: their source is where it was, and their
 * destination is known, behind a port that has nothing set.  All others go
 * through decide.c, and through egress.c where a port has something set.
 *
 * What is sent may come back before port_send() returns: a router or a host
 * answers within its take().  So there is no scratch memory in the switch; what
 * a burst needs is on the stack.
 *
 * The same way a loop of cables would recur for ever.  A switch never copies a
 * frame, so one that arrives again while it is still being sent is known by
 * the address of its bytes, and is refused as DROP_LOOP before it teaches wrong
 * addresses.  With that, two switches joined by two cables still work; ports
 * bound the work that denser meshes make.  A hop count in each frame was
 * rejected: it lets every round of a ring through until it runs out.  Cables
 * that delay, tags that change, and other machines make copies; those loops are
 * the guard's to find.
 *
 * A port whose link is down is neither flooded to nor keeps addresses.
 */
#include "switch/switch_state.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>

static_assert(BURST_MAX <= 64, "a burst has a bit for each frame");

/* ---- the second pass ---- */

static void
gather(struct burst *out, const struct burst *in, const uint16_t *to,
    uint16_t index, unsigned int from)
{
	burst_clear(out);
	for (unsigned int i = from; i < in->n; i++) {
		struct frame *frame;

		if (to[i] != index && to[i] != TO_ALL)
			continue;
		frame = &out->frame[out->n++];
		*frame = in->frame[i];
		frame->cause = &in->frame[i].verdict;
		frame->verdict =
		    (struct verdict){ .journey = in->frame[i].verdict.journey };
		out->flags |= frame->flags;
	}
}

static void
send_to(struct switch_port *port, const struct switch_port *from,
    const struct burst *burst, const struct plan *plan, unsigned int first)
{
	struct burst out;

	if (port->flags != 0 || plan->restricted) {
		egress_special(port, burst, plan, from, first);
		return;
	}
	gather(&out, burst, plan->to, port->index, first);
	port_send(&port->port, &out);
}

static void
send_to_all(struct lan_switch *sw, const struct switch_port *from,
    const struct burst *burst, const struct plan *plan)
{
	for (unsigned int i = 0; i < sw->nports; i++) {
		struct switch_port *port = sw->port[i];

		if (port != NULL && port != from && port->up)
			send_to(port, from, burst, plan, 0);
	}
}

static void
send_to_known(struct lan_switch *sw, const struct switch_port *from,
    const struct burst *burst, struct plan *plan)
{
	for (unsigned int i = 0; i < burst->n; i++) {
		uint16_t to = plan->to[i];

		if (to == TO_NOBODY)
			continue;
		send_to(sw->port[to], from, burst, plan, i);
		for (unsigned int k = i; k < burst->n; k++)
			if (plan->to[k] == to)
				plan->to[k] = TO_NOBODY;
	}
}

/* ---- the first pass ---- */

/* Returns a bit for each frame that has all that a head holds. */
static uint64_t
read_heads(struct head *head, const struct burst *burst)
{
	uint64_t whole = 0;

	for (unsigned int i = 0; i < burst->n; i++) {
		const struct frame *frame = &burst->frame[i];

		if (frame->head >= sizeof(head[i])) {
			memcpy(&head[i], frame->data, sizeof(head[i]));
			whole |= UINT64_C(1) << i;
			continue;
		}
		memset(&head[i], 0, sizeof(head[i]));
		if (frame->head >= ETH_HEADER_BYTES)
			memcpy(&head[i], frame->data, ETH_HEADER_BYTES);
	}
	/* Nothing of this is to be read again from where it came from. */
	atomic_signal_fence(memory_order_seq_cst);
	return whole;
}

static void
measure(struct passage *p)
{
	p->lowest = p->highest = p->burst->frame[0].data;
	for (unsigned int i = 1; i < p->burst->n; i++) {
		const uint8_t *data = p->burst->frame[i].data;

		p->lowest = data < p->lowest ? data : p->lowest;
		p->highest = data > p->highest ? data : p->highest;
	}
}

/* Is the switch sending this very frame already, in the same VLAN?  A cable
 * between two VLANs is no loop. */
static bool
came_round(struct lan_switch *sw, const struct passing *frame)
{
	const uint8_t *data = frame->frame->data;

	for (struct passage *p = sw->passage; p != NULL; p = p->outer) {
		if (p->lowest == NULL)
			measure(p);
		if (data < p->lowest || data > p->highest)
			continue;
		for (unsigned int i = 0; i < p->burst->n; i++)
			if (p->burst->frame[i].data == data &&
			    (sw->nvlan_ports == 0 ||
				p->plan->tag[i].vlan == frame->tag.vlan))
				return true;
	}
	return false;
}

/* What fdb_learn() said was no everyday thing. */
static enum reason
learned_specially(
    struct switch_port *from, const struct passing *p, int learned)
{
	struct lan_switch *sw = from->sw;

	if (learned > 0) {
		guard_suspect(from, p->tag.vlan);
		return REASON_NONE;
	}
	if (learned == -ENOSPC && from->reaction == MAC_SHUT) {
		from->over_limit = true;
		loop_defer_ask(&sw->shut);
	}
	return decide_learned(learned);
}

static bool
is_storm(struct switch_port *from, enum reason reason, uint64_t now_ns)
{
	enum storm_class of = decide_storm_class(reason);

	return of != STORM_CLASSES && !storm_admits(&from->storm[of], now_ns);
}

/* What becomes of a frame that has to be looked at in full.  Fills in what the
 * second pass needs to know of it, and returns where it goes. */
static struct destination
consider(struct switch_port *wire, struct passing *p, uint64_t now_ns,
    struct verdict *verdict)
{
	const struct destination nobody = { .to = TO_NOBODY };
	struct switch_port *from = wire->lead;
	struct lan_switch *sw = from->sw;
	struct destination where;
	enum reason reason;
	bool learns;

	if (p->frame->head >= ETH_HEADER_BYTES && is_reserved(&p->head->dst) &&
	    sw->reserved_claimed >> p->head->dst.b[5] & 1) {
		reason = protocol_take(wire, p, now_ns);
		if (reason != REASON_NONE) {
			verdict->reason = (uint16_t)reason;
			return nobody;
		}
	}
	reason = decide_entry(p, &learns);
	/* Where a spanning tree keeps the loop open, all is as it should be. */
	if (sw->passage != NULL && reason != DROP_SHORT &&
	    (reason != DROP_DISCARDING || learns) && came_round(sw, p)) {
		guard_suspect(from, p->tag.vlan);
		reason = DROP_LOOP;
		learns = false;
	}
	if ((reason == DROP_OWN_ADDRESS || reason == DROP_LOOP_BLOCKED) &&
	    mac_equal(&p->head->src, &sw->mac))
		guard_own_frame(from, p->frame);
	if (learns) {
		int learned = fdb_learn(
		    sw->fdb, &p->head->src, p->tag.vlan, from->index, now_ns);

		if (learned != 0 && reason == REASON_NONE &&
		    !((learned == -EPERM || learned == -ENOSPC) &&
			guard_admits(from, p->frame, now_ns)))
			reason = learned_specially(from, p, learned);
	}
	if (reason == REASON_NONE && protocol_is_snooped(sw, p))
		reason = protocol_take(wire, p, now_ns);
	if (reason != REASON_NONE) {
		verdict->reason = (uint16_t)reason;
		return nobody;
	}
	where = decide(p, now_ns, verdict);
	if (from->flags & PORT_STORMS &&
	    is_storm(from, (enum reason)verdict->reason, now_ns) &&
	    !guard_admits(from, p->frame, now_ns)) {
		*verdict =
		    (struct verdict){ .node = &sw->node, .reason = DROP_STORM };
		return nobody;
	}
	return where;
}

/* Where frame i goes. */
static uint16_t
decide_in_full(struct switch_port *wire, struct burst *burst, unsigned int i,
    struct plan *plan, uint64_t now_ns)
{
	struct passing p = { .from = wire->lead,
		.wire = wire,
		.frame = &burst->frame[i],
		.head = &plan->head[i] };
	struct verdict *verdict = &burst->frame[i].verdict;
	struct destination where = consider(wire, &p, now_ns, verdict);

	plan->tag[i] = p.tag;
	plan->only[i] = where.only;
	plan->detailed = true;
	plan->floods |= where.to == TO_ALL;
	plan->restricted |= where.only != NULL;
	return where.to;
}

/* Decides in place: a struct on the stack, written in parts and copied whole,
 * costs a stall of the store buffer. */
static uint16_t
decide_first(struct switch_port *wire, struct burst *burst, unsigned int i,
    struct plan *plan, uint64_t now_ns)
{
	struct lan_switch *sw = wire->sw;
	struct frame *frame = &burst->frame[i];
	struct verdict *verdict = &frame->verdict;
	const struct head *head = &plan->head[i];
	int learned, to;

	verdict->node = &sw->node;
	verdict->out = NULL;
	verdict->reason = REASON_NONE;
	verdict->nout = 0;
	verdict->entry = 0;
	if ((wire->flags | wire->lead->flags) != 0 || sw->passage != NULL ||
	    frame->head < ETH_HEADER_BYTES || mac_is_group(&head->dst))
		return decide_in_full(wire, burst, i, plan, now_ns);
	learned = fdb_learn(sw->fdb, &head->src, 0, wire->index, now_ns);
	if (learned < 0)
		return decide_in_full(wire, burst, i, plan, now_ns);
	if (learned > 0)
		guard_suspect(wire, 0);
	to = fdb_find(sw->fdb, &head->dst, 0, now_ns);
	if (to == FDB_FLOOD || to == wire->index || sw->port[to]->flags != 0)
		return decide_in_full(wire, burst, i, plan, now_ns);
	verdict->reason = REASON_FORWARDED;
	verdict->out = &sw->port[to]->port;
	verdict->nout = 1;
	return (uint16_t)to;
}

/* Same addresses, type, and tag: behind a type that is no tag's lie the first
 * bytes of what is carried, which nobody here asks for. */
static inline bool
is_alike(const struct head *a, const struct head *b)
{
	uint64_t x[2], y[2];
	uint16_t type;

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	if (x[0] != y[0] || (uint32_t)x[1] != (uint32_t)y[1])
		return false;
	type = get_be16(a->type);
	if (type != get_be16(b->type))
		return false;
	return x[1] == y[1] || (type != ETH_VLAN && type != ETH_QINQ);
}

/* Frames between the same two stations come in rows, and what was decided for
 * the first holds for all: within a burst, nothing else changes the table.  But
 * storms are counted, sizes differ, and protocols see every frame that is
 * theirs.  Returns a bit for each frame that is like the one before, and has
 * the table fetched for the others. */
static uint64_t
find_rows(const struct switch_port *wire, const struct burst *burst,
    const struct head *head, uint64_t whole)
{
	const struct lan_switch *sw = wire->sw;
	bool can = sw->passage == NULL &&
	    !(wire->lead->flags & (PORT_STORMS | PORT_MTU));
	bool groups = sw->protocols == NULL;
	uint64_t rows = 0;

	for (unsigned int i = 0; i < burst->n; i++) {
		if (i > 0 && can && (whole >> (i - 1) & 3) == 3 &&
		    is_alike(&head[i], &head[i - 1]) &&
		    (groups || !mac_is_group(&head[i].dst))) {
			rows |= UINT64_C(1) << i;
			continue;
		}
		fdb_prefetch(sw->fdb, &head[i].src, 0);
		fdb_prefetch(sw->fdb, &head[i].dst, 0);
	}
	return rows;
}

/* What was decided for frame k holds for frame i.  The journey is each frame's
 * own.  Part by part, and from the first of a row: wide loads would wait for
 * what was just stored in parts. */
static void
decide_alike(
    struct burst *burst, struct plan *plan, unsigned int k, unsigned int i)
{
	const struct verdict *from = &burst->frame[k].verdict;
	struct verdict *to = &burst->frame[i].verdict;

	to->node = from->node;
	to->out = from->out;
	to->reason = from->reason;
	to->nout = from->nout;
	to->entry = from->entry;
	plan->to[i] = plan->to[k];
	if (plan->detailed) {
		plan->tag[i] = plan->tag[k];
		plan->only[i] = plan->only[k];
	}
}

static void
make_plan(struct switch_port *wire, struct burst *burst, struct plan *plan)
{
	struct lan_switch *sw = wire->sw;
	uint64_t now_ns = loop_now_ns(sw->loop);
	uint64_t whole = read_heads(plan->head, burst);
	uint64_t rows = find_rows(wire, burst, plan->head, whole);
	unsigned int first = 0; /* of the row */

	plan->floods = plan->restricted = plan->detailed = false;
	for (unsigned int i = 0; i < burst->n; i++) {
		if (rows >> i & 1) {
			decide_alike(burst, plan, first, i);
		} else {
			plan->to[i] =
			    decide_first(wire, burst, i, plan, now_ns);
			first = i;
		}
		sw->node.count[burst->frame[i].verdict.reason]++;
	}
}

void
switch_take(struct port *port, struct burst *burst)
{
	struct switch_port *wire = (struct switch_port *)port;
	struct switch_port *from = wire->lead;
	struct lan_switch *sw = wire->sw;
	struct plan plan;
	struct passage passage = {
		.outer = sw->passage, .burst = burst, .plan = &plan
	};

	sw->busy++;
	make_plan(wire, burst, &plan);
	sw->passage = &passage;
	if (from->flags & PORT_MIRROR_IN)
		mirror_in(sw, from, burst, &plan);
	if (plan.floods) {
		send_to_all(sw, from, burst, &plan);
		guard_flood(from, sw->nvlan_ports > 0 ? plan.tag[0].vlan : 0,
		    loop_now_ns(sw->loop));
	} else
		send_to_known(sw, from, burst, &plan);
	sw->passage = passage.outer;
	if (--sw->busy == 0 && sw->later != NULL)
		later_free(sw);
}
