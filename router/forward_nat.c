/*
 * The way of a packet that is translated: it is decided (nat_decide.c), its
 * headers are written, and it goes on like any other.
 */
#include "router/nat_path.h"

#include "net/ip4_options.h"
#include "router/filter6.h"

/* ---- acting ---- */

/* What may yet be cut must not mix with what others send by the same addresses
 * (RFC 6864 5.3.1).  What becomes IPv6 keeps its number (RFC 7915 4.1). */
static inline void
new_id(struct router *router, struct packet *p, const struct way *way,
    uint32_t src, uint32_t dst)
{
	uint16_t n = 1;

	if (p->ip.fragment & IP4_DF || way->out->real != NULL)
		return;
	if (p->frame->flags & FRAME_TSO4)
		n = (uint16_t)(p->frame->len / p->frame->gso_bytes + 1);
	ip_ids_write(packet_ip(p),
	    ip_ids_take(&router->ids, src, dst, p->ip.protocol, n));
}

enum reason
nat_translate(struct router *router, struct packet *p, const struct decision *d)
{
	nat_rewrite(&p->l4, &d->ends);
	p->frame->verdict.reason = (uint16_t)d->reason;
	p->frame->verdict.entry = d->entry;
	p->frame->verdict.other = d->other;
	/* Answers to an inside source need not come by here. */
	if (alg_wants(router, p) &&
	    (d->path != PATH_HAIRPIN ||
		!nat_rules(router->nat)->hairpin_internal))
		return alg_send(router, p, &d->way, &d->ends,
		    d->path == PATH_OUT      ? ALG_OUT
			: d->path == PATH_IN ? ALG_IN
					     : ALG_ROUND);
	return forward_send(router, p, &d->way);
}

/* An ICMP error that comes by path. */
static enum reason
translate_error(struct router *router, struct packet *p, enum path path,
    const struct way *to)
{
	size_t bytes = p->ip.total_bytes;
	struct nat_hit hit = { .id = 0 };
	struct way way = { .out = NULL };
	enum reason reason;

	if (!packet_whole(router, p))
		return DROP_PORT_FULL;
	if (path == PATH_OUT)
		way = *to;
	if (path != PATH_IN) {
		reason = nat_icmp_out(
		    router->nat, packet_ip(p), bytes, p->now_ns, &hit);
		if (reason == DROP_NAT_ICMP && path == PATH_HAIRPIN)
			return local_packet(router, p);
		if (reason != REASON_NAT_ICMP)
			return reason;
	}
	if (path != PATH_OUT) {
		reason = nat_icmp_in(
		    router->nat, packet_ip(p), bytes, p->now_ns, &hit);
		if (reason == DROP_NAT_ICMP && path == PATH_IN)
			router_note_refusal(router, p, reason);
		if (reason != REASON_NAT_ICMP)
			return reason;
		if (!way_find(router, hit.ip, &way))
			return DROP_NO_ROUTE;
	}
	reason = forward_check(router, p, way.out);
	if (reason != REASON_NONE)
		return reason;
	new_id(router, p, &way, get_be32(packet_ip(p) + IP4_OFF_SRC),
	    get_be32(packet_ip(p) + IP4_OFF_DST));
	p->frame->verdict.reason = REASON_NAT_ICMP;
	p->frame->verdict.entry = hit.id;
	return forward_send(router, p, &way);
}

/* ---- the ways in ---- */

static enum reason
nat_path(struct router *router, struct packet *p, enum path path,
    const struct way *way)
{
	struct decision d;
	enum reason reason;

	/* It would tell inside addresses beyond (RFC 5508 7.3). */
	if (path != PATH_IN && p->ip.header_bytes > IP4_HEADER_BYTES &&
	    ip4_source_route(&p->ip) != IP4_SOURCE_ROUTE_NONE)
		return DROP_SOURCE_ROUTE;
	if (ip4_is_fragment(&p->ip))
		return fragment_path(router, p, path, way);
	reason = nat_decide(router, p, path, way, &d);
	if (reason != REASON_NONE)
		return reason;
	switch (d.fate) {
	case FATE_TRANSLATE:
		new_id(router, p, &d.way, d.ends.src, d.ends.dst);
		return nat_translate(router, p, &d);
	case FATE_ERROR: return translate_error(router, p, path, way);
	case FATE_LOCAL: return local_packet(router, p);
	}
	return DROP_NAT_PROTOCOL;
}

enum reason
nat_path_out(struct router *router, struct packet *p, const struct way *way)
{
	return nat_path(router, p, PATH_OUT, way);
}

enum reason
nat_path_in(struct router *router, struct packet *p)
{
	return nat_path(router, p, PATH_IN, NULL);
}

enum reason
nat_path_hairpin(struct router *router, struct packet *p)
{
	return nat_path(router, p, PATH_HAIRPIN, NULL);
}

/* ---- time ---- */

void
router_nat_expire(void *arg)
{
	struct router *router = arg;

	nat_expire(router->nat, loop_now_ns(router->loop));
	router_arm_timers(router);
}

void
router_fragments_expire(void *arg)
{
	struct router *router = arg;

	fragment_expire(router->fragments, loop_now_ns(router->loop));
	router_arm_timers(router);
}

void
router_arm_timers(struct router *router)
{
	uint64_t due;

	if (router->nat != NULL) {
		due = nat_due_ns(router->nat);
		if (due != UINT64_MAX &&
		    (!loop_timer_is_set(&router->nat_timer) ||
			due < router->nat_timer.at_ns))
			loop_timer_set(&router->nat_timer, due);
	}
	if (router->filter6 != NULL)
		filter6_arm(router->filter6);
	due = fragment_due_ns(router->fragments);
	if (due != UINT64_MAX && !loop_timer_is_set(&router->fragment_timer))
		loop_timer_set(&router->fragment_timer, due);
}
