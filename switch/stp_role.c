/*
 * Port Role Transitions (17.29): what a port may do in its role, and the
 * handshake by which it may at once.  One for each port and tree.
 *
 *    INIT_PORT ---> DISABLE_PORT --- no longer learning ---> DISABLED_PORT
 *                         ^
 *    selected_role is     |   Disabled
 *    another, and settled:|
 *                         +-> ROOT_PORT
 *                any -----+-> DESIGNATED_PORT
 *                         +-> MASTER_PORT
 *                         '-> BLOCK_PORT --- no longer ---> ALTERNATE_PORT
 *                                            learning       (Backup too)
 *
 * In its state a port acts until nothing is left to do.  The standard draws the
 * acts as states that return at once: ROOT_PROPOSED and so on.  Here they are
 * functions of those names, tried in the order of their pages.
 *
 * How the handshake goes:
 *
 *    Designated Port                 Root or Alternate Port
 *      propose ------ proposal ------> proposed: sync all others,
 *                                      which discard or are edges
 *      agreed <------ agreement ------ agreed: all others are synced
 *      learn, forward
 *
 * When a root is lost, what was known of it may go round for a while, and the
 * standard's machines open loops then, for as long as the hold count keeps back
 * what would close them: seconds.  So we are stricter, where both sides can
 * shake hands; no BPDU is different:
 *
 * - An agreement counts if it is of the root that we told, and nothing newer
 *   waits to be told (stp_info.c).
 * - What a neighbour agreed to under another root has to be agreed anew
 *   (stp_info.c).
 * - A Root Port that becomes Designated discards until it is agreed with.
 * - A new Root Port opens when Designated Ports that nobody agrees with any
 *   more have begun to discard.
 *
 * What is left is an agreement that crosses two changes of mind on its way: a
 * loop that lives no longer than a BPDU's flight.  BPDUs would have to be
 * numbered to exclude that.  And in instances, where several regions meet, a
 * port's agreement says nothing of the way by which its region is left: there
 * a loop may live until the next hello.
 */
#include "switch/stp_state.h"

#include <assert.h>

#include "base/log.h"

/* ---- what is true of the other ports of the tree ---- */

static void
set_sync_tree(struct stp_branch *b)
{
	struct stp_port *p;

	STP_EACH_PORT(b->port->stp, p)
	p->branch[b->tree->index].sync = true;
}

static void
set_re_root_tree(struct stp_branch *b)
{
	struct stp_port *p;

	STP_EACH_PORT(b->port->stp, p)
	p->branch[b->tree->index].re_root = true;
}

/* Does b have to wait for other (17.20.3; 802.1Q-2018, 13.28)? */
static bool
waits_for(const struct stp_branch *b, const struct stp_branch *other)
{
	if (!stp_is_settled(other) || other->role != other->selected_role)
		return true;
	switch (b->role) {
	case STP_ROOT:
	case STP_ALTERNATE: return other->role != STP_ROOT && !other->synced;
	case STP_DESIGNATED:
	case STP_MASTER: return other != b && !other->synced;
	case STP_DISABLED:
	case STP_BACKUP:
	case STP_NROLES: break;
	}
	return true;
}

static bool
all_synced(const struct stp_branch *b)
{
	struct stp_port *p;

	STP_EACH_PORT(b->port->stp, p)
	if (waits_for(b, &p->branch[b->tree->index]))
		return false;
	return true;
}

/* No other port was the Root Port of late (17.20.10). */
static bool
re_rooted(const struct stp_branch *b)
{
	const struct stp *stp = b->port->stp;
	struct stp_port *p;

	STP_EACH_PORT(stp, p)
	if (p != b->port && stp_runs(stp, p->branch[b->tree->index].rr_while))
		return false;
	return true;
}

/* ---- states ---- */

/* A port that leaves a state lets the timers go that the state held. */
static void
release_timers(struct stp_branch *b)
{
	const struct stp *stp = b->port->stp;

	stp_release(stp, &b->rr_while, stp_fwd_delay_s(b));
	stp_release(stp, &b->rb_while, 2 * stp_hello_s(b));
	stp_release(stp, &b->fd_while,
	    b->role == STP_DISABLED ? stp_max_age_s(b)
				    : stp_forward_delay_s(b));
}

static void
enter_disable_port(struct stp_branch *b)
{
	release_timers(b);
	b->role = STP_DISABLED;
	b->learn = b->forward = false;
}

