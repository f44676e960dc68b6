#include "switch/cable.h"
#include "switch/protocol.h"
#include "switch/switch.h"

#include "tests/switch/lan.h"

#define MS NS_PER_MS

/* What an answer of another machine is: not the same bytes. */
struct wire {
	struct port *a, *b;
	struct cable *cable;
};

/* A cable that delays, so that what comes out of it is a copy. */
static struct wire
slow_cable(struct lan *lan, struct port *a, struct port *b, uint64_t delay_ns)
{
	struct cable_settings settings = { .delay_ns = delay_ns };
	struct wire wire = { .a = a, .b = b };
	struct err err = { "" };

	assert_int_equal(cable_join(a, b), 0);
	wire.cable = cable_new(lan->loop, a, b, "wire", 1, &err);
	assert_int_equal(
	    cable_set(wire.cable, CABLE_A, &settings, NULL, &err), 0);
	assert_int_equal(
	    cable_set(wire.cable, CABLE_B, &settings, NULL, &err), 0);
	return wire;
}

static struct port *
port_of(struct lan_switch *sw, const char *name)
{
	struct err err = { "" };
	struct port *port = switch_add_port(sw, name, &err);

	assert_non_null(port);
	return port;
}

static bool
is_blocked(const struct port *port)
{
	char text[200];

	return strstr(switch_describe(port, text, sizeof(text)), "blocked") !=
	    NULL;
}

static uint64_t
frames_of(const struct wire *wire)
{
	return wire->a->out_frames + wire->b->out_frames;
}

static void
silent_and_moving_stations_cost_no_more_than_a_probe(void **state)
{
	struct lan *lan = *state;

	lan_pass_time(lan, 60 * NS_PER_S);
	for (int i = 0; i < LAN_SINKS; i++)
		assert_int_equal(lan->port[i]->out_frames, 0);
	lan_send(lan, 0, 0xff, 1);
	lan_send(lan, 1, 0xff, 1);
	lan_forget(lan);
	lan_pass_time(lan, 60 * NS_PER_S);
	for (int i = 0; i < LAN_SINKS; i++)
		assert_int_equal(lan->sink[i]->n, i == 1);
	/* Long enough still when two tags were taken off on the way. */
	assert_int_equal(lan->sink[1]->frame[0].len, 68);
	assert_memory_equal(
	    lan->sink[1]->frame[0].data, "\xff\xff\xff\xff\xff\xff", 6);
	for (int i = 0; i < LAN_SINKS; i++)
		assert_false(is_blocked(lan->port[i]));
}

static void
ring_through_slow_cables_is_found_and_stopped(void **state)
{
	static const uint64_t delays_ns[] = { 0, 10 * NS_PER_US, 5 * MS,
		300 * MS };
	struct lan *lan = *state;

	for (size_t i = 0; i < sizeof(delays_ns) / sizeof(delays_ns[0]); i++) {
		const struct switch_options options = { 0 };
		struct err err = { "" };
		struct lan_switch *other =
		    switch_new(lan->loop, "other", &options, &err);
		struct wire one, two;
		uint64_t before;

		one = slow_cable(lan, port_of(lan->sw, "lan.one"),
		    port_of(other, "other.one"), delays_ns[i]);
		two = slow_cable(lan, port_of(lan->sw, "lan.two"),
		    port_of(other, "other.two"), delays_ns[i]);
		lan_send(lan, 0, 0xff, 0);
		lan_pass_time(lan, 2 * NS_PER_S);
		/* the frame, both ways round, a few times, and probes */
		assert_in_range(frames_of(&one) + frames_of(&two), 2,
		    delays_ns[i] < MS ? 1000 : 60);
		assert_true(is_blocked(one.a) || is_blocked(two.a) ||
		    is_blocked(one.b) || is_blocked(two.b));
		/* from then on one probe a second, and traffic passes */
		lan_pass_time(lan, 20 * NS_PER_S);
		before = frames_of(&one) + frames_of(&two);
		lan_pass_time(lan, 10 * NS_PER_S);
		assert_in_range(
		    frames_of(&one) + frames_of(&two) - before, 8, 25);
		lan_send(lan, 0, 0xff, 0);
		lan_pass_time(lan, 2 * NS_PER_S);
		assert_int_equal(
		    lan_send(lan, 1, 0, 1).reason, REASON_FORWARDED);

		/* cut open, it heals */
		cable_free(one.cable);
		cable_cut(one.a);
		lan_pass_time(lan, 10 * NS_PER_S);
		assert_false(is_blocked(two.a) || is_blocked(two.b));
		before = frames_of(&two);
		lan_pass_time(lan, 60 * NS_PER_S);
		assert_int_equal(frames_of(&two) - before, 0);
		cable_free(two.cable);
		switch_remove_port(lan->sw, one.a);
		switch_remove_port(lan->sw, two.a);
		switch_free(other);
	}
}

