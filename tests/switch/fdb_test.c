#include "switch/fdb.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define AGE_NS UINT64_C(300000000000)
#define S      UINT64_C(1000000000)

static struct mac
mac_no(uint32_t n)
{
	return (struct mac){ { 0x02, 0x00, (uint8_t)(n >> 24),
	    (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n } };
}

static struct fdb *
table(uint32_t max, unsigned int ports)
{
	struct fdb *fdb = fdb_new(max, AGE_NS, 7);

	assert_non_null(fdb);
	assert_int_equal(fdb_ports(fdb, ports), 0);
	return fdb;
}

static void
learn(struct fdb *fdb, uint32_t n, unsigned int port, uint64_t now_ns)
{
	struct mac mac = mac_no(n);

	assert_true(fdb_learn(fdb, &mac, 0, port, now_ns) >= 0);
}

static int
find(struct fdb *fdb, uint32_t n, uint64_t now_ns)
{
	struct mac mac = mac_no(n);

	return fdb_find(fdb, &mac, 0, now_ns);
}

static void
learned_address_is_found_unknown_is_flooded(void **state)
{
	struct fdb *fdb = table(100, 4);

	(void)state;
	learn(fdb, 1, 3, 0);
	assert_int_equal(find(fdb, 1, 0), 3);
	assert_int_equal(find(fdb, 2, 0), FDB_FLOOD);
	fdb_free(fdb);
}

static void
address_moves_to_the_port_it_was_last_seen_on(void **state)
{
	struct fdb *fdb = table(100, 4);
	const struct mac mac = mac_no(1);
	int learned;

	(void)state;
	learn(fdb, 1, 3, 0);
	learned = fdb_learn(fdb, &mac, 0, 0, 1);
	assert_true(learned > 0);
	assert_int_equal(FDB_MOVED_FROM(learned), 3);
	assert_int_equal(find(fdb, 1, 1), 0);
	assert_int_equal(fdb_count(fdb), 1);
	assert_int_equal(fdb_port_count(fdb, 0), 1);
	assert_int_equal(fdb_port_count(fdb, 3), 0);
	fdb_free(fdb);
}

static void
group_address_is_not_learned(void **state)
{
	struct fdb *fdb = table(100, 1);
	const struct mac group = { { 0x01, 0, 0x5e, 0, 0, 1 } };

	(void)state;
	assert_int_equal(fdb_learn(fdb, &group, 0, 0, 0), -EINVAL);
	assert_int_equal(fdb_learn(fdb, &mac_broadcast, 0, 0, 0), -EINVAL);
	assert_int_equal(fdb_count(fdb), 0);
	fdb_free(fdb);
}

static void
same_address_in_two_vlans_is_two_entries(void **state)
{
	struct fdb *fdb = table(100, 2);
	struct mac mac = mac_no(5);

	(void)state;
	fdb_learn(fdb, &mac, 1, 0, 0);
	fdb_learn(fdb, &mac, 4095, 1, 0);
	assert_int_equal(fdb_find(fdb, &mac, 1, 0), 0);
	assert_int_equal(fdb_find(fdb, &mac, 4095, 0), 1);
	assert_int_equal(fdb_find(fdb, &mac, 2, 0), FDB_FLOOD);
	fdb_free(fdb);
}

static void
address_ages_out_at_its_time_and_not_before(void **state)
{
	struct fdb *fdb = table(100, 2);

	(void)state;
	learn(fdb, 1, 1, 10 * S);
	assert_int_equal(find(fdb, 1, 10 * S + AGE_NS), 1);
	assert_int_equal(find(fdb, 1, 10 * S + AGE_NS + S / 1000), FDB_FLOOD);
	/* seen again, it lives on */
	learn(fdb, 1, 1, 10 * S + AGE_NS + S);
	assert_int_equal(find(fdb, 1, 10 * S + 2 * AGE_NS), 1);
	/* a clock that stands still or jumped does not age it */
	assert_int_equal(find(fdb, 1, 0), 1);
	fdb_free(fdb);
}

static void
place_of_an_aged_address_is_taken_back(void **state)
{
	struct fdb *fdb = table(5000, 2);
	uint64_t later = 2 * AGE_NS;

	(void)state;
	for (uint32_t i = 0; i < 5000; i++)
		learn(fdb, i, 0, 0);
	assert_int_equal(fdb_count(fdb), 5000);
	for (uint32_t i = 0; i < 5000; i++)
		learn(fdb, 100000 + i, 1, later);
	assert_int_equal(fdb_port_count(fdb, 0), 0);
	assert_int_equal(fdb_port_count(fdb, 1), 5000);
	for (uint32_t i = 0; i < 5000; i++)
		assert_int_equal(find(fdb, 100000 + i, later), 1);
	fdb_free(fdb);
}

static void
table_grows_to_its_limit_and_no_further(void **state)
{
	struct fdb *fdb = table(100000, 16);

	(void)state;
	for (uint32_t i = 0; i < 100000; i++)
		learn(fdb, i, i % 16, i);
	assert_int_equal(fdb_count(fdb), 100000);
	for (uint32_t i = 0; i < 100000; i++)
		assert_int_equal(find(fdb, i, 100000), i % 16);
	for (uint32_t i = 100000; i < 101000; i++)
		learn(fdb, i, i % 16, i);
	assert_int_equal(fdb_count(fdb), 100000);
	fdb_free(fdb);
}

static void
full_table_evicts_from_the_busiest_port(void **state)
{
	struct fdb *fdb = table(1000, 3);

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		learn(fdb, i, 0, 0);
	/* port 1 floods the table, and goes on */
	for (uint32_t i = 1000; i < 9000; i++)
		learn(fdb, i, 1, 0);
	assert_int_equal(fdb_count(fdb), 1000);
	assert_int_equal(fdb_port_count(fdb, 1), 900);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(find(fdb, i, 0), 0);
	/* a newcomer at a third port is let in all the same */
	for (uint32_t i = 100; i < 200; i++)
		learn(fdb, i, 2, 0);
	assert_int_equal(fdb_port_count(fdb, 0), 100);
	assert_int_equal(fdb_port_count(fdb, 1), 800);
	assert_int_equal(fdb_port_count(fdb, 2), 100);
	fdb_free(fdb);
}

static void
among_equals_the_newcomers_own_port_pays(void **state)
{
	struct fdb *fdb = table(100, 2);

	(void)state;
	for (uint32_t i = 0; i < 50; i++)
		learn(fdb, i, 0, 0);
	for (uint32_t i = 50; i < 100; i++)
		learn(fdb, i, 1, 0);
	for (uint32_t i = 200; i < 300; i++)
		learn(fdb, i, 1, 0);
	assert_int_equal(fdb_port_count(fdb, 0), 50);
	assert_int_equal(fdb_port_count(fdb, 1), 50);
	fdb_free(fdb);
}

static void
the_busiest_ports_are_brought_down_together(void **state)
{
	static const uint32_t share[] = { 5, 60, 59, 20, 61 };
	struct fdb *fdb = table(205, 6);
	uint32_t n = 0;

	(void)state;
	for (unsigned int p = 0; p < 5; p++)
		for (uint32_t i = 0; i < share[p]; i++)
			learn(fdb, n++, p, 0);
	for (uint32_t i = 0; i < 30; i++)
		learn(fdb, n++, 5, 0);
	assert_int_equal(fdb_port_count(fdb, 0), 5);
	assert_int_equal(fdb_port_count(fdb, 1), 50);
	assert_int_equal(fdb_port_count(fdb, 2), 50);
	assert_int_equal(fdb_port_count(fdb, 3), 20);
	assert_int_equal(fdb_port_count(fdb, 4), 50);
	assert_int_equal(fdb_port_count(fdb, 5), 30);
	fdb_free(fdb);
}

static void
who_comes_next_pays_when_the_busiest_is_gone(void **state)
{
	/* addresses of each port; then the busiest is forgotten, again and
	 * again, and newcomers push out those of the next */
	static const uint32_t share[] = { 10, 60, 20, 100, 40, 80, 90 };
	static const unsigned int order[] = { 3, 6, 5, 1, 4, 2 };
	struct fdb *fdb = table(400, 8);
	uint32_t n = 0;

	(void)state;
	for (unsigned int p = 0; p < 7; p++)
		for (uint32_t i = 0; i < share[p]; i++)
			learn(fdb, n++, p, 0);
	assert_int_equal(fdb_count(fdb), 400);
	for (size_t i = 0; i + 1 < sizeof(order) / sizeof(order[0]); i++) {
		unsigned int next = order[i + 1];
		uint32_t had = fdb_port_count(fdb, next);

		fdb_forget_port(fdb, order[i], NULL, NULL);
		while (fdb_count(fdb) < 400)
			learn(fdb, n++, 7, 0);
		/* port 7 has the most by now: it makes way first */
		fdb_forget_port(fdb, 7, NULL, NULL);
		while (fdb_count(fdb) < 400)
			learn(fdb, n++, next, 0);
		learn(fdb, n++, 7, 0);
		assert_true(fdb_port_count(fdb, next) >= had);
		assert_int_equal(fdb_port_count(fdb, 7), 1);
		for (size_t k = i + 2; k < 6; k++)
			assert_int_equal(
			    fdb_port_count(fdb, order[k]), share[order[k]]);
	}
	fdb_free(fdb);
}

static void
table_of_one_holds_the_latest(void **state)
{
	struct fdb *fdb = table(1, 2);

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		learn(fdb, i, i % 2, 0);
	assert_int_equal(fdb_count(fdb), 1);
	assert_int_equal(find(fdb, 99, 0), 1);
	fdb_free(fdb);
}

static void
forgetting_a_port_leaves_the_others(void **state)
{
	struct fdb *fdb = table(10000, 8);

	(void)state;
	for (uint32_t i = 0; i < 10000; i++)
		learn(fdb, i, i % 8, 0);
	fdb_forget_port(fdb, 3, NULL, NULL);
	fdb_forget_port(fdb, 99, NULL, NULL); /* no such port */
	assert_int_equal(fdb_count(fdb), 8750);
	for (uint32_t i = 0; i < 10000; i++)
		assert_int_equal(
		    find(fdb, i, 0), i % 8 == 3 ? FDB_FLOOD : (int)(i % 8));
	fdb_free(fdb);
}

struct seen {
	unsigned int n;
	uint64_t oldest_ns;
	unsigned int port_sum;
};

static void
see(void *arg, const struct fdb_row *row)
{
	struct seen *seen = arg;

	assert_int_equal(row->vlan, 9);
	assert_int_equal(row->kind, FDB_LEARNED);
	assert_int_equal(row->mac.b[0], 2);
	assert_int_equal(row->mac.b[5], row->port);
	seen->n++;
	seen->port_sum += row->port;
	if (row->age_ns > seen->oldest_ns)
		seen->oldest_ns = row->age_ns;
}

static void
walk_shows_what_has_not_aged_out(void **state)
{
	struct fdb *fdb = table(100, 10);
	struct seen seen = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		struct mac mac = mac_no(i);

		fdb_learn(fdb, &mac, 9, i, i < 5 ? 0 : AGE_NS);
	}
	fdb_each(fdb, AGE_NS + 10 * S, see, &seen);
	assert_int_equal(seen.n, 5);
	assert_int_equal(seen.port_sum, 5 + 6 + 7 + 8 + 9);
	assert_in_range(seen.oldest_ns, 10 * S - 65536, 10 * S + 65536);
	fdb_free(fdb);
}

