#include "vmm/guest/reass.h"

#include <string.h>

#include "vmm/guest/stack.h"

static void reass_expire(void *arg);

void
reass_init(struct reass all[REASS_SLOTS])
{
	for (unsigned int i = 0; i < REASS_SLOTS; i++)
		timer_init(&all[i].timer, reass_expire, &all[i]);
}

void
reass_free(struct reass *r)
{
	timer_unset(&r->nif->stack->timers, &r->timer);
	r->used = false;
}

static void
reass_expire(void *arg)
{
	struct reass *r = arg;

	netif_drop(r->nif, DROP_FRAGMENT);
	reass_free(r);
}

/* The slot of this datagram; a new one takes a free slot or the oldest. */
static struct reass *
find(struct netif *nif, const struct fragment *f)
{
	struct stack *stack = nif->stack;
	struct reass *r, *victim = &stack->ip.reass[0];

	for (unsigned int i = 0; i < REASS_SLOTS; i++) {
		r = &stack->ip.reass[i];
		if (r->used && r->nif == nif && r->of.id == f->id &&
		    ip6_equal(&r->of.src, &f->src) &&
		    ip6_equal(&r->of.dst, &f->dst) &&
		    r->of.protocol == f->protocol)
			return r;
		if (victim->used &&
		    (!r->used || r->timer.at_us < victim->timer.at_us))
			victim = r;
	}
	if (victim->used)
		reass_expire(victim);
	victim->used = true;
	victim->nif = nif;
	victim->of = *f;
	victim->total_bytes = victim->have_bytes = victim->reach_bytes = 0;
	victim->first4 = (struct ip4){ 0 };
	victim->first6 = (struct ip6){ 0 };
	memset(victim->blocks, 0, sizeof(victim->blocks));
	timer_set(
	    &stack->timers, &victim->timer, stack->now_us + REASS_TIMEOUT_US);
	return victim;
}

/* Marks the fragment's blocks.  False: one of them was here before. */
static bool
mark(struct reass *r, size_t at, size_t bytes)
{
	for (size_t b = at / 8; b < (at + bytes + 7) / 8; b++) {
		if (r->blocks[b / 8] & 1u << b % 8)
			return false;
		r->blocks[b / 8] |= (uint8_t)(1u << b % 8);
	}
	return true;
}

struct reass *
reass_add(struct netif *nif, const struct fragment *f, const struct ip4 *ip4,
    const struct ip6 *ip6, const struct cursor *c)
{
	struct reass *r = find(nif, f);
	const size_t bytes = cur_left(c), end = f->at + bytes;

	if (bytes == 0 || (!f->last && bytes % 8 != 0) ||
	    end > IP4_MAX_BYTES - IP4_HEADER_BYTES ||
	    (r->total_bytes != 0 && (f->last || end > r->total_bytes)) ||
	    !mark(r, f->at, bytes)) {
		reass_expire(r);
		return NULL;
	}
	memcpy(r->data + f->at, c->at, bytes);
	r->have_bytes += bytes;
	if (end > r->reach_bytes)
		r->reach_bytes = end;
	if (f->at == 0 && ip4 != NULL)
		r->first4 = *ip4;
	if (f->at == 0 && ip6 != NULL)
		r->first6 = *ip6;
	if (f->last)
		r->total_bytes = end;
	/* Bytes behind the end came before it: nothing can be made of it. */
	if (f->last && r->reach_bytes > end) {
		reass_expire(r);
		return NULL;
	}
	return r->total_bytes != 0 && r->have_bytes == r->total_bytes ? r
								      : NULL;
}
