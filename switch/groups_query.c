/*
 * Who asks in a VLAN (RFC 3376 6.6.2, RFC 3810 7.6.2), for each family:
 *
 *     we are none                       we are one
 *
 *     NONE --query--> OTHER             SELF --query from a lower--> OTHER
 *       ^               |                 ^       address              |
 *       '---- 255 s ----'                 '------------ 255 s ---------'
 *
 * (255 s: robustness times the query interval, and half a response time.)
 *
 * A query from 0.0.0.0 comes from a snooping switch, not from a router, and is
 * not of a querier (RFC 4541 2.1.1).  Whoever asks is behind a router port, and
 * so is whoever else speaks as a router.
 *
 * A query that asks for a group, or for sources of it, shortens what we know of
 * all ports, because members answer it; unless its sender says that others
 * leave their timers alone (6.6.1).
 */
#include "switch/groups_state.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"

#define NITEMS(a)   (sizeof(a) / sizeof((a)[0]))
#define Q_TO(state) (1u << QUERIER_##state)

/* ---- times ---- */

uint64_t
querier_member_ns(const struct querier *q)
{
	return q->robustness * q->query_ns + q->response_ns;
}

uint64_t
querier_last_ns(const struct querier *q)
{
	return q->robustness * q->groups->options.last_ns;
}

static uint64_t
other_ns(const struct querier *q)
{
	return q->robustness * q->query_ns + q->response_ns / 2;
}

static void
use_ours(struct querier *q)
{
	const struct groups_options *o = &q->groups->options;

	q->robustness = o->robustness;
	q->query_ns = o->query_ns;
	q->response_ns = o->response_ns;
}

/* ---- states ---- */

static void
enter_none(struct querier *q, uint64_t now_ns)
{
	(void)now_ns;
	use_ours(q);
}

static void
enter_other(struct querier *q, uint64_t now_ns)
{
	(void)now_ns;
	q->next_ns = GROUPS_NEVER;
}

static void
enter_self(struct querier *q, uint64_t now_ns)
{
	use_ours(q);
	q->startup = q->robustness;
	q->next_ns = now_ns;
}

static const struct {
	const char *name;
	unsigned int next; /* states we may leave for */
	void (*enter)(struct querier *q, uint64_t now_ns);
} querier_fsm[] = {
	[QUERIER_NONE] = { "none", Q_TO(OTHER) | Q_TO(SELF), enter_none },
	[QUERIER_OTHER] = { "other", Q_TO(NONE) | Q_TO(SELF), enter_other },
	[QUERIER_SELF] = { "self", Q_TO(OTHER), enter_self },
};
static_assert(NITEMS(querier_fsm) == QUERIER_NSTATES, "a state has no row");

static void
querier_set(struct querier *q, enum querier_state to, uint64_t now_ns)
{
	assert(querier_fsm[q->state].next & 1u << to);
	log_debug("querier of VLAN %u, IPv%d: %s -> %s", q->vlan,
	    q->ip6 ? 6 : 4, querier_fsm[q->state].name, querier_fsm[to].name);
	/* Before, nobody asked: members become known as they answer. */
	if (q->state == QUERIER_NONE)
		q->trust_ns = now_ns + q->groups->options.response_ns;
	q->state = (uint8_t)to;
	querier_fsm[to].enter(q, now_ns);
}

struct ip6_addr
querier_address(const struct querier *q)
{
	return q->ip6 ? ip6_link_local(&q->groups->options.mac)
		      : ip6_of_ip4(q->groups->options.querier);
}

static bool
is_static(const struct querier *q, unsigned int port)
{
	return q->groups->port[port]->used && q->groups->port[port]->router;
}

void
querier_init(struct querier *q, struct groups *groups, uint16_t vlan, bool ip6,
    uint64_t now_ns)
{
	*q = (struct querier){ .groups = groups,
		.vlan = vlan,
		.ip6 = ip6,
		.state = QUERIER_NONE,
		.next_ns = GROUPS_NEVER };
	LIST_INIT(&q->routers);
	use_ours(q);
	for (unsigned int i = 0; i < groups->nports; i++)
		if (groups->port[i] != NULL && is_static(q, i))
			port_set_add(&q->to_routers, i);
	if (groups->options.querier != 0)
		querier_set(q, QUERIER_SELF, now_ns);
}

/* ---- routers ---- */

