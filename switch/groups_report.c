/*
 * What a record does to a membership: the tables of RFC 3376 6.4.1 and 6.4.2.
 *
 * A is what is included, X what is let through in exclude mode because somebody
 * asked for it, Y what is kept back, B what the record lists.  First all of B
 * is looked up or added, and so marked; then each source is dealt with by
 * whether it is marked, was there before, and its timer runs.
 *
 * Hosts of an older version hear nothing of sources: while there are such on a
 * port, nobody there can keep a source back, and with version 1 nobody can
 * leave (7.3.2).  With fast leave there is one host, whose word is final.
 */
#include "switch/groups_state.h"

/* 224.0.0.0/24 and what stays on the link of IPv6 (RFC 4541 2.1.2, 3). */
bool
group_is_of_link(const struct ip6_addr *group)
{
	uint32_t ip4;

	if (ip6_to_ip4(&ip4, group))
		return ip4 >> 8 == 0xe00000;
	return (group->b[1] & 0xf) <= 2;
}

static bool
is_there(const struct member *m, unsigned int version, uint64_t now_ns)
{
	return m->old_until_ns[version - 1] > now_ns;
}

/* ---- the sources of a record ---- */

/* False: there are too many. */
static bool
mark_listed(
    struct member *m, struct member_record record, uint64_t until_ns, bool add)
{
	struct ip6_addr addr;
	struct source *s;

	LIST_FOREACH (s, &m->sources, link)
		s->listed = s->fresh = false;
	while (member_source(&record, &addr)) {
		s = member_find(m, &addr);
		if (s == NULL && add) {
			s = member_add(m, &addr);
			if (s == NULL)
				return false;
			s->until_ns = until_ns;
			s->fresh = true;
		}
		if (s != NULL)
			s->listed = true;
	}
	return true;
}

static void
extend_listed(struct member *m, uint64_t until_ns)
{
	struct source *s;

	LIST_FOREACH (s, &m->sources, link)
		if (s->listed) {
			s->until_ns = until_ns;
			s->asks = 0;
		}
}

static void
drop_unlisted(struct groups *groups, struct member *m)
{
	for (struct source *s = LIST_FIRST(&m->sources), *next; s != NULL;
	     s = next) {
		next = LIST_NEXT(s, link);
		if (!s->listed)
			member_drop(groups, m, s);
	}
}

/* ---- asking whether it was the last ---- */

static void
ask_group(struct querier *q, struct member *m, uint64_t now_ns)
{
	uint64_t last_ns = now_ns + querier_last_ns(q);

	if (q->groups->options.fast_leave) {
		m->until_ns = now_ns;
	} else if (q->state == QUERIER_SELF) {
		m->until_ns = groups_sooner(m->until_ns, last_ns);
		m->asks = q->robustness;
		m->ask_ns = now_ns;
	}
}

/* Asks for the sources that are listed, or for those that are not. */
static void
ask_sources(struct querier *q, struct member *m, bool listed, uint64_t now_ns)
{
	uint64_t last_ns = now_ns + querier_last_ns(q);
	struct source *s;

	LIST_FOREACH (s, &m->sources, link) {
		if (s->listed != listed || s->until_ns <= now_ns ||
		    (s->fresh && !m->exclude))
			continue;
		if (q->groups->options.fast_leave) {
			s->until_ns = now_ns;
		} else if (q->state == QUERIER_SELF) {
			s->until_ns = groups_sooner(s->until_ns, last_ns);
			s->asks = q->robustness;
			m->ask_ns = now_ns;
		}
	}
}

/* ---- the tables ---- */

/* Too many sources: all of them are wanted. */
static void
widen(struct querier *q, struct member *m, uint64_t now_ns)
{
	member_drop_all(q->groups, m);
	m->exclude = true;
	m->until_ns = now_ns + querier_member_ns(q);
	m->port->counts.widened++;
}

