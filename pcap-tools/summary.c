/*
 * Says what a frame is, layer by layer, and stops where the bytes do.
 *
 * A frame may be cut short: fields are read from what is there.  Where a layer
 * is whole, net/ has its say as well, so that a line ends in "[l4-checksum]"
 * where a receiver would count that.
 */
#include "pcap-tools/capture.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "net/arp.h"
#include "net/dhcp.h"
#include "net/dns.h"
#include "net/eth.h"
#include "net/icmp.h"
#include "net/ip4.h"
#include "net/tcp.h"
#include "net/udp.h"

struct line {
	char *at;
	size_t left; /* with the end */
};

static void __attribute__((format(printf, 2, 3)))
say(struct line *l, const char *format, ...)
{
	va_list args;
	int n;

	if (l->left == 0)
		return;
	va_start(args, format);
	n = vsnprintf(l->at, l->left, format, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n >= l->left)
		n = (int)l->left - 1;
	l->at += n;
	l->left -= (size_t)n;
}

static void
say_fault(struct line *l, enum reason reason)
{
	if (reason != DROP_NONE)
		say(l, " [%s]", reason_name(reason));
}

static void
say_address(struct line *l, uint32_t addr)
{
	char text[IP4_TEXT_BYTES];

	say(l, "%s", ip4_text(text, addr));
}

static void
say_mac(struct line *l, const struct mac *mac)
{
	char text[MAC_TEXT_BYTES];

	say(l, "%s", mac_text(text, mac));
}

/* ---- ARP ---- */

static void
say_arp(struct line *l, struct cursor c)
{
	struct arp arp;
	enum reason reason = arp_parse(&arp, &c);

	say(l, "ARP");
	if (reason != DROP_NONE) {
		say_fault(l, reason);
		return;
	}
	if (arp.op == ARP_REQUEST) {
		say(l, " who has ");
		say_address(l, arp.target_ip);
		say(l, "? tell ");
		say_address(l, arp.sender_ip);
	} else {
		say(l, " ");
		say_address(l, arp.sender_ip);
		say(l, " is at ");
		say_mac(l, &arp.sender_mac);
	}
}

/* ---- what UDP carries ---- */

static void
say_dhcp(struct line *l, const struct dhcp *dhcp)
{
	static const char *const names[] = { "BOOTP", "DHCP discover",
		"DHCP offer", "DHCP request", "DHCP decline", "DHCP ack",
		"DHCP nak", "DHCP release", "DHCP inform" };
	uint32_t addr = dhcp->yiaddr;

	static_assert(sizeof(names) / sizeof(names[0]) == DHCP_INFORM + 1,
	    "a type has no name");
	say(l, " %s", dhcp->type <= DHCP_INFORM ? names[dhcp->type] : "DHCP");
	if (addr == 0)
		addr = dhcp->requested != 0 ? dhcp->requested : dhcp->ciaddr;
	if (addr != 0) {
		say(l, " ");
		say_address(l, addr);
	}
	say(l, " for ");
	say_mac(l, &dhcp->chaddr);
}

static void
say_dns(struct line *l, const struct dns *dns)
{
	const char *type = dns->type == DNS_TYPE_A ? "A"
	    : dns->type == DNS_TYPE_PTR            ? "PTR"
	    : dns->type == DNS_TYPE_AAAA           ? "AAAA"
						   : NULL;

	say(l, " DNS %s",
	    dns->flags & DNS_FLAG_RESPONSE ? "answer" : "question");
	if (type != NULL)
		say(l, " %s", type);
	else
		say(l, " type %u", dns->type);
	say(l, " %s", dns->name[0] != '\0' ? dns->name : ".");
	if (!(dns->flags & DNS_FLAG_RESPONSE))
		return;
	if (DNS_RCODE(dns->flags) == DNS_NXDOMAIN)
		say(l, " no such name");
	else if (DNS_RCODE(dns->flags) == DNS_REFUSED)
		say(l, " refused");
	else if (DNS_RCODE(dns->flags) != DNS_OK)
		say(l, " error %u", DNS_RCODE(dns->flags));
	for (unsigned int i = 0; i < dns->naddrs; i++) {
		say(l, " ");
		say_address(l, dns->addr[i]);
	}
}

