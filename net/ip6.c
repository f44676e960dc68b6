#include "net/ip6.h"

#include "net/checksum.h"

#define VERSION 6

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

struct ip6_addr
ip6_of_ip4(uint32_t addr)
{
	struct ip6_addr out;

	memcpy(out.b, mapped, sizeof(mapped));
	put_be32(out.b + sizeof(mapped), addr);
	return out;
}

bool
ip6_to_ip4(uint32_t *out, const struct ip6_addr *addr)
{
	if (memcmp(addr->b, mapped, sizeof(mapped)) != 0)
		return false;
	*out = get_be32(addr->b + sizeof(mapped));
	return true;
}

struct ip6_addr
ip6_link_local(const struct mac *mac)
{
	struct ip6_addr out = { { 0xfe, 0x80 } };

	memcpy(out.b + 8, mac->b, 3);
	out.b[8] ^= 0x02;
	out.b[11] = 0xff;
	out.b[12] = 0xfe;
	memcpy(out.b + 13, mac->b + 3, 3);
	return out;
}

/* ---- text ---- */

/* The longest run of two zero words or more, the first of equals (4.2). */
static int
find_run(const struct ip6_addr *addr, int *run)
{
	int best = -1, most = 1;

	for (int i = 0; i < 8; i++) {
		int n = 0;

		while (i + n < 8 && get_be16(addr->b + 2 * (i + n)) == 0)
			n++;
		if (n > most) {
			best = i;
			most = n;
		}
		i += n;
	}
	*run = most;
	return best;
}

static char *
put_hex(char *at, uint16_t word)
{
	static const char digits[] = "0123456789abcdef";
	int shift = 12;

	while (shift > 0 && word >> shift == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*at++ = digits[word >> shift & 0xf];
	return at;
}

char *
ip6_text(char out[IP6_TEXT_BYTES], const struct ip6_addr *addr)
{
	char *at = out;
	uint32_t ip4;
	int run, from;

	if (ip6_to_ip4(&ip4, addr))
		return ip4_text(out, ip4);
	from = find_run(addr, &run);
	for (int i = 0; i < 8; i++) {
		if (i == from) {
			*at++ = ':';
			*at++ = ':';
			i += run - 1;
			continue;
		}
		if (i > 0 && at[-1] != ':')
			*at++ = ':';
		at = put_hex(at, get_be16(addr->b + 2 * i));
	}
	*at = '\0';
	return out;
}

/* ---- the header ---- */

void
cur_ip6(struct cursor *c, struct ip6_addr *addr)
{
	const uint8_t *p = cur_bytes(c, sizeof(addr->b));

	if (p != NULL)
		memcpy(addr->b, p, sizeof(addr->b));
	else
		memset(addr->b, 0, sizeof(addr->b));
}

void
wr_ip6(struct writer *w, const struct ip6_addr *addr)
{
	wr_bytes(w, addr->b, sizeof(addr->b));
}

enum reason
ip6_parse(struct ip6 *ip, struct cursor *c)
{
	uint32_t word = cur_be32(c);
	struct ip6 h = { .traffic_class = (uint8_t)(word >> 20),
		.flow = word & 0xfffff };

	h.payload_bytes = cur_be16(c);
	h.next = cur_u8(c);
	h.hop_limit = cur_u8(c);
	cur_ip6(c, &h.src);
	cur_ip6(c, &h.dst);
	if (c->overrun)
		return DROP_SHORT;
	if (word >> 28 != VERSION)
		return DROP_IP6_HEADER;
	if (h.payload_bytes > cur_left(c))
		return DROP_IP_LENGTH;
	c->end = c->at + h.payload_bytes;
	*ip = h;
	return DROP_NONE;
}

void
ip6_write(struct writer *w, const struct ip6 *ip)
{
	wr_be32(w,
	    (uint32_t)VERSION << 28 | (uint32_t)ip->traffic_class << 20 |
		(ip->flow & 0xfffff));
	wr_be16(w, ip->payload_bytes);
	wr_u8(w, ip->next);
	wr_u8(w, ip->hop_limit);
	wr_ip6(w, &ip->src);
	wr_ip6(w, &ip->dst);
}

uint32_t
csum_pseudo6(const struct ip6_addr *src, const struct ip6_addr *dst,
    uint8_t next, uint32_t len_bytes)
{
	uint32_t sum = csum_add_bytes(0, src->b, sizeof(src->b));

	sum = csum_add_bytes(sum, dst->b, sizeof(dst->b));
	return csum_add_be32(csum_add(sum, next), len_bytes);
}
