/* libs: net */
#include "net/bpdu.h"

#include <stdlib.h>

#define CHECK(claim) ((claim) ? (void)0 : abort())

/* What was read is written, and read again: it is the same. */
static void
check_again(const struct bpdu *bpdu)
{
	static const struct mac src = { { 2, 0, 0, 0, 0, 1 } };
	uint8_t out[BPDU_FRAME_BYTES];
	struct writer w = writer(out, sizeof(out));
	struct cursor c;
	struct bpdu again;

	memset(&again, 0, sizeof(again));
	bpdu_write(&w, &src, bpdu);
	CHECK(!w.overrun);
	c = cursor(out + 12, (size_t)(w.at - out) - 12);
	CHECK(bpdu_parse(&again, &c) == DROP_NONE);
	CHECK(memcmp(&again, bpdu, sizeof(again)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor(data, size);
	struct bpdu bpdu, untouched;
	enum reason reason;

	memset(&bpdu, 0x5a, sizeof(bpdu));
	untouched = bpdu;
	reason = bpdu_parse(&bpdu, &c);
	CHECK(c.at >= data && c.at <= c.end && c.end == data + size);
	if (reason != DROP_NONE) {
		CHECK(reason == DROP_SHORT || reason == DROP_BPDU);
		CHECK(memcmp(&bpdu, &untouched, sizeof(bpdu)) == 0);
		return 0;
	}
	CHECK(bpdu.nmstis <= BPDU_MAX_MSTIS);
	CHECK(bpdu.nmstis == 0 || bpdu.version == BPDU_MSTP);
	CHECK(bpdu.type == BPDU_TYPE_RST || bpdu.version == BPDU_STP);
	if (bpdu.type == BPDU_TYPE_CONFIG)
		CHECK(bpdu.message_age < bpdu.max_age);
	check_again(&bpdu);
	return 0;
}
