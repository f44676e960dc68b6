/*
 * The table knows packets by 32-bit addresses.  A fragment's are keyed hashes of
 * its own, with the identification in that of the destination, so that two
 * packets are taken for one by chance alone, and a sender is one.
 */
#include "router/join6.h"

#include "router/fragment.h"
#include "router/router6.h"
#include "router/taken.h"

/* As the table knows it; its data is data_bytes from where chain ends. */
static struct ip4
key_of(const struct router *router, const struct packet6 *p,
    const struct ip6_chain *chain, size_t data_bytes)
{
	return (struct ip4){
		.src = ip6_hash(router->key6, &p->ip.src),
		.dst = ip6_hash(router->key6, &p->ip.dst) + chain->id,
		.id = (uint16_t)(chain->id >> 16),
		.protocol = packet6_ip(p)[chain->fragment_at],
		.header_bytes = IP4_HEADER_BYTES,
		.total_bytes = (uint16_t)(IP4_HEADER_BYTES + data_bytes),
		.offset_bytes = chain->offset_bytes,
		.fragment = chain->more ? IP4_MF : 0,
	};
}

/* Can there be such a fragment?  Its sender is told where it errs. */
static bool
is_right(struct router *router, const struct packet6 *p,
    const struct ip6_chain *chain, size_t bytes)
{
	uint32_t at = 0;

	if (chain->more && bytes % 8 != 0)
		at = IP6_OFF_PAYLOAD;
	else if (chain->offset_bytes + bytes > UINT16_MAX - IP4_HEADER_BYTES)
		at = chain->fragment_at + 2u;
	if (at != 0)
		output6_error(
		    router, p, ICMP6_PARAMETER, ICMP6_PARAMETER_HEADER, at);
	return at == 0;
}

/* The packet: the header of its last fragment, and the data. */
static void
make_whole(struct router *router, const struct packet6 *p, uint8_t next,
    size_t bytes, struct packet6 *whole, struct frame *frame)
{
	uint8_t *ip = router->whole + ETH_HEADER_BYTES;

	memcpy(router->whole, p->bytes, ETH_HEADER_BYTES + IP6_HEADER_BYTES);
	put_be16(ip + IP6_OFF_PAYLOAD, (uint16_t)bytes);
	ip[IP6_OFF_NEXT] = next;
	*whole = *p;
	whole->bytes = router->whole;
	whole->head = (uint32_t)(ETH_HEADER_BYTES + IP6_HEADER_BYTES + bytes);
	whole->ip.payload_bytes = (uint16_t)bytes;
	whole->ip.next = next;
	*frame = (struct frame){ .data = router->whole,
		.len = whole->head,
		.head = whole->head,
		.verdict = p->frame->verdict };
	whole->frame = frame;
}

enum reason
join6_take(struct router *router, struct packet6 *p,
    const struct ip6_chain *chain, struct packet6 *whole, struct frame *frame)
{
	size_t skip = chain->fragment_at + (size_t)IP6_FRAGMENT_BYTES;
	size_t bytes = packet6_bytes(p) - skip;
	uint8_t *ip = router->whole + ETH_HEADER_BYTES;
	struct frame view;
	struct ip4 key;
	enum reason reason;

	if (!is_right(router, p, chain, bytes))
		return DROP_FRAGMENT;
	key = key_of(router, p, chain, bytes);
	if (!taken_view(router->outbox, p->frame, &p->bytes, &p->head,
		(uint32_t)ETH_HEADER_BYTES + packet6_bytes(p), &view))
		return DROP_PORT_FULL;
	view.verdict = p->frame->verdict;
	reason = fragment_collect(router->fragments, p->in, &key, &view,
	    &router->node, p->now_ns, ip + IP6_HEADER_BYTES, &bytes);
	if (reason == REASON_NONE)
		make_whole(router, p, key.protocol, bytes, whole, frame);
	return reason;
}
