#include "net/ecn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "net/eth.h"
#include "net/ip4.h"

/* A frame with so many tags and this traffic class. */
static size_t
make(uint8_t out[128], uint16_t type, unsigned int tags, uint8_t tos)
{
	struct writer w = { .at = out, .end = out + 128 };
	struct eth eth = { .dst = { { 2, 0, 0, 0, 0, 1 } },
		.src = { { 2, 0, 0, 0, 0, 2 } },
		.type = type,
		.nvlans = (uint8_t)tags };
	struct ip4 ip = {
		.tos = tos, .total_bytes = 28, .ttl = 9, .protocol = IP_UDP
	};

	memset(out, 0, 128);
	for (unsigned int i = 0; i < tags; i++)
		eth.vlan[i].tpid = i + 1 < tags ? ETH_QINQ : ETH_VLAN;
	eth_write(&w, &eth);
	if (type == ETH_IPV4) {
		ip4_write(&w, &ip);
		return (size_t)(w.at - out) + 8;
	}
	w.at[0] = (uint8_t)(0x60 | tos >> 4);
	w.at[1] = (uint8_t)(tos << 4 | 0x0f);
	return (size_t)(w.at - out) + 40;
}

static void
who_understands_is_marked(void **state)
{
	static const uint16_t types[] = { ETH_IPV4, ETH_IPV6 };
	uint8_t frame[128], want[128];

	(void)state;
	for (unsigned int t = 0; t < 2; t++)
		for (unsigned int tags = 0; tags <= 2; tags++)
			for (unsigned int ecn = 1; ecn <= 3; ecn++) {
				uint8_t tos = (uint8_t)(0xb8 | ecn);
				size_t n = make(frame, types[t], tags, tos);

				make(want, types[t], tags, 0xbb);
				assert_true(ecn_mark(frame, n));
				/* the checksum too */
				assert_memory_equal(frame, want, 128);
			}
}

static void
others_are_left_alone(void **state)
{
	static const uint16_t types[] = { ETH_IPV4, ETH_IPV6, ETH_ARP };
	uint8_t frame[128], before[128];

	(void)state;
	for (unsigned int t = 0; t < 3; t++) {
		size_t n = make(frame, types[t], 0, t == 2 ? 2 : 0xb8);

		memcpy(before, frame, 128);
		assert_false(ecn_mark(frame, n));
		assert_memory_equal(frame, before, 128);
	}
}

static void
a_frame_cut_short_is_left_alone(void **state)
{
	static const uint16_t types[] = { ETH_IPV4, ETH_IPV6 };
	uint8_t frame[128], before[128];

	(void)state;
	for (unsigned int t = 0; t < 2; t++) {
		size_t headers = t == 0 ? 22 + 20 : 22 + 40;

		make(frame, types[t], 2, 2);
		memcpy(before, frame, 128);
		for (size_t n = 0; n < headers; n++)
			assert_false(ecn_mark(frame, n));
		assert_memory_equal(frame, before, 128);
		assert_true(ecn_mark(frame, headers));
	}
}

static void
another_version_is_left_alone(void **state)
{
	uint8_t frame[128];
	size_t n = make(frame, ETH_IPV4, 0, 2);

	(void)state;
	frame[ETH_HEADER_BYTES] = 0x65;
	assert_false(ecn_mark(frame, n));
	n = make(frame, ETH_IPV6, 0, 2);
	frame[ETH_HEADER_BYTES] = 0x45;
	assert_false(ecn_mark(frame, n));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_understands_is_marked),
		cmocka_unit_test(others_are_left_alone),
		cmocka_unit_test(a_frame_cut_short_is_left_alone),
		cmocka_unit_test(another_version_is_left_alone),
	};

	return cmocka_run_group_tests_name("ecn", tests, NULL, NULL);
}
