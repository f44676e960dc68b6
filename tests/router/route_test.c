#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "router/route.h"

#include <errno.h>

#define IFACE(n) ((struct iface *)(uintptr_t)(0x1000 + (n)))

static int
setup(void **state)
{
	static struct route_table table;

	route_init(&table);
	*state = &table;
	return 0;
}

static int
teardown(void **state)
{
	route_clear(*state);
	return 0;
}

static int
add(struct route_table *table, const char *net, unsigned int out)
{
	struct route route = { .via = out, .out = IFACE(out) };

	assert_true(ip4_net_read(&route.to, net));
	return route_add(table, &route, NULL);
}

/* 0: no route. */
static unsigned int
find(const struct route_table *table, const char *text)
{
	const struct route *route;
	uint32_t addr;

	assert_true(ip4_read(&addr, text));
	route = route_find(table, addr);
	return route != NULL ? route->via : 0;
}

static void
an_empty_table_finds_nothing(void **state)
{
	assert_int_equal(find(*state, "10.0.0.1"), 0);
}

static void
the_longest_prefix_wins_in_whatever_order_they_came(void **state)
{
	static const char *const nets[] = { "0.0.0.0/0", "10.0.0.0/8",
		"10.1.0.0/16", "10.1.1.0/24", "10.1.1.1/32", "10.1.1.2/31" };
	static const struct {
		const char *addr;
		unsigned int out;
	} rows[] = {
		{ "11.0.0.1", 1 },
		{ "10.2.0.1", 2 },
		{ "10.1.2.1", 3 },
		{ "10.1.1.9", 4 },
		{ "10.1.1.1", 5 },
		{ "10.1.1.2", 6 },
		{ "10.1.1.3", 6 },
		{ "255.255.255.255", 1 },
		{ "0.0.0.0", 1 },
	};

	for (unsigned int turn = 0; turn < 6; turn++) {
		route_clear(*state);
		for (unsigned int i = 0; i < 6; i++) {
			unsigned int k = (i * 5 + turn) % 6;

			assert_int_equal(add(*state, nets[k], k + 1), 0);
		}
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			assert_int_equal(
			    find(*state, rows[i].addr), rows[i].out);
	}
}

static void
host_bits_of_a_route_are_ignored(void **state)
{
	assert_int_equal(add(*state, "10.0.0.77/24", 1), 0);
	assert_int_equal(find(*state, "10.0.0.1"), 1);
	assert_int_equal(add(*state, "10.0.0.78/24", 2), -EEXIST);
}

static void
a_second_route_to_one_net_is_refused_with_a_sentence(void **state)
{
	struct err err = { "" };
	struct route route = { .to = { 0x0a000000, 8 }, .out = IFACE(1) };

	assert_int_equal(route_add(*state, &route, &err), 0);
	assert_int_equal(route_add(*state, &route, &err), -EEXIST);
	assert_string_equal(err.text,
	    "there is a route to 10.0.0.0/8 already; remove one of the two");
}

/* By a table of all there is, and a search that looks at each. */
static void
many_routes_are_found_as_a_plain_search_finds_them(void **state)
{
	struct route_table *table = *state;
	uint64_t x = 12345;

	for (unsigned int i = 0; i < ROUTES_MAX; i++) {
		struct route route = { .via = i + 1, .out = IFACE(i) };

		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		route.to.prefix = (uint8_t)(8 + (x >> 59) % 25);
		route.to.addr = (uint32_t)(x >> 20) & 0x0fffffff;
		route_add(table, &route, NULL);
	}
	for (int i = 0; i < 20000; i++) {
		const struct route *best = NULL, *found;
		uint32_t addr;

		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		addr = (uint32_t)(x >> 20) & 0x0fffffff;
		for (unsigned int k = 0; k < table->n && i < 500; k++) {
			const struct route *r = &table->routes[k];

			if (ip4_net_has(r->to, addr) &&
			    (best == NULL || r->to.prefix > best->to.prefix))
				best = r;
		}
		found = route_find(table, addr);
		if (i < 500)
			assert_ptr_equal(found, best);
	}
}

static void
a_full_table_refuses_more(void **state)
{
	struct err err = { "" };
	struct route route = { .out = IFACE(1), .to = { 0, 32 } };

	for (uint32_t i = 0; i < ROUTES_MAX; i++) {
		route.to.addr = 0x0a000000 + i;
		assert_int_equal(route_add(*state, &route, &err), 0);
	}
	route.to.addr++;
	assert_int_equal(route_add(*state, &route, &err), -ENOSPC);
	assert_int_not_equal(err.text[0], '\0');
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_empty_table_finds_nothing),
		T(the_longest_prefix_wins_in_whatever_order_they_came),
		T(host_bits_of_a_route_are_ignored),
		T(a_second_route_to_one_net_is_refused_with_a_sentence),
		T(many_routes_are_found_as_a_plain_search_finds_them),
		T(a_full_table_refuses_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
