/*
 * Words are separated by blanks.  What comes first says the kind, and each kind
 * has a function for its own words; the options, which may stand in any order
 * behind, are one table.
 */
#include "lab/frame_text.h"

#include <errno.h>
#include <string.h>

#include "lab/nearest.h"
#include "lab/units.h"
#include "net/arp.h"
#include "net/icmp.h"
#include "net/ip4.h"
#include "net/tcp.h"
#include "net/udp.h"

#define WORDS_MAX  40
#define WORD_BYTES 64
#define TTL        64

struct words {
	char word[WORDS_MAX][WORD_BYTES];
	unsigned int n, at;
	struct err *err;
};

/* ---- words ---- */

static int
split(struct words *w, const char *text)
{
	while (*(text += strspn(text, " \t\n")) != '\0') {
		size_t len = strcspn(text, " \t\n");

		if (w->n == WORDS_MAX || len >= WORD_BYTES)
			return err_set(w->err, -EINVAL,
			    "the frame's description is too long; write it as "
			    "icmp 10.0.0.1 > 10.0.0.2");
		memcpy(w->word[w->n], text, len);
		w->word[w->n++][len] = '\0';
		text += len;
	}
	return 0;
}

/* The next word, "" behind the last. */
static const char *
peek(const struct words *w)
{
	return w->at < w->n ? w->word[w->at] : "";
}

static const char *
next(struct words *w)
{
	const char *word = peek(w);

	w->at += w->at < w->n;
	return word;
}

static bool
take(struct words *w, const char *word)
{
	if (strcmp(peek(w), word) != 0)
		return false;
	w->at++;
	return true;
}

static int
expected(struct words *w, const char *got, const char *what)
{
	if (got[0] == '\0')
		return err_set(w->err, -EINVAL,
		    "the frame's description ends where %s is expected", what);
	return err_set(w->err, -EINVAL, "\"%.40s\" stands where %s is expected",
	    got, what);
}

static int
arrow(struct words *w)
{
	return take(w, ">") ? 0 : expected(w, peek(w), "\">\"");
}

static int
read_mac(struct words *w, struct mac *mac)
{
	const char *word = next(w);

	return mac_read(mac, word)
	    ? 0
	    : expected(w, word, "a MAC address, as 52:54:00:12:34:56,");
}

static int
read_ip(struct words *w, uint32_t *ip)
{
	const char *word = next(w);

	return ip4_read(ip, word)
	    ? 0
	    : expected(w, word, "an IPv4 address, as 10.0.0.1,");
}

static int
read_number(struct words *w, uint64_t *out, uint64_t max, const char *what)
{
	const char *word = next(w);

	if (count_read(out, word, NULL) && *out <= max)
		return 0;
	return expected(w, word, what);
}

/* "10.0.0.1:80" */
static int
read_endpoint(struct words *w, uint32_t *ip, uint16_t *port)
{
	const char *word = next(w);
	const char *colon = strrchr(word, ':');
	char address[WORD_BYTES] = "";
	uint64_t number = 0;

	if (colon != NULL)
		memcpy(address, word, (size_t)(colon - word));
	if (colon == NULL || !ip4_read(ip, address) ||
	    !count_read(&number, colon + 1, NULL) || number > UINT16_MAX)
		return expected(
		    w, word, "an address with a port, as 10.0.0.1:80,");
	*port = (uint16_t)number;
	return 0;
}

/* ---- kinds ---- */

static int
read_icmp(struct frame_text *f, struct words *w)
{
	f->id = f->seq = 1;
	if (read_ip(w, &f->from) < 0 || arrow(w) < 0)
		return -EINVAL;
	return read_ip(w, &f->to);
}

static int
read_ports(struct frame_text *f, struct words *w)
{
	f->flags = TCP_SYN;
	if (read_endpoint(w, &f->from, &f->sport) < 0 || arrow(w) < 0)
		return -EINVAL;
	return read_endpoint(w, &f->to, &f->dport);
}

/* "who-has A [tell B]", or "A is-at MAC [tell B]" */
static int
read_arp(struct frame_text *f, struct words *w)
{
	if (take(w, "who-has")) {
		if (read_ip(w, &f->to) < 0)
			return -EINVAL;
		return take(w, "tell") ? read_ip(w, &f->from) : 0;
	}
	f->reply = true;
	if (read_ip(w, &f->from) < 0)
		return -EINVAL;
	if (!take(w, "is-at"))
		return expected(w, peek(w),
		    "\"is-at\" (or \"who-has\" in front of the address)");
	if (read_mac(w, &f->is_at) < 0)
		return -EINVAL;
	return take(w, "tell") ? read_ip(w, &f->to) : 0;
}

