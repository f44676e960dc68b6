/* libs: net */
#include "net/eth.h"

#include <stdlib.h>

#define CHECK(claim) ((claim) ? (void)0 : abort())

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor(data, size);
	uint8_t out[ETH_HEADER_BYTES + ETH_MAX_VLANS * ETH_VLAN_BYTES];
	struct writer w = writer(out, sizeof(out));
	struct eth eth;
	enum reason reason = eth_parse(&eth, &c);

	CHECK(c.at >= data && c.at <= c.end && c.end == data + size);
	if (reason != DROP_NONE) {
		CHECK(reason == DROP_SHORT || reason == DROP_ETH_SOURCE);
		return 0;
	}
	CHECK(eth.nvlans <= ETH_MAX_VLANS && !mac_is_group(&eth.src));
	/* What was read is all that was there. */
	eth_write(&w, &eth);
	CHECK(!w.overrun && w.at - out == c.at - data);
	CHECK(memcmp(out, data, (size_t)(w.at - out)) == 0);
	return 0;
}