static void
say_payload(
    struct line *l, uint16_t sport, uint16_t dport, struct cursor payload)
{
	union {
		struct dhcp dhcp;
		struct dns dns;
	} u;

	if ((sport == DHCP_SERVER_PORT || sport == DHCP_CLIENT_PORT) &&
	    (dport == DHCP_SERVER_PORT || dport == DHCP_CLIENT_PORT)) {
		if (dhcp_parse(&u.dhcp, &payload) == DROP_NONE)
			say_dhcp(l, &u.dhcp);
	} else if (sport == DNS_PORT || dport == DNS_PORT) {
		if (dns_parse(&u.dns, &payload) == DROP_NONE)
			say_dns(l, &u.dns);
	}
}

/* ---- what IP carries; c holds what is there of it ---- */

struct packet {
	const struct ip4 *ip;
	struct cursor c;
	bool whole; /* all of it, and not one quoted */
};

static void
say_udp(struct line *l, const struct packet *p)
{
	struct cursor c = p->c, whole = p->c;
	uint16_t sport = cur_be16(&c), dport = cur_be16(&c);
	uint16_t len = cur_be16(&c);
	struct udp udp;

	say(l, " UDP");
	if (c.overrun)
		return;
	say(l, " %u > %u", sport, dport);
	if (len >= UDP_HEADER_BYTES)
		say(l, " %u bytes", len - UDP_HEADER_BYTES);
	cur_skip(&c, 2);
	say_payload(l, sport, dport, c);
	if (p->whole)
		say_fault(l, udp_parse(&udp, &whole, p->ip, false));
}

static void
say_tcp_flags(struct line *l, uint8_t flags)
{
	static const struct {
		uint8_t flag;
		const char *name;
	} names[] = {
		{ TCP_SYN, "SYN" },
		{ TCP_FIN, "FIN" },
		{ TCP_RST, "RST" },
		{ TCP_PSH, "PSH" },
		{ TCP_URG, "URG" },
		{ TCP_ACK, "ACK" },
	};
	const char *between = " ";

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(flags & names[i].flag))
			continue;
		say(l, "%s%s", between, names[i].name);
		between = "+";
	}
}

static void
say_tcp(struct line *l, const struct packet *p)
{
	struct cursor c = p->c, whole = p->c;
	uint16_t sport = cur_be16(&c), dport = cur_be16(&c);
	uint32_t seq, ack, header, left;
	uint8_t offset, flags;
	struct tcp tcp;

	say(l, " TCP");
	if (c.overrun)
		return;
	say(l, " %u > %u", sport, dport);
	seq = cur_be32(&c);
	if (c.overrun)
		return;
	ack = cur_be32(&c);
	offset = cur_u8(&c);
	flags = cur_u8(&c);
	if (c.overrun) {
		say(l, " seq %u", seq);
		return;
	}
	say_tcp_flags(l, flags);
	say(l, " seq %u", seq);
	if (flags & TCP_ACK)
		say(l, " ack %u", ack);
	header = (uint32_t)(offset >> 4) * 4;
	left = (uint32_t)p->ip->total_bytes - p->ip->header_bytes;
	if (left > header)
		say(l, " %u bytes", left - header);
	if (p->whole)
		say_fault(l, tcp_parse(&tcp, &whole, p->ip, false));
}

static void say_ip4(struct line *l, struct cursor c, bool quoted);

static const char *
unreachable(uint8_t code)
{
	switch (code) {
	case ICMP_UNREACH_NET: return "net unreachable";
	case ICMP_UNREACH_HOST: return "host unreachable";
	case ICMP_UNREACH_PROTOCOL: return "protocol unreachable";
	case ICMP_UNREACH_PORT: return "port unreachable";
	case ICMP_UNREACH_NEEDFRAG: return "fragmentation needed";
	case ICMP_UNREACH_PROHIBITED: return "prohibited";
	default: return "unreachable";
	}
}

static void
say_icmp_kind(struct line *l, uint8_t type, uint8_t code)
{
	switch (type) {
	case ICMP_ECHO_REPLY: say(l, " echo reply"); break;
	case ICMP_ECHO_REQUEST: say(l, " echo request"); break;
	case ICMP_UNREACHABLE: say(l, " %s", unreachable(code)); break;
	case ICMP_REDIRECT: say(l, " redirect"); break;
	case ICMP_TIME_EXCEEDED:
		say(l,
		    code == 0 ? " time to live exceeded"
			      : " reassembly time exceeded");
		break;
	case ICMP_PARAMETER: say(l, " parameter problem"); break;
	default: say(l, " type %u code %u", type, code); break;
	}
}

