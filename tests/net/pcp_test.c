#include "net/pcp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/net/exact.h"

#define V4(a, b, c, d)       0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d
#define HEADER(op, lifetime) 2, op, 0, 0, 0, 0, 0, lifetime, V4(10, 0, 0, 2)
#define NONCE                1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
#define MAP                  NONCE, 17, 0, 0, 0, 0x13, 0x88, 0x9c, 0x40, V4(203, 0, 113, 1)
#define PEER                 MAP, 0, 80, 0, 0, V4(203, 0, 113, 10)
#define THIRD_PARTY          1, 0, 0, 16, V4(10, 0, 0, 3)
#define PREFER_FAILURE       2, 0, 0, 0
#define FILTER(prefix)       3, 0, 0, 20, 0, prefix, 0, 7, V4(198, 51, 100, 0)

static void
rfc6887_s8_2_requests_are_checked_in_order(void **state)
{
	static const struct {
		const char *what;
		uint8_t bytes[160];
		size_t len;
		enum pcp_result result;
	} rows[] = {
		{ "announce", { HEADER(0, 0) }, 24, PCP_SUCCESS },
		{ "map", { HEADER(1, 120), MAP }, 60, PCP_SUCCESS },
		{ "peer", { HEADER(2, 120), PEER }, 80, PCP_SUCCESS },
		{ "map with all options",
		    { HEADER(1, 120), MAP, THIRD_PARTY, PREFER_FAILURE,
			FILTER(120), FILTER(128) },
		    60 + 20 + 4 + 48, PCP_SUCCESS },
		{ "peer for another", { HEADER(2, 120), PEER, THIRD_PARTY },
		    100, PCP_SUCCESS },
		{ "an option that may be ignored",
		    { HEADER(1, 1), MAP, 0x81, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0,
			0 },
		    72, PCP_SUCCESS },
		{ "an option that must be known",
		    { HEADER(1, 1), MAP, 4, 0, 0, 0 }, 64, PCP_UNSUPP_OPTION },
		{ "filters are for map", { HEADER(2, 1), PEER, FILTER(120) },
		    104, PCP_UNSUPP_OPTION },
		{ "failure is that of a peer anyway",
		    { HEADER(2, 1), PEER, PREFER_FAILURE }, 84,
		    PCP_MALFORMED_REQUEST },
		{ "announce has no third party", { HEADER(0, 1), THIRD_PARTY },
		    44, PCP_UNSUPP_OPTION },
		{ "third party twice",
		    { HEADER(1, 1), MAP, THIRD_PARTY, THIRD_PARTY }, 100,
		    PCP_MALFORMED_OPTION },
		{ "failure twice",
		    { HEADER(1, 1), MAP, PREFER_FAILURE, PREFER_FAILURE }, 68,
		    PCP_MALFORMED_OPTION },
		{ "a third party of 4 bytes",
		    { HEADER(1, 1), MAP, 1, 0, 0, 4, 10, 0, 0, 3 }, 68,
		    PCP_MALFORMED_OPTION },
		{ "failure with a value",
		    { HEADER(1, 1), MAP, 2, 0, 0, 4, 0, 0, 0, 0 }, 68,
		    PCP_MALFORMED_OPTION },
		{ "a filter of 16 bytes", { HEADER(1, 1), MAP, 3, 0, 0, 16 },
		    80, PCP_MALFORMED_OPTION },
		{ "a prefix of 129", { HEADER(1, 1), MAP, FILTER(129) }, 84,
		    PCP_MALFORMED_OPTION },
		{ "an option beyond the end",
		    { HEADER(1, 1), MAP, 0x81, 0, 0, 8, 1, 2, 3, 4 }, 68,
		    PCP_MALFORMED_OPTION },
		{ "no length of four", { HEADER(1, 1), MAP }, 62,
		    PCP_MALFORMED_REQUEST },
		{ "a short map", { HEADER(1, 1), MAP }, 56,
		    PCP_MALFORMED_REQUEST },
		{ "a map instead of a peer", { HEADER(2, 1), MAP }, 60,
		    PCP_MALFORMED_REQUEST },
		{ "authentication", { HEADER(3, 1) }, 24, PCP_UNSUPP_OPCODE },
		{ "opcode 127", { HEADER(127, 1) }, 24, PCP_UNSUPP_OPCODE },
		{ "another's, rather than of an unknown opcode",
		    { 2, 3, 0, 0, 0, 0, 0, 1, V4(10, 0, 0, 3) }, 24,
		    PCP_ADDRESS_MISMATCH },
		{ "another's, rather than with an unknown option",
		    { 2, 1, 0, 0, 0, 0, 0, 1, V4(10, 0, 0, 3), MAP, 4, 0, 0,
			0 },
		    64, PCP_ADDRESS_MISMATCH },
		{ "short, rather than another's",
		    { 2, 1, 0, 0, 0, 0, 0, 1, V4(10, 0, 0, 3), MAP }, 56,
		    PCP_MALFORMED_REQUEST },
		{ "of no family",
		    { 2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
			0xff, 0xff, 10, 0, 0, 2 },
		    24, PCP_ADDRESS_MISMATCH },
		{ "version 1", { 1, 1 }, 24, PCP_UNSUPP_VERSION },
		{ "version 3, short", { 3, 1 }, 2, PCP_UNSUPP_VERSION },
		{ "a response", { HEADER(0x81, 1), MAP }, 60, PCP_SILENCE },
		{ "a response of version 3", { 3, 0x81 }, 24, PCP_SILENCE },
		{ "cut off in the header", { HEADER(1, 1) }, 20, PCP_SILENCE },
		{ "one byte", { 2 }, 1, PCP_SILENCE },
		{ "nothing", { 0 }, 0, PCP_SILENCE },
	};

	const struct ip6_addr alice = ip6_of_ip4(0x0a000002);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct exact e = exact(rows[i].bytes, rows[i].len);
		struct pcp m = { .op = 99 };
		enum pcp_result result =
		    pcp_parse_request(&m, e.c.at, e.len, &alice);

		if (result != rows[i].result)
			fail_msg("%s: %s", rows[i].what,
			    pcp_result_name((uint8_t)result));
		assert_int_equal(m.op == 99, result != PCP_SUCCESS);
		exact_free(&e);
	}
}

