/*
 * Topology Change (17.31): forgets addresses where the way to them may have
 * changed, and tells the others.  One for each port and tree.
 *
 *                 learn                   forwards, Root, Designated or
 *    INACTIVE ------------> LEARNING <-.  Master, no edge [detected]
 *        ^                  |  ^   |   '- rcvd_tc and the like [ignored]
 *        |  no longer       |  |   v
 *        '------------------'  |  ACTIVE <-.  rcvd_tcn, rcvd_tc [notified],
 *                              |   |   |   |  tc_prop [propagate],
 *         another role, or edge|   |   '---'  rcvd_tc_ack [acknowledged],
 *                              '---'          250 ms [again]
 *
 * The standard lets an STP bridge age addresses out within a forward delay
 * after a change, instead of forgetting them at once (17.19.1).  We forget at
 * once in every mode: what is still in use is learned anew with the next frame.
 *
 * A frame that was on its way meanwhile teaches the old address again, and the
 * standard tells the change anew with the next hello only.  We do so after a
 * quarter of a second, too [again].
 */
#include "switch/stp_state.h"

#include <assert.h>

#include "base/log.h"

static bool
is_active_role(const struct stp_branch *b)
{
	switch (b->role) {
	case STP_ROOT:
	case STP_DESIGNATED:
	case STP_MASTER: return true;
	case STP_DISABLED:
	case STP_ALTERNATE:
	case STP_BACKUP:
	case STP_NROLES: break;
	}
	return false;
}

static void
flush(struct stp_branch *b)
{
	struct stp *stp = b->port->stp;

	if (!b->port->oper_edge)
		stp->ops->flush(stp->arg, b->port->number, b->tree->index);
}

static void
count_change(struct stp_branch *b)
{
	b->tree->changes++;
	b->tree->changed_ns = b->port->stp->now_ns;
}

/* newTcWhile (17.21.7). */
static void
new_tc_while(struct stp_branch *b)
{
	struct stp *stp = b->port->stp;
	const struct stp_times *root = &stp->tree[0].root_times;

	if (stp_runs(stp, b->tc_while))
		return;
	if (b->port->send_rstp) {
		b->tc_while = stp_in_s(stp, stp_hello_s(b) + 1);
		b->tc_again = stp->now_ns + STP_TC_AGAIN_NS;
		stp_new_info(b);
	} else {
		b->tc_while = stp_in_s(
		    stp, root->max_age_s + (unsigned int)root->forward_delay_s);
	}
}

/* setTcPropTree (17.21.18). */
static void
set_tc_prop_tree(struct stp_branch *b)
{
	struct stp_port *p;

	if (b->port->options.tcn_guard)
		return;
	STP_EACH_PORT(b->port->stp, p)
	if (p != b->port)
		p->branch[b->tree->index].tc_prop = true;
}

static void
forget_notices(struct stp_branch *b)
{
	b->rcvd_tc = b->tc_prop = false;
	if (stp_is_cist(b))
		b->port->rcvd_tcn = b->port->rcvd_tc_ack = false;
}

static void
enter_inactive(struct stp_branch *b)
{
	flush(b);
	b->tc_while = b->tc_again = 0;
	if (stp_is_cist(b))
		b->port->tc_ack = false;
}

static void
enter_active(struct stp_branch *b)
{
	count_change(b);
	new_tc_while(b);
	set_tc_prop_tree(b);
	stp_new_info(b);
}

static const struct {
	const char *name;
	unsigned int next;
	void (*enter)(struct stp_branch *);
} change_fsm[] = {
	[TCM_INACTIVE] = { "inactive", TO(TCM_LEARNING), enter_inactive },
	[TCM_LEARNING] = { "learning", TO(TCM_INACTIVE) | TO(TCM_ACTIVE),
	    forget_notices },
	[TCM_ACTIVE] = { "active", TO(TCM_LEARNING), enter_active },
};
static_assert(sizeof(change_fsm) / sizeof(change_fsm[0]) == TCM_NSTATES,
    "a state has no row");

static void
change_set(struct stp_branch *b, enum stp_change_state to)
{
	assert(change_fsm[b->tcm].next & TO(to));
	log_debug("%s: port %u, tree %u: changes %s -> %s", b->port->stp->name,
	    b->port->number, b->tree->id, change_fsm[b->tcm].name,
	    change_fsm[to].name);
	b->tcm = to;
	change_fsm[to].enter(b);
}

/* ---- moves ---- */

static bool
has_notices(const struct stp_branch *b)
{
	return b->rcvd_tc || b->tc_prop ||
	    (stp_is_cist(b) && (b->port->rcvd_tcn || b->port->rcvd_tc_ack));
}

static bool
step_learning(struct stp_branch *b)
{
	if (is_active_role(b) && b->forward && !b->port->oper_edge) {
		change_set(b, TCM_ACTIVE);
		return true;
	}
	if (has_notices(b)) {
		forget_notices(b);
		return true;
	}
	if (is_active_role(b) || b->learn || stp_is_learning(b))
		return false;
	change_set(b, TCM_INACTIVE);
	return true;
}

/* NOTIFIED_TCN and NOTIFIED_TC. */
static bool
notified(struct stp_branch *b)
{
	bool tcn = stp_is_cist(b) && b->port->rcvd_tcn;

	if (!tcn && !b->rcvd_tc)
		return false;
	count_change(b);
	if (tcn)
		new_tc_while(b);
	b->rcvd_tc = false;
	if (stp_is_cist(b)) {
		b->port->rcvd_tcn = false;
		if (b->role == STP_DESIGNATED)
			b->port->tc_ack = true;
	}
	set_tc_prop_tree(b);
	return true;
}

static bool
propagated(struct stp_branch *b)
{
	if (!b->tc_prop)
		return false;
	new_tc_while(b);
	flush(b);
	b->tc_prop = false;
	return true;
}

static bool
acknowledged(struct stp_branch *b)
{
	if (!stp_is_cist(b) || !b->port->rcvd_tc_ack)
		return false;
	b->tc_while = 0;
	b->port->rcvd_tc_ack = false;
	return true;
}

static bool
again(struct stp_branch *b)
{
	const struct stp *stp = b->port->stp;

	if (b->tc_again == 0 || stp_runs(stp, b->tc_again))
		return false;
	b->tc_again = 0;
	if (stp_runs(stp, b->tc_while))
		stp_new_info(b);
	return true;
}

bool
stp_change_step(struct stp_branch *b)
{
	switch (b->tcm) {
	case TCM_INACTIVE:
		if (!b->learn)
			return false;
		change_set(b, TCM_LEARNING);
		return true;
	case TCM_LEARNING: return step_learning(b);
	case TCM_ACTIVE:
		if (!is_active_role(b) || b->port->oper_edge) {
			change_set(b, TCM_LEARNING);
			return true;
		}
		return notified(b) || propagated(b) || acknowledged(b) ||
		    again(b);
	case TCM_NSTATES: break;
	}
	assert(!"a state of Topology Change");
	return false;
}

void
stp_change_begin(struct stp_branch *b)
{
	b->tcm = TCM_INACTIVE;
	forget_notices(b);
	enter_inactive(b);
}
