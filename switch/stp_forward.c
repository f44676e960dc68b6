/*
 * Port State Transition (17.30): tells the switch what the port may do.  One
 * for each port and tree.
 *
 *                  learn               forward
 *    DISCARDING ---------> LEARNING ------------> FORWARDING
 *        ^                     |                      |
 *        |       !learn        |       !forward       |
 *        '---------------------+----------------------'
 */
#include "switch/stp_state.h"

#include <assert.h>

#include "base/log.h"

static const struct {
	const char *name;
	unsigned int next;
} forward_fsm[] = {
	[STP_DISCARDING] = { "discarding", TO(STP_LEARNING) },
	[STP_LEARNING] = { "learning",
	    TO(STP_DISCARDING) | TO(STP_FORWARDING) },
	[STP_FORWARDING] = { "forwarding", TO(STP_DISCARDING) },
};
static_assert(sizeof(forward_fsm) / sizeof(forward_fsm[0]) == STP_NSTATES,
    "a state has no row");

const char *
stp_state_name(enum stp_state state)
{
	return forward_fsm[state].name;
}

static void
forward_set(struct stp_branch *b, enum stp_state to)
{
	struct stp *stp = b->port->stp;

	assert(forward_fsm[b->state].next & TO(to));
	log_debug("%s: port %u, tree %u: %s -> %s", stp->name, b->port->number,
	    b->tree->id, forward_fsm[b->state].name, forward_fsm[to].name);
	b->state = to;
	b->forwards += to == STP_FORWARDING;
	stp->ops->state(stp->arg, b->port->number, b->tree->index, to);
}

bool
stp_forward_step(struct stp_branch *b)
{
	switch (b->state) {
	case STP_DISCARDING:
		if (!b->learn)
			return false;
		forward_set(b, STP_LEARNING);
		return true;
	case STP_LEARNING:
		if (b->learn && !b->forward)
			return false;
		forward_set(b, b->learn ? STP_FORWARDING : STP_DISCARDING);
		return true;
	case STP_FORWARDING:
		if (b->forward)
			return false;
		forward_set(b, STP_DISCARDING);
		return true;
	case STP_NSTATES: break;
	}
	assert(!"a state of Port State Transition");
	return false;
}

void
stp_forward_begin(struct stp_branch *b)
{
	struct stp *stp = b->port->stp;

	b->state = STP_DISCARDING;
	stp->ops->state(
	    stp->arg, b->port->number, b->tree->index, STP_DISCARDING);
}
