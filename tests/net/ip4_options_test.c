/*
 * Options that routers write into: what becomes of each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/ip4_options.h"

#define ADDR UINT32_C(0x01020304)
#define TIME UINT32_C(0x80000009)

#define N(a) (sizeof(a) / sizeof((a)[0]))

struct row {
	size_t bytes;
	const char *in, *out;
	bool asked;
};

static void
check(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		/* Its own memory, so that writes beyond it are found. */
		uint8_t *options = malloc(rows[i].bytes);

		memcpy(options, rows[i].in, rows[i].bytes);
		ip4_options_sign(
		    options, rows[i].bytes, ADDR, rows[i].asked, TIME);
		assert_memory_equal(options, rows[i].out, rows[i].bytes);
		free(options);
	}
}

static void
rfc1812_s5_3_13_5_the_route_is_recorded(void **state)
{
	static const struct row rows[] = {
		{ 7, "\7\7\4....", "\7\7\10\1\2\3\4", false },
		{ 8, "\1\7\7\4....", "\1\7\7\10\1\2\3\4", false },
		{ 11, "\7\13\10aaaa....", "\7\13\14aaaa\1\2\3\4", false },
		/* Full, with less room than for one, before its first. */
		{ 7, "\7\7\10aaaa", "\7\7\10aaaa", false },
		{ 7, "\7\7\5....", "\7\7\5....", false },
		{ 7, "\7\7\3....", "\7\7\3....", false },
		{ 7, "\7\7\0....", "\7\7\0....", false },
		{ 7, "\7\7\377....", "\7\7\377....", false },
		/* Not whole, and behind the end. */
		{ 6, "\7\7\4...", "\7\7\4...", false },
		{ 2, "\7\2", "\7\2", false },
		{ 2, "\7\0", "\7\0", false },
		{ 1, "\7", "\7", false },
		{ 8, "\0\7\7\4....", "\0\7\7\4....", false },
		/* Behind another, which stays. */
		{ 11, "\203\4xx\7\7\4....", "\203\4xx\7\7\10\1\2\3\4", false },
	};

	(void)state;
	check(rows, N(rows));
}

static void
rfc1812_s5_3_13_6_the_time_is_stamped(void **state)
{
	static const struct row rows[] = {
		{ 8, "\104\10\5\0....", "\104\10\11\0\200\0\0\11", false },
		{ 12, "\104\14\5\1........", "\104\14\15\1\1\2\3\4\200\0\0\11",
		    false },
		/* Only who is asked, whatever address of its that is. */
		{ 12, "\104\14\5\3aaaa....", "\104\14\15\3aaaa\200\0\0\11",
		    true },
		{ 12, "\104\14\5\3aaaa....", "\104\14\5\3aaaa....", false },
		/* Full: how many could not is counted, up to 15. */
		{ 8, "\104\10\11\0aaaa", "\104\10\11\20aaaa", false },
		{ 8, "\104\10\11\360aaaa", "\104\10\11\360aaaa", false },
		{ 8, "\104\10\5\1aaaa", "\104\10\5\21aaaa", false },
		/* No such flag, pointer or length. */
		{ 8, "\104\10\5\2....", "\104\10\5\2....", true },
		{ 8, "\104\10\4\0....", "\104\10\4\0....", false },
		{ 3, "\104\3\5", "\104\3\5", false },
	};

	(void)state;
	check(rows, N(rows));
	assert_int_equal(
	    ip4_options_asked((const uint8_t *)rows[2].in, 12), 0x61616161);
	assert_int_equal(ip4_options_asked((const uint8_t *)rows[1].in, 12), 0);
	assert_int_equal(
	    ip4_options_asked((const uint8_t *)"\104\10\5\3aaaa", 8), 0);
}

static void
rfc1812_s4_3_3_6_an_echo_brings_back_what_is_signed(void **state)
{
	static const struct {
		size_t bytes, left;
		const char *in, *out;
	} rows[] = {
		{ 8, 8, "\7\7\4....\0", "\7\7\4....\0" },
		{ 12, 12, "\203\4xx\7\7\4....\0", "\1\1\1\1\7\7\4....\0" },
		{ 12, 8, "\7\7\4....\224\4xx\0", "\7\7\4....\0" },
		{ 4, 0, "\224\4\0\0", "" },
		{ 4, 0, "\7\10\4\0", "" },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		uint8_t *options = malloc(rows[i].bytes);

		memcpy(options, rows[i].in, rows[i].bytes);
		assert_int_equal(
		    ip4_options_keep_signed(options, rows[i].bytes),
		    rows[i].left);
		assert_memory_equal(options, rows[i].out, rows[i].left);
		free(options);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc1812_s5_3_13_5_the_route_is_recorded),
		cmocka_unit_test(rfc1812_s5_3_13_6_the_time_is_stamped),
		cmocka_unit_test(
		    rfc1812_s4_3_3_6_an_echo_brings_back_what_is_signed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
