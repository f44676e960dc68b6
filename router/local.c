/*
 * What is for the router itself: ARP, echo requests, DHCP; and what it says to
 * those who knock where nothing listens.
 *
 * A packet is read as a whole here, checksums included, unless an offload has
 * yet to finish them: then its bytes never were on a wire.
 */
#include "router/router_state.h"

#include "net/arp.h"
#include "net/dhcp.h"
#include "net/ip4_options.h"
#include "net/tcp.h"
#include "net/udp.h"

#define DEFEND_S 10 /* DEFEND_INTERVAL (RFC 5227 1.1) */

/* ---- ARP (RFC 826, RFC 5227) ---- */

/* Does the router answer for addr on this link: its own, or one of its NAT? */
static bool
is_own(const struct router *router, const struct iface *in, uint32_t addr)
{
	return addr != 0 &&
	    (addr == in->address.addr ||
		(in == router->outside && router->nat != NULL &&
		    nat_has_address(router->nat, addr)));
}

/* Is it asked for by a host with an address of the net that was the port's? */
static bool
is_former(const struct iface *in, const struct arp *arp)
{
	return in->former.addr != 0 && arp->target_ip == in->former.addr &&
	    arp->sender_ip != 0 && ip4_net_has(in->former, arp->sender_ip);
}

static void
answer(struct router *router, struct iface *in, const struct arp *arp)
{
	const struct arp reply = { .op = ARP_REPLY,
		.sender_mac = in->mac,
		.sender_ip = arp->target_ip,
		.target_mac = arp->sender_mac,
		.target_ip = arp->sender_ip };

	output_arp(router, in, &arp->sender_mac, &reply);
}

/* Another host uses our address: says whose it is, not too often. */
static void
defend(struct router *router, struct iface *in, uint32_t addr, uint64_t now_ns)
{
	struct arp arp = { .op = ARP_REQUEST,
		.sender_mac = in->mac,
		.sender_ip = addr,
		.target_ip = addr };

	if (now_ns < in->defend_again_ns)
		return;
	in->defend_again_ns = now_ns + DEFEND_S * NS_PER_S;
	output_arp(router, in, &mac_broadcast, &arp);
}

/* Is it asked, on a port that answers for others, for an address that is reached
 * by another port (RFC 1027 2)? */
static bool
answers_for(
    struct router *router, const struct iface *in, const struct arp *arp)
{
	struct way way;

	return in->proxy_arp && arp->op == ARP_REQUEST && arp->sender_ip != 0 &&
	    way_find(router, arp->target_ip, &way) && way.out != in;
}

/* Can somebody with that address be on in's link?  Hosts of several subnets ask
 * in the name of any of their addresses, and are answered (RFC 826). */
static bool
can_ask(struct router *router, const struct iface *in, uint32_t addr)
{
	const struct place *from = place_find(router, addr);

	return !from->martian && !from->broadcast && from->route != NULL &&
	    from->route->out == in;
}

enum reason
local_arp(
    struct router *router, struct iface *in, struct cursor c, uint64_t now_ns)
{
	struct arp arp;
	struct ip6_addr sender;
	enum reason reason = arp_parse(&arp, &c);
	bool for_us;

	if (reason != REASON_NONE)
		return reason;
	/* An answer that names a group address is a lie (RFC 1812 3.3.2). */
	if (mac_is_group(&arp.sender_mac) || mac_is_zero(&arp.sender_mac))
		return DROP_ETH_SOURCE;
	if (in->wan != NULL && wan_heard(in->wan, &arp))
		return REASON_DELIVERED;
	if (in->wan != NULL && in->address.addr == 0)
		return DROP_NO_ADDRESS;
	if (is_own(router, in, arp.sender_ip)) {
		defend(router, in, arp.sender_ip, now_ns);
		return REASON_DELIVERED;
	}
	for_us = is_own(router, in, arp.target_ip);
	if (in->dhcp != NULL)
		dhcp_service_heard(in->dhcp, arp.sender_ip, &arp.sender_mac);
	if (is_former(in, &arp)) {
		if (arp.op == ARP_REQUEST)
			answer(router, in, &arp);
		return REASON_DELIVERED;
	}
	if (arp.sender_ip != 0 && !can_ask(router, in, arp.sender_ip))
		return DROP_MARTIAN;
	if (ip4_net_has(in->address, arp.sender_ip)) {
		sender = ip6_of_ip4(arp.sender_ip);
		neigh_heard(router->neighbours, in, &sender, &arp.sender_mac,
		    NEIGH_CONFIRMED | (for_us ? NEIGH_MAKE : 0));
	}
	if (!for_us && !answers_for(router, in, &arp))
		return DROP_NOT_OURS;
	if (arp.op == ARP_REQUEST)
		answer(router, in, &arp);
	return REASON_DELIVERED;
}

