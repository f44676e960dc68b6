#include "net/ip6.h"

#include "net/checksum.h"

#define VERSION 6

const struct ip6_addr ip6_all_nodes = { { 0xff, 2, [15] = 1 } };
const struct ip6_addr ip6_all_routers = { { 0xff, 2, [15] = 2 } };

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

/* ---- prefixes ---- */

bool
ip6_is_host(const struct ip6_addr *addr)
{
	static const uint8_t zero[12];

	/* ::/96 has ::, ::1 and the IPv4-compatible addresses. */
	return !ip6_is_multicast(addr) &&
	    memcmp(addr->b, zero, sizeof(zero)) != 0 &&
	    memcmp(addr->b, mapped, sizeof(mapped)) != 0;
}

/* The first or second half of an address, as a number. */
static uint64_t
half(const struct ip6_addr *addr, unsigned int i)
{
	return (uint64_t)get_be32(addr->b + 8 * i) << 32 |
	    get_be32(addr->b + 8 * i + 4);
}

unsigned int
ip6_common_bits(const struct ip6_addr *a, const struct ip6_addr *b)
{
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t differ = half(a, i) ^ half(b, i);

		if (differ != 0)
			return 64 * i + (unsigned int)__builtin_clzll(differ);
	}
	return 128;
}

uint32_t
ip6_hash(const uint64_t key[2], const struct ip6_addr *addr)
{
	uint64_t half[2], h;
	unsigned __int128 product;

	memcpy(half, addr->b, sizeof(half));
	product = (unsigned __int128)(half[0] ^ key[0]) * (half[1] ^ key[1]);
	h = (uint64_t)product ^ (uint64_t)(product >> 64);
	return (uint32_t)(h ^ h >> 32);
}

bool
ip6_net_has(const struct ip6_net *net, const struct ip6_addr *addr)
{
	return ip6_common_bits(&net->addr, addr) >= net->prefix;
}

struct ip6_addr
ip6_masked(const struct ip6_addr *addr, uint8_t prefix)
{
	struct ip6_addr out = *addr;
	unsigned int at = prefix / 8u;

	if (at < sizeof(out.b)) {
		out.b[at] &= (uint8_t)(0xff00 >> prefix % 8);
		memset(out.b + at + 1, 0, sizeof(out.b) - at - 1);
	}
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

char *
ip6_net_text(char out[IP6_NET_TEXT_BYTES], const struct ip6_net *net)
{
	char *at = ip6_text(out, &net->addr);

	at += strlen(at);
	*at++ = '/';
	if (net->prefix >= 100)
		*at++ = '1';
	if (net->prefix >= 10)
		*at++ = (char)('0' + net->prefix / 10 % 10);
	*at++ = (char)('0' + net->prefix % 10);
	*at = '\0';
	return out;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A group of one to four digits. */
static bool
take_word(uint16_t *out, const char **text)
{
	unsigned int n = 0, value = 0;
	int digit;

	for (; (digit = hex_value((*text)[n])) >= 0; n++) {
		if (n == 4)
			return false;
		value = value << 4 | (unsigned int)digit;
	}
	*text += n;
	*out = (uint16_t)value;
	return n > 0;
}

/* The words of an address; gap is where "::" stands, -1 for nowhere. */
struct words {
	uint16_t word[8];
	unsigned int n;
	int gap;
};

/* A dotted quad, which only stands at the end. */
static bool
take_quad(struct words *w, const char *text)
{
	uint32_t ip4;

	if (w->n > 6 || !ip4_read(&ip4, text))
		return false;
	w->word[w->n++] = (uint16_t)(ip4 >> 16);
	w->word[w->n++] = (uint16_t)ip4;
	return true;
}

static bool
take_words(struct words *w, const char *text)
{
	if (text[0] == ':' && text[1] != ':')
		return false;
	while (*text != '\0') {
		if (text[0] == ':' && text[1] == ':') {
			if (w->gap >= 0)
				return false;
			w->gap = (int)w->n;
			text += 2;
			if (*text == ':')
				return false;
			continue;
		}
		if (*text == ':' && (*++text == '\0' || w->n == 0))
			return false;
		if (strchr(text, ':') == NULL && strchr(text, '.') != NULL)
			return take_quad(w, text);
		if (w->n == 8 || !take_word(&w->word[w->n++], &text) ||
		    (*text != ':' && *text != '\0'))
			return false;
	}
	return true;
}

bool
ip6_read(struct ip6_addr *out, const char *text)
{
	struct words w = { .gap = -1 };
	struct ip6_addr addr = { { 0 } };
	unsigned int skip;

	/* "::" stands for at least one group of zeros. */
	if (!take_words(&w, text) || (w.gap < 0 ? w.n != 8 : w.n > 7))
		return false;
	skip = 8 - w.n;
	for (unsigned int i = 0; i < w.n; i++)
		put_be16(
		    addr.b + 2 * ((int)i >= w.gap && w.gap >= 0 ? i + skip : i),
		    w.word[i]);
	*out = addr;
	return true;
}

bool
ip6_net_read(struct ip6_net *out, const char *text)
{
	const char *slash = strchr(text, '/');
	char addr[IP6_TEXT_BYTES + 8] = "";
	struct ip6_net net;
	unsigned int prefix = 0, n = 0;

	if (slash == NULL || (size_t)(slash - text) >= sizeof(addr))
		return false;
	memcpy(addr, text, (size_t)(slash - text));
	for (slash++; slash[n] >= '0' && slash[n] <= '9' && n < 3; n++)
		prefix = prefix * 10 + (unsigned int)(slash[n] - '0');
	if (n == 0 || slash[n] != '\0' || (slash[0] == '0' && n > 1) ||
	    prefix > 128 || !ip6_read(&net.addr, addr))
		return false;
	net.prefix = (uint8_t)prefix;
	*out = net;
	return true;
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
ip6_parse_quoted(struct ip6 *ip, struct cursor *c)
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
	if (h.payload_bytes < cur_left(c))
		c->end = c->at + h.payload_bytes;
	*ip = h;
	return DROP_NONE;
}

enum reason
ip6_parse(struct ip6 *ip, struct cursor *c)
{
	struct ip6 h;
	enum reason reason = ip6_parse_quoted(&h, c);

	if (reason != DROP_NONE)
		return reason;
	if (h.payload_bytes > cur_left(c))
		return DROP_IP_LENGTH;
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
