/*
 * Numbers of a stream in which texts were replaced, and the texts themselves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "router/tcp_edits.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void
add(struct tcp_edits *e, uint32_t at, uint8_t old, const char *text)
{
	struct tcp_edit edit = {
		.at = at, .old_bytes = old, .new_bytes = (uint8_t)strlen(text)
	};

	memcpy(edit.text, text, edit.new_bytes);
	assert_true(tcp_edits_add(e, &edit));
}

/* Three bytes at 100 become five, and six at 200 become two. */
static struct tcp_edits
two(uint32_t base)
{
	struct tcp_edits e = { .n = 0 };

	add(&e, base + 100, 3, "ABCDE");
	add(&e, base + 200, 6, "XY");
	return e;
}

static void
numbers_move_by_what_was_replaced_before_them(void **state)
{
	static const struct {
		uint32_t seq, out, back;
	} rows[] = {
		{ 0, 0, 0 },
		{ 100, 100, 100 },
		{ 101, 100, 100 }, /* within the old text */
		{ 102, 100, 100 },
		{ 103, 105, 103 },
		{ 150, 152, 150 },
		{ 200, 202, 200 },
		{ 203, 202, 200 },
		{ 206, 204, 206 },
		{ 1000, 998, 1000 },
	};
	static const uint32_t bases[] = { 0, 7, 0xffffff80, 0xffffffff,
		0x7fffff90 };

	(void)state;
	for (size_t b = 0; b < N(bases); b++) {
		struct tcp_edits e = two(bases[b]);

		for (size_t i = 0; i < N(rows); i++) {
			uint32_t out =
			    tcp_edits_out(&e, bases[b] + rows[i].seq);

			assert_int_equal(out, bases[b] + rows[i].out);
			assert_int_equal(
			    tcp_edits_back(&e, out), bases[b] + rows[i].back);
		}
		/* Half of a replacement has come: all of it is sent again. */
		assert_int_equal(tcp_edits_back(&e, bases[b] + 103),
		    (uint32_t)(bases[b] + 100));
		assert_int_equal(tcp_edits_back(&e, bases[b] + 203),
		    (uint32_t)(bases[b] + 200));
	}
}

static void
a_segment_gets_the_same_text_whatever_its_bounds(void **state)
{
	static const struct {
		uint32_t from;
		const char *in, *out;
	} rows[] = {
		{ 98, "..old..", "..ABCDE.." },
		{ 100, "old", "ABCDE" },
		{ 99, ".old", ".ABCDE" },
		{ 100, "old.", "ABCDE." },
		{ 90, "..........", ".........." },
		{ 103, "..", ".." },
		{ 101, "ld..", "ABCDE.." },
		{ 98, "..ol", "..ABCDE" },
		{ 101, "l", "ABCDE" },
		{ 101, "", "" },
		{ 199, ".secret.", ".XY." },
		{ 203, "ret", "XY" },
	};
	struct tcp_edits e = two(0);
	uint8_t out[256];
	char both[128];
	long n;

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		n = tcp_edits_apply(&e, rows[i].from,
		    (const uint8_t *)rows[i].in, strlen(rows[i].in), out,
		    sizeof(out));
		assert_int_equal(n, (long)strlen(rows[i].out));
		assert_memory_equal(out, rows[i].out, n);
	}
	memset(both, '.', sizeof(both));
	memcpy(both + 2, "old", 3);
	memcpy(both + 102, "secret", 6);
	n = tcp_edits_apply(
	    &e, 98, (uint8_t *)both, sizeof(both), out, sizeof(out));
	assert_int_equal(n, sizeof(both) - 2);
	assert_memory_equal(out + 2, "ABCDE.", 6);
	assert_memory_equal(out + 104, "XY.", 3);
	assert_int_equal(
	    tcp_edits_apply(&e, 98, (uint8_t *)both, sizeof(both), out, 125),
	    -1);
}

static void
what_is_forgotten_still_moves(void **state)
{
	struct tcp_edits e = { .n = 0 };

	(void)state;
	for (uint32_t i = 0; i < 20; i++) {
		add(&e, 1000 * i, 1, "ab");
		tcp_edits_settle(&e, 1000 * i + 1);
	}
	assert_int_equal(e.n, TCP_EDITS);
	assert_int_equal(tcp_edits_out(&e, 30000), 30020);
	assert_int_equal(tcp_edits_back(&e, 30020), 30000);
	assert_int_equal(tcp_edits_out(&e, 18500), 18519);
}

static void
what_the_receiver_lacks_is_not_forgotten(void **state)
{
	struct tcp_edits e = { .n = 0 };
	const struct tcp_edit one_more = {
		.at = 9000, .old_bytes = 1, .new_bytes = 1
	};

	(void)state;
	for (uint32_t i = 0; i < TCP_EDITS; i++)
		add(&e, 100 * i, 2, "abc");
	assert_false(tcp_edits_have_room(&e));
	assert_false(tcp_edits_add(&e, &one_more));
	tcp_edits_settle(&e, 1);
	assert_false(tcp_edits_add(&e, &one_more));
	tcp_edits_settle(&e, 2);
	tcp_edits_settle(&e, 1); /* an old one takes nothing back */
	assert_true(tcp_edits_have_room(&e));
	assert_true(tcp_edits_add(&e, &one_more));
	assert_int_equal(e.n, TCP_EDITS);
	assert_int_equal(e.moved, 1);
}

static void
numbers_may_wrap_around_more_than_once(void **state)
{
	struct tcp_edits e = two(0);

	(void)state;
	for (uint64_t at = 0; at < UINT64_C(3) << 32; at += 1 << 20) {
		uint32_t seq = (uint32_t)at;

		if (at < 1 << 20)
			continue;
		assert_int_equal(tcp_edits_out(&e, seq), (uint32_t)(at - 2));
		assert_int_equal(tcp_edits_back(&e, (uint32_t)(at - 2)), seq);
		tcp_edits_settle(&e, seq);
	}
	assert_int_equal(e.n, 0);
}

static void
what_comes_before_the_last_is_no_edit(void **state)
{
	struct tcp_edits e = two(0);
	const struct tcp_edit before = {
		.at = 205, .old_bytes = 1, .new_bytes = 1
	};
	const struct tcp_edit empty = { .at = 300, .new_bytes = 1 };

	(void)state;
	assert_false(tcp_edits_add(&e, &before));
	assert_false(tcp_edits_add(&e, &empty));
	assert_int_equal(e.n, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_move_by_what_was_replaced_before_them),
		cmocka_unit_test(
		    a_segment_gets_the_same_text_whatever_its_bounds),
		cmocka_unit_test(what_is_forgotten_still_moves),
		cmocka_unit_test(what_the_receiver_lacks_is_not_forgotten),
		cmocka_unit_test(numbers_may_wrap_around_more_than_once),
		cmocka_unit_test(what_comes_before_the_last_is_no_edit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
