#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "router/route6.h"

#define OUT(n) ((struct iface *)(uintptr_t)(n))

static struct route6
route(const char *to, unsigned int out)
{
	struct route6 r = { .out = OUT(out) };

	assert_true(ip6_net_read(&r.to, to));
	return r;
}

static const struct route6 *
find(const struct route6_table *table, const char *text)
{
	struct ip6_addr addr;

	assert_true(ip6_read(&addr, text));
	return route6_find(table, &addr);
}

static void
the_longest_prefix_wins_in_whatever_order_they_came(void **state)
{
	static const char *const nets[] = { "::/0", "2001:db8::/32",
		"2001:db8:1::/48", "2001:db8:1:1::/64", "2001:db8:1:1::1/128",
		"2001:db8:1:1::2/127", "2001:db8:2::/48", "fd00::/8" };
	static const struct {
		const char *addr;
		unsigned int out;
	} rows[] = { { "2a00::1", 1 }, { "2001:db8:ffff::1", 2 },
		{ "2001:db8:1:2::1", 3 }, { "2001:db8:1:1::9", 4 },
		{ "2001:db8:1:1::1", 5 }, { "2001:db8:1:1::2", 6 },
		{ "2001:db8:1:1::3", 6 }, { "2001:db8:1:1::4", 4 },
		{ "2001:db8:2:ffff::", 7 }, { "2001:db8:3::", 2 },
		{ "fdff::", 8 }, { "ffff::", 1 }, { "::", 1 } };
	const unsigned int n = sizeof(nets) / sizeof(nets[0]);

	(void)state;
	for (unsigned int first = 0; first < n; first++) {
		struct route6_table table = { 0 };

		for (unsigned int i = 0; i < n; i++) {
			/* 5 and 8 have no factor in common. */
			unsigned int at = (first + i * 5) % n;
			struct route6 r = route(nets[at], at + 1);

			assert_int_equal(route6_add(&table, &r, NULL), 0);
		}
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			assert_ptr_equal(
			    find(&table, rows[i].addr)->out, OUT(rows[i].out));
		route6_clear(&table);
	}
}

static void
without_a_route_there_is_none(void **state)
{
	struct route6_table table = { 0 };
	struct route6 r = route("2001:db8:1::1/64", 1);

	(void)state;
	assert_null(find(&table, "2001:db8::1"));
	assert_int_equal(route6_add(&table, &r, NULL), 0);
	assert_null(find(&table, "2001:db8::1"));
	assert_null(find(&table, "2001:db8:1:1::"));
	assert_non_null(find(&table, "2001:db8:1::ffff"));
	route6_clear(&table);
}

static void
two_routes_to_one_net_and_too_many_are_refused(void **state)
{
	struct route6_table table = { 0 };
	struct route6 r = route("2001:db8:1::1/64", 1);
	struct err err = { "" };

	(void)state;
	assert_int_equal(route6_add(&table, &r, &err), 0);
	r = route("2001:db8:1::2/64", 2);
	assert_int_equal(route6_add(&table, &r, &err), -EEXIST);
	assert_non_null(strstr(err.text, "2001:db8:1::/64"));
	for (unsigned int i = 1; i < ROUTES_MAX; i++) {
		r.to.addr.b[6] = (uint8_t)(i >> 8);
		r.to.addr.b[7] = (uint8_t)i;
		assert_int_equal(route6_add(&table, &r, &err), 0);
	}
	r.to.addr.b[0] = 0x30;
	err_clear(&err);
	assert_int_equal(route6_add(&table, &r, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "4096"));
	assert_int_equal(table.n, ROUTES_MAX);
	route6_clear(&table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    the_longest_prefix_wins_in_whatever_order_they_came),
		cmocka_unit_test(without_a_route_there_is_none),
		cmocka_unit_test(
		    two_routes_to_one_net_and_too_many_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
