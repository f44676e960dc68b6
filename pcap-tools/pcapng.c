/*
 * A block is type, total length, body, options, total length again; an option
 * is code, length, value, padded to 32 bits.  The length is known only when
 * the options are written, so it is stored at both ends last.
 */
#include "pcap-tools/pcapng.h"

#include <assert.h>
#include <string.h>

#define BLOCK_SECTION    0x0a0d0d0aU
#define BLOCK_INTERFACE  1
#define BLOCK_STATISTICS 5
#define BLOCK_PACKET     6

#define BYTE_ORDER_MAGIC 0x1a2b3c4dU

#define OPT_END              0
#define OPT_COMMENT          1
#define OPT_SHB_USERAPPL     4
#define OPT_IF_NAME          2
#define OPT_IF_DESCRIPTION   3
#define OPT_IF_TSRESOL       9
#define OPT_IF_FILTER        11
#define OPT_EPB_FLAGS        2
#define OPT_ISB_STARTTIME    2
#define OPT_ISB_ENDTIME      3
#define OPT_ISB_IFRECV       4
#define OPT_ISB_IFDROP       5
#define OPT_ISB_FILTERACCEPT 6
#define OPT_ISB_USRDELIV     8

#define TSRESOL_NS        9 /* 10^-9 s */
#define FILTER_IS_LIBPCAP 0
#define LENGTH_UNKNOWN    UINT64_MAX

static void
put_le32(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)v;
	at[1] = (uint8_t)(v >> 8);
	at[2] = (uint8_t)(v >> 16);
	at[3] = (uint8_t)(v >> 24);
}

static void
wr_le16(struct writer *w, uint16_t v)
{
	uint8_t *at = wr_room(w, 2);

	if (at != NULL) {
		at[0] = (uint8_t)v;
		at[1] = (uint8_t)(v >> 8);
	}
}

static void
wr_le32(struct writer *w, uint32_t v)
{
	uint8_t *at = wr_room(w, 4);

	if (at != NULL)
		put_le32(at, v);
}

static void
wr_le64(struct writer *w, uint64_t v)
{
	wr_le32(w, (uint32_t)v);
	wr_le32(w, (uint32_t)(v >> 32));
}

/* A stamp is two words, the upper one first (4.3). */
static void
wr_stamp(struct writer *w, uint64_t ns)
{
	wr_le32(w, (uint32_t)(ns >> 32));
	wr_le32(w, (uint32_t)ns);
}

static void
wr_padding(struct writer *w, size_t n)
{
	wr_zeros(w, -n & 3);
}

/* ---- blocks ---- */

struct block {
	uint8_t *start;
};

static struct block
block_begin(struct writer *w, uint32_t type)
{
	struct block b = { .start = w->at };

	w->overrun = false;
	wr_le32(w, type);
	wr_le32(w, 0);
	return b;
}

static void
block_end(struct writer *w, struct block b)
{
	uint32_t total = (uint32_t)(w->at - b.start) + 4;

	wr_le32(w, total);
	if (w->overrun)
		w->at = b.start;
	else
		put_le32(b.start + 4, total);
}

/* ---- options ---- */

static void
option(struct writer *w, uint16_t code, size_t n)
{
	wr_le16(w, code);
	wr_le16(w, (uint16_t)n);
}

static void
option_bytes(struct writer *w, uint16_t code, const void *data, size_t n)
{
	option(w, code, n);
	wr_bytes(w, data, n);
	wr_padding(w, n);
}

static void
option_u64(struct writer *w, uint16_t code, uint64_t v)
{
	option(w, code, 8);
	wr_le64(w, v);
}

static void
option_stamp(struct writer *w, uint16_t code, uint64_t ns)
{
	option(w, code, 8);
	wr_stamp(w, ns);
}

/* The length of the UTF-8 sequence (RFC 3629, 4) that s begins with: 0 if it
 * is none.  At most n bytes are looked at. */
