/* libs: switch net base */
/*
 * Three switches, ports that come and go, cables between anything, links up and
 * down, all that ports can be set to, bonds, a protocol, time, and frames:
 * whatever the input says.  Some ends answer from within their take().
 *
 * Every frame that was sent got one verdict, of one node, and both ends of each
 * cable counted the same.
 */
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "switch/bond.h"
#include "switch/protocol.h"
#include "switch/switch.h"
#include "switch/vlan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SWITCHES 3
#define ENDS     6  /* hosts of one port */
#define PORTS    12 /* of all switches */
#define FRAMES   8  /* a burst */
#define PINS     8  /* addresses that may be pinned */

struct end {
	struct port port; /* first */
	struct node node;
	uint8_t kind; /* bit 0: answers, 1: cannot offload, 2: small MTU */
	enum reason reason;
};

struct world {
	struct loop *loop;
	struct lan_switch *sw[SWITCHES];
	struct port *port[PORTS];
	uint8_t of[PORTS]; /* whose port that is */
	struct port *bond; /* of the first switch, NULL: none */
	struct end end[ENDS];
	/* A protocol of the first switch. */
	struct switch_protocol protocol;
	struct port_set set;
	uint8_t answer;
	bool joined;
	/* of ports that are gone */
	uint64_t gone_out, gone_in;
};

struct input {
	const uint8_t *at, *end;
};

static uint8_t
next(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static void
take(struct port *port, struct burst *burst)
{
	struct end *end = (struct end *)port;

	assert(burst->n > 0 && burst->n <= BURST_MAX);
	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *frame = &burst->frame[i];

		assert(!(frame->flags & FRAME_TODO & ~port->accepts));
		assert(port->mtu_bytes == 0 || frame->len <= port->mtu_bytes ||
		    frame->flags & FRAME_TSO4);
		/* who sent it decided before: the cause is known */
		assert(frame->cause == NULL || frame->cause->node != NULL);
		node_judge(port->node, frame, end->reason);
	}
	if (end->kind & 1) {
		uint8_t bytes[60] = { 2, 0, 0, 0, 0, 0, 2 };
		struct burst back;

		bytes[5] = bytes[11] = (uint8_t)(end->kind >> 3);
		frame_copy(bytes, &burst->frame[0], 0,
		    burst->frame[0].len < 6 ? burst->frame[0].len : 6);
		burst_clear(&back);
		burst_add(&back, bytes, sizeof(bytes))->cause =
		    &burst->frame[0].verdict;
		port_send(port, &back);
	}
}

static const struct port_ops ops = { .take = take };

static struct port *
pick(struct world *w, uint8_t n)
{
	n %= PORTS + ENDS;
	return n < PORTS ? w->port[n] : &w->end[n - PORTS].port;
}

static void
send_frames(struct world *w, struct input *in)
{
	static uint8_t bytes[FRAMES][1600];
	struct port *port = &w->end[next(in) % ENDS].port;
	unsigned int n = next(in) % FRAMES + 1;
	struct burst burst;

	burst_clear(&burst);
	for (unsigned int i = 0; i < n; i++) {
		uint8_t kind = next(in);
		struct frame *frame;

		memset(bytes[i], 0, 32);
		bytes[i][0] = kind & 1 ? next(in) : 2;
		bytes[i][5] = next(in) % 8;
		for (unsigned int k = 12; kind & 128 && k < 32; k++)
			bytes[i][k] = next(in);
		if (bytes[i][5] & 4) {
			put_be16(&bytes[i][12], kind & 1 ? 0x88a8 : 0x8100);
			put_be16(&bytes[i][14], next(in) % 5);
		}
		bytes[i][6] = kind & 2 ? next(in) : 2;
		bytes[i][11] = next(in) % 8;
		if (kind & 4)
			memset(bytes[i], 0xff, 6);
		if (kind & 8)
			memcpy(bytes[i], "\x01\x80\xc2\0\0", 5);
		frame = burst_add(&burst, bytes[i],
		    kind & 16       ? next(in)
			: kind & 32 ? 1600
				    : 60);
		if (kind & 64 && frame->len >= 60) {
			frame->flags = FRAME_CSUM;
			frame->csum_start = 34;
			frame->csum_offset = 6;
			if (kind & 128) {
				frame->flags |= FRAME_TSO4;
				frame->gso_bytes = 500;
				frame->header_bytes = 54;
			}
			burst.flags |= frame->flags;
		}
	}
	port_send(port, &burst);
	for (unsigned int i = 0; i < n; i++)
		assert(burst.frame[i].verdict.node != NULL &&
		    burst.frame[i].verdict.reason != REASON_NONE);
}

