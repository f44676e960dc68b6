#include "router/datagram.h"

#include "router/router_state.h"

uint8_t *
datagram_make(struct router *router, const struct datagram *d, size_t *bytes)
{
	const struct ip4 ip = { .total_bytes = (uint16_t)(IP4_HEADER_BYTES +
				    UDP_HEADER_BYTES + d->udp.data_bytes),
		.id = ip_ids_take(&router->ids, d->src, d->dst, IP_UDP, 1),
		.ttl = d->ttl != 0 ? d->ttl : DATAGRAM_TTL,
		.protocol = IP_UDP,
		.src = d->src,
		.dst = d->dst };
	uint8_t *room = output_room(router, ip.total_bytes);
	struct writer w;

	if (room == NULL)
		return NULL;
	*bytes = ip.total_bytes;
	w = writer(room, ip.total_bytes);
	ip4_write(&w, &ip);
	udp_write(&w, &d->udp, d->src, d->dst);
	return room;
}

uint8_t *
datagram6_make(
    struct router *router, const struct datagram6 *datagram, size_t *bytes)
{
	const struct udp *udp = &datagram->udp;
	struct ip6 ip = { .payload_bytes =
			      (uint16_t)(UDP_HEADER_BYTES + udp->data_bytes),
		.next = IP_UDP,
		.hop_limit = datagram->hop_limit != 0 ? datagram->hop_limit
						      : DATAGRAM_TTL,
		.src = datagram->src,
		.dst = datagram->dst };
	uint8_t *room;
	struct writer w;

	*bytes = IP6_HEADER_BYTES + (size_t)ip.payload_bytes;
	room = output_room(router, *bytes);
	if (room == NULL)
		return NULL;
	w = writer(room, *bytes);
	ip6_write(&w, &ip);
	udp6_write(&w, udp, &ip.src, &ip.dst);
	return room;
}
