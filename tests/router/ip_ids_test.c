/*
 * The identification field of what a router sends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "router/ip_ids.h"

#define US     UINT32_C(0xcb007101)
#define SERVER UINT32_C(0xcb00710a)

static uint16_t
take(struct ip_ids *ids, uint32_t dst, uint16_t n)
{
	return ip_ids_take(ids, US, dst, IP_UDP, n);
}

static void
rfc6864_4_3_no_number_comes_twice_among_65536(void **state)
{
	static bool seen[65536];
	struct ip_ids ids;

	(void)state;
	ip_ids_init(&ids, 1);
	for (int i = 0; i < 65536; i++) {
		uint16_t id = take(&ids, SERVER, 1);

		assert_false(seen[id]);
		seen[id] = true;
	}
}

static void
what_others_get_uses_up_nothing(void **state)
{
	struct ip_ids ids;
	uint16_t before, after;
	unsigned int same = 0;

	(void)state;
	ip_ids_init(&ids, 1);
	for (uint32_t i = 0; i < 4096; i++) {
		before = take(&ids, SERVER, 1);
		ip_ids_take(&ids, US, SERVER + 1 + i, IP_UDP, 9);
		ip_ids_take(&ids, US + 1 + i, SERVER, IP_UDP, 9);
		after = take(&ids, SERVER, 1);
		same += (uint16_t)(after - before) == 1;
	}
	/* Those few that share the counter do. */
	assert_true(same > 4096 - 40);
	assert_true(same < 4096);
}

static void
another_protocol_is_counted_apart(void **state)
{
	struct ip_ids ids;
	uint16_t before;

	(void)state;
	ip_ids_init(&ids, 1);
	before = take(&ids, SERVER, 1);
	ip_ids_take(&ids, US, SERVER, IP_TCP, 1);
	assert_int_equal((uint16_t)(take(&ids, SERVER, 1) - before), 1);
}

static void
segments_get_numbers_in_a_row(void **state)
{
	struct ip_ids ids;
	uint16_t first;

	(void)state;
	ip_ids_init(&ids, 1);
	first = take(&ids, SERVER, 45);
	assert_int_equal((uint16_t)(take(&ids, SERVER, 1) - first), 45);
}

static void
the_start_depends_on_the_seed(void **state)
{
	struct ip_ids one, two;

	(void)state;
	ip_ids_init(&one, 1);
	ip_ids_init(&two, 2);
	assert_int_not_equal(take(&one, SERVER, 1), take(&two, SERVER, 1));
}

#define T(f) cmocka_unit_test(f)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc6864_4_3_no_number_comes_twice_among_65536),
		T(what_others_get_uses_up_nothing),
		T(another_protocol_is_counted_apart),
		T(segments_get_numbers_in_a_row),
		T(the_start_depends_on_the_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
