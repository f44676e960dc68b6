/*
 * A frame is read up to what tells guests apart: its ARP, its IP addresses, and
 * behind these DHCP and neighbour discovery.  All decisions are made before the
 * first byte is changed, so that a refused frame is as it was.
 *
 * What cannot be: protocols without IP addresses; 802.1X, which authenticates
 * the one address; neighbour discovery that is signed (RFC 3971).  Guests see
 * the NIC's MAC address as that of no one: among themselves they speak by
 * their own, over the switch.
 *
 * A fragment of neighbour discovery is not rewritten, since hosts must ignore
 * it (RFC 6980 5).
 *
 * Answers to an ARP probe (RFC 5227) go to the address 0.0.0.0, which leads to
 * nobody: they are made broadcasts, which the probing guest reads as well.
 *
 * Addresses are not learned from DHCP, whose answers come from outside: the
 * guest's first ARP says it anyway.
 */
#include "bridge/macnat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/macnat_nd.h"
#include "bridge/macnat_table.h"
#include "net/arp.h"
#include "net/checksum.h"
#include "net/cursor.h"
#include "net/dhcp.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/udp.h"

#define OFF_DST 0
#define OFF_SRC 6

#define ARP_OFF_SENDER_MAC 8
#define ARP_OFF_TARGET_MAC 18

#define BOOTP_OFF_FLAGS  10
#define BOOTP_OFF_CIADDR 12
#define BOOTP_OFF_CHADDR 28

#define IP6_DESTINATION 60
#define IP6_ROUTING     43
#define IP6_HEADERS_MAX 8 /* before the message itself */

#define ETH_TYPE_MIN 0x600

struct macnat {
	struct mac nic;
	struct macnat_table *table;
	struct ip6_addr reserved[MACNAT_RESERVED_MAX];
	unsigned int nreserved;
};

/* What a frame says, as far as MAC-NAT cares. */
struct reading {
	struct eth eth;
	uint16_t vlan;
	struct ip6_addr src, dst; /* an ARP's sender and target */
	struct arp arp;
	uint8_t *arp_at, *udp_at, *bootp_at; /* in the frame, or NULL */
	struct nd nd;                        /* type 0: none */
};

struct macnat *
macnat_new(const struct macnat_options *options)
{
	struct macnat *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->nic = options->nic;
	m->table = macnat_table_new(
	    options->max_entries != 0 ? options->max_entries : MACNAT_ENTRIES,
	    options->age_ns != 0 ? options->age_ns : MACNAT_AGE_NS,
	    options->seed);
	if (m->table == NULL) {
		free(m);
		return NULL;
	}
	return m;
}

void
macnat_free(struct macnat *m)
{
	if (m == NULL)
		return;
	macnat_table_free(m->table);
	free(m);
}

void
macnat_set_nic(struct macnat *m, const struct mac *nic)
{
	m->nic = *nic;
}

int
macnat_reserve(struct macnat *m, const struct ip6_addr *address)
{
	if (m->nreserved == MACNAT_RESERVED_MAX)
		return -ENOSPC;
	m->reserved[m->nreserved++] = *address;
	return 0;
}

void
macnat_reserve_none(struct macnat *m)
{
	m->nreserved = 0;
}

/* ---- reading ---- */

/* DHCP between client and server is found by its ports; in the first fragment,
 * if in any. */
static enum reason
read_udp(struct reading *r, uint8_t *data, const struct cursor *payload)
{
	struct cursor c = *payload;
	uint8_t *at = data + (c.at - data);
	uint16_t sport = cur_be16(&c), dport = cur_be16(&c);

	if (sport != DHCP_CLIENT_PORT && sport != DHCP_SERVER_PORT)
		return DROP_NONE;
	if (dport != DHCP_CLIENT_PORT && dport != DHCP_SERVER_PORT)
		return DROP_NONE;
	cur_skip(&c, UDP_HEADER_BYTES - 4 + BOOTP_OFF_CHADDR + 6);
	if (c.overrun)
		return DROP_DHCP;
	r->udp_at = at;
	r->bootp_at = at + UDP_HEADER_BYTES;
	return DROP_NONE;
}

