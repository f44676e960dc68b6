/*
 * When a link speaks (IEEE 802.1AX-2014, 6.4.13):
 *
 *      any --link down, or both passive--> NONE
 *
 *                           partner wants it slow
 *      NONE --> FAST <-------------------------------> SLOW
 *               ^ |         partner wants it fast      | ^
 *               | | 1 s                      30 s, or  | |
 *               | v                     wants it fast  v |
 *               '----------------- TX -------------------'
 *
 * (From SLOW a wish for fast goes by TX: the partner hears at once.)
 *
 * and whether it settles, for each of the two ends (6.4.17):
 *
 *      MONITOR --in sync--> NONE        MONITOR --60 s--> FOUND
 *         ^------no more-----'  <-----------in sync---------'
 */
#include "switch/lacp_state.h"

#include <assert.h>

#include "base/log.h"

#define NITEMS(a)   (sizeof(a) / sizeof((a)[0]))
#define P_TO(state) (1u << PERIODIC_##state)
#define C_TO(state) (1u << CHURN_##state)

/* ---- periodic transmission ---- */

static void
enter_none(struct lacp_link *l, uint64_t now_ns)
{
	(void)now_ns;
	l->periodic_ns = LACP_NEVER;
}

static void
enter_fast(struct lacp_link *l, uint64_t now_ns)
{
	l->periodic_ns = now_ns + LACP_FAST_S * LACP_NS_PER_S;
}

static void
enter_slow(struct lacp_link *l, uint64_t now_ns)
{
	l->periodic_ns = now_ns + LACP_SLOW_S * LACP_NS_PER_S;
}

static void
enter_tx(struct lacp_link *l, uint64_t now_ns)
{
	(void)now_ns;
	l->ntt = true;
}

static const struct {
	const char *name;
	unsigned int next; /* states we may leave for */
	void (*enter)(struct lacp_link *l, uint64_t now_ns);
} periodic_fsm[] = {
	[PERIODIC_NONE] = { "none", P_TO(FAST), enter_none },
	[PERIODIC_FAST] = { "fast", P_TO(NONE) | P_TO(SLOW) | P_TO(TX),
	    enter_fast },
	[PERIODIC_SLOW] = { "slow", P_TO(NONE) | P_TO(TX), enter_slow },
	[PERIODIC_TX] = { "sending", P_TO(NONE) | P_TO(FAST) | P_TO(SLOW),
	    enter_tx },
};
static_assert(NITEMS(periodic_fsm) == PERIODIC_NSTATES, "a state has no row");

const char *
lacp_periodic_name(enum lacp_periodic state)
{
	return periodic_fsm[state].name;
}

static bool
periodic_set(struct lacp_link *l, enum lacp_periodic to, uint64_t now_ns)
{
	assert(periodic_fsm[l->periodic].next & 1u << to);
	l->periodic = (uint8_t)to;
	periodic_fsm[to].enter(l, now_ns);
	return true;
}

static bool
speaks(const struct lacp_link *l)
{
	return l->up &&
	    (lacp_has(&l->actor, LACP_ACTIVE) ||
		lacp_has(&l->partner, LACP_ACTIVE));
}

bool
lacp_periodic_step(struct lacp_link *l, uint64_t now_ns)
{
	bool fast = lacp_has(&l->partner, LACP_SHORT_TIMEOUT);
	bool due = now_ns >= l->periodic_ns;

	if (!speaks(l))
		return l->periodic != PERIODIC_NONE &&
		    periodic_set(l, PERIODIC_NONE, now_ns);
	switch ((enum lacp_periodic)l->periodic) {
	case PERIODIC_NONE: return periodic_set(l, PERIODIC_FAST, now_ns);
	case PERIODIC_FAST:
		if (due)
			return periodic_set(l, PERIODIC_TX, now_ns);
		return !fast && periodic_set(l, PERIODIC_SLOW, now_ns);
	case PERIODIC_SLOW:
		return (due || fast) && periodic_set(l, PERIODIC_TX, now_ns);
	case PERIODIC_TX:
		return periodic_set(
		    l, fast ? PERIODIC_FAST : PERIODIC_SLOW, now_ns);
	case PERIODIC_NSTATES: assert(false);
	}
	return false;
}

