/*
 * stp_net.h - bridges, LANs between them, and time, all in memory: for tests of
 * the spanning tree.
 *
 * A LAN joins any number of bridges' ports.  BPDUs travel as bytes, take the
 * LAN's delay, and are lost with the LAN.  After every single event each VLAN
 * that is watched is looked at: a loop of forwarding ports aborts when it lasts
 * longer than is tolerated, unless loops are only counted.
 */
#ifndef TESTS_SWITCH_STP_NET_H
#define TESTS_SWITCH_STP_NET_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/eth.h"
#include "switch/stp.h"

#define NET_BRIDGES 16
#define NET_PORTS   17 /* of a bridge: 1 and up */
#define NET_LANS    64
#define NET_ENDS    4 /* of a LAN */
#define NET_QUEUE   4096
#define NET_VLANS   3
#define NET_MS      UINT64_C(1000000)
#define NET_S       UINT64_C(1000000000)

struct net_bridge {
	struct stp *stp;
	struct mac mac;
	char name[8];
	bool legacy; /* reads nothing newer than STP */
	bool dead;   /* neither reads nor ticks, its links stay up */
	struct {
		bool used;
		unsigned int lan;
		enum stp_state state[STP_MSTIS_MAX + 1];
		unsigned int flushes, sent;
	} port[NET_PORTS];
};

struct net_lan {
	bool up;
	bool deaf; /* what end 0 sends is lost */
	uint64_t delay_ns;
	unsigned int epoch; /* of its being up */
	unsigned int n;
	struct {
		unsigned int bridge, port;
	} end[NET_ENDS];
};

struct net_message {
	uint64_t at_ns, order;
	unsigned int lan, epoch, from; /* its end */
	uint16_t len;
	uint8_t bytes[BPDU_FRAME_BYTES];
};

struct net {
	uint64_t now_ns, order;
	unsigned int nbridges, nlans;
	struct net_bridge bridge[NET_BRIDGES];
	struct net_lan lan[NET_LANS];
	unsigned int nqueue;
	struct net_message *queue[NET_QUEUE];
	uint16_t vlan[NET_VLANS]; /* watched */
	unsigned int nvlans;
	uint64_t loop_since_ns[NET_VLANS]; /* 0: there is none */
	uint64_t tolerated_ns;
	uint64_t slack_ns; /* for who sets the former */
	bool count_loops;
	unsigned int loops;
	uint64_t bpdus;
	uint64_t (*jitter)(struct net *net); /* NULL: none */
	uint64_t seed;
};

/* ---- who can reach whom ---- */

struct net_groups {
	unsigned int of[NET_BRIDGES + NET_LANS];
};

static inline unsigned int
net_group(struct net_groups *g, unsigned int i)
{
	while (g->of[i] != i)
		i = g->of[i] = g->of[g->of[i]];
	return i;
}

static inline unsigned int
net_tree(const struct net_bridge *b, uint16_t vlan)
{
	return stp_get_options(b->stp)->tree[vlan];
}

static inline bool
net_forwards(const struct net *net, unsigned int bridge, unsigned int port,
    uint16_t vlan)
{
	const struct net_bridge *b = &net->bridge[bridge];

	return b->port[port].state[net_tree(b, vlan)] == STP_FORWARDING;
}

/* Groups what is connected; all: by LANs that are up, else by ports that
 * forward.  True if there is a loop. */
static inline bool
net_connect(
    const struct net *net, struct net_groups *g, bool all, uint16_t vlan)
{
	bool loop = false;

	for (unsigned int i = 0; i < NET_BRIDGES + NET_LANS; i++)
		g->of[i] = i;
	for (unsigned int l = 0; l < net->nlans; l++)
		for (unsigned int e = 0; net->lan[l].up && e < net->lan[l].n;
		     e++) {
			unsigned int bridge = net->lan[l].end[e].bridge;
			unsigned int port = net->lan[l].end[e].port;
			unsigned int x, y;

			if (!all && !net_forwards(net, bridge, port, vlan))
				continue;
			x = net_group(g, bridge);
			y = net_group(g, NET_BRIDGES + l);
			loop |= x == y;
			g->of[x] = y;
		}
	return loop;
}

