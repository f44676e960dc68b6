#include "net/udp.h"

#include "net/checksum.h"

#define UDP_MAX_BYTES (IP4_MAX_BYTES - IP4_HEADER_BYTES)

enum reason
udp_parse(struct udp *udp, struct cursor *c, const struct ip4 *ip, bool trusted)
{
	size_t left = cur_left(c);
	const uint8_t *h = cur_bytes(c, UDP_HEADER_BYTES);
	uint16_t len, checksum;

	if (h == NULL)
		return DROP_SHORT;
	len = get_be16(h + 4);
	checksum = get_be16(h + UDP_OFF_CHECKSUM);
	if (len < UDP_HEADER_BYTES || len > left)
		return DROP_L4_HEADER;
	if (!trusted && checksum != 0) {
		uint32_t sum = csum_pseudo4(ip->src, ip->dst, IP_UDP, len);

		if (csum_fold(csum_add_bytes(sum, h, len)) != 0xffff)
			return DROP_L4_CHECKSUM;
	}
	udp->sport = get_be16(h);
	udp->dport = get_be16(h + 2);
	udp->len_bytes = len;
	udp->checksum = checksum;
	udp->data_bytes = (size_t)(len - UDP_HEADER_BYTES);
	udp->data = cur_bytes(c, udp->data_bytes);
	return DROP_NONE;
}

void
udp_write(struct writer *w, const struct udp *udp, uint32_t src, uint32_t dst)
{
	size_t len = UDP_HEADER_BYTES + udp->data_bytes;
	uint16_t checksum;
	uint8_t *h;

	if (udp->data_bytes > UDP_MAX_BYTES - UDP_HEADER_BYTES) {
		w->overrun = true;
		return;
	}
	h = wr_room(w, len);
	if (h == NULL)
		return;
	put_be16(h, udp->sport);
	put_be16(h + 2, udp->dport);
	put_be16(h + 4, (uint16_t)len);
	put_be16(h + UDP_OFF_CHECKSUM, 0);
	if (udp->data_bytes > 0)
		memmove(h + UDP_HEADER_BYTES, udp->data, udp->data_bytes);
	checksum = csum_finish(csum_add_bytes(
	    csum_pseudo4(src, dst, IP_UDP, (uint16_t)len), h, len));
	/* 0 would say that there is none: its other form is sent (RFC 768). */
	put_be16(h + UDP_OFF_CHECKSUM, checksum != 0 ? checksum : 0xffff);
}