/* ---- transport ---- */

/* The whole payload; its checksum need not be looked at if trusted. */
static bool
open_payload(
    struct router *router, struct packet *p, struct cursor *c, bool *trusted)
{
	const uint8_t *payload;
	size_t bytes;

	if (!packet_whole(router, p))
		return false;
	bytes = packet_payload(p, &payload);
	*c = cursor(payload, bytes);
	*trusted = (p->frame->flags & (FRAME_CSUM | FRAME_VALID)) != 0;
	return true;
}

static enum reason
take_dns(struct router *router, const struct packet *p, const struct udp *udp)
{
	const struct dns_client client = { .addr = ip6_of_ip4(p->ip.src),
		.own = ip6_of_ip4(p->ip.dst),
		.port = udp->sport,
		.in = p->in };

	return dns_service_take(router->dns, &client, udp);
}

/* The service that a packet is for: that of the address, wherever it comes in,
 * or of the link.  NULL: none. */
static struct dhcp_service *
dhcp_at(struct router *router, const struct packet *p)
{
	const struct iface *owner = place_find(router, p->ip.dst)->owner;

	return owner != NULL ? owner->dhcp : p->in->dhcp;
}

static enum reason
take_udp(struct router *router, struct packet *p, bool is_group)
{
	struct cursor c;
	struct udp udp;
	bool trusted;
	enum reason reason;

	if (!open_payload(router, p, &c, &trusted))
		return DROP_PORT_FULL;
	reason = udp_parse(&udp, &c, &p->ip, trusted);
	if (reason != REASON_NONE)
		return reason;
	if (dhcp_relay_wants(p, &udp))
		return dhcp_relay_take(router, p, &udp);
	if (udp.dport == DHCP_SERVER_PORT && dhcp_at(router, p) != NULL)
		return dhcp_service_take(dhcp_at(router, p), p, &udp);
	if (udp.dport == DNS_PORT && router->dns != NULL && !is_group)
		return take_dns(router, p, &udp);
	if (router->pcp != NULL && !is_group && pcp_service_wants(p, &udp))
		return pcp_service_take(router->pcp, p, &udp);
	if (!is_group)
		output_error(router, p, ICMP_UNREACHABLE, ICMP_UNREACH_PORT, 0);
	return DROP_NO_LISTENER;
}

/* A segment to a port where nothing listens (RFC 9293 3.10.7.1). */
static enum reason
take_tcp(struct router *router, struct packet *p)
{
	struct cursor c;
	struct tcp tcp, rst;
	struct ip4 ip;
	struct writer w;
	uint8_t *room;
	bool trusted;
	enum reason reason;

	if (!open_payload(router, p, &c, &trusted))
		return DROP_PORT_FULL;
	reason = tcp_parse(&tcp, &c, &p->ip, trusted);
	if (reason != REASON_NONE)
		return reason;
	if (tcp.flags & TCP_RST ||
	    !icmp_limit_take(&router->errors, p->ip.src, p->now_ns))
		return DROP_NO_LISTENER;
	rst = tcp_reset(&tcp);
	ip = (struct ip4){ .total_bytes = IP4_HEADER_BYTES + TCP_HEADER_BYTES,
		.fragment = IP4_DF,
		.ttl = 64,
		.protocol = IP_TCP,
		.src = p->ip.dst,
		.dst = p->ip.src };
	room = output_room(router, ip.total_bytes);
	if (room == NULL)
		return DROP_NO_LISTENER;
	w = writer(room, ip.total_bytes);
	ip4_write(&w, &ip);
	tcp_write(&w, &rst, ip.src, ip.dst);
	output_own(router, room, ip.total_bytes);
	return DROP_NO_LISTENER;
}

/* What goes back in an answer of a packet's options.  How many bytes. */
static size_t
signed_options(const struct packet *p, uint8_t options[IP4_OPTIONS_MAX])
{
	size_t n = (size_t)(p->ip.header_bytes - IP4_HEADER_BYTES);

	if (n == 0)
		return 0;
	memcpy(options, p->ip.options, n);
	ip4_options_sign(options, n, p->ip.dst,
	    ip4_options_asked(options, n) == p->ip.dst,
	    ip4_options_time(p->now_ns));
	return ip4_options_keep_signed(options, n);
}

