/*
 * What ports are set to: limits of addresses, storms, isolation, sizes,
 * mirrors.
 */
#include "switch/switch.h"

#include <errno.h>

#include "tests/switch/lan.h"

/* ---- addresses ---- */

static void
one_address_too_many_is_refused_or_shuts_or_evicts(void **state)
{
	struct lan *lan = *state;

	assert_int_equal(
	    switch_limit_macs(lan->port[0], 2, MAC_DROP, false), 0);
	assert_int_equal(lan_send(lan, 0, 0xff, 10).nout, 5);
	assert_int_equal(lan_send(lan, 0, 0xff, 11).nout, 5);
	lan_forget(lan);
	assert_int_equal(lan_send(lan, 0, 0xff, 12).reason, DROP_MAC_LIMIT);
	assert_int_equal(lan->sink[1]->n, 0);
	assert_int_equal(lan_send(lan, 0, 0xff, 10).nout, 5);

	switch_limit_macs(lan->port[0], 2, MAC_EVICT, false);
	assert_int_equal(lan_send(lan, 0, 0xff, 12).nout, 5);
	assert_int_equal(lan_send(lan, 1, 10, 1).reason, REASON_FLOOD_UNKNOWN);
	assert_int_equal(lan_send(lan, 1, 11, 1).reason, REASON_FORWARDED);

	switch_limit_macs(lan->port[0], 2, MAC_SHUT, false);
	assert_int_equal(lan_send(lan, 0, 0xff, 13).reason, DROP_MAC_LIMIT);
	lan_pass_time(lan, NS_PER_MS);
	assert_false(lan->sink[0]->link);
	port_set_down(lan->port[0], false);
	assert_true(lan->sink[0]->link);
	assert_int_equal(lan_send(lan, 0, 0xff, 13).nout, 5);
}

static void
sticky_address_stays_and_is_refused_elsewhere(void **state)
{
	struct lan *lan = *state;

	switch_limit_macs(lan->port[0], 1, MAC_DROP, true);
	lan_send(lan, 0, 0xff, 10);
	port_set_down(lan->port[0], true);
	port_set_down(lan->port[0], false);
	lan_pass_time(lan, 2 * SWITCH_AGE_S * NS_PER_S);
	assert_int_equal(lan_send(lan, 1, 10, 1).reason, REASON_FORWARDED);
	assert_int_equal(lan_send(lan, 1, 0xff, 10).reason, DROP_MAC_PINNED);
	assert_int_equal(lan_send(lan, 0, 0xff, 11).reason, DROP_MAC_LIMIT);
	switch_limit_macs(lan->port[0], 0, MAC_DROP, false);
	assert_int_equal(lan_send(lan, 1, 0xff, 10).nout, 5);
}

static void
switchs_own_address_is_nobody_elses(void **state)
{
	struct lan *lan = *state;
	const struct mac own = mac_of_name("lan");
	uint8_t bytes[LAN_BYTES];

	lan_fill(bytes, sizeof(bytes), 0, 1);
	memcpy(bytes + 6, own.b, 6);
	assert_int_equal(lan_send_bytes(lan, 1, bytes, sizeof(bytes)).reason,
	    DROP_OWN_ADDRESS);
	lan_fill(bytes, sizeof(bytes), 0, 1);
	memcpy(bytes, own.b, 6);
	assert_int_equal(lan_send_bytes(lan, 1, bytes, sizeof(bytes)).reason,
	    DROP_OWN_ADDRESS);
}

static void
reserved_addresses_pass_one_by_one_on_request(void **state)
{
	const struct switch_options options = { .reserved = 1 << 0xe | 1 };
	struct lan *lan = *state;
	struct err err = { "" };
	struct lan_switch *sw = switch_new(lan->loop, "open", &options, &err);

	for (int i = 0; i < 2; i++) {
		cable_cut(lan->port[i]);
		cable_join(
		    switch_add_port(sw, "open.p", &err), &lan->sink[i]->port);
	}
	for (uint8_t last = 0; last < 16; last++) {
		uint8_t bytes[LAN_BYTES];

		lan_fill(bytes, sizeof(bytes), 0, 1);
		memcpy(bytes, "\x01\x80\xc2\0\0", 5);
		bytes[5] = last;
		assert_int_equal(
		    lan_send_bytes(lan, 1, bytes, sizeof(bytes)).reason,
		    last == 0 || last == 0xe ? REASON_FLOOD_GROUP
					     : DROP_RESERVED);
	}
	assert_int_equal(lan->sink[0]->n, 2);
	switch_free(sw);
}