static void
rfc6887_s7_a_message_may_be_1100_bytes_long(void **state)
{
	uint8_t bytes[PCP_MAX_BYTES + 4] = { HEADER(1, 1), MAP, 0x81, 0,
		(PCP_MAX_BYTES - 64) >> 8, (PCP_MAX_BYTES - 64) & 255 };
	struct pcp m;

	(void)state;
	assert_int_equal(
	    pcp_parse_request(&m, bytes, PCP_MAX_BYTES, NULL), PCP_SUCCESS);
	assert_int_equal(pcp_parse_request(&m, bytes, PCP_MAX_BYTES + 4, NULL),
	    PCP_MALFORMED_REQUEST);
}

static void
every_field_is_where_it_belongs(void **state)
{
	static const uint8_t bytes[] = { HEADER(1, 120), MAP, THIRD_PARTY,
		PREFER_FAILURE, FILTER(120) };
	static const uint8_t peer[] = { HEADER(2, 120), PEER };
	static const uint8_t nonce[] = { NONCE };
	uint32_t ip;
	struct pcp m;

	(void)state;
	assert_int_equal(
	    pcp_parse_request(&m, bytes, sizeof(bytes), NULL), PCP_SUCCESS);
	assert_int_equal(m.op, PCP_MAP);
	assert_int_equal(m.lifetime_s, 120);
	assert_memory_equal(m.nonce, nonce, sizeof(nonce));
	assert_int_equal(m.protocol, 17);
	assert_int_equal(m.in_port, 5000);
	assert_int_equal(m.out_port, 40000);
	assert_true(ip6_to_ip4(&ip, &m.client) && ip == 0x0a000002);
	assert_true(ip6_to_ip4(&ip, &m.out_ip) && ip == 0xcb007101);
	assert_true(m.has_third_party && m.prefer_failure);
	assert_true(ip6_to_ip4(&ip, &m.third_party) && ip == 0x0a000003);
	assert_int_equal(m.nfilters, 1);
	assert_int_equal(m.filters[0].prefix, 120);
	assert_int_equal(m.filters[0].remote_port, 7);
	assert_true(ip6_to_ip4(&ip, &m.filters[0].remote) && ip == 0xc6336400);
	assert_int_equal(
	    pcp_parse_request(&m, peer, sizeof(peer), NULL), PCP_SUCCESS);
	assert_int_equal(m.remote_port, 80);
	assert_true(ip6_to_ip4(&ip, &m.remote) && ip == 0xcb00710a);
}

