/*
 * The two ends are hashed apart, one after the other; for a symmetric hash the
 * lower of two addresses, with its port, comes first.
 */
#include "switch/flow.h"

#include <string.h>

#include "net/eth.h"
#include "net/ip4.h"
#include "net/ip6.h"

#define FLOW_BYTES 128 /* of a frame, as far as headers are looked at */

/* What is known of one end. */
struct end {
	uint8_t addr[16];
	uint16_t port;
};

struct flow {
	struct end end[2]; /* from, to */
	uint32_t vlans;
	uint8_t protocol;
};

static uint64_t
mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 32;
}

static uint64_t
mix_end(uint64_t h, const struct end *end)
{
	uint64_t a, b;

	memcpy(&a, end->addr, 8);
	memcpy(&b, end->addr + 8, 8);
	return mix(mix(mix(h, a), b), end->port);
}

static void
take_ends(struct flow *f, struct cursor *c, size_t addr_bytes)
{
	const uint8_t *from = cur_bytes(c, addr_bytes);
	const uint8_t *to = cur_bytes(c, addr_bytes);

	if (c->overrun)
		return;
	memset(f->end, 0, sizeof(f->end));
	memcpy(f->end[0].addr, from, addr_bytes);
	memcpy(f->end[1].addr, to, addr_bytes);
}

static void
take_ports(struct flow *f, struct cursor *c)
{
	uint16_t from = cur_be16(c), to = cur_be16(c);

	if (c->overrun || (f->protocol != IP_TCP && f->protocol != IP_UDP))
		return;
	f->end[0].port = from;
	f->end[1].port = to;
}

static void
take_ip4(struct flow *f, struct cursor *c, enum flow_level level)
{
	uint8_t head = cur_u8(c);
	uint16_t fragment;

	cur_skip(c, 5);
	fragment = cur_be16(c);
	cur_skip(c, 1);
	f->protocol = cur_u8(c);
	cur_skip(c, 2);
	take_ends(f, c, 4);
	/* No fragment but the first has ports: none is asked for them. */
	if (level < FLOW_L4 || (fragment & 0x3fff) != 0 || (head & 0xf) < 5)
		return;
	cur_skip(c, 4u * (head & 0xf) - IP4_HEADER_BYTES);
	take_ports(f, c);
}

static void
take_ip6(struct flow *f, struct cursor *c, enum flow_level level)
{
	cur_skip(c, 6);
	f->protocol = cur_u8(c);
	cur_skip(c, 1);
	take_ends(f, c, 16);
	if (level >= FLOW_L4)
		take_ports(f, c);
}

uint32_t
flow_hash(const struct flow_options *options, const uint8_t *bytes, size_t len)
{
	uint8_t copy[FLOW_BYTES];
	struct cursor c = cursor(copy, len < FLOW_BYTES ? len : FLOW_BYTES);
	struct flow f = { .protocol = 0 };
	bool swapped;
	uint16_t type;

	memcpy(copy, bytes, cur_left(&c));
	take_ends(&f, &c, 6);
	for (type = cur_be16(&c); type == ETH_VLAN || type == ETH_QINQ;
	     type = cur_be16(&c))
		f.vlans = f.vlans << 12 | (cur_be16(&c) & 0xfff);
	if (options->level >= FLOW_L3 && type == ETH_IPV4)
		take_ip4(&f, &c, options->level);
	else if (options->level >= FLOW_L3 && type == ETH_IPV6)
		take_ip6(&f, &c, options->level);
	swapped = options->symmetric &&
	    memcmp(f.end[0].addr, f.end[1].addr, sizeof(f.end[0].addr)) > 0;
	if (options->symmetric &&
	    memcmp(f.end[0].addr, f.end[1].addr, sizeof(f.end[0].addr)) == 0)
		swapped = f.end[0].port > f.end[1].port;
	return (uint32_t)(mix_end(mix_end(mix(f.vlans, 1), &f.end[swapped]),
			      &f.end[!swapped]) >>
	    32);
}
