/*
 * One timer for all addresses of a port:
 *
 *    link up --0..1 s--> ask --1 s--> ask ... --1 s--> assigned
 *
 * The delay spreads what many nodes say when the power is back, and the groups
 * are joined only then, too (RFC 4862 5.4.2).  The port's own solicitations can
 * come back, where switches are in a loop; they have a nonce by which it knows
 * them (RFC 7527 4.2).  Rejected: to know them by their MAC address, which who
 * has the same link-local address has as well.
 *
 * When an address is assigned, it is advertised once to all nodes (RFC 4861
 * 7.2.6), so that who knew it from another router finds the new one.
 */
#include "router/dad.h"

#include "base/log.h"
#include "router/nat_ports.h" /* nat_random() */
#include "router/ra.h"
#include "router/router6.h"

#define WAIT_NS NS_PER_S /* RETRANS_TIMER, MAX_RTR_SOLICITATION_DELAY */

const char *
dad_state_name(enum dad_state state)
{
	switch (state) {
	case DAD_TENTATIVE: return "tentative";
	case DAD_ASSIGNED: return "assigned";
	case DAD_DUPLICATE: return "duplicate";
	}
	return "";
}

/* Address i of the port; that behind the last one is its link-local one. */
static const struct ip6_addr *
address(const struct iface *iface, unsigned int i)
{
	return i == iface->six.naddresses ? &iface->six.link_local
					  : &iface->six.address[i].addr;
}

static enum dad_state *
state_of(struct iface *iface, unsigned int i)
{
	return i == iface->six.naddresses ? &iface->six.link_state
					  : &iface->six.state[i];
}

static void
set_all(struct iface *iface, enum dad_state state)
{
	for (unsigned int i = 0; i <= iface->six.naddresses; i++)
		*state_of(iface, i) = state;
}

/* ---- what is sent ---- */

static void
send(struct iface *iface, const struct nd_message *nd,
    const struct ip6_addr *src, const struct ip6_addr *dst)
{
	const size_t bytes = IP6_HEADER_BYTES + ND_BYTES;
	uint8_t *room = output_room(iface->router, bytes);
	struct writer w;

	if (room == NULL)
		return;
	w = writer(room, bytes);
	nd_message_write(&w, nd, src, dst);
	output6_own(iface->router, iface, room, bytes);
}

static void
ask(struct iface *iface)
{
	static const struct ip6_addr nobody;
	struct nd_message nd = { .type = ND_SOLICIT };

	memcpy(nd.nonce, iface->six.dad.nonce, sizeof(nd.nonce));
	for (unsigned int i = 0; i <= iface->six.naddresses; i++) {
		struct ip6_addr group;

		if (*state_of(iface, i) != DAD_TENTATIVE)
			continue;
		nd.target = *address(iface, i);
		group = nd_group(&nd.target);
		send(iface, &nd, &nobody, &group);
	}
}

static void
advertise(struct iface *iface)
{
	struct nd_message nd = { .type = ND_ADVERTISE,
		.flags = ND_ROUTER | ND_OVERRIDE,
		.mac = iface->mac };

	for (unsigned int i = 0; i <= iface->six.naddresses; i++) {
		nd.target = *address(iface, i);
		if (*state_of(iface, i) == DAD_ASSIGNED)
			send(iface, &nd, &nd.target, &ip6_all_nodes);
	}
}

/* ---- the steps ---- */

/* The addresses are the port's: what depends on them begins. */
static void
assign(struct iface *iface)
{
	for (unsigned int i = 0; i <= iface->six.naddresses; i++)
		if (*state_of(iface, i) == DAD_TENTATIVE)
			*state_of(iface, i) = DAD_ASSIGNED;
	iface->six.dad.done = true;
	groups6_changed(iface);
	if (iface->six.dad.transmits > 0)
		advertise(iface);
	if (iface->six.ra != NULL)
		ra_link_up(iface->six.ra);
}

static void
due(void *arg)
{
	struct iface *iface = arg;
	struct dad *dad = &iface->six.dad;

	if (dad->left == dad->transmits)
		groups6_changed(iface);
	if (dad->left == 0)
		assign(iface);
	else {
		dad->left--;
		ask(iface);
		loop_timer_set(
		    &dad->timer, loop_now_ns(iface->router->loop) + WAIT_NS);
	}
	outbox_flush(iface->router->outbox);
}

void
dad_init(struct iface *iface, unsigned int transmits)
{
	struct dad *dad = &iface->six.dad;

	dad->transmits = (uint8_t)transmits;
	loop_timer_init(&dad->timer, iface->router->loop, due, iface);
	set_all(iface, transmits > 0 ? DAD_TENTATIVE : DAD_ASSIGNED);
}

void
dad_free(struct iface *iface)
{
	loop_timer_unset(&iface->six.dad.timer);
}

void
dad_link(struct iface *iface, bool up)
{
	struct dad *dad = &iface->six.dad;
	uint64_t now_ns = loop_now_ns(iface->router->loop);
	uint64_t nonce = nat_random(&iface->six.seed);

	loop_timer_unset(&dad->timer);
	dad->done = false;
	set_all(iface, dad->transmits > 0 ? DAD_TENTATIVE : DAD_ASSIGNED);
	groups6_link(iface);
	if (!up)
		return;
	memcpy(dad->nonce, &nonce, sizeof(dad->nonce));
	dad->left = dad->transmits;
	loop_timer_set(&dad->timer,
	    dad->transmits == 0
		? now_ns
		: now_ns + nat_random(&iface->six.seed) % WAIT_NS);
}

/* ---- others ---- */

static void
lose(struct iface *iface, unsigned int i, const struct mac *mac)
{
	bool all = i == iface->six.naddresses;
	char ip[IP6_TEXT_BYTES], who[MAC_TEXT_BYTES];

	log_warn("%s: %s is the address of %s already, and is not used%s; "
		 "give one of the two another %s address",
	    iface->port.name, ip6_text(ip, address(iface, i)),
	    mac_text(who, mac), all ? ", nor is IPv6 on this port" : "",
	    all ? "MAC" : "IPv6");
	*state_of(iface, i) = DAD_DUPLICATE;
	if (all)
		loop_timer_unset(&iface->six.dad.timer);
	groups6_changed(iface);
}

bool
dad_heard(
    struct iface *in, const struct packet6 *p, const struct nd_message *nd)
{
	unsigned int i = 0;
	struct mac src;

	while (i <= in->six.naddresses &&
	    (*state_of(in, i) != DAD_TENTATIVE ||
		!ip6_equal(&nd->target, address(in, i))))
		i++;
	if (i > in->six.naddresses)
		return false;
	/* To the address itself, or by who wants to speak to it. */
	if (!ip6_is_multicast(&p->ip.dst) ||
	    (nd->type == ND_SOLICIT && !ip6_is_zero(&p->ip.src)))
		return true;
	if (nd->type == ND_SOLICIT &&
	    memcmp(nd->nonce, in->six.dad.nonce, sizeof(nd->nonce)) == 0)
		return true;
	memcpy(src.b, p->bytes + sizeof(src.b), sizeof(src.b));
	lose(in, i, &src);
	return true;
}
