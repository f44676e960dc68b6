#include "switch/protocol.h"

#include <errno.h>

#include "switch/bond.h"
#include "tests/switch/lan.h"

/* A protocol that remembers what it was told. */
struct spy {
	struct switch_protocol protocol; /* first */
	unsigned int inputs, added, removed, ups, downs;
	struct port *port;
	uint8_t bytes[64];
	size_t len, frame_len, payload;
	uint16_t type, vlan;
	bool tagged;
	enum reason reason;
	const struct port_set *only, *members;
	const void *answer;
};

static enum reason
spy_input(struct switch_protocol *protocol, struct switch_input *in)
{
	struct spy *spy = (struct spy *)protocol;

	spy->inputs++;
	spy->port = in->port;
	spy->len = in->len;
	spy->frame_len = in->frame_len;
	spy->payload = in->payload;
	spy->type = in->type;
	spy->vlan = in->vlan;
	spy->tagged = in->tagged;
	memcpy(spy->bytes, in->bytes, in->len < 64 ? in->len : 64);
	in->only = spy->only;
	if (spy->answer != NULL)
		switch_send(in->port, spy->answer, LAN_BYTES);
	return spy->reason;
}

static const struct port_set *
spy_group(const struct switch_protocol *protocol, const struct mac *dst,
    const struct frame *frame, uint16_t vlan)
{
	(void)dst;
	(void)frame;
	(void)vlan;
	return ((const struct spy *)protocol)->members;
}

static void
spy_added(struct switch_protocol *protocol, struct port *port)
{
	(void)port;
	((struct spy *)protocol)->added++;
}

static void
spy_removed(struct switch_protocol *protocol, struct port *port)
{
	(void)port;
	((struct spy *)protocol)->removed++;
}

static void
spy_link(struct switch_protocol *protocol, struct port *port, bool up)
{
	struct spy *spy = (struct spy *)protocol;

	(void)port;
	if (up)
		spy->ups++;
	else
		spy->downs++;
}

#define SPY(n, w, r, s, g)                                                 \
	{                                                                  \
		.name = (n), .wires = (w), .reserved = (r), .snoops = (s), \
		.group = (g), .input = spy_input, .port_added = spy_added, \
		.port_removed = spy_removed, .link = spy_link              \
	}

static const struct switch_protocol_ops tree_ops = SPY("tree", false,
					    1 << RESERVED_BRIDGE, false, NULL),
					wire_ops = SPY("wire", true,
					    1 << RESERVED_SLOW, false, NULL),
					snoop_ops = SPY(
					    "snoop", false, 0, true, spy_group);

static struct spy
spy_of(const struct switch_protocol_ops *ops)
{
	return (struct spy){ .protocol.ops = ops, .reason = REASON_DELIVERED };
}

static struct verdict
send_reserved(struct lan *lan, int from, uint8_t last)
{
	uint8_t bytes[LAN_BYTES];

	lan_fill(bytes, sizeof(bytes), 0, 1);
	memcpy(bytes, "\x01\x80\xc2\0\0", 5);
	bytes[5] = last;
	return lan_send_bytes(lan, from, bytes, sizeof(bytes));
}

static void
protocol_is_told_of_ports_there_are_and_of_changes(void **state)
{
	struct lan *lan = *state;
	struct spy spy = spy_of(&tree_ops);
	struct err err = { "" };
	struct port *more;

	assert_int_equal(switch_join(lan->sw, &spy.protocol), 0);
	assert_int_equal(spy.added, LAN_SINKS);
	assert_int_equal(spy.ups, LAN_SINKS);
	more = switch_add_port(lan->sw, "lan.more", &err);
	assert_int_equal(spy.added, LAN_SINKS + 1);
	assert_int_equal(spy.ups, LAN_SINKS);
	port_set_down(&lan->sink[2]->port, true);
	assert_int_equal(spy.downs, 1);
	switch_remove_port(lan->sw, more);
	assert_int_equal(spy.removed, 1);
	switch_leave(&spy.protocol);
	switch_leave(&spy.protocol);
	port_set_down(&lan->sink[2]->port, false);
	assert_int_equal(spy.ups, LAN_SINKS);
}

