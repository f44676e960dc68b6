/* libs: router/sip_message.c net base */
/*
 * Messages of SIP of any bytes, out and in.
 *
 * What must hold: changes are in order, within the text, and do not overlap;
 * what they make has the length that they say, and no other bytes than theirs
 * are changed; what has become an outside end is not changed again; a length of
 * the body that was right is right.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "router/sip_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sip_ends ends = { 0x0a00000a, 0xcb007101, 5060, 40000 };

static uint16_t
map(void *arg, enum sip_use use, uint16_t port)
{
	(void)arg;
	assert(port != 0);
	return use == SIP_MEDIA ? 65534 : port & 1 ? 0 : 7;
}

/* Makes the changes, and checks them.  The text's length. */
static size_t
make(const struct sip_edits *edits, const uint8_t *data, size_t size,
    uint8_t *out, size_t room)
{
	size_t len = sip_apply(edits, data, size, out, room);
	size_t from = 0, at = 0, expected = size;

	for (unsigned int i = 0; i < edits->n; i++) {
		const struct sip_edit *e = &edits->edit[i];

		assert(e->at >= from && e->at + e->old_bytes <= size);
		assert(e->new_bytes <= SIP_TEXT_BYTES);
		assert(memcmp(out + at, data + from, e->at - from) == 0);
		at += e->at - from;
		assert(memcmp(out + at, e->text, e->new_bytes) == 0);
		at += e->new_bytes;
		from = e->at + e->old_bytes;
		expected = expected + e->new_bytes - e->old_bytes;
	}
	assert(len == expected && len - at == size - from);
	assert(memcmp(out + at, data + from, size - from) == 0);
	if (len > 0)
		assert(sip_apply(edits, data, size, out, len - 1) == 0);
	return len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t room = size + (size_t)SIP_EDITS * SIP_TEXT_BYTES;
	uint8_t *out = malloc(room), *exact;
	struct sip_edits edits, again;
	size_t len;

	assert(out != NULL);
	if (sip_read_out(&edits, data, size, &ends, map, NULL)) {
		len = make(&edits, data, size, out, room);
		len = sip_apply(&edits, data, size, out, room);
		exact = malloc(len + 1);
		assert(exact != NULL);
		memcpy(exact, out, len);
		assert(sip_read_out(&again, exact, len, &ends, map, NULL));
		assert(again.n <= edits.n);
		free(exact);
	}
	if (sip_read_in(&edits, data, size, &ends))
		make(&edits, data, size, out, room);
	free(out);
	return 0;
}