static int
read_type(struct frame_text *f, struct words *w)
{
	const char *word = next(w);
	unsigned int type = 0;
	size_t len = strlen(word);

	if (len < 3 || len > 6 || strncmp(word, "0x", 2) != 0 ||
	    strspn(word + 2, "0123456789abcdefABCDEF") != len - 2)
		return expected(w, word, "an EtherType, as 0x88cc,");
	for (const char *p = word + 2; *p != '\0'; p++)
		type = type * 16 +
		    (unsigned int)(*p <= '9' ? *p - '0' : (*p | 32) - 'a' + 10);
	f->type = (uint16_t)type;
	return 0;
}

static const struct {
	const char *name;
	enum frame_text_kind kind;
	int (*read)(struct frame_text *f, struct words *w);
} kinds[] = {
	{ "icmp", FRAME_TEXT_ICMP, read_icmp },
	{ "udp", FRAME_TEXT_UDP, read_ports },
	{ "tcp", FRAME_TEXT_TCP, read_ports },
	{ "arp", FRAME_TEXT_ARP, read_arp },
	{ "type", FRAME_TEXT_TYPE, read_type },
};

#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

/* ---- options ---- */

static int
add_tag(struct frame_text *f, struct words *w, uint16_t tpid)
{
	uint64_t vlan;

	if (f->nvlans == ETH_MAX_VLANS)
		return err_set(w->err, -EINVAL,
		    "more than %d tags; write fewer", ETH_MAX_VLANS);
	if (read_number(w, &vlan, 4095, "a VLAN, 0 to 4095,") < 0)
		return -EINVAL;
	f->vlan[f->nvlans].tpid = tpid;
	f->vlan[f->nvlans++].tci = (uint16_t)vlan;
	return 0;
}

static int
option_vlan(struct frame_text *f, struct words *w)
{
	return add_tag(f, w, ETH_VLAN);
}

static int
option_svlan(struct frame_text *f, struct words *w)
{
	return add_tag(f, w, ETH_QINQ);
}

static int
option_ttl(struct frame_text *f, struct words *w)
{
	uint64_t n = 0;
	int e = read_number(w, &n, 255, "a time to live, 0 to 255,");

	f->ttl = (uint8_t)n;
	return e;
}

static int
option_id(struct frame_text *f, struct words *w)
{
	uint64_t n = 0;
	int e = read_number(w, &n, UINT16_MAX, "a number, 0 to 65535,");

	f->id = (uint16_t)n;
	return e;
}

static int
option_seq(struct frame_text *f, struct words *w)
{
	uint64_t n = 0;
	int e = read_number(w, &n, UINT16_MAX, "a number, 0 to 65535,");

	f->seq = (uint16_t)n;
	return e;
}

static int
option_size(struct frame_text *f, struct words *w)
{
	uint64_t n = 0;

	if (read_number(w, &n, FRAME_TEXT_MAX, "a size in bytes, 60 to 9238,") <
	    0)
		return -EINVAL;
	if (n < ETH_MIN_BYTES)
		return err_set(w->err, -EINVAL,
		    "a frame of %u bytes is too short; use 60 to %d",
		    (unsigned int)n, FRAME_TEXT_MAX);
	f->bytes = (uint32_t)n;
	return 0;
}

static int
option_reply(struct frame_text *f, struct words *w)
{
	(void)w;
	f->reply = true;
	return 0;
}

static int
option_df(struct frame_text *f, struct words *w)
{
	(void)w;
	f->df = true;
	return 0;
}

static int
option_flags(struct frame_text *f, struct words *w)
{
	static const char letters[] = "FSRPAU";
	const char *word = next(w);

	f->flags = 0;
	for (const char *p = word; *p != '\0'; p++) {
		const char *letter = strchr(letters, *p);

		if (letter == NULL)
			return expected(
			    w, word, "TCP flags, of FSRPAU, as SA,");
		f->flags |= (uint8_t)(1 << (letter - letters));
	}
	return word[0] != '\0' ? 0 : expected(w, word, "TCP flags");
}

