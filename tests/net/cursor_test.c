#include "net/cursor.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/net/exact.h"

static const uint8_t sample[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07 };

static void
values_are_read_in_network_order(void **state)
{
	struct exact e = exact(sample, sizeof(sample));

	(void)state;
	assert_int_equal(cur_u8(&e.c), 0x01);
	assert_int_equal(cur_be16(&e.c), 0x0203);
	assert_int_equal(cur_be32(&e.c), 0x04050607);
	assert_int_equal(cur_left(&e.c), 0);
	assert_false(e.c.overrun);
	exact_free(&e);
}

/* One byte too few for a value: zero, at the end, and said; and so for ever. */
static void
reading_past_the_end_yields_zero_and_stays_there(void **state)
{
	(void)state;
	for (size_t len = 0; len < 4; len++) {
		struct exact e = exact(sample, len);
		const uint8_t *end = e.c.end;

		assert_int_equal(cur_be32(&e.c), 0);
		assert_true(e.c.overrun);
		assert_ptr_equal(e.c.at, end);
		assert_int_equal(cur_u8(&e.c), 0);
		assert_int_equal(cur_be16(&e.c), 0);
		assert_null(cur_bytes(&e.c, 1));
		assert_non_null(cur_bytes(&e.c, 0));
		assert_ptr_equal(e.c.at, end);
		assert_true(e.c.overrun);
		exact_free(&e);
	}
}

static void
a_length_that_wraps_is_too_long(void **state)
{
	struct exact e = exact(sample, sizeof(sample));

	(void)state;
	cur_skip(&e.c, 3);
	assert_null(cur_bytes(&e.c, SIZE_MAX));
	assert_true(e.c.overrun);
	assert_int_equal(cur_left(&e.c), 0);
	exact_free(&e);
}

static void
a_sub_cursor_ends_with_its_part(void **state)
{
	struct exact e = exact(sample, sizeof(sample));
	struct cursor part;

	(void)state;
	part = cur_sub(&e.c, 3);
	assert_int_equal(cur_left(&part), 3);
	assert_int_equal(cur_left(&e.c), 4);
	assert_int_equal(cur_be32(&part), 0);
	assert_true(part.overrun);
	assert_false(e.c.overrun);
	assert_int_equal(cur_u8(&e.c), 0x04);

	part = cur_sub(&e.c, 4);
	assert_true(part.overrun);
	assert_true(e.c.overrun);
	assert_int_equal(cur_left(&part), 0);
	exact_free(&e);
}

static void
what_does_not_fit_is_not_written(void **state)
{
	uint8_t bytes[8];
	struct writer w = writer(bytes, 7);

	(void)state;
	memset(bytes, 0xa5, sizeof(bytes));
	wr_u8(&w, 0x01);
	wr_be16(&w, 0x0203);
	assert_false(w.overrun);
	wr_be32(&w, 0x04050607);
	assert_memory_equal(bytes, sample, 7);
	assert_false(w.overrun);
	assert_int_equal(wr_left(&w), 0);

	w = writer(bytes, 3);
	memset(bytes, 0xa5, sizeof(bytes));
	wr_be32(&w, 0x01020304);
	assert_true(w.overrun);
	wr_bytes(&w, sample, 4);
	wr_zeros(&w, 4);
	for (size_t i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], 0xa5);
	/* What is shorter still fits: overrun stays. */
	wr_be16(&w, 0x0102);
	assert_memory_equal(bytes, sample, 2);
	assert_true(w.overrun);
	assert_null(wr_room(&w, SIZE_MAX));
}

static void
stores_and_loads_mirror_each_other(void **state)
{
	uint8_t bytes[4];

	(void)state;
	put_be16(bytes, 0xfedc);
	assert_int_equal(bytes[0], 0xfe);
	assert_int_equal(get_be16(bytes), 0xfedc);
	put_be32(bytes, 0xfedcba98);
	assert_int_equal(bytes[3], 0x98);
	assert_int_equal(get_be32(bytes), 0xfedcba98);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_read_in_network_order),
		cmocka_unit_test(
		    reading_past_the_end_yields_zero_and_stays_there),
		cmocka_unit_test(a_length_that_wraps_is_too_long),
		cmocka_unit_test(a_sub_cursor_ends_with_its_part),
		cmocka_unit_test(what_does_not_fit_is_not_written),
		cmocka_unit_test(stores_and_loads_mirror_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
