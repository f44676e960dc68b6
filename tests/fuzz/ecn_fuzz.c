/* libs: net */
/*
 * Marking touches the ECN bits and an IPv4 checksum, which stays right if it was
 * right; who carries CE carries it still; nothing else changes.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/ecn.h"
#include "net/eth.h"
#include "net/ip4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* of just that size, so that a step too far is seen */
	uint8_t *frame = malloc(size + 1);
	struct cursor was = cursor(data, size), is = cursor(frame, size);
	struct ip4 before, after;
	struct eth eth;
	unsigned int changed = 0;
	bool marked;

	memcpy(frame, data, size);
	marked = ecn_mark(frame, size);
	for (size_t i = 0; i < size; i++)
		changed += frame[i] != data[i];
	assert(changed <= (marked ? 3 : 0));
	if (marked) {
		assert(eth_parse(&eth, &was) == DROP_NONE);
		assert(eth_parse(&eth, &is) == DROP_NONE);
		assert(eth.type == ETH_IPV4 || eth.type == ETH_IPV6);
		if (eth.type == ETH_IPV4 &&
		    ip4_parse(&before, &was) == DROP_NONE) {
			assert(ip4_parse(&after, &is) == DROP_NONE);
			assert((before.tos & 3) != 0 && (after.tos & 3) == 3);
			assert((before.tos | 3) == after.tos);
		}
		assert(ecn_mark(frame, size));
	}
	free(frame);
	return 0;
}
