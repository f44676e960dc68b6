#include "net/eth.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/net/exact.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

#define DST 0x52, 0x11, 0x22, 0x33, 0x44, 0x55
#define SRC 0x52, 0xaa, 0xbb, 0xcc, 0xdd, 0xee

static const struct {
	const char *what;
	uint8_t bytes[26];
	size_t len; /* up to the payload */
	uint16_t type;
	uint8_t nvlans;
	uint16_t tpid[2], tci[2];
} cases[] = {
	{ "untagged", { DST, SRC, 0x08, 0x00 }, 14, ETH_IPV4, 0, { 0 }, { 0 } },
	{ "length field", { DST, SRC, 0x00, 0x2e }, 14, 46, 0, { 0 }, { 0 } },
	{ "one tag", { DST, SRC, 0x81, 0x00, 0x60, 0x2a, 0x08, 0x06 }, 18,
	    ETH_ARP, 1, { ETH_VLAN }, { 0x602a } },
	{ "priority tag", { DST, SRC, 0x81, 0x00, 0xe0, 0x00, 0x86, 0xdd }, 18,
	    ETH_IPV6, 1, { ETH_VLAN }, { 0xe000 } },
	{ "provider tag", { DST, SRC, 0x88, 0xa8, 0x0f, 0xff, 0x08, 0x00 }, 18,
	    ETH_IPV4, 1, { ETH_QINQ }, { 0x0fff } },
	{ "two tags",
	    { DST, SRC, 0x88, 0xa8, 0x00, 0x64, 0x81, 0x00, 0x10, 0xc8, 0x08,
		0x00 },
	    22, ETH_IPV4, 2, { ETH_QINQ, ETH_VLAN }, { 0x0064, 0x10c8 } },
	{ "three tags: the third is payload",
	    { DST, SRC, 0x81, 0x00, 0x00, 0x01, 0x81, 0x00, 0x00, 0x02, 0x81,
		0x00, 0x00, 0x03, 0x08, 0x00 },
	    22, ETH_VLAN, 2, { ETH_VLAN, ETH_VLAN }, { 1, 2 } },
};

static void
frames_are_read_up_to_their_payload(void **state)
{
	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct exact e = exact(cases[i].bytes, sizeof(cases[i].bytes));
		const struct mac dst = { { DST } }, src = { { SRC } };
		struct eth eth;

		assert_int_equal(eth_parse(&eth, &e.c), DROP_NONE);
		assert_true(mac_equal(&eth.dst, &dst));
		assert_true(mac_equal(&eth.src, &src));
		assert_int_equal(eth.type, cases[i].type);
		assert_int_equal(eth.nvlans, cases[i].nvlans);
		for (int v = 0; v < eth.nvlans; v++) {
			assert_int_equal(eth.vlan[v].tpid, cases[i].tpid[v]);
			assert_int_equal(eth.vlan[v].tci, cases[i].tci[v]);
		}
		assert_ptr_equal(e.c.at, e.data + cases[i].len);
		assert_ptr_equal(e.c.end, e.data + e.len);
		exact_free(&e);
	}
}

static void
frames_cut_off_anywhere_are_short(void **state)
{
	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++)
		for (size_t len = 0; len < cases[i].len; len++) {
			struct exact e = exact(cases[i].bytes, len);
			struct eth eth = { .type = 0x1234 };

			assert_int_equal(eth_parse(&eth, &e.c), DROP_SHORT);
			assert_int_equal(eth.type, 0x1234);
			assert_int_equal(cur_left(&e.c), 0);
			exact_free(&e);
		}
}

static void
a_group_address_is_no_source(void **state)
{
	(void)state;
	for (int first = 0; first < 256; first++) {
		struct exact e = exact(cases[0].bytes, 14);
		struct eth eth;

		e.data[6] = (uint8_t)first;
		assert_int_equal(eth_parse(&eth, &e.c),
		    first & 1 ? DROP_ETH_SOURCE : DROP_NONE);
		exact_free(&e);
	}
}

static void
what_was_read_is_written_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct exact e = exact(cases[i].bytes, cases[i].len);
		uint8_t out[26];
		struct writer w = writer(out, sizeof(out));
		struct eth eth;

		assert_int_equal(eth_parse(&eth, &e.c), DROP_NONE);
		eth_write(&w, &eth);
		assert_false(w.overrun);
		assert_ptr_equal(w.at, out + cases[i].len);
		assert_memory_equal(out, cases[i].bytes, cases[i].len);
		exact_free(&e);
	}
}

static void
a_header_that_does_not_fit_is_said(void **state)
{
	struct eth eth = { .type = ETH_IPV4, .nvlans = 2 };

	(void)state;
	for (size_t room = 0; room <= 22; room++) {
		struct exact e = exact(cases[0].bytes, room);
		struct writer w = writer(e.data, room);

		eth_write(&w, &eth);
		assert_int_equal(w.overrun, room < 22);
		exact_free(&e);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_read_up_to_their_payload),
		cmocka_unit_test(frames_cut_off_anywhere_are_short),
		cmocka_unit_test(a_group_address_is_no_source),
		cmocka_unit_test(what_was_read_is_written_again),
		cmocka_unit_test(a_header_that_does_not_fit_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
