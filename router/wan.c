/*
 * The client takes its messages before NAT and the router's filter see them, as
 * if it read the link itself: an address must come to be whatever rules say of
 * packets.
 *
 * A release goes to where the lease came from, without asking for it by ARP: who
 * leaves does not wait for the answer.
 *
 * What happens is told once: a server that offers the same impossible address
 * again and again is complained of once in TOLD_AGAIN_NS.
 */
#include "router/wan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "net/arp.h"
#include "router/datagram.h"
#include "router/nat_ports.h" /* nat_random() */
#include "router/readdress.h"
#include "router/router6.h"
#include "router/router_state.h"

#define TOLD_AGAIN_NS  (60 * NS_PER_S)
#define SILENCE_NS     (15 * NS_PER_S) /* then it says what it waits for */
#define MESSAGE_BYTES  600
#define SENTENCE_BYTES 320

struct wan {
	struct iface *iface;
	struct dhcp_client client;
	struct loop_timer timer;
	struct loop_timer silence;
	uint32_t known;     /* to begin with */
	uint32_t mtu_bytes; /* without a lease */
	uint64_t changes;
	struct mac giver; /* who sent the lease: its server, or a relay */
	/* The last offer that was refused; why REASON_NONE: none yet. */
	enum reason why;
	uint32_t refused_server;
	struct ip4_net refused;
	uint64_t told_ns;
};

static uint64_t
now_of(const struct wan *wan)
{
	return loop_now_ns(wan->iface->router->loop);
}

static const char *
name_of(const struct wan *wan)
{
	return wan->iface->port.name;
}