static inline void
net_look_at(struct net *net, unsigned int v)
{
	uint64_t *since = &net->loop_since_ns[v];
	struct net_groups g;

	if (*since != 0 && net->now_ns - *since > net->tolerated_ns &&
	    !net->count_loops) {
		fprintf(stderr, "a loop in VLAN %u from %.6f to %.6f s\n",
		    net->vlan[v], (double)*since / 1e9,
		    (double)net->now_ns / 1e9);
		abort();
	}
	if (!net_connect(net, &g, false, net->vlan[v])) {
		*since = 0;
		return;
	}
	net->loops++;
	if (*since == 0)
		*since = net->now_ns;
}

/* To be called when time has passed, and when a port's state has changed. */
static inline void
net_look(struct net *net)
{
	for (unsigned int v = 0; v < net->nvlans; v++)
		net_look_at(net, v);
}

/* Does every bridge reach in the VLAN what it is cabled to? */
static inline bool
net_is_connected(const struct net *net, uint16_t vlan)
{
	struct net_groups all, tree;

	net_connect(net, &all, true, vlan);
	net_connect(net, &tree, false, vlan);
	for (unsigned int i = 0; i < net->nbridges; i++)
		for (unsigned int j = 0; j < i; j++)
			if ((net_group(&all, i) == net_group(&all, j)) !=
			    (net_group(&tree, i) == net_group(&tree, j)))
				return false;
	return true;
}

/* ---- what the bridges ask for ---- */

static inline struct net_bridge *
net_bridge_of(void *arg, struct net **net)
{
	/* arg is the bridge; its name's last digits are its index. */
	struct net_bridge *b = arg;
	unsigned int i = (unsigned int)strtoul(b->name + 1, NULL, 10);

	*net = (struct net *)(void *)((uint8_t *)(b - i) -
	    offsetof(struct net, bridge));
	return b;
}

static inline void
net_send(void *arg, unsigned int port, const struct bpdu *bpdu)
{
	struct net *net;
	struct net_bridge *b = net_bridge_of(arg, &net);
	struct net_lan *lan = &net->lan[b->port[port].lan];
	struct net_message *m;
	struct writer w;

	net->bpdus++;
	b->port[port].sent++;
	if (!b->port[port].used || !lan->up || net->nqueue == NET_QUEUE)
		return;
	m = malloc(sizeof(*m));
	if (m == NULL)
		abort();
	m->at_ns = net->now_ns + lan->delay_ns +
	    (net->jitter != NULL ? net->jitter(net) : 0);
	m->order = net->order++;
	m->lan = b->port[port].lan;
	m->epoch = lan->epoch;
	for (m->from = 0; lan->end[m->from].bridge != b - net->bridge ||
	     lan->end[m->from].port != port;
	     m->from++)
		;
	w = writer(m->bytes, sizeof(m->bytes));
	bpdu_write(&w, &b->mac, bpdu);
	if (w.overrun)
		abort();
	m->len = (uint16_t)(w.at - m->bytes);
	net->queue[net->nqueue++] = m;
}

static inline void
net_state(void *arg, unsigned int port, unsigned int tree, enum stp_state state)
{
	struct net *net;
	struct net_bridge *b = net_bridge_of(arg, &net);

	b->port[port].state[tree] = state;
	net_look(net);
}

static inline void
net_flush(void *arg, unsigned int port, unsigned int tree)
{
	struct net_bridge *b = arg;

	(void)tree;
	b->port[port].flushes++;
}

static const struct stp_ops net_ops = {
	.send = net_send,
	.state = net_state,
	.flush = net_flush,
};

/* ---- building ---- */

static inline struct net *
net_new(void)
{
	struct net *net = calloc(1, sizeof(*net));

	if (net == NULL)
		abort();
	net->nvlans = 1;
	net->now_ns = 1;
	net->seed = 1;
	return net;
}