/* ---- storms ---- */

static struct verdict
send_multicast(struct lan *lan, int from)
{
	uint8_t bytes[LAN_BYTES];

	lan_fill(bytes, sizeof(bytes), 0, (uint8_t)from);
	memcpy(bytes, "\x01\0\x5e\0\0\x01", 6);
	return lan_send_bytes(lan, from, bytes, sizeof(bytes));
}

static void
storms_are_limited_by_class_and_rate(void **state)
{
	struct lan *lan = *state;

	lan_send(lan, 1, 0xff, 1);
	switch_limit_storm(lan->port[0], STORM_BROADCAST, 100);
	switch_limit_storm(lan->port[0], STORM_UNKNOWN, 10);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(lan_send(lan, 0, 0xff, 0).reason,
		    i < 100 ? REASON_FLOOD_BROADCAST : DROP_STORM);
		assert_int_equal(lan_send(lan, 0, 99, 0).reason,
		    i < 10 ? REASON_FLOOD_UNKNOWN : DROP_STORM);
		/* what is known, of other groups, or of others is free */
		assert_int_equal(
		    lan_send(lan, 0, 1, 0).reason, REASON_FORWARDED);
		assert_int_equal(
		    send_multicast(lan, 0).reason, REASON_FLOOD_GROUP);
		assert_int_equal(
		    lan_send(lan, 2, 0xff, 2).reason, REASON_FLOOD_BROADCAST);
		lan_forget(lan);
	}
	switch_limit_storm(lan->port[0], STORM_BROADCAST, 0);
	assert_int_equal(
	    lan_send(lan, 0, 0xff, 0).reason, REASON_FLOOD_BROADCAST);
	assert_int_equal(lan_send(lan, 0, 99, 0).reason, DROP_STORM);
}

static void
storm_that_lasts_passes_at_its_rate(void **state)
{
	static const uint32_t rates[] = { 1, 7, 100, 3000 };
	struct lan *lan = *state;

	for (size_t k = 0; k < sizeof(rates) / sizeof(rates[0]); k++) {
		uint64_t before, passed;

		lan_pass_time(lan, 2 * NS_PER_S);
		switch_limit_storm(lan->port[0], STORM_BROADCAST, rates[k]);
		before = switch_node(lan->sw)->count[REASON_FLOOD_BROADCAST];
		/* 10,000 a second for ten seconds */
		for (int i = 0; i < 100000; i++) {
			lan_send(lan, 0, 0xff, 0);
			lan_forget(lan);
			lan_pass_time(lan, 100 * NS_PER_US);
		}
		passed = switch_node(lan->sw)->count[REASON_FLOOD_BROADCAST] -
		    before;
		assert_in_range(passed, 11 * rates[k] - 1, 11 * rates[k] + 1);
	}
}

/* ---- isolation ---- */

static void
isolated_ports_meet_the_rest_alone(void **state)
{
	struct lan *lan = *state;

	switch_set_isolated(lan->port[0], true);
	switch_set_isolated(lan->port[1], true);
	lan_send(lan, 2, 0xff, 2);
	assert_int_equal(lan->sink[0]->n + lan->sink[1]->n, 2);
	assert_int_equal(lan_send(lan, 1, 0xff, 1).nout, 4);
	assert_int_equal(lan->sink[0]->n, 1);
	assert_int_equal(lan_send(lan, 0, 1, 0).reason, DROP_ISOLATED);
	assert_int_equal(lan_send(lan, 0, 2, 0).reason, REASON_FORWARDED);
	assert_int_equal(lan_send(lan, 2, 1, 2).reason, REASON_FORWARDED);
	switch_set_isolated(lan->port[1], false);
	assert_int_equal(lan_send(lan, 0, 1, 0).reason, REASON_FORWARDED);
}

/* ---- sizes ---- */