/* ---- transmission ---- */

uint64_t
lacp_may_send_ns(const struct lacp_link *l)
{
	if (l->sent < NITEMS(l->sent_ns))
		return 0;
	return l->sent_ns[l->sent % NITEMS(l->sent_ns)] +
	    LACP_FAST_S * LACP_NS_PER_S;
}

void
lacp_transmit(struct lacp_link *l, uint64_t now_ns)
{
	struct slow pdu = { .kind = SLOW_LACP,
		.lacp = { .actor = l->actor, .partner = l->partner } };

	l->ntt = false;
	if (l->periodic == PERIODIC_NONE)
		return; /* nobody wants to hear it */
	l->sent_ns[l->sent % NITEMS(l->sent_ns)] = now_ns;
	l->sent++;
	l->out++;
	l->lacp->calls->send(l->lacp->arg, l->index, &pdu);
}

/* ---- churn ---- */

static void
enter_monitor(struct lacp_churner *c, uint64_t now_ns)
{
	c->at_ns = now_ns + LACP_CHURN_S * LACP_NS_PER_S;
}

static void
enter_decided(struct lacp_churner *c, uint64_t now_ns)
{
	(void)now_ns;
	c->at_ns = LACP_NEVER;
}

static const struct {
	unsigned int next; /* states we may leave for */
	void (*enter)(struct lacp_churner *c, uint64_t now_ns);
} churn_fsm[] = {
	[CHURN_MONITOR] = { C_TO(NONE) | C_TO(FOUND), enter_monitor },
	[CHURN_NONE] = { C_TO(MONITOR), enter_decided },
	[CHURN_FOUND] = { C_TO(NONE) | C_TO(MONITOR), enter_decided },
};
static_assert(NITEMS(churn_fsm) == CHURN_NSTATES, "a state has no row");

static bool
churn_set(struct lacp_churner *c, enum lacp_churn to, uint64_t now_ns)
{
	assert(churn_fsm[c->state].next & 1u << to);
	c->state = (uint8_t)to;
	churn_fsm[to].enter(c, now_ns);
	return true;
}

static bool
churn_one(struct lacp_churner *c, bool up, bool in_sync, uint64_t now_ns)
{
	switch ((enum lacp_churn)c->state) {
	case CHURN_MONITOR:
		if (!up) {
			c->at_ns = LACP_NEVER;
			return false;
		}
		if (c->at_ns == LACP_NEVER)
			enter_monitor(c, now_ns);
		if (in_sync)
			return churn_set(c, CHURN_NONE, now_ns);
		return now_ns >= c->at_ns && churn_set(c, CHURN_FOUND, now_ns);
	case CHURN_NONE:
		return (!up || !in_sync) && churn_set(c, CHURN_MONITOR, now_ns);
	case CHURN_FOUND:
		if (!up)
			return churn_set(c, CHURN_MONITOR, now_ns);
		return in_sync && churn_set(c, CHURN_NONE, now_ns);
	case CHURN_NSTATES: assert(false);
	}
	return false;
}

void
lacp_churn_begin(struct lacp_link *l)
{
	l->actor_churn.state = l->partner_churn.state = CHURN_MONITOR;
	l->actor_churn.at_ns = l->partner_churn.at_ns = LACP_NEVER;
}

bool
lacp_churn_step(struct lacp_link *l, uint64_t now_ns)
{
	bool moved = churn_one(
	    &l->actor_churn, l->up, lacp_has(&l->actor, LACP_SYNC), now_ns);

	return churn_one(&l->partner_churn, l->up,
		   lacp_has(&l->partner, LACP_SYNC), now_ns) ||
	    moved;
}