static void
claimed_address_is_handed_over_and_not_learned(void **state)
{
	struct lan *lan = *state;
	struct spy spy = spy_of(&tree_ops);
	struct verdict v;

	switch_join(lan->sw, &spy.protocol);
	v = send_reserved(lan, 1, RESERVED_BRIDGE);
	assert_int_equal(v.reason, REASON_DELIVERED);
	assert_ptr_equal(v.node, switch_node(lan->sw));
	assert_int_equal(spy.inputs, 1);
	assert_ptr_equal(spy.port, lan->port[1]);
	assert_int_equal(spy.len, LAN_BYTES);
	assert_int_equal(spy.frame_len, LAN_BYTES);
	assert_int_equal(spy.payload, 14);
	assert_int_equal(spy.type, 0x88b6);
	assert_memory_equal(
	    spy.bytes, "\x01\x80\xc2\0\0\0\x02\0\0\0\0\x01", 12);
	assert_int_equal(lan->sink[0]->n, 0);
	assert_int_equal(lan_send(lan, 0, 1, 0).reason, REASON_FLOOD_UNKNOWN);
	/* others are the switch's own affair */
	assert_int_equal(
	    send_reserved(lan, 1, RESERVED_NEAREST).reason, DROP_RESERVED);
	spy.reason = DROP_LLDP;
	assert_int_equal(
	    send_reserved(lan, 1, RESERVED_BRIDGE).reason, DROP_LLDP);
	spy.reason = REASON_NONE;
	assert_int_equal(
	    send_reserved(lan, 1, RESERVED_BRIDGE).reason, DROP_RESERVED);
	switch_leave(&spy.protocol);
	send_reserved(lan, 1, RESERVED_BRIDGE);
	assert_int_equal(spy.inputs, 3);
}

static void
each_of_alike_frames_in_a_burst_is_handed_over(void **state)
{
	struct lan *lan = *state;
	struct spy spy = spy_of(&tree_ops);
	uint8_t bytes[8][LAN_BYTES];
	struct burst burst;

	switch_join(lan->sw, &spy.protocol);
	burst_clear(&burst);
	for (int i = 0; i < 8; i++) {
		lan_fill(bytes[i], LAN_BYTES, 0, 1);
		memcpy(bytes[i], "\x01\x80\xc2\0\0\0", 6);
		burst_add(&burst, bytes[i], LAN_BYTES);
	}
	port_send(&lan->sink[1]->port, &burst);
	assert_int_equal(spy.inputs, 8);
	switch_leave(&spy.protocol);
}

static void
answer_leaves_by_the_port_it_came_by(void **state)
{
	struct lan *lan = *state;
	struct spy spy = spy_of(&tree_ops);
	uint8_t bytes[LAN_BYTES];

	switch_join(lan->sw, &spy.protocol);
	lan_fill(bytes, sizeof(bytes), 1, 9);
	spy.answer = bytes;
	switch_set_state(lan->port[1], 0, SWITCH_DISCARDING);
	send_reserved(lan, 1, RESERVED_BRIDGE);
	assert_int_equal(lan->sink[1]->n, 1);
	assert_memory_equal(lan->sink[1]->frame[0].data, bytes, LAN_BYTES);
	assert_int_equal(lan->sink[0]->n, 0);
	switch_leave(&spy.protocol);
}

static void
long_frame_is_handed_over_in_part(void **state)
{
	static uint8_t bytes[9000];
	struct lan *lan = *state;
	struct spy spy = spy_of(&tree_ops);

	switch_join(lan->sw, &spy.protocol);
	lan_fill(bytes, sizeof(bytes), 0, 1);
	memcpy(bytes, "\x01\x80\xc2\0\0\0", 6);
	lan_send_bytes(lan, 1, bytes, sizeof(bytes));
	assert_int_equal(spy.len, SWITCH_INPUT_BYTES);
	assert_int_equal(spy.frame_len, sizeof(bytes));
	for (size_t len = 14; len < 20; len++) {
		lan_send_bytes(lan, 1, bytes, len);
		assert_int_equal(spy.len, len);
	}
	assert_int_equal(lan_send_bytes(lan, 1, bytes, 13).reason, DROP_SHORT);
	switch_leave(&spy.protocol);
}