/* An echo request is answered from the address it was sent to (RFC 1122
 * 3.2.2.6); other messages have been heard. */
static enum reason
take_icmp(struct router *router, struct packet *p)
{
	uint8_t options[IP4_OPTIONS_MAX];
	struct cursor c;
	struct icmp icmp;
	struct ip4 ip;
	struct writer w;
	size_t noptions;
	uint8_t *room;
	bool trusted;
	enum reason reason;

	if (!open_payload(router, p, &c, &trusted))
		return DROP_PORT_FULL;
	reason = icmp_parse(&icmp, &c);
	if (reason != REASON_NONE || icmp.type != ICMP_ECHO_REQUEST)
		return reason != REASON_NONE ? reason : REASON_DELIVERED;
	noptions = signed_options(p, options);
	ip = (struct ip4){ .tos = p->ip.tos,
		.header_bytes = (uint8_t)(IP4_HEADER_BYTES + noptions),
		.options = options,
		.total_bytes = (uint16_t)(IP4_HEADER_BYTES + noptions +
		    ICMP_HEADER_BYTES + icmp.data_bytes),
		.id =
		    ip_ids_take(&router->ids, p->ip.dst, p->ip.src, IP_ICMP, 1),
		.ttl = 64,
		.protocol = IP_ICMP,
		.src = p->ip.dst,
		.dst = p->ip.src };
	room = output_room(router, ip.total_bytes);
	if (room == NULL)
		return DROP_PORT_FULL;
	icmp.type = ICMP_ECHO_REPLY;
	icmp.code = 0;
	w = writer(room, ip.total_bytes);
	ip4_write(&w, &ip);
	icmp_write(&w, &icmp);
	output_own(router, room, ip.total_bytes);
	return REASON_DELIVERED;
}

enum reason
local_packet(struct router *router, struct packet *p)
{
	switch (p->ip.protocol) {
	case IP_ICMP: return take_icmp(router, p);
	case IP_UDP: return take_udp(router, p, false);
	case IP_TCP: return take_tcp(router, p);
	default: /* open: other protocols exist */
		output_error(
		    router, p, ICMP_UNREACHABLE, ICMP_UNREACH_PROTOCOL, 0);
		return DROP_PROTOCOL;
	}
}

/* Who has no address yet may ask for one, and who brings one from another link
 * may ask whether it is good here (RFC 2131 4.3.2); others are on the link. */
static bool
may_broadcast(struct router *router, const struct packet *p)
{
	const uint8_t *udp;
	size_t n = packet_payload(p, &udp);

	if (p->ip.src == 0 || ip4_net_has(p->in->address, p->ip.src))
		return true;
	return p->ip.protocol == IP_UDP && n >= UDP_HEADER_BYTES &&
	    get_be16(udp + 2) == DHCP_SERVER_PORT &&
	    !place_find(router, p->ip.src)->martian;
}

/* Hosts of the net that was are told so when they renew their leases; what else they
 * send would not find its way back. */
enum reason
local_renumbered(struct router *router, struct packet *p)
{
	const uint8_t *payload;
	bool is_dhcp = p->ip.protocol == IP_UDP && !ip4_is_fragment(&p->ip) &&
	    packet_payload(p, &payload) >= UDP_HEADER_BYTES &&
	    get_be16(payload + 2) == DHCP_SERVER_PORT;

	if (is_dhcp && p->in->dhcp != NULL &&
	    (p->ip.dst == p->in->former.addr || p->ip.dst == IP4_BROADCAST))
		return take_udp(router, p, true);
	return DROP_RENUMBERED;
}

enum reason
local_group(struct router *router, struct packet *p)
{
	if (ip4_is_multicast(p->ip.dst))
		return DROP_MULTICAST;
	if (!may_broadcast(router, p))
		return DROP_MARTIAN;
	if (p->ip.protocol != IP_UDP || ip4_is_fragment(&p->ip) ||
	    (p->ip.dst != IP4_BROADCAST &&
		p->ip.dst != ip4_net_broadcast(p->in->address)))
		return DROP_BROADCAST_FORWARD;
	return take_udp(router, p, true);
}
