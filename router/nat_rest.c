/*
 * Ends are kept in ticks of 2^30 ns, about a second, which 32 bits count for a
 * century; a rest is longer by up to one.
 */
#include "router/nat_rest.h"

#include "router/nat_state.h"

#define TICK_SHIFT 30

static uint32_t
end_of(const struct nat *nat, uint64_t now_ns)
{
	uint64_t end_ns = now_ns + nat_rest_ns(&nat->rules);

	return (uint32_t)(end_ns >> TICK_SHIFT) + 1;
}

bool
nat_rests(const struct nat *nat, uint32_t mapping)
{
	const struct mapping *m = &nat->mappings[mapping];

	return m->protocol != IP_TCP &&
	    nat->addresses.of[m->address]->inside_ip == 0 &&
	    nat->rules.filtering == NAT_ENDPOINT_INDEPENDENT &&
	    nat_rest_ns(&nat->rules) != 0;
}

void
nat_rest_begin(struct nat *nat, uint32_t mapping, uint64_t now_ns)
{
	struct mapping *m = &nat->mappings[mapping];

	m->rests_until = end_of(nat, now_ns);
	m->prev = nat->rest.last;
	m->next = NAT_NONE;
	if (m->prev != NAT_NONE)
		nat->mappings[m->prev].next = mapping;
	else
		nat->rest.first = mapping;
	nat->rest.last = mapping;
	nat->rest.n++;
	if (nat_rest_due_ns(nat) < nat->due_ns)
		nat->due_ns = nat_rest_due_ns(nat);
}

void
nat_rest_end(struct nat *nat, uint32_t mapping)
{
	struct mapping *m = &nat->mappings[mapping];

	m->rests_until = 0;
	if (m->prev != NAT_NONE)
		nat->mappings[m->prev].next = m->next;
	else
		nat->rest.first = m->next;
	if (m->next != NAT_NONE)
		nat->mappings[m->next].prev = m->prev;
	else
		nat->rest.last = m->prev;
	nat->rest.n--;
}

uint64_t
nat_rest_due_ns(const struct nat *nat)
{
	return nat->rest.first == NAT_NONE
	    ? UINT64_MAX
	    : (uint64_t)nat->mappings[nat->rest.first].rests_until
		<< TICK_SHIFT;
}

uint32_t
nat_rest_due(const struct nat *nat, uint64_t now_ns)
{
	return nat_rest_due_ns(nat) <= now_ns ? nat->rest.first : NAT_NONE;
}

void
nat_rest_shorten(struct nat *nat, uint64_t now_ns)
{
	uint32_t last = end_of(nat, now_ns);

	for (uint32_t id = nat->rest.first; id != NAT_NONE;
	     id = nat->mappings[id].next)
		if (nat->mappings[id].rests_until > last)
			nat->mappings[id].rests_until = last;
}
