/*
 * Deciding about a packet at the NAT: first all is decided, then bytes are
 * changed, so that an error about a packet that goes no further quotes what its
 * sender sent (RFC 4787, REQ-13).  For the same reason nothing is translated that
 * would not fit or live on.
 *
 * A packet between two inside hosts by their outer ends is translated twice,
 * out and in again, so that it arrives from the sender's outer end (RFC 4787,
 * REQ-9a), and is filtered like one from beyond.
 */
#include "router/nat_path.h"

static const struct nat_segment *
segment_of(const struct packet *p)
{
	return p->l4.is_tcp ? &p->l4.segment : NULL;
}

/* The table is full or out of ports: RFC 6888 REQ-11 wants host unreachable. */
static enum reason
refuse_out(struct router *router, const struct packet *p, enum reason reason)
{
	if (reason == DROP_NAT_FULL || reason == DROP_NAT_NO_PORT ||
	    reason == DROP_NAT_HOST_LIMIT)
		output_error(router, p, ICMP_UNREACHABLE, ICMP_UNREACH_HOST, 0);
	else if (reason == DROP_NAT_PROTOCOL)
		output_error(
		    router, p, ICMP_UNREACHABLE, ICMP_UNREACH_PROHIBITED, 0);
	return reason;
}

/* A ping's answer goes out by the way it came, if that led to a host with an
 * address of its own: nobody else was asked anything. */
static enum reason
decide_reply_out(
    struct router *router, const struct packet *p, struct decision *d)
{
	const struct nat_flow flow = { .ip = p->ip.src,
		.port = p->l4.dport,
		.remote_ip = p->ip.dst,
		.protocol = IP_ICMP };
	struct nat_hit hit;

	if (!nat_find_out(router->nat, &flow, p->now_ns, &hit) ||
	    !nat_is_owned(router->nat, hit.ip))
		return DROP_NAT_STATE;
	d->reason =
	    nat_out(router->nat, &flow, NULL, p->frame->len, p->now_ns, &hit);
	if (reason_is_drop(d->reason))
		return d->reason;
	d->ends = (struct nat_ends){
		.src = hit.ip, .dst = p->ip.dst, .dport = hit.port
	};
	d->entry = hit.id;
	return REASON_NONE;
}

/* A ping to the address of one inside host goes there; others are for the
 * router. */
static enum reason
decide_ping_in(
    struct router *router, const struct packet *p, struct decision *d)
{
	const struct nat_flow flow = { .ip = p->ip.dst,
		.port = p->l4.sport,
		.remote_ip = p->ip.src,
		.protocol = IP_ICMP };
	struct nat_hit hit;

	if (!nat_is_owned(router->nat, p->ip.dst)) {
		d->fate = FATE_LOCAL;
		return REASON_NONE;
	}
	d->reason =
	    nat_in(router->nat, &flow, NULL, p->frame->len, p->now_ns, &hit);
	if (reason_is_drop(d->reason))
		return d->reason;
	if (!way_find(router, hit.ip, &d->way))
		return DROP_NO_ROUTE;
	d->ends = (struct nat_ends){
		.src = p->ip.src, .sport = hit.port, .dst = hit.ip
	};
	d->entry = hit.id;
	return forward_check(router, p, d->way.out);
}

static enum reason
decide_out(struct router *router, const struct packet *p, struct decision *d)
{
	enum reason reason = forward_check(router, p, d->way.out);
	const struct nat_flow *flow = &p->flow;
	struct nat_hit hit;

	if (reason == REASON_NONE)
		reason = p->l4_reason;
	if (reason != REASON_NONE)
		return refuse_out(router, p, reason);
	if (p->l4.kind == NAT_ICMPERROR) {
		d->fate = FATE_ERROR;
		return REASON_NONE;
	}
	if (p->l4.is_reply)
		return decide_reply_out(router, p, d);
	d->reason = nat_out(
	    router->nat, flow, segment_of(p), p->frame->len, p->now_ns, &hit);
	if (reason_is_drop(d->reason))
		return refuse_out(router, p, d->reason);
	if (router->syns.n > 0 && d->reason == REASON_NAT_NEW && p->l4.is_tcp)
		router_forget_syn(router, hit.ip, hit.port, flow);
	d->ends.src = hit.ip;
	d->ends.sport = hit.port;
	d->ends.dst = p->ip.dst;
	d->ends.dport = p->l4.dport;
	d->entry = hit.id;
	return REASON_NONE;
}

static enum reason
decide_in(struct router *router, const struct packet *p, struct decision *d)
{
	enum reason reason = p->l4_reason;
	struct nat_hit hit;

	if (reason != REASON_NONE)
		return reason;
	if (p->l4.kind == NAT_ICMPERROR) {
		d->fate = FATE_ERROR;
		return REASON_NONE;
	}
	if (p->ip.protocol == IP_ICMP && !p->l4.is_reply)
		return decide_ping_in(router, p, d);
	d->reason = nat_in(router->nat, &p->flow, segment_of(p), p->frame->len,
	    p->now_ns, &hit);
	if (reason_is_drop(d->reason))
		return d->reason;
	if (router->syns.n > 0 && p->l4.is_tcp)
		router_forget_syn(router, p->flow.ip, p->flow.port, &p->flow);
	if (!way_find(router, hit.ip, &d->way))
		return DROP_NO_ROUTE;
	d->ends.src = p->ip.src;
	d->ends.sport = p->l4.sport;
	d->ends.dst = hit.ip;
	d->ends.dport = hit.port;
	d->entry = hit.id;
	return forward_check(router, p, d->way.out);
}