/* IS_IN, TO_IN, ALLOW: all that is listed is wanted from now on. */
static bool
include(struct querier *q, struct member *m, const struct member_record *record,
    uint64_t now_ns)
{
	uint64_t until_ns = now_ns + querier_member_ns(q);
	bool left = record->change == MEMBER_TO_INCLUDE;

	if (!mark_listed(m, *record, until_ns, true))
		return false;
	extend_listed(m, until_ns);
	if (left)
		ask_sources(q, m, false, now_ns);
	if (left && m->exclude)
		ask_group(q, m, now_ns);
	return true;
}

/* IS_EX, TO_EX: all but what is listed. */
static bool
exclude(struct querier *q, struct member *m, const struct member_record *record,
    uint64_t now_ns)
{
	uint64_t member_ns = now_ns + querier_member_ns(q), until_ns = now_ns;
	struct member_record listed = *record;
	bool change = record->change == MEMBER_TO_EXCLUDE;

	if (is_there(m, 1, now_ns) || is_there(m, 2, now_ns))
		listed.nsources = 0;
	if (m->exclude)
		until_ns = change ? m->until_ns : member_ns;
	if (!mark_listed(m, listed, until_ns, true))
		return false;
	drop_unlisted(q->groups, m);
	if (change)
		ask_sources(q, m, true, now_ns);
	m->exclude = true;
	m->until_ns = member_ns;
	m->asks = 0;
	return true;
}

static bool
block(struct querier *q, struct member *m, const struct member_record *record,
    uint64_t now_ns)
{
	if (is_there(m, 1, now_ns) || is_there(m, 2, now_ns))
		return true;
	if (!mark_listed(m, *record, m->until_ns, m->exclude))
		return false;
	ask_sources(q, m, true, now_ns);
	return true;
}

static void
apply(struct querier *q, struct member *m, const struct member_record *record,
    uint64_t now_ns)
{
	bool fits = true;

	switch (record->change) {
	case MEMBER_TO_INCLUDE:
		if (is_there(m, 1, now_ns))
			return;
		fits = include(q, m, record, now_ns);
		break;
	case MEMBER_IS_INCLUDE:
	case MEMBER_ALLOW: fits = include(q, m, record, now_ns); break;
	case MEMBER_IS_EXCLUDE:
	case MEMBER_TO_EXCLUDE: fits = exclude(q, m, record, now_ns); break;
	case MEMBER_BLOCK: fits = block(q, m, record, now_ns); break;
	}
	if (!fits)
		widen(q, m, now_ns);
}

/* A record that wants nothing makes no membership. */
static bool
wants(const struct member_record *record)
{
	switch (record->change) {
	case MEMBER_IS_EXCLUDE:
	case MEMBER_TO_EXCLUDE: return true;
	case MEMBER_IS_INCLUDE:
	case MEMBER_TO_INCLUDE:
	case MEMBER_ALLOW: return record->nsources > 0;
	case MEMBER_BLOCK: return false;
	}
	return false;
}

/* IGMPv3 and MLDv2 are the third generation. */
static unsigned int
generation(const struct member_msg *msg)
{
	return msg->version + (msg->ip6 ? 1u : 0u);
}

void
groups_report(struct groups *groups, struct querier *q, unsigned int port,
    struct member_msg *msg, uint64_t now_ns)
{
	struct group_port *p = groups->port[port];
	unsigned int age = generation(msg);
	struct member_record record;

	p->counts.reports++;
	while (member_next(msg, &record)) {
		struct group *g = groups_lookup(groups, q->vlan, &record.group);
		struct member *m = g != NULL ? group_member(g, port) : NULL;

		if (group_is_of_link(&record.group))
			continue;
		if (m == NULL && wants(&record))
			m = member_new(groups, q->vlan, &record.group, port);
		if (m == NULL)
			continue;
		if (age < 3 && record.change == MEMBER_IS_EXCLUDE)
			m->old_until_ns[age - 1] =
			    now_ns + querier_member_ns(q);
		apply(q, m, &record, now_ns);
		querier_ask(q, m, now_ns);
		if (member_settle(groups, m, now_ns))
			p->next_ns = groups_sooner(
			    p->next_ns, member_next_ns(m, now_ns));
	}
}
