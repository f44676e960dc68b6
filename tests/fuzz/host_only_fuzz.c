/* libs: bridge/host_only.c net */
/*
 * The first byte says which way and how much of the frame there is.  What
 * passes is looked at again, by offsets alone.
 */
#include "bridge/host_only.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(claim) ((claim) ? (void)0 : abort())
#define HOST         UINT32_C(0xc0a83801) /* 192.168.56.1/24 */

static uint32_t
be(const uint8_t *at, unsigned int n)
{
	uint32_t value = 0;

	while (n-- > 0)
		value = value << 8 | *at++;
	return value;
}

/* Where what the type says begins, behind up to two tags. */
static size_t
type_at(const uint8_t *frame, size_t n)
{
	size_t at = 12;

	for (int tags = 0; tags < 2 && at + 6 <= n; tags++) {
		uint32_t type = be(frame + at, 2);

		if (type != 0x8100 && type != 0x88a8)
			break;
		at += 4;
	}
	return at;
}

static void
look_again(const uint8_t *frame, size_t n, bool in)
{
	size_t at = type_at(frame, n);
	uint32_t type, addr;
	const uint8_t *ip6;

	CHECK(n >= at + 2);
	type = be(frame + at, 2);
	if (type == 0x0800) {
		CHECK(n >= at + 2 + 20);
		addr = be(frame + at + 2 + (in ? 16 : 12), 4);
		CHECK(addr == HOST ||
		    (in &&
			(addr == UINT32_MAX || addr == (HOST | 0xff) ||
			    addr >> 8 == 0xe00000)));
	} else if (type == 0x86dd) {
		CHECK(n >= at + 2 + 40);
		ip6 = frame + at + 2 + (in ? 24 : 8);
		/* Never an address of more than the link. */
		CHECK(
		    be(ip6, 2) >> 13 != 1 && ip6[0] != 0xfc && ip6[0] != 0xfd);
		CHECK(ip6[0] != 0xff || (in && (ip6[1] & 0xf) <= 2));
	} else {
		CHECK(type == 0x0806 || type == 0x88cc || type <= 1500);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ip4_net host = { .addr = HOST, .prefix = 24 };
	enum reason reason;
	uint8_t *copy;
	bool in;

	if (size < 1)
		return 0;
	in = data[0] & 1;
	copy = malloc(size > 1 ? size - 1 : 1);
	CHECK(copy != NULL);
	memcpy(copy, data + 1, size - 1);
	reason = in ? host_only_in(host, copy, size - 1)
		    : host_only_out(host, copy, size - 1);
	CHECK(memcmp(copy, data + 1, size - 1) == 0);
	CHECK(reason == DROP_NONE || reason_is_drop(reason));
	if (reason == DROP_NONE)
		look_again(copy, size - 1, in);
	free(copy);
	return 0;
}
