/*
 * The last steps of an IPv6 packet: its next hop is known or it is kept until
 * then, and it goes to the outbox.  Routers do not cut IPv6 packets that they pass
 * on.  Their own are cut to what fits any link, unless a neighbour gets them: no
 * path's MTU is remembered (RFC 8200 5).
 */
#include "router/router6.h"

#include "net/nd.h"
#include "router/icmp6_error.h"
#include "router/nat_ports.h" /* nat_random() */
#include "router/nat64.h"

enum reason
output6_ip(struct router *router, const struct way6 *way, struct frame *frame,
    uint8_t *head, const struct verdict *cause)
{
	const struct mac *to;

	if (iface6_is_off(way->out))
		return DROP_IP6_OFF;
	to = neigh_find(router->neighbours6, way->out, &way->next_hop,
	    loop_now_ns(router->loop));
	if (to == NULL) {
		struct verdict kept = *cause;

		if (cause != &router->own)
			kept.reason = REASON_ND_QUEUED;
		return neigh_keep(router->neighbours6, way->out, &way->next_hop,
		    frame, &kept);
	}
	output_link(head, way->out, to, ETH_IPV6);
	return output_send(router, way->out, frame, cause) ? REASON_NONE
							   : DROP_PORT_FULL;
}

/* ---- fragments ---- */

#define PART_BYTES ((IP6_MTU_MIN - IP6_HEADER_BYTES - IP6_FRAGMENT_BYTES) & ~7u)

/* The bytes of data from at on. */
static enum reason
send_part(struct router *router, const struct way6 *way,
    const struct output6_cut *cut, const uint8_t *data, size_t bytes,
    size_t offset, bool more, const struct verdict *cause)
{
	size_t len =
	    ETH_HEADER_BYTES + IP6_HEADER_BYTES + IP6_FRAGMENT_BYTES + bytes;
	uint8_t *room = outbox_room(router->outbox, len), *ip;
	struct frame frame = {
		.data = room, .len = (uint32_t)len, .head = (uint32_t)len
	};

	if (room == NULL)
		return DROP_PORT_FULL;
	ip = room + ETH_HEADER_BYTES;
	memcpy(ip, cut->header, IP6_HEADER_BYTES);
	put_be16(ip + IP6_OFF_PAYLOAD, (uint16_t)(IP6_FRAGMENT_BYTES + bytes));
	ip[IP6_OFF_NEXT] = IP_FRAGMENT;
	ip += IP6_HEADER_BYTES;
	ip[0] = cut->next;
	ip[1] = 0;
	put_be16(ip + 2, (uint16_t)(offset | (more ? 1 : 0)));
	put_be32(ip + 4, cut->id);
	memcpy(ip + IP6_FRAGMENT_BYTES, data, bytes);
	return output6_ip(router, way, &frame, room, cause);
}

enum reason
output6_cut(struct router *router, const struct way6 *way,
    const struct output6_cut *cut, const uint8_t *data, size_t bytes,
    const struct verdict *cause)
{
	size_t n = bytes / PART_BYTES + 1;
	enum reason worst = REASON_NONE;

	if (!outbox_has_room(router->outbox, (unsigned int)n,
		bytes + n * (ETH_HEADER_BYTES + IP6_HEADER_BYTES + 8)))
		return DROP_PORT_FULL;
	for (size_t at = 0; at < bytes; at += PART_BYTES) {
		bool last = bytes - at <= PART_BYTES;
		enum reason reason = send_part(router, way, cut, data + at,
		    last ? bytes - at : PART_BYTES, cut->offset + at,
		    !last || cut->more, cause);

		if (reason != REASON_NONE)
			worst = reason;
	}
	return worst;
}

/* ---- the router's own ---- */

void
output6_direct(struct router *router, struct iface *out, const struct mac *mac,
    uint8_t *ip, size_t ip_bytes)
{
	struct frame frame = output_frame(ip, ip_bytes);

	if (iface6_is_off(out))
		return;
	output_link(ip - ETH_HEADER_BYTES, out, mac, ETH_IPV6);
	output_send(router, out, &frame, &router->own);
}

static enum reason
cut_own(struct router *router, const struct way6 *way, const uint8_t *ip,
    size_t ip_bytes)
{
	const struct output6_cut cut = { .header = ip,
		.next = ip[IP6_OFF_NEXT],
		.id = (uint32_t)nat_random(&way->out->six.seed) };

	return output6_cut(router, way, &cut, ip + IP6_HEADER_BYTES,
	    ip_bytes - IP6_HEADER_BYTES, &router->own);
}

