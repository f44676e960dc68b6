#include "net/arp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/net/exact.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

/* Who has 10.0.0.1?  Tell 10.0.0.100. */
static const uint8_t request[ARP_BYTES] = { 0x00, 0x01, 0x08, 0x00, 0x06, 0x04,
	0x00, 0x01, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x0a, 0x00, 0x00, 0x64,
	0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a, 0x00, 0x00, 0x01 };

static void
a_request_is_read(void **state)
{
	const struct mac sender = { { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 } };
	const struct mac target = { { 1, 2, 3, 4, 5, 6 } };
	struct exact e = exact(request, sizeof(request));
	struct arp arp;

	(void)state;
	assert_int_equal(arp_parse(&arp, &e.c), DROP_NONE);
	assert_int_equal(arp.op, ARP_REQUEST);
	assert_true(mac_equal(&arp.sender_mac, &sender));
	assert_true(mac_equal(&arp.target_mac, &target));
	assert_int_equal(arp.sender_ip, 0x0a000064);
	assert_int_equal(arp.target_ip, 0x0a000001);
	assert_int_equal(cur_left(&e.c), 0);
	exact_free(&e);
}

static void
padding_behind_the_packet_is_left(void **state)
{
	uint8_t frame[46] = { 0 };
	struct exact e;
	struct arp arp;

	(void)state;
	memcpy(frame, request, sizeof(request));
	e = exact(frame, sizeof(frame));
	assert_int_equal(arp_parse(&arp, &e.c), DROP_NONE);
	assert_int_equal(cur_left(&e.c), 46 - ARP_BYTES);
	exact_free(&e);
}

static void
packets_cut_off_anywhere_are_short(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(request); len++) {
		struct exact e = exact(request, len);
		struct arp arp = { .op = 77 };

		assert_int_equal(arp_parse(&arp, &e.c), DROP_SHORT);
		assert_int_equal(arp.op, 77);
		exact_free(&e);
	}
}

static void
each_field_is_checked(void **state)
{
	static const struct {
		size_t at;
		uint8_t byte;
		enum reason reason;
	} cases[] = {
		{ 0, 0x01, DROP_ARP_TYPE }, /* hardware 0x0101 */
		{ 1, 0x06, DROP_ARP_TYPE }, /* IEEE 802 */
		{ 1, 0x00, DROP_ARP_TYPE },
		{ 2, 0x86, DROP_ARP_TYPE },
		{ 3, 0x06, DROP_ARP_TYPE },
		{ 4, 0x08, DROP_ARP_TYPE }, /* lengths that lie */
		{ 4, 0x00, DROP_ARP_TYPE },
		{ 5, 0x10, DROP_ARP_TYPE },
		{ 5, 0xff, DROP_ARP_TYPE },
		{ 7, 0x00, DROP_ARP_OP },
		{ 7, 0x02, DROP_NONE },
		{ 7, 0x03, DROP_ARP_OP }, /* reverse ARP */
		{ 6, 0x01, DROP_ARP_OP },
		{ 6, 0xff, DROP_ARP_OP },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct exact e = exact(request, sizeof(request));
		struct arp arp;

		e.data[cases[i].at] = cases[i].byte;
		assert_int_equal(arp_parse(&arp, &e.c), cases[i].reason);
		exact_free(&e);
	}
}

static void
what_was_read_is_written_again(void **state)
{
	struct exact e = exact(request, sizeof(request));
	uint8_t out[ARP_BYTES];
	struct writer w = writer(out, sizeof(out));
	struct arp arp;

	(void)state;
	assert_int_equal(arp_parse(&arp, &e.c), DROP_NONE);
	arp_write(&w, &arp);
	assert_false(w.overrun);
	assert_memory_equal(out, request, sizeof(request));
	w = writer(out, ARP_BYTES - 1);
	arp_write(&w, &arp);
	assert_true(w.overrun);
	exact_free(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_read),
		cmocka_unit_test(padding_behind_the_packet_is_left),
		cmocka_unit_test(packets_cut_off_anywhere_are_short),
		cmocka_unit_test(each_field_is_checked),
		cmocka_unit_test(what_was_read_is_written_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
