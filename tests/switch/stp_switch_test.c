/*
 * Switches in spanning trees, with frames: three in a ring, a host on each.
 *
 *        s0
 *        |
 *       sw0
 *      /   \
 *   sw1 --- sw2
 *    |       |
 *   s1       s2
 */
#include "switch/stp_switch.h"

#include <stdio.h>

#include "switch/vlan.h"
#include "tests/switch/lan.h"

#define NSW 3

struct ring {
	struct loop *loop;
	struct lan_switch *sw[NSW];
	struct stp_switch *stp[NSW];
	struct port *right[NSW], *left[NSW], *host[NSW];
	struct sink *sink[NSW];
};

static struct port *
add_port(struct ring *r, int sw, const char *name)
{
	struct err err = { "" };
	char full[32];

	snprintf(full, sizeof(full), "sw%d.%s", sw, name);
	return switch_add_port(r->sw[sw], full, &err);
}

static struct ring *
ring_new(const struct stp_options *options)
{
	const struct switch_options plain = { 0 };
	struct ring *r = calloc(1, sizeof(*r));
	struct err err = { "" };

	r->loop = loop_new(LOOP_VIRTUAL, &err);
	for (int i = 0; i < NSW; i++) {
		struct stp_port_options edge;
		char name[32];

		snprintf(name, sizeof(name), "sw%d", i);
		r->sw[i] = switch_new(r->loop, name, &plain, &err);
		r->right[i] = add_port(r, i, "right");
		/* ports that are there when it joins, and later ones */
		r->stp[i] = stp_switch_new(r->sw[i], options, &err);
		assert_non_null(r->stp[i]);
		r->left[i] = add_port(r, i, "left");
		r->host[i] = add_port(r, i, "host");
		stp_port_options_init(&edge);
		edge.edge = STP_EDGE_YES;
		stp_switch_set_port(r->stp[i], r->host[i], &edge);
		snprintf(name, sizeof(name), "s%d.eth0", i);
		r->sink[i] = sink_new(name);
		assert_int_equal(cable_join(r->host[i], &r->sink[i]->port), 0);
	}
	for (int i = 0; i < NSW; i++)
		assert_int_equal(
		    cable_join(r->right[i], r->left[(i + 1) % NSW]), 0);
	return r;
}

static int
set_up(void **state)
{
	struct stp_options options;

	stp_options_init(&options);
	*state = ring_new(&options);
	return 0;
}

static int
tear_down(void **state)
{
	struct ring *r = *state;

	for (int i = 0; i < NSW; i++)
		stp_switch_free(r->stp[i]);
	for (int i = 0; i < NSW; i++) {
		sink_free(r->sink[i]);
		switch_free(r->sw[i]);
	}
	loop_free(r->loop);
	free(r);
	return 0;
}

static void
stop(void *arg)
{
	loop_stop(arg);
}

static void
run(struct ring *r, uint64_t ns)
{
	struct loop_timer timer;

	loop_timer_init(&timer, r->loop, stop, r->loop);
	loop_timer_set(&timer, loop_now_ns(r->loop) + ns);
	loop_run(r->loop);
}

/* A broadcast of one host reaches each other host once, and not itself. */
static bool
all_hear_once(struct ring *r, int from)
{
	uint8_t bytes[LAN_BYTES];
	struct burst burst;
	bool heard = true;

	for (int i = 0; i < NSW; i++)
		sink_clear(r->sink[i]);
	lan_fill(bytes, sizeof(bytes), 0xff, (uint8_t)from);
	burst_clear(&burst);
	burst_add(&burst, bytes, sizeof(bytes));
	port_send(&r->sink[from]->port, &burst);
	for (int i = 0; i < NSW; i++) {
		unsigned int n = 0;

		/* hellos come by, too */
		for (unsigned int k = 0; k < r->sink[i]->n; k++)
			n += memcmp(r->sink[i]->frame[k].data, bytes,
				 sizeof(bytes)) == 0;
		heard &= n == (i != from);
	}
	return heard;
}