static struct group_router *
find_router(const struct querier *q, unsigned int port)
{
	struct group_router *r;

	LIST_FOREACH (r, &q->routers, link)
		if (r->port == port)
			break;
	return r;
}

/* Puts into all sets whether there is a router behind port. */
static void
publish_router(struct querier *q, unsigned int port, uint64_t now_ns)
{
	bool is = is_static(q, port) || find_router(q, port) != NULL;

	if (port >= PORT_SET_MAX || is == port_set_has(&q->to_routers, port))
		return;
	if (is)
		port_set_add(&q->to_routers, port);
	else
		port_set_remove(&q->to_routers, port);
	groups_publish_router(q->groups, q, port, now_ns);
}

void
querier_router(
    struct querier *q, unsigned int port, uint64_t until_ns, uint64_t now_ns)
{
	struct group_router *r = find_router(q, port);

	if (r == NULL) {
		r = calloc(1, sizeof(*r));
		if (r == NULL)
			return; /* it will speak again */
		r->port = port;
		LIST_INSERT_HEAD(&q->routers, r, link);
		publish_router(q, port, now_ns);
	}
	if (until_ns > r->until_ns)
		r->until_ns = until_ns;
}

static void
forget_router(struct querier *q, struct group_router *r, uint64_t now_ns)
{
	unsigned int port = r->port;

	LIST_REMOVE(r, link);
	free(r);
	publish_router(q, port, now_ns);
}

void
querier_router_gone(struct querier *q, unsigned int port, uint64_t now_ns)
{
	struct group_router *r = find_router(q, port);

	if (r != NULL)
		forget_router(q, r, now_ns);
	/* Its queries will be missed. */
	if (q->state == QUERIER_OTHER && q->port == port)
		q->until_ns = now_ns;
}

void
querier_static(struct querier *q, unsigned int port, uint64_t now_ns)
{
	publish_router(q, port, now_ns);
}

void
querier_free(struct querier *q)
{
	struct group_router *r;

	while ((r = LIST_FIRST(&q->routers)) != NULL) {
		LIST_REMOVE(r, link);
		free(r);
	}
}

/* ---- hearing ---- */

/* The sender's timing is everybody's (RFC 3376 4.1.6, 4.1.7). */
static void
use_theirs(struct querier *q, const struct member_msg *msg)
{
	use_ours(q);
	if (msg->robustness > 0)
		q->robustness = msg->robustness;
	if (msg->interval_s > 0)
		q->query_ns = msg->interval_s * GROUPS_NS_PER_S;
	if (ip6_is_zero(&msg->group) && msg->max_response_ms > 0)
		q->response_ns = msg->max_response_ms * GROUPS_NS_PER_MS;
}

static void
elect(struct querier *q, unsigned int port, const struct member_msg *msg,
    uint64_t now_ns)
{
	struct ip6_addr ours = querier_address(q);
	const struct ip6_addr *best =
	    q->state == QUERIER_SELF ? &ours : &q->address;

	/* The lower address wins; one that is in charge is heard again. */
	if (q->state != QUERIER_NONE &&
	    memcmp(msg->src.b, best->b, sizeof(best->b)) > 0)
		return;
	if (q->state == QUERIER_SELF && ip6_equal(&msg->src, &ours))
		return;
	if (q->state != QUERIER_OTHER)
		querier_set(q, QUERIER_OTHER, now_ns);
	q->address = msg->src;
	q->port = port;
	use_theirs(q, msg);
	q->until_ns = now_ns + other_ns(q);
}

/* Members answer by then, or are none. */
static void
shorten(struct querier *q, struct member_msg *msg, uint64_t now_ns)
{
	uint64_t last_ns =
	    now_ns + q->robustness * msg->max_response_ms * GROUPS_NS_PER_MS;
	struct group *g = groups_lookup(q->groups, q->vlan, &msg->group);
	struct member *m;

	if (g == NULL)
		return;
	LIST_FOREACH (m, &g->members, in_group) {
		struct member_record listed = msg->record;
		struct ip6_addr addr;

		if (listed.nsources == 0)
			m->until_ns = groups_sooner(m->until_ns, last_ns);
		while (member_source(&listed, &addr)) {
			struct source *s = member_find(m, &addr);

			if (s != NULL)
				s->until_ns =
				    groups_sooner(s->until_ns, last_ns);
		}
		m->port->next_ns =
		    groups_sooner(m->port->next_ns, member_next_ns(m, now_ns));
	}
}

