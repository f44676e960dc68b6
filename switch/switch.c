/*
 * A burst goes through the switch in two passes.  The first reads the addresses
 * of all frames, once, into the stack: they may lie in a guest's memory and
 * change.  It learns, decides, and writes every verdict.  The second gathers
 * for each port what goes there, in order, and sends it as one burst: the
 * known destinations first to last, or every port that is up if something is
 * flooded.  Ports that nothing goes to cost nothing.
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
 * rejected: it lets every round of a ring through until it runs out.
 *
 * A port whose link is down is neither flooded to nor keeps addresses.
 */
#include "switch/switch.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "net/eth.h"
#include "switch/fdb.h"

#define TO_ALL    0xffff /* where a frame goes, if not to a port's index */
#define TO_NOBODY 0xfffe

static_assert(FDB_PORTS_MAX < TO_NOBODY, "an index that is no index");
static_assert(BURST_MAX <= 64, "a burst has a bit for each frame");

struct switch_port {
	struct port port; /* first: ports of a switch are these */
	struct lan_switch *sw;
	uint16_t index;
	bool up;
};

/* A burst that the switch is busy with: on the stack of its take(). */
struct passage {
	struct passage *outer;
	const struct burst *burst;
	const uint8_t *lowest, *highest; /* of its frames; NULL: not known */
};

struct lan_switch {
	struct node node;
	struct loop *loop;
	struct fdb *fdb;
	struct switch_port **port; /* NULL: the index is free */
	unsigned int nports;       /* indices in use or free */
	unsigned int nup;          /* ports whose link is up */
	struct passage *passage;   /* innermost */
};

/* What is read of a frame. */
struct addresses {
	struct mac dst, src;
};

/* What the first pass makes of a burst. */
struct plan {
	uint16_t to[BURST_MAX];
	bool floods;
	struct addresses at[BURST_MAX];
};

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
send_to_all(struct lan_switch *sw, const struct switch_port *from,
    const struct burst *burst, const struct plan *plan)
{
	struct burst out;

	for (unsigned int i = 0; i < sw->nports; i++) {
		struct switch_port *port = sw->port[i];

		if (port == NULL || port == from || !port->up)
			continue;
		gather(&out, burst, plan->to, (uint16_t)i, 0);
		port_send(&port->port, &out);
	}
}

static void
send_to_known(
    struct lan_switch *sw, const struct burst *burst, struct plan *plan)
{
	struct burst out;

	for (unsigned int i = 0; i < burst->n; i++) {
		uint16_t to = plan->to[i];

		if (to == TO_NOBODY)
			continue;
		gather(&out, burst, plan->to, to, i);
		for (unsigned int k = i; k < burst->n; k++)
			if (plan->to[k] == to)
				plan->to[k] = TO_NOBODY;
		port_send(&sw->port[to]->port, &out);
	}
}

/* ---- the first pass ---- */