static void
enter_disabled_port(struct stp_branch *b)
{
	b->fd_while = STP_HELD;
	b->rr_while = 0;
	b->synced = true;
	b->sync = b->re_root = false;
}

static void
enter_root_port(struct stp_branch *b)
{
	release_timers(b);
	b->role = STP_ROOT;
	b->rr_while = STP_HELD;
}

/* Can be asked to agree. */
static bool
shakes_hands(const struct stp_port *p)
{
	return p->send_rstp && p->options.point_to_point;
}

/* A Root Port agreed to what its neighbour told: it takes that back. */
static void
enter_designated_port(struct stp_branch *b)
{
	bool takes_back = b->role == STP_ROOT && shakes_hands(b->port);

	release_timers(b);
	b->role = STP_DESIGNATED;
	if (!takes_back || !b->learn)
		return;
	b->learn = b->forward = false;
	b->fd_while = stp_in_s(b->port->stp, stp_forward_delay_s(b));
}

static void
enter_master_port(struct stp_branch *b)
{
	release_timers(b);
	b->role = STP_MASTER;
}

static void
enter_block_port(struct stp_branch *b)
{
	release_timers(b);
	b->role = b->selected_role;
	b->learn = b->forward = false;
}

static void
enter_alternate_port(struct stp_branch *b)
{
	b->fd_while = STP_HELD;
	b->rb_while = b->role == STP_BACKUP ? STP_HELD : b->rb_while;
	b->rr_while = 0;
	b->synced = true;
	b->sync = b->re_root = false;
}

/* Where a change of role leads to. */
#define TO_ROLES                                                          \
	(TO(PRT_DISABLE_PORT) | TO(PRT_ROOT_PORT) | TO(PRT_MASTER_PORT) | \
	    TO(PRT_DESIGNATED_PORT) | TO(PRT_BLOCK_PORT))

static const struct {
	const char *name;
	unsigned int next;
	void (*enter)(struct stp_branch *);
} role_fsm[] = {
	[PRT_INIT_PORT] = { "init", TO(PRT_DISABLE_PORT), NULL },
	[PRT_DISABLE_PORT] = { "disable", TO_ROLES | TO(PRT_DISABLED_PORT),
	    enter_disable_port },
	[PRT_DISABLED_PORT] = { "disabled", TO_ROLES, enter_disabled_port },
	[PRT_ROOT_PORT] = { "root", TO_ROLES, enter_root_port },
	[PRT_DESIGNATED_PORT] = { "designated", TO_ROLES,
	    enter_designated_port },
	[PRT_MASTER_PORT] = { "master", TO_ROLES, enter_master_port },
	[PRT_BLOCK_PORT] = { "block", TO_ROLES | TO(PRT_ALTERNATE_PORT),
	    enter_block_port },
	[PRT_ALTERNATE_PORT] = { "alternate", TO_ROLES, enter_alternate_port },
};
static_assert(sizeof(role_fsm) / sizeof(role_fsm[0]) == PRT_NSTATES,
    "a state has no row");

static void
role_set(struct stp_branch *b, enum stp_role_state to)
{
	assert(role_fsm[b->prt].next & TO(to));
	log_debug("%s: port %u, tree %u: role %s -> %s", b->port->stp->name,
	    b->port->number, b->tree->id, role_fsm[b->prt].name,
	    role_fsm[to].name);
	b->prt = to;
	role_fsm[to].enter(b);
}

/* ---- acts that several states have ---- */

static bool
proposed(struct stp_branch *b)
{
	if (!b->proposed || b->agree)
		return false;
	set_sync_tree(b);
	b->proposed = false;
	return true;
}

static bool
agreed(struct stp_branch *b)
{
	if (b->agree ? !b->proposed : !all_synced(b))
		return false;
	b->proposed = false;
	if (b->role != STP_ALTERNATE && b->role != STP_BACKUP)
		b->sync = false;
	b->agree = true;
	stp_new_info(b);
	return true;
}

static bool
retired(struct stp_branch *b)
{
	if (!b->re_root || stp_runs(b->port->stp, b->rr_while))
		return false;
	b->re_root = false;
	return true;
}

/* Of a Designated or Master Port. */
static bool
synced(struct stp_branch *b)
{
	bool now = stp_is_learning(b) ? b->agreed || b->port->oper_edge : true;

	if (!(now && !b->synced) && !(b->sync && b->synced))
		return false;
	b->rr_while = 0;
	b->synced = true;
	b->sync = false;
	return true;
}

