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
