/*
 * router_state.h - struct router, for the files of this folder alone.
 *
 *    router.c     makes it, and answers what is asked about it
 *    router_dhcp.c   ... about DHCP
 *    forward.c    the way of a frame: parse, decide, send
 *    forward_nat.c   ... when it is translated
 *    nat_decide.c       ... which is decided first
 *    forward_fragment.c ... and in fragments
 *    forward_refuse.c   ... and when that is refused
 *    forward_alg.c   ... and its data is looked at
 *    nat64.c      ... when it is of a host of IPv6
 *    local.c      what is for the router itself: echo, ARP, errors
 *    dhcp_service.c  ... DHCP
 *    dhcp_relay.c    ... DHCP, for servers elsewhere
 *    wan.c           ... DHCP, by which a port gets its address
 *    readdress.c     a port has another address
 *    dns_service.c   ... DNS
 *    pcp_service.c   ... PCP and NAT-PMP
 *    output.c     the last steps: fragments, the neighbour, the port
 */
#ifndef ROUTER_ROUTER_STATE_H
#define ROUTER_ROUTER_STATE_H

#include "net/arp.h"
#include "net/eth.h"
#include "router/dad.h"
#include "router/dhcp_relay.h"
#include "router/dhcp_server.h"
#include "router/dhcp_service.h"
#include "router/dns_service.h"
#include "router/fragment.h"
#include "router/ftp_alg.h"
#include "router/groups6.h"
#include "router/icmp_error.h"
#include "router/ip_ids.h"
#include "router/nat.h"
#include "router/nat_syn.h"
#include "router/nat_translate.h"
#include "router/neigh.h"
#include "router/outbox.h"
#include "router/packet_filter.h"
#include "router/pcp_service.h"
#include "router/place.h"
#include "router/prefix6.h"
#include "router/route.h"
#include "router/route6.h"
#include "router/router.h"
#include "router/sip_message.h"
#include "router/wan.h"

#define ROUTER_PORTS_MAX  64
#define ROUTER_REFUSALS   64
#define ROUTER_HEAD_BYTES 256 /* of a frame are copied and decided by */

/* What an interface has of IPv6. */
struct iface6 {
	struct ip6_net address[ROUTER_ADDRESSES6];
	unsigned int naddresses; /* 0: it does not read IPv6 */
	struct ip6_addr link_local;
	struct ip6_addr anycast[ROUTER_ADDRESSES6]; /* any router's; or :: */
	enum dad_state state[ROUTER_ADDRESSES6];    /* of address */
	enum dad_state link_state;                  /* of link_local */
	struct dad dad;
	struct groups6 groups;
	uint64_t seed;
	struct ra *ra;       /* NULL: it does not advertise */
	struct iface *nat64; /* what stands for it there, or NULL */
};

/* An interface. */
struct iface {
	struct port port; /* first: the port is the interface */
	struct router *router;
	struct iface *real; /* whom it stands for (nat64.c); NULL: it is one */
	struct mac mac;
	struct ip4_net address; /* addr 0: it does not read IPv4, or not yet */
	struct wan *wan;        /* who gets it; NULL: it is for ever, unless */
	struct ip4_net instead; /* it moves there; addr 0: it cannot */
	struct ip4_net former;  /* from there; addr 0: it has not */
	struct iface6 six;
	uint32_t mtu_bytes;
	struct dhcp_service *dhcp; /* NULL: none */
	struct dhcp_relay *relay;  /* the same */
	bool mss_clamp, proxy_arp, redirects, no_errors;
	uint64_t defend_again_ns; /* its address (RFC 5227 2.4) */
};

struct router {
	struct node node;
	struct loop *loop;
	uint64_t seed;
	struct iface *ifaces[ROUTER_PORTS_MAX];
	unsigned int nifaces;
	struct route_table routes;
	struct place places[PLACES];
	struct route6_table routes6;
	uint64_t key6[2];                /* for hashes of IPv6 addresses */
	struct neigh_table *neighbours;  /* by ARP */
	struct neigh_table *neighbours6; /* by neighbour discovery */
	struct outbox *outbox;
	struct icmp_limit errors, errors6;
	struct dns_service *dns;      /* NULL: none */
	struct pcp_service *pcp;      /* NULL: none */
	struct packet_filter *filter; /* NULL: all passes */
	struct filter6 *filter6;      /* NULL: all passes */
	struct prefix6_pair pairs[PREFIX6_PAIRS];
	unsigned int npairs;
	void (*tell)(void *arg, const char *sentence); /* wan.c; NULL: log */
	void *tell_arg;
	struct ip_ids ids;
	struct verdict own; /* why it sends packets of its own */

