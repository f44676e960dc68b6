#include "net/icmp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "net/checksum.h"
#include "tests/net/exact.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

/* An echo request as ping sends it, id 0x1234, seq 1, checksum by hand:
 * 0x0800 + 0x1234 + 0x0001 + 0x6162 + 0x6300 = 0xde97. */
static const uint8_t echo[11] = { 8, 0, 0x21, 0x68, 0x12, 0x34, 0x00, 0x01, 'a',
	'b', 'c' };

static void
seal(struct exact *e)
{
	put_be16(e->data + ICMP_OFF_CHECKSUM, 0);
	put_be16(e->data + ICMP_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(0, e->data, e->len)));
}

static void
an_echo_request_is_read(void **state)
{
	struct exact e = exact(echo, sizeof(echo));
	struct icmp icmp;

	(void)state;
	assert_int_equal(icmp_parse(&icmp, &e.c), DROP_NONE);
	assert_int_equal(icmp.type, ICMP_ECHO_REQUEST);
	assert_int_equal(icmp.code, 0);
	assert_int_equal(icmp.checksum, 0x2168);
	assert_int_equal(icmp.echo.id, 0x1234);
	assert_int_equal(icmp.echo.seq, 1);
	assert_int_equal(icmp.data_bytes, 3);
	assert_memory_equal(icmp.data, "abc", 3);
	assert_int_equal(cur_left(&e.c), 0);
	exact_free(&e);
}

static void
messages_cut_off_anywhere_are_refused(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(echo); len++) {
		struct exact e = exact(echo, len);
		struct icmp icmp = { .type = 77 };

		assert_int_equal(icmp_parse(&icmp, &e.c),
		    len < ICMP_HEADER_BYTES ? DROP_SHORT : DROP_L4_CHECKSUM);
		assert_int_equal(icmp.type, 77);
		exact_free(&e);
	}
}

static void
every_wrong_checksum_is_refused(void **state)
{
	struct exact e = exact(echo, sizeof(echo));

	(void)state;
	for (uint32_t check = 0; check < 0x10000; check++) {
		struct cursor c = cursor(e.data, e.len);
		struct icmp icmp;

		put_be16(e.data + ICMP_OFF_CHECKSUM, (uint16_t)check);
		assert_int_equal(icmp_parse(&icmp, &c),
		    check == 0x2168 ? DROP_NONE : DROP_L4_CHECKSUM);
	}
	exact_free(&e);
}

/* An id that makes all else sum up to 0xffff: the checksum is 0, or 0xffff. */
static void
both_forms_of_a_zero_checksum_are_right(void **state)
{
	static const uint16_t checks[] = { 0x0000, 0xffff };

	(void)state;
	for (size_t i = 0; i < NITEMS(checks); i++) {
		struct exact e = exact(echo, sizeof(echo));
		struct icmp icmp;

		put_be16(e.data + ICMP_OFF_CHECKSUM, 0);
		put_be16(e.data + ICMP_OFF_ID, 0);
		put_be16(e.data + ICMP_OFF_ID,
		    csum_finish(csum_add_bytes(0, e.data, e.len)));
		put_be16(e.data + ICMP_OFF_CHECKSUM, checks[i]);
		assert_int_equal(icmp_parse(&icmp, &e.c), DROP_NONE);
		exact_free(&e);
	}
}

/* What bytes 4 to 7 mean depends on type and code; each form is read, written
 * and read again. */