/* ---- states ---- */

static void
port_states_discard_learn_and_forward(void **state)
{
	static const struct {
		enum switch_state state;
		enum reason in, to; /* from the port; from another to it */
	} rows[] = {
		{ SWITCH_DISCARDING, DROP_DISCARDING, REASON_FLOOD_UNKNOWN },
		{ SWITCH_LEARNING, DROP_DISCARDING, DROP_DISCARDING_OUT },
		{ SWITCH_FORWARDING, REASON_FLOOD_BROADCAST, REASON_FORWARDED },
	};
	struct lan *lan = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		switch_flush(lan->port[1], SWITCH_ALL_TREES);
		lan_forget(lan);
		switch_set_state(lan->port[1], 0, rows[i].state);
		assert_int_equal(
		    switch_get_state(lan->port[1], 0), rows[i].state);
		assert_int_equal(lan_send(lan, 1, 0xff, 1).reason, rows[i].in);
		assert_int_equal(lan_send(lan, 0, 1, 0).reason, rows[i].to);
		assert_int_equal(lan->sink[1]->n, i == 2);
		/* floods pass it by */
		assert_int_equal(lan_send(lan, 0, 0xff, 0).nout,
		    i == 2 ? LAN_SINKS - 1 : LAN_SINKS - 2);
	}
}

static void
vlans_of_another_tree_have_their_own_state(void **state)
{
	struct vlan_options trunk = { .mode = VLAN_TRUNK };
	struct lan *lan = *state;

	vlan_set_add(&trunk.allowed, 1, VLAN_MAX);
	for (int i = 0; i < LAN_SINKS; i++)
		assert_int_equal(switch_set_vlan(lan->port[i], &trunk), 0);
	assert_int_equal(switch_set_tree(lan->sw, 20, 5), 0);
	switch_set_state(lan->port[1], 5, SWITCH_DISCARDING);
	assert_int_equal(lan_send_tagged(lan, 1, 0xff, 1, ETH_VLAN, 20).reason,
	    DROP_DISCARDING);
	assert_int_equal(lan_send_tagged(lan, 1, 0xff, 1, ETH_VLAN, 10).reason,
	    REASON_FLOOD_BROADCAST);
	switch_set_state(lan->port[1], 5, SWITCH_LEARNING);
	lan_send_tagged(lan, 1, 0xff, 1, ETH_VLAN, 20);
	assert_int_equal(lan_send_tagged(lan, 0, 1, 0, ETH_VLAN, 20).reason,
	    DROP_DISCARDING_OUT);
	/* flushing one tree leaves the other */
	switch_flush(lan->port[1], 5);
	assert_int_equal(lan_send_tagged(lan, 0, 1, 0, ETH_VLAN, 20).reason,
	    REASON_FLOOD_UNKNOWN);
	assert_int_equal(lan_send_tagged(lan, 0, 1, 0, ETH_VLAN, 10).reason,
	    REASON_FORWARDED);
}

/* ---- sending ---- */