	struct nat *nat;     /* NULL: none */
	struct ftp_alg *ftp; /* NULL: it was never wanted */
	struct iface *outside;
	struct route_table
	    exempt;          /* outside nets that are not translated for */
	struct nat64 *nat64; /* NULL: none */
	struct loop_timer nat_timer;
	struct nat_syns syns; /* refused from outside, to be told so */
	struct loop_timer syn_timer;
	struct refusal_row refusals[ROUTER_REFUSALS];
	uint64_t nrefusals; /* ever; the next place is its remainder */

	struct fragment_table *fragments;
	struct loop_timer fragment_timer;
	uint8_t *whole; /* FRAME_MAX_BYTES, for one packet at a time */
};

/* One IPv4 packet being decided, with a copy of its beginning that is ours. */
struct packet {
	struct iface *in;
	struct frame *frame; /* as it came; its verdict is to be written */
	uint8_t *bytes;      /* of the frame: head bytes of it, or all */
	uint32_t head;
	uint64_t now_ns;
	uint16_t type; /* of the frame's payload */
	bool group;    /* the frame went to a group address */
	struct ip4 ip;
	/* With NAT, and if it is no fragment: what that wants to know. */
	enum reason l4_reason; /* why it could not be read */
	struct nat_packet l4;
	struct nat_flow flow; /* in its direction, if it is of one */
};

/* How a packet leaves. */
struct way {
	struct iface *out;
	uint32_t next_hop;
};

static inline uint8_t *
packet_ip(const struct packet *p)
{
	return p->bytes + ETH_HEADER_BYTES;
}

/* What follows the IP header, as far as it was copied. */
static inline size_t
packet_payload(const struct packet *p, const uint8_t **payload)
{
	size_t end = p->head - ETH_HEADER_BYTES;

	if (end > p->ip.total_bytes)
		end = p->ip.total_bytes;
	*payload = packet_ip(p) + p->ip.header_bytes;
	return end - p->ip.header_bytes;
}

/* What addr is.  Good until the next call, or until routes or interfaces are
 * added. */
static inline const struct place *
place_find(struct router *router, uint32_t addr)
{
	struct place *place =
	    &router->places[addr * UINT32_C(0x9e3779b1) >> 24 & (PLACES - 1)];

	if (place->addr != addr || !place->known)
		place_look_up(router, place, addr);
	return place;
}

/* Does the packet, or each segment it is to become, fit the link? */
static inline bool
packet_fits(const struct packet *p, const struct iface *out)
{
	size_t bytes = p->ip.total_bytes;

	if (p->frame->flags & FRAME_TSO4 &&
	    p->frame->header_bytes + (size_t)p->frame->gso_bytes <
		ETH_HEADER_BYTES + bytes)
		bytes = p->frame->header_bytes + (size_t)p->frame->gso_bytes -
		    ETH_HEADER_BYTES;
	return bytes <= out->mtu_bytes;
}

/* ---- router.c ---- */

/* The interface that port is, or NULL if it is none of this router's. */
struct iface *router_iface(
    const struct router *router, const struct port *port);

/* Says that port is not one of this router's, -EINVAL. */
int router_not_ours(
    const struct router *router, const struct port *port, struct err *err);

/* ---- forward.c ---- */

void router_take(struct port *port, struct burst *burst);

/* Where addr is reached.  False: nowhere. */
bool way_find(struct router *router, uint32_t addr, struct way *way);

/* Reads what NAT wants to know of a packet. */
void packet_read_l4(const struct router *router, struct packet *p);

/* Copies all of a packet to where p->bytes are contiguous.  False: no room. */
bool packet_whole(struct router *router, struct packet *p);

/* Describes a packet as it is to leave: our copy of its beginning, and the rest
 * where it lies.  False: no room. */
bool packet_view(struct router *router, struct packet *p, struct frame *view);

/* Checks a packet that is to leave by out: its TTL, and its size.  Tells its
 * sender what is wrong.  REASON_NONE, DROP_TTL, DROP_MTU. */
enum reason forward_check(
    struct router *router, const struct packet *p, const struct iface *out);

/* Sends a packet on, with one hop less to live.  Its verdict's reason and entry
 * are set already.  Returns the reason that stands in the end. */
enum reason forward_send(
    struct router *router, struct packet *p, const struct way *way);

/* Decides about a packet whose source may come in by where it did: it is to one
 * of the router's addresses, or to another host. */
enum reason forward_to(
    struct router *router, struct packet *p, const struct place *to);

/* ---- forward_nat.c ---- */

enum reason nat_path_out(
    struct router *router, struct packet *p, const struct way *way);
enum reason nat_path_in(struct router *router, struct packet *p);
/* From inside to an outside address. */
enum reason nat_path_hairpin(struct router *router, struct packet *p);

/* Timers' callbacks; arg is the router. */
void router_nat_expire(void *arg);
void router_fragments_expire(void *arg);

