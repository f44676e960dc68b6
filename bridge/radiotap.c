/*
 * Fields stand in the order of the bits that say that they are there, each
 * aligned as counted from the header's first byte.  All that is wanted stands
 * in the first word's fields, before any whose size is not known here; the
 * header's length leads past the others, vendors' among them.
 */
#include "bridge/radiotap.h"

#include <stddef.h>

#define MORE_WORDS UINT32_C(0x80000000)
#define WORDS_MAX  32

#define FLAG_FCS    0x10
#define FLAG_PADDED 0x20
#define FLAG_BAD    0x40

#define TX_NO_ACK      0x0008
#define TX_NO_SEQUENCE 0x0010

enum field {
	TSFT,
	FLAGS,
	RATE,
	CHANNEL,
	FHSS,
	SIGNAL,
	KNOWN_FIELDS,
	TX_FLAGS = 15
};

static const struct {
	uint8_t align, bytes;
} fields[KNOWN_FIELDS] = {
	[TSFT] = { 8, 8 },
	[FLAGS] = { 1, 1 },
	[RATE] = { 1, 1 },
	[CHANNEL] = { 2, 4 },
	[FHSS] = { 2, 2 },
	[SIGNAL] = { 1, 1 },
};

static uint16_t
le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t
cur_le32(struct cursor *c)
{
	const uint8_t *p = cur_bytes(c, 4);

	return p == NULL ? 0 : le16(p) | (uint32_t)le16(p + 2) << 16;
}

static void
set_field(struct radiotap *r, enum field field, const uint8_t *p)
{
	switch ((int)field) {
	case FLAGS:
		r->fcs = (p[0] & FLAG_FCS) != 0;
		r->padded = (p[0] & FLAG_PADDED) != 0;
		r->bad_fcs = (p[0] & FLAG_BAD) != 0;
		break;
	case CHANNEL: r->mhz = le16(p); break;
	case SIGNAL:
		r->has_signal = true;
		r->signal_dbm = (int8_t)p[0];
		break;
	}
}

/* c is within the header, which began at start. */
static void
read_fields(struct radiotap *r, uint32_t present, struct cursor *c,
    const uint8_t *start)
{
	for (int i = 0; i < KNOWN_FIELDS; i++) {
		size_t at = (size_t)(c->at - start);
		const uint8_t *p;

		if ((present & 1u << i) == 0)
			continue;
		cur_skip(c, -at & (fields[i].align - 1u));
		p = cur_bytes(c, fields[i].bytes);
		if (p == NULL)
			return;
		set_field(r, (enum field)i, p);
	}
}

enum reason
radiotap_parse(struct radiotap *r, struct cursor *c)
{
	const uint8_t *start = c->at, *p = cur_bytes(c, 4);
	struct radiotap found = { .fcs = false };
	struct cursor head;
	uint32_t present, more;

	if (p == NULL)
		return DROP_SHORT;
	if (p[0] != 0 || le16(p + 2) < 8)
		return DROP_RADIOTAP;
	head = cur_sub(c, le16(p + 2) - 4u);
	if (c->overrun)
		return DROP_SHORT;
	more = present = cur_le32(&head);
	for (int i = 0; (more & MORE_WORDS) != 0; i++) {
		more = cur_le32(&head);
		if (head.overrun || i == WORDS_MAX)
			return DROP_RADIOTAP;
	}
	read_fields(&found, present, &head, start);
	if (head.overrun)
		return DROP_RADIOTAP;
	*r = found;
	return DROP_NONE;
}

void
radiotap_write_send(struct writer *w)
{
	static const uint8_t header[RADIOTAP_SEND_BYTES] = { 0, 0,
		RADIOTAP_SEND_BYTES, 0, 0, 1u << TX_FLAGS >> 8, 0, 0,
		TX_NO_ACK | TX_NO_SEQUENCE, 0 };

	wr_bytes(w, header, sizeof(header));
}