/* Where the region ends, an instance forwards no more than the CIST does:
 * beyond it there is one tree for all. */
static bool
is_at_boundary(const struct stp_branch *b)
{
	return !stp_is_cist(b) && !b->port->rcvd_internal;
}

static bool
learns(struct stp_branch *b)
{
	if (b->learn || (is_at_boundary(b) && !stp_cist(b)->learn))
		return false;
	b->learn = true;
	b->fd_while = stp_in_s(b->port->stp, stp_forward_delay_s(b));
	return true;
}

static bool
forwards(struct stp_branch *b)
{
	if (!b->learn || b->forward ||
	    (is_at_boundary(b) && !stp_cist(b)->forward))
		return false;
	b->forward = true;
	b->fd_while = 0;
	return true;
}

/* Of a Designated or Master Port. */
static bool
opens(struct stp_branch *b)
{
	if (learns(b))
		return true;
	if (!forwards(b))
		return false;
	b->agreed = b->port->send_rstp;
	return true;
}

static bool
follows_cist(struct stp_branch *b)
{
	if (!b->learn || !is_at_boundary(b) || stp_cist(b)->learn)
		return false;
	b->learn = b->forward = false;
	b->fd_while = stp_in_s(b->port->stp, stp_forward_delay_s(b));
	return true;
}

/* Of a Designated or Master Port. */
static bool
discards(struct stp_branch *b)
{
	bool must = (b->sync && !b->synced) ||
	    (b->re_root && stp_runs(b->port->stp, b->rr_while)) || b->disputed;

	if (!must || b->port->oper_edge || !(b->learn || b->forward))
		return false;
	b->learn = b->forward = b->disputed = false;
	b->fd_while = stp_in_s(b->port->stp, stp_forward_delay_s(b));
	return true;
}

/* ---- Root Port ---- */

static bool
root_synced(struct stp_branch *b)
{
	if (!(b->agreed && !b->synced) && !(b->sync && b->synced))
		return false;
	b->synced = true;
	b->sync = false;
	return true;
}

static bool
re_root(struct stp_branch *b)
{
	if (b->forward || b->re_root)
		return false;
	set_re_root_tree(b);
	return true;
}

/* May still forward by what it told before, which holds no more. */
static bool
is_doubtful(const struct stp_branch *b)
{
	const struct stp_port *p = b->port;

	return b->role == STP_DESIGNATED && !b->synced && shakes_hands(p) &&
	    !p->oper_edge;
}

/* Has every doubtful port of the tree discard.  False: there is none. */
static bool
sync_doubtful(struct stp_branch *b, bool *asked)
{
	struct stp_port *p;
	bool any = false;

	*asked = false;
	STP_EACH_PORT(b->port->stp, p)
	{
		struct stp_branch *other = &p->branch[b->tree->index];

		if (other == b || !is_doubtful(other))
			continue;
		any = true;
		*asked |= !other->sync;
		other->sync = true;
	}
	return any;
}

static bool
root_opens(struct stp_branch *b)
{
	const struct stp *stp = b->port->stp;
	bool asked;

	if (b->forward)
		return false;
	if (stp_runs(stp, b->fd_while)) {
		if (!stp_rstp_version(stp) || stp_runs(stp, b->rb_while) ||
		    !re_rooted(b))
			return false;
		if (!b->learn && sync_doubtful(b, &asked))
			return asked;
	}
	return learns(b) || forwards(b);
}

static bool
re_rooted_now(struct stp_branch *b)
{
	if (!b->re_root || !b->forward)
		return false;
	b->re_root = false;
	return true;
}

static bool
act_as_root(struct stp_branch *b)
{
	return proposed(b) || agreed(b) || root_synced(b) || re_root(b) ||
	    root_opens(b) || re_rooted_now(b);
}

/* ---- Designated Port ---- */

static bool
propose(struct stp_branch *b)
{
	struct stp_port *p = b->port;

	if (b->forward || b->agreed || b->proposing || p->oper_edge)
		return false;
	b->proposing = true;
	p->edge_delay_while = stp_in_s(p->stp,
	    p->options.point_to_point ? STP_MIGRATE_S : stp_max_age_s(b));
	stp_new_info(b);
	return true;
}