static void
read_addresses(struct addresses *at, const struct burst *burst)
{
	for (unsigned int i = 0; i < burst->n; i++)
		if (burst->frame[i].head >= ETH_HEADER_BYTES)
			memcpy(&at[i], burst->frame[i].data, sizeof(at[i]));
		else
			memset(&at[i], 0, sizeof(at[i]));
	/* Nothing of this is to be read again from where it came from. */
	atomic_signal_fence(memory_order_seq_cst);
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

/* Is the switch sending this very frame already? */
static bool
came_round(struct lan_switch *sw, const struct frame *frame)
{
	for (struct passage *p = sw->passage; p != NULL; p = p->outer) {
		if (p->lowest == NULL)
			measure(p);
		if (frame->data < p->lowest || frame->data > p->highest)
			continue;
		for (unsigned int i = 0; i < p->burst->n; i++)
			if (p->burst->frame[i].data == frame->data)
				return true;
	}
	return false;
}

/* 01-80-C2-00-00-00 to -0F (7.12.6). */
static bool
is_reserved(const struct mac *mac)
{
	static const uint8_t group[5] = { 0x01, 0x80, 0xc2, 0x00, 0x00 };

	return memcmp(mac->b, group, sizeof(group)) == 0 && mac->b[5] < 0x10;
}

static uint16_t
flood(struct lan_switch *sw, const struct switch_port *from,
    struct verdict *verdict, enum reason reason)
{
	unsigned int n = sw->nup - from->up;

	if (n == 0) {
		verdict->reason = DROP_NO_OTHER_PORT;
		return TO_NOBODY;
	}
	verdict->reason = (uint16_t)reason;
	verdict->nout = (uint16_t)n;
	for (unsigned int i = 0; verdict->out == NULL && i < sw->nports; i++)
		if (sw->port[i] != NULL && sw->port[i] != from &&
		    sw->port[i]->up)
			verdict->out = &sw->port[i]->port;
	return TO_ALL;
}

static uint16_t
refuse(struct verdict *verdict, enum reason reason)
{
	verdict->reason = (uint16_t)reason;
	return TO_NOBODY;
}

static uint16_t
decide_group(struct lan_switch *sw, const struct switch_port *from,
    const struct mac *dst, struct verdict *verdict)
{
	if (is_reserved(dst))
		return refuse(verdict, DROP_RESERVED);
	return flood(sw, from, verdict,
	    mac_is_broadcast(dst) ? REASON_FLOOD_BROADCAST
				  : REASON_FLOOD_GROUP);
}

/* Where a frame goes, and why. */
static uint16_t
decide(struct lan_switch *sw, const struct switch_port *from,
    const struct frame *frame, const struct addresses *at, uint64_t now_ns,
    struct verdict *verdict)
{
	int to;

	if (frame->head < ETH_HEADER_BYTES)
		return refuse(verdict, DROP_SHORT);
	if (sw->passage != NULL && came_round(sw, frame))
		return refuse(verdict, DROP_LOOP);
	if (fdb_learn(sw->fdb, &at->src, 0, from->index, now_ns) < 0)
		return refuse(verdict, DROP_ETH_SOURCE);
	if (mac_is_group(&at->dst))
		return decide_group(sw, from, &at->dst, verdict);
	to = fdb_find(sw->fdb, &at->dst, 0, now_ns);
	if (to == FDB_FLOOD)
		return flood(sw, from, verdict, REASON_FLOOD_UNKNOWN);
	if (to == from->index)
		return refuse(verdict, DROP_SAME_PORT);
	verdict->reason = REASON_FORWARDED;
	verdict->out = &sw->port[to]->port;
	verdict->nout = 1;
	return (uint16_t)to;
}

/* Decides in place: a struct on the stack, written in parts and copied whole,
 * costs a stall of the store buffer. */
static uint16_t
decide_first(struct lan_switch *sw, const struct switch_port *from,
    struct frame *frame, const struct addresses *at, uint64_t now_ns)
{
	struct verdict *verdict = &frame->verdict;

	verdict->node = &sw->node;
	verdict->out = NULL;
	verdict->reason = REASON_NONE;
	verdict->nout = 0;
	verdict->entry = 0;
	return decide(sw, from, frame, at, now_ns, verdict);
}

/* Frames between the same two stations come in rows, and what was decided for
 * the first holds for all: within a burst, nothing else changes the table. */
static bool
like_the_last(const struct lan_switch *sw, const struct frame *frame,
    const struct addresses *at)
{
	return sw->passage == NULL && frame->head >= ETH_HEADER_BYTES &&
	    frame[-1].head >= ETH_HEADER_BYTES &&
	    memcmp(at, at - 1, sizeof(*at)) == 0;
}

static void
make_plan(struct lan_switch *sw, const struct switch_port *from,
    struct burst *burst, struct plan *plan)
{
	uint64_t now_ns = loop_now_ns(sw->loop), rows = 0;

	read_addresses(plan->at, burst);
	for (unsigned int i = 0; i < burst->n; i++) {
		const struct addresses *at = &plan->at[i];

		if (i > 0 && like_the_last(sw, &burst->frame[i], at)) {
			rows |= UINT64_C(1) << i;
			continue;
		}
		fdb_prefetch(sw->fdb, &at->src, 0);
		fdb_prefetch(sw->fdb, &at->dst, 0);
	}
	plan->floods = false;
	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *frame = &burst->frame[i];

		if (rows >> i & 1) {
			plan->to[i] = plan->to[i - 1];
			frame->verdict = frame[-1].verdict;
		} else {
			plan->to[i] =
			    decide_first(sw, from, frame, &plan->at[i], now_ns);
			plan->floods |= plan->to[i] == TO_ALL;
		}
		sw->node.count[frame->verdict.reason]++;
	}
}

static void
take(struct port *port, struct burst *burst)
{
	struct switch_port *from = (struct switch_port *)port;
	struct lan_switch *sw = from->sw;
	struct passage passage = { .outer = sw->passage, .burst = burst };
	struct plan plan;

	make_plan(sw, from, burst, &plan);
	sw->passage = &passage;
	if (plan.floods)
		send_to_all(sw, from, burst, &plan);
	else
		send_to_known(sw, burst, &plan);
	sw->passage = passage.outer;
}

/* ---- ports ---- */

static void
link_changed(struct port *port, bool up)
{
	struct switch_port *p = (struct switch_port *)port;

	if (p->up == up)
		return;
	p->up = up;
	if (up) {
		p->sw->nup++;
	} else {
		p->sw->nup--;
		fdb_forget_port(p->sw->fdb, p->index);
	}
}