static void
say_icmp(struct line *l, const struct packet *p, bool quoted)
{
	struct cursor c = p->c, whole = p->c;
	uint8_t type = cur_u8(&c), code = cur_u8(&c);
	uint16_t id, seq;
	struct icmp icmp;

	say(l, " ICMP");
	if (c.overrun)
		return;
	say_icmp_kind(l, type, code);
	cur_skip(&c, 2);
	id = cur_be16(&c);
	seq = cur_be16(&c);
	if (c.overrun)
		return;
	if (type == ICMP_ECHO_REQUEST || type == ICMP_ECHO_REPLY)
		say(l, " id %u seq %u", id, seq);
	else if (type == ICMP_UNREACHABLE && code == ICMP_UNREACH_NEEDFRAG)
		say(l, " mtu %u", seq);
	if (icmp_is_error(type) && !quoted) {
		say(l, " (");
		say_ip4(l, c, true);
		say(l, ")");
	}
	if (p->whole)
		say_fault(l, icmp_parse(&icmp, &whole));
}

/* ---- IPv4 ---- */

static void
say_protocol(struct line *l, const struct packet *p, bool quoted)
{
	if (p->ip->offset_bytes != 0) {
		say(l, " protocol %u", p->ip->protocol);
		return;
	}
	switch (p->ip->protocol) {
	case IP_ICMP: say_icmp(l, p, quoted); break;
	case IP_UDP: say_udp(l, p); break;
	case IP_TCP: say_tcp(l, p); break;
	default: say(l, " protocol %u", p->ip->protocol); break;
	}
}

static void
say_ip4(struct line *l, struct cursor c, bool quoted)
{
	struct ip4 ip;
	enum reason reason = ip4_parse_quoted(&ip, &c);
	struct packet p = { .ip = &ip };

	say(l, "IPv4");
	if (reason != DROP_NONE) {
		say_fault(l, reason);
		return;
	}
	say(l, " ");
	say_address(l, ip.src);
	say(l, " > ");
	say_address(l, ip.dst);
	p.c = c;
	p.whole = !quoted && !ip4_is_fragment(&ip) &&
	    cur_left(&c) + ip.header_bytes == ip.total_bytes;
	say_protocol(l, &p, quoted);
	if (ip4_is_fragment(&ip))
		say(l, " fragment at %u", ip.offset_bytes);
	if (ip.ttl <= 1 && !quoted)
		say(l, " ttl %u", ip.ttl);
}

/* ---- Ethernet ---- */

static void
say_other(struct line *l, const struct eth *eth, size_t left)
{
	if (eth->type == ETH_IPV6)
		say(l, "IPv6 ");
	say_mac(l, &eth->src);
	say(l, " > ");
	say_mac(l, &eth->dst);
	if (eth->type < 0x600)
		say(l, " LLC"); /* a length (IEEE 802.3 3.2.6) */
	else if (eth->type != ETH_IPV6)
		say(l, " type 0x%04x", eth->type);
	say(l, " %zu bytes", left);
}

/* Names come from frames: nothing of them reaches a terminal but text. */
static void
make_printable(char *s)
{
	for (; *s != '\0'; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
}

char *
frame_summary(char *out, size_t out_bytes, const uint8_t *data, size_t len)
{
	struct line l = { .at = out, .left = out_bytes };
	struct cursor c = cursor(data, len);
	struct eth eth;
	enum reason reason = eth_parse(&eth, &c);

	if (out_bytes == 0)
		return out;
	out[0] = '\0';
	if (reason != DROP_NONE) {
		say(&l, "Ethernet %zu bytes", len);
		say_fault(&l, reason);
		return out;
	}
	for (unsigned int i = 0; i < eth.nvlans; i++)
		say(&l, "VLAN %u ", eth.vlan[i].tci & 0xfffu);
	switch (eth.type) {
	case ETH_ARP: say_arp(&l, c); break;
	case ETH_IPV4: say_ip4(&l, c, false); break;
	default: say_other(&l, &eth, cur_left(&c)); break;
	}
	make_printable(out);
	return out;
}