static void
mtu_counts_payload_in_and_out(void **state)
{
	static const struct {
		size_t len;
		unsigned int tags;
		bool passes;
	} rows[] = { { 1514, 0, true }, { 1515, 0, false }, { 1518, 1, true },
		{ 1519, 1, false }, { 1522, 2, true }, { 1523, 2, false },
		{ 14, 0, true } };
	static uint8_t bytes[9300];
	struct lan *lan = *state;

	switch_set_mtu(lan->port[0], 1500);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t refused = lan->port[0]->out_drops;

		lan_fill(bytes, sizeof(bytes), 0xff, 0);
		for (unsigned int t = 0; t < rows[i].tags; t++)
			lan_tag(bytes, 2000, t == 0 ? ETH_VLAN : ETH_QINQ, 5);
		assert_int_equal(
		    lan_send_bytes(lan, 0, bytes, rows[i].len).reason,
		    rows[i].passes ? REASON_FLOOD_BROADCAST : DROP_TOO_LONG);
		lan_forget(lan);
		bytes[11] = 1;
		assert_int_equal(
		    lan_send_bytes(lan, 1, bytes, rows[i].len).nout, 5);
		assert_int_equal(lan->sink[0]->n, rows[i].passes);
		assert_int_equal(lan->sink[2]->n, 1);
		assert_int_equal(
		    lan->port[0]->out_drops - refused, !rows[i].passes);
	}
	assert_int_equal(switch_node(lan->sw)->count[DROP_TOO_LONG], 6);
	switch_set_mtu(lan->port[0], 9216);
	lan_forget(lan);
	lan_fill(bytes, sizeof(bytes), 0xff, 1);
	lan_send_bytes(lan, 1, bytes, 9230);
	lan_send_bytes(lan, 1, bytes, 9231);
	assert_int_equal(lan->sink[0]->n, 1);
}

static void
superframe_is_as_long_as_its_segments(void **state)
{
	static uint8_t bytes[60000];
	struct lan *lan = *state;
	struct burst burst;
	struct frame *frame;

	switch_set_mtu(lan->port[0], 1500);
	lan_fill(bytes, sizeof(bytes), 0xff, 1);
	burst_clear(&burst);
	frame = burst_add(&burst, bytes, sizeof(bytes));
	frame->flags = burst.flags = FRAME_CSUM | FRAME_TSO4;
	frame->csum_start = 34;
	frame->csum_offset = 16;
	frame->header_bytes = 54;
	frame->gso_bytes = 1460;
	port_send(&lan->sink[1]->port, &burst);
	assert_int_equal(lan->sink[0]->n, 1);
	frame->gso_bytes = 1461;
	port_send(&lan->sink[1]->port, &burst);
	assert_int_equal(lan->sink[0]->n, 1);
	assert_int_equal(lan->sink[2]->n, 2);
}

/* ---- mirrors ---- */

static void
mirror_shows_what_comes_in_and_goes_out(void **state)
{
	struct lan *lan = *state;
	struct mirror_options m = { .to = lan->port[5] };
	int number;

	port_set_add(&m.in, 1); /* index 0 is the switch itself */
	port_set_add(&m.out, 1);
	number = switch_add_mirror(lan->sw, &m);
	assert_true(number >= 0);
	/* in, also what is refused */
	lan_send(lan, 0, 0xff, 0);
	lan_forget(lan);
	lan_send(lan, 0, 0, 0);
	assert_int_equal(lan->sink[5]->n, 1);
	assert_int_equal(
	    lan->sink[5]->frame[0].caused_by.reason, DROP_SAME_PORT);
	/* out of port 0 it goes only if it is sent there */
	lan_send(lan, 1, 2, 1);
	lan_send(lan, 2, 1, 2);
	assert_int_equal(lan->sink[5]->n, 2);
	lan_send(lan, 2, 0, 2);
	assert_int_equal(lan->sink[5]->n, 3);
	/* the port is for that alone */
	assert_int_equal(lan_send(lan, 5, 0xff, 5).reason, DROP_MIRROR_PORT);
	assert_int_equal(lan_send(lan, 2, 0xff, 2).nout, 4);
	assert_int_equal(lan->sink[5]->n, 4); /* as it left by port 0 */
	switch_remove_mirror(lan->sw, (unsigned int)number);
	assert_int_equal(lan_send(lan, 5, 0xff, 5).nout, 5);
}

