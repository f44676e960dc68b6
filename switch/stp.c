/*
 * A bridge in its spanning trees, and what drives the machines.
 *
 * Each event (a BPDU, a link, time) is taken in to the end: the machines step
 * until none has anything to do, in any order, as the standard wants it.  Only
 * ports that something happened to are looked at; when a role or a topology
 * changes, all are.  So a hello that tells nothing new costs one port's look.
 *
 * BPDUs are sent last, when all is settled, and from stp_tick() alone: what a
 * neighbour answers at once never finds us half-way.
 *
 * The standard counts timers down each second.  Here they are instants, so that
 * a bridge at rest does nothing, and a forward delay is as long as it says.
 */
#include "switch/stp.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "switch/stp_state.h"

/* ---- the machines ---- */

static bool
step_branch(struct stp_branch *b)
{
	bool alone = stp_info_step(b);
	bool others = stp_role_step(b);

	others |= stp_forward_step(b);
	others |= stp_change_step(b);
	if (others)
		stp_wake_tree(b->port->stp);
	return alone || others;
}

static bool
step_port(struct stp_port *p)
{
	struct stp_branch *b;
	bool moved = stp_migrate_step(p);

	moved |= stp_edge_step(p);
	STP_EACH_BRANCH(p, b)
	moved |= step_branch(b);
	return moved;
}

static void
settle(struct stp *stp)
{
	bool moved;

	do {
		struct stp_port *p;

		moved = false;
		STP_EACH_PORT(stp, p)
		{
			if (!p->dirty)
				continue;
			p->dirty = false;
			if (step_port(p))
				moved = p->dirty = true;
		}
		for (unsigned int t = 0; t < stp->ntrees; t++)
			moved |= stp_select_step(&stp->tree[t]);
	} while (moved);
}

/* ---- time ---- */

static void
set_now(struct stp *stp, uint64_t now_ns)
{
	assert(now_ns >= stp->now_ns);
	stp->now_ns = now_ns;
}

static void
sooner(const struct stp *stp, uint64_t *deadline, uint64_t timer)
{
	if (timer != STP_HELD && stp_runs(stp, timer) && timer < *deadline)
		*deadline = timer;
}

static uint64_t
timers_deadline(const struct stp_port *p)
{
	const struct stp_branch *b;
	uint64_t deadline = STP_NEVER;

	sooner(p->stp, &deadline, p->mdelay_while);
	sooner(p->stp, &deadline, p->edge_delay_while);
	STP_EACH_BRANCH(p, b)
	{
		sooner(p->stp, &deadline, b->fd_while);
		sooner(p->stp, &deadline, b->rr_while);
		sooner(p->stp, &deadline, b->rb_while);
		sooner(p->stp, &deadline, b->rcvd_info_while);
		sooner(p->stp, &deadline, b->tc_again);
	}
	return deadline;
}

uint64_t
stp_deadline_ns(const struct stp *stp)
{
	const struct stp_port *p;
	uint64_t deadline = STP_NEVER;

	STP_EACH_PORT(stp, p)
	{
		uint64_t timers = timers_deadline(p);
		uint64_t transmit = stp_transmit_deadline_ns(p);

		if (timers < deadline)
			deadline = timers;
		if (transmit < deadline)
			deadline = transmit;
	}
	return deadline;
}

void
stp_tick(struct stp *stp, uint64_t now_ns)
{
	struct stp_port *p;

	set_now(stp, now_ns);
	stp_wake_tree(stp);
	settle(stp);
	STP_EACH_PORT(stp, p)
	while (stp_transmit_step(p))
		;
}

/* ---- BPDUs ---- */

static struct stp_port *
find(const struct stp *stp, unsigned int port)
{
	return port < stp->nports ? stp->port[port] : NULL;
}

static void
set_enabled(struct stp_port *p)
{
	p->enabled = p->up && !p->guarded;
	stp_receive_begin(p);
	p->dirty = true;
}

enum reason
stp_receive(struct stp *stp, unsigned int port, const struct bpdu *bpdu,
    uint64_t now_ns)
{
	struct stp_port *p = find(stp, port);

	set_now(stp, now_ns);
	if (p == NULL || !p->up)
		return DROP_LINK_DOWN;
	if (p->options.bpdu_guard && !p->guarded) {
		p->guarded = true;
		set_enabled(p);
		settle(stp);
	}
	if (p->guarded)
		return DROP_BPDU_GUARD;
	p->bpdu = bpdu;
	p->dirty = true;
	stp_receive_message(p);
	settle(stp);
	p->bpdu = NULL;
	return REASON_DELIVERED;
}

/* ---- ports ---- */