/* The table against a plain array: every address, every step. */
#define MODEL_MACS 300

static void
behaves_like_a_plain_array(void **state)
{
	struct fdb *fdb = table(1000, 5);
	struct {
		int port;
		uint64_t seen;
	} model[MODEL_MACS];
	uint64_t random = 1, now = 0;
	const uint64_t tick = 65536;

	(void)state;
	for (int i = 0; i < MODEL_MACS; i++)
		model[i].port = FDB_FLOOD;
	for (int step = 0; step < 20000; step++) {
		uint32_t i;
		unsigned int port;

		random = random * UINT64_C(6364136223846793005) + 1;
		i = (uint32_t)(random >> 33) % MODEL_MACS;
		port = (unsigned int)(random >> 24) % 5;
		now += (random >> 40) % 64 * (AGE_NS / 4096) / tick * tick;
		if (random >> 60 == 0) {
			fdb_forget_port(fdb, port, NULL, NULL);
			for (int k = 0; k < MODEL_MACS; k++)
				if (model[k].port == (int)port)
					model[k].port = FDB_FLOOD;
		} else {
			learn(fdb, i, port, now);
			model[i].port = (int)port;
			model[i].seen = now;
		}
		i = (i + 1) % MODEL_MACS;
		assert_int_equal(find(fdb, i, now),
		    now - model[i].seen > AGE_NS / tick * tick ? FDB_FLOOD
							       : model[i].port);
	}
	fdb_free(fdb);
}