/* Sees to it that the timers are set for what the last packets did. */
void router_arm_timers(struct router *router);

/* ---- forward_fragment.c ---- */

/* A fragment to one of the router's own addresses. */
enum reason fragment_path_local(struct router *router, struct packet *p);

/* ---- forward_refuse.c ---- */

/* Notes a packet from outside that was refused; it is read as far as it is
 * there. */
void router_note_refusal(
    struct router *router, const struct packet *p, enum reason reason);

/* Has a refused packet answered later, if it is a SYN and the rules say so; and
 * not any more, when the host inside has opened the connection from ip:port
 * outside, or it is let in by now. */
void router_hold_syn(struct router *router, const struct packet *p);
void router_forget_syn(struct router *router, uint32_t ip, uint16_t port,
    const struct nat_flow *flow);
void router_answer_syns(void *arg); /* a timer's callback */

/* ---- forward_alg.c ---- */

/* Makes what is needed for that, unless it is there.  It stays as long as the
 * router: what was changed in a connection goes on when it is not wanted any
 * more.  False: no memory. */
bool alg_make(struct router *router, struct err *err);

/* May something in a packet have to be changed? */
static inline bool
alg_wants(const struct router *router, const struct packet *p)
{
	return p->l4.is_tcp
	    ? router->ftp != NULL
	    : p->ip.protocol == IP_UDP && nat_rules(router->nat)->sip;
}

/* Which way it goes: the last from inside, by the outer address, to inside. */
enum alg_way { ALG_OUT, ALG_IN, ALG_ROUND };

/* Sends a packet whose headers have become to, as forward_send() does, after
 * what must be changed in it if it is of FTP or SIP; a datagram that goes round
 * stays as it is.  Or DROP_NAT_ALG, DROP_NAT_ALG_ORDER. */
enum reason alg_send(struct router *router, struct packet *p,
    const struct way *way, const struct nat_ends *to, enum alg_way alg);

/* ---- local.c ---- */

enum reason local_arp(
    struct router *router, struct iface *in, struct cursor c, uint64_t now_ns);
/* To one of the router's addresses, unfragmented. */
enum reason local_packet(struct router *router, struct packet *p);
/* From an address of the net that the port had before. */
enum reason local_renumbered(struct router *router, struct packet *p);
/* To a broadcast or multicast address. */
enum reason local_group(struct router *router, struct packet *p);

/* ---- output.c ---- */

/* The steps that are the same for IPv4 and IPv6.  A frame of an IP packet in
 * output_room(); its Ethernet header, written at head; its way to the outbox,
 * false if there is no room; the same for one that was kept; what is to be told
 * of one that was kept and is lost; and that all may be sent. */
struct frame output_frame(uint8_t *ip, size_t ip_bytes);
void output_link(uint8_t *head, const struct iface *out, const struct mac *to,
    uint16_t type);
bool output_send(struct router *router, struct iface *out,
    const struct frame *frame, const struct verdict *cause);
void output_kept(struct router *router, struct iface *iface,
    const struct mac *to, uint16_t type, struct held *held);
void output_lost(struct router *router, struct iface *iface, struct held *held,
    enum reason reason);
void output_done(void *router);

extern const struct neigh_calls output_neigh_calls; /* arg is the router */

/*
 * Sends an IP packet in a frame whose Ethernet header, at head, is yet to be
 * written.  It is cut into fragments if it is too big for out; then its sender
 * allows that.  The tail of frame, if any, is the caller's of take().
 * REASON_NONE: sent.  Or REASON_ARP_QUEUED, DROP_ARP_QUEUE, DROP_PORT_FULL.
 */
enum reason output_ip(struct router *router, const struct way *way,
    struct frame *frame, uint8_t *head, const struct verdict *cause);

/* Likewise a packet that is forwarded. */
enum reason output_packet(struct router *router, const struct way *way,
    struct packet *p, const struct verdict *cause);

/* Room for an IP packet of the router's own, behind room for its Ethernet
 * header.  NULL: none. */
uint8_t *output_room(struct router *router, size_t ip_bytes);

/* Sends what was written there, to where its destination is. */
enum reason output_own(struct router *router, uint8_t *ip, size_t ip_bytes);

/* Likewise, on out to mac, without asking for it. */
enum reason output_direct(struct router *router, struct iface *out,
    const struct mac *mac, uint8_t *ip, size_t ip_bytes);

/* Sends an ARP packet. */
void output_arp(struct router *router, struct iface *out, const struct mac *to,
    const struct arp *arp);

/* Tells p's sender what is wrong, if that is allowed. */
void output_error(struct router *router, const struct packet *p, uint8_t type,
    uint8_t code, uint32_t word);

#endif
