#include "switch/lldp_protocol.h"

#include "switch/bond.h"
#include "tests/switch/lan.h"

static struct lldp_protocol *
start(struct lan *lan, uint32_t address)
{
	const struct lldp_protocol_options options = {
		.agent = { .send = true, .receive = true },
		.description = "a switch under test",
		.address = address,
	};
	struct err err = { "" };
	struct lldp_protocol *p = lldp_protocol_new(lan->sw, &options, &err);

	assert_non_null(p);
	return p;
}

/* The last message that a sink took. */
static void
read_last(const struct sink *sink, struct lldp *l)
{
	const struct sink_frame *f = &sink->frame[sink->n - 1];
	struct cursor c = cursor(f->data + 14, f->len - 14);

	assert_true(sink->n > 0);
	assert_int_equal(get_be16(f->data + 12), ETH_LLDP);
	assert_int_equal(lldp_parse(l, &c), DROP_NONE);
	assert_int_equal(l->wrong + l->beyond + l->unknown, 0);
}

static void
each_port_says_what_it_is(void **state)
{
	struct lan *lan = *state;
	struct lldp_protocol *p;
	struct vlan_options trunk = { .mode = VLAN_TRUNK, .vlan = 7 };
	char t[64];
	struct lldp l;

	vlan_set_add(&trunk.allowed, 10, 11);
	switch_set_vlan(lan->port[1], &trunk);
	switch_set_mtu(lan->port[1], 9000);
	p = start(lan, 0x0a000002);
	lan_pass_time(lan, NS_PER_MS);
	read_last(lan->sink[1], &l);
	assert_string_equal(
	    lldp_port_text(t, sizeof(t), &l.port), "lan.s1.eth0");
	assert_string_equal(
	    lldp_text(t, sizeof(t), &l.port_description), "cable to s1.eth0");
	assert_string_equal(lldp_text(t, sizeof(t), &l.name), "lan");
	assert_string_equal(
	    lldp_text(t, sizeof(t), &l.description), "a switch under test");
	assert_int_equal(l.enabled, LLDP_CAN_BRIDGE);
	assert_string_equal(lldp_address_text(t, sizeof(t), l.mgmt[0].family,
				&l.mgmt[0].address),
	    "10.0.0.2");
	assert_int_equal(l.pvid, 7);
	assert_int_equal(l.nvlans, 3);
	assert_int_equal(l.vlan[2].id, 11);
	assert_int_equal(l.max_frame_bytes, 9018);
	assert_int_equal(l.aggregation, LLDP_AGGREGATION_CAPABLE);
	read_last(lan->sink[0], &l);
	assert_false(l.has_pvid);
	assert_int_equal(l.max_frame_bytes, 1518);
	lldp_protocol_stop(p);
	read_last(lan->sink[0], &l);
	assert_int_equal(l.ttl_s, 0);
	assert_null(l.name.data);
	lan_forget(lan);
	lan_pass_time(lan, 100 * NS_PER_S);
	assert_int_equal(lan->sink[0]->n, 0);
	lldp_protocol_free(p);
}

static void
wires_of_a_bond_say_so(void **state)
{
	const struct flow_options hash = { .level = FLOW_L2 };
	struct lan *lan = *state;
	struct err err = { "" };
	struct port *bond = switch_add_bond(lan->sw, "lan.bond", &hash, &err);
	struct lldp_protocol *p;
	struct lldp l;

	switch_bond_join(bond, lan->port[2]);
	p = start(lan, 0);
	lan_pass_time(lan, NS_PER_MS);
	read_last(lan->sink[2], &l);
	assert_int_equal(
	    l.aggregation, LLDP_AGGREGATION_CAPABLE | LLDP_AGGREGATION_ENABLED);
	assert_int_equal(l.aggregation_port, switch_port_index(bond));
	assert_true(l.has_old_aggregation);
	assert_int_equal(l.mgmt[0].family, LLDP_FAMILY_MAC);
	/* what is set on the bond is told at once */
	lan_pass_time(lan, 20 * NS_PER_S);
	lan_forget(lan);
	switch_set_mtu(bond, 9000);
	lan_pass_time(lan, NS_PER_MS);
	read_last(lan->sink[2], &l);
	assert_int_equal(l.max_frame_bytes, 9018);
	assert_int_equal(lan->sink[3]->n, 0);
	lldp_protocol_free(p);
}

static void
count(void *arg, const struct port *port, const struct lldp *l, uint64_t left)
{
	char t[64];

	assert_string_equal(port->name, "lan.s3.eth0");
	assert_string_equal(lldp_text(t, sizeof(t), &l->name), "other");
	assert_true(left > 0);
	++*(unsigned int *)arg;
}

static void
a_neighbour_is_heard_and_not_forwarded(void **state)
{
	static const uint8_t chassis[6] = { 2, 0, 0, 0, 0, 3 };
	struct lan *lan = *state;
	struct lldp_protocol *p = start(lan, 0);
	struct lldp l = { .chassis = { LLDP_CHASSIS_MAC, { chassis, 6 } },
		.port = { LLDP_PORT_IFNAME, { (const uint8_t *)"eth0", 4 } },
		.ttl_s = 20,
		.name = { (const uint8_t *)"other", 5 } };
	uint8_t frame[256];
	struct writer w = writer(frame, sizeof(frame));
	unsigned int n = 0;

	lldp_write(&w, &(struct mac){ { 2, 0, 0, 0, 0, 3 } }, &l);
	lan_forget(lan);
	assert_int_equal(
	    lan_send_bytes(lan, 3, frame, (size_t)(w.at - frame)).reason,
	    REASON_DELIVERED);
	assert_int_equal(lan->sink[0]->n, 0);
	lldp_protocol_each(p, count, &n);
	assert_int_equal(n, 1);
	lan_pass_time(lan, 21 * NS_PER_S);
	lldp_protocol_each(p, count, &n);
	assert_int_equal(n, 1);
	frame[14] = 4; /* no chassis */
	assert_int_equal(
	    lan_send_bytes(lan, 3, frame, (size_t)(w.at - frame)).reason,
	    DROP_LLDP);
	lldp_protocol_free(p);
}

static void
without_it_not_a_frame_is_sent(void **state)
{
	struct lan *lan = *state;

	lan_pass_time(lan, 100 * NS_PER_S);
	for (int i = 0; i < LAN_SINKS; i++)
		assert_int_equal(lan->sink[i]->n, 0);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, lan_set_up, lan_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_port_says_what_it_is),
		TEST(wires_of_a_bond_say_so),
		TEST(a_neighbour_is_heard_and_not_forwarded),
		TEST(without_it_not_a_frame_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