static void
own_frames_go_into_a_vlan_as_each_port_wants_them(void **state)
{
	struct vlan_options access = { .mode = VLAN_ACCESS, .vlan = 10 };
	struct vlan_options trunk = { .mode = VLAN_TRUNK };
	struct lan *lan = *state;
	struct port_set only = { { 0 } };
	uint8_t bytes[LAN_BYTES], tagged[LAN_BYTES + 4];

	vlan_set_add(&trunk.allowed, 10, 10);
	switch_set_vlan(lan->port[0], &access);
	switch_set_vlan(lan->port[1], &trunk);
	access.vlan = 11;
	switch_set_vlan(lan->port[2], &access);
	switch_set_vlan(lan->port[3], &trunk);
	switch_set_state(lan->port[3], 0, SWITCH_LEARNING);
	port_set_down(lan->port[4], true);
	/* port 5 is transparent */
	lan_fill(bytes, sizeof(bytes), 0xff, 99);
	memcpy(tagged, bytes, sizeof(bytes));
	lan_tag(tagged, sizeof(bytes), ETH_VLAN, 10);
	assert_int_equal(
	    switch_send_vlan(lan->sw, 10, NULL, bytes, sizeof(bytes)), 3);
	assert_int_equal(lan->sink[0]->frame[0].len, LAN_BYTES);
	assert_memory_equal(lan->sink[0]->frame[0].data, bytes, LAN_BYTES);
	assert_int_equal(lan->sink[1]->frame[0].len, LAN_BYTES + 4);
	assert_memory_equal(lan->sink[1]->frame[0].data, tagged, LAN_BYTES + 4);
	assert_memory_equal(lan->sink[5]->frame[0].data, tagged, LAN_BYTES + 4);
	assert_int_equal(lan->sink[2]->n + lan->sink[3]->n, 0);
	port_set_add(&only, switch_port_index(lan->port[1]));
	assert_int_equal(
	    switch_send_vlan(lan->sw, 10, &only, bytes, sizeof(bytes)), 1);
	assert_int_equal(lan->sink[1]->n, 2);
}

/* ---- snooping ---- */

static struct verdict
send_group(struct lan *lan, int from, uint8_t protocol)
{
	uint8_t bytes[LAN_BYTES];

	lan_fill(bytes, sizeof(bytes), 0, (uint8_t)from);
	memcpy(bytes, "\x01\0\x5e\x01\x02\x03", 6);
	put_be16(bytes + 12, ETH_IPV4);
	bytes[14] = 0x46;
	bytes[14 + 9] = protocol;
	return lan_send_bytes(lan, from, bytes, sizeof(bytes));
}

static void
group_goes_to_the_ports_that_want_it(void **state)
{
	struct lan *lan = *state;
	struct spy spy = spy_of(&snoop_ops), other = spy_of(&snoop_ops);
	struct port_set set = { { 0 } };
	struct verdict v;

	assert_int_equal(switch_join(lan->sw, &spy.protocol), 0);
	assert_int_equal(switch_join(lan->sw, &other.protocol), -EBUSY);
	spy.members = &set;
	v = send_group(lan, 0, 17);
	assert_int_equal(v.reason, DROP_NO_MEMBER);
	assert_int_equal(spy.inputs, 0);
	port_set_add(&set, switch_port_index(lan->port[0]));
	port_set_add(&set, switch_port_index(lan->port[2]));
	port_set_add(&set, switch_port_index(lan->port[4]));
	v = send_group(lan, 0, 17);
	assert_int_equal(v.reason, REASON_TO_MEMBERS);
	assert_int_equal(v.nout, 2);
	assert_ptr_equal(v.out, lan->port[2]);
	for (int i = 0; i < LAN_SINKS; i++)
		assert_int_equal(lan->sink[i]->n, i == 2 || i == 4);
	spy.members = NULL;
	assert_int_equal(send_group(lan, 0, 17).reason, REASON_FLOOD_GROUP);
	/* broadcasts are no group */
	spy.members = &set;
	assert_int_equal(lan_send(lan, 0, 0xff, 0).nout, LAN_SINKS - 1);
	switch_leave(&spy.protocol);
}

static void
group_messages_are_seen_and_go_where_they_are_sent(void **state)
{
	struct lan *lan = *state;
	struct spy spy = spy_of(&snoop_ops);
	struct port_set routers = { { 0 } };

	switch_join(lan->sw, &spy.protocol);
	assert_int_equal(send_group(lan, 0, 2).reason, REASON_DELIVERED);
	assert_int_equal(spy.inputs, 1);
	assert_int_equal(spy.type, ETH_IPV4);
	spy.reason = REASON_NONE;
	port_set_add(&routers, switch_port_index(lan->port[3]));
	spy.only = &routers;
	lan_forget(lan);
	assert_int_equal(send_group(lan, 0, 2).reason, REASON_TO_ROUTERS);
	for (int i = 0; i < LAN_SINKS; i++)
		assert_int_equal(lan->sink[i]->n, i == 3);
	/* not from where nothing may come in */
	switch_set_state(lan->port[0], 0, SWITCH_DISCARDING);
	assert_int_equal(send_group(lan, 0, 2).reason, DROP_DISCARDING);
	assert_int_equal(spy.inputs, 2);
	switch_leave(&spy.protocol);
}

