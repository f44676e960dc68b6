/*
 * The parts: groups and members (groups_table.c), what reports do to them
 * (groups_report.c), queriers and routers (groups_query.c).  Here are ports,
 * VLANs, the way of a frame and what is due.
 *
 * Packets are matched by the addresses of IP, not by those of the link, of
 * which 32 groups share one (RFC 4541 2.1.2).
 *
 * Time is swept by port: whoever has nothing due costs a comparison.
 */
#include "switch/groups.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "switch/groups_state.h"

/* ---- VLANs ---- */

struct querier *
groups_querier(struct groups *groups, uint16_t vlan, bool ip6, uint64_t now_ns)
{
	struct group_vlan *v = groups->vlan[vlan];

	if (v == NULL) {
		v = calloc(1, sizeof(*v));
		if (v == NULL)
			return NULL;
		querier_init(&v->querier[0], groups, vlan, false, now_ns);
		querier_init(&v->querier[1], groups, vlan, true, now_ns);
		LIST_INSERT_HEAD(&groups->vlans, v, link);
		groups->vlan[vlan] = v;
	}
	return &v->querier[ip6];
}

struct querier *
group_querier(const struct groups *groups, const struct group *g)
{
	uint32_t ip4;

	return &groups->vlan[g->vlan]->querier[!ip6_to_ip4(&ip4, &g->addr)];
}

int
groups_vlan(struct groups *groups, uint16_t vlan, uint64_t now_ns)
{
	assert(vlan < GROUPS_VLANS);
	return groups_querier(groups, vlan, false, now_ns) == NULL ? -ENOMEM
								   : 0;
}

/* Calls each for the queriers of all VLANs. */
#define EACH_QUERIER(groups, v, i)               \
	LIST_FOREACH (v, &(groups)->vlans, link) \
		for (unsigned int i = 0; i < 2; i++)

void
groups_changed(struct groups *groups, uint64_t now_ns)
{
	struct group_vlan *v;

	EACH_QUERIER(groups, v, i)
	querier_restart(&v->querier[i], now_ns);
}

/* ---- ports ---- */

static struct group_port *
port_of(const struct groups *groups, unsigned int port)
{
	struct group_port *p =
	    port < groups->nports ? groups->port[port] : NULL;

	return p != NULL && p->used ? p : NULL;
}

