#include "switch/aggregation.h"

#include <errno.h>

#include "tests/switch/lan.h"

#define WIRES 3

/* Two switches joined by a bond each; a station on either. */
struct pair {
	struct loop *loop;
	struct lan_switch *sw[2];
	struct aggregation *aggregation[2];
	struct port *bond[2], *wire[2][WIRES];
	struct sink *sink[2];
};

static struct pair *
pair_of(struct bond_options a, struct bond_options b)
{
	const struct switch_options plain = { 0 };
	struct pair *p = calloc(1, sizeof(*p));
	struct err err = { "" };

	p->loop = loop_new(LOOP_VIRTUAL, &err);
	for (int i = 0; i < 2; i++) {
		struct port *port;
		char name[32];

		snprintf(name, sizeof(name), "sw%d", i);
		p->sw[i] = switch_new(p->loop, name, &plain, &err);
		p->aggregation[i] = aggregation_new(p->sw[i], &err);
		assert_non_null(p->aggregation[i]);
		snprintf(name, sizeof(name), "sw%d.bond", i);
		p->bond[i] = aggregation_add(
		    p->aggregation[i], name, i == 0 ? &a : &b, &err);
		assert_non_null(p->bond[i]);
		for (int k = 0; k < WIRES; k++) {
			snprintf(name, sizeof(name), "sw%d.w%d", i, k);
			p->wire[i][k] = switch_add_port(p->sw[i], name, &err);
			assert_int_equal(
			    aggregation_join(p->aggregation[i], p->bond[i],
				p->wire[i][k], 0, &err),
			    0);
		}
		snprintf(name, sizeof(name), "sw%d.s", i);
		port = switch_add_port(p->sw[i], name, &err);
		p->sink[i] = sink_new("s.eth0");
		cable_join(port, &p->sink[i]->port);
	}
	for (int k = 0; k < WIRES; k++)
		cable_join(p->wire[0][k], p->wire[1][k]);
	return p;
}

static void
pair_free(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		sink_free(p->sink[i]);
		aggregation_free(p->aggregation[i]);
		switch_free(p->sw[i]);
	}
	loop_free(p->loop);
	free(p);
}

static void
pass(struct pair *p, uint64_t ns)
{
	struct lan lan = { .loop = p->loop };

	lan_pass_time(&lan, ns);
}

/* Broadcasts by n stations at sink 0; how many arrive at sink 1. */
static unsigned int
arrive(struct pair *p, unsigned int n)
{
	uint8_t bytes[LAN_BYTES];
	struct burst burst;

	sink_clear(p->sink[1]);
	for (unsigned int i = 0; i < n; i++) {
		lan_fill(bytes, sizeof(bytes), 0xff, (uint8_t)i);
		burst_clear(&burst);
		burst_add(&burst, bytes, sizeof(bytes));
		port_send(&p->sink[0]->port, &burst);
	}
	return p->sink[1]->n;
}

static const struct bond_options active = { .mode = BOND_ACTIVE, .fast = true };

static void
two_switches_bring_up_a_bond_and_lose_a_link_of_it(void **state)
{
	struct pair *p = pair_of(active, active);
	uint64_t before[WIRES];

	(void)state;
	assert_int_equal(arrive(p, 10), 0);
	assert_false(switch_port_link(p->bond[0]));
	pass(p, 3 * NS_PER_S);
	assert_true(switch_port_link(p->bond[0]));
	for (int k = 0; k < WIRES; k++)
		before[k] = p->wire[0][k]->out_frames;
	assert_int_equal(arrive(p, 100), 100);
	for (int k = 0; k < WIRES; k++)
		assert_in_range(p->wire[0][k]->out_frames - before[k], 15, 60);
	port_set_down(p->wire[1][1], true);
	assert_int_equal(arrive(p, 100), 100);
	port_set_down(p->wire[1][1], false);
	pass(p, 3 * NS_PER_S);
	assert_int_equal(arrive(p, 100), 100);
	pair_free(p);
}