/* ---- static and sticky addresses ---- */

static void
static_address_neither_ages_nor_moves_nor_makes_room(void **state)
{
	struct fdb *fdb = table(10, 2);
	const struct mac mac = mac_no(1);

	(void)state;
	learn(fdb, 1, 0, 0); /* it takes the place of what was learned */
	assert_int_equal(fdb_pin(fdb, &mac, 0, 1), 0);
	assert_int_equal(fdb_pin(fdb, &mac, 0, 0), -EEXIST);
	assert_int_equal(fdb_learn(fdb, &mac, 0, 0, S), -EPERM);
	assert_int_equal(fdb_would_learn(fdb, &mac, 0, 0, S), -EPERM);
	assert_int_equal(fdb_learn(fdb, &mac, 0, 1, S), 0);
	for (uint32_t i = 100; i < 200; i++)
		learn(fdb, i, 1, S);
	assert_int_equal(fdb_count(fdb), 10);
	fdb_forget_port(fdb, 1, NULL, NULL);
	assert_int_equal(find(fdb, 1, 1000 * AGE_NS), 1);
	assert_int_equal(fdb_port_pinned(fdb, 1), 1);
	assert_int_equal(fdb_port_count(fdb, 1), 0);
	assert_int_equal(fdb_unpin(fdb, &mac, 0), 0);
	assert_int_equal(fdb_unpin(fdb, &mac, 0), -ENOENT);
	assert_int_equal(find(fdb, 1, S), FDB_FLOOD);
	fdb_free(fdb);
}