static void
a_ring_carries_each_frame_once(void **state)
{
	struct ring *r = *state;

	run(r, NS_PER_S);
	for (int i = 0; i < NSW; i++)
		assert_true(all_hear_once(r, i));
}

static void
a_cut_is_mended_within_a_millisecond(void **state)
{
	struct ring *r = *state;

	run(r, NS_PER_S);
	for (int i = 0; i < NSW; i++) {
		port_set_down(r->right[i], true);
		run(r, NS_PER_MS);
		for (int k = 0; k < NSW; k++)
			assert_true(all_hear_once(r, k));
		run(r, 10 * NS_PER_S);
		port_set_down(r->right[i], false);
		run(r, NS_PER_MS);
		for (int k = 0; k < NSW; k++)
			assert_true(all_hear_once(r, k));
		run(r, 10 * NS_PER_S);
	}
}

static void
a_blocked_port_refuses_frames_and_learns_nothing(void **state)
{
	struct ring *r = *state;
	struct stp_port_view view;
	struct port *blocked = NULL;
	struct burst burst;
	uint8_t bytes[LAN_BYTES];

	run(r, NS_PER_S);
	for (int i = 0; i < NSW; i++)
		for (int k = 0; k < 2; k++) {
			struct port *port = k ? r->left[i] : r->right[i];

			stp_view_port(stp_switch_tree(r->stp[i]),
			    switch_port_index(port), 0, &view);
			if (view.role == STP_ALTERNATE)
				blocked = port;
		}
	assert_non_null(blocked);
	lan_fill(bytes, sizeof(bytes), 0xff, 9);
	burst_clear(&burst);
	burst_add(&burst, bytes, sizeof(bytes));
	port_send(blocked->peer, &burst);
	assert_true(reason_is_drop((enum reason)burst.frame[0].verdict.reason));
	assert_int_equal(switch_get_state(blocked, 0), SWITCH_DISCARDING);
}

static enum reason
hear(struct ring *r, const struct bpdu *bpdu)
{
	const struct mac src = { { 2, 0, 0, 0, 0, 9 } };
	uint8_t bytes[BPDU_FRAME_BYTES];
	struct writer w = writer(bytes, sizeof(bytes));
	struct burst burst;

	bpdu_write(&w, &src, bpdu);
	burst_clear(&burst);
	burst_add(&burst, bytes, (size_t)(w.at - bytes));
	port_send(&r->sink[0]->port, &burst);
	return (enum reason)burst.frame[0].verdict.reason;
}

static void
bpdus_are_taken_and_bad_ones_named(void **state)
{
	struct ring *r = *state;
	struct bpdu bpdu = {
		.type = BPDU_TYPE_CONFIG,
		.root = UINT64_MAX,
		.bridge = UINT64_MAX,
		.max_age = 20 * BPDU_SECOND,
		.hello = 2 * BPDU_SECOND,
		.forward_delay = 15 * BPDU_SECOND,
	};
	struct stp_port_options guard;

	run(r, NS_PER_S);
	assert_int_equal(hear(r, &bpdu), REASON_DELIVERED);
	bpdu.message_age = bpdu.max_age;
	assert_int_equal(hear(r, &bpdu), DROP_BPDU);
	bpdu.message_age = 0;
	stp_port_options_init(&guard);
	guard.bpdu_guard = true;
	stp_switch_set_port(r->stp[0], r->host[0], &guard);
	assert_int_equal(hear(r, &bpdu), DROP_BPDU_GUARD);
	assert_false(all_hear_once(r, 0));
	/* a new cable opens it */
	cable_cut(r->host[0]);
	cable_join(r->host[0], &r->sink[0]->port);
	run(r, 4 * NS_PER_S);
	assert_true(all_hear_once(r, 0));
}

