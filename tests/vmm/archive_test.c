/*
 * Archives: what was saved is loaded, and nothing else is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/archive.h"

struct thing {
	uint8_t a;
	uint16_t b;
	uint32_t c;
	uint64_t d;
	bool e;
	unsigned int f;
	char g[5];
};

static void
thing_archive(struct thing *t, struct archive *a)
{
	archive_begin(a, "thing");
	archive_u8(a, &t->a);
	archive_u16(a, &t->b);
	archive_u32(a, &t->c);
	archive_u64(a, &t->d);
	archive_bool(a, &t->e);
	archive_uint(a, &t->f, 100, "f");
	archive_bytes(a, t->g, sizeof(t->g));
	archive_same(a, 7, "seven");
	archive_finish(a);
}

static const struct thing one = { 0xfe, 0xfedc, 0xfedcba98,
	UINT64_C(0xfedcba9876543210), true, 100, "four" };

static struct archive
saved(void)
{
	struct thing t = one;
	struct archive a;

	archive_save(&a);
	thing_archive(&t, &a);
	assert_false(a.failed);
	return a;
}

static void
what_was_saved_is_loaded(void **state)
{
	struct archive from = saved(), a;
	struct thing t = { 0 };

	(void)state;
	archive_load(&a, from.bytes, from.at);
	thing_archive(&t, &a);
	assert_false(a.failed);
	assert_int_equal(t.a, one.a);
	assert_int_equal(t.b, one.b);
	assert_int_equal(t.c, one.c);
	assert_int_equal(t.d, one.d);
	assert_true(t.e);
	assert_int_equal(t.f, 100);
	assert_string_equal(t.g, "four");
	assert_int_equal(a.at, a.whole);
	archive_free(&from);
}

static void
each_cut_is_refused(void **state)
{
	struct archive from = saved();

	(void)state;
	for (size_t n = 0; n < from.at; n++) {
		uint8_t *bytes = malloc(n + 1); /* an exact end for ASan */
		struct thing t = { 0 };
		struct archive a;

		memcpy(bytes, from.bytes, n);
		archive_load(&a, bytes, n);
		thing_archive(&t, &a);
		assert_true(a.failed);
		assert_string_not_equal(a.err.text, "");
		free(bytes);
	}
	archive_free(&from);
}

/* One byte is another: where, and what is said. */
static void
what_differs_is_named(void **state)
{
	static const struct {
		unsigned int at;
		uint8_t value;
		const char *text;
	} rows[] = {
		{ 0, 4, "thing: is not what was saved there" },
		{ 0, 200, "this is no saved machine" },
		{ 1, 'T', "thing: is not what was saved there" },
		{ 6, 37, "thing: is cut off" },
		{ 6, 35, "thing: is cut off" },
		{ 26, 101, "thing: f of 101 is more than 100" },
		{ 35, 8, "thing: seven was 8 and is 7 here; make it the same" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct archive from = saved(), a;
		struct thing t = { 0 };

		from.bytes[rows[i].at] = rows[i].value;
		archive_load(&a, from.bytes, from.at);
		thing_archive(&t, &a);
		assert_true(a.failed);
		assert_string_equal(a.err.text, rows[i].text);
		assert_true(t.f <= 100);
		archive_free(&from);
	}
}

static void
what_nobody_reads_is_refused(void **state)
{
	struct archive from, a;
	uint32_t word = 1;

	(void)state;
	archive_save(&from);
	archive_begin(&from, "x");
	archive_u32(&from, &word);
	archive_u32(&from, &word);
	archive_finish(&from);
	archive_load(&a, from.bytes, from.at);
	archive_begin(&a, "x");
	archive_u32(&a, &word);
	archive_finish(&a);
	assert_string_equal(a.err.text, "x: has more than is known of it");
	archive_free(&from);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_saved_is_loaded),
		cmocka_unit_test(each_cut_is_refused),
		cmocka_unit_test(what_differs_is_named),
		cmocka_unit_test(what_nobody_reads_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