static void
each_form_of_message_reads_back(void **state)
{
	static const struct {
		struct icmp icmp;
		uint8_t bytes[4]; /* 4 to 7 */
	} cases[] = {
		{ { .type = ICMP_ECHO_REQUEST, .echo = { 0x0102, 0x0304 } },
		    { 1, 2, 3, 4 } },
		{ { .type = ICMP_ECHO_REPLY, .echo = { 0xfffe, 0 } },
		    { 0xff, 0xfe, 0, 0 } },
		{ { .type = ICMP_UNREACHABLE,
		      .code = ICMP_UNREACH_NEEDFRAG,
		      .frag = { 0, 1400 } },
		    { 0, 0, 0x05, 0x78 } },
		{ { .type = ICMP_UNREACHABLE,
		      .code = ICMP_UNREACH_PORT,
		      .word = 0x01020304 },
		    { 1, 2, 3, 4 } },
		{ { .type = ICMP_REDIRECT, .code = 1, .word = 0x0a0000fe },
		    { 10, 0, 0, 254 } },
		{ { .type = ICMP_TIME_EXCEEDED }, { 0 } },
		{ { .type = ICMP_PARAMETER, .word = 0x14000000 },
		    { 0x14, 0, 0, 0 } },
		{ { .type = 200, .code = 100, .word = 0xdeadbeef },
		    { 0xde, 0xad, 0xbe, 0xef } },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct icmp in = cases[i].icmp, icmp;
		uint8_t out[64];
		struct writer w = writer(out, sizeof(out));
		struct exact e;

		in.data = (const uint8_t *)"quoted";
		in.data_bytes = i % 2 == 0 ? 6 : 5;
		icmp_write(&w, &in);
		assert_false(w.overrun);
		assert_memory_equal(out + 4, cases[i].bytes, 4);
		e = exact(out, (size_t)(w.at - out));
		assert_int_equal(e.len, ICMP_HEADER_BYTES + in.data_bytes);
		assert_int_equal(icmp_parse(&icmp, &e.c), DROP_NONE);
		assert_int_equal(icmp.type, in.type);
		assert_int_equal(icmp.code, in.code);
		assert_memory_equal(&icmp.word, &in.word, 4);
		assert_int_equal(icmp.data_bytes, in.data_bytes);
		assert_memory_equal(icmp.data, "quoted", in.data_bytes);
		exact_free(&e);
	}
}

static void
a_message_without_data_is_a_header(void **state)
{
	struct icmp icmp = { .type = ICMP_ECHO_REPLY };
	uint8_t out[ICMP_HEADER_BYTES];
	struct writer w = writer(out, sizeof(out));
	struct exact e;

	(void)state;
	icmp_write(&w, &icmp);
	assert_false(w.overrun);
	e = exact(out, sizeof(out));
	assert_int_equal(icmp_parse(&icmp, &e.c), DROP_NONE);
	assert_int_equal(icmp.data_bytes, 0);
	exact_free(&e);
}

static void
what_does_not_fit_is_not_begun(void **state)
{
	struct icmp icmp = { .type = ICMP_ECHO_REPLY,
		.data = (const uint8_t *)"abc",
		.data_bytes = 3 };

	(void)state;
	for (size_t room = 0; room <= 11; room++) {
		struct exact e = exact(echo, room);
		struct writer w = writer(e.data, room);

		icmp_write(&w, &icmp);
		assert_int_equal(w.overrun, room < 11);
		if (room < 11)
			assert_memory_equal(e.data, echo, room);
		exact_free(&e);
	}
}

static void
the_largest_message_is_read(void **state)
{
	uint8_t *big = calloc(1, 65515);
	struct exact e;
	struct icmp icmp;

	(void)state;
	assert_non_null(big);
	memset(big + 8, 0xff, 65507);
	e = exact(big, 65515);
	seal(&e);
	assert_int_equal(icmp_parse(&icmp, &e.c), DROP_NONE);
	assert_int_equal(icmp.data_bytes, 65507);
	exact_free(&e);
	free(big);
}

/* RFC 1122 3.2.2 lists the error messages. */
static void
errors_are_told_from_queries(void **state)
{
	(void)state;
	for (int type = 0; type < 256; type++)
		assert_int_equal(icmp_is_error((uint8_t)type),
		    type == 3 || type == 4 || type == 5 || type == 11 ||
			type == 12);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_echo_request_is_read),
		cmocka_unit_test(messages_cut_off_anywhere_are_refused),
		cmocka_unit_test(every_wrong_checksum_is_refused),
		cmocka_unit_test(both_forms_of_a_zero_checksum_are_right),
		cmocka_unit_test(each_form_of_message_reads_back),
		cmocka_unit_test(a_message_without_data_is_a_header),
		cmocka_unit_test(what_does_not_fit_is_not_begun),
		cmocka_unit_test(the_largest_message_is_read),
		cmocka_unit_test(errors_are_told_from_queries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
