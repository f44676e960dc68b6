/*
 * What a link knows of its partner (IEEE 802.1AX-2014, 6.4.12):
 *
 *     INITIALIZE --> PORT DISABLED <---- link down ---- any
 *                        |
 *                     link up
 *                        v      3 s without a PDU
 *          .--------> EXPIRED ------------------> DEFAULTED
 *          |             |                            |
 *    3 or 90 s           | PDU                        | PDU
 *  without a PDU         v                            |
 *          '--------- CURRENT <-----------------------'
 *                      ^  | PDU
 *                      '--'
 *
 * There is no state for LACP switched off: a static bond has no machines.  A
 * partner whose PDUs come by another link, though this one is down, has moved;
 * this link then forgets it.
 */
#include "switch/lacp_state.h"

#include <assert.h>

#include "base/log.h"

#define NITEMS(a)    (sizeof(a) / sizeof((a)[0]))
#define RX_TO(state) (1u << RX_##state)

static void enter_initialize(struct lacp_link *l, uint64_t now_ns);
static void enter_disabled(struct lacp_link *l, uint64_t now_ns);
static void enter_expired(struct lacp_link *l, uint64_t now_ns);
static void enter_defaulted(struct lacp_link *l, uint64_t now_ns);
static void enter_current(struct lacp_link *l, uint64_t now_ns);

static const struct {
	const char *name;
	unsigned int next; /* states we may leave for */
	void (*enter)(struct lacp_link *l, uint64_t now_ns);
} rx_fsm[] = {
	[RX_INITIALIZE] = { "initialize", RX_TO(PORT_DISABLED),
	    enter_initialize },
	[RX_PORT_DISABLED] = { "disabled", RX_TO(EXPIRED) | RX_TO(INITIALIZE),
	    enter_disabled },
	[RX_EXPIRED] = { "expired",
	    RX_TO(DEFAULTED) | RX_TO(CURRENT) | RX_TO(PORT_DISABLED),
	    enter_expired },
	[RX_DEFAULTED] = { "defaulted", RX_TO(CURRENT) | RX_TO(PORT_DISABLED),
	    enter_defaulted },
	[RX_CURRENT] = { "current",
	    RX_TO(CURRENT) | RX_TO(EXPIRED) | RX_TO(PORT_DISABLED),
	    enter_current },
};
static_assert(NITEMS(rx_fsm) == RX_NSTATES, "a state has no row");

const char *
lacp_rx_name(enum lacp_rx state)
{
	return rx_fsm[state].name;
}

static void
rx_set(struct lacp_link *l, enum lacp_rx to, uint64_t now_ns)
{
	assert(rx_fsm[l->rx].next & 1u << to);
	if (l->rx != to)
		log_debug("lacp link %u: %s -> %s", l->index,
		    rx_fsm[l->rx].name, rx_fsm[to].name);
	l->rx = (uint8_t)to;
	rx_fsm[to].enter(l, now_ns);
}

/* ---- what is known of a partner ---- */

/* What is believed of a partner that has said nothing: it is in sync if a link
 * may carry frames without one. */
static void
record_default(struct lacp_link *l)
{
	l->partner = (struct lacp_info){ 0 };
	if (l->lacp->options.individual)
		l->partner.state = LACP_SYNC | LACP_COLLECTING;
	lacp_put(&l->actor, LACP_DEFAULTED, true);
}

static bool
same_link(const struct lacp_info *a, const struct lacp_info *b)
{
	return a->system_priority == b->system_priority &&
	    mac_equal(&a->system, &b->system) && a->key == b->key &&
	    a->port_priority == b->port_priority && a->port == b->port;
}

static bool
same_bits(const struct lacp_info *a, const struct lacp_info *b, uint8_t bits)
{
	return ((a->state ^ b->state) & bits) == 0;
}

/* Does the partner know us as we are, or want no more than this link, and will
 * it go on saying so? */
static bool
partner_in_sync(const struct lacp_link *l, const struct slow *pdu)
{
	const struct lacp_info *them = &pdu->lacp.actor,
			       *us = &pdu->lacp.partner;
	bool matched = same_link(us, &l->actor) &&
	    same_bits(us, &l->actor, LACP_AGGREGATION);
	bool alone = !lacp_has(them, LACP_AGGREGATION);
	bool kept = lacp_has(them, LACP_ACTIVE) ||
	    (lacp_has(&l->actor, LACP_ACTIVE) && lacp_has(us, LACP_ACTIVE));

	return (matched || alone) && kept && lacp_has(them, LACP_SYNC);
}

static void
record_pdu(struct lacp_link *l, const struct slow *pdu)
{
	bool in_sync = partner_in_sync(l, pdu);

	l->partner = pdu->lacp.actor;
	lacp_put(&l->partner, LACP_SYNC, in_sync);
	lacp_put(&l->actor, LACP_DEFAULTED, false);
}

