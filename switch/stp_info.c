/*
 * Port Information (17.27): whose information is a port's, and how good it is.
 * One for each port and tree.
 *
 *          link down                    link up
 *    any ------------> DISABLED ----------------------> AGED
 *                                                      |    ^
 *                    a role was selected that asks for |    | rcvd_info_while
 *                    our own information [update]      |    | ran out
 *                                                      v    |
 *              .-------------------------------------> CURRENT
 *              '-- a message [receive], or [update] --'
 *
 * The standard draws [update] and [receive] as states that are left at once:
 * UPDATE, RECEIVE, and one of SUPERIOR_DESIGNATED, REPEATED_DESIGNATED,
 * INFERIOR_DESIGNATED, NOT_DESIGNATED and OTHER.
 *
 * A BPDU from beyond the region tells all instances what it tells the CIST
 * (802.1Q-2018, 13.29): so the CIST's port writes into the instances' here.
 */
#include "switch/stp_state.h"

#include <assert.h>

#include "base/log.h"

/* What a message is, beside what the port knows (rcvInfo, 17.21.8). */
enum info {
	SUPERIOR_DESIGNATED,
	REPEATED_DESIGNATED,
	INFERIOR_DESIGNATED,
	NOT_DESIGNATED, /* of a Root, Alternate or Backup Port, and no better */
	OWN,            /* it came back to where it was sent from */
	OTHER,
};

static void
enter_disabled(struct stp_branch *b)
{
	b->rcvd_msg = false;
	b->proposing = b->proposed = b->agree = b->agreed = false;
	b->disputed = false;
	b->rcvd_info_while = 0;
	b->info_is = STP_INFO_DISABLED;
	stp_reselect(b);
}

static void
enter_aged(struct stp_branch *b)
{
	b->info_is = STP_AGED;
	stp_reselect(b);
}

static void
enter_current(struct stp_branch *b)
{
	(void)b;
}

static const struct {
	const char *name;
	unsigned int next;
	void (*enter)(struct stp_branch *);
} info_fsm[] = {
	[PIM_DISABLED] = { "disabled", TO(PIM_AGED), enter_disabled },
	[PIM_AGED] = { "aged", TO(PIM_DISABLED) | TO(PIM_CURRENT), enter_aged },
	[PIM_CURRENT] = { "current", TO(PIM_DISABLED) | TO(PIM_AGED),
	    enter_current },
};
static_assert(sizeof(info_fsm) / sizeof(info_fsm[0]) == PIM_NSTATES,
    "a state has no row");

static void
info_set(struct stp_branch *b, enum stp_info_state to)
{
	assert(info_fsm[b->pim].next & TO(to));
	log_debug("%s: port %u, tree %u: information %s -> %s",
	    b->port->stp->name, b->port->number, b->tree->id,
	    info_fsm[b->pim].name, info_fsm[to].name);
	b->pim = to;
	info_fsm[to].enter(b);
}

/* ---- a message ---- */

static uint8_t
flags_of(const struct stp_branch *b)
{
	return stp_is_cist(b) ? b->port->bpdu->flags : b->msg->flags;
}

/* A Configuration BPDU is a Designated Port's, and so is an RST BPDU that does
 * not say (9.2.9). */
static uint8_t
role_of(const struct stp_branch *b)
{
	uint8_t role = flags_of(b) & BPDU_ROLE;

	if (!stp_is_cist(b) || b->port->bpdu->version == BPDU_MSTP)
		return role;
	if (b->port->bpdu->type == BPDU_TYPE_CONFIG ||
	    role == BPDU_ROLE_UNKNOWN)
		return BPDU_ROLE_DESIGNATED;
	return role;
}

static enum info
compare_message(const struct stp_branch *b)
{
	int order = stp_vector_cmp(&b->msg_priority, &b->port_priority);
	uint8_t role = role_of(b);

	if (stp_vector_same_port(&b->msg_priority, &b->designated_priority))
		return OWN;
	if (role == BPDU_ROLE_UNKNOWN)
		return OTHER;
	if (role != BPDU_ROLE_DESIGNATED)
		return order >= 0 ? NOT_DESIGNATED : OTHER;
	if (order == 0 &&
	    stp_times_same(stp_is_cist(b), &b->msg_times, &b->port_times))
		return b->info_is == STP_RECEIVED ? REPEATED_DESIGNATED
						  : INFERIOR_DESIGNATED;
	if (order <= 0 ||
	    stp_vector_same_port(&b->msg_priority, &b->port_priority))
		return SUPERIOR_DESIGNATED;
	return INFERIOR_DESIGNATED;
}