static void
ports_say_what_the_tree_makes_of_them(void **state)
{
	struct ring *r = *state;
	char text[128];

	run(r, NS_PER_S);
	switch_describe(r->host[0], text, sizeof(text));
	assert_non_null(strstr(text, "designated, forwarding"));
}

static void
ports_that_go_take_their_place_with_them(void **state)
{
	struct ring *r = *state;

	run(r, NS_PER_S);
	switch_remove_port(r->sw[0], r->right[0]);
	run(r, NS_PER_S);
	for (int i = 0; i < NSW; i++)
		assert_true(all_hear_once(r, i));
	r->right[0] = add_port(r, 0, "right");
	cable_join(r->right[0], r->left[1]);
	run(r, NS_PER_S);
	for (int i = 0; i < NSW; i++)
		assert_true(all_hear_once(r, i));
}

static void
without_the_tree_all_ports_forward(void **state)
{
	struct ring *r = *state;

	run(r, NS_PER_S);
	port_set_down(r->right[0], true);
	for (int i = 0; i < NSW; i++) {
		stp_switch_free(r->stp[i]);
		r->stp[i] = NULL;
	}
	for (int i = 0; i < NSW; i++)
		assert_true(all_hear_once(r, i));
}

/* Bridge 1 is the root of VLAN 10, bridge 2 of VLAN 20: each takes another way
 * between 1 and 2's hosts and 0's. */
static void
instances_send_vlans_by_different_ways(void **state)
{
	struct stp_options o;
	struct ring *r;
	struct stp_tree_view view;

	tear_down(state);
	stp_options_init(&o);
	o.mode = STP_MODE_MSTP;
	snprintf(o.region, sizeof(o.region), "campus");
	o.nmstis = 2;
	o.msti[0] = (struct stp_msti_options){ 1, 32768 };
	o.msti[1] = (struct stp_msti_options){ 2, 32768 };
	o.tree[10] = 1;
	o.tree[20] = 2;
	*state = r = ring_new(&o);
	for (int i = 1; i < NSW; i++) {
		struct stp_options mine = o;

		mine.msti[i - 1].priority = 0;
		assert_int_equal(stp_switch_set(r->stp[i], &mine), 0);
	}
	run(r, 10 * NS_PER_S);
	for (int i = 0; i < NSW; i++) {
		stp_view_tree(stp_switch_tree(r->stp[i]), 1, &view);
		assert_int_equal(view.id, 1);
		assert_int_equal(view.root >> 48, 1);
		assert_int_equal(view.root == view.bridge, i == 1);
		stp_view_tree(stp_switch_tree(r->stp[i]), 2, &view);
		assert_int_equal(view.root >> 48, 2);
		assert_int_equal(view.root == view.bridge, i == 2);
	}
	/* the link between 0 and 1 belongs to VLAN 10's tree, that between 0
	 * and 2 to VLAN 20's; each blocks the link that its root is not on */
	assert_int_equal(switch_get_state(r->right[0], 1), SWITCH_FORWARDING);
	assert_int_equal(switch_get_state(r->left[0], 2), SWITCH_FORWARDING);
	assert_true((switch_get_state(r->left[0], 1) == SWITCH_FORWARDING) +
		(switch_get_state(r->right[2], 1) == SWITCH_FORWARDING) ==
	    1);
	assert_true((switch_get_state(r->right[0], 2) == SWITCH_FORWARDING) +
		(switch_get_state(r->left[1], 2) == SWITCH_FORWARDING) ==
	    1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_ring_carries_each_frame_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    a_cut_is_mended_within_a_millisecond, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    a_blocked_port_refuses_frames_and_learns_nothing, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    bpdus_are_taken_and_bad_ones_named, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    ports_say_what_the_tree_makes_of_them, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    ports_that_go_take_their_place_with_them, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    without_the_tree_all_ports_forward, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    instances_send_vlans_by_different_ways, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
