/* libs: net */
/*
 * STUN: what is read is within its bounds, and the same when it is written and
 * read again.
 */
#include "net/stun.h"

#include <stdlib.h>

#define CHECK(claim) ((claim) ? (void)0 : abort())

static void
check_message(const uint8_t *message, size_t size)
{
	static uint8_t room[STUN_MAX_BYTES];
	struct cursor c = cursor(message, size);
	struct stun stun = { 0 }, again = { 0 };
	enum reason reason = stun_parse(&stun, &c);
	struct writer w = writer(room, sizeof(room));

	CHECK(c.at >= message && c.at <= c.end && c.end == message + size);
	if (reason != REASON_NONE) {
		CHECK(reason == DROP_SHORT || reason == DROP_STUN);
		return;
	}
	CHECK(stun.padding_bytes <= STUN_PADDING_MAX);
	stun_write(&w, &stun);
	CHECK(!w.overrun);
	c = cursor(room, (size_t)(w.at - room));
	CHECK(stun_parse(&again, &c) == REASON_NONE && cur_left(&c) == 0);
	CHECK(memcmp(&stun, &again, sizeof(stun)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *m = malloc(size + 1);

	CHECK(m != NULL);
	memcpy(m, data, size);
	check_message(m, size);
	if (size >= STUN_HEADER_BYTES && size < 0x10000) {
		/* spares the fuzzer the search for it */
		put_be16(m, STUN_REQUEST);
		put_be16(m + 2, (uint16_t)(size - STUN_HEADER_BYTES));
		check_message(m, size);
	}
	free(m);
	return 0;
}
