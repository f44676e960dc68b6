#include "tests/router/rig.h"

static int
setup(void **state)
{
	*state = rig_new(0);
	return 0;
}

static int
setup_nat(void **state)
{
	struct rig *rig = rig_new(0);

	rig_nat(
	    rig, NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_AND_PORT_DEPENDENT, 0);
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static void
a_packet_goes_out_with_the_outer_address_and_its_answer_comes_back(void **state)
{
	struct rig *rig = *state;
	struct got g;

	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 53), REASON_ARP_QUEUED);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	assert_int_equal(g.ip.ttl, 63);
	assert_int_equal(g.sport, 5000);
	rig_clear(rig);
	assert_int_equal(rig_udp(rig, OUTSIDE, SERVER, 53, GW_OUTSIDE, 5000),
	    REASON_ARP_QUEUED);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, ALICE);
	assert_int_equal(g.dport, 5000);
	rig_clear(rig);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 53), REASON_NAT_OUT);
	assert_int_equal(rig->verdict.entry, 1);
	assert_ptr_equal(rig->verdict.out, rig->peer[OUTSIDE].gw);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.seen->cause.reason, REASON_NAT_OUT);
	assert_int_equal(g.seen->cause.entry, 1);
}

static void
a_router_without_nat_routes(void **state)
{
	struct rig *rig = *state;
	struct got g;

	rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 53);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.ip.src, ALICE);
	assert_int_equal(g.eth.dst.b[5], 10);
	rig_clear(rig);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 53), REASON_ROUTED);
}

static void
the_router_answers_pings_to_each_of_its_addresses(void **state)
{
	struct rig *rig = *state;
	static const uint32_t own[] = { GW_INSIDE, GW_OUTSIDE, GW_OTHER };

	for (int i = 0; i < 3; i++) {
		struct got g;

		assert_int_equal(
		    rig_echo(rig, INSIDE, ALICE, own[i], 77, ICMP_ECHO_REQUEST),
		    REASON_DELIVERED);
		g = rig_got(rig, INSIDE);
		assert_int_equal(g.icmp.type, ICMP_ECHO_REPLY);
		assert_int_equal(g.ip.src, own[i]);
		assert_int_equal(g.icmp.echo.id, 77);
		assert_int_equal(g.seen->cause.reason, REASON_SENT);
		rig_clear(rig);
	}
}

#define T(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TN(f) cmocka_unit_test_setup_teardown(f, setup_nat, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TN(a_packet_goes_out_with_the_outer_address_and_its_answer_comes_back),
		T(a_router_without_nat_routes),
		T(the_router_answers_pings_to_each_of_its_addresses),
		TN(the_router_answers_pings_to_each_of_its_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
