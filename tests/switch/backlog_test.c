#include "switch/backlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A frame of two pieces. */
static struct frame
frame_of(uint8_t *bytes, struct iovec *tail, size_t len, uint8_t fill)
{
	size_t head = len > 300 ? 256 : len;

	memset(bytes, fill, len);
	*tail = (struct iovec){ bytes + head, len - head };
	return (struct frame){ .data = bytes,
		.len = (uint32_t)len,
		.head = (uint32_t)head,
		.tail = tail,
		.ntail = len > head };
}

static bool
add(struct backlog *b, size_t len, uint8_t fill, size_t sent)
{
	static uint8_t bytes[4096];
	struct iovec tail;
	struct frame frame = frame_of(bytes, &tail, len, fill);

	return backlog_add(b, "head", 4, &frame, sent);
}

static void
records_come_out_as_they_went_in(void **state)
{
	struct backlog b;
	struct iovec piece[8];

	(void)state;
	assert_int_equal(backlog_init(&b, 8192), 0);
	assert_true(add(&b, 60, 1, 0));
	assert_true(add(&b, 1001, 2, 0));
	assert_true(add(&b, 0, 3, 0));
	assert_int_equal(backlog_peek(&b, piece, 8), 3);
	assert_int_equal(piece[0].iov_len, 64);
	assert_memory_equal(piece[0].iov_base, "head\1\1", 6);
	assert_int_equal(piece[1].iov_len, 1005);
	assert_int_equal(((uint8_t *)piece[1].iov_base)[1004], 2);
	assert_int_equal(piece[2].iov_len, 4);
	assert_int_equal(backlog_peek(&b, piece, 2), 2);
	backlog_pop(&b, 2);
	assert_int_equal(backlog_peek(&b, piece, 8), 1);
	backlog_free(&b);
}

static void
bytes_that_left_are_not_sent_again(void **state)
{
	struct backlog b;
	struct iovec piece[4];

	(void)state;
	assert_int_equal(backlog_init(&b, 4096), 0);
	assert_true(add(&b, 60, 1, 3)); /* three bytes left with the write */
	assert_true(add(&b, 60, 2, 0));
	assert_int_equal(backlog_peek(&b, piece, 4), 2);
	assert_int_equal(piece[0].iov_len, 61);
	assert_memory_equal(piece[0].iov_base, "d\1\1", 3);
	backlog_sent(&b, 61 + 10);
	assert_int_equal(backlog_peek(&b, piece, 4), 1);
	assert_int_equal(piece[0].iov_len, 54);
	backlog_sent(&b, 54);
	assert_int_equal(b.n, 0);
	backlog_free(&b);
}

static void
what_does_not_fit_is_refused(void **state)
{
	struct backlog b;

	(void)state;
	assert_int_equal(backlog_init(&b, 400), 0);
	assert_false(add(&b, 1000, 1, 0));
	assert_true(add(&b, 180, 1, 0));
	assert_true(add(&b, 180, 2, 0));
	assert_false(add(&b, 60, 3, 0));
	backlog_pop(&b, 1);
	assert_true(add(&b, 100, 4, 0)); /* round the end */
	assert_false(add(&b, 100, 5, 0));
	backlog_free(&b);
}

/* Against a model that is a list of numbers and lengths. */
static void
a_million_records_go_round(void **state)
{
	static size_t len[4096];
	unsigned int first = 0, next = 0, refused = 0;
	struct backlog b;
	uint32_t seed = 7;

	(void)state;
	assert_int_equal(backlog_init(&b, 20000), 0);
	for (unsigned int i = 0; i < 1000000; i++) {
		struct iovec piece[16];
		unsigned int n;

		seed = seed * 1664525 + 1013904223;
		if ((seed >> 16) % 16 < 13) {
			size_t l = (seed >> 8) % 2000;

			if (add(&b, l, (uint8_t)next, 0))
				len[next++ % 4096] = l;
			else
				refused++;
			continue;
		}
		n = backlog_peek(&b, piece, (seed >> 8) % 8);
		for (unsigned int k = 0; k < n; k++) {
			size_t l = len[(first + k) % 4096];

			assert_int_equal(piece[k].iov_len, l + 4);
			if (l > 0)
				assert_int_equal(
				    ((uint8_t *)piece[k].iov_base)[l + 3],
				    (uint8_t)(first + k));
		}
		backlog_pop(&b, n);
		first += n;
		assert_int_equal(b.n, next - first);
	}
	assert_true(refused > 1000 && next > 100000);
	backlog_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_out_as_they_went_in),
		cmocka_unit_test(bytes_that_left_are_not_sent_again),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(a_million_records_go_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
