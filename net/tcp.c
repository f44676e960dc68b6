/*
 * The header of TCP.  Of its options only the maximum segment size is read:
 * it is what a router clamps and what the small TCP of the built-in guest
 * speaks.  RFC 9293 (3.7.1) lets only a SYN carry it, so that elsewhere it is
 * one more option to skip.
 */
#include "net/tcp.h"

#include "net/checksum.h"

#define OPT_END   0
#define OPT_NOP   1
#define OPT_MSS   2
#define MSS_BYTES 4

#define TCP_MAX_BYTES (IP4_MAX_BYTES - IP4_HEADER_BYTES)

/* The value of the MSS option, 0 if there is none.  A length that cannot be
 * ends the walk: nothing behind it can be told apart. */
static uint16_t
find_mss(struct cursor options)
{
	uint16_t mss = 0;

	while (cur_left(&options) > 0) {
		uint8_t kind = cur_u8(&options), len;

		if (kind == OPT_END)
			break;
		if (kind == OPT_NOP)
			continue;
		len = cur_u8(&options);
		if (options.overrun || len < 2)
			break;
		if (kind == OPT_MSS && len == MSS_BYTES) {
			uint16_t value = cur_be16(&options);

			if (!options.overrun)
				mss = value;
		} else
			cur_skip(&options, len - 2u);
	}
	return mss;
}

/* pseudo is the sum of the pseudo header but for the length. */
static enum reason
parse(struct tcp *tcp, struct cursor *c, uint32_t pseudo, bool trusted)
{
	size_t len = cur_left(c);
	const uint8_t *h = cur_bytes(c, TCP_HEADER_BYTES);
	uint8_t header_bytes;
	struct cursor options;

	if (h == NULL)
		return DROP_SHORT;
	header_bytes = (uint8_t)((h[12] >> 4) * 4);
	if (header_bytes < TCP_HEADER_BYTES || header_bytes > len ||
	    len > TCP_MAX_BYTES)
		return DROP_L4_HEADER;
	if (!trusted &&
	    csum_fold(csum_add_bytes(
		csum_add(pseudo, (uint32_t)len), h, len)) != 0xffff)
		return DROP_L4_CHECKSUM;
	options = cur_sub(c, (size_t)(header_bytes - TCP_HEADER_BYTES));
	tcp->sport = get_be16(h);
	tcp->dport = get_be16(h + 2);
	tcp->seq = get_be32(h + 4);
	tcp->ack = get_be32(h + 8);
	tcp->flags = h[13];
	tcp->header_bytes = header_bytes;
	tcp->window = get_be16(h + 14);
	tcp->checksum = get_be16(h + TCP_OFF_CHECKSUM);
	tcp->urgent = get_be16(h + 18);
	tcp->mss = tcp->flags & TCP_SYN ? find_mss(options) : 0;
	tcp->data_bytes = cur_left(c);
	tcp->data = cur_bytes(c, tcp->data_bytes);
	return DROP_NONE;
}

enum reason
tcp_parse(struct tcp *tcp, struct cursor *c, const struct ip4 *ip, bool trusted)
{
	return parse(
	    tcp, c, csum_pseudo4(ip->src, ip->dst, IP_TCP, 0), trusted);
}

enum reason
tcp6_parse(
    struct tcp *tcp, struct cursor *c, const struct ip6 *ip, bool trusted)
{
	return parse(
	    tcp, c, csum_pseudo6(&ip->src, &ip->dst, IP_TCP, 0), trusted);
}

static void
write_sum(struct writer *w, const struct tcp *tcp, uint32_t pseudo)
{
	bool mss = tcp->mss != 0 && tcp->flags & TCP_SYN;
	size_t header = TCP_HEADER_BYTES + (mss ? MSS_BYTES : 0);
	size_t len = header + tcp->data_bytes;
	uint8_t *h;

	if (tcp->data_bytes > TCP_MAX_BYTES - header) {
		w->overrun = true;
		return;
	}
	h = wr_room(w, len);
	if (h == NULL)
		return;
	put_be16(h, tcp->sport);
	put_be16(h + 2, tcp->dport);
	put_be32(h + 4, tcp->seq);
	put_be32(h + 8, tcp->ack);
	h[12] = (uint8_t)(header / 4 << 4);
	h[13] = tcp->flags;
	put_be16(h + 14, tcp->window);
	put_be16(h + TCP_OFF_CHECKSUM, 0);
	put_be16(h + 18, tcp->urgent);
	if (mss) {
		h[20] = OPT_MSS;
		h[21] = MSS_BYTES;
		put_be16(h + 22, tcp->mss);
	}
	if (tcp->data_bytes > 0)
		memmove(h + header, tcp->data, tcp->data_bytes);
	put_be16(h + TCP_OFF_CHECKSUM,
	    csum_finish(
		csum_add_bytes(csum_add(pseudo, (uint32_t)len), h, len)));
}

void
tcp_write(struct writer *w, const struct tcp *tcp, uint32_t src, uint32_t dst)
{
	write_sum(w, tcp, csum_pseudo4(src, dst, IP_TCP, 0));
}

void
tcp6_write(struct writer *w, const struct tcp *tcp, const struct ip6_addr *src,
    const struct ip6_addr *dst)
{
	write_sum(w, tcp, csum_pseudo6(src, dst, IP_TCP, 0));
}

struct tcp
tcp_reset(const struct tcp *segment)
{
	struct tcp rst = { .sport = segment->dport,
		.dport = segment->sport,
		.flags = TCP_RST };

	if (segment->flags & TCP_ACK)
		rst.seq = segment->ack;
	else {
		rst.flags |= TCP_ACK;
		rst.ack = segment->seq + (uint32_t)segment->data_bytes +
		    ((segment->flags & TCP_SYN) != 0) +
		    ((segment->flags & TCP_FIN) != 0);
	}
	return rst;
}