static void
requests_and_responses_are_read_as_written(void **state)
{
	static const uint8_t bytes[] = { HEADER(1, 120), MAP, THIRD_PARTY,
		PREFER_FAILURE, FILTER(120), FILTER(0) };
	static const uint8_t peer[] = { HEADER(2, 120), PEER };
	uint8_t out[PCP_MAX_BYTES];
	struct pcp m, again;

	(void)state;
	for (int i = 0; i < 2; i++) {
		const uint8_t *from = i == 0 ? bytes : peer;
		size_t len = i == 0 ? sizeof(bytes) : sizeof(peer);
		struct writer w = writer(out, sizeof(out));

		assert_int_equal(
		    pcp_parse_request(&m, from, len, NULL), PCP_SUCCESS);
		pcp_write_request(&w, &m);
		assert_int_equal(w.at - out, len);
		assert_memory_equal(out, from, len);
		m.epoch_s = 77;
		w = writer(out, sizeof(out));
		pcp_write_response(&w, &m);
		assert_int_equal(w.at - out, len);
		assert_int_equal(out[1], m.op | PCP_RESPONSE);
		assert_true(pcp_parse_response(&again, out, len));
		assert_int_equal(again.epoch_s, 77);
		again.client = m.client;
		w = writer(out, sizeof(out));
		pcp_write_request(&w, &again);
		assert_memory_equal(out, from, len);
		/* What a client sends is no response. */
		assert_false(pcp_parse_response(&again, out, len));
	}
}

static void
rfc6887_s8_2_an_error_brings_back_the_request(void **state)
{
	static const struct {
		size_t len, want;
	} rows[] = { { 60, 60 }, { 62, 64 }, { 2, 24 }, { 24, 24 },
		{ 1100, 1100 }, { 1104, 1100 } };
	uint8_t request[1104] = { HEADER(1, 120), MAP };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t out[PCP_MAX_BYTES];
		struct writer w = writer(out, sizeof(out));
		static const uint8_t header[] = { 2, 0x81, 0, 3, 0, 0, 7, 8, 0,
			0, 0, 9, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2 };
		struct pcp m;

		pcp_write_error(
		    &w, request, rows[i].len, PCP_MALFORMED_REQUEST, 1800, 9);
		assert_false(w.overrun);
		assert_int_equal(w.at - out, rows[i].want);
		assert_memory_equal(out, header,
		    rows[i].len < sizeof(header) ? 12 : sizeof(header));
		if (rows[i].want > 24)
			assert_memory_equal(
			    out + 24, request + 24, rows[i].want - 24);
		assert_true(pcp_parse_response(&m, out, rows[i].want));
		assert_int_equal(m.result, PCP_MALFORMED_REQUEST);
		assert_int_equal(m.lifetime_s, 1800);
		assert_int_equal(m.epoch_s, 9);
	}
}