static const struct port_ops switch_port_ops = {
	.take = take,
	.link = link_changed,
};

/* An index for a new port, with room in both tables, or -Exxx. */
static int
free_index(struct lan_switch *sw)
{
	struct switch_port **port;
	unsigned int i = 0;

	while (i < sw->nports && sw->port[i] != NULL)
		i++;
	if (i < sw->nports)
		return (int)i;
	if (i == FDB_PORTS_MAX)
		return -ENOSPC;
	port = reallocarray(sw->port, i + 1, sizeof(port[0]));
	if (port == NULL)
		return -ENOMEM;
	sw->port = port;
	if (fdb_ports(sw->fdb, i + 1) < 0)
		return -ENOMEM;
	port[i] = NULL;
	sw->nports = i + 1;
	return (int)i;
}

struct port *
switch_add_port(struct lan_switch *sw, const char *name, struct err *err)
{
	struct switch_port *p;
	int index = free_index(sw);

	if (index == -ENOSPC) {
		err_set(err, index,
		    "%s: a switch has no more than %d ports; "
		    "use another switch",
		    name, FDB_PORTS_MAX);
		return NULL;
	}
	p = index < 0 ? NULL : calloc(1, sizeof(*p));
	if (p == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", name);
		return NULL;
	}
	port_init(&p->port, &switch_port_ops, &sw->node, name);
	p->sw = sw;
	p->index = (uint16_t)index;
	sw->port[index] = p;
	return &p->port;
}

void
switch_remove_port(struct lan_switch *sw, struct port *port)
{
	struct switch_port *p = (struct switch_port *)port;

	assert(sw->passage == NULL);
	cable_cut(port);
	fdb_forget_port(sw->fdb, p->index);
	sw->port[p->index] = NULL;
	free(p);
}

/* ---- the switch ---- */

/* Guests must not be able to guess the key; runs in virtual time are alike. */
static uint64_t
hash_key(const struct loop *loop, const char *name)
{
	struct mac mac = mac_of_name(name);
	uint64_t key = 0;

	if (loop_clock(loop) == LOOP_REAL &&
	    getrandom(&key, sizeof(key), GRND_NONBLOCK) == sizeof(key))
		return key;
	memcpy(&key, &mac, sizeof(mac));
	return key;
}

struct lan_switch *
switch_new(struct loop *loop, const char *name,
    const struct switch_options *options, struct err *err)
{
	uint64_t age_ns = options->age_ns;
	uint32_t max = options->max_macs;
	struct lan_switch *sw;

	if (max > SWITCH_MACS_MAX) {
		err_set(err, -EINVAL,
		    "%s: an address table of %u is too large; use 1 to %d",
		    name, max, SWITCH_MACS_MAX);
		return NULL;
	}
	sw = calloc(1, sizeof(*sw));
	if (sw == NULL)
		goto fail;
	node_init(&sw->node, name);
	sw->loop = loop;
	sw->fdb = fdb_new(max != 0 ? max : SWITCH_MACS,
	    age_ns != 0 ? age_ns : SWITCH_AGE_S * NS_PER_S,
	    hash_key(loop, name));
	if (sw->fdb == NULL)
		goto fail;
	return sw;
fail:
	free(sw);
	err_sys(err, -ENOMEM, NULL, "%s", name);
	return NULL;
}

void
switch_free(struct lan_switch *sw)
{
	if (sw == NULL)
		return;
	for (unsigned int i = 0; i < sw->nports; i++)
		if (sw->port[i] != NULL)
			switch_remove_port(sw, &sw->port[i]->port);
	free(sw->port);
	fdb_free(sw->fdb);
	free(sw);
}

struct node *
switch_node(struct lan_switch *sw)
{
	return &sw->node;
}

struct mac_walk {
	const struct lan_switch *sw;
	void (*each)(void *arg, const struct mac *mac, const struct port *port,
	    uint64_t age_ns);
	void *arg;
};

static void
walk_mac(void *arg, const struct mac *mac, uint16_t vlan, unsigned int port,
    uint64_t age_ns)
{
	const struct mac_walk *walk = arg;

	(void)vlan;
	walk->each(walk->arg, mac, &walk->sw->port[port]->port, age_ns);
}

void
switch_each_mac(const struct lan_switch *sw,
    void (*each)(void *arg, const struct mac *mac, const struct port *port,
	uint64_t age_ns),
    void *arg)
{
	struct mac_walk walk = { sw, each, arg };

	fdb_each(sw->fdb, loop_now_ns(sw->loop), walk_mac, &walk);
}
