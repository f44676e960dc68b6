#include "net/natpmp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/net/exact.h"

static void
assert_same(const struct natpmp *a, const struct natpmp *b)
{
	assert_int_equal(a->op, b->op);
	assert_int_equal(a->result, b->result);
	assert_int_equal(a->epoch_s, b->epoch_s);
	assert_int_equal(a->address, b->address);
	assert_int_equal(a->in_port, b->in_port);
	assert_int_equal(a->out_port, b->out_port);
	assert_int_equal(a->lifetime_s, b->lifetime_s);
}

static void
requests_are_read_and_refused(void **state)
{
	static const struct {
		uint8_t bytes[14];
		size_t len;
		enum natpmp_result result;
		struct natpmp want;
	} rows[] = {
		{ { 0, 0 }, 2, NATPMP_SUCCESS, { .op = NATPMP_ADDRESS } },
		/* more than there should be is not looked at */
		{ { 0, 0, 9, 9 }, 4, NATPMP_SUCCESS, { .op = NATPMP_ADDRESS } },
		{ { 0, 1, 9, 9, 0x13, 0x88, 0x9c, 0x40, 0, 0, 0x1c, 0x20 }, 12,
		    NATPMP_SUCCESS,
		    { .op = NATPMP_MAP_UDP,
			.in_port = 5000,
			.out_port = 40000,
			.lifetime_s = 7200 } },
		{ { 0, 2, 0, 0, 0, 22, 0, 0, 0, 0, 0, 0, 1, 2 }, 14,
		    NATPMP_SUCCESS, { .op = NATPMP_MAP_TCP, .in_port = 22 } },
		{ { 0, 2, 0, 0, 0, 22, 0, 0, 0, 0, 0 }, 11, NATPMP_SILENCE,
		    { .op = NATPMP_MAP_TCP } },
		{ { 0 }, 1, NATPMP_SILENCE, { 0 } },
		{ { 0 }, 0, NATPMP_SILENCE, { 0 } },
		{ { 0, 128 }, 2, NATPMP_SILENCE, { .op = 128 } },
		{ { 0, 3 }, 2, NATPMP_UNSUPP_OPCODE, { .op = 3 } },
		{ { 0, 127 }, 2, NATPMP_UNSUPP_OPCODE, { .op = 127 } },
		{ { 2, 1 }, 2, NATPMP_UNSUPP_VERSION, { .op = 1 } },
		{ { 1, 129 }, 2, NATPMP_SILENCE, { .op = 129 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct exact e = exact(rows[i].bytes, rows[i].len);
		struct natpmp m;

		assert_int_equal(
		    natpmp_parse_request(&m, e.c.at, e.len), rows[i].result);
		assert_same(&m, &rows[i].want);
		exact_free(&e);
	}
}

static const struct {
	struct natpmp message;
	uint8_t bytes[16];
	size_t len;
} responses[] = {
	{ { .op = NATPMP_ADDRESS, .epoch_s = 258, .address = 0xcb007101 },
	    { 0, 128, 0, 0, 0, 0, 1, 2, 203, 0, 113, 1 }, 12 },
	{ { .op = NATPMP_MAP_UDP,
	      .epoch_s = 3,
	      .in_port = 5000,
	      .out_port = 40000,
	      .lifetime_s = 7200 },
	    { 0, 129, 0, 0, 0, 0, 0, 3, 0x13, 0x88, 0x9c, 0x40, 0, 0, 0x1c,
		0x20 },
	    16 },
	{ { .op = NATPMP_MAP_TCP, .result = 4, .epoch_s = 3, .in_port = 22 },
	    { 0, 130, 0, 4, 0, 0, 0, 3, 0, 22 }, 16 },
	{ { .op = NATPMP_ADDRESS, .result = 3, .epoch_s = 3 },
	    { 0, 128, 0, 3, 0, 0, 0, 3 }, 12 },
	{ { .op = NATPMP_MAP_UDP, .result = 1, .epoch_s = 3 },
	    { 0, 129, 0, 1, 0, 0, 0, 3 }, 8 },
	{ { .op = 77, .result = 5, .epoch_s = 3 }, { 0, 205, 0, 5, 0, 0, 0, 3 },
	    8 },
};

static void
rfc6886_s3_5_responses_are_written_and_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++) {
		uint8_t out[NATPMP_MAX_BYTES];
		struct writer w = writer(out, sizeof(out));
		struct natpmp m;

		natpmp_write_response(&w, &responses[i].message);
		assert_false(w.overrun);
		assert_int_equal(w.at - out, responses[i].len);
		assert_memory_equal(out, responses[i].bytes, responses[i].len);
		for (size_t len = 0; len <= responses[i].len; len++) {
			struct exact e = exact(out, len);

			/* Who refuses may end with the epoch. */
			assert_int_equal(natpmp_parse_response(&m, e.c.at, len),
			    len == responses[i].len ||
				(len >= 8 && responses[i].message.result != 0));
			exact_free(&e);
		}
		assert_same(&m, &responses[i].message);
	}
}

static void
a_request_is_no_response_nor_is_one_of_another_version(void **state)
{
	static const uint8_t bytes[][12] = {
		{ 0, 0, 0, 0, 0, 0, 1, 2, 203, 0, 113, 1 },
		{ 2, 128, 0, 0, 0, 0, 1, 2, 203, 0, 113, 1 },
		{ 0, 131, 0, 0, 0, 0, 1, 2, 203, 0, 113, 1 },
	};
	struct natpmp m;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_false(natpmp_parse_response(&m, bytes[i], 12));
}

static void
a_request_is_read_as_it_was_written(void **state)
{
	static const struct natpmp rows[] = {
		{ .op = NATPMP_ADDRESS },
		{ .op = NATPMP_MAP_TCP,
		    .in_port = 1,
		    .out_port = 65535,
		    .lifetime_s = UINT32_MAX },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uint8_t out[NATPMP_REQUEST_BYTES];
		struct writer w = writer(out, sizeof(out));
		struct natpmp m;

		natpmp_write_request(&w, &rows[i]);
		assert_false(w.overrun);
		assert_int_equal(
		    natpmp_parse_request(&m, out, (size_t)(w.at - out)),
		    NATPMP_SUCCESS);
		assert_same(&m, &rows[i]);
	}
}

static void
rfc6886_s3_5_an_unknown_opcode_comes_back_with_its_request(void **state)
{
	static const uint8_t request[] = { 0, 77, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	static const uint8_t want[] = { 0, 205, 0, 5, 0, 0, 0, 3, 7, 8, 9 };

	(void)state;
	for (size_t room = 8; room <= 16; room++)
		for (size_t len = 2; len <= sizeof(request); len++) {
			uint8_t out[16];
			struct writer w = writer(out, room);
			size_t n = len < 8 ? 8 : len < room ? len : room;
			struct exact e = exact(request, len);

			natpmp_write_unsupported(&w, e.c.at, len, 3);
			assert_false(w.overrun);
			assert_int_equal(w.at - out, n);
			assert_memory_equal(out, want, n);
			exact_free(&e);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_read_and_refused),
		cmocka_unit_test(rfc6886_s3_5_responses_are_written_and_read),
		cmocka_unit_test(
		    rfc6886_s3_5_an_unknown_opcode_comes_back_with_its_request),
		cmocka_unit_test(
		    a_request_is_no_response_nor_is_one_of_another_version),
		cmocka_unit_test(a_request_is_read_as_it_was_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