static size_t
utf8_sequence(const uint8_t *s, size_t n)
{
	uint8_t low = 0x80, high = 0xbf; /* of the second byte */
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	switch (s[0]) {
	case 0xe0: low = 0xa0; break;
	case 0xed: high = 0x9f; break;
	case 0xf0: low = 0x90; break;
	case 0xf4: high = 0x8f; break;
	}
	if (n < len || s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* How much of text is written. */
static size_t
text_bytes(const char *text)
{
	size_t n = strnlen(text, PCAPNG_TEXT_MAX + 1);

	if (n <= PCAPNG_TEXT_MAX)
		return n;
	/* Cut in front of a sequence, not within. */
	for (n = PCAPNG_TEXT_MAX; n > 0 && (text[n] & 0xc0) == 0x80; n--)
		;
	return n;
}

static void
wr_text(struct writer *w, const char *text, size_t n)
{
	const uint8_t *s = (const uint8_t *)text;

	for (size_t i = 0; i < n;) {
		size_t len = utf8_sequence(s + i, n - i);

		if (len == 0)
			wr_u8(w, '?');
		else
			wr_bytes(w, s + i, len);
		i += len != 0 ? len : 1;
	}
}

void
pcapng_repair(char *text)
{
	uint8_t *s = (uint8_t *)text;
	size_t left = strlen(text);

	while (left > 0) {
		size_t n = utf8_sequence(s, left);

		if (n == 0) {
			*s = '?';
			n = 1;
		}
		s += n;
		left -= n;
	}
}

static void
option_text(struct writer *w, uint16_t code, const char *text)
{
	size_t n;

	if (text == NULL)
		return;
	n = text_bytes(text);
	option(w, code, n);
	wr_text(w, text, n);
	wr_padding(w, n);
}

static void
option_filter(struct writer *w, const char *text)
{
	size_t n;

	if (text == NULL)
		return;
	n = text_bytes(text);
	option(w, OPT_IF_FILTER, n + 1);
	wr_u8(w, FILTER_IS_LIBPCAP);
	wr_text(w, text, n);
	wr_padding(w, n + 1);
}

static void
option_facts(struct writer *w, const struct pcapng_packet *p)
{
	static const char start[] = PCAPNG_FACTS;
	char digits[10];
	uint32_t left = p->journey;
	size_t n = 0, bytes;

	do {
		n++;
		digits[sizeof(digits) - n] = (char)('0' + left % 10);
		left /= 10;
	} while (left != 0);
	bytes = 4 + sizeof(start) - 1 + n + p->facts_bytes;
	option(w, PCAPNG_OPT_CUSTOM_TEXT, bytes);
	wr_le32(w, PCAPNG_ENTERPRISE);
	wr_bytes(w, start, sizeof(start) - 1);
	wr_bytes(w, digits + sizeof(digits) - n, n);
	wr_bytes(w, p->facts, p->facts_bytes);
	wr_padding(w, bytes);
}

/* ---- the four blocks ---- */

void
pcapng_section(struct writer *w, const char *application, const char *comment)
{
	struct block b = block_begin(w, BLOCK_SECTION);

	wr_le32(w, BYTE_ORDER_MAGIC);
	wr_le16(w, 1); /* version 1.0 */
	wr_le16(w, 0);
	wr_le64(w, LENGTH_UNKNOWN);
	option_text(w, OPT_SHB_USERAPPL, application);
	option_text(w, OPT_COMMENT, comment);
	option(w, OPT_END, 0);
	block_end(w, b);
}

static void
option_interface_facts(struct writer *w, const char *facts)
{
	static const char start[] = PCAPNG_FACTS_START;
	size_t n, bytes;

	if (facts == NULL)
		return;
	n = strnlen(facts, PCAPNG_TEXT_MAX);
	bytes = 4 + sizeof(start) - 1 + n;
	option(w, PCAPNG_OPT_CUSTOM_TEXT, bytes);
	wr_le32(w, PCAPNG_ENTERPRISE);
	wr_bytes(w, start, sizeof(start) - 1);
	wr_bytes(w, facts, n);
	wr_padding(w, bytes);
}

void
pcapng_interface(struct writer *w, const struct pcapng_interface *i)
{
	static const uint8_t resolution = TSRESOL_NS;
	struct block b = block_begin(w, BLOCK_INTERFACE);

	wr_le16(w, i->linktype != 0 ? i->linktype : PCAPNG_ETHERNET);
	wr_le16(w, 0);
	wr_le32(w, i->snaplen_bytes);
	option_text(w, OPT_IF_NAME, i->name);
	option_text(w, OPT_IF_DESCRIPTION, i->description);
	option_bytes(w, OPT_IF_TSRESOL, &resolution, 1);
	option_filter(w, i->filter);
	option_interface_facts(w, i->facts);
	option(w, OPT_END, 0);
	block_end(w, b);
}

void
pcapng_packet(struct writer *w, const struct pcapng_packet *p)
{
	struct block b = block_begin(w, BLOCK_PACKET);

	assert(p->kept_bytes <= p->len_bytes);
	assert(p->comment_bytes <= PCAPNG_TEXT_MAX);
	assert(p->facts_bytes <= PCAPNG_TEXT_MAX);
	wr_le32(w, p->interface);
	wr_stamp(w, p->at_ns);
	wr_le32(w, p->kept_bytes);
	wr_le32(w, p->len_bytes);
	wr_bytes(w, p->data, p->kept_bytes);
	wr_padding(w, p->kept_bytes);
	if (p->flags != 0) {
		option(w, OPT_EPB_FLAGS, 4);
		wr_le32(w, p->flags);
	}
	if (p->comment_bytes != 0)
		option_bytes(w, OPT_COMMENT, p->comment, p->comment_bytes);
	if (p->journey != 0)
		option_facts(w, p);
	if (p->flags != 0 || p->comment_bytes != 0 || p->journey != 0)
		option(w, OPT_END, 0);
	block_end(w, b);
}

void
pcapng_statistics(struct writer *w, const struct pcapng_statistics *s)
{
	struct block b = block_begin(w, BLOCK_STATISTICS);

	wr_le32(w, s->interface);
	wr_stamp(w, s->end_ns);
	option_stamp(w, OPT_ISB_STARTTIME, s->start_ns);
	option_stamp(w, OPT_ISB_ENDTIME, s->end_ns);
	option_u64(w, OPT_ISB_IFRECV, s->received);
	option_u64(w, OPT_ISB_IFDROP, s->dropped);
	option_u64(w, OPT_ISB_FILTERACCEPT, s->accepted);
	option_u64(w, OPT_ISB_USRDELIV, s->delivered);
	option(w, OPT_END, 0);
	block_end(w, b);
}