static void
rfc6887_s5_all_of_96_bits_tell_an_address_of_ip4(void **state)
{
	const struct ip6_addr alice = ip6_of_ip4(0x0a000002);

	(void)state;
	for (int i = 0; i < 96; i++) {
		uint8_t bytes[] = { HEADER(0, 0) };
		struct pcp m;

		assert_int_equal(
		    pcp_parse_request(&m, bytes, sizeof(bytes), &alice),
		    PCP_SUCCESS);
		bytes[8 + i / 8] ^= (uint8_t)(0x80 >> i % 8);
		assert_int_equal(
		    pcp_parse_request(&m, bytes, sizeof(bytes), &alice),
		    PCP_ADDRESS_MISMATCH);
	}
}

/* Each opcode with each option code that there is: those up to 127 must be
 * known, the others are passed over, and not told of in the answer. */
static void
rfc6887_s7_3_what_must_be_known_is(void **state)
{
	static const uint8_t bodies[] = { 24, 60, 80 };

	(void)state;
	for (uint8_t op = 0; op < PCP_OPS; op++)
		for (int code = 4; code < 256; code++) {
			uint8_t bytes[] = { HEADER(0, 1), PEER, 0, 0, 0, 0 };
			uint8_t out[PCP_MAX_BYTES];
			struct writer w = writer(out, sizeof(out));
			uint8_t at = bodies[op];
			struct pcp m;

			bytes[1] = op;
			memset(bytes + at, 0, 4);
			bytes[at] = (uint8_t)code;
			bytes[at + 1] = 9; /* reserved, and ignored */
			assert_int_equal(
			    pcp_parse_request(&m, bytes, at + 4u, NULL),
			    code < 128 ? PCP_UNSUPP_OPTION : PCP_SUCCESS);
			if (code < 128)
				continue;
			pcp_write_response(&w, &m);
			assert_int_equal(w.at - out, at);
			/* Cut off, it is malformed whether it is known or
			 * not. */
			bytes[at + 3] = 1;
			assert_int_equal(
			    pcp_parse_request(&m, bytes, at + 4u, NULL),
			    PCP_MALFORMED_OPTION);
		}
}

/* Those of the request if it could not be read, else zero. */
static void
rfc6887_s7_2_reserved_bytes_tell_of_what_was_not_read(void **state)
{
	static const struct {
		enum pcp_result result;
		bool copied;
	} rows[] = { { PCP_UNSUPP_VERSION, true },
		{ PCP_MALFORMED_REQUEST, true }, { PCP_UNSUPP_OPCODE, true },
		{ PCP_UNSUPP_OPTION, true }, { PCP_MALFORMED_OPTION, true },
		{ PCP_NOT_AUTHORIZED, false }, { PCP_ADDRESS_MISMATCH, false },
		{ PCP_USER_EX_QUOTA, false } };
	static const uint8_t request[] = { HEADER(1, 120), MAP };
	static const uint8_t zeros[12];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t len = 0; len <= 24; len++) {
			uint8_t out[PCP_MAX_BYTES];
			struct writer w = writer(out, sizeof(out));
			size_t n = rows[i].copied && len > 12 ? len - 12 : 0;

			pcp_write_error(&w, request, len, rows[i].result, 1, 2);
			assert_int_equal(w.at - out, 24);
			assert_memory_equal(out + 12, request + 12, n);
			assert_memory_equal(out + 12 + n, zeros, 12 - n);
			assert_int_equal(out[0], 2);
			assert_int_equal(out[2], 0);
			assert_int_equal(out[3], rows[i].result);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc6887_s8_2_requests_are_checked_in_order),
		cmocka_unit_test(rfc6887_s7_a_message_may_be_1100_bytes_long),
		cmocka_unit_test(every_field_is_where_it_belongs),
		cmocka_unit_test(requests_and_responses_are_read_as_written),
		cmocka_unit_test(rfc6887_s8_2_an_error_brings_back_the_request),
		cmocka_unit_test(
		    rfc6887_s5_all_of_96_bits_tell_an_address_of_ip4),
		cmocka_unit_test(rfc6887_s7_3_what_must_be_known_is),
		cmocka_unit_test(
		    rfc6887_s7_2_reserved_bytes_tell_of_what_was_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