static inline void
net_free(struct net *net)
{
	for (unsigned int i = 0; i < net->nbridges; i++)
		stp_free(net->bridge[i].stp);
	for (unsigned int i = 0; i < net->nqueue; i++)
		free(net->queue[i]);
	free(net);
}

/* Its index; without priority it is as good as it was added early. */
static inline unsigned int
net_add_bridge(struct net *net, const struct stp_options *options)
{
	unsigned int i = net->nbridges++;
	struct net_bridge *b = &net->bridge[i];

	if (i >= NET_BRIDGES)
		abort();
	snprintf(b->name, sizeof(b->name), "b%u", i);
	b->mac = (struct mac){ { 2, 0, 0, 0, 1, (uint8_t)i } };
	b->stp = stp_new(b->name, options, &b->mac, &net_ops, b);
	if (b->stp == NULL)
		abort();
	return i;
}

static inline unsigned int
net_add_lan(struct net *net)
{
	struct net_lan *lan = &net->lan[net->nlans];

	if (net->nlans == NET_LANS)
		abort();
	lan->up = true;
	lan->delay_ns = 10000;
	return net->nlans++;
}

/* A new port of bridge in lan, with its link as the LAN is.  Its number. */
static inline unsigned int
net_plug(struct net *net, unsigned int lan, unsigned int bridge,
    const struct stp_port_options *options)
{
	struct net_bridge *b = &net->bridge[bridge];
	struct net_lan *l = &net->lan[lan];
	unsigned int port = 1;

	while (port < NET_PORTS && b->port[port].used)
		port++;
	if (port == NET_PORTS || l->n == NET_ENDS)
		abort();
	b->port[port].used = true;
	b->port[port].lan = lan;
	l->end[l->n].bridge = bridge;
	l->end[l->n++].port = port;
	if (stp_add_port(b->stp, port, options, net->now_ns) < 0)
		abort();
	stp_set_link(b->stp, port, l->up, net->now_ns);
	return port;
}

/* A cable between two bridges; the LAN. */
static inline unsigned int
net_cable(struct net *net, unsigned int a, unsigned int b)
{
	struct stp_port_options options;
	unsigned int lan = net_add_lan(net);

	stp_port_options_init(&options);
	net_plug(net, lan, a, &options);
	net_plug(net, lan, b, &options);
	return lan;
}

static inline void
net_set_up(struct net *net, unsigned int lan, bool up)
{
	struct net_lan *l = &net->lan[lan];

	if (l->up == up)
		return;
	l->up = up;
	l->epoch++;
	for (unsigned int e = 0; e < l->n; e++)
		stp_set_link(net->bridge[l->end[e].bridge].stp, l->end[e].port,
		    up, net->now_ns);
	net_look(net);
}

/* All cables of a bridge. */
static inline void
net_set_bridge_up(struct net *net, unsigned int bridge, bool up)
{
	for (unsigned int p = 1; p < NET_PORTS; p++)
		if (net->bridge[bridge].port[p].used)
			net_set_up(net, net->bridge[bridge].port[p].lan, up);
}

/* ---- time ---- */

static inline void
net_hear(struct net *net, const struct net_message *m, unsigned int end)
{
	const struct net_lan *lan = &net->lan[m->lan];
	struct net_bridge *b = &net->bridge[lan->end[end].bridge];
	struct cursor c = cursor(m->bytes + 12, m->len - 12u);
	struct bpdu *bpdu = malloc(sizeof(*bpdu));

	enum reason reason;

	if (bpdu == NULL)
		abort();
	reason = bpdu_parse(bpdu, &c);
	/* a Configuration BPDU that is as old as can be */
	if (reason != DROP_NONE && reason != DROP_BPDU)
		abort();
	if (reason == DROP_NONE && !b->dead &&
	    !(b->legacy && bpdu->type == BPDU_TYPE_RST))
		stp_receive(b->stp, lan->end[end].port, bpdu, net->now_ns);
	free(bpdu);
}