static void
stop(void *arg)
{
	loop_stop(arg);
}

static void
pass_time(struct world *w, uint8_t how_much)
{
	struct loop_timer timer;

	loop_timer_init(&timer, w->loop, stop, w->loop);
	loop_timer_set(
	    &timer, loop_now_ns(w->loop) + (how_much + 1) * NS_PER_S);
	loop_run(w->loop); /* a guard's probes never end */
	loop_timer_unset(&timer);
}

/* ---- a protocol ---- */

static struct world *
world_of(const struct switch_protocol *protocol)
{
	return (struct world *)((uint8_t *)(uintptr_t)protocol -
	    offsetof(struct world, protocol));
}

static enum reason
input(struct switch_protocol *protocol, struct switch_input *in)
{
	struct world *w = world_of(protocol);
	uint8_t copy[SWITCH_INPUT_BYTES];

	assert(in->len >= 14 && in->len <= SWITCH_INPUT_BYTES);
	assert(in->frame_len >= in->len && in->payload <= in->len);
	assert(in->vlan <= VLAN_MAX);
	memcpy(copy, in->bytes, in->len);
	switch (w->answer & 7) {
	case 0: return REASON_DELIVERED;
	case 1: in->only = &w->set; return REASON_NONE;
	case 2:
		switch_set_state(in->port, w->answer >> 3 & 3,
		    (enum switch_state)((w->answer >> 5) % 3));
		return REASON_DELIVERED;
	case 3: switch_flush(in->port, SWITCH_ALL_TREES); return DROP_LLDP;
	case 4: switch_send(in->port, copy, in->len); return REASON_DELIVERED;
	case 5:
		switch_send_vlan(w->sw[0], w->answer >> 3, NULL, copy, in->len);
		return REASON_DELIVERED;
	case 6: switch_free_later(w->sw[0], malloc(8)); return REASON_NONE;
	default: return REASON_NONE;
	}
}

static const struct port_set *
group(const struct switch_protocol *protocol, const struct mac *dst,
    const struct frame *frame, uint16_t vlan)
{
	struct world *w = world_of(protocol);

	(void)vlan;
	assert(frame->head >= 14);
	assert(mac_is_group(dst) && !mac_is_broadcast(dst));
	return w->answer & 0x80 ? &w->set : NULL;
}

static const struct switch_protocol_ops protocol_ops = {
	.name = "fuzz",
	.reserved = 0x4005,
	.snoops = true,
	.input = input,
	.group = group,
};

/* ---- what is set ---- */

static void
set_vlan(struct port *port, struct input *in)
{
	struct vlan_options o = { .mode = (enum vlan_mode)(next(in) % 4),
		.vlan = next(in) % 5,
		.provider = next(in) & 1 };

	vlan_set_add(&o.allowed, next(in) % 5, next(in) % 5);
	switch_set_vlan(port, &o);
}

static void
set_mirror(struct lan_switch *sw, struct port *to, struct input *in)
{
	struct mirror_options o = { .to = to, .vlan = next(in) % 4 };
	uint8_t bits = next(in);

	for (unsigned int i = 0; i < 8; i++) {
		if (bits >> i & 1)
			port_set_add(&o.in, i + 1);
		if (next(in) & 1)
			port_set_add(&o.out, i + 1);
	}
	switch_add_mirror(sw, &o);
}

