#include "router/prefix6.h"

#include "router/router6.h"

/* The pair of the inside prefix that addr is of, to leave by out; NULL: none. */
static const struct prefix6_pair *
pair_of_inside(const struct router *router, const struct iface *out,
    const struct ip6_addr *addr)
{
	for (unsigned int i = 0; i < router->npairs; i++)
		if (router->pairs[i].outside == out &&
		    ip6_net_has(&router->pairs[i].npt.inside, addr))
			return &router->pairs[i];
	return NULL;
}

static const struct prefix6_pair *
pair_of_outside(const struct router *router, const struct ip6_addr *addr)
{
	for (unsigned int i = 0; i < router->npairs; i++)
		if (ip6_net_has(&router->pairs[i].npt.outside, addr))
			return &router->pairs[i];
	return NULL;
}

bool
prefix6_hides(const struct router *router, const struct iface *in,
    const struct ip6_addr *addr)
{
	return pair_of_inside(router, in, addr) != NULL;
}

enum reason
prefix6_arrive(const struct router *router, const struct packet6 *p,
    struct prefix6_change *change)
{
	const struct prefix6_pair *pair = pair_of_outside(router, &change->dst);

	if (pair == NULL)
		return REASON_NONE;
	/* The router's own have addresses for outside there. */
	if (npt6_in(&pair->npt, &change->dst) != NPT6_DONE ||
	    router_owner6(router, p->in, &change->dst) != NULL)
		return DROP_NPT;
	change->reason = REASON_NPT_IN;
	if (p->in == pair->outside)
		return REASON_NONE;
	/* Between two inside hosts by the outside: the other one is to see
	 * whom it can answer so. */
	change->reason = REASON_NPT_HAIRPIN;
	return npt6_out(&pair->npt, &change->src) == NPT6_DONE ? REASON_NONE
							       : DROP_NPT;
}

enum reason
prefix6_leave(struct router *router, const struct packet6 *p,
    const struct iface *out, struct prefix6_change *change)
{
	const struct prefix6_pair *pair =
	    pair_of_inside(router, out, &change->src);
	enum npt6_result result;

	if (pair == NULL || p->in == out)
		return REASON_NONE;
	result = npt6_out(&pair->npt, &change->src);
	if (result == NPT6_NO_HOST)
		output6_error(router, p, ICMP6_PARAMETER,
		    ICMP6_PARAMETER_HEADER, IP6_OFF_SRC);
	else if (result == NPT6_NO_SUBNET)
		output6_error(
		    router, p, ICMP6_UNREACHABLE, ICMP6_UNREACH_PROHIBITED, 0);
	if (result != NPT6_DONE)
		return DROP_NPT;
	change->reason = REASON_NPT_OUT;
	return REASON_NONE;
}

/* ---- writing ---- */

static void
put_addr(uint8_t *at, const struct ip6_addr *addr)
{
	memcpy(at, addr->b, sizeof(addr->b));
}

static struct ip6_addr
get_addr(const uint8_t *at)
{
	struct ip6_addr addr;

	memcpy(addr.b, at, sizeof(addr.b));
	return addr;
}

/* The packet that an ICMPv6 error quotes, or NULL.  Its sum need not change:
 * no address's does. */
static uint8_t *
quoted_by(struct packet6 *p)
{
	struct cursor c = packet6_payload(p);
	struct ip6_chain chain;
	size_t at;

	if (ip6_chain_parse(&chain, &c, &p->ip) != REASON_NONE ||
	    chain.protocol != IP_ICMP6 || chain.offset_bytes != 0 ||
	    cur_left(&c) < ICMP6_HEADER_BYTES + IP6_HEADER_BYTES ||
	    !icmp6_is_error(c.at[0]))
		return NULL;
	at = (size_t)(c.at - packet6_ip(p)) + ICMP6_HEADER_BYTES;
	return packet6_ip(p) + at;
}

void
prefix6_apply(const struct router *router, struct packet6 *p,
    const struct prefix6_change *change)
{
	uint8_t *quoted = quoted_by(p), *ip = packet6_ip(p);

	/* It quotes what went the other way. */
	if (quoted != NULL) {
		struct ip6_addr src = get_addr(quoted + IP6_OFF_SRC);
		struct ip6_addr dst = get_addr(quoted + IP6_OFF_DST);
		const struct prefix6_pair *pair = pair_of_outside(router, &src);

		if (change->reason != REASON_NPT_OUT && pair != NULL &&
		    npt6_in(&pair->npt, &src) == NPT6_DONE)
			put_addr(quoted + IP6_OFF_SRC, &src);
		for (unsigned int i = 0; i < router->npairs; i++)
			if (change->reason != REASON_NPT_IN &&
			    npt6_out(&router->pairs[i].npt, &dst) ==
				NPT6_DONE) {
				put_addr(quoted + IP6_OFF_DST, &dst);
				break;
			}
	}
	p->ip.src = change->src;
	p->ip.dst = change->dst;
	put_addr(ip + IP6_OFF_SRC, &p->ip.src);
	put_addr(ip + IP6_OFF_DST, &p->ip.dst);
}

void
prefix6_undo(const struct router *router, const struct iface *out, uint8_t *ip,
    size_t bytes, struct ip6_addr *src)
{
	const struct prefix6_pair *pair = pair_of_outside(router, src);
	struct ip6_addr dst;
	const struct route6 *from;

	if (bytes < IP6_HEADER_BYTES)
		return;
	if (pair != NULL && pair->outside == out &&
	    npt6_in(&pair->npt, src) == NPT6_DONE) {
		put_addr(ip + IP6_OFF_SRC, src);
		return;
	}
	from = route6_find(&router->routes6, src);
	dst = get_addr(ip + IP6_OFF_DST);
	pair = from != NULL ? pair_of_inside(router, from->out, &dst) : NULL;
	if (pair != NULL && pair->outside != out &&
	    npt6_out(&pair->npt, &dst) == NPT6_DONE)
		put_addr(ip + IP6_OFF_DST, &dst);
}
