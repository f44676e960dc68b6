/*
 * A rest takes the place of a session, mostly that of the mapping's last one: so
 * there are always as many as sessions leave, and they need no memory.  Such a
 * session is in no index, never lives, and is in the list of rests instead of a
 * timer's.
 */
#include "router/nat_rest.h"

#include "router/nat_state.h"

bool
nat_rests(const struct nat *nat, uint32_t mapping)
{
	const struct mapping *m = &nat->mappings[mapping];

	return m->protocol != IP_TCP &&
	    nat->addresses.of[m->address]->inside_ip == 0 &&
	    nat->rules.filtering == NAT_ENDPOINT_INDEPENDENT &&
	    nat_rest_ns(&nat->rules) != 0;
}

bool
nat_rest_begin(struct nat *nat, uint32_t mapping, uint64_t now_ns)
{
	uint32_t id = NAT_POOL_TAKE(&nat->session_pool, nat->sessions);
	struct session *s = &nat->sessions[id];

	if (id == NAT_NONE)
		return false;
	nat->mappings[mapping].rests = 1;
	nat->mappings[mapping].users = id & 0xffffff;
	*s = (struct session){ .mapping = mapping & 0xffffff,
		.prev = nat->rest.last,
		.rests_until_ns = now_ns + nat_rest_ns(&nat->rules) };
	if (s->prev != NAT_NONE)
		nat->sessions[s->prev].next = id;
	else
		nat->rest.first = id;
	nat->rest.last = id;
	nat->rest.n++;
	if (nat_rest_due_ns(nat) < nat->due_ns)
		nat->due_ns = nat_rest_due_ns(nat);
	return true;
}

void
nat_rest_end(struct nat *nat, uint32_t mapping)
{
	struct mapping *m = &nat->mappings[mapping];
	uint32_t id = m->users;
	struct session *s = &nat->sessions[id];

	if (s->prev != NAT_NONE)
		nat->sessions[s->prev].next = s->next;
	else
		nat->rest.first = s->next;
	if (s->next != NAT_NONE)
		nat->sessions[s->next].prev = s->prev;
	else
		nat->rest.last = s->prev;
	nat->rest.n--;
	m->rests = 0;
	m->users = 0;
	nat_pool_give(&nat->session_pool, id, &s->next);
}

uint64_t
nat_rest_due_ns(const struct nat *nat)
{
	return nat->rest.first == NAT_NONE
	    ? UINT64_MAX
	    : nat->sessions[nat->rest.first].rests_until_ns;
}

uint32_t
nat_rest_first(const struct nat *nat)
{
	return nat->sessions[nat->rest.first].mapping;
}

void
nat_rest_shorten(struct nat *nat, uint64_t now_ns)
{
	uint64_t last_ns = now_ns + nat_rest_ns(&nat->rules);

	for (uint32_t id = nat->rest.first; id != NAT_NONE;
	     id = nat->sessions[id].next)
		if (nat->sessions[id].rests_until_ns > last_ns)
			nat->sessions[id].rests_until_ns = last_ns;
}