static void
bond_step(struct world *w, struct port *port, struct input *in)
{
	uint8_t what = next(in);

	if (switch_of(port) != w->sw[0])
		return;
	if (w->bond == NULL) {
		const struct flow_options hash = { .level = (enum flow_level)(
						       what % 3),
			.symmetric = what & 64 };

		w->bond = switch_add_bond(w->sw[0], "bond", &hash, NULL);
		return;
	}
	switch (what % 5) {
	case 0:
		switch_remove_port(w->sw[0], w->bond);
		w->bond = NULL;
		return;
	case 1: switch_bond_join(w->bond, port); return;
	case 2: switch_bond_leave(port); return;
	default: switch_bond_use(port, what & 8, what & 16); return;
	}
}

static void
protocol_step(struct world *w, struct input *in)
{
	w->answer = next(in);
	for (unsigned int i = 0; i < 8; i++)
		if (w->answer >> i & 1)
			port_set_add(&w->set, i);
		else
			port_set_remove(&w->set, i);
	if (next(in) & 1)
		return;
	if (w->joined)
		switch_leave(&w->protocol);
	else
		assert(switch_join(w->sw[0], &w->protocol) == 0);
	w->joined = !w->joined;
}

/* One thing that a port of a switch can be set to. */
static void
set(struct world *w, struct input *in)
{
	unsigned int n = next(in) % PORTS;
	struct port *port = w->port[n];
	uint8_t a = next(in), b = next(in);
	struct mac mac = { { 2, 0, 0, 0, 0, b % PINS } };

	if (port == NULL)
		return;
	if (n % 3 == 0 && w->bond != NULL && w->of[n] == 0 && a & 0x80)
		port = w->bond;
	switch (a % 12) {
	case 0:
	case 1: set_vlan(port, in); return;
	case 2:
		switch_limit_macs(
		    port, b % 4, (enum mac_reaction)(b / 4 % 3), b & 64);
		return;
	case 3:
		switch_limit_storm(port, (enum storm_class)(b % 3), b / 3 % 4);
		return;
	case 4: switch_set_isolated(port, b & 1); return;
	case 5: switch_set_mtu(port, b % 3 * 100); return;
	case 6: set_mirror(w->sw[w->of[n]], port, in); return;
	case 7: switch_remove_mirror(w->sw[w->of[n]], b % 4); return;
	case 8: switch_pin(port, &mac, b / 8 % 3); return;
	case 9: switch_unpin(port, &mac, b / 8 % 3); return;
	case 10:
		switch_set_tree(w->sw[w->of[n]], b % 5, b / 8 % 4);
		switch_set_state(port, b / 32 % 4, (enum switch_state)(b % 3));
		return;
	case 11: bond_step(w, w->port[n], in); return;
	}
}

static void
come_or_go(struct world *w, struct input *in)
{
	unsigned int n = next(in) % PORTS;

	if (w->port[n] == NULL) {
		w->of[n] = next(in) % SWITCHES;
		w->port[n] = switch_add_port(w->sw[w->of[n]], "p", NULL);
		return;
	}
	w->gone_out += w->port[n]->out_frames;
	w->gone_in += w->port[n]->in_frames;
	switch_remove_port(w->sw[w->of[n]], w->port[n]);
	w->port[n] = NULL;
}

static void
step(struct world *w, struct input *in)
{
	struct port *a, *b;

	switch (next(in) % 12) {
	case 0:
	case 1:
	case 2: send_frames(w, in); return;
	case 3: come_or_go(w, in); return;
	case 4:
		a = pick(w, next(in));
		b = pick(w, next(in));
		if (a != NULL && b != NULL && a != b)
			cable_join(a, b);
		return;
	case 5:
		a = pick(w, next(in));
		if (a != NULL)
			cable_cut(a);
		return;
	case 6:
		a = pick(w, next(in));
		if (a != NULL)
			port_set_down(a, next(in) & 1);
		return;
	case 7: pass_time(w, next(in)); return;
	case 8: protocol_step(w, in); return;
	default: set(w, in); return;
	}
}

