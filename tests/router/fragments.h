/*
 * fragments.h - packets in fragments, for a rig with NAT.
 */
#ifndef TESTS_ROUTER_FRAGMENTS_H
#define TESTS_ROUTER_FRAGMENTS_H

#include "tests/router/nat_rig.h"

/* Cuts the packet in pkt into n fragments of the same length but the last. */
static inline void
cut(const struct pkt *pkt, int n, struct pkt *out)
{
	struct cursor c = cursor(pkt->bytes + 14, pkt->len - 14);
	struct ip4 ip;
	size_t payload, part;

	assert_int_equal(ip4_parse(&ip, &c), REASON_NONE);
	payload = cur_left(&c);
	part = (payload / (size_t)n + 7) & ~(size_t)7;
	for (int i = 0; i < n; i++) {
		struct writer w = writer(out[i].bytes, sizeof(out[i].bytes));
		size_t at = part * (size_t)i;
		size_t bytes = payload - at < part ? payload - at : part;
		struct ip4 h = ip;

		h.offset_bytes = (uint16_t)at;
		h.fragment = i + 1 < n ? IP4_MF : 0;
		h.total_bytes = (uint16_t)(h.header_bytes + bytes);
		wr_bytes(&w, pkt->bytes, 14);
		ip4_write(&w, &h);
		wr_bytes(&w, c.at + at, bytes);
		assert_false(w.overrun);
		out[i].len = (size_t)(w.at - out[i].bytes);
	}
}

/* In three parts; the caller frees it. */
static inline struct pkt *
three_parts(const struct rig *rig, int from, const struct form *f,
    uint8_t protocol, uint8_t icmp_type)
{
	struct pkt *pkt = malloc(sizeof(*pkt)),
		   *part = malloc(3 * sizeof(*part));

	pkt_make(pkt, &rig->peer[from], f, protocol, icmp_type);
	cut(pkt, 3, part);
	free(pkt);
	return part;
}

static inline enum reason
send_part(struct rig *rig, int from, const struct pkt *part)
{
	return rig_send(rig, from, part->bytes, part->len);
}

#endif
