/*
 * router_rig.h - a router between two links, driven by an input: what the fuzz
 * targets of its ways have in common.  Each has a take() for what leaves.
 */
#ifndef TESTS_FUZZ_ROUTER_RIG_H
#define TESTS_FUZZ_ROUTER_RIG_H

#include <assert.h>
#include <string.h>

#include "net/cursor.h"
#include "router/router.h"

enum { INSIDE, OUTSIDE, NLINKS };

struct link {
	struct port port; /* first */
	int number;
};

static struct {
	struct cursor in;
	struct loop *loop;
	struct router *router;
	struct node peers;
	struct link link[NLINKS];
	uint64_t tally[REASON_COUNT]; /* of the frames that went in */
} rig;

static const struct mac gw_mac[NLINKS] = { { { 2, 0, 0, 0, 0, 1 } },
	{ { 2, 0, 0, 0, 0, 2 } } };

static uint8_t
byte(void)
{
	return cur_u8(&rig.in);
}

static void
rig_start(void)
{
	memset(rig.tally, 0, sizeof(rig.tally));
	rig.loop = loop_new(LOOP_VIRTUAL, NULL);
	rig.router = router_new(rig.loop, "gw", 1, NULL);
	assert(rig.loop != NULL && rig.router != NULL);
	node_init(&rig.peers, "peers");
}

static struct port *
rig_link(int i, const struct router_port_options *o, const struct port_ops *ops)
{
	struct port *port = router_add_port(
	    rig.router, i == INSIDE ? "gw.in" : "gw.out", o, NULL);

	assert(port != NULL);
	port_init(&rig.link[i].port, ops, &rig.peers, "peer");
	rig.link[i].number = i;
	cable_join(&rig.link[i].port, port);
	return port;
}

static void
rig_end(void)
{
	router_free(rig.router);
	loop_free(rig.loop);
}

/* One frame into the router, which gets one verdict. */
static enum reason
send_frame(int from, struct frame frame)
{
	struct burst burst;
	const struct verdict *v = &burst.frame[0].verdict;

	burst_clear(&burst);
	burst.n = 1;
	burst.flags = frame.flags;
	burst.frame[0] = frame;
	port_send(&rig.link[from].port, &burst);
	assert(v->node == router_node(rig.router));
	assert(v->reason != REASON_NONE && v->reason < REASON_COUNT);
	assert((v->out != NULL) == (v->nout > 0));
	if (reason_is_drop((enum reason)v->reason))
		assert(v->out == NULL);
	rig.tally[v->reason]++;
	return (enum reason)v->reason;
}

static void
stop(void *arg)
{
	loop_stop(arg);
}

static void
wait_ms(uint64_t ms)
{
	struct loop_timer timer;

	loop_timer_init(&timer, rig.loop, stop, rig.loop);
	loop_timer_set(&timer, loop_now_ns(rig.loop) + ms * NS_PER_MS);
	loop_run(rig.loop);
}

/* Verdicts are counted; those that come later, or on what the router sends
 * itself, besides. */
static void
check_counts(bool (*is_late)(int reason))
{
	const struct node *node = router_node(rig.router);

	for (int r = 0; r < REASON_COUNT; r++)
		if (is_late(r))
			assert(node->count[r] >= rig.tally[r]);
		else
			assert(node->count[r] == rig.tally[r]);
}

#endif
