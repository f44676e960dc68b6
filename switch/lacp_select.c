/*
 * Which links make up the bond (IEEE 802.1AX-2014, 6.4.14).
 *
 * Links whose partner has the same system and key can be one; a bond being one
 * aggregator, only one such set is selected, and the links of all others stay
 * out.  Rejected: an aggregator per set, as the standard allows; a bridge port
 * that becomes two would make a loop of a wrong cable.
 *
 * The set in use, attached already, stays as long as it has the links that it needs, so that a
 * third system cannot take over; otherwise the largest is taken, then that of
 * the lowest link.  Within it, the better of the two systems' port priorities
 * say which links carry when there may not be so many (6.7.1).
 */
#include "switch/lacp_state.h"

/* May it be one of several? */
static bool
is_candidate(const struct lacp_link *l)
{
	return l->used && l->up && !lacp_has(&l->actor, LACP_DEFAULTED) &&
	    lacp_has(&l->partner, LACP_AGGREGATION);
}

/* May it carry frames by itself? */
bool
lacp_is_alone(const struct lacp_link *l)
{
	return l->used && l->up && l->lacp->options.individual &&
	    (l->rx == RX_DEFAULTED ||
		(l->rx == RX_CURRENT &&
		    !lacp_has(&l->partner, LACP_AGGREGATION)));
}

static bool
same_set(const struct lacp_link *a, const struct lacp_link *b)
{
	return a->partner.system_priority == b->partner.system_priority &&
	    mac_equal(&a->partner.system, &b->partner.system) &&
	    a->partner.key == b->partner.key;
}

static unsigned int
min_links(const struct lacp *lacp)
{
	return lacp->options.min_links > 0 ? lacp->options.min_links : 1;
}

/* What speaks for the set that a link is in; 0: nothing. */
static unsigned int
score(const struct lacp *lacp, const struct lacp_link *l)
{
	unsigned int n = 0;
	bool in_use = false;

	if (!is_candidate(l))
		return 0;
	for (unsigned int i = 0; i < lacp->nlinks; i++) {
		const struct lacp_link *other = &lacp->link[i];

		if (!is_candidate(other) || !same_set(l, other))
			continue;
		n++;
		in_use |= other->mux >= MUX_ATTACHED;
	}
	return (n >= min_links(lacp)) * 4u * LACP_LINKS_MAX +
	    in_use * 2u * LACP_LINKS_MAX + n;
}

/* Is our system the one whose port priorities count? */
static bool
we_decide(const struct lacp_link *l)
{
	if (l->actor.system_priority != l->partner.system_priority)
		return l->actor.system_priority < l->partner.system_priority;
	return memcmp(&l->actor.system, &l->partner.system,
		   sizeof(l->actor.system)) < 0;
}

/* The lower, the sooner it carries. */
static uint32_t
rank(const struct lacp_link *l)
{
	const struct lacp_info *info = we_decide(l) ? &l->actor : &l->partner;

	return (uint32_t)info->port_priority << 16 | info->port;
}

/* How many of the set come before l. */
static unsigned int
place_of(const struct lacp *lacp, const struct lacp_link *l)
{
	unsigned int before = 0;

	for (unsigned int i = 0; i < lacp->nlinks; i++) {
		const struct lacp_link *other = &lacp->link[i];

		if (other != l && is_candidate(other) && same_set(l, other))
			before += rank(other) < rank(l) ||
			    (rank(other) == rank(l) && other < l);
	}
	return before;
}

static bool
set_selected(struct lacp_link *l, enum lacp_selected to)
{
	bool changed = l->selected != to;

	l->selected = (uint8_t)to;
	return changed;
}

/* Without a partner: one link, the one in use or else the lowest. */
static bool
select_one(struct lacp *lacp)
{
	const struct lacp_link *one = NULL;
	bool changed = false;

	for (unsigned int i = 0; i < lacp->nlinks; i++) {
		const struct lacp_link *l = &lacp->link[i];

		if (lacp_is_alone(l) &&
		    (one == NULL ||
			(one->selected != LACP_SELECTED &&
			    l->selected == LACP_SELECTED)))
			one = l;
	}
	if (min_links(lacp) > 1)
		one = NULL;
	for (unsigned int i = 0; i < lacp->nlinks; i++)
		changed |= set_selected(&lacp->link[i],
		    &lacp->link[i] == one ? LACP_SELECTED : LACP_UNSELECTED);
	return changed;
}

bool
lacp_select(struct lacp *lacp)
{
	const struct lacp_link *best = NULL;
	unsigned int max = lacp->options.max_links, most = 0;
	bool changed = false, enough;

	for (unsigned int i = 0; i < lacp->nlinks; i++)
		if (score(lacp, &lacp->link[i]) > most) {
			best = &lacp->link[i];
			most = score(lacp, best);
		}
	if (best == NULL)
		return select_one(lacp);
	enough = most >= 4 * LACP_LINKS_MAX;
	for (unsigned int i = 0; i < lacp->nlinks; i++) {
		struct lacp_link *l = &lacp->link[i];
		enum lacp_selected to = LACP_UNSELECTED;

		if (is_candidate(l) && same_set(l, best))
			to = enough && (max == 0 || place_of(lacp, l) < max)
			    ? LACP_SELECTED
			    : LACP_STANDBY;
		changed |= set_selected(l, to);
	}
	return changed;
}

/* How many links its set has. */
static unsigned int
set_size(const struct lacp_link *l)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < l->lacp->nlinks; i++)
		n += is_candidate(&l->lacp->link[i]) &&
		    same_set(l, &l->lacp->link[i]);
	return n;
}

const char *
lacp_why(const struct lacp_link *l)
{
	if (!l->up)
		return "the link is down";
	if (l->mux == MUX_DISTRIBUTING)
		return "";
	if (!is_candidate(l) && !lacp_is_alone(l))
		return lacp_has(&l->actor, LACP_DEFAULTED)
		    ? "no partner answers"
		    : "the partner does not aggregate it";
	if (l->selected == LACP_UNSELECTED)
		return lacp_is_alone(l) ? "another link carries for it"
					: "leads to another partner or key";
	if (l->selected == LACP_STANDBY)
		return set_size(l) < min_links(l->lacp)
		    ? "fewer links than min-links"
		    : "stands by beyond max-links";
	switch ((enum lacp_mux)l->mux) {
	case MUX_DETACHED:
	case MUX_WAITING: return "waits for more links";
	case MUX_ATTACHED: return "the partner is not in sync";
	case MUX_COLLECTING: return "the partner does not collect";
	case MUX_DISTRIBUTING:
	case MUX_NSTATES: break;
	}
	return "";
}