static void
mirror_of_a_vlan_shows_frames_as_they_came(void **state)
{
	struct vlan_options access = { .mode = VLAN_ACCESS, .vlan = 10 };
	struct lan *lan = *state;
	struct mirror_options m = { .to = lan->port[5], .vlan = 10 };

	switch_set_vlan(lan->port[0], &access);
	access.vlan = 20;
	switch_set_vlan(lan->port[1], &access);
	assert_int_equal(switch_add_mirror(lan->sw, &m), 0);
	lan_send(lan, 0, 0xff, 0);
	lan_send(lan, 1, 0xff, 1);
	lan_send_tagged(lan, 2, 0xff, 2, ETH_VLAN, 10);
	lan_send_tagged(lan, 2, 0xff, 2, ETH_VLAN, 20);
	assert_int_equal(lan->sink[5]->n, 2);
	assert_int_equal(lan->sink[5]->frame[0].len, LAN_BYTES);
	assert_int_equal(lan->sink[5]->frame[1].len, LAN_BYTES + 4);
}

static void
mirrors_do_not_look_at_themselves_and_go_with_their_port(void **state)
{
	struct lan *lan = *state;
	struct mirror_options m = { .to = lan->port[5] };
	struct err err = { "" };

	port_set_add(&m.in, 6);
	assert_int_equal(switch_add_mirror(lan->sw, &m), -EBUSY);
	port_set_remove(&m.in, 6);
	port_set_add(&m.in, 1);
	for (int i = 0; i < SWITCH_MIRRORS; i++)
		assert_int_equal(switch_add_mirror(lan->sw, &m), i);
	assert_int_equal(switch_add_mirror(lan->sw, &m), -ENOSPC);
	lan_send(lan, 0, 0xff, 0);
	assert_int_equal(lan->sink[5]->n, SWITCH_MIRRORS);
	m.to = lan->port[0];
	port_set_remove(&m.in, 1);
	switch_remove_mirror(lan->sw, 0);
	assert_int_equal(switch_add_mirror(lan->sw, &m), -EBUSY);
	switch_remove_port(lan->sw, lan->port[5]);
	lan->port[5] = switch_add_port(lan->sw, "lan.again", &err);
	cable_join(lan->port[5], &lan->sink[5]->port);
	lan_forget(lan);
	lan_send(lan, 0, 0xff, 0);
	assert_int_equal(lan->sink[5]->n, 1);
}

/* ---- words ---- */

static void
ports_say_what_they_are(void **state)
{
	struct lan *lan = *state;
	struct vlan_options trunk = { .mode = VLAN_TRUNK, .vlan = 1 };
	char text[200];

	assert_string_equal(
	    switch_describe(lan->port[0], text, sizeof(text)), "");
	vlan_set_add(&trunk.allowed, 10, 10);
	vlan_set_add(&trunk.allowed, 20, 22);
	switch_set_vlan(lan->port[0], &trunk);
	switch_set_isolated(lan->port[0], true);
	switch_set_mtu(lan->port[0], 1500);
	switch_limit_storm(lan->port[0], STORM_BROADCAST, 100);
	switch_limit_macs(lan->port[0], 3, MAC_SHUT, true);
	assert_string_equal(switch_describe(lan->port[0], text, sizeof(text)),
	    "trunk 10,20-22, native 1, isolated, mtu 1500, broadcast 100/s, "
	    "3 sticky addresses");
	for (size_t len = 1; len < 60; len++) {
		memset(text, 'x', sizeof(text));
		switch_describe(lan->port[0], text, len);
		assert_true(strlen(text) < len);
		assert_int_equal(text[len], 'x');
	}
}

int
main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, lan_set_up, lan_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(one_address_too_many_is_refused_or_shuts_or_evicts),
		TEST(sticky_address_stays_and_is_refused_elsewhere),
		TEST(switchs_own_address_is_nobody_elses),
		TEST(reserved_addresses_pass_one_by_one_on_request),
		TEST(storms_are_limited_by_class_and_rate),
		TEST(storm_that_lasts_passes_at_its_rate),
		TEST(isolated_ports_meet_the_rest_alone),
		TEST(mtu_counts_payload_in_and_out),
		TEST(superframe_is_as_long_as_its_segments),
		TEST(mirror_shows_what_comes_in_and_goes_out),
		TEST(mirror_of_a_vlan_shows_frames_as_they_came),
		TEST(mirrors_do_not_look_at_themselves_and_go_with_their_port),
		TEST(ports_say_what_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