static enum reason
read_ip4(struct reading *r, uint8_t *data, struct cursor *c, size_t beyond)
{
	struct cursor quoted = *c;
	struct ip4 ip;
	/* Of a long frame only the head is there. */
	enum reason reason = ip4_parse_quoted(&ip, &quoted);

	if (reason != DROP_NONE)
		return reason;
	if (ip.total_bytes < ip.header_bytes)
		return DROP_IP_HEADER;
	if (ip.total_bytes > cur_left(c) + beyond)
		return DROP_IP_LENGTH;
	r->src = ip6_of_ip4(ip.src);
	r->dst = ip6_of_ip4(ip.dst);
	cur_skip(c, ip.header_bytes);
	if (cur_left(c) > (size_t)ip.total_bytes - ip.header_bytes)
		c->end = c->at + ip.total_bytes - ip.header_bytes;
	if (ip.protocol != IP_UDP || ip.offset_bytes != 0)
		return DROP_NONE;
	return read_udp(r, data, c);
}

static enum reason
read_ip6(struct reading *r, uint8_t *data, struct cursor *c, size_t beyond)
{
	size_t whole = cur_left(c) + beyond, used = IP6_HEADER_BYTES;
	const uint8_t *start = c->at;
	uint32_t word = cur_be32(c);
	uint16_t payload = cur_be16(c);
	uint8_t next = cur_u8(c);

	cur_skip(c, 1);
	cur_ip6(c, &r->src);
	cur_ip6(c, &r->dst);
	if (c->overrun)
		return DROP_SHORT;
	if (word >> 28 != 6)
		return DROP_IP6_HEADER;
	if (IP6_HEADER_BYTES + (size_t)payload > whole)
		return DROP_IP_LENGTH;
	for (int i = 0; i < IP6_HEADERS_MAX && next != IP_ICMP6; i++) {
		if (next != IP_HOP_BY_HOP && next != IP6_DESTINATION &&
		    next != IP6_ROUTING)
			return DROP_NONE;
		next = cur_u8(c);
		cur_skip(c, (size_t)cur_u8(c) * 8 + 6);
		if (c->overrun)
			return DROP_IP6_HEADER;
		used = (size_t)(c->at - start);
	}
	if (next != IP_ICMP6)
		return DROP_IP6_HEADER;
	if (used > IP6_HEADER_BYTES + (size_t)payload)
		return DROP_IP6_HEADER;
	if (cur_left(c) > IP6_HEADER_BYTES + payload - used)
		c->end = c->at + (IP6_HEADER_BYTES + payload - used);
	return nd_parse(&r->nd, data + (c->at - data), cur_left(c),
	    IP6_HEADER_BYTES + payload - used);
}

static enum reason
read_arp(struct reading *r, uint8_t *data, struct cursor *c)
{
	uint8_t *at = data + (c->at - data);
	enum reason reason = arp_parse(&r->arp, c);

	if (reason != DROP_NONE)
		return reason;
	r->arp_at = at;
	r->src = ip6_of_ip4(r->arp.sender_ip);
	r->dst = ip6_of_ip4(r->arp.target_ip);
	return DROP_NONE;
}

static enum reason
read_frame(struct reading *r, struct macnat_frame *f)
{
	struct cursor c = cursor(f->data, f->head);
	size_t beyond = f->len - f->head;
	enum reason reason;

	memset(r, 0, sizeof(*r));
	reason = eth_parse(&r->eth, &c);
	if (reason != DROP_NONE)
		return reason;
	if (r->eth.nvlans > 0)
		r->vlan = r->eth.vlan[0].tci & 0xfff;
	switch (r->eth.type) {
	case ETH_ARP: return read_arp(r, f->data, &c);
	case ETH_IPV4: return read_ip4(r, f->data, &c, beyond);
	case ETH_IPV6: return read_ip6(r, f->data, &c, beyond);
	default: return DROP_MACNAT_PROTOCOL;
	}
}

/* ---- addresses ---- */

/* May a guest have it?  Not the unspecified one, nor groups. */
static bool
is_host(const struct ip6_addr *a)
{
	uint32_t ip4;

	if (ip6_to_ip4(&ip4, a))
		return ip4 != 0 && ip4 >> 28 < 0xe && !ip4_is_loopback(ip4);
	return !ip6_is_zero(a) && !ip6_is_multicast(a);
}

