#include "vmm/guest/mld6.h"

#include "net/membership.h"
#include "net/mld.h"

#include "vmm/guest/stack.h"

#define ROBUSTNESS 2        /* how often a change is told (RFC 3810 9.1) */
#define AGAIN_US   US_PER_S /* within that (9.11) */
#define OLD_US     (260 * US_PER_S) /* Older Version Querier Present (9.12) */

static void tell_changes(void *arg);
static void answer(void *arg);

void
mld6_init(struct netif *nif)
{
	timer_init(&nif->ip6.change_timer, tell_changes, nif);
	timer_init(&nif->ip6.answer_timer, answer, nif);
}

void
mld6_stop(struct netif *nif)
{
	timer_unset(&nif->stack->timers, &nif->ip6.change_timer);
	timer_unset(&nif->stack->timers, &nif->ip6.answer_timer);
}

static bool
is_free(const struct group6 *g)
{
	return g->users == 0 && g->changes == 0;
}

static struct group6 *
find(struct netif *nif, const struct ip6_addr *group)
{
	for (unsigned int i = 0; i < NETIF_GROUPS6; i++) {
		struct group6 *g = &nif->ip6.group[i];

		if (!is_free(g) && ip6_equal(&g->addr, group))
			return g;
	}
	return NULL;
}

bool
mld6_listens(const struct netif *nif, const struct ip6_addr *group)
{
	for (unsigned int i = 0; i < NETIF_GROUPS6; i++) {
		const struct group6 *g = &nif->ip6.group[i];

		if (g->users > 0 && ip6_equal(&g->addr, group))
			return true;
	}
	return false;
}

static void
changed(struct netif *nif, struct group6 *g)
{
	g->changes = ROBUSTNESS;
	if (nif->up)
		timer_set(&nif->stack->timers, &nif->ip6.change_timer,
		    nif->stack->now_us);
}

void
mld6_join(struct netif *nif, const struct ip6_addr *group)
{
	struct group6 *g = find(nif, group);

	for (unsigned int i = 0; g == NULL && i < NETIF_GROUPS6; i++)
		if (is_free(&nif->ip6.group[i])) {
			g = &nif->ip6.group[i];
			*g = (struct group6){ .addr = *group };
		}
	if (g != NULL && g->users++ == 0)
		changed(nif, g);
}

void
mld6_leave(struct netif *nif, const struct ip6_addr *group)
{
	struct group6 *g = find(nif, group);

	if (g != NULL && g->users > 0 && --g->users == 0)
		changed(nif, g);
}

/* ---- reports ---- */

static void
report(struct netif *nif, const struct mld_record *record, unsigned int n)
{
	static const struct ip6_addr all = { { 0xff, 2, [15] = 0x16 } };
	uint8_t packet[MLD_REPORT_BYTES(NETIF_GROUPS6)];
	struct writer w = writer(packet, sizeof(packet));
	struct ip6_addr src = { { 0 } };
	const bool old = nif->ip6.old_querier_us > nif->stack->now_us;

	if (n == 0)
		return;
	/* Without an address of the link yet, from none (RFC 3590). */
	(void)ipv6_source(nif, &ip6_all_nodes, &src);
	if (!old) {
		mld_report_write(&w, &src, record, n);
		ipv6_send(nif, &all, packet, (size_t)(w.at - packet));
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		w = writer(packet, sizeof(packet));
		mld1_write(&w, &src, &record[i]);
		ipv6_send(nif,
		    record[i].change == MEMBER_TO_INCLUDE ? &ip6_all_routers
							  : &record[i].group,
		    packet, (size_t)(w.at - packet));
	}
}

static void
tell_changes(void *arg)
{
	struct netif *nif = arg;
	struct stack *stack = nif->stack;
	struct mld_record record[NETIF_GROUPS6];
	unsigned int n = 0;
	bool again = false;

	for (unsigned int i = 0; i < NETIF_GROUPS6; i++) {
		struct group6 *g = &nif->ip6.group[i];

		if (g->changes == 0)
			continue;
		record[n++] =
		    (struct mld_record){ g->users > 0 ? MEMBER_TO_EXCLUDE
						      : MEMBER_TO_INCLUDE,
			    g->addr };
		again |= --g->changes > 0;
	}
	report(nif, record, n);
	if (again)
		timer_set(&stack->timers, &nif->ip6.change_timer,
		    stack->now_us +
			random_below(&stack->random, (uint32_t)AGAIN_US));
}

static void
answer(void *arg)
{
	struct netif *nif = arg;
	struct mld_record record[NETIF_GROUPS6];
	unsigned int n = 0;

	for (unsigned int i = 0; i < NETIF_GROUPS6; i++) {
		struct group6 *g = &nif->ip6.group[i];

		if (g->asked && g->users > 0)
			record[n++] =
			    (struct mld_record){ MEMBER_IS_EXCLUDE, g->addr };
		g->asked = false;
	}
	report(nif, record, n);
}

enum reason
mld6_input(struct netif *nif, const struct ip6 *ip, struct cursor *c)
{
	struct stack *stack = nif->stack;
	struct member_msg msg;
	enum reason why = mld_parse(&msg, ip, c);
	bool any = false;
	uint64_t at_us;

	if (why != DROP_NONE)
		return why;
	if (msg.kind != MEMBER_QUERY)
		return DROP_NOT_OURS; /* what others listen to */
	if (msg.version < 2)
		nif->ip6.old_querier_us = stack->now_us + OLD_US;
	for (unsigned int i = 0; i < NETIF_GROUPS6; i++) {
		struct group6 *g = &nif->ip6.group[i];

		if (g->users > 0 &&
		    (ip6_is_zero(&msg.record.group) ||
			ip6_equal(&msg.record.group, &g->addr)))
			any = g->asked = true;
	}
	if (!any)
		return REASON_DELIVERED;
	at_us = stack->now_us +
	    random_below(&stack->random, msg.max_response_ms + 1) * US_PER_MS;
	if (!nif->ip6.answer_timer.set || at_us < nif->ip6.answer_timer.at_us)
		timer_set(&stack->timers, &nif->ip6.answer_timer, at_us);
	return REASON_DELIVERED;
}
