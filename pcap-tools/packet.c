/*
 * Layer by layer, as far as the bytes go.
 */
#include "pcap-tools/packet.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "net/cursor.h"
#include "net/eth.h"
#include "net/icmp.h"
#include "net/ip4.h"
#include "net/tcp.h"
#include "net/udp.h"

#define IP6_HEADER_BYTES 40
#define IP6_HOP          0
#define IP6_ROUTING      43
#define IP6_FRAGMENT     44
#define IP6_OPTIONS      60
#define IP6_ICMP         58
#define IP6_EXTENSIONS   8 /* more are not followed */
#define ICMP6_ECHO       128
#define ICMP6_ECHO_REPLY 129

/* ---- reading ---- */

static void
read_icmp(struct packet *p, struct cursor *c, bool six)
{
	uint16_t id;

	p->icmp_type = cur_u8(c);
	p->icmp_code = cur_u8(c);
	cur_skip(c, 2);
	id = cur_be16(c);
	p->icmp_seq = cur_be16(c);
	p->echo = six
	    ? p->icmp_type == ICMP6_ECHO || p->icmp_type == ICMP6_ECHO_REPLY
	    : p->icmp_type == ICMP_ECHO_REQUEST ||
		p->icmp_type == ICMP_ECHO_REPLY;
	if (p->echo)
		p->flow.src.port = p->flow.dst.port = id;
}

static void
read_tcp(struct packet *p, struct cursor *c)
{
	size_t header;

	p->flow.src.port = cur_be16(c);
	p->flow.dst.port = cur_be16(c);
	p->seq = cur_be32(c);
	p->ack = cur_be32(c);
	header = (size_t)(cur_u8(c) >> 4) * 4;
	p->flags = cur_u8(c);
	cur_skip(c, 6);
	if (header > TCP_HEADER_BYTES)
		cur_skip(c, header - TCP_HEADER_BYTES);
}

/* The transport, which was bytes long before anything was cut off. */
static void
read_transport(struct packet *p, struct cursor *c, size_t bytes)
{
	const uint8_t *start = c->at;
	size_t header;

	if (!p->later_fragment)
		switch (p->flow.protocol) {
		case IP_TCP: read_tcp(p, c); break;
		case IP_UDP:
			p->flow.src.port = cur_be16(c);
			p->flow.dst.port = cur_be16(c);
			cur_skip(c, 4);
			break;
		case IP_ICMP: read_icmp(p, c, false); break;
		case IP6_ICMP: read_icmp(p, c, true); break;
		default: break;
		}
	header = (size_t)(c->at - start);
	p->data_bytes = bytes > header ? (uint32_t)(bytes - header) : 0;
	p->data = c->at;
	p->kept_bytes =
	    cur_left(c) < p->data_bytes ? cur_left(c) : p->data_bytes;
}

static void
read_ip4(struct packet *p, struct cursor *c, size_t bytes)
{
	const uint8_t *start = c->at;
	uint8_t first = cur_u8(c);
	size_t header = (size_t)(first & 15) * 4, total;
	uint16_t fragment;

	if (first >> 4 != 4 || header < IP4_HEADER_BYTES)
		return;
	cur_skip(c, 1);
	total = cur_be16(c);
	p->ip_id = cur_be16(c);
	fragment = cur_be16(c);
	p->ttl = cur_u8(c);
	p->flow.protocol = cur_u8(c);
	cur_skip(c, 2);
	put_be32(p->flow.src.address, cur_be32(c));
	put_be32(p->flow.dst.address, cur_be32(c));
	if (c->overrun)
		return;
	p->flow.layer = PACKET_IP4;
	p->offset = fragment & 0x1fff;
	p->later_fragment = p->offset != 0;
	cur_skip(c, header - (size_t)(c->at - start));
	/* The total is that of a wire; one of zero is a superframe's. */
	if (total < header || total > bytes)
		total = bytes;
	read_transport(p, c, total > header ? total - header : 0);
}

static void
read_ip6(struct packet *p, struct cursor *c, size_t bytes)
{
	uint8_t next;

	if (cur_u8(c) >> 4 != 6 || cur_left(c) < IP6_HEADER_BYTES - 1)
		return;
	cur_skip(c, 5);
	next = cur_u8(c);
	p->ttl = cur_u8(c);
	memcpy(p->flow.src.address, cur_bytes(c, 16), 16);
	memcpy(p->flow.dst.address, cur_bytes(c, 16), 16);
	p->flow.layer = PACKET_IP6;
	bytes = bytes > IP6_HEADER_BYTES ? bytes - IP6_HEADER_BYTES : 0;
	for (unsigned int i = 0; i < IP6_EXTENSIONS; i++) {
		bool fragment = next == IP6_FRAGMENT;
		size_t len;

		if (!fragment && next != IP6_HOP && next != IP6_ROUTING &&
		    next != IP6_OPTIONS)
			break;
		next = cur_u8(c);
		len = (size_t)cur_u8(c) * 8 + 8;
		if (fragment) {
			len = 8;
			p->offset = cur_be16(c) >> 3;
			p->later_fragment = p->offset != 0;
			cur_skip(c, 4);
		} else {
			cur_skip(c, len - 2);
		}
		bytes = bytes > len ? bytes - len : 0;
	}
	p->flow.protocol = next;
	read_transport(p, c, bytes);
}

bool
packet_read(
    struct packet *p, const uint8_t *frame, size_t kept_bytes, size_t len_bytes)
{
	struct cursor c = cursor(frame, kept_bytes);
	struct eth eth;
	size_t left;