int
groups_add(struct groups *groups, unsigned int port)
{
	struct group_port **more, *p;

	if (port >= groups->nports) {
		more = reallocarray(groups->port, port + 1, sizeof(more[0]));
		if (more == NULL)
			return -ENOMEM;
		groups->port = more;
		while (groups->nports <= port)
			more[groups->nports++] = NULL;
	}
	p = groups->port[port];
	assert(p == NULL || !p->used);
	if (p == NULL)
		p = groups->port[port] = malloc(sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	*p = (struct group_port){
		.index = port, .used = true, .next_ns = GROUPS_NEVER
	};
	LIST_INIT(&p->members);
	return 0;
}

void
groups_set_router(
    struct groups *groups, unsigned int port, bool router, uint64_t now_ns)
{
	struct group_port *p = port_of(groups, port);
	struct group_vlan *v;

	if (p == NULL)
		return;
	p->router = router;
	EACH_QUERIER(groups, v, i)
	querier_static(&v->querier[i], port, now_ns);
}

static void
forget(struct groups *groups, struct group_port *p, uint64_t now_ns)
{
	struct group_vlan *v;

	while (!LIST_EMPTY(&p->members))
		member_free(groups, LIST_FIRST(&p->members));
	p->next_ns = GROUPS_NEVER;
	EACH_QUERIER(groups, v, i)
	querier_router_gone(&v->querier[i], p->index, now_ns);
}

void
groups_remove(struct groups *groups, unsigned int port, uint64_t now_ns)
{
	struct group_port *p = port_of(groups, port);

	if (p == NULL)
		return;
	groups_set_router(groups, port, false, now_ns);
	forget(groups, p, now_ns);
	p->used = false;
}

void
groups_link(struct groups *groups, unsigned int port, bool up, uint64_t now_ns)
{
	struct group_port *p = port_of(groups, port);

	if (up)
		groups_changed(groups, now_ns);
	else if (p != NULL)
		forget(groups, p, now_ns);
}

const struct groups_port_counts *
groups_counts(const struct groups *groups, unsigned int port)
{
	return &groups->port[port]->counts;
}

/* ---- frames ---- */

const struct port_set *
groups_receive(struct groups *groups, uint16_t vlan, unsigned int port,
    struct member_msg *msg, uint64_t now_ns)
{
	struct querier *q;

	if (msg->kind == MEMBER_NOTHING || vlan >= GROUPS_VLANS ||
	    port_of(groups, port) == NULL)
		return NULL;
	q = groups_querier(groups, vlan, msg->ip6, now_ns);
	if (q == NULL)
		return NULL;
	switch (msg->kind) {
	case MEMBER_REPORT:
		groups_report(groups, q, port, msg, now_ns);
		return &q->to_routers;
	case MEMBER_QUERY: querier_heard(q, port, msg, now_ns); break;
	case MEMBER_ROUTER:
		querier_router(q, port,
		    now_ns +
			(msg->hold_s > 0 ? msg->hold_s * GROUPS_NS_PER_S
					 : querier_member_ns(q)),
		    now_ns);
		break;
	case MEMBER_ROUTER_GONE: querier_router_gone(q, port, now_ns); break;
	case MEMBER_NOTHING:
	case MEMBER_OTHER: break;
	}
	return NULL;
}

const struct port_set *
groups_find(const struct groups *groups, uint16_t vlan, bool ip6,
    const struct ip6_addr *group, const struct ip6_addr *src, uint64_t now_ns)
{
	const struct querier *q;
	const struct named *n;
	const struct group *g;

	if (vlan >= GROUPS_VLANS || groups->vlan[vlan] == NULL ||
	    group_is_of_link(group))
		return NULL;
	q = &groups->vlan[vlan]->querier[ip6];
	if (q->state == QUERIER_NONE || now_ns < q->trust_ns)
		return NULL;
	g = groups_lookup(groups, vlan, group);
	if (g == NULL)
		return groups->options.unregistered == GROUPS_FLOOD
		    ? NULL
		    : &q->to_routers;
	LIST_FOREACH (n, &g->named, link)
		if (ip6_equal(&n->addr, src))
			return &n->only;
	return &g->only;
}

/* ---- time ---- */

/* What is due of one port's members. */
static void
sweep(struct groups *groups, struct group_port *p, uint64_t now_ns)
{
	uint64_t next = GROUPS_NEVER;

	for (struct member *m = LIST_FIRST(&p->members), *after; m != NULL;
	     m = after) {
		after = LIST_NEXT(m, in_port);
		querier_ask(group_querier(groups, m->group), m, now_ns);
		if (member_settle(groups, m, now_ns))
			next = groups_sooner(next, member_next_ns(m, now_ns));
	}
	p->next_ns = next;
}

uint64_t
groups_run(struct groups *groups, uint64_t now_ns)
{
	uint64_t next = GROUPS_NEVER;
	struct group_vlan *v;

	EACH_QUERIER(groups, v, i)
	next = groups_sooner(next, querier_run(&v->querier[i], now_ns));
	for (unsigned int i = 0; i < groups->nports; i++) {
		struct group_port *p = groups->port[i];

		if (p == NULL || !p->used)
			continue;
		if (now_ns >= p->next_ns)
			sweep(groups, p, now_ns);
		next = groups_sooner(next, p->next_ns);
	}
	return next;
}

/* ---- asking ---- */

static unsigned int
count_sources(const struct member *m, uint64_t now_ns)
{
	const struct source *s;
	unsigned int n = 0;

	LIST_FOREACH (s, &m->sources, link)
		n += (s->until_ns > now_ns) != m->exclude;
	return n;
}

static uint64_t
left_ns(const struct member *m, uint64_t now_ns)
{
	uint64_t until_ns = m->exclude ? m->until_ns : 0;
	const struct source *s;

	LIST_FOREACH (s, &m->sources, link)
		if (s->until_ns > until_ns)
			until_ns = s->until_ns;
	return until_ns > now_ns ? until_ns - now_ns : 0;
}

/* The oldest version of its protocol that is heard on the port. */
static uint8_t
version_of(const struct member *m, uint64_t now_ns)
{
	uint32_t ip4;
	uint8_t age = m->old_until_ns[0] > now_ns ? 1
	    : m->old_until_ns[1] > now_ns         ? 2
						  : 3;

	return ip6_to_ip4(&ip4, &m->group->addr) ? age : age - 1;
}

void
groups_each(const struct groups *groups, uint64_t now_ns,
    void (*each)(void *arg, const struct group_row *row), void *arg)
{
	for (unsigned int i = 0; i < groups->nports; i++) {
		const struct member *m;

		if (groups->port[i] == NULL || !groups->port[i]->used)
			continue;
		LIST_FOREACH (m, &groups->port[i]->members, in_port) {
			struct group_row row = {
				.vlan = m->group->vlan,
				.port = i,
				.group = m->group->addr,
				.exclude = m->exclude,
				.nsources = count_sources(m, now_ns),
				.version = version_of(m, now_ns),
				.left_ns = left_ns(m, now_ns),
			};

			if (row.left_ns > 0)
				each(arg, &row);
		}
	}
}

static void
each_of(const struct querier *q, uint64_t now_ns,
    void (*each)(void *arg, const struct group_router_row *row), void *arg)
{
	struct group_router_row row = { .vlan = q->vlan, .ip6 = q->ip6 };
	const struct group_router *r;

	if (q->state == QUERIER_SELF) {
		row.what = "querier";
		row.port = GROUPS_ALL_PORTS;
		row.address = querier_address(q);
		row.left_ns = GROUPS_NEVER;
		each(arg, &row);
	}
	LIST_FOREACH (r, &q->routers, link) {
		bool asks = q->state == QUERIER_OTHER && q->port == r->port;

		if (r->until_ns <= now_ns)
			continue;
		row.what = asks ? "querier" : "router";
		row.address = asks ? q->address : (struct ip6_addr){ 0 };
		row.port = r->port;
		row.left_ns = r->until_ns - now_ns;
		each(arg, &row);
	}
}

void
groups_each_router(const struct groups *groups, uint64_t now_ns,
    void (*each)(void *arg, const struct group_router_row *row), void *arg)
{
	const struct group_vlan *v;

	EACH_QUERIER(groups, v, i)
	each_of(&v->querier[i], now_ns, each, arg);
}

/* ---- all of it ---- */

static void
use_defaults(struct groups_options *o)
{
	if (o->query_ns == 0)
		o->query_ns = GROUP_QUERY_S * GROUPS_NS_PER_S;
	if (o->response_ns == 0)
		o->response_ns = GROUP_RESPONSE_S * GROUPS_NS_PER_S;
	if (o->last_ns == 0)
		o->last_ns = GROUP_LAST_MS * GROUPS_NS_PER_MS;
	if (o->robustness == 0)
		o->robustness = GROUP_ROBUST;
	if (o->igmp == 0)
		o->igmp = 3;
	if (o->mld == 0)
		o->mld = 2;
	if (o->max_groups == 0)
		o->max_groups = GROUP_MAX;
}

struct groups *
groups_new(const struct groups_options *options, uint64_t seed,
    const struct groups_calls *calls, void *arg)
{
	struct groups *groups = calloc(1, sizeof(*groups));

	if (groups == NULL)
		return NULL;
	groups->options = *options;
	use_defaults(&groups->options);
	groups->seed = seed;
	groups->calls = calls;
	groups->arg = arg;
	LIST_INIT(&groups->vlans);
	return groups;
}

void
groups_free(struct groups *groups)
{
	if (groups == NULL)
		return;
	for (unsigned int i = 0; i < groups->nports; i++)
		if (groups->port[i] != NULL) {
			if (groups->port[i]->used)
				forget(groups, groups->port[i], 0);
			free(groups->port[i]);
		}
	while (!LIST_EMPTY(&groups->vlans)) {
		struct group_vlan *v = LIST_FIRST(&groups->vlans);

		LIST_REMOVE(v, link);
		querier_free(&v->querier[0]);
		querier_free(&v->querier[1]);
		free(v);
	}
	free(groups->bucket);
	free(groups->port);
	free(groups);
}