/* Instances learn what the CIST does at the region's boundary. */
static bool
is_for_all(const struct stp_branch *b)
{
	return stp_is_cist(b) && !b->port->rcvd_internal;
}

static void
record_proposal(struct stp_branch *b)
{
	struct stp_branch *other;

	if (flags_of(b) & BPDU_PROPOSAL)
		b->proposed = true;
	if (!is_for_all(b))
		return;
	STP_EACH_BRANCH(b->port, other)
	other->proposed = b->proposed;
}

/* It knows what we told last, and is of the same root: an agreement to what we
 * told before may come while something else is on its way, or is held back. */
static bool
is_answer(const struct stp_branch *b)
{
	const struct stp_vector *own = &b->port_priority;

	if (stp_is_cist(b))
		return b->msg_priority.root == own->root && !b->port->new_info;
	return b->msg_priority.regional_root == own->regional_root &&
	    !b->port->new_info_msti;
}

/* An instance believes in an agreement only where both sides agree on how the
 * region reaches the root (802.1Q-2018, 13.29). */
static bool
is_agreement(const struct stp_branch *b)
{
	const struct stp_vector *cist = &stp_cist(b)->port_priority;
	const struct bpdu *bpdu = b->port->bpdu;

	if (!(flags_of(b) & BPDU_AGREEMENT) ||
	    !b->port->options.point_to_point || !stp_rstp_version(b->port->stp))
		return false;
	if (role_of(b) != BPDU_ROLE_DESIGNATED && !is_answer(b))
		return false;
	return stp_is_cist(b) ||
	    (bpdu->root == cist->root &&
		bpdu->external_cost == cist->external_cost &&
		bpdu->bridge == cist->regional_root);
}

static void
record_agreement(struct stp_branch *b)
{
	struct stp_branch *other;

	b->agreed = is_agreement(b);
	if (b->agreed)
		b->proposing = false;
	if (!is_for_all(b))
		return;
	STP_EACH_BRANCH(b->port, other)
	{
		other->agreed = b->agreed;
		other->proposing = b->proposing;
	}
}

static void
dispute(struct stp_branch *b)
{
	b->disputed = true;
	b->agreed = false;
}

static void
record_dispute(struct stp_branch *b)
{
	struct stp_branch *other;

	dispute(b);
	if (!is_for_all(b))
		return;
	STP_EACH_BRANCH(b->port, other)
	dispute(other);
}

static void
record_mastered(struct stp_branch *b)
{
	struct stp_branch *other;

	if (!stp_is_cist(b))
		b->mastered = b->port->options.point_to_point &&
		    (b->msg->flags & BPDU_MASTER);
	else if (!b->port->rcvd_internal)
		STP_EACH_BRANCH(b->port, other)
	other->mastered = false;
}

static void
set_tc_flags(struct stp_branch *b)
{
	uint8_t flags = flags_of(b);
	struct stp_branch *other;

	if (stp_is_cist(b) && (flags & BPDU_TC_ACK))
		b->port->rcvd_tc_ack = true;
	if (!(flags & BPDU_TC))
		return;
	b->rcvd_tc = true;
	if (is_for_all(b))
		STP_EACH_BRANCH(b->port, other)
	other->rcvd_tc = true;
}

/* Information lives for three hellos, and no longer than its age or its hops
 * allow (updtRcvdInfoWhile, 17.21.23). */
static void
update_rcvd_info_while(struct stp_branch *b)
{
	const struct stp_times *cist = &stp_cist(b)->port_times;
	bool lives = b->port->info_internal
	    ? b->port_times.hops > 1
	    : cist->message_age_s + 1 <= cist->max_age_s;

	b->rcvd_info_while =
	    lives ? stp_in_s(b->port->stp, 3u * cist->hello_s) : 0;
}

static bool
better_or_same_info(const struct stp_branch *b, enum stp_info_is by)
{
	const struct stp_vector *v =
	    by == STP_RECEIVED ? &b->msg_priority : &b->designated_priority;

	return b->info_is == by && stp_vector_cmp(v, &b->port_priority) <= 0;
}

