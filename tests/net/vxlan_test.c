#include "net/vxlan.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/net/exact.h"

static void
headers_are_read_and_refused(void **state)
{
	static const struct {
		uint8_t bytes[VXLAN_HEADER_BYTES];
		size_t len;
		enum reason reason;
		uint32_t vni;
	} rows[] = {
		{ { 0x08, 0, 0, 0, 0, 0, 7, 0 }, 8, DROP_NONE, 7 },
		{ { 0x08, 0, 0, 0, 0xff, 0xff, 0xff, 0 }, 8, DROP_NONE,
		    VXLAN_VNI_MAX },
		/* reserved bits, as of the group policy extension */
		{ { 0xff, 0xff, 0xff, 0xff, 0, 1, 0, 0xff }, 8, DROP_NONE,
		    256 },
		{ { 0xf7, 0, 0, 0, 0, 0, 7, 0 }, 8, DROP_VXLAN, 77 },
		{ { 0x08, 0, 0, 0, 0, 0, 7, 0 }, 7, DROP_SHORT, 77 },
		{ { 0 }, 0, DROP_SHORT, 77 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct exact e = exact(rows[i].bytes, rows[i].len);
		uint32_t vni = 77;

		assert_int_equal(vxlan_parse(&vni, &e.c), rows[i].reason);
		assert_int_equal(vni, rows[i].vni);
		exact_free(&e);
	}
}

static void
the_frame_is_what_is_left(void **state)
{
	static const uint8_t bytes[] = { 8, 0, 0, 0, 0, 0, 7, 0, 'a', 'b' };
	struct exact e = exact(bytes, sizeof(bytes));
	uint32_t vni;

	(void)state;
	assert_int_equal(vxlan_parse(&vni, &e.c), DROP_NONE);
	assert_int_equal(cur_left(&e.c), 2);
	assert_memory_equal(e.c.at, "ab", 2);
	exact_free(&e);
}

static void
a_header_is_written_with_zeros_where_it_is_reserved(void **state)
{
	static const uint8_t want[] = { 8, 0, 0, 0, 0x12, 0x34, 0x56, 0 };
	uint8_t bytes[VXLAN_HEADER_BYTES];
	struct writer w = writer(bytes, sizeof(bytes));

	(void)state;
	vxlan_write(&w, 0x123456);
	assert_false(w.overrun);
	assert_int_equal(wr_left(&w), 0);
	assert_memory_equal(bytes, want, sizeof(want));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_read_and_refused),
		cmocka_unit_test(the_frame_is_what_is_left),
		cmocka_unit_test(
		    a_header_is_written_with_zeros_where_it_is_reserved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