/* Is a ping, or its answer, for an inside host, not for the router? */
static bool
goes_round(const struct router *router, const struct packet *p)
{
	const struct nat_flow flow = { .ip = p->ip.src,
		.port = p->l4.dport,
		.remote_ip = p->ip.dst,
		.protocol = IP_ICMP };
	struct nat_hit hit;

	if (!p->l4.is_reply)
		return nat_is_owned(router->nat, p->ip.dst);
	return nat_find_out(router->nat, &flow, p->now_ns, &hit) &&
	    nat_is_owned(router->nat, hit.ip);
}

/* A ping between inside hosts, to the address that is one's alone, or its answer
 * (RFC 5508 REQ-7). */
static enum reason
decide_ping_round(
    struct router *router, const struct packet *p, struct decision *d)
{
	bool is_reply = p->l4.is_reply;
	struct nat_flow flow = { .ip = p->ip.src,
		.port = is_reply ? p->l4.dport : p->l4.sport,
		.remote_ip = p->ip.dst,
		.protocol = IP_ICMP };
	struct nat_hit out, in;

	d->reason =
	    nat_out(router->nat, &flow, NULL, p->frame->len, p->now_ns, &out);
	if (reason_is_drop(d->reason))
		return refuse_out(router, p, d->reason);
	flow = (struct nat_flow){ .ip = p->ip.dst,
		.port = out.port,
		.remote_ip = out.ip,
		.protocol = IP_ICMP };
	d->reason =
	    nat_in(router->nat, &flow, NULL, p->frame->len, p->now_ns, &in);
	if (reason_is_drop(d->reason))
		return d->reason;
	if (!way_find(router, in.ip, &d->way))
		return DROP_NO_ROUTE;
	d->ends = (struct nat_ends){
		.src = out.ip, .sport = in.port, .dst = in.ip, .dport = in.port
	};
	d->fate = FATE_TRANSLATE;
	d->reason = REASON_NAT_HAIRPIN;
	d->entry = out.id;
	d->other = in.id;
	return forward_check(router, p, d->way.out);
}

static enum reason
decide_hairpin(
    struct router *router, const struct packet *p, struct decision *d)
{
	enum reason reason = p->l4_reason;
	struct nat_flow flow;
	struct nat_hit out, in;

	if (reason != REASON_NONE && reason != DROP_NAT_PROTOCOL)
		return reason;
	d->fate = FATE_LOCAL;
	if (reason == DROP_NAT_PROTOCOL)
		return REASON_NONE;
	if (p->l4.kind == NAT_ICMPERROR) {
		d->fate = FATE_ERROR;
		return REASON_NONE;
	}
	if (p->ip.protocol == IP_ICMP)
		return goes_round(router, p) ? decide_ping_round(router, p, d)
					     : REASON_NONE;
	if (!nat_has_port(router->nat, p->ip.dst, p->ip.protocol, p->l4.dport))
		return REASON_NONE;
	d->fate = FATE_TRANSLATE;
	reason = nat_out(router->nat, &p->flow, segment_of(p), p->frame->len,
	    p->now_ns, &out);
	if (reason_is_drop(reason))
		return refuse_out(router, p, reason);
	nat_flow_in(&p->l4, &flow);
	flow.remote_ip = out.ip;
	flow.remote_port = out.port;
	reason = nat_in(
	    router->nat, &flow, segment_of(p), p->frame->len, p->now_ns, &in);
	if (reason_is_drop(reason))
		return reason;
	if (!way_find(router, in.ip, &d->way))
		return DROP_NO_ROUTE;
	d->ends = (struct nat_ends){
		.src = out.ip, .sport = out.port, .dst = in.ip, .dport = in.port
	};
	if (nat_rules(router->nat)->hairpin_internal) {
		d->ends.src = p->ip.src;
		d->ends.sport = p->l4.sport;
	}
	d->reason = REASON_NAT_HAIRPIN;
	d->entry = out.id;
	d->other = in.id;
	return forward_check(router, p, d->way.out);
}

static bool
is_refusal_of_nat(enum reason reason)
{
	switch (reason) {
	case DROP_NAT_UNSOLICITED:
	case DROP_NAT_FILTERED:
	case DROP_NAT_STATE:
	case DROP_NAT_PROTOCOL:
	case DROP_NAT_FULL:
	case DROP_NAT_HOST_LIMIT:
	case DROP_NAT_NO_PORT: return true;
	default: return false; /* open: refused by others than NAT */
	}
}

enum reason
nat_decide(struct router *router, const struct packet *p, enum path path,
    const struct way *way, struct decision *d)
{
	enum reason reason = DROP_NAT_PROTOCOL;

	d->path = path;
	d->fate = FATE_TRANSLATE;
	d->reason = REASON_NONE;
	d->other = 0;
	if (way != NULL) {
		d->way.out = way->out;
		d->way.next_hop = way->next_hop;
	}
	switch (path) {
	case PATH_OUT: reason = decide_out(router, p, d); break;
	case PATH_IN: reason = decide_in(router, p, d); break;
	case PATH_HAIRPIN: reason = decide_hairpin(router, p, d); break;
	case PATH_LOCAL:
		d->fate = FATE_LOCAL;
		reason = REASON_NONE;
		break;
	}
	if (reason_is_drop(reason) && is_refusal_of_nat(reason)) {
		router_note_refusal(router, p, reason);
		if (path == PATH_IN &&
		    (reason == DROP_NAT_UNSOLICITED ||
			reason == DROP_NAT_FILTERED))
			router_hold_syn(router, p);
	}
	return reason;
}
