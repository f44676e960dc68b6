/*
 * Neighbour discovery, the router's side (RFC 4861 7.2).
 *
 * It answers for its own addresses alone, and asks with its link-local address.
 * Who claims an address that another one is known to have is not believed while
 * that one answers (neigh.h), override flag or not: anybody can set that.  While
 * the router looks whether an address is free it answers nothing (dad.h).
 *
 * An entry is made by who asks for the router, since it will be answered, and
 * by what the router sends itself; never by an advertisement.
 */
#include "router/router6.h"

#include "base/log.h"
#include "net/nd.h"

/* ---- answers ---- */

static void
advertise(struct router *router, struct iface *out,
    const struct nd_message *asked, const struct ip6 *ip)
{
	bool nameless = ip6_is_zero(&ip->src);
	/* Other routers may have the address of any (7.2.4, 7.2.7). */
	bool own = iface6_is_unicast(out, &asked->target);
	const struct nd_message answer = { .type = ND_ADVERTISE,
		.flags = ND_ROUTER | (own ? ND_OVERRIDE : 0) |
		    (nameless ? 0 : ND_SOLICITED),
		.target = asked->target,
		.mac = out->mac };
	const struct ip6_addr *to = nameless ? &ip6_all_nodes : &ip->src;
	const struct ip6_addr *from =
	    own ? &asked->target : iface6_source(out, to);
	uint8_t *room = output_room(router, IP6_HEADER_BYTES + ND_BYTES);
	struct writer w;

	if (room == NULL || from == NULL)
		return; /* who asks will ask again */
	w = writer(room, IP6_HEADER_BYTES + ND_BYTES);
	nd_message_write(&w, &answer, from, to);
	output6_own(router, out, room, IP6_HEADER_BYTES + ND_BYTES);
}

static enum reason
take_solicit(
    struct router *router, struct packet6 *p, const struct nd_message *nd)
{
	if (router_owner6(router, p->in, &nd->target) != p->in)
		return DROP_NOT_OURS;
	if (!ip6_is_zero(&p->ip.src) && !iface6_has_on_link(p->in, &p->ip.src))
		return DROP_MARTIAN;
	if (!mac_is_zero(&nd->mac) && !ip6_is_zero(&p->ip.src))
		neigh_heard(router->neighbours6, p->in, &p->ip.src, &nd->mac,
		    NEIGH_MAKE);
	advertise(router, p->in, nd, &p->ip);
	return REASON_DELIVERED;
}

static enum reason
take_advertise(
    struct router *router, struct packet6 *p, const struct nd_message *nd)
{
	if (router_owner6(router, p->in, &nd->target) == p->in) {
		char text[IP6_TEXT_BYTES];

		/* A message that says the same twice a second tells no more. */
		log_debug("%s: another host says that it has %s",
		    p->in->port.name, ip6_text(text, &nd->target));
		return REASON_DELIVERED;
	}
	if (mac_is_zero(&nd->mac))
		return REASON_DELIVERED;
	neigh_heard(router->neighbours6, p->in, &nd->target, &nd->mac,
	    nd->flags & ND_SOLICITED ? NEIGH_CONFIRMED : 0);
	return REASON_DELIVERED;
}

enum reason
nd_take(struct router *router, struct packet6 *p, struct cursor *c)
{
	struct nd_message nd;
	enum reason reason = nd_message_parse(&nd, c, &p->ip);

	if (reason != REASON_NONE)
		return reason;
	/* A group is no station. */
	if (mac_is_group(&nd.mac))
		return DROP_ETH_SOURCE;
	if (dad_heard(p->in, p, &nd))
		return nd.type == ND_SOLICIT ? DROP_TENTATIVE
					     : REASON_DELIVERED;
	return nd.type == ND_SOLICIT ? take_solicit(router, p, &nd)
				     : take_advertise(router, p, &nd);
}

/* ---- what the neighbours' table asks for ---- */

static void
ask(void *arg, struct iface *iface, const struct ip6_addr *ip,
    const struct mac *to)
{
	struct router *router = arg;
	const struct nd_message question = {
		.type = ND_SOLICIT, .target = *ip, .mac = iface->mac
	};
	struct ip6_addr group = nd_group(ip);
	struct mac group_mac = nd_group_mac(&group);
	uint8_t *room = output_room(router, IP6_HEADER_BYTES + ND_BYTES);
	struct writer w;

	/* There is no address to ask from while that is not known to be free. */
	if (room == NULL || iface->six.link_state != DAD_ASSIGNED)
		return; /* it is asked for again in a second */
	w = writer(room, IP6_HEADER_BYTES + ND_BYTES);
	nd_message_write(
	    &w, &question, &iface->six.link_local, to != NULL ? ip : &group);
	output6_direct(router, iface, to != NULL ? to : &group_mac, room,
	    IP6_HEADER_BYTES + ND_BYTES);
}

static void
send_kept(
    void *arg, struct iface *iface, const struct mac *to, struct held *held)
{
	output_kept(arg, iface, to, ETH_IPV6, held);
}

static void
lose_kept(void *arg, struct iface *iface, struct held *held, enum reason reason)
{
	output_lost(arg, iface, held, reason);
	if (reason == DROP_ND_FAILED)
		output6_unreachable(arg, iface, held);
}

/* ---- better ways ---- */

/* The better first hop is the destination itself or a router, which is told of by
 * its link-local address alone (8.2): if the route does not have that, nobody is
 * told. */
void
nd_redirect(
    struct router *router, const struct packet6 *p, const struct way6 *way)
{
	struct iface *in = p->in;
	uint8_t quote[IP6_MTU_MIN];
	struct nd_redirect r = { .target = way->next_hop,
		.dst = p->ip.dst,
		.quote = quote,
		.quote_bytes = packet6_bytes(p) };
	const struct mac *mac;
	uint8_t *room;
	struct writer w;

	if (!in->redirects || in->six.link_state != DAD_ASSIGNED ||
	    !iface6_has_on_link(in, &p->ip.src) ||
	    ip6_equal(&r.target, &p->ip.src) ||
	    (!ip6_equal(&r.target, &r.dst) && !ip6_is_link_local(&r.target)) ||
	    !icmp_limit_take(
		&router->errors6, get_be32(p->ip.src.b + 12), p->now_ns))
		return;
	room = output_room(router, IP6_MTU_MIN);
	if (room == NULL)
		return;
	if (r.quote_bytes > sizeof(quote))
		r.quote_bytes = sizeof(quote);
	frame_copy(quote, p->frame, ETH_HEADER_BYTES, r.quote_bytes);
	mac = neigh_find(router->neighbours6, in, &r.target, p->now_ns);
	if (mac != NULL)
		r.mac = *mac;
	w = writer(room, IP6_MTU_MIN);
	nd_redirect_write(&w, &r, &in->six.link_local, &p->ip.src);
	output6_own(router, in, room, (size_t)(w.at - room));
}

const struct neigh_calls nd_neigh_calls = {
	.queued = REASON_ND_QUEUED,
	.failed = DROP_ND_FAILED,
	.full = DROP_ND_QUEUE,
	.ask = ask,
	.send = send_kept,
	.lost = lose_kept,
	.done = output_done,
};