static void
init_branch(struct stp_branch *b, struct stp_port *p, struct stp_tree *tree)
{
	const struct stp_port_options *o = &p->options;
	uint8_t priority = o->priority;

	b->port = p;
	b->tree = tree;
	b->cost = o->cost;
	if (tree->index > 0 && o->msti_cost[tree->index - 1] != 0)
		b->cost = o->msti_cost[tree->index - 1];
	if (tree->index > 0 && o->msti_priority[tree->index - 1] != STP_AS_PORT)
		priority = o->msti_priority[tree->index - 1];
	b->id = (uint16_t)((priority & 0xf0) << 8 | p->number);
}

static struct stp_port *
new_port(struct stp *stp, unsigned int number, unsigned int ntrees,
    const struct stp_port_options *options)
{
	struct stp_port *p =
	    calloc(1, sizeof(*p) + ntrees * sizeof(p->branch[0]));

	if (p == NULL)
		return NULL;
	p->stp = stp;
	p->number = number;
	p->options = *options;
	return p;
}

/* BEGIN, for one port. */
static void
begin_port(struct stp_port *p)
{
	struct stp *stp = p->stp;

	p->enabled = p->up && !p->guarded;
	for (unsigned int t = 0; t < stp->ntrees; t++) {
		struct stp_branch *b = &p->branch[t];

		init_branch(b, p, &stp->tree[t]);
		b->designated_times = b->port_times = stp->bridge_times;
		stp_info_begin(b);
		stp_role_begin(b);
		stp_forward_begin(b);
		stp_change_begin(b);
	}
	stp_receive_begin(p);
	stp_migrate_begin(p);
	stp_edge_begin(p);
	stp_transmit_begin(p);
	p->dirty = true;
}

/* Room for port number. */
static int
grow(struct stp *stp, unsigned int number)
{
	struct stp_port **port;

	if (number < stp->nports)
		return 0;
	port = reallocarray(stp->port, number + 1, sizeof(port[0]));
	if (port == NULL)
		return -ENOMEM;
	while (stp->nports <= number)
		port[stp->nports++] = NULL;
	stp->port = port;
	return 0;
}

int
stp_add_port(struct stp *stp, unsigned int port,
    const struct stp_port_options *options, uint64_t now_ns)
{
	struct stp_port *p;

	set_now(stp, now_ns);
	if (port == 0 || port > STP_PORTS_MAX)
		return -ENOSPC;
	if (find(stp, port) != NULL)
		return -EEXIST;
	if (grow(stp, port) < 0)
		return -ENOMEM;
	p = new_port(stp, port, stp->ntrees, options);
	if (p == NULL)
		return -ENOMEM;
	stp->port[port] = p;
	begin_port(p);
	settle(stp);
	return 0;
}

void
stp_set_link(struct stp *stp, unsigned int port, bool up, uint64_t now_ns)
{
	struct stp_port *p = find(stp, port);

	set_now(stp, now_ns);
	if (p == NULL || p->up == up)
		return;
	p->up = up;
	p->guarded = false;
	set_enabled(p);
	settle(stp);
}

void
stp_remove_port(struct stp *stp, unsigned int port, uint64_t now_ns)
{
	struct stp_port *p = find(stp, port);

	if (p == NULL)
		return;
	stp_set_link(stp, port, false, now_ns);
	stp->port[port] = NULL;
	free(p);
	stp_wake_tree(stp);
	settle(stp);
}

static void
reselect_port(struct stp_port *p)
{
	for (unsigned int t = 0; t < p->stp->ntrees; t++) {
		init_branch(&p->branch[t], p, &p->stp->tree[t]);
		stp_reselect(&p->branch[t]);
	}
	p->dirty = true;
}

void
stp_set_port_options(struct stp *stp, unsigned int port,
    const struct stp_port_options *options, uint64_t now_ns)
{
	struct stp_port *p = find(stp, port);
	enum stp_edge was;

	set_now(stp, now_ns);
	if (p == NULL)
		return;
	was = p->options.edge;
	p->options = *options;
	if (options->edge != was && options->edge != STP_EDGE_AUTO)
		stp_edge_begin(p);
	if (p->guarded && !options->bpdu_guard) {
		p->guarded = false;
		set_enabled(p);
	}
	reselect_port(p);
	settle(stp);
}

const struct stp_port_options *
stp_get_port_options(const struct stp *stp, unsigned int port)
{
	const struct stp_port *p = find(stp, port);

	return p != NULL ? &p->options : NULL;
}

void
stp_check_protocol(struct stp *stp, unsigned int port, uint64_t now_ns)
{
	struct stp_port *p = find(stp, port);

	set_now(stp, now_ns);
	if (p == NULL)
		return;
	p->mcheck = stp_rstp_version(stp);
	p->dirty = true;
	settle(stp);
}

/* ---- the bridge ---- */

static uint64_t
bridge_id(const struct mac *mac, uint16_t priority, uint16_t instance)
{
	return (uint64_t)(priority | instance) << 48 |
	    (uint64_t)get_be16(mac->b) << 32 | get_be32(mac->b + 2);
}

