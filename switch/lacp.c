/*
 * Four machines for each link and one selection for the bond, each in a file of
 * its own: what is known of the partner (lacp_receive.c), when PDUs are sent
 * and whether the link settles (lacp_periodic.c), which links make up the bond
 * (lacp_select.c), and how far each is attached (lacp_mux.c).
 *
 * A partner that changed makes a link unselected, which the mux machine must
 * see before the link is selected again (6.4.14.1): so in each round the
 * machines come first, then the selection, until nothing moves.
 */
#include "switch/lacp.h"

#include <assert.h>
#include <stdlib.h>

#include "switch/lacp_state.h"

struct lacp *
lacp_new(const struct lacp_options *options, const struct lacp_calls *calls,
    void *arg)
{
	struct lacp *lacp = calloc(1, sizeof(*lacp));

	if (lacp == NULL)
		return NULL;
	lacp->options = *options;
	if (lacp->options.system_priority == 0)
		lacp->options.system_priority = LACP_PRIORITY;
	lacp->calls = calls;
	lacp->arg = arg;
	return lacp;
}

void
lacp_free(struct lacp *lacp)
{
	free(lacp);
}

static uint8_t
first_state(const struct lacp_options *options)
{
	return LACP_AGGREGATION | (options->active ? LACP_ACTIVE : 0) |
	    (options->fast ? LACP_SHORT_TIMEOUT : 0);
}

void
lacp_add(struct lacp *lacp, unsigned int link, uint16_t priority)
{
	struct lacp_link *l = &lacp->link[link];

	assert(link < LACP_LINKS_MAX && !l->used);
	*l = (struct lacp_link){ .lacp = lacp,
		.index = link,
		.used = true,
		.actor = { .system_priority = lacp->options.system_priority,
		    .system = lacp->options.system,
		    .key = lacp->options.key,
		    .port_priority = priority != 0 ? priority : LACP_PRIORITY,
		    .port = (uint16_t)(link + 1),
		    .state = first_state(&lacp->options) },
		.current_while_ns = LACP_NEVER,
		.periodic_ns = LACP_NEVER,
		.wait_while_ns = LACP_NEVER };
	if (link >= lacp->nlinks)
		lacp->nlinks = link + 1;
	lacp_rx_begin(l);
	lacp_churn_begin(l);
}

static struct lacp_link *
get(struct lacp *lacp, unsigned int link)
{
	assert(link < LACP_LINKS_MAX && lacp->link[link].used);
	return &lacp->link[link];
}

void
lacp_link(struct lacp *lacp, unsigned int link, bool up)
{
	struct lacp_link *l = get(lacp, link);

	l->ntt |= up && !l->up; /* the partner hears of it at once */
	l->up = up;
}

void
lacp_remove(struct lacp *lacp, unsigned int link, uint64_t now_ns)
{
	struct lacp_link *l = get(lacp, link);

	l->up = false;
	(void)lacp_run(lacp, now_ns);
	assert(l->mux == MUX_DETACHED);
	l->used = false;
}

static void
answer_marker(struct lacp_link *l, const struct slow *pdu)
{
	struct slow answer = *pdu;

	l->markers++;
	answer.marker.response = true;
	l->lacp->calls->send(l->lacp->arg, l->index, &answer);
}

void
lacp_receive(struct lacp *lacp, unsigned int link, const struct slow *pdu,
    uint64_t now_ns)
{
	struct lacp_link *l = get(lacp, link);

	switch (pdu->kind) {
	case SLOW_LACP:
		l->in++;
		lacp_rx_pdu(l, pdu, now_ns);
		break;
	case SLOW_MARKER:
		if (!pdu->marker.response)
			answer_marker(l, pdu);
		break;
	}
}

/* Steps every machine of every link once. */
static bool
step_all(struct lacp *lacp, uint64_t now_ns)
{
	bool moved = false;

	for (unsigned int i = 0; i < lacp->nlinks; i++) {
		struct lacp_link *l = &lacp->link[i];

		if (!l->used)
			continue;
		moved |= lacp_rx_step(l, now_ns);
		moved |= lacp_mux_step(l, now_ns);
		moved |= lacp_periodic_step(l, now_ns);
		moved |= lacp_churn_step(l, now_ns);
	}
	return moved;
}

static uint64_t
sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
next_of(const struct lacp_link *l, uint64_t now_ns)
{
	uint64_t at = sooner(l->current_while_ns, l->periodic_ns);

	/* One that has waited long enough waits for another. */
	if (l->mux == MUX_WAITING && l->selected == LACP_SELECTED &&
	    l->wait_while_ns > now_ns)
		at = sooner(at, l->wait_while_ns);
	at = sooner(at, l->actor_churn.at_ns);
	at = sooner(at, l->partner_churn.at_ns);
	return l->ntt ? sooner(at, lacp_may_send_ns(l)) : at;
}

uint64_t
lacp_run(struct lacp *lacp, uint64_t now_ns)
{
	uint64_t next = LACP_NEVER;
	bool moved;

	do {
		while (step_all(lacp, now_ns))
			;
		moved = lacp_select(lacp);
	} while (moved);
	for (unsigned int i = 0; i < lacp->nlinks; i++) {
		struct lacp_link *l = &lacp->link[i];

		if (!l->used)
			continue;
		if (l->ntt && now_ns >= lacp_may_send_ns(l))
			lacp_transmit(l, now_ns);
		next = sooner(next, next_of(l, now_ns));
	}
	return next;
}

static const char *
state_of(const struct lacp_link *l)
{
	if (!l->up)
		return "down";
	if (l->selected == LACP_STANDBY)
		return "standby";
	if (l->mux == MUX_DISTRIBUTING && lacp_is_alone(l))
		return "individual";
	return lacp_mux_name((enum lacp_mux)l->mux);
}

bool
lacp_row(const struct lacp *lacp, unsigned int link, struct lacp_row *row)
{
	const struct lacp_link *l = &lacp->link[link];

	if (link >= LACP_LINKS_MAX || !l->used)
		return false;
	*row = (struct lacp_row){
		.state = state_of(l),
		.why = lacp_why(l),
		.receive = lacp_rx_name((enum lacp_rx)l->rx),
		.periodic = lacp_periodic_name((enum lacp_periodic)l->periodic),
		.mux = lacp_mux_name((enum lacp_mux)l->mux),
		.actor = l->actor,
		.partner = l->partner,
		.churning = l->actor_churn.state == CHURN_FOUND ||
		    l->partner_churn.state == CHURN_FOUND,
		.in = l->in,
		.out = l->out,
		.markers = l->markers,
	};
	return true;
}
