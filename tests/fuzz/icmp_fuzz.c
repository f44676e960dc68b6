/* libs: net */
#include "net/icmp.h"

#include <stdlib.h>

#include "net/checksum.h"

#define CHECK(claim) ((claim) ? (void)0 : abort())

static void
check_message(const uint8_t *message, size_t size)
{
	struct cursor c = cursor(message, size);
	struct icmp icmp, again;
	enum reason reason = icmp_parse(&icmp, &c);
	uint8_t *out;
	struct writer w;

	CHECK(c.at >= message && c.at <= c.end && c.end == message + size);
	CHECK((reason == DROP_SHORT) == (size < ICMP_HEADER_BYTES));
	if (reason != DROP_NONE) {
		CHECK(reason == DROP_SHORT || reason == DROP_L4_CHECKSUM);
		return;
	}
	CHECK(icmp.data == message + ICMP_HEADER_BYTES);
	CHECK(icmp.data_bytes == size - ICMP_HEADER_BYTES);

	out = malloc(size);
	CHECK(out != NULL);
	w = writer(out, size);
	icmp_write(&w, &icmp);
	CHECK(!w.overrun && wr_left(&w) == 0);
	/* All but a checksum of 0xffff is as it was. */
	CHECK(memcmp(out, message, ICMP_OFF_CHECKSUM) == 0);
	CHECK(memcmp(out + ICMP_OFF_ID, message + ICMP_OFF_ID,
		  size - ICMP_OFF_ID) == 0);
	c = cursor(out, size);
	CHECK(icmp_parse(&again, &c) == DROP_NONE);
	CHECK(again.checksum == icmp.checksum || icmp.checksum == 0xffff);
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *message = malloc(size + 1);

	CHECK(message != NULL);
	memcpy(message + 1, data, size);
	check_message(message + 1, size);
	if (size >= ICMP_HEADER_BYTES) {
		uint8_t *check = message + 1 + ICMP_OFF_CHECKSUM;

		put_be16(check, 0);
		put_be16(
		    check, csum_finish(csum_add_bytes(0, message + 1, size)));
	}
	check_message(message + 1, size);
	free(message);
	return 0;
}