static void
init_tree(struct stp_tree *tree, struct stp *stp, unsigned int index)
{
	const struct stp_options *o = &stp->options;
	const struct stp_msti_options *msti =
	    index > 0 ? &o->msti[index - 1] : NULL;

	tree->stp = stp;
	tree->index = index;
	tree->id = msti != NULL ? msti->id : 0;
	tree->bridge = bridge_id(
	    &stp->mac, msti != NULL ? msti->priority : o->priority, tree->id);
	tree->bridge_priority = (struct stp_vector){
		.root = index == 0 ? tree->bridge : 0,
		.regional_root = tree->bridge,
		.bridge = tree->bridge,
		.sender = tree->bridge,
	};
}

/* What follows from the options. */
static void
apply_options(struct stp *stp, const struct stp_options *options)
{
	stp->options = *options;
	stp_region_make(&stp->region, options);
	stp->bridge_times = (struct stp_times){
		.max_age_s = options->max_age_s,
		.hello_s = options->hello_s,
		.forward_delay_s = options->forward_delay_s,
		.hops = options->max_hops,
	};
	for (unsigned int t = 0; t < stp->ntrees; t++)
		init_tree(&stp->tree[t], stp, t);
}

static void
begin(struct stp *stp)
{
	struct stp_port *p;

	STP_EACH_PORT(stp, p)
	begin_port(p);
	for (unsigned int t = 0; t < stp->ntrees; t++)
		stp_select_begin(&stp->tree[t]);
	settle(stp);
}

static void
free_ports(struct stp_port **port, unsigned int n)
{
	for (unsigned int i = 0; port != NULL && i < n; i++)
		free(port[i]);
	free(port);
}

/* Trees and ports of another number of trees.  0 or -ENOMEM, nothing done. */
static int
set_trees(struct stp *stp, unsigned int ntrees)
{
	struct stp_tree *tree = calloc(ntrees, sizeof(tree[0]));
	struct stp_port **port = calloc(stp->nports + 1, sizeof(port[0])), *p;

	if (tree == NULL || port == NULL)
		goto fail;
	STP_EACH_PORT(stp, p)
	{
		struct stp_port *q =
		    new_port(stp, p->number, ntrees, &p->options);

		if (q == NULL)
			goto fail;
		q->up = p->up;
		q->guarded = p->guarded;
		q->in_bpdus = p->in_bpdus;
		q->out_bpdus = p->out_bpdus;
		port[p->number] = q;
	}
	free_ports(stp->port, stp->nports);
	free(stp->tree);
	stp->port = port;
	stp->tree = tree;
	stp->ntrees = ntrees;
	return 0;
fail:
	free_ports(port, stp->nports);
	free(tree);
	return -ENOMEM;
}

static bool
begins_anew(const struct stp_options *a, const struct stp_options *b)
{
	bool anew = a->mode != b->mode || a->nmstis != b->nmstis ||
	    a->revision != b->revision ||
	    strncmp(a->region, b->region, sizeof(a->region)) != 0 ||
	    memcmp(a->tree, b->tree, sizeof(a->tree)) != 0;

	for (unsigned int i = 0; !anew && i < a->nmstis; i++)
		anew = a->msti[i].id != b->msti[i].id;
	return anew;
}

int
stp_set_options(
    struct stp *stp, const struct stp_options *options, uint64_t now_ns)
{
	bool anew = begins_anew(&stp->options, options);
	struct stp_port *p;

	set_now(stp, now_ns);
	if (anew && set_trees(stp, options->nmstis + 1) < 0)
		return -ENOMEM;
	apply_options(stp, options);
	if (anew) {
		begin(stp);
		return 0;
	}
	/* A bridge without ports has nobody who asks for another choice. */
	for (unsigned int t = 0; t < stp->ntrees; t++)
		stp_select_begin(&stp->tree[t]);
	STP_EACH_PORT(stp, p)
	reselect_port(p);
	settle(stp);
	return 0;
}

const struct stp_options *
stp_get_options(const struct stp *stp)
{
	return &stp->options;
}

struct stp *
stp_new(const char *name, const struct stp_options *options,
    const struct mac *mac, const struct stp_ops *ops, void *arg)
{
	struct stp *stp = calloc(1, sizeof(*stp));

	if (stp == NULL)
		return NULL;
	stp->name = name;
	stp->mac = *mac;
	stp->ops = ops;
	stp->arg = arg;
	if (set_trees(stp, options->nmstis + 1) < 0) {
		free(stp);
		return NULL;
	}
	apply_options(stp, options);
	begin(stp);
	return stp;
}

void
stp_free(struct stp *stp)
{
	if (stp == NULL)
		return;
	free_ports(stp->port, stp->nports);
	free(stp->tree);
	free(stp);
}
