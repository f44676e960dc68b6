/*
 * What is wanted follows from the port's addresses, and is found again when they
 * change.  A report of changes is one message of all groups that have changed;
 * MLDv1 has a message for each.
 *
 * All is done by one timer, never within a call: what a port says may come back
 * at once.
 */
#include "router/groups6.h"

#include "net/dhcp6.h"
#include "net/nd.h"
#include "router/nat_ports.h" /* nat_random() */
#include "router/router6.h"

#define ROBUSTNESS 2
#define AGAIN_NS   NS_PER_S /* Unsolicited Report Interval */
/* Older Version Querier Present Timeout (RFC 3810 9.12), of the default
 * interval. */
#define V1_NS (260 * NS_PER_S)

static uint64_t
random_below(struct iface *iface, uint64_t n)
{
	return n == 0 ? 0 : nat_random(&iface->six.seed) % n;
}

static uint64_t
now(const struct iface *iface)
{
	return loop_now_ns(iface->router->loop);
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static bool
is_v1(const struct iface *iface)
{
	return now(iface) < iface->six.groups.v1_till_ns;
}

static struct group6 *
find(struct groups6 *g, const struct ip6_addr *addr)
{
	for (unsigned int i = 0; i < g->n; i++)
		if (ip6_equal(&g->group[i].addr, addr))
			return &g->group[i];
	return NULL;
}

bool
groups6_has(const struct iface *iface, const struct ip6_addr *group)
{
	const struct groups6 *g = &iface->six.groups;

	if (ip6_equal(group, &ip6_all_nodes))
		return true;
	for (unsigned int i = 0; i < g->n; i++)
		if (ip6_equal(&g->group[i].addr, group))
			return g->group[i].wanted;
	return false;
}

/* ---- when ---- */

static void
arm(struct iface *iface)
{
	struct groups6 *g = &iface->six.groups;
	uint64_t at_ns = earlier(g->change_ns, g->all_ns);

	for (unsigned int i = 0; i < g->n; i++)
		at_ns = earlier(at_ns, g->group[i].due_ns);
	loop_timer_unset(&g->timer);
	if (at_ns != UINT64_MAX)
		loop_timer_set(&g->timer, at_ns);
}

static void
forget_answers(struct groups6 *g)
{
	g->all_ns = UINT64_MAX;
	for (unsigned int i = 0; i < g->n; i++)
		g->group[i].due_ns = UINT64_MAX;
}

/* ---- what is sent ---- */

static void
say(struct iface *iface, const struct mld_record *record, unsigned int n)
{
	static const struct ip6_addr nobody;
	bool v1 = is_v1(iface);
	const struct ip6_addr *src = iface->six.link_state == DAD_ASSIGNED
	    ? &iface->six.link_local
	    : &nobody;

	for (unsigned int i = 0; i < n; i += v1 ? 1 : n) {
		size_t bytes = v1 ? MLD1_BYTES : MLD_REPORT_BYTES(n);
		uint8_t *room = output_room(iface->router, bytes);
		struct writer w;

		if (room == NULL)
			return; /* it is said again, or asked for */
		w = writer(room, bytes);
		if (v1)
			mld1_write(&w, src, &record[i]);
		else
			mld_report_write(&w, src, record, n);
		output6_own(iface->router, iface, room, bytes);
	}
}

/* Tells of what has changed, and forgets what has been left. */
static void
say_changes(struct iface *iface)
{
	struct groups6 *g = &iface->six.groups;
	struct mld_record record[GROUPS6_MAX];
	unsigned int n = 0, kept = 0;
	bool again = false;

	for (unsigned int i = 0; i < g->n; i++) {
		struct group6 *group = &g->group[i];

		if (group->left > 0) {
			group->left--;
			record[n++] = (struct mld_record){ group->wanted
				    ? MEMBER_TO_EXCLUDE
				    : MEMBER_TO_INCLUDE,
				group->addr };
		}
		again |= group->left > 0;
		if (group->wanted || group->left > 0)
			g->group[kept++] = *group;
	}
	g->n = kept;
	g->change_ns =
	    again ? now(iface) + 1 + random_below(iface, AGAIN_NS) : UINT64_MAX;
	say(iface, record, n);
}

static void
answer(struct iface *iface, uint64_t now_ns)
{
	struct groups6 *g = &iface->six.groups;
	struct mld_record record[GROUPS6_MAX];
	unsigned int n = 0;
	bool all = g->all_ns <= now_ns;

	for (unsigned int i = 0; i < g->n; i++) {
		if (!all && g->group[i].due_ns > now_ns)
			continue;
		g->group[i].due_ns = UINT64_MAX;
		if (g->group[i].wanted)
			record[n++] = (struct mld_record){ MEMBER_IS_EXCLUDE,
				g->group[i].addr };
	}
	if (all)
		g->all_ns = UINT64_MAX;
	say(iface, record, n);
}

static void
due(void *arg)
{
	struct iface *iface = arg;
	struct groups6 *g = &iface->six.groups;
	uint64_t now_ns = now(iface);

	if (g->change_ns <= now_ns)
		say_changes(iface);
	answer(iface, now_ns);
	arm(iface);
	outbox_flush(iface->router->outbox);
}

/* ---- what is wanted ---- */

static void
want(struct iface *iface, const struct ip6_addr *addr)
{
	struct groups6 *g = &iface->six.groups;
	struct group6 *group = find(g, addr);

	if (group == NULL && g->n == GROUPS6_MAX)
		return; /* cannot be: it is twice what can be wanted */
	if (group == NULL) {
		group = &g->group[g->n++];
		*group = (struct group6){ .addr = *addr, .due_ns = UINT64_MAX };
	}
	group->wanted = true;
}

static void
want_all(struct iface *iface)
{
	const struct iface6 *six = &iface->six;
	struct ip6_addr group = nd_group(&six->link_local);

	want(iface, &ip6_all_routers);
	want(iface, &group);
	if (six->ra != NULL)
		want(iface, &dhcp6_servers);
	for (unsigned int i = 0; i < six->naddresses; i++) {
		if (six->state[i] == DAD_DUPLICATE)
			continue;
		group = nd_group(&six->address[i].addr);
		want(iface, &group);
		group = nd_group(&six->anycast[i]);
		if (!ip6_is_zero(&six->anycast[i]))
			want(iface, &group);
	}
}

/* Marks what is not as it was told of, or, first, all. */
static void
renew(struct iface *iface, bool first, bool none)
{
	struct groups6 *g = &iface->six.groups;
	bool was[GROUPS6_MAX] = { false };

	for (unsigned int i = 0; i < g->n; i++) {
		was[i] = g->group[i].wanted;
		g->group[i].wanted = false;
	}
	if (!none)
		want_all(iface);
	for (unsigned int i = 0; i < g->n; i++)
		if (was[i] != g->group[i].wanted ||
		    (first && g->group[i].wanted)) {
			g->group[i].left = ROBUSTNESS;
			g->change_ns = now(iface);
		}
}

void
groups6_changed(struct iface *iface)
{
	struct groups6 *g = &iface->six.groups;
	bool all = !g->told || iface->six.link_state == DAD_ASSIGNED;

	if (!port_is_up(&iface->port) || iface->six.naddresses == 0)
		return;
	if (iface->six.link_state == DAD_DUPLICATE) {
		groups6_link(iface);
		return;
	}
	/* With an address of its own it says all again (RFC 3590 4). */
	renew(iface, all, false);
	g->told = true;
	arm(iface);
}

void
groups6_link(struct iface *iface)
{
	struct groups6 *g = &iface->six.groups;

	g->n = 0;
	g->told = false;
	g->change_ns = UINT64_MAX;
	g->v1_till_ns = 0;
	forget_answers(g);
	want_all(iface);
	arm(iface);
}

void
groups6_leave(struct iface *iface)
{
	if (iface->six.naddresses == 0 || iface->six.link_state != DAD_ASSIGNED)
		return;
	renew(iface, false, true);
	say_changes(iface);
}

/* ---- what is heard ---- */

static void
take_query(struct iface *iface, const struct member_msg *msg)
{
	struct groups6 *g = &iface->six.groups;
	uint64_t most_ns = msg->max_response_ms * (NS_PER_S / 1000);
	uint64_t now_ns = now(iface), at_ns;
	struct group6 *group = find(g, &msg->group);

	if (msg->version == 1) {
		if (!is_v1(iface)) {
			forget_answers(g);
			for (unsigned int i = 0; i < g->n; i++)
				g->group[i].left = 0;
			g->change_ns = UINT64_MAX;
		}
		g->v1_till_ns = now_ns + V1_NS;
	}
	at_ns = now_ns + 1 + random_below(iface, most_ns);
	if (!is_v1(iface) && at_ns >= g->all_ns)
		return;
	if (group != NULL)
		group->due_ns = earlier(group->due_ns, at_ns);
	else if (ip6_is_zero(&msg->group) && !is_v1(iface))
		g->all_ns = at_ns;
	for (unsigned int i = 0;
	     ip6_is_zero(&msg->group) && is_v1(iface) && i < g->n; i++)
		g->group[i].due_ns = earlier(g->group[i].due_ns,
		    now_ns + 1 + random_below(iface, most_ns));
	arm(iface);
}

enum reason
groups6_take(struct iface *iface, const struct packet6 *p, struct cursor c)
{
	struct member_msg msg;
	enum reason reason = mld_parse(&msg, &p->ip, &c);
	struct group6 *group;

	if (reason != REASON_NONE)
		return reason;
	if (msg.kind == MEMBER_QUERY)
		take_query(iface, &msg);
	/* Another one's report is enough for a querier of version 1. */
	group = find(&iface->six.groups, &msg.group);
	if (msg.kind == MEMBER_REPORT && msg.version == 1 && is_v1(iface) &&
	    group != NULL && msg.record.change != MEMBER_TO_INCLUDE) {
		group->due_ns = UINT64_MAX;
		arm(iface);
	}
	return REASON_DELIVERED;
}

void
groups6_init(struct iface *iface)
{
	loop_timer_init(
	    &iface->six.groups.timer, iface->router->loop, due, iface);
	groups6_link(iface);
}

void
groups6_free(struct iface *iface)
{
	loop_timer_unset(&iface->six.groups.timer);
}