static void
memory_in_use_is_freed_later(void **state)
{
	struct lan *lan = *state;

	/* the sanitizer tells whether it is freed, and once */
	switch_free_later(lan->sw, NULL);
	switch_free_later(lan->sw, malloc(10));
}

/* ---- bonds ---- */

static struct port *
bond_of(struct lan *lan, enum flow_level level, int first, int n)
{
	const struct flow_options hash = { .level = level };
	struct err err = { "" };
	struct port *bond = switch_add_bond(lan->sw, "lan.bond", &hash, &err);

	for (int i = first; i < first + n; i++) {
		assert_int_equal(switch_bond_join(bond, lan->port[i]), 0);
		switch_bond_use(lan->port[i], true, true);
	}
	return bond;
}

static void
bond_is_one_port_to_the_switch(void **state)
{
	struct lan *lan = *state;
	struct port *bond = bond_of(lan, FLOW_L2, 0, 3);
	struct verdict v;

	/* flooded to one wire of it, and not back to it */
	v = lan_send(lan, 4, 0xff, 4);
	assert_int_equal(v.nout, 3);
	assert_int_equal(
	    lan->sink[0]->n + lan->sink[1]->n + lan->sink[2]->n, 1);
	lan_forget(lan);
	v = lan_send(lan, 1, 0xff, 1);
	assert_int_equal(v.nout, 3);
	assert_int_equal(
	    lan->sink[0]->n + lan->sink[1]->n + lan->sink[2]->n, 0);
	/* learned on the bond, whatever wire it came by */
	v = lan_send(lan, 4, 1, 4);
	assert_ptr_equal(v.out, bond);
	assert_int_equal(lan_send(lan, 2, 4, 1).reason, REASON_FORWARDED);
	assert_ptr_equal(switch_bridge_port(lan->port[2]), bond);
	assert_int_equal(switch_bond_join(bond, lan->port[2]), -EBUSY);
	switch_remove_port(lan->sw, bond);
	assert_ptr_equal(switch_bridge_port(lan->port[2]), lan->port[2]);
	assert_int_equal(lan_send(lan, 4, 0xff, 4).nout, LAN_SINKS - 1);
}

static void
flows_stay_on_one_wire_and_use_all(void **state)
{
	struct lan *lan = *state;
	struct port *bond = bond_of(lan, FLOW_L4, 0, 3);
	uint8_t bytes[LAN_BYTES];

	(void)bond;
	lan_send(lan, 0, 0xff, 0);
	for (unsigned int flow = 0; flow < 64; flow++) {
		int used = -1;

		lan_fill(bytes, sizeof(bytes), 0, 4);
		put_be16(bytes + 12, ETH_IPV4);
		bytes[14] = 0x45;
		put_be16(bytes + 20, 0);
		bytes[23] = 17;
		put_be16(bytes + 36, (uint16_t)(1000 + flow));
		lan_forget(lan);
		for (int k = 0; k < 3; k++) {
			bytes[50] = (uint8_t)k;
			lan_send_bytes(lan, 4, bytes, sizeof(bytes));
		}
		for (int i = 0; i < 3; i++)
			if (lan->sink[i]->n > 0) {
				assert_int_equal(lan->sink[i]->n, 3);
				assert_int_equal(used, -1);
				used = i;
			}
		assert_true(used >= 0);
	}
	for (int i = 0; i < 3; i++)
		assert_in_range(lan->port[i]->out_frames, 30, 110);
}