static bool
is_reserved(const struct macnat *m, const struct ip6_addr *a)
{
	for (unsigned int i = 0; i < m->nreserved; i++)
		if (ip6_equal(&m->reserved[i], a))
			return true;
	return false;
}

static struct macnat_row *
learn(struct macnat *m, const struct reading *r, const struct ip6_addr *a,
    bool announced, uint64_t now_ns, enum reason *why)
{
	*why = DROP_NONE;
	if (!is_host(a))
		return NULL;
	if (is_reserved(m, a)) {
		*why = DROP_MACNAT_TAKEN;
		return NULL;
	}
	return macnat_table_learn(
	    m->table, a, r->vlan, &r->eth.src, announced, now_ns, why);
}

static void
put_mac(uint8_t *at, const struct mac *mac)
{
	memcpy(at, mac->b, sizeof(mac->b));
}

/* ---- out ---- */

/* Asks that the answer be a broadcast (RFC 2131 4.1), since no unicast to the
 * guest's own address would arrive.  A sum of 0 says that there is none. */
static void
set_broadcast(struct reading *r, const struct macnat_frame *f)
{
	uint8_t *flags = r->bootp_at + BOOTP_OFF_FLAGS;
	uint8_t *sum = r->udp_at + UDP_OFF_CHECKSUM;
	uint16_t was = get_be16(flags), now = was | DHCP_BROADCAST;
	uint16_t check = get_be16(sum);

	if (r->bootp_at[0] != DHCP_BOOTREQUEST || was == now)
		return;
	/* One that has an address already gets its answer by that. */
	if (get_be32(r->bootp_at + BOOTP_OFF_CIADDR) != 0)
		return;
	put_be16(flags, now);
	if (check == 0 || f->unfinished)
		return;
	check = csum_update16(check, was, now);
	put_be16(sum, check != 0 ? check : 0xffff);
}

/* The address that a redirect tells about may be a guest's, or an outsider's,
 * whose is left alone. */
static bool
is_guests(struct macnat *m, const struct reading *r, uint64_t now_ns)
{
	return macnat_table_find(m->table, &r->nd.target, r->vlan, now_ns) !=
	    NULL;
}

static void
rewrite_nd_out(struct macnat *m, struct reading *r,
    const struct macnat_frame *f, uint64_t now_ns)
{
	nd_set(&r->nd, r->nd.source, &m->nic, f->unfinished);
	if (r->nd.type != ND_REDIRECT || is_guests(m, r, now_ns))
		nd_set(&r->nd, r->nd.about, &m->nic, f->unfinished);
}

enum reason
macnat_out(struct macnat *m, struct macnat_frame *f, uint64_t now_ns)
{
	struct reading r;
	struct macnat_row *row;
	enum reason reason;

	f->entry = 0;
	reason = read_frame(&r, f);
	if (reason != DROP_NONE)
		return reason;
	if (mac_equal(&r.eth.dst, &m->nic))
		return DROP_MACNAT_HOST;
	row = learn(
	    m, &r, &r.src, r.arp_at != NULL || r.nd.type != 0, now_ns, &reason);
	if (reason != DROP_NONE)
		return reason;
	if (r.nd.type == ND_NEIGHBOR_ADVERTISEMENT &&
	    !ip6_equal(&r.nd.target, &r.src)) {
		(void)learn(m, &r, &r.nd.target, true, now_ns, &reason);
		if (reason != DROP_NONE)
			return reason;
		/* Which may have pushed out the other one. */
		row = macnat_table_find(m->table, &r.src, r.vlan, now_ns);
	}
	if (row != NULL) {
		row->out_frames++;
		f->entry = macnat_row_number(m->table, row);
	}
	put_mac(f->data + OFF_SRC, &m->nic);
	if (r.arp_at != NULL)
		put_mac(r.arp_at + ARP_OFF_SENDER_MAC, &m->nic);
	if (r.bootp_at != NULL)
		set_broadcast(&r, f);
	if (r.nd.type != 0)
		rewrite_nd_out(m, &r, f, now_ns);
	return REASON_MACNAT_OUT;
}

/* ---- in ---- */