/* Two Designated Ports of a region agree on its instances. */
static bool
designated_agreed(struct stp_branch *b)
{
	if (b->port->stp->options.mode != STP_MODE_MSTP ||
	    (b->agree && !b->proposed) || !all_synced(b))
		return false;
	b->proposed = b->sync = false;
	b->agree = true;
	stp_new_info(b);
	return true;
}

static bool
designated_opens(struct stp_branch *b)
{
	const struct stp *stp = b->port->stp;

	if (b->forward || b->sync ||
	    (stp_runs(stp, b->fd_while) && !b->agreed && !b->port->oper_edge) ||
	    (b->re_root && stp_runs(stp, b->rr_while)))
		return false;
	return opens(b);
}

static bool
act_as_designated(struct stp_branch *b)
{
	return follows_cist(b) || propose(b) || synced(b) || retired(b) ||
	    designated_agreed(b) || designated_opens(b) || discards(b);
}

/* ---- Master Port (802.1Q-2018, 13.36) ---- */

static bool
master_opens(struct stp_branch *b)
{
	if (b->forward ||
	    (stp_runs(b->port->stp, b->fd_while) && !all_synced(b)))
		return false;
	return opens(b);
}

static bool
act_as_master(struct stp_branch *b)
{
	return follows_cist(b) || retired(b) || synced(b) || agreed(b) ||
	    proposed(b) || master_opens(b) || discards(b);
}

/* ---- Disabled, Alternate and Backup Port ---- */

static bool
act_as_disabled(struct stp_branch *b)
{
	if (!b->sync && !b->re_root && b->synced && b->fd_while == STP_HELD)
		return false;
	enter_disabled_port(b);
	return true;
}

static bool
rests(struct stp_branch *b)
{
	if (b->fd_while == STP_HELD && !b->sync && !b->re_root && b->synced &&
	    (b->role != STP_BACKUP || b->rb_while == STP_HELD))
		return false;
	enter_alternate_port(b);
	return true;
}

static bool
act_as_alternate(struct stp_branch *b)
{
	return proposed(b) || agreed(b) || rests(b);
}

/* ---- moves ---- */

static enum stp_role_state
state_of(enum stp_role role)
{
	switch (role) {
	case STP_DISABLED: return PRT_DISABLE_PORT;
	case STP_ROOT: return PRT_ROOT_PORT;
	case STP_DESIGNATED: return PRT_DESIGNATED_PORT;
	case STP_ALTERNATE:
	case STP_BACKUP: return PRT_BLOCK_PORT;
	case STP_MASTER: return PRT_MASTER_PORT;
	case STP_NROLES: break;
	}
	assert(!"a role");
	return PRT_DISABLE_PORT;
}

static bool
stop(struct stp_branch *b, enum stp_role_state then)
{
	if (stp_is_learning(b))
		return false;
	role_set(b, then);
	return true;
}

bool
stp_role_step(struct stp_branch *b)
{
	if (b->prt == PRT_INIT_PORT) {
		role_set(b, PRT_DISABLE_PORT);
		return true;
	}
	if (!stp_is_settled(b))
		return false;
	if (b->selected_role != b->role) {
		role_set(b, state_of(b->selected_role));
		return true;
	}
	switch (b->prt) {
	case PRT_DISABLE_PORT: return stop(b, PRT_DISABLED_PORT);
	case PRT_BLOCK_PORT: return stop(b, PRT_ALTERNATE_PORT);
	case PRT_DISABLED_PORT: return act_as_disabled(b);
	case PRT_ROOT_PORT: return act_as_root(b);
	case PRT_DESIGNATED_PORT: return act_as_designated(b);
	case PRT_MASTER_PORT: return act_as_master(b);
	case PRT_ALTERNATE_PORT: return act_as_alternate(b);
	case PRT_INIT_PORT:
	case PRT_NSTATES: break;
	}
	assert(!"a state of Port Role Transitions");
	return false;
}

void
stp_role_begin(struct stp_branch *b)
{
	const struct stp *stp = b->port->stp;

	b->prt = PRT_INIT_PORT;
	b->role = STP_DISABLED;
	b->learn = b->forward = b->synced = false;
	b->sync = b->re_root = true;
	b->rr_while = stp_in_s(stp, stp->bridge_times.forward_delay_s);
	b->fd_while = stp_in_s(stp, stp->bridge_times.max_age_s);
	b->rb_while = 0;
}
