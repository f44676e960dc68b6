/*
 * What `show` tells of the spanning tree.
 */
#include "switch/stp.h"

#include <assert.h>

#include "switch/stp_state.h"

static const struct stp_branch *
find(const struct stp *stp, unsigned int port, unsigned int tree)
{
	assert(tree < stp->ntrees);
	if (port >= stp->nports || stp->port[port] == NULL)
		return NULL;
	return &stp->port[port]->branch[tree];
}

unsigned int
stp_trees(const struct stp *stp)
{
	return stp->ntrees;
}

enum stp_state
stp_port_state(const struct stp *stp, unsigned int port, unsigned int tree)
{
	const struct stp_branch *b = find(stp, port, tree);

	return b != NULL ? b->state : STP_DISCARDING;
}

void
stp_view_tree(
    const struct stp *stp, unsigned int tree, struct stp_tree_view *view)
{
	const struct stp_tree *t = &stp->tree[tree];
	const struct stp_times *times = &stp->tree[0].root_times;
	bool cist = tree == 0;

	assert(tree < stp->ntrees);
	*view = (struct stp_tree_view){
		.id = t->id,
		.bridge = t->bridge,
		.root = cist ? t->root_priority.root
			     : t->root_priority.regional_root,
		.regional_root = t->root_priority.regional_root,
		.root_port = t->root_port != NULL ? t->root_port->number : 0,
		.cost = cist && t->root_priority.external_cost != 0
		    ? t->root_priority.external_cost
		    : t->root_priority.internal_cost,
		.hello_s = (uint8_t)times->hello_s,
		.max_age_s = (uint8_t)times->max_age_s,
		.forward_delay_s = (uint8_t)times->forward_delay_s,
		.changes = t->changes,
		.changed_ns = t->changed_ns,
	};
}

bool
stp_view_port(const struct stp *stp, unsigned int port, unsigned int tree,
    struct stp_port_view *view)
{
	const struct stp_branch *b = find(stp, port, tree);
	const struct stp_port *p;

	if (b == NULL)
		return false;
	p = b->port;
	*view = (struct stp_port_view){
		.role = b->role,
		.state = b->state,
		.id = b->id,
		.cost = b->cost,
		.designated_bridge = b->port_priority.bridge,
		.designated_port = b->port_priority.port,
		.edge = p->oper_edge,
		.point_to_point = p->options.point_to_point,
		.guarded = p->guarded,
		.rstp = p->send_rstp,
		.disputed = b->disputed,
		.boundary = stp->options.mode == STP_MODE_MSTP &&
		    p->branch->info_is == STP_RECEIVED && !p->info_internal,
		.in_bpdus = p->in_bpdus,
		.out_bpdus = p->out_bpdus,
		.forwards = b->forwards,
	};
	return true;
}