/* An answer to a DHCP client goes to that by chaddr. */
static bool
is_dhcp_answer(const struct reading *r)
{
	return r->bootp_at != NULL && r->bootp_at[0] == DHCP_BOOTREPLY &&
	    get_be16(r->udp_at + 2) == DHCP_CLIENT_PORT;
}

static enum reason
answer_in(struct macnat *m, struct reading *r, struct macnat_frame *f)
{
	struct mac client;

	memcpy(client.b, r->bootp_at + BOOTP_OFF_CHADDR, sizeof(client.b));
	if (mac_equal(&client, &m->nic))
		return DROP_NOT_OURS; /* the host's own */
	if (r->bootp_at[1] != ARP_HW_ETHER ||
	    r->bootp_at[2] != sizeof(client.b) || mac_is_group(&client) ||
	    mac_is_zero(&client))
		return DROP_DHCP;
	put_mac(f->data + OFF_DST, &client);
	return REASON_MACNAT_IN;
}

/* Outsiders know a guest by the NIC's address: a redirect that tells of one
 * gets that guest's. */
static void
rewrite_nd_in(struct macnat *m, struct reading *r, const struct macnat_frame *f,
    uint64_t now_ns)
{
	struct macnat_row *row;

	if (r->nd.type != ND_REDIRECT || r->nd.about == NULL ||
	    memcmp(r->nd.about, m->nic.b, sizeof(m->nic.b)) != 0)
		return;
	row = macnat_table_find(m->table, &r->nd.target, r->vlan, now_ns);
	if (row != NULL)
		nd_set(
		    &r->nd, r->nd.about, macnat_row_guest(row), f->unfinished);
}

static enum reason
group_in(struct macnat *m, struct reading *r, struct macnat_frame *f)
{
	if (is_dhcp_answer(r))
		return answer_in(m, r, f);
	return REASON_MACNAT_GROUP;
}

enum reason
macnat_in(struct macnat *m, struct macnat_frame *f, uint64_t now_ns)
{
	struct macnat_row *row;
	struct reading r;
	enum reason reason;

	f->entry = 0;
	reason = read_frame(&r, f);
	if (reason != DROP_NONE)
		return reason;
	if (mac_equal(&r.eth.src, &m->nic))
		return DROP_MACNAT_ECHO;
	if (mac_is_group(&r.eth.dst))
		return group_in(m, &r, f);
	if (!mac_equal(&r.eth.dst, &m->nic))
		return DROP_NOT_OURS;
	if (is_dhcp_answer(&r))
		return answer_in(m, &r, f);
	if (r.arp_at != NULL && r.arp.target_ip == 0) {
		put_mac(f->data + OFF_DST, &mac_broadcast);
		return REASON_MACNAT_GROUP;
	}
	row = macnat_table_find(m->table, &r.dst, r.vlan, now_ns);
	if (row == NULL)
		return DROP_MACNAT_UNKNOWN;
	row->in_frames++;
	f->entry = macnat_row_number(m->table, row);
	put_mac(f->data + OFF_DST, macnat_row_guest(row));
	if (r.arp_at != NULL && mac_equal(&r.arp.target_mac, &m->nic))
		put_mac(r.arp_at + ARP_OFF_TARGET_MAC, macnat_row_guest(row));
	if (r.nd.type != 0)
		rewrite_nd_in(m, &r, f, now_ns);
	return REASON_MACNAT_IN;
}

/* ---- shown ---- */

void
macnat_each(struct macnat *m, uint64_t now_ns,
    void (*each)(void *arg, const struct macnat_entry *entry), void *arg)
{
	struct macnat_row *row = macnat_table_oldest(m->table, now_ns);

	for (; row != NULL; row = TAILQ_NEXT(row, age)) {
		const struct macnat_entry entry = {
			.entry = macnat_row_number(m->table, row),
			.address = row->address,
			.vlan = row->vlan,
			.guest = *macnat_row_guest(row),
			.idle_ns = now_ns - row->used_ns,
			.out_frames = row->out_frames,
			.in_frames = row->in_frames,
		};

		each(arg, &entry);
	}
}

uint32_t
macnat_entries(const struct macnat *m)
{
	return macnat_table_size(m->table);
}