static void
table_full_of_static_addresses_learns_nothing_more(void **state)
{
	struct fdb *fdb = table(5, 2);
	const struct mac last = mac_no(5);

	(void)state;
	for (uint32_t i = 0; i < 5; i++) {
		struct mac mac = mac_no(i);

		assert_int_equal(fdb_pin(fdb, &mac, 0, 0), 0);
	}
	assert_int_equal(fdb_pin(fdb, &last, 0, 0), -ENOSPC);
	learn(fdb, 7, 1, 0);
	assert_int_equal(find(fdb, 7, 0), FDB_FLOOD);
	assert_int_equal(fdb_count(fdb), 5);
	fdb_free(fdb);
}

static void
sticky_port_keeps_what_it_learns_until_it_is_no_longer(void **state)
{
	struct fdb *fdb = table(100, 2);
	const struct mac mac = mac_no(1);
	struct fdb_row row;

	(void)state;
	fdb_set_sticky(fdb, 0, true, 0);
	learn(fdb, 1, 0, 0);
	assert_true(fdb_look_up(fdb, &mac, 0, 9 * AGE_NS, &row));
	assert_int_equal(row.kind, FDB_STICKY);
	assert_int_equal(row.age_ns, 0);
	assert_int_equal(fdb_learn(fdb, &mac, 0, 1, S), -EPERM);
	fdb_forget_port(fdb, 0, NULL, NULL);
	assert_int_equal(find(fdb, 1, S), 0);
	fdb_set_sticky(fdb, 0, false, S);
	assert_int_equal(fdb_port_pinned(fdb, 0), 0);
	assert_int_equal(fdb_port_count(fdb, 0), 1);
	assert_int_equal(find(fdb, 1, S + AGE_NS), 0);
	assert_int_equal(find(fdb, 1, 3 * S + AGE_NS), FDB_FLOOD);
	assert_int_equal(FDB_MOVED_FROM(fdb_learn(fdb, &mac, 0, 1, 2 * S)), 0);
	fdb_free(fdb);
}

