/*
 * What NAT refuses: it is noted, and who opens a connection from outside is told
 * later, if rules want that (nat_syn.h).
 */
#include <string.h>

#include "net/tcp.h"
#include "router/router_state.h"

void
router_note_refusal(
    struct router *router, const struct packet *p, enum reason reason)
{
	struct refusal_row *row =
	    &router->refusals[router->nrefusals++ % ROUTER_REFUSALS];
	const uint8_t *payload;
	size_t bytes = packet_payload(p, &payload);
	struct cursor c = cursor(payload, bytes);

	*row = (struct refusal_row){ .at_ns = p->now_ns,
		.reason = reason,
		.protocol = p->ip.protocol,
		.src_ip = p->ip.src,
		.dst_ip = p->ip.dst };
	if (p->ip.offset_bytes != 0)
		return;
	if (p->ip.protocol == IP_TCP || p->ip.protocol == IP_UDP) {
		row->src_port = cur_be16(&c);
		row->dst_port = cur_be16(&c);
	} else if (p->ip.protocol == IP_ICMP) {
		cur_skip(&c, ICMP_OFF_ID);
		row->dst_port = cur_be16(&c);
	}
}

/* ---- SYNs from outside (RFC 5382 REQ-4) ---- */

static bool
is_syn(const struct nat_packet *packet)
{
	return packet->is_tcp &&
	    (packet->segment.flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

void
router_hold_syn(struct router *router, const struct packet *p)
{
	const struct nat_packet *packet = &p->l4;
	const struct nat_syn ends = { .ip = p->ip.dst,
		.port = packet->dport,
		.remote_ip = p->ip.src,
		.remote_port = packet->sport };

	if (nat_rules(router->nat)->refuse_syn && is_syn(packet) &&
	    nat_syn_keep(&router->syns, &ends, packet->bytes,
		(uint32_t)packet->head_bytes, p->now_ns) &&
	    !loop_timer_is_set(&router->syn_timer))
		loop_timer_set(
		    &router->syn_timer, nat_syn_due_ns(&router->syns));
}

void
router_forget_syn(struct router *router, uint32_t ip, uint16_t port,
    const struct nat_flow *flow)
{
	const struct nat_syn ends = { .ip = ip,
		.port = port,
		.remote_ip = flow->remote_ip,
		.remote_port = flow->remote_port };

	nat_syn_forget(&router->syns, &ends);
}

static void
answer_syn(struct router *router, struct nat_syn *syn)
{
	uint8_t bytes[ETH_HEADER_BYTES + NAT_SYN_BYTES];
	struct frame frame = { .data = bytes,
		.len = ETH_HEADER_BYTES + (uint32_t)syn->len,
		.head = ETH_HEADER_BYTES + (uint32_t)syn->len };
	struct packet p = { .in = router->outside,
		.frame = &frame,
		.bytes = bytes,
		.head = frame.len,
		.now_ns = loop_now_ns(router->loop) };
	struct cursor c = cursor(syn->bytes, syn->len);

	if (ip4_parse_quoted(&p.ip, &c) != REASON_NONE)
		return;
	memset(bytes, 0, ETH_HEADER_BYTES);
	memcpy(bytes + ETH_HEADER_BYTES, syn->bytes, syn->len);
	if (p.ip.total_bytes > syn->len)
		p.ip.total_bytes = syn->len; /* what is quoted of it */
	output_error(router, &p, ICMP_UNREACHABLE, ICMP_UNREACH_PORT, 0);
}

void
router_answer_syns(void *arg)
{
	struct router *router = arg;
	struct nat_syn syn;

	while (nat_syn_pop(&router->syns, loop_now_ns(router->loop), &syn))
		if (nat_rules(router->nat)->refuse_syn) /* still */
			answer_syn(router, &syn);
	if (nat_syn_due_ns(&router->syns) != UINT64_MAX)
		loop_timer_set(
		    &router->syn_timer, nat_syn_due_ns(&router->syns));
	outbox_flush(router->outbox);
}
