#include "net/udp.h"

#include "net/checksum.h"

#define UDP_MAX_BYTES (IP4_MAX_BYTES - IP4_HEADER_BYTES)

/* pseudo is the sum of the pseudo header but for the length. */
static enum reason
parse(struct udp *udp, struct cursor *c, uint32_t pseudo, bool trusted)
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
	if (!trusted && checksum != 0 &&
	    csum_fold(csum_add_bytes(csum_add(pseudo, len), h, len)) != 0xffff)
		return DROP_L4_CHECKSUM;
	udp->sport = get_be16(h);
	udp->dport = get_be16(h + 2);
	udp->len_bytes = len;
	udp->checksum = checksum;
	udp->data_bytes = (size_t)(len - UDP_HEADER_BYTES);
	udp->data = cur_bytes(c, udp->data_bytes);
	return DROP_NONE;
}

enum reason
udp_parse(struct udp *udp, struct cursor *c, const struct ip4 *ip, bool trusted)
{
	return parse(
	    udp, c, csum_pseudo4(ip->src, ip->dst, IP_UDP, 0), trusted);
}

enum reason
udp6_parse(
    struct udp *udp, struct cursor *c, const struct ip6 *ip, bool trusted)
{
	enum reason reason =
	    parse(udp, c, csum_pseudo6(&ip->src, &ip->dst, IP_UDP, 0), trusted);

	if (reason == DROP_NONE && udp->checksum == 0 && !trusted)
		return DROP_L4_CHECKSUM;
	return reason;
}

static void
write_sum(struct writer *w, const struct udp *udp, uint32_t pseudo)
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
	checksum = csum_finish(
	    csum_add_bytes(csum_add(pseudo, (uint32_t)len), h, len));
	/* 0 would say that there is none: its other form is sent (RFC 768). */
	put_be16(h + UDP_OFF_CHECKSUM, checksum != 0 ? checksum : 0xffff);
}

void
udp_write(struct writer *w, const struct udp *udp, uint32_t src, uint32_t dst)
{
	write_sum(w, udp, csum_pseudo4(src, dst, IP_UDP, 0));
}

void
udp6_write(struct writer *w, const struct udp *udp, const struct ip6_addr *src,
    const struct ip6_addr *dst)
{
	write_sum(w, udp, csum_pseudo6(src, dst, IP_UDP, 0));
}