void
querier_heard(struct querier *q, unsigned int port, struct member_msg *msg,
    uint64_t now_ns)
{
	struct ip6_addr nobody = ip6_of_ip4(0);

	q->groups->port[port]->counts.queries++;
	if (ip6_equal(&msg->src, &nobody))
		return;
	elect(q, port, msg, now_ns);
	querier_router(q, port, now_ns + other_ns(q), now_ns);
	if (!ip6_is_zero(&msg->group) && !msg->suppress)
		shorten(q, msg, now_ns);
}

/* ---- asking ---- */

static struct member_query
query_of(const struct querier *q)
{
	const struct groups_options *o = &q->groups->options;

	return (struct member_query){
		.ip6 = q->ip6,
		.version = q->ip6 ? o->mld : o->igmp,
		.src = querier_address(q),
		.robustness = o->robustness,
		.interval_s = (uint32_t)(o->query_ns / GROUPS_NS_PER_S),
		.max_response_ms =
		    (uint32_t)(o->response_ns / GROUPS_NS_PER_MS),
	};
}

static void
ask_all(struct querier *q, uint64_t now_ns)
{
	struct member_query query = query_of(q);
	uint64_t wait_ns = q->query_ns;

	if (q->startup > 0 && --q->startup > 0)
		wait_ns /= 4;
	q->next_ns = now_ns + wait_ns;
	q->groups->calls->query(
	    q->groups->arg, q->vlan, GROUPS_ALL_PORTS, &query);
}

/* Sources that may go are asked for together; older versions have no such
 * query, and need none: their hosts report no sources. */
static void
ask_for_sources(struct querier *q, struct member *m,
    const struct member_query *about, uint64_t now_ns)
{
	struct ip6_addr list[MEMBER_QUERY_SOURCES];
	struct member_query query = *about;
	struct source *s;

	static_assert(MEMBER_QUERY_SOURCES >= GROUP_SOURCES, "all fit in one");
	query.source = list;
	LIST_FOREACH (s, &m->sources, link)
		if (s->asks > 0 && s->until_ns > now_ns) {
			s->asks--;
			list[query.nsources++] = s->named->addr;
		}
	if (query.nsources > 0 && query.version >= (q->ip6 ? 2 : 3))
		q->groups->calls->query(
		    q->groups->arg, q->vlan, m->port->index, &query);
}

/* Another asks now. */
static void
forget_asks(struct member *m)
{
	struct source *s;

	m->asks = 0;
	LIST_FOREACH (s, &m->sources, link)
		s->asks = 0;
}

void
querier_ask(struct querier *q, struct member *m, uint64_t now_ns)
{
	struct member_query query = query_of(q);
	uint64_t last_ns = q->groups->options.last_ns;

	if (q->state != QUERIER_SELF)
		forget_asks(m);
	if (q->state != QUERIER_SELF || now_ns < m->ask_ns)
		return;
	query.group = m->group->addr;
	query.max_response_ms = (uint32_t)(last_ns / GROUPS_NS_PER_MS);
	m->ask_ns = now_ns + last_ns;
	if (m->asks > 0) {
		m->asks--;
		q->groups->calls->query(
		    q->groups->arg, q->vlan, m->port->index, &query);
	}
	ask_for_sources(q, m, &query, now_ns);
}

void
querier_restart(struct querier *q, uint64_t now_ns)
{
	if (q->state == QUERIER_SELF)
		enter_self(q, now_ns);
}

uint64_t
querier_run(struct querier *q, uint64_t now_ns)
{
	uint64_t next = GROUPS_NEVER;

	if (q->state == QUERIER_OTHER && now_ns >= q->until_ns)
		querier_set(q,
		    q->groups->options.querier != 0 ? QUERIER_SELF
						    : QUERIER_NONE,
		    now_ns);
	if (q->state == QUERIER_SELF && now_ns >= q->next_ns)
		ask_all(q, now_ns);
	for (struct group_router *r = LIST_FIRST(&q->routers), *after;
	     r != NULL; r = after) {
		after = LIST_NEXT(r, link);
		if (now_ns >= r->until_ns)
			forget_router(q, r, now_ns);
		else
			next = groups_sooner(next, r->until_ns);
	}
	if (q->state == QUERIER_OTHER)
		next = groups_sooner(next, q->until_ns);
	return groups_sooner(next, q->next_ns);
}