	memset(p, 0, sizeof(*p));
	if (kept_bytes < ETH_HEADER_BYTES)
		return false;
	if (eth_parse(&eth, &c) != DROP_NONE)
		return false;
	p->src = eth.src;
	p->dst = eth.dst;
	p->vlan = eth.nvlans > 0 ? eth.vlan[0].tci & 0xfff : 0;
	p->flow.type = eth.type;
	left = len_bytes - (size_t)(c.at - frame);
	if (eth.type == ETH_IPV4)
		read_ip4(p, &c, left);
	else if (eth.type == ETH_IPV6)
		read_ip6(p, &c, left);
	if (p->flow.layer != PACKET_ETHERNET) {
		p->flow.type = 0;
		return true;
	}
	memset(&p->flow.src, 0, sizeof(p->flow.src));
	memset(&p->flow.dst, 0, sizeof(p->flow.dst));
	p->flow.protocol = 0;
	memcpy(p->flow.src.address, eth.src.b, sizeof(eth.src.b));
	memcpy(p->flow.dst.address, eth.dst.b, sizeof(eth.dst.b));
	p->data = frame + ETH_HEADER_BYTES;
	p->kept_bytes = kept_bytes - ETH_HEADER_BYTES;
	p->data_bytes = (uint32_t)(len_bytes - ETH_HEADER_BYTES);
	return true;
}

/* ---- comparing ---- */

static bool
ends_equal(const struct packet_end *a, const struct packet_end *b)
{
	return a->port == b->port &&
	    memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

bool
packet_same_flow(const struct packet_flow *a, const struct packet_flow *b)
{
	if (a->layer != b->layer || a->protocol != b->protocol ||
	    a->type != b->type)
		return false;
	return (ends_equal(&a->src, &b->src) && ends_equal(&a->dst, &b->dst)) ||
	    (ends_equal(&a->src, &b->dst) && ends_equal(&a->dst, &b->src));
}

/* FNV-1a, which is enough: whoever fills a table by collisions only makes the
 * tool slow for himself. */
static uint64_t
hash_bytes(uint64_t h, const void *data, size_t n)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

static uint64_t
hash_end(const struct packet_end *end)
{
	uint64_t h =
	    hash_bytes(0xcbf29ce484222325u, end->address, sizeof(end->address));

	return hash_bytes(h, &end->port, sizeof(end->port));
}

uint64_t
packet_flow_hash(const struct packet_flow *flow)
{
	uint64_t h = hash_end(&flow->src) + hash_end(&flow->dst);

	h = hash_bytes(h, &flow->layer, 1);
	h = hash_bytes(h, &flow->protocol, 1);
	h = hash_bytes(h, &flow->type, sizeof(flow->type));
	return h ^ h >> 32;
}

uint64_t
packet_content_hash(const struct packet *p)
{
	uint64_t h = 0xcbf29ce484222325u;

	h = hash_bytes(h, &p->flow.layer, 1);
	h = hash_bytes(h, &p->flow.protocol, 1);
	h = hash_bytes(h, &p->flow.type, sizeof(p->flow.type));
	h = hash_bytes(h, &p->offset, sizeof(p->offset));
	h = hash_bytes(h, &p->seq, sizeof(p->seq));
	h = hash_bytes(h, &p->ack, sizeof(p->ack));
	h = hash_bytes(h, &p->flags, 1);
	h = hash_bytes(h, &p->icmp_type, 1);
	h = hash_bytes(h, &p->icmp_code, 1);
	if (p->echo)
		h = hash_bytes(h, &p->icmp_seq, sizeof(p->icmp_seq));
	h = hash_bytes(h, &p->data_bytes, sizeof(p->data_bytes));
	/* An ICMP error quotes addresses, which are translated too. */
	if (p->echo ||
	    (p->flow.protocol != IP_ICMP && p->flow.protocol != IP6_ICMP))
		h = hash_bytes(h, p->data, p->kept_bytes);
	return h ^ h >> 29;
}

/* ---- text ---- */

char *
packet_end_text(char out[PACKET_END_BYTES], const struct packet_flow *flow,
    const struct packet_end *end)
{
	char address[INET6_ADDRSTRLEN];
	struct mac mac;

	switch ((enum packet_layer)flow->layer) {
	case PACKET_ETHERNET:
		memcpy(mac.b, end->address, sizeof(mac.b));
		return mac_text(out, &mac);
	case PACKET_IP4:
		inet_ntop(AF_INET, end->address, address, sizeof(address));
		break;
	case PACKET_IP6:
		inet_ntop(AF_INET6, end->address, address, sizeof(address));
		break;
	}
	if (end->port == 0)
		snprintf(out, PACKET_END_BYTES, "%s", address);
	else
		snprintf(out, PACKET_END_BYTES,
		    flow->layer == PACKET_IP6 ? "[%s]:%u" : "%s:%u", address,
		    end->port);
	return out;
}

const char *
packet_protocol_text(char out[16], const struct packet_flow *flow)
{
	if (flow->layer == PACKET_ETHERNET) {
		if (flow->type == ETH_ARP)
			return "ARP";
		snprintf(out, 16, "0x%04x", flow->type);
		return out;
	}
	switch (flow->protocol) {
	case IP_ICMP: return "ICMP";
	case IP_TCP: return "TCP";
	case IP_UDP: return "UDP";
	case IP6_ICMP: return "ICMPv6";
	}
	snprintf(out, 16, "IP %u", flow->protocol);
	return out;
}