static void
a_link_that_turns_deaf_is_left_after_three_seconds(void **state)
{
	struct pair *p = pair_of(active, active);

	(void)state;
	pass(p, 3 * NS_PER_S);
	/* the wire is up at this end, and leads to nobody */
	cable_cut(p->wire[0][2]);
	sink_clear(p->sink[0]);
	cable_join(p->wire[0][2], &sink_new("deaf.eth0")->port);
	assert_true(arrive(p, 100) <= 100);
	pass(p, 4 * NS_PER_S);
	assert_int_equal(arrive(p, 100), 100);
	sink_free((struct sink *)p->wire[0][2]->peer);
	pair_free(p);
}

static void
a_static_bond_carries_at_once(void **state)
{
	const struct bond_options fixed = { .mode = BOND_STATIC,
		.min_links = 2 };
	struct pair *p = pair_of(fixed, fixed);

	(void)state;
	pass(p, NS_PER_MS);
	assert_int_equal(arrive(p, 50), 50);
	port_set_down(p->wire[0][0], true);
	pass(p, NS_PER_MS);
	assert_int_equal(arrive(p, 50), 50);
	port_set_down(p->wire[0][1], true);
	pass(p, NS_PER_MS);
	assert_int_equal(arrive(p, 50), 0);
	port_set_down(p->wire[0][1], false);
	pass(p, NS_PER_MS);
	assert_int_equal(arrive(p, 50), 50);
	pair_free(p);
}

static void
show(void *arg, const struct bond_row *row)
{
	unsigned int *n = arg;

	assert_string_equal(row->link.state, "distributing");
	assert_int_equal(row->mode, BOND_ACTIVE);
	assert_int_equal(row->link.partner.key, 77);
	++*n;
}

static void
its_wires_can_be_shown(void **state)
{
	struct bond_options keyed = active;
	struct pair *p;
	unsigned int n = 0;
	char text[64];

	(void)state;
	keyed.key = 77;
	p = pair_of(active, keyed);
	pass(p, 3 * NS_PER_S);
	aggregation_each(p->aggregation[0], show, &n);
	assert_int_equal(n, WIRES);
	assert_non_null(
	    strstr(switch_describe(p->wire[0][0], text, sizeof(text)),
		"lacp distributing"));
	pair_free(p);
}

static void
a_wire_is_in_one_bond_and_a_bond_has_so_many(void **state)
{
	struct pair *p = pair_of(active, active);
	struct err err = { "" };
	struct port *other =
	    aggregation_add(p->aggregation[0], "sw0.other", &active, &err);

	(void)state;
	assert_int_equal(
	    aggregation_join(p->aggregation[0], other, p->wire[0][0], 0, &err),
	    -EBUSY);
	err_clear(&err);
	for (int i = 0; i < BOND_WIRES_MAX; i++) {
		char name[32];

		snprintf(name, sizeof(name), "sw0.more%d", i);
		assert_int_equal(
		    aggregation_join(p->aggregation[0], other,
			switch_add_port(p->sw[0], name, &err), 0, &err),
		    0);
	}
	assert_int_equal(aggregation_join(p->aggregation[0], other,
			     switch_add_port(p->sw[0], "sw0.x", &err), 0, &err),
	    -ENOSPC);
	/* one that is removed makes room */
	switch_remove_port(p->sw[0], p->wire[0][0]);
	pass(p, 3 * NS_PER_S);
	assert_int_equal(arrive(p, 20), 20);
	pair_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    two_switches_bring_up_a_bond_and_lose_a_link_of_it),
		cmocka_unit_test(
		    a_link_that_turns_deaf_is_left_after_three_seconds),
		cmocka_unit_test(a_static_bond_carries_at_once),
		cmocka_unit_test(its_wires_can_be_shown),
		cmocka_unit_test(a_wire_is_in_one_bond_and_a_bond_has_so_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
