/*
 * Bridge Detection (17.25): a port without a bridge behind it is an edge, which
 * forwards at once and changes no topology.  One for each port.
 *
 *                  admin: edge, link down;
 *                  or auto: we proposed for 3 s and nobody answered
 *    NOT_EDGE ------------------------------------------------------> EDGE
 *        ^                                                              |
 *        '-------- a BPDU came, or the link went (unless admin) --------'
 */
#include "switch/stp_state.h"

#include <assert.h>

#include "base/log.h"

static void
enter_edge(struct stp_port *p)
{
	p->oper_edge = true;
}

static void
enter_not_edge(struct stp_port *p)
{
	p->oper_edge = false;
}

static const struct {
	const char *name;
	unsigned int next;
	void (*enter)(struct stp_port *);
} edge_fsm[] = {
	[BDM_EDGE] = { "edge", TO(BDM_NOT_EDGE), enter_edge },
	[BDM_NOT_EDGE] = { "not an edge", TO(BDM_EDGE), enter_not_edge },
};
static_assert(sizeof(edge_fsm) / sizeof(edge_fsm[0]) == BDM_NSTATES,
    "a state has no row");

static void
edge_set(struct stp_port *p, enum stp_edge_state to)
{
	assert(edge_fsm[p->bdm].next & TO(to));
	log_debug("%s: port %u: %s -> %s", p->stp->name, p->number,
	    edge_fsm[p->bdm].name, edge_fsm[to].name);
	p->bdm = to;
	edge_fsm[to].enter(p);
}

static bool
nobody_answers(const struct stp_port *p)
{
	return p->options.edge == STP_EDGE_AUTO && p->enabled && p->send_rstp &&
	    p->branch[0].proposing && !stp_runs(p->stp, p->edge_delay_while);
}

bool
stp_edge_step(struct stp_port *p)
{
	bool admin = p->options.edge == STP_EDGE_YES;

	switch (p->bdm) {
	case BDM_EDGE:
		/* oper_edge is taken away by a BPDU. */
		if (p->oper_edge && (p->enabled || admin))
			return false;
		edge_set(p, BDM_NOT_EDGE);
		return true;
	case BDM_NOT_EDGE:
		if (!(admin && !p->enabled) && !nobody_answers(p))
			return false;
		edge_set(p, BDM_EDGE);
		return true;
	case BDM_NSTATES: break;
	}
	assert(!"a state of Bridge Detection");
	return false;
}

void
stp_edge_begin(struct stp_port *p)
{
	p->bdm = p->options.edge == STP_EDGE_YES ? BDM_EDGE : BDM_NOT_EDGE;
	edge_fsm[p->bdm].enter(p);
}