/* ---- limits ---- */

static int
try(struct fdb *fdb, uint32_t n, unsigned int port, uint64_t now_ns)
{
	struct mac mac = mac_no(n);
	int would = fdb_would_learn(fdb, &mac, 0, port, now_ns);
	int does = fdb_learn(fdb, &mac, 0, port, now_ns);

	assert_int_equal(would, does);
	return does;
}

static void
port_has_no_more_addresses_than_its_limit(void **state)
{
	struct fdb *fdb = table(100, 3);

	(void)state;
	assert_int_equal(fdb_limit(fdb, 0, 2, false), 0);
	assert_int_equal(try(fdb, 1, 0, 0), 0);
	assert_int_equal(try(fdb, 2, 0, S), 0);
	assert_int_equal(try(fdb, 3, 0, S), -ENOSPC);
	assert_int_equal(try(fdb, 1, 0, 2 * S), 0); /* known: stays */
	assert_int_equal(find(fdb, 3, S), FDB_FLOOD);
	assert_int_equal(try(fdb, 3, 1, S), 0); /* another port has none */
	/* one that moved there does not move back */
	assert_int_equal(try(fdb, 3, 0, 2 * S), -ENOSPC);
	/* one that moved away makes room */
	assert_int_equal(FDB_MOVED_FROM(try(fdb, 2, 1, 2 * S)), 0);
	assert_int_equal(try(fdb, 4, 0, 2 * S), 0);
	assert_int_equal(try(fdb, 5, 0, 2 * S), -ENOSPC);
	/* so does one that has aged out, at its time and not before */
	assert_int_equal(try(fdb, 5, 0, 2 * S + AGE_NS - S), -ENOSPC);
	assert_int_equal(try(fdb, 4, 0, 2 * S + AGE_NS - S), 0);
	assert_int_equal(try(fdb, 5, 0, 2 * S + AGE_NS + S), 0);
	assert_int_equal(find(fdb, 1, S + AGE_NS), FDB_FLOOD);
	assert_int_equal(find(fdb, 4, S + AGE_NS), 0);
	assert_int_equal(fdb_limit(fdb, 0, 0, false), 0);
	assert_int_equal(try(fdb, 6, 0, 2 * S + AGE_NS + S), 0);
	fdb_free(fdb);
}

static void
evicting_limit_forgets_the_first_learned(void **state)
{
	struct fdb *fdb = table(100, 2);
	const struct mac pinned = mac_no(9);

	(void)state;
	assert_int_equal(fdb_limit(fdb, 0, 3, true), 0);
	assert_int_equal(fdb_pin(fdb, &pinned, 0, 0), 0);
	for (uint32_t i = 1; i <= 5; i++)
		assert_int_equal(try(fdb, i, 0, i), 0);
	assert_int_equal(find(fdb, 3, S), FDB_FLOOD);
	assert_int_equal(find(fdb, 4, S), 0);
	assert_int_equal(find(fdb, 5, S), 0);
	assert_int_equal(find(fdb, 9, S), 0);
	assert_int_equal(fdb_port_count(fdb, 0) + fdb_port_pinned(fdb, 0), 3);
	fdb_free(fdb);
}

static void
limit_counts_what_is_there_already_and_keeps_it(void **state)
{
	struct fdb *fdb = table(100, 2);

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		learn(fdb, i, 0, 0);
	assert_int_equal(fdb_limit(fdb, 0, 2, false), 0);
	assert_int_equal(try(fdb, 5, 0, 1), 0);
	assert_int_equal(try(fdb, 10, 0, 1), -ENOSPC);
	fdb_forget_port(fdb, 0, NULL, NULL);
	assert_int_equal(try(fdb, 10, 0, 2), 0);
	assert_int_equal(try(fdb, 11, 0, 2), 0);
	assert_int_equal(try(fdb, 12, 0, 2), -ENOSPC);
	fdb_free(fdb);
}