#define ICMP 1u << FRAME_TEXT_ICMP
#define UDP  1u << FRAME_TEXT_UDP
#define TCP  1u << FRAME_TEXT_TCP
#define ARP  1u << FRAME_TEXT_ARP
#define TYPE 1u << FRAME_TEXT_TYPE

static const struct {
	const char *name;
	unsigned int of; /* kinds that may have it */
	int (*read)(struct frame_text *f, struct words *w);
} options[] = {
	{ "vlan", ICMP | UDP | TCP | ARP | TYPE, option_vlan },
	{ "svlan", ICMP | UDP | TCP | ARP | TYPE, option_svlan },
	{ "size", ICMP | UDP | TCP | ARP | TYPE, option_size },
	{ "ttl", ICMP | UDP | TCP, option_ttl },
	{ "df", ICMP | UDP | TCP, option_df },
	{ "id", ICMP, option_id },
	{ "seq", ICMP, option_seq },
	{ "reply", ICMP, option_reply },
	{ "flags", TCP, option_flags },
};

#define NOPTIONS (sizeof(options) / sizeof(options[0]))

static int
read_option(struct frame_text *f, struct words *w)
{
	const char *word = next(w);
	struct nearest near;

	nearest_init(&near, word);
	for (size_t i = 0; i < NOPTIONS; i++) {
		if (!(options[i].of >> f->kind & 1))
			continue;
		if (strcmp(options[i].name, word) == 0)
			return options[i].read(f, w);
		nearest_try(&near, options[i].name);
	}
	return err_set(w->err, -EINVAL,
	    "\"%.40s\" is not known behind such a frame%s%s%s", word,
	    near.best != NULL ? "; did you mean \"" : "",
	    near.best != NULL ? near.best : "", near.best != NULL ? "\"?" : "");
}

/* ---- all of it ---- */

static int
read_hex(struct frame_text *f, const char *text, struct err *err)
{
	uint32_t n = 0; /* digits */

	for (; *text != '\0'; text++) {
		static const char digits[] = "0123456789abcdef";
		const char *digit = strchr(digits, *text | 32);

		if (strchr(" \t\n:", *text) != NULL)
			continue;
		if (digit == NULL)
			return err_set(err, -EINVAL,
			    "\"%c\" is no hexadecimal digit; write the frame's "
			    "bytes, as hex: ffffffffffff 020000000001 0806",
			    *text >= ' ' && *text < 0x7f ? *text : '?');
		if (n / 2 == FRAME_TEXT_MAX)
			return err_set(err, -EINVAL,
			    "a frame of more than %d bytes; write fewer",
			    FRAME_TEXT_MAX);
		f->hex[n / 2] =
		    (uint8_t)(f->hex[n / 2] << 4 | (uint8_t)(digit - digits));
		n++;
	}
	if (n == 0 || n % 2 != 0)
		return err_set(err, -EINVAL,
		    "hex: bytes are pairs of digits, and there is at least "
		    "one; write them as hex: ffffffffffff 020000000001");
	f->bytes = n / 2;
	return 0;
}

static int
read_kind(struct frame_text *f, struct words *w)
{
	const char *word = next(w);
	struct nearest near;

	nearest_init(&near, word);
	for (size_t i = 0; i < NKINDS; i++) {
		if (strcmp(kinds[i].name, word) == 0) {
			f->kind = kinds[i].kind;
			return kinds[i].read(f, w);
		}
		nearest_try(&near, kinds[i].name);
	}
	if (near.best != NULL)
		return err_set(w->err, -EINVAL,
		    "\"%.40s\" is no kind of frame; did you mean \"%s\"?", word,
		    near.best);
	return expected(w, word, "icmp, udp, tcp, arp, type, ether or hex:");
}

int
frame_text_read(struct frame_text *f, const char *text, struct err *err)
{
	struct words w = { .n = 0, .err = err };

	memset(f, 0, sizeof(*f));
	f->ttl = TTL;
	text += strspn(text, " \t\n");
	if (strncmp(text, "hex:", 4) == 0) {
		f->kind = FRAME_TEXT_HEX;
		f->has_ether = true;
		return read_hex(f, text + 4, err);
	}
	if (split(&w, text) < 0)
		return -EINVAL;
	if (take(&w, "ether")) {
		f->has_ether = true;
		if (read_mac(&w, &f->src) < 0 || arrow(&w) < 0 ||
		    read_mac(&w, &f->dst) < 0)
			return -EINVAL;
	}
	if (read_kind(f, &w) < 0)
		return -EINVAL;
	while (w.at < w.n)
		if (read_option(f, &w) < 0)
			return -EINVAL;
	if (f->kind == FRAME_TEXT_TYPE && !f->has_ether)
		return err_set(err, -EINVAL,
		    "from whom to whom? write ether MAC > MAC in front of "
		    "type");
	return 0;
}

