/* libs: net */
#include "net/arp.h"

#include <stdlib.h>

#define CHECK(claim) ((claim) ? (void)0 : abort())

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor(data, size);
	uint8_t out[ARP_BYTES];
	struct writer w = writer(out, sizeof(out));
	struct arp arp;
	enum reason reason = arp_parse(&arp, &c);

	CHECK(c.at >= data && c.at <= c.end && c.end == data + size);
	if (reason != DROP_NONE) {
		CHECK(reason == DROP_SHORT || reason == DROP_ARP_TYPE ||
		    reason == DROP_ARP_OP);
		CHECK((reason == DROP_SHORT) == (size < ARP_BYTES));
		return 0;
	}
	arp_write(&w, &arp);
	CHECK(!w.overrun && memcmp(out, data, ARP_BYTES) == 0);
	return 0;
}