/* Limits, pins and floods of addresses, by chance: numbers add up. */
static void
limits_hold_whatever_comes(void **state)
{
	struct fdb *fdb = table(200, 4);
	uint64_t random = 5, now = 0;

	(void)state;
	fdb_limit(fdb, 0, 7, false);
	fdb_limit(fdb, 1, 7, true);
	fdb_set_sticky(fdb, 2, true, 0);
	fdb_limit(fdb, 2, 20, false);
	for (int step = 0; step < 50000; step++) {
		uint32_t n, sum = 0;

		random = random * UINT64_C(6364136223846793005) + 1;
		n = (uint32_t)(random >> 33) % 400;
		now += (random >> 40) % 64 * S;
		if (random >> 58 == 0)
			fdb_forget_port(
			    fdb, (unsigned int)(random >> 30) % 4, NULL, NULL);
		else
			try(fdb, n, (unsigned int)(random >> 24) % 4, now);
		for (unsigned int p = 0; p < 4; p++) {
			uint32_t has =
			    fdb_port_count(fdb, p) + fdb_port_pinned(fdb, p);

			sum += has;
			assert_true(p == 3 || has <= (p == 2 ? 20 : 7));
		}
		assert_int_equal(sum, fdb_count(fdb));
		assert_true(sum <= 200);
	}
	for (unsigned int p = 0; p < 4; p++)
		fdb_remove_port(fdb, p);
	assert_int_equal(fdb_count(fdb), 0);
	fdb_free(fdb);
}

static bool
is_even(const void *arg, uint16_t vlan)
{
	(void)arg;
	return vlan % 2 == 0;
}

static void
some_vlans_of_a_port_are_forgotten(void **state)
{
	struct fdb *fdb = table(100, 2);
	struct mac mac = mac_no(1);

	(void)state;
	for (uint16_t v = 1; v <= 10; v++)
		fdb_learn(fdb, &mac, v, v == 4, 0);
	fdb_forget_port(fdb, 0, is_even, NULL);
	for (uint16_t v = 1; v <= 10; v++)
		assert_int_equal(fdb_find(fdb, &mac, v, 0),
		    v == 4           ? 1
			: v % 2 == 0 ? FDB_FLOOD
				     : 0);
	fdb_free(fdb);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(learned_address_is_found_unknown_is_flooded),
		cmocka_unit_test(address_moves_to_the_port_it_was_last_seen_on),
		cmocka_unit_test(group_address_is_not_learned),
		cmocka_unit_test(same_address_in_two_vlans_is_two_entries),
		cmocka_unit_test(address_ages_out_at_its_time_and_not_before),
		cmocka_unit_test(place_of_an_aged_address_is_taken_back),
		cmocka_unit_test(table_grows_to_its_limit_and_no_further),
		cmocka_unit_test(full_table_evicts_from_the_busiest_port),
		cmocka_unit_test(among_equals_the_newcomers_own_port_pays),
		cmocka_unit_test(the_busiest_ports_are_brought_down_together),
		cmocka_unit_test(who_comes_next_pays_when_the_busiest_is_gone),
		cmocka_unit_test(table_of_one_holds_the_latest),
		cmocka_unit_test(forgetting_a_port_leaves_the_others),
		cmocka_unit_test(walk_shows_what_has_not_aged_out),
		cmocka_unit_test(behaves_like_a_plain_array),
		cmocka_unit_test(
		    static_address_neither_ages_nor_moves_nor_makes_room),
		cmocka_unit_test(
		    table_full_of_static_addresses_learns_nothing_more),
		cmocka_unit_test(
		    sticky_port_keeps_what_it_learns_until_it_is_no_longer),
		cmocka_unit_test(port_has_no_more_addresses_than_its_limit),
		cmocka_unit_test(evicting_limit_forgets_the_first_learned),
		cmocka_unit_test(
		    limit_counts_what_is_there_already_and_keeps_it),
		cmocka_unit_test(limits_hold_whatever_comes),
		cmocka_unit_test(some_vlans_of_a_port_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
