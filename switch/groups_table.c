/*
 * Groups by VLAN and address, in buckets of a keyed hash that grows with them;
 * members in two lists, of their group and of their port.  Groups, members and
 * sources are allocated one by one: reports come at human rates, a port's part
 * is bounded, and the way of a data frame only reads.
 *
 * A group has the set of ports that its packets go to ready, and another for
 * each source that some member has named: bursts borrow them.  They are changed
 * by the port whose membership changed, not made anew: the cost of a record
 * does not depend on how many others have joined.
 */
#include <errno.h>
#include <stdlib.h>

#include "switch/groups_state.h"

#define BUCKETS_MIN 64

/* ---- groups ---- */

static unsigned int
bucket_of(
    const struct groups *groups, uint16_t vlan, const struct ip6_addr *addr)
{
	uint64_t a, b;

	memcpy(&a, addr->b, 8);
	memcpy(&b, addr->b + 8, 8);
	a = (a ^ groups->seed) * UINT64_C(0x9e3779b97f4a7c15);
	a = (a ^ a >> 32 ^ b ^ vlan) * UINT64_C(0xbf58476d1ce4e5b9);
	return (unsigned int)(a >> 32) & (groups->nbuckets - 1);
}

struct group *
groups_lookup(
    const struct groups *groups, uint16_t vlan, const struct ip6_addr *addr)
{
	struct group *g;

	if (groups->nbuckets == 0)
		return NULL;
	g = groups->bucket[bucket_of(groups, vlan, addr)];
	while (g != NULL && (g->vlan != vlan || !ip6_equal(&g->addr, addr)))
		g = g->next;
	return g;
}

/* Doubles the buckets.  Without memory, chains grow longer. */
static void
grow(struct groups *groups)
{
	unsigned int n =
	    groups->nbuckets > 0 ? 2 * groups->nbuckets : BUCKETS_MIN;
	struct group **old = groups->bucket,
		     **bucket = calloc(n, sizeof(*bucket));
	unsigned int nold = groups->nbuckets;

	if (bucket == NULL)
		return;
	groups->bucket = bucket;
	groups->nbuckets = n;
	for (unsigned int i = 0; i < nold; i++)
		for (struct group *g = old[i], *next; g != NULL; g = next) {
			struct group **at =
			    &bucket[bucket_of(groups, g->vlan, &g->addr)];

			next = g->next;
			g->next = *at;
			*at = g;
		}
	free(old);
}

static struct group *
group_get(struct groups *groups, uint16_t vlan, const struct ip6_addr *addr)
{
	struct group *g = groups_lookup(groups, vlan, addr), **at;

	if (g != NULL)
		return g;
	if (groups->ngroups >= groups->nbuckets)
		grow(groups);
	if (groups->nbuckets == 0)
		return NULL;
	g = calloc(1, sizeof(*g));
	if (g == NULL)
		return NULL;
	g->addr = *addr;
	g->vlan = vlan;
	LIST_INIT(&g->members);
	LIST_INIT(&g->named);
	g->only = group_querier(groups, g)->to_routers;
	at = &groups->bucket[bucket_of(groups, vlan, addr)];
	g->next = *at;
	*at = g;
	groups->ngroups++;
	return g;
}

static void
group_free(struct groups *groups, struct group *g)
{
	struct group **at =
	    &groups->bucket[bucket_of(groups, g->vlan, &g->addr)];

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	groups->ngroups--;
	groups->calls->free_later(groups->arg, g);
}

/* ---- members ---- */

struct member *
group_member(const struct group *group, unsigned int port)
{
	struct member *m;

	LIST_FOREACH (m, &group->members, in_group)
		if (m->port->index == port)
			break;
	return m;
}

struct member *
member_new(struct groups *groups, uint16_t vlan, const struct ip6_addr *addr,
    unsigned int port)
{
	struct group_port *p = groups->port[port];
	struct member *m = NULL;
	struct group *g;

	if (p->nmembers < groups->options.max_groups)
		m = calloc(1, sizeof(*m));
	g = m != NULL ? group_get(groups, vlan, addr) : NULL;
	if (g == NULL) {
		free(m);
		p->counts.refused++;
		return NULL;
	}
	m->group = g;
	m->port = p;
	LIST_INIT(&m->sources);
	LIST_INSERT_HEAD(&g->members, m, in_group);
	LIST_INSERT_HEAD(&p->members, m, in_port);
	p->nmembers++;
	return m;
}

void
member_free(struct groups *groups, struct member *m)
{
	struct group *g = m->group;

	member_drop_all(groups, m);
	m->exclude = false;
	member_publish(groups, m, 0);
	LIST_REMOVE(m, in_group);
	LIST_REMOVE(m, in_port);
	m->port->nmembers--;
	free(m);
	if (LIST_EMPTY(&g->members))
		group_free(groups, g);
}