/* The wire that each of 64 flows leaves by. */
static void
wires_of(struct lan *lan, int used[64])
{
	uint8_t bytes[LAN_BYTES];

	for (unsigned int flow = 0; flow < 64; flow++) {
		lan_fill(bytes, sizeof(bytes), 0xff, 4);
		bytes[10] = (uint8_t)flow;
		lan_forget(lan);
		lan_send_bytes(lan, 4, bytes, sizeof(bytes));
		used[flow] = -1;
		for (int i = 0; i < 3; i++)
			if (lan->sink[i]->n > 0)
				used[flow] = i;
		assert_true(used[flow] >= 0);
	}
}

static void
only_flows_of_a_wire_that_is_lost_move(void **state)
{
	struct lan *lan = *state;
	int before[64], without[64], again[64];

	(void)bond_of(lan, FLOW_L2, 0, 3);
	wires_of(lan, before);
	port_set_down(&lan->sink[1]->port, true);
	wires_of(lan, without);
	port_set_down(&lan->sink[1]->port, false);
	wires_of(lan, again);
	for (int i = 0; i < 64; i++) {
		assert_int_not_equal(without[i], 1);
		if (before[i] != 1)
			assert_int_equal(without[i], before[i]);
		/* what it has got back is all that moved again */
		if (again[i] != 1)
			assert_int_equal(again[i], without[i]);
	}
}

static void
idle_wire_takes_and_sends_nothing(void **state)
{
	struct lan *lan = *state;
	struct port *bond = bond_of(lan, FLOW_L2, 0, 2);
	struct spy spy = spy_of(&wire_ops), tree = spy_of(&tree_ops);

	switch_join(lan->sw, &spy.protocol);
	switch_join(lan->sw, &tree.protocol);
	assert_int_equal(spy.added, LAN_SINKS);
	assert_int_equal(tree.added, LAN_SINKS - 1);
	switch_bond_use(lan->port[0], false, false);
	assert_int_equal(lan_send(lan, 0, 0xff, 0).reason, DROP_COLLECTING);
	lan_send(lan, 4, 0xff, 4);
	assert_int_equal(lan->sink[0]->n, 0);
	assert_int_equal(lan->sink[1]->n, 1);
	/* but LACP speaks there, and spanning tree by the bond */
	assert_int_equal(
	    send_reserved(lan, 0, RESERVED_SLOW).reason, REASON_DELIVERED);
	assert_ptr_equal(spy.port, lan->port[0]);
	send_reserved(lan, 1, RESERVED_BRIDGE);
	assert_ptr_equal(tree.port, bond);
	/* the last wire takes the bond's link with it */
	assert_true(switch_port_link(bond));
	port_set_down(&lan->sink[1]->port, true);
	assert_false(switch_port_link(bond));
	assert_int_equal(tree.downs, 1);
	assert_int_equal(spy.downs, 1);
	assert_int_equal(lan_send(lan, 4, 0xff, 4).nout, 3);
	port_set_down(&lan->sink[1]->port, false);
	assert_int_equal(lan_send(lan, 4, 0xff, 4).nout, 4);
	switch_bond_leave(lan->port[0]);
	assert_int_equal(tree.added, LAN_SINKS);
	assert_int_equal(lan_send(lan, 4, 0xff, 4).nout, 5);
	switch_leave(&spy.protocol);
	switch_leave(&tree.protocol);
}

int
main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, lan_set_up, lan_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(protocol_is_told_of_ports_there_are_and_of_changes),
		TEST(claimed_address_is_handed_over_and_not_learned),
		TEST(each_of_alike_frames_in_a_burst_is_handed_over),
		TEST(answer_leaves_by_the_port_it_came_by),
		TEST(long_frame_is_handed_over_in_part),
		TEST(port_states_discard_learn_and_forward),
		TEST(vlans_of_another_tree_have_their_own_state),
		TEST(own_frames_go_into_a_vlan_as_each_port_wants_them),
		TEST(group_goes_to_the_ports_that_want_it),
		TEST(group_messages_are_seen_and_go_where_they_are_sent),
		TEST(memory_in_use_is_freed_later),
		TEST(bond_is_one_port_to_the_switch),
		TEST(flows_stay_on_one_wire_and_use_all),
		TEST(only_flows_of_a_wire_that_is_lost_move),
		TEST(idle_wire_takes_and_sends_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
