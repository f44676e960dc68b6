/*
 * How far a link is attached to its bond, with collecting and distributing
 * apart (IEEE 802.1AX-2014, 6.4.15, independent control):
 *
 *             selected,                2 s, all           partner
 *             standby                  of them            in sync
 *     DETACHED ------> WAITING ------------> ATTACHED ----------> COLLECTING
 *        ^  ^ unselected |                   |  ^  partner not in  |  ^ |
 *        |  '------------'  unselected,      |  |  sync, not       |  | |
 *        |                  standby          |  |  selected        |  | |
 *        '-----------------------------------'  '------------------'  | |
 *                        not collecting, not in sync, not selected    | |
 *                                                        DISTRIBUTING-' |
 *                                                             ^---------'
 *                                                        partner collects
 *
 * Links that are selected start together: each waits until no other is still
 * waiting, so that frames do not move once they flow.
 */
#include "switch/lacp_state.h"

#include <assert.h>

#include "base/log.h"

#define NITEMS(a)     (sizeof(a) / sizeof((a)[0]))
#define MUX_TO(state) (1u << MUX_##state)

static void
enter_detached(struct lacp_link *l, uint64_t now_ns)
{
	(void)now_ns;
	l->wait_while_ns = LACP_NEVER;
	lacp_put(
	    &l->actor, LACP_SYNC | LACP_COLLECTING | LACP_DISTRIBUTING, false);
	l->ntt = true;
}

static void
enter_waiting(struct lacp_link *l, uint64_t now_ns)
{
	l->wait_while_ns = now_ns + LACP_WAIT_S * LACP_NS_PER_S;
}

static void
enter_attached(struct lacp_link *l, uint64_t now_ns)
{
	(void)now_ns;
	l->wait_while_ns = LACP_NEVER;
	lacp_put(&l->actor, LACP_SYNC, true);
	lacp_put(&l->actor, LACP_COLLECTING | LACP_DISTRIBUTING, false);
	l->ntt = true;
}

static void
enter_collecting(struct lacp_link *l, uint64_t now_ns)
{
	(void)now_ns;
	lacp_put(&l->actor, LACP_COLLECTING, true);
	lacp_put(&l->actor, LACP_DISTRIBUTING, false);
	l->ntt = true;
}

static void
enter_distributing(struct lacp_link *l, uint64_t now_ns)
{
	(void)now_ns;
	lacp_put(&l->actor, LACP_DISTRIBUTING, true);
	l->ntt = true;
}

static const struct {
	const char *name;
	unsigned int next; /* states we may leave for */
	void (*enter)(struct lacp_link *l, uint64_t now_ns);
} mux_fsm[] = {
	[MUX_DETACHED] = { "detached", MUX_TO(WAITING), enter_detached },
	[MUX_WAITING] = { "waiting", MUX_TO(DETACHED) | MUX_TO(ATTACHED),
	    enter_waiting },
	[MUX_ATTACHED] = { "attached", MUX_TO(DETACHED) | MUX_TO(COLLECTING),
	    enter_attached },
	[MUX_COLLECTING] = { "collecting",
	    MUX_TO(ATTACHED) | MUX_TO(DISTRIBUTING), enter_collecting },
	[MUX_DISTRIBUTING] = { "distributing", MUX_TO(COLLECTING),
	    enter_distributing },
};
static_assert(NITEMS(mux_fsm) == MUX_NSTATES, "a state has no row");

const char *
lacp_mux_name(enum lacp_mux state)
{
	return mux_fsm[state].name;
}

static bool
mux_set(struct lacp_link *l, enum lacp_mux to, uint64_t now_ns)
{
	const uint8_t carries = LACP_COLLECTING | LACP_DISTRIBUTING;
	uint8_t before = l->actor.state & carries;

	assert(mux_fsm[l->mux].next & 1u << to);
	log_debug("lacp link %u: %s -> %s", l->index, mux_fsm[l->mux].name,
	    mux_fsm[to].name);
	l->mux = (uint8_t)to;
	mux_fsm[to].enter(l, now_ns);
	if ((l->actor.state & carries) != before)
		l->lacp->calls->mux(l->lacp->arg, l->index,
		    lacp_has(&l->actor, LACP_COLLECTING),
		    lacp_has(&l->actor, LACP_DISTRIBUTING));
	return true;
}

/* Has every link that waits waited long enough? */
static bool
all_ready(const struct lacp *lacp, uint64_t now_ns)
{
	for (unsigned int i = 0; i < lacp->nlinks; i++) {
		const struct lacp_link *l = &lacp->link[i];

		if (l->used && l->mux == MUX_WAITING &&
		    l->selected == LACP_SELECTED && now_ns < l->wait_while_ns)
			return false;
	}
	return true;
}

bool
lacp_mux_step(struct lacp_link *l, uint64_t now_ns)
{
	bool selected = l->selected == LACP_SELECTED;
	bool in_sync = selected && lacp_has(&l->partner, LACP_SYNC);

	switch ((enum lacp_mux)l->mux) {
	case MUX_DETACHED:
		return l->selected != LACP_UNSELECTED &&
		    mux_set(l, MUX_WAITING, now_ns);
	case MUX_WAITING:
		if (l->selected == LACP_UNSELECTED)
			return mux_set(l, MUX_DETACHED, now_ns);
		return selected && all_ready(l->lacp, now_ns) &&
		    mux_set(l, MUX_ATTACHED, now_ns);
	case MUX_ATTACHED:
		if (!selected)
			return mux_set(l, MUX_DETACHED, now_ns);
		return in_sync && mux_set(l, MUX_COLLECTING, now_ns);
	case MUX_COLLECTING:
		if (!in_sync)
			return mux_set(l, MUX_ATTACHED, now_ns);
		return lacp_has(&l->partner, LACP_COLLECTING) &&
		    mux_set(l, MUX_DISTRIBUTING, now_ns);
	case MUX_DISTRIBUTING:
		return (!in_sync || !lacp_has(&l->partner, LACP_COLLECTING)) &&
		    mux_set(l, MUX_COLLECTING, now_ns);
	case MUX_NSTATES: assert(false);
	}
	return false;
}
