/*
 * What ends when the outside has another address, or the inside another net.
 *
 * Such changes are rare and all sessions may be concerned: one walk over them
 * is what a change costs.  An address keeps its index, and with it its ports: so
 * the forwards of the lab file, which stay, are at the new address at once.
 */
#include "router/nat_state.h"

/* What is to end. */
struct ending {
	bool outside;       /* all that have the NAT's own address */
	struct ip4_net net; /* else: hosts of that */
};

static bool
ends(const struct nat *nat, const struct mapping *m, void *arg)
{
	const struct ending *e = arg;

	return e->outside ? m->address == nat->own
			  : ip4_net_has(e->net, m->in_ip);
}

/* The same of a session, whose mapping may have gone before it. */
static bool
session_ends(
    const struct nat *nat, const struct session *s, const struct ending *e)
{
	return e->outside ? s->address == nat->own
			  : ip4_net_has(e->net, s->in_ip);
}

static void
end_rests(struct nat *nat, struct ending *e)
{
	uint32_t id = nat->rest.first;

	while (id != NAT_NONE) {
		uint32_t next = nat->sessions[id].next;
		uint32_t mapping = nat->sessions[id].mapping;

		if (ends(nat, &nat->mappings[mapping], e))
			nat_mapping_end_rest(nat, mapping);
		id = next;
	}
}

/* Sessions first: their mappings begin to rest. */
static uint32_t
end_all(struct nat *nat, struct ending *e, uint64_t now_ns)
{
	uint32_t n = 0;

	nat_expire(nat, now_ns);
	for (uint32_t id = 1; id <= nat->session_pool.fresh; id++) {
		const struct session *s = &nat->sessions[id];

		if (s->expires_ns == 0 || !session_ends(nat, s, e))
			continue;
		nat_session_end(nat, id, now_ns);
		n++;
	}
	nat_pin_end_some(nat, ends, e, now_ns);
	end_rests(nat, e);
	return n;
}

uint32_t
nat_move(struct nat *nat, uint32_t ip, uint64_t now_ns)
{
	struct ending e = { .outside = true };
	uint32_t n;

	if (nat->addresses.ip[nat->own] == ip)
		return 0;
	n = end_all(nat, &e, now_ns);
	nat_addresses_move(&nat->addresses, nat->own, ip);
	nat->own_ip = ip;
	return n;
}

uint32_t
nat_end_hosts(struct nat *nat, struct ip4_net net, uint64_t now_ns)
{
	struct ending e = { .net = net };

	return end_all(nat, &e, now_ns);
}