/* ---- bytes ---- */

static size_t
l4_header_bytes(const struct frame_text *f)
{
	return f->kind == FRAME_TEXT_TCP ? TCP_HEADER_BYTES : UDP_HEADER_BYTES;
}

static void
write_ip(struct writer *w, const struct frame_text *f, size_t payload)
{
	static const uint8_t zeros[FRAME_TEXT_MAX];
	const struct ip4 ip = {
		.total_bytes =
		    (uint16_t)(IP4_HEADER_BYTES + l4_header_bytes(f) + payload),
		.id = 1,
		.fragment = f->df ? IP4_DF : 0,
		.ttl = f->ttl,
		.protocol = f->kind == FRAME_TEXT_ICMP ? IP_ICMP
		    : f->kind == FRAME_TEXT_UDP        ? IP_UDP
						       : IP_TCP,
		.src = f->from,
		.dst = f->to,
	};
	const struct icmp icmp = {
		.type = f->reply ? ICMP_ECHO_REPLY : ICMP_ECHO_REQUEST,
		.echo = { f->id, f->seq },
		.data = zeros,
		.data_bytes = payload,
	};
	const struct udp udp = { .sport = f->sport,
		.dport = f->dport,
		.data = zeros,
		.data_bytes = payload };
	const struct tcp tcp = { .sport = f->sport,
		.dport = f->dport,
		.seq = 1,
		.ack = f->flags & TCP_ACK ? 1 : 0,
		.flags = f->flags,
		.window = 65535,
		.data = zeros,
		.data_bytes = payload };

	ip4_write(w, &ip);
	if (f->kind == FRAME_TEXT_ICMP)
		icmp_write(w, &icmp);
	else if (f->kind == FRAME_TEXT_UDP)
		udp_write(w, &udp, f->from, f->to);
	else
		tcp_write(w, &tcp, f->from, f->to);
}

static void
write_arp(struct writer *w, const struct frame_text *f)
{
	const struct arp arp = {
		.op = f->reply ? ARP_REPLY : ARP_REQUEST,
		.sender_mac = f->reply ? f->is_at : f->src,
		.sender_ip = f->from,
		.target_mac = f->reply ? f->dst : (struct mac){ { 0 } },
		.target_ip = f->to,
	};

	arp_write(w, &arp);
}

static uint16_t
type_of(const struct frame_text *f)
{
	switch (f->kind) {
	case FRAME_TEXT_ICMP:
	case FRAME_TEXT_UDP:
	case FRAME_TEXT_TCP: return ETH_IPV4;
	case FRAME_TEXT_ARP: return ETH_ARP;
	case FRAME_TEXT_TYPE:
	case FRAME_TEXT_HEX: return f->type;
	}
	return 0;
}

size_t
frame_text_write(uint8_t out[FRAME_TEXT_MAX], const struct frame_text *f)
{
	struct writer w = { .at = out, .end = out + FRAME_TEXT_MAX };
	struct eth eth = { .dst = f->dst,
		.src = f->src,
		.type = type_of(f),
		.nvlans = (uint8_t)f->nvlans };
	size_t headers, least = f->bytes != 0 ? f->bytes : ETH_MIN_BYTES;

	if (f->kind == FRAME_TEXT_HEX) {
		memcpy(out, f->hex, f->bytes);
		return f->bytes;
	}
	for (unsigned int i = 0; i < f->nvlans; i++) {
		eth.vlan[i].tpid = f->vlan[i].tpid;
		eth.vlan[i].tci = f->vlan[i].tci;
	}
	eth_write(&w, &eth);
	headers = (size_t)(w.at - out);
	if (type_of(f) == ETH_IPV4 && f->kind != FRAME_TEXT_TYPE) {
		headers += IP4_HEADER_BYTES + l4_header_bytes(f);
		write_ip(&w, f, f->bytes > headers ? f->bytes - headers : 0);
	} else if (f->kind == FRAME_TEXT_ARP) {
		write_arp(&w, f);
	}
	if (w.at < out + least)
		wr_zeros(&w, (size_t)(out + least - w.at));
	return (size_t)(w.at - out);
}