/* A partner that is another now is to be selected anew. */
static void
update_selected(struct lacp_link *l, const struct lacp_info *partner)
{
	if (!same_link(partner, &l->partner) ||
	    !same_bits(partner, &l->partner, LACP_AGGREGATION))
		l->selected = LACP_UNSELECTED;
}

/* A partner that sees us as we no longer are is to be told. */
static void
update_ntt(struct lacp_link *l, const struct slow *pdu)
{
	if (!same_link(&pdu->lacp.partner, &l->actor) ||
	    !same_bits(&pdu->lacp.partner, &l->actor,
		LACP_ACTIVE | LACP_SHORT_TIMEOUT | LACP_SYNC |
		    LACP_AGGREGATION))
		l->ntt = true;
}

/* ---- what the states do ---- */

static void
enter_initialize(struct lacp_link *l, uint64_t now_ns)
{
	(void)now_ns;
	l->selected = LACP_UNSELECTED;
	record_default(l);
	lacp_put(&l->actor, LACP_EXPIRED, false);
}

static void
enter_disabled(struct lacp_link *l, uint64_t now_ns)
{
	(void)now_ns;
	lacp_put(&l->partner, LACP_SYNC, false);
	l->current_while_ns = LACP_NEVER;
}

static void
enter_expired(struct lacp_link *l, uint64_t now_ns)
{
	lacp_put(&l->partner, LACP_SYNC, false);
	lacp_put(&l->partner, LACP_SHORT_TIMEOUT, true);
	l->current_while_ns = now_ns + LACP_SHORT_S * LACP_NS_PER_S;
	lacp_put(&l->actor, LACP_EXPIRED, true);
}

static void
enter_defaulted(struct lacp_link *l, uint64_t now_ns)
{
	static const struct lacp_info nobody;

	(void)now_ns;
	update_selected(l, &nobody);
	record_default(l);
	l->current_while_ns = LACP_NEVER;
	lacp_put(&l->actor, LACP_EXPIRED, false);
}

static void
enter_current(struct lacp_link *l, uint64_t now_ns)
{
	unsigned int wait = lacp_has(&l->actor, LACP_SHORT_TIMEOUT)
	    ? LACP_SHORT_S
	    : LACP_LONG_S;

	l->current_while_ns = now_ns + wait * LACP_NS_PER_S;
	lacp_put(&l->actor, LACP_EXPIRED, false);
}

/* ---- moves ---- */

void
lacp_rx_begin(struct lacp_link *l)
{
	l->rx = RX_INITIALIZE;
	rx_fsm[RX_INITIALIZE].enter(l, 0);
	rx_set(l, RX_PORT_DISABLED, 0);
}

bool
lacp_rx_step(struct lacp_link *l, uint64_t now_ns)
{
	bool due = now_ns >= l->current_while_ns;

	switch ((enum lacp_rx)l->rx) {
	case RX_INITIALIZE: rx_set(l, RX_PORT_DISABLED, now_ns); return true;
	case RX_PORT_DISABLED:
		if (!l->up)
			return false;
		rx_set(l, RX_EXPIRED, now_ns);
		return true;
	case RX_EXPIRED:
	case RX_DEFAULTED:
	case RX_CURRENT: break;
	case RX_NSTATES: assert(false);
	}
	if (!l->up)
		rx_set(l, RX_PORT_DISABLED, now_ns);
	else if (due)
		rx_set(
		    l, l->rx == RX_CURRENT ? RX_EXPIRED : RX_DEFAULTED, now_ns);
	return !l->up || due;
}

/* The partner's end of this link was another link's before. */
static void
forget_moved(struct lacp_link *l, uint64_t now_ns)
{
	for (unsigned int i = 0; i < l->lacp->nlinks; i++) {
		struct lacp_link *other = &l->lacp->link[i];

		if (other == l || !other->used || other->up ||
		    other->partner.port != l->partner.port ||
		    !mac_equal(&other->partner.system, &l->partner.system))
			continue;
		if (other->rx == RX_PORT_DISABLED)
			rx_set(other, RX_INITIALIZE, now_ns);
	}
}

void
lacp_rx_pdu(struct lacp_link *l, const struct slow *pdu, uint64_t now_ns)
{
	/* The link may have come up since it was last stepped. */
	(void)lacp_rx_step(l, now_ns);
	if (l->rx == RX_PORT_DISABLED || l->rx == RX_INITIALIZE)
		return;
	update_selected(l, &pdu->lacp.actor);
	update_ntt(l, pdu);
	record_pdu(l, pdu);
	rx_set(l, RX_CURRENT, now_ns);
	forget_moved(l, now_ns);
}