enum reason
output6_own(
    struct router *router, struct iface *out, uint8_t *ip, size_t ip_bytes)
{
	struct frame frame = output_frame(ip, ip_bytes);
	struct way6 way = { .out = out };
	struct ip6_addr dst;

	memcpy(dst.b, ip + IP6_OFF_DST, sizeof(dst.b));
	if (ip6_is_multicast(&dst)) {
		struct mac group = nd_group_mac(&dst);

		output6_direct(router, out, &group, ip, ip_bytes);
		return REASON_NONE;
	}
	if (nat64_has(router, &dst))
		return nat64_own(router, ip, ip_bytes);
	if (ip6_is_link_local(&dst))
		way.next_hop = dst;
	else if (!way6_find(router, &dst, &way))
		return DROP_NO_ROUTE;
	if (ip_bytes > way.out->mtu_bytes ||
	    (ip_bytes > IP6_MTU_MIN && !ip6_equal(&way.next_hop, &dst)))
		return cut_own(router, &way, ip, ip_bytes);
	return output6_ip(
	    router, &way, &frame, ip - ETH_HEADER_BYTES, &router->own);
}

/* ---- errors ---- */

/* Sends an error to src, who is reached by way of on, from the address from, or
 * one that is fit, if that is NULL. */
static void
send_error(struct router *router, struct iface *on, const struct ip6_addr *from,
    const struct ip6_addr *src, const struct icmp6_error *error,
    const uint8_t *quote, size_t n)
{
	struct way6 way = { .out = on };
	struct writer w;
	uint8_t *ip;

	/* From an address that was not spoken to, or of which there are more,
	 * it comes from one that tells who speaks (RFC 4443 2.2 b). */
	if (!ip6_is_link_local(src) && !nat64_has(router, src) &&
	    !way6_find(router, src, &way))
		return;
	if (from == NULL)
		from = iface6_source(way.out, src);
	if (from == NULL || way.out->no_errors ||
	    !icmp_limit_take(&router->errors6, get_be32(src->b + 12),
		loop_now_ns(router->loop)))
		return;
	ip = output_room(router, ICMP6_ERROR_BYTES);
	if (ip == NULL)
		return;
	w = writer(ip, ICMP6_ERROR_BYTES);
	icmp6_error_write(&w, error, from, src, quote, n);
	output6_own(router, on, ip, (size_t)(w.at - ip));
}

void
output6_error(struct router *router, const struct packet6 *p, uint8_t type,
    uint8_t code, uint32_t word)
{
	const struct icmp6_error error = { type, code, word };
	uint8_t quote[ICMP6_ERROR_QUOTE];
	size_t n = packet6_bytes(p), have = p->head - ETH_HEADER_BYTES;
	const struct iface *owner;

	if (!icmp6_error_allowed(&error, &p->ip, packet6_payload(p), p->group))
		return;
	if (n > sizeof(quote))
		n = sizeof(quote);
	if (have > n)
		have = n;
	/* What was decided by is quoted from our copy. */
	memcpy(quote, packet6_ip(p), have);
	if (n > have)
		frame_copy(
		    quote + have, p->frame, ETH_HEADER_BYTES + have, n - have);
	owner = router_owner6(router, p->in, &p->ip.dst);
	send_error(router, p->in,
	    owner != NULL && iface6_is_unicast(owner, &p->ip.dst) ? &p->ip.dst
								  : NULL,
	    &p->ip.src, &error, quote, n);
}

void
output6_error_about(struct router *router, struct iface *on,
    const struct icmp6_error *error, uint8_t *ip, size_t bytes)
{
	struct cursor c = cursor(ip, bytes);
	struct ip6 quoted;

	if (ip6_parse_quoted(&quoted, &c) != REASON_NONE)
		return;
	prefix6_undo(router, on, ip, bytes, &quoted.src);
	if (icmp6_error_allowed(error, &quoted, c, false))
		send_error(router, on, NULL, &quoted.src, error, ip, bytes);
}

void
output6_unreachable(struct router *router, struct iface *out, struct held *held)
{
	const struct icmp6_error error = { ICMP6_UNREACHABLE,
		ICMP6_UNREACH_ADDRESS, 0 };
	struct held_view view;
	uint8_t quote[ICMP6_ERROR_QUOTE];
	size_t n = held->len - ETH_HEADER_BYTES;

	if (held->verdict.reason == REASON_SENT)
		return;
	hold_view(&view, held);
	if (n > sizeof(quote))
		n = sizeof(quote);
	frame_copy(quote, &view.frame, ETH_HEADER_BYTES, n);
	output6_error_about(router, out, &error, quote, n);
}