static inline void
net_deliver(struct net *net, struct net_message *m)
{
	const struct net_lan *lan = &net->lan[m->lan];
	bool lost = m->epoch != lan->epoch || (lan->deaf && m->from == 0);

	/* A LAN of one end is a cable whose end is its beginning. */
	for (unsigned int e = 0; !lost && e < lan->n; e++)
		if (e != m->from || lan->n == 1)
			net_hear(net, m, e);
	free(m);
}

/* The first message in time; nqueue if there is none. */
static inline unsigned int
net_first(const struct net *net)
{
	unsigned int first = net->nqueue;

	for (unsigned int i = 0; i < net->nqueue; i++)
		if (first == net->nqueue ||
		    net->queue[i]->at_ns < net->queue[first]->at_ns ||
		    (net->queue[i]->at_ns == net->queue[first]->at_ns &&
			net->queue[i]->order < net->queue[first]->order))
			first = i;
	return first;
}

/* One event, if it is due by then.  False: none. */
static inline void
net_pass(struct net *net, uint64_t now_ns)
{
	if (now_ns > net->now_ns) {
		net->now_ns = now_ns;
		net_look(net);
	}
}

static inline bool
net_step(struct net *net, uint64_t until_ns)
{
	unsigned int first = net_first(net), who = 0;
	uint64_t deadline = STP_NEVER;

	for (unsigned int i = 0; i < net->nbridges; i++) {
		uint64_t at = net->bridge[i].dead
		    ? STP_NEVER
		    : stp_deadline_ns(net->bridge[i].stp);

		if (at < deadline) {
			deadline = at;
			who = i;
		}
	}
	if (first < net->nqueue && net->queue[first]->at_ns <= deadline) {
		struct net_message *m = net->queue[first];

		if (m->at_ns > until_ns)
			return false;
		net->queue[first] = net->queue[--net->nqueue];
		net_pass(net, m->at_ns);
		net_deliver(net, m);
	} else {
		if (deadline > until_ns)
			return false;
		net_pass(net, deadline);
		stp_tick(net->bridge[who].stp, net->now_ns);
	}
	return true;
}

static inline void
net_run(struct net *net, uint64_t for_ns)
{
	uint64_t until = net->now_ns + for_ns;

	while (net_step(net, until))
		;
	net_pass(net, until);
}

/* Runs until the VLAN is connected, no longer than max.  How long it took. */
static inline uint64_t
net_run_until_connected(struct net *net, uint16_t vlan, uint64_t max_ns)
{
	uint64_t begin = net->now_ns, until = begin + max_ns;

	while (!net_is_connected(net, vlan) && net_step(net, until))
		;
	return net_is_connected(net, vlan) ? net->now_ns - begin : STP_NEVER;
}

/* ---- what tests ask ---- */

static inline struct stp_port_view
net_port(const struct net *net, unsigned int bridge, unsigned int port,
    unsigned int tree)
{
	struct stp_port_view view = { .role = STP_NROLES };

	stp_view_port(net->bridge[bridge].stp, port, tree, &view);
	return view;
}

static inline struct stp_tree_view
net_tree_view(const struct net *net, unsigned int bridge, unsigned int tree)
{
	struct stp_tree_view view;

	stp_view_tree(net->bridge[bridge].stp, tree, &view);
	return view;
}

/* Ports of that role in a tree, of all bridges. */
static inline unsigned int
net_count(const struct net *net, unsigned int tree, enum stp_role role)
{
	unsigned int n = 0;

	for (unsigned int b = 0; b < net->nbridges; b++)
		for (unsigned int p = 1; p < NET_PORTS; p++)
			n += net->bridge[b].port[p].used &&
			    net_port(net, b, p, tree).role == role;
	return n;
}

/* A number below n, of the net's own sequence. */
static inline uint32_t
net_random(struct net *net, uint32_t n)
{
	net->seed ^= net->seed << 13;
	net->seed ^= net->seed >> 7;
	net->seed ^= net->seed << 17;
	return (uint32_t)((net->seed >> 11) % n);
}

#endif
