/*
 * The reference is a sum over 16-bit words as RFC 1071 writes it, with the
 * carry added back at each step.
 */
#include "net/checksum.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/net/exact.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

static uint16_t
reference(uint32_t sum, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		sum += (uint32_t)data[i] << (i % 2 == 0 ? 8 : 0);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

static uint32_t random_state = 1;

static uint8_t
random_byte(void)
{
	random_state = random_state * 1103515245 + 12345;
	return (uint8_t)(random_state >> 16);
}

/* The example of RFC 1071, section 3. */
static void
the_rfcs_example_sums_up(void **state)
{
	static const uint8_t data[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5,
		0xf6, 0xf7 };

	(void)state;
	assert_int_equal(csum_fold(csum_add_bytes(0, data, 8)), 0xddf2);
	assert_int_equal(csum_finish(csum_add_bytes(0, data, 8)), 0x220d);
}

static void
every_length_and_place_sums_up(void **state)
{
	enum { MAX = 600 };
	uint8_t data[MAX];

	(void)state;
	for (size_t i = 0; i < MAX; i++)
		data[i] = random_byte();
	for (size_t len = 0; len <= MAX; len++)
		for (size_t from = 0; from < 8 && from + len <= MAX; from++) {
			struct exact e = exact(data + from, len);

			assert_int_equal(
			    csum_fold(csum_add_bytes(0, e.c.at, len)),
			    reference(0, data + from, len));
			assert_int_equal(
			    csum_fold(csum_add_bytes(0, data + from, len)),
			    reference(0, data + from, len));
			exact_free(&e);
		}
}

/* The largest sums: all ones, at the lengths around the largest packet. */
static void
all_ones_do_not_lose_a_carry(void **state)
{
	static const size_t lens[] = { 1, 2, 127, 128, 129, 65534, 65535,
		65536 };
	uint8_t *data = malloc(65536);

	(void)state;
	assert_non_null(data);
	memset(data, 0xff, 65536);
	for (size_t i = 0; i < NITEMS(lens); i++) {
		assert_int_equal(csum_fold(csum_add_bytes(0, data, lens[i])),
		    reference(0, data, lens[i]));
		assert_int_equal(
		    csum_fold(csum_add_bytes(0xffffffff, data, lens[i])),
		    0xffff & (lens[i] % 2 == 0 ? 0xffff : 0xff00));
	}
	free(data);
}

/* A sum is 0 of nothing but zeros: 0xffff, its other form, of all else. */
static void
the_two_forms_of_zero_are_told_apart(void **state)
{
	static const uint8_t zeros[256];
	uint8_t bytes[256] = { 0x12, 0x34, 0xed, 0xcb };

	(void)state;
	assert_int_equal(csum_fold(csum_add_bytes(0, zeros, 256)), 0);
	assert_int_equal(csum_fold(csum_add_bytes(0, bytes, 4)), 0xffff);
	assert_int_equal(csum_fold(csum_add_bytes(0, bytes, 256)), 0xffff);
	assert_int_equal(csum_finish(0), 0xffff);
	assert_int_equal(csum_finish(0xffff), 0);
	assert_int_equal(csum_finish(0xffffffff), 0);
	assert_int_equal(csum_fold(0xfffffffe), 0xfffe);
}

static void
the_sum_so_far_counts(void **state)
{
	static const uint32_t sums[] = { 0, 1, 0xffff, 0x10000, 0x1ffff,
		0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };
	uint8_t data[150];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = random_byte();
	for (size_t i = 0; i < NITEMS(sums); i++)
		for (size_t len = 0; len <= sizeof(data); len++) {
			uint16_t want = reference(
			    (sums[i] & 0xffff) + (sums[i] >> 16), data, len);

			if (len == 0)
				want = csum_fold(sums[i]);
			assert_int_equal(
			    csum_fold(csum_add_bytes(sums[i], data, len)),
			    want);
		}
}

static void
pieces_of_even_length_add_up(void **state)
{
	uint8_t data[301];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = random_byte();
	for (size_t cut = 0; cut < sizeof(data); cut += 2) {
		uint32_t head = csum_add_bytes(0, data, cut);
		uint32_t tail =
		    csum_add_bytes(0, data + cut, sizeof(data) - cut);

		assert_int_equal(csum_fold(csum_add(head, tail)),
		    reference(0, data, sizeof(data)));
	}
	assert_int_equal(csum_add(0xffffffff, 1), 1);
	assert_int_equal(csum_add(0xffffffff, 0xffffffff), 0xffffffff);
}

static void
the_pseudo_header_sums_up(void **state)
{
	static const uint8_t pseudo[] = { 10, 0, 0, 1, 203, 0, 113, 255, 0, 17,
		0xff, 0xfe };

	(void)state;
	assert_int_equal(
	    csum_fold(csum_pseudo4(0x0a000001, 0xcb0071ff, 17, 0xfffe)),
	    reference(0, pseudo, sizeof(pseudo)));
}

/* A header whose words sum up to other: with what a checksum field has to
 * hold it sums up to 0xffff. */
static uint16_t
recompute(uint16_t other, uint16_t word)
{
	return csum_finish((uint32_t)other + word);
}

/* A TTL that goes down by one, over every rest of a header and so over every
 * checksum. */
static void
updating_the_ttl_is_recomputing(void **state)
{
	(void)state;
	for (uint32_t other = 1; other < 0x10000; other++) {
		uint16_t from =
		    (uint16_t)(0x4000 | (other & 0xff)); /* ttl 64 */
		uint16_t to = (uint16_t)(from - 0x0100);
		uint16_t check = recompute((uint16_t)other, from);

		assert_int_equal(csum_update16(check, from, to),
		    recompute((uint16_t)other, to));
	}
}

/* The example of RFC 1624, section 4: equation 2 gives 0xffff, which is not
 * what a recomputation gives. */
static void
the_corner_case_of_rfc_1624_holds(void **state)
{
	(void)state;
	assert_int_equal(csum_update16(0xdd2f, 0x5555, 0x3285), 0x0000);
}

static void
updating_any_word_is_recomputing(void **state)
{
	static const uint16_t edges[] = { 0x0000, 0x0001, 0x00ff, 0x7fff,
		0x8000, 0xfffe, 0xffff };

	(void)state;
	for (size_t i = 0; i < NITEMS(edges); i++)
		for (uint32_t word = 0; word < 0x10000; word++) {
			/* Some rest that is not zero: headers have one. */
			uint16_t other = (uint16_t)(0x4500 + word * 7);
			uint16_t from = edges[i], to = (uint16_t)word;

			if (other == 0)
				other = 1;
			assert_int_equal(
			    csum_update16(recompute(other, from), from, to),
			    recompute(other, to));
			assert_int_equal(
			    csum_update16(recompute(other, to), to, from),
			    recompute(other, from));
		}
}

static void
updating_addresses_is_recomputing(void **state)
{
	(void)state;
	for (uint32_t low = 0; low < 0x10000; low++) {
		uint8_t header[20] = { 0x45, 0, 0, 84, 0x12, 0x34, 0x40, 0, 64,
			1, 0, 0, 10, 0, 0, 0, 203, 0, 113, 10 };
		uint32_t from = 0x0a000000 | low;
		uint32_t to = 0xcb007101 ^ low << 16;
		uint16_t check;

		put_be32(header + 12, from);
		check = csum_finish(csum_add_bytes(0, header, 20));
		put_be32(header + 12, to);
		assert_int_equal(csum_update32(check, from, to),
		    csum_finish(csum_add_bytes(0, header, 20)));
	}
}

static void
an_update_that_changes_nothing_keeps_the_checksum(void **state)
{
	(void)state;
	for (uint32_t other = 1; other < 0x10000; other++) {
		uint16_t check = recompute((uint16_t)other, 0x1234);

		assert_int_equal(csum_update16(check, 0x1234, 0x1234), check);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rfcs_example_sums_up),
		cmocka_unit_test(every_length_and_place_sums_up),
		cmocka_unit_test(all_ones_do_not_lose_a_carry),
		cmocka_unit_test(the_two_forms_of_zero_are_told_apart),
		cmocka_unit_test(the_sum_so_far_counts),
		cmocka_unit_test(pieces_of_even_length_add_up),
		cmocka_unit_test(the_pseudo_header_sums_up),
		cmocka_unit_test(updating_the_ttl_is_recomputing),
		cmocka_unit_test(the_corner_case_of_rfc_1624_holds),
		cmocka_unit_test(updating_any_word_is_recomputing),
		cmocka_unit_test(updating_addresses_is_recomputing),
		cmocka_unit_test(
		    an_update_that_changes_nothing_keeps_the_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