static void
of_three_parallel_cables_one_stays_open(void **state)
{
	struct lan *lan = *state;
	const struct switch_options options = { 0 };
	struct err err = { "" };
	struct lan_switch *other =
	    switch_new(lan->loop, "other", &options, &err);
	struct wire wire[3];
	unsigned int open = 0;
	uint64_t frames = 0;

	for (int i = 0; i < 3; i++)
		wire[i] = slow_cable(lan, port_of(lan->sw, "lan.up"),
		    port_of(other, "other.down"), MS);
	lan_send(lan, 0, 0xff, 0);
	lan_pass_time(lan, 30 * NS_PER_S);
	for (int i = 0; i < 3; i++) {
		open += !is_blocked(wire[i].a) && !is_blocked(wire[i].b);
		frames += frames_of(&wire[i]);
	}
	assert_int_equal(open, 1);
	assert_in_range(frames, 10, 3000);
	for (int i = 0; i < 3; i++)
		cable_free(wire[i].cable);
	switch_free(other);
}

/* Sends everything back where it came from, as a loop in somebody's unmanaged
 * switch does. */
static void
reflect(struct sink *sink, struct burst *burst)
{
	for (unsigned int i = 0; i < burst->n; i++) {
		uint8_t bytes[200];
		struct burst back;

		frame_copy(bytes, &burst->frame[i], 0, burst->frame[i].len);
		burst_clear(&back);
		burst_add(&back, bytes, burst->frame[i].len);
		port_send(&sink->port, &back);
	}
}

static void
loop_behind_a_single_port_is_found(void **state)
{
	struct lan *lan = *state;

	lan->sink[3]->hook = reflect;
	lan_send(lan, 0, 0xff, 0);
	lan_pass_time(lan, NS_PER_S);
	assert_true(is_blocked(lan->port[3]));
	assert_int_equal(lan_send(lan, 3, 0xff, 3).reason, DROP_LOOP_BLOCKED);
	lan_forget(lan);
	assert_int_equal(lan_send(lan, 0, 0xff, 0).nout, LAN_SINKS - 2);
	assert_int_equal(lan->sink[3]->n, 0);
	/* with the link it begins anew */
	port_set_down(&lan->sink[3]->port, true);
	lan->sink[3]->hook = NULL;
	port_set_down(&lan->sink[3]->port, false);
	assert_int_equal(lan_send(lan, 0, 0xff, 0).nout, LAN_SINKS - 1);
}

static void
loop_in_one_vlan_is_found_by_a_probe_with_its_tag(void **state)
{
	struct vlan_options trunk = { .mode = VLAN_TRUNK };
	struct lan *lan = *state;
	struct wire wire;

	vlan_set_add(&trunk.allowed, 1, 100);
	for (int i = 0; i < LAN_SINKS; i++)
		switch_set_vlan(lan->port[i], &trunk);
	wire = slow_cable(
	    lan, port_of(lan->sw, "lan.a"), port_of(lan->sw, "lan.b"), MS);
	switch_set_vlan(wire.a, &trunk);
	switch_set_vlan(wire.b, &trunk);
	lan_send_tagged(lan, 0, 0xff, 0, ETH_VLAN, 42);
	lan_pass_time(lan, NS_PER_S);
	assert_true(is_blocked(wire.a) || is_blocked(wire.b));
	cable_free(wire.cable);
}