/* ---- sources ---- */

static struct named *
named_get(struct group *g, const struct ip6_addr *addr)
{
	struct named *n;

	LIST_FOREACH (n, &g->named, link)
		if (ip6_equal(&n->addr, addr))
			return n;
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return NULL;
	n->addr = *addr;
	n->only = g->only; /* as yet it is one like any other */
	LIST_INSERT_HEAD(&g->named, n, link);
	return n;
}

static void
named_put(struct groups *groups, struct named *n)
{
	if (--n->refs > 0)
		return;
	LIST_REMOVE(n, link);
	groups->calls->free_later(groups->arg, n);
}

struct source *
member_find(const struct member *m, const struct ip6_addr *addr)
{
	struct source *s;

	LIST_FOREACH (s, &m->sources, link)
		if (ip6_equal(&s->named->addr, addr))
			break;
	return s;
}

struct source *
member_add(struct member *m, const struct ip6_addr *addr)
{
	struct source *s = NULL;
	struct named *n;

	if (m->nsources < GROUP_SOURCES &&
	    m->port->nsources < GROUP_PORT_SOURCES)
		s = calloc(1, sizeof(*s));
	n = s != NULL ? named_get(m->group, addr) : NULL;
	if (n == NULL) {
		free(s);
		return NULL;
	}
	n->refs++;
	s->named = n;
	LIST_INSERT_HEAD(&m->sources, s, link);
	m->nsources++;
	m->port->nsources++;
	return s;
}

void
member_drop(struct groups *groups, struct member *m, struct source *s)
{
	LIST_REMOVE(s, link);
	m->nsources--;
	m->port->nsources--;
	named_put(groups, s->named);
	free(s);
}

void
member_drop_all(struct groups *groups, struct member *m)
{
	while (!LIST_EMPTY(&m->sources))
		member_drop(groups, m, LIST_FIRST(&m->sources));
}

/* ---- sets ---- */

static void
put(struct port_set *set, unsigned int index, bool in)
{
	if (in)
		port_set_add(set, index);
	else
		port_set_remove(set, index);
}

/* What a port gets of a group; m is NULL if it is no member. */
static void
publish(struct group *g, const struct member *m, unsigned int port, bool router,
    uint64_t now_ns)
{
	bool all = router || (m != NULL && m->exclude && m->until_ns > now_ns);
	const struct source *s;
	struct named *n;

	put(&g->only, port, all);
	LIST_FOREACH (n, &g->named, link)
		put(&n->only, port, all);
	if (m == NULL || router)
		return;
	LIST_FOREACH (s, &m->sources, link)
		put(&s->named->only, port, s->until_ns > now_ns);
}

void
member_publish(
    const struct groups *groups, const struct member *m, uint64_t now_ns)
{
	const struct querier *q = group_querier(groups, m->group);
	unsigned int port = m->port->index;

	publish(m->group, m, port, port_set_has(&q->to_routers, port), now_ns);
}

void
groups_publish_router(const struct groups *groups, const struct querier *q,
    unsigned int port, uint64_t now_ns)
{
	bool router = port_set_has(&q->to_routers, port);

	for (unsigned int i = 0; i < groups->nbuckets; i++)
		for (struct group *g = groups->bucket[i]; g != NULL;
		     g = g->next)
			if (group_querier(groups, g) == q)
				publish(g, group_member(g, port), port, router,
				    now_ns);
}

/* ---- time ---- */

static void
drop_expired(struct groups *groups, struct member *m, uint64_t now_ns)
{
	for (struct source *s = LIST_FIRST(&m->sources), *next; s != NULL;
	     s = next) {
		next = LIST_NEXT(s, link);
		if (s->until_ns <= now_ns)
			member_drop(groups, m, s);
	}
}

bool
member_settle(struct groups *groups, struct member *m, uint64_t now_ns)
{
	if (!m->exclude || m->until_ns <= now_ns) {
		/* RFC 3376 6.5: what is left somebody asked for by name. */
		m->exclude = false;
		m->asks = 0;
		drop_expired(groups, m, now_ns);
		if (m->nsources == 0) {
			member_free(groups, m);
			return false;
		}
	}
	member_publish(groups, m, now_ns);
	return true;
}

uint64_t
member_next_ns(const struct member *m, uint64_t now_ns)
{
	uint64_t next = m->exclude ? m->until_ns : GROUPS_NEVER;
	bool asks = m->asks > 0;
	const struct source *s;

	LIST_FOREACH (s, &m->sources, link) {
		if (s->until_ns <= now_ns)
			continue;
		next = groups_sooner(next, s->until_ns);
		asks |= s->asks > 0;
	}
	return asks ? groups_sooner(next, m->ask_ns) : next;
}