static void tell(const struct wan *wan, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What happened, for a person to read. */
static void
tell(const struct wan *wan, const char *format, ...)
{
	const struct router *router = wan->iface->router;
	char text[SENTENCE_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (router->tell != NULL)
		router->tell(router->tell_arg, text);
	else
		log_warn("%s", text);
}

/* ---- what the client sends ---- */

static void
send_message(void *arg, const struct dhcp *message, uint32_t src, uint32_t dst)
{
	struct wan *wan = arg;
	struct router *router = wan->iface->router;
	uint8_t out[MESSAGE_BYTES];
	struct writer w = writer(out, sizeof(out));
	struct datagram d = { .src = src,
		.dst = dst,
		.udp = { .sport = DHCP_CLIENT_PORT,
		    .dport = DHCP_SERVER_PORT,
		    .data = out } };
	uint8_t *packet;
	size_t bytes;

	dhcp_write(&w, message);
	if (w.overrun)
		return;
	d.udp.data_bytes = (size_t)(w.at - out);
	packet = datagram_make(router, &d, &bytes);
	if (packet == NULL)
		return; /* it asks again */
	if (dst == IP4_BROADCAST)
		output_direct(
		    router, wan->iface, &mac_broadcast, packet, bytes);
	else if (message->type == DHCP_RELEASE)
		output_direct(router, wan->iface, &wan->giver, packet, bytes);
	else
		output_own(router, packet, bytes);
}

static void
send_arp(struct wan *wan, uint32_t sender, uint32_t target)
{
	const struct arp arp = { .op = ARP_REQUEST,
		.sender_mac = wan->iface->mac,
		.sender_ip = sender,
		.target_ip = target };

	output_arp(wan->iface->router, wan->iface, &mac_broadcast, &arp);
}

static void
probe(void *arg, uint32_t addr)
{
	send_arp(arg, 0, addr);
}

static void
announce(void *arg, uint32_t addr)
{
	send_arp(arg, addr, addr);
}

/* ---- what becomes of an offer ---- */

/* Has another port a net that overlaps, and cannot give it up? */
static const struct iface *
in_conflict(const struct wan *wan, struct ip4_net net)
{
	const struct router *router = wan->iface->router;

	for (unsigned int i = 0; i < router->nifaces; i++) {
		const struct iface *iface = router->ifaces[i];

		if (iface != wan->iface && iface->address.addr != 0 &&
		    readdress_choose(iface, wan->iface, net).addr == 0)
			return iface;
	}
	return NULL;
}

/* Is there a route to that very net already? */
static bool
has_route(const struct wan *wan, struct ip4_net net)
{
	const struct route_table *table = &wan->iface->router->routes;

	for (unsigned int i = 0; i < table->n; i++) {
		const struct route *route = &table->routes[i];

		if (route->out != wan->iface && route->via != 0 &&
		    route->to.prefix == net.prefix &&
		    ip4_net_has(route->to, net.addr))
			return true;
	}
	return false;
}

static enum reason
judge(void *arg, const struct dhcp_offer *offer)
{
	const struct wan *wan = arg;

	return in_conflict(wan, offer->address) != NULL ||
		has_route(wan, offer->address)
	    ? DROP_DHCP_CONFLICT
	    : REASON_NONE;
}

static void
tell_conflict(const struct wan *wan, const struct dhcp_offer *offer)
{
	const struct iface *other = in_conflict(wan, offer->address);
	char server[IP4_TEXT_BYTES], net[NET_TEXT_BYTES], own[NET_TEXT_BYTES];

	ip4_text(server, offer->server);
	ip4_net_text(net, offer->address);
	if (other == NULL)
		tell(wan,
		    "%s: %s offers %s, of a net that a route of the router "
		    "leads to; it is asked for another one",
		    name_of(wan), server, net);
	else
		tell(wan,
		    "%s: %s offers %s, which overlaps with %s of port "
		    "\"%s\"; give that port another address, or another "
		    "net to move to by \"instead\"",
		    name_of(wan), server, net,
		    ip4_net_text(own, other->address), other->port.name);
}

static void
refused(void *arg, const struct dhcp_offer *offer, enum reason why)
{
	struct wan *wan = arg;
	char server[IP4_TEXT_BYTES], addr[IP4_TEXT_BYTES];

	if (why == wan->why && offer->server == wan->refused_server &&
	    now_of(wan) < wan->told_ns + TOLD_AGAIN_NS)
		return;
	wan->why = why;
	wan->refused_server = offer->server;
	wan->refused = offer->address;
	wan->told_ns = now_of(wan);
	if (why == DROP_DHCP_CONFLICT)
		tell_conflict(wan, offer);
	else
		tell(wan, "%s: %s offers %s, which is refused (%s): %s",
		    name_of(wan), ip4_text(server, offer->server),
		    ip4_text(addr, offer->address.addr), reason_name(why),
		    reason_sentence(why));
}

/* ---- what becomes of a lease ---- */

/* Moves ports away from the net that is outside now. */
static void
make_way(struct wan *wan, struct ip4_net net)
{
	struct router *router = wan->iface->router;

	for (unsigned int i = 0; i < router->nifaces; i++) {
		struct iface *iface = router->ifaces[i];
		struct ip4_net to;
		char from[NET_TEXT_BYTES], there[NET_TEXT_BYTES];
		unsigned int n;

		if (iface == wan->iface || iface->address.addr == 0)
			continue;
		to = readdress_choose(iface, wan->iface, net);
		if (to.addr == 0 || to.addr == iface->address.addr)
			continue;
		ip4_net_text(from, iface->address);
		n = readdress_move(iface);
		tell(wan,
		    "%s: moves from %s to %s, since port \"%s\" has got an "
		    "address of that net; %u NAT entries end with it",
		    iface->port.name, from, ip4_net_text(there, to),
		    name_of(wan), n);
	}
}

/* Is to a net of another port, or part of one? */
static bool
is_inside(const struct wan *wan, struct ip4_net to)
{
	const struct router *router = wan->iface->router;

	for (unsigned int i = 0; i < router->nifaces; i++) {
		const struct iface *iface = router->ifaces[i];

		if (iface != wan->iface && iface->address.addr != 0 &&
		    to.prefix >= iface->address.prefix &&
		    ip4_net_has(iface->address, to.addr))
			return true;
	}
	return false;
}

static void
add_routes(struct wan *wan, const struct dhcp_offer *lease)
{
	struct router *router = wan->iface->router;
	struct route route = { .out = wan->iface, .via = lease->gateway };
	char text[NET_TEXT_BYTES];

	/* A default route of the lab file goes before. */
	if (lease->gateway != 0)
		route_add(&router->routes, &route, NULL);
	for (unsigned int i = 0; i < lease->nroutes; i++) {
		route.to = lease->routes[i].to;
		route.via = lease->routes[i].via;
		if (is_inside(wan, route.to) ||
		    route_add(&router->routes, &route, NULL) < 0)
			tell(wan, "%s: the lease's route to %s is left out",
			    name_of(wan), ip4_net_text(text, route.to));
	}
	place_forget(router);
}

static void
set_mtu(struct wan *wan, uint32_t mtu)
{
	struct iface *iface = wan->iface;
	uint32_t least = iface->six.naddresses > 0 ? IP6_MTU_MIN : WAN_MTU_MIN;

	iface->mtu_bytes = wan->mtu_bytes;
	if (mtu == 0 || mtu >= wan->mtu_bytes)
		return;
	iface->mtu_bytes = mtu > least ? mtu : least;
	if (iface->mtu_bytes > wan->mtu_bytes)
		iface->mtu_bytes = wan->mtu_bytes;
}

/* Ports that might have had to move stay where they are. */
static void
settle(struct router *router)
{
	for (unsigned int i = 0; i < router->nifaces; i++)
		if (router->ifaces[i]->dhcp != NULL)
			dhcp_service_settle(router->ifaces[i]->dhcp);
}

static void
bound(void *arg, const struct dhcp_offer *lease)
{
	struct wan *wan = arg;
	struct iface *iface = wan->iface;
	struct router *router = iface->router;
	bool is_new = lease->address.addr != iface->address.addr;
	char net[NET_TEXT_BYTES], server[IP4_TEXT_BYTES], via[IP4_TEXT_BYTES];

	make_way(wan, lease->address);
	readdress(iface, lease->address);
	add_routes(wan, lease);
	set_mtu(wan, lease->mtu);
	settle(router);
	wan->changes++;
	wan->why = REASON_NONE;
	loop_timer_unset(&wan->silence);
	if (is_new)
		tell(wan, "%s: has %s by DHCP from %s, for %us, gateway %s",
		    name_of(wan), ip4_net_text(net, lease->address),
		    ip4_text(server, lease->server), lease->lease_s,
		    lease->gateway != 0 ? ip4_text(via, lease->gateway)
					: "none");
}

static void
lost(void *arg, const struct dhcp_offer *lease, enum dhcp_client_loss why,
    bool was_bound)
{
	static const char *const sentences[] = {
		[DHCP_CLIENT_EXPIRED] = "its lease has expired",
		[DHCP_CLIENT_NAK] = "its server does not let it have that",
		[DHCP_CLIENT_IN_USE] = "another host has it already",
		[DHCP_CLIENT_LEFT] = "it is given back",
	};
	struct wan *wan = arg;
	char text[IP4_TEXT_BYTES], server[IP4_TEXT_BYTES];
	unsigned int n;

	ip4_text(text, lease->address.addr);
	if (!was_bound) {
		tell(wan,
		    "%s: cannot have %s of %s: %s; it asks for another one",
		    name_of(wan), text, ip4_text(server, lease->server),
		    sentences[why]);
		return;
	}
	n = readdress(wan->iface, (struct ip4_net){ 0, 0 });
	set_mtu(wan, 0);
	wan->changes++;
	loop_timer_set(&wan->silence, now_of(wan) + SILENCE_NS);
	if (why != DHCP_CLIENT_LEFT)
		tell(wan,
		    "%s: has no address any more, %s: %s; %u NAT entries "
		    "end with it",
		    name_of(wan), text, sentences[why], n);
}

static const struct dhcp_client_calls calls = { .send = send_message,
	.probe = probe,
	.announce = announce,
	.judge = judge,
	.refused = refused,
	.bound = bound,
	.lost = lost };

/* ---- time ---- */

static void
arm(struct wan *wan)
{
	if (wan->client.due_ns == UINT64_MAX)
		loop_timer_unset(&wan->timer);
	else
		loop_timer_set(&wan->timer, wan->client.due_ns);
}

static void
due(void *arg)
{
	struct wan *wan = arg;

	if (wan->client.state == DHCP_CLIENT_STOPPED) {
		tell(wan, "%s: asks for its address by DHCP", name_of(wan));
		dhcp_client_start(&wan->client, wan->known, now_of(wan));
		loop_timer_set(&wan->silence, now_of(wan) + SILENCE_NS);
	} else {
		dhcp_client_due(&wan->client, now_of(wan));
	}
	arm(wan);
	outbox_flush(wan->iface->router->outbox);
}

static void
tell_silence(void *arg)
{
	const struct wan *wan = arg;

	if (wan->why == REASON_NONE)
		tell(wan,
		    "%s: no DHCP server has given it an address so far; "
		    "it goes on asking",
		    name_of(wan));
}

/* ---- its beginning and its end ---- */

struct wan *
wan_new(struct iface *iface, const struct router_port_options *options,
    uint64_t seed)
{
	struct wan *wan = calloc(1, sizeof(*wan));
	struct loop *loop = iface->router->loop;
	struct dhcp_client_options o = { .mac = iface->mac,
		.probe_ns = options->dhcp_probe_ns,
		.seed = seed };

	if (wan == NULL)
		return NULL;
	wan->iface = iface;
	wan->mtu_bytes = iface->mtu_bytes;
	snprintf(o.hostname, sizeof(o.hostname), "%s", options->hostname);
	dhcp_client_init(&wan->client, &o, &calls, wan);
	loop_timer_init(&wan->timer, loop, due, wan);
	loop_timer_init(&wan->silence, loop, tell_silence, wan);
	loop_timer_set(&wan->timer, loop_now_ns(loop));
	return wan;
}

void
wan_free(struct wan *wan)
{
	if (wan == NULL)
		return;
	loop_timer_unset(&wan->timer);
	loop_timer_unset(&wan->silence);
	free(wan);
}

void
wan_restore(struct wan *wan, uint32_t ip)
{
	wan->known = ip;
}

uint64_t
wan_changes(const struct wan *wan)
{
	return wan->changes;
}

static uint64_t
left_ns(const struct wan *wan)
{
	uint64_t end_ns = wan->client.expires_ns;

	if (!dhcp_client_is_bound(&wan->client) || end_ns <= now_of(wan))
		return 0;
	return end_ns == UINT64_MAX ? UINT64_MAX : end_ns - now_of(wan);
}

uint32_t
wan_known(const struct wan *wan, uint64_t *left)
{
	*left = left_ns(wan);
	return wan->client.state == DHCP_CLIENT_STOPPED ? wan->known
							: wan->client.known;
}

void
wan_release(struct wan *wan)
{
	if (wan->client.state == DHCP_CLIENT_STOPPED)
		return;
	dhcp_client_stop(&wan->client, true, now_of(wan));
	wan->client.known = 0;
	wan->known = 0;
	loop_timer_unset(&wan->timer);
	loop_timer_unset(&wan->silence);
	outbox_flush(wan->iface->router->outbox);
}

void
wan_link_up(struct wan *wan)
{
	dhcp_client_link_up(&wan->client, now_of(wan));
	if (wan->client.state != DHCP_CLIENT_STOPPED)
		arm(wan);
	outbox_flush(wan->iface->router->outbox);
}

/* ---- what comes in ---- */

/* Is it a datagram to the client? */
static bool
is_for_client(const struct wan *wan, const struct packet *p)
{
	const uint8_t *payload;
	uint32_t own = wan->iface->address.addr;

	return p->ip.protocol == IP_UDP && !ip4_is_fragment(&p->ip) &&
	    packet_payload(p, &payload) >= UDP_HEADER_BYTES &&
	    get_be16(payload + 2) == DHCP_CLIENT_PORT &&
	    (p->ip.dst == IP4_BROADCAST || own == 0 || p->ip.dst == own);
}

static enum reason
take_message(struct wan *wan, struct packet *p)
{
	bool trusted = (p->frame->flags & (FRAME_CSUM | FRAME_VALID)) != 0;
	const uint8_t *payload;
	struct dhcp message;
	struct cursor c;
	struct udp udp;
	enum reason reason;
	size_t bytes;

	if (!packet_whole(wan->iface->router, p))
		return DROP_PORT_FULL;
	bytes = packet_payload(p, &payload);
	c = cursor(payload, bytes);
	reason = udp_parse(&udp, &c, &p->ip, trusted);
	if (reason != REASON_NONE)
		return reason;
	c = cursor(udp.data, udp.data_bytes);
	reason = dhcp_parse(&message, &c);
	if (reason == REASON_NONE)
		reason = dhcp_client_take(&wan->client, &message, p->now_ns);
	if (reason == REASON_DELIVERED && message.type == DHCP_ACK)
		memcpy(wan->giver.b, p->bytes + sizeof(wan->giver.b),
		    sizeof(wan->giver.b));
	arm(wan);
	return reason;
}

enum reason
wan_take(struct wan *wan, struct packet *p)
{
	if (is_for_client(wan, p))
		return take_message(wan, p);
	if (wan->iface->address.addr == 0)
		return DROP_NO_ADDRESS;
	return wan->iface->router->dns != NULL
	    ? dns_service_answer(wan->iface->router->dns, p)
	    : REASON_NONE;
}

bool
wan_heard(struct wan *wan, const struct arp *arp)
{
	/* Who wants it, too, has sender 0 (RFC 5227 2.1.1). */
	uint32_t target = arp->op == ARP_REQUEST ? arp->target_ip : 0;
	bool was_heard = dhcp_client_heard(&wan->client, arp->sender_ip, target,
	    &arp->sender_mac, now_of(wan));

	if (was_heard)
		arm(wan);
	return was_heard;
}

/* ---- what is asked about it ---- */

uint32_t
wan_dns(const struct wan *wan)
{
	return dhcp_client_is_bound(&wan->client) ? wan->client.offer.dns[0]
						  : 0;
}

void
wan_row(const struct wan *wan, struct wan_row *row)
{
	const struct dhcp_offer *lease = &wan->client.offer;

	*row = (struct wan_row){ .port = &wan->iface->port,
		.state = dhcp_client_state_name(wan->client.state),
		.why = wan->why };
	if (wan->why != REASON_NONE)
		row->refused_server = wan->refused_server;
	if (!dhcp_client_is_bound(&wan->client))
		return;
	row->address = lease->address;
	row->server = lease->server;
	row->gateway = lease->gateway;
	row->dns = lease->dns[0];
	row->mtu_bytes = wan->iface->mtu_bytes;
	row->left_ns = left_ns(wan);
}