/* Replays what sink 1 got, some time later and elsewhere. */
static void
probe_is_good_for_a_while_and_cannot_be_made_up(void **state)
{
	struct lan *lan = *state;
	uint8_t probe[60];

	lan_send(lan, 0, 0xff, 1);
	lan_forget(lan);
	lan_send(lan, 1, 0xff, 1);
	lan_pass_time(lan, 10 * MS);
	assert_int_equal(lan->sink[1]->n, 1);
	memcpy(probe, lan->sink[1]->frame[0].data, sizeof(probe));
	for (unsigned int bit = 12 * 8; bit < 40 * 8; bit++) {
		probe[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(
		    lan_send_bytes(lan, 2, probe, sizeof(probe)).reason,
		    DROP_OWN_ADDRESS);
		probe[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t len = 14; len < sizeof(probe); len++)
		lan_send_bytes(lan, 2, probe, len);
	assert_false(is_blocked(lan->port[1]) || is_blocked(lan->port[2]));
	lan_pass_time(lan, 6 * NS_PER_S);
	lan_send_bytes(lan, 2, probe, sizeof(probe));
	assert_false(is_blocked(lan->port[1]) || is_blocked(lan->port[2]));
	/* what is fresh counts: there is a way from 1 to 2 */
	lan_send(lan, 0, 0xff, 1);
	lan_forget(lan);
	lan_send(lan, 1, 0xff, 1);
	lan_pass_time(lan, 10 * MS);
	assert_int_equal(lan->sink[1]->n, 1);
	memcpy(probe, lan->sink[1]->frame[0].data, sizeof(probe));
	lan_send_bytes(lan, 2, probe, sizeof(probe));
	assert_true(is_blocked(lan->port[1]) || is_blocked(lan->port[2]));
}

/* Frames pass from a to b and not back. */
static struct wire
one_way(struct lan *lan, struct port *a, struct port *b)
{
	struct cable_settings none = { .loss_ppb = CABLE_ALWAYS };
	struct wire wire = slow_cable(lan, a, b, 10 * NS_PER_US);
	struct err err = { "" };

	assert_int_equal(cable_set(wire.cable, CABLE_B, &none, NULL, &err), 0);
	return wire;
}

/* What circles stops, and does not come back as long as the ring is there. */
static void
assert_stops(struct lan *lan, const struct wire *one, const struct wire *two)
{
	uint64_t before;

	lan_pass_time(lan, NS_PER_S);
	before = frames_of(one) + frames_of(two);
	lan_pass_time(lan, 30 * NS_PER_S);
	assert_in_range(frames_of(one) + frames_of(two) - before, 0, 200);
}

/* lan.out -> other.in, other.out -> lan.in: the address stays at lan.in, and a
 * probe by that port gets nowhere.  Storm control, a limit of addresses that the
 * station has used up, and a VLAN tag that is taken off on the way are no
 * hindrance. */
static void
loop_that_goes_one_way_only_is_found(void **state)
{
	static const struct vlan_options access = { .mode = VLAN_ACCESS,
		.vlan = 42 };
	struct vlan_options trunk = { .mode = VLAN_TRUNK };
	struct lan *lan = *state;

	vlan_set_add(&trunk.allowed, 1, 100);
	for (int tagged = 0; tagged < 2; tagged++) {
		/* So that a frame with its tag leaves, and one without
		 * comes back. */
		const struct switch_options options = { .no_guard = tagged };
		struct err err = { "" };
		struct lan_switch *other =
		    switch_new(lan->loop, "other", &options, &err);
		struct wire there, back;

		there = one_way(lan, port_of(lan->sw, "lan.out"),
		    port_of(other, "other.in"));
		back = one_way(lan, port_of(other, "other.out"),
		    port_of(lan->sw, "lan.in"));
		switch_limit_storm(there.b, STORM_BROADCAST, 1);
		assert_int_equal(switch_limit_macs(there.b, 1,
				     tagged ? MAC_SHUT : MAC_DROP, false),
		    0);
		if (tagged) {
			switch_set_vlan(lan->port[0], &access);
			switch_set_vlan(there.a, &trunk);
			switch_set_vlan(there.b, &trunk);
			switch_set_vlan(back.a, &access);
			switch_set_vlan(back.b, &access);
		}
		lan_send(lan, 0, 0xff, 0); /* all that a second may have */
		lan_pass_time(lan, MS);
		lan_send(lan, 0, 0x77, 0); /* to nobody: a flood */
		lan_pass_time(lan, 300 * MS);
		assert_true(is_blocked(there.a) || is_blocked(there.b) ||
		    is_blocked(back.a) || is_blocked(back.b));
		assert_stops(lan, &there, &back);
		cable_free(there.cable);
		cable_free(back.cable);
		cable_cut(there.a);
		cable_cut(back.a);
		switch_remove_port(lan->sw, there.a);
		switch_remove_port(lan->sw, back.b);
		switch_free(other);
	}
}

static void
mirror_that_feeds_itself_is_found_by_its_switch(void **state)
{
	const struct switch_options plain = { 0 },
				    careless = { .no_guard = true };
	struct lan *lan = *state;
	struct err err = { "" };
	struct lan_switch *mirrors =
	    switch_new(lan->loop, "mirrors", &plain, &err);
	struct lan_switch *other =
	    switch_new(lan->loop, "other", &careless, &err);
	struct mirror_options mirror = { .vlan = 0 };
	struct wire there, copies;
	struct sink *station = sink_new("station.eth0");
	struct port *port = port_of(other, "other.station");
	uint8_t bytes[LAN_BYTES];
	struct burst burst;

	there = slow_cable(lan, port_of(other, "other.out"),
	    port_of(mirrors, "mirrors.in"), 10 * NS_PER_US);
	copies = slow_cable(lan, port_of(mirrors, "mirrors.to"),
	    port_of(other, "other.in"), 10 * NS_PER_US);
	port_set_add(&mirror.in, 1); /* the first; 0 is the switch itself */
	mirror.to = copies.a;
	assert_true(switch_add_mirror(mirrors, &mirror) >= 0);
	assert_int_equal(cable_join(port, &station->port), 0);
	lan_fill(bytes, sizeof(bytes), 0xff, 1);
	burst_clear(&burst);
	burst_add(&burst, bytes, sizeof(bytes));
	port_send(&station->port, &burst);
	assert_stops(lan, &there, &copies);
	assert_true(is_blocked(copies.a));
	cable_free(there.cable);
	cable_free(copies.cable);
	switch_free(mirrors);
	switch_free(other);
	sink_free(station);
}

static enum reason
swallow(struct switch_protocol *protocol, struct switch_input *in)
{
	(void)protocol;
	(void)in;
	return REASON_DELIVERED;
}

static void
guard_leaves_it_to_a_spanning_tree(void **state)
{
	static const struct switch_protocol_ops ops = { .name = "tree",
		.reserved = 1 << RESERVED_BRIDGE,
		.input = swallow };
	struct lan *lan = *state;
	struct switch_protocol tree = { .ops = &ops };

	lan->sink[3]->hook = reflect;
	lan_send(lan, 0, 0xff, 0);
	lan_pass_time(lan, NS_PER_S);
	assert_true(is_blocked(lan->port[3]));
	switch_join(lan->sw, &tree);
	assert_false(is_blocked(lan->port[3]));
	lan_send(lan, 0, 0xff, 0);
	lan_pass_time(lan, NS_PER_S);
	assert_false(is_blocked(lan->port[3]));
	switch_leave(&tree);
	lan_send(lan, 0, 0xff, 0);
	lan_pass_time(lan, NS_PER_S);
	assert_true(is_blocked(lan->port[3]));
}

int
main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, lan_set_up, lan_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(silent_and_moving_stations_cost_no_more_than_a_probe),
		TEST(ring_through_slow_cables_is_found_and_stopped),
		TEST(of_three_parallel_cables_one_stays_open),
		TEST(loop_behind_a_single_port_is_found),
		TEST(loop_in_one_vlan_is_found_by_a_probe_with_its_tag),
		TEST(probe_is_good_for_a_while_and_cannot_be_made_up),
		TEST(loop_that_goes_one_way_only_is_found),
		TEST(mirror_that_feeds_itself_is_found_by_its_switch),
		TEST(guard_leaves_it_to_a_spanning_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
