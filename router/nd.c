/*
 * Neighbour discovery, the router's side (RFC 4861 7.2).
 *
 * It answers for its own addresses alone, and asks with its link-local address.
 * Who claims an address that another one is known to have is not believed while
 * that one answers (neigh.h), override flag or not: anybody can set that.
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
	const struct nd_message answer = { .type = ND_ADVERTISE,
		.flags =
		    ND_ROUTER | ND_OVERRIDE | (nameless ? 0 : ND_SOLICITED),
		.target = asked->target,
		.mac = out->mac };
	const struct ip6_addr *to = nameless ? &ip6_all_nodes : &ip->src;
	uint8_t *room = output_room(router, IP6_HEADER_BYTES + ND_BYTES);
	struct writer w;

	if (room == NULL)
		return; /* who asks will ask again */
	w = writer(room, IP6_HEADER_BYTES + ND_BYTES);
	nd_message_write(&w, &answer, &asked->target, to);
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

	if (room == NULL)
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

const struct neigh_calls nd_neigh_calls = {
	.queued = REASON_ND_QUEUED,
	.failed = DROP_ND_FAILED,
	.full = DROP_ND_QUEUE,
	.ask = ask,
	.send = send_kept,
	.lost = lose_kept,
	.done = output_done,
};
