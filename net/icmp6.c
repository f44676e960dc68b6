#include "net/icmp6.h"

#include "net/checksum.h"

static uint32_t
sum_of(const struct ip6_addr *src, const struct ip6_addr *dst,
    const uint8_t *message, size_t bytes)
{
	return csum_add_bytes(
	    csum_pseudo6(src, dst, IP_ICMP6, (uint32_t)bytes), message, bytes);
}

enum reason
icmp6_parse(struct icmp6 *icmp, struct cursor *c, const struct ip6_addr *src,
    const struct ip6_addr *dst, bool trusted)
{
	size_t len = cur_left(c);
	const uint8_t *h = cur_bytes(c, ICMP6_HEADER_BYTES);

	if (h == NULL)
		return DROP_SHORT;
	if (!trusted && csum_fold(sum_of(src, dst, h, len)) != 0xffff)
		return DROP_L4_CHECKSUM;
	icmp->type = h[0];
	icmp->code = h[1];
	icmp->checksum = get_be16(h + ICMP6_OFF_CHECKSUM);
	icmp->word = get_be32(h + 4);
	icmp->data_bytes = cur_left(c);
	icmp->data = cur_bytes(c, icmp->data_bytes);
	return DROP_NONE;
}

void
icmp6_write(struct writer *w, const struct icmp6 *icmp,
    const struct ip6_addr *src, const struct ip6_addr *dst)
{
	size_t len = ICMP6_HEADER_BYTES + icmp->data_bytes;
	uint8_t *h = wr_room(w, len);

	if (h == NULL)
		return;
	h[0] = icmp->type;
	h[1] = icmp->code;
	put_be16(h + ICMP6_OFF_CHECKSUM, 0);
	put_be32(h + 4, icmp->word);
	if (icmp->data_bytes > 0)
		memmove(h + ICMP6_HEADER_BYTES, icmp->data, icmp->data_bytes);
	put_be16(h + ICMP6_OFF_CHECKSUM, csum_finish(sum_of(src, dst, h, len)));
}