static void
superior(struct stp_branch *b)
{
	b->port->info_internal = b->port->rcvd_internal;
	b->agreed = b->proposing = b->disputed = false;
	record_proposal(b);
	set_tc_flags(b);
	b->agree = b->agree && better_or_same_info(b, STP_RECEIVED);
	record_agreement(b);
	b->synced = b->synced && b->agreed;
	b->port_priority = b->msg_priority;
	b->port_times = b->msg_times;
	update_rcvd_info_while(b);
	b->info_is = STP_RECEIVED;
	stp_reselect(b);
}

static void
repeated(struct stp_branch *b)
{
	b->port->info_internal = b->port->rcvd_internal;
	record_proposal(b);
	set_tc_flags(b);
	record_agreement(b);
	update_rcvd_info_while(b);
}

static void
receive_tcn(struct stp_branch *b)
{
	struct stp_branch *other;

	b->port->rcvd_tcn = true;
	STP_EACH_BRANCH(b->port, other)
	other->rcvd_tc = !stp_is_cist(other);
}

static void
receive(struct stp_branch *b)
{
	b->rcvd_msg = false;
	if (b->port->bpdu->type == BPDU_TYPE_TCN) {
		receive_tcn(b);
		return;
	}
	stp_read_message(b, b->port->bpdu);
	record_mastered(b);
	switch (compare_message(b)) {
	case SUPERIOR_DESIGNATED: superior(b); break;
	case REPEATED_DESIGNATED: repeated(b); break;
	case INFERIOR_DESIGNATED:
		/* It learns: our BPDUs, which are better, do not reach it. */
		if (flags_of(b) & BPDU_LEARNING)
			record_dispute(b);
		break;
	/* Neither standard sees a port that is looped to itself; a dispute
	 * keeps it from learning. */
	case OWN: record_dispute(b); break;
	case NOT_DESIGNATED:
		record_agreement(b);
		set_tc_flags(b);
		break;
	case OTHER: break;
	}
}

/* ---- our own ---- */

/* What was agreed to under another root is agreed anew. */
static bool
has_same_root(const struct stp_branch *b)
{
	return b->designated_priority.root == b->port_priority.root &&
	    b->designated_priority.regional_root ==
	    b->port_priority.regional_root;
}

static void
update(struct stp_branch *b)
{
	b->proposing = b->proposed = false;
	b->agreed =
	    b->agreed && better_or_same_info(b, STP_MINE) && has_same_root(b);
	b->synced = b->synced && b->agreed;
	b->port_priority = b->designated_priority;
	b->port_times = b->designated_times;
	b->updt_info = false;
	b->info_is = STP_MINE;
	stp_new_info(b);
}

/* ---- moves ---- */

static bool
step_current(struct stp_branch *b)
{
	const struct stp_branch *cist = stp_cist(b);

	if (b->selected && b->updt_info) {
		update(b);
		return true;
	}
	/* An instance waits until the CIST has read the same BPDU. */
	if (b->rcvd_msg && !b->updt_info && !cist->updt_info &&
	    (stp_is_cist(b) || !cist->rcvd_msg)) {
		receive(b);
		return true;
	}
	if (b->info_is == STP_RECEIVED && !b->updt_info && !b->rcvd_msg &&
	    !stp_runs(b->port->stp, b->rcvd_info_while)) {
		info_set(b, PIM_AGED);
		return true;
	}
	return false;
}

bool
stp_info_step(struct stp_branch *b)
{
	if (!b->port->enabled && b->pim != PIM_DISABLED) {
		info_set(b, PIM_DISABLED);
		return true;
	}
	switch (b->pim) {
	case PIM_DISABLED:
		if (!b->port->enabled)
			return false;
		info_set(b, PIM_AGED);
		return true;
	case PIM_AGED:
		if (!b->selected || !b->updt_info)
			return false;
		info_set(b, PIM_CURRENT);
		update(b);
		return true;
	case PIM_CURRENT: return step_current(b);
	case PIM_NSTATES: break;
	}
	assert(!"a state of Port Information");
	return false;
}

void
stp_info_begin(struct stp_branch *b)
{
	b->pim = PIM_DISABLED;
	enter_disabled(b);
}