static uint64_t
total(const struct node *node)
{
	uint64_t n = 0;

	assert(node->count[REASON_NONE] == 0);
	for (int r = 0; r < REASON_COUNT; r++)
		n += node->count[r];
	return n;
}

/* What a node could not send, and what it refused for going round. */
static uint64_t
refusals(const struct node *node)
{
	return node->count[DROP_NO_CABLE] + node->count[DROP_LINK_DOWN] +
	    node->count[DROP_VNET_HEADER] + node->count[DROP_LOOP] +
	    node->count[DROP_TOO_LONG];
}

static void
count_mac(void *arg, const struct fdb_row *row, const struct port *port)
{
	assert(!mac_is_group(&row->mac));
	assert(row->kind != FDB_LEARNED || switch_port_link(port));
	assert(row->age_ns <= SWITCH_AGE_S * NS_PER_S + 131072);
	++*(unsigned int *)arg;
}

static void
check(struct world *w)
{
	uint64_t out = w->gone_out, in = w->gone_in, judged = 0, refused = 0;

	for (int i = 0; i < PORTS + ENDS; i++) {
		const struct port *port = pick(w, (uint8_t)i);

		if (port == NULL)
			continue;
		out += port->out_frames;
		in += port->in_frames;
		assert(port->out_drops <= port->out_frames);
	}
	for (int i = 0; i < ENDS; i++) {
		judged += total(&w->end[i].node);
		refused += refusals(&w->end[i].node);
	}
	for (int i = 0; i < SWITCHES; i++) {
		unsigned int macs = 0;

		judged += total(switch_node(w->sw[i]));
		refused += refusals(switch_node(w->sw[i]));
		switch_each_mac(w->sw[i], count_mac, &macs);
		assert(macs <= 5);
	}
	/* What one end counted, some node judged; what did not get across, the
	 * sender refused. */
	assert(judged == out);
	assert(in <= out && out - in <= refused);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct switch_options options = { .max_macs = 4 };
	struct world *w = calloc(1, sizeof(*w));
	struct input in = { data, data + size };

	if (w == NULL)
		abort();
	w->loop = loop_new(LOOP_VIRTUAL, NULL);
	for (int i = 0; i < SWITCHES; i++)
		w->sw[i] = switch_new(w->loop, "sw", &options, NULL);
	for (int i = 0; i < ENDS; i++) {
		struct end *end = &w->end[i];

		node_init(&end->node, "end");
		port_init(&end->port, &ops, &end->node, "end.eth0");
		end->kind = next(&in);
		end->reason =
		    end->kind & 0x80 ? DROP_PORT_FULL : REASON_DELIVERED;
		if (end->kind & 2)
			end->port.accepts = 0;
		if (end->kind & 4)
			end->port.mtu_bytes = 1514;
	}
	/* to begin with: two hosts and two spare ports a switch */
	for (int i = 0; i < PORTS; i++) {
		w->of[i] = i % SWITCHES;
		w->port[i] = switch_add_port(w->sw[w->of[i]], "p", NULL);
		if (i < ENDS)
			cable_join(w->port[i], &w->end[i].port);
	}
	w->protocol.ops = &protocol_ops;
	for (int i = 0; i < 200 && in.at < in.end; i++) {
		step(w, &in);
		check(w);
	}
	if (w->joined)
		switch_leave(&w->protocol);
	for (int i = 0; i < SWITCHES; i++)
		switch_free(w->sw[i]);
	for (int i = 0; i < ENDS; i++)
		cable_cut(&w->end[i].port);
	loop_free(w->loop);
	free(w);
	return 0;
}
