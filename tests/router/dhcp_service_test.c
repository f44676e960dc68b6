/*
 * The DHCP server on a router's port, by frames: who is asked for an address
 * before it is offered, and when the offer goes out.
 */
#include "tests/router/rig.h"

#include "net/dhcp.h"

#define FIRST IP(10, 0, 0, 100)
#define PROBE (50 * NS_PER_MS)

static int
setup(void **state)
{
	struct rig *rig = rig_new(0);
	struct router_dhcp_options o = {
		.first = FIRST, .last = FIRST + 9, .probe_ns = PROBE
	};

	rig->peer[INSIDE].silent = true;
	*state = rig;
	return router_set_dhcp(rig->router, rig->peer[INSIDE].gw, &o, NULL);
}

static int
teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static enum reason
discover(struct rig *rig, uint8_t client, uint32_t xid, uint32_t relay)
{
	struct dhcp m = { .op = DHCP_BOOTREQUEST,
		.xid = xid,
		.giaddr = relay,
		.chaddr = { { 2, 9, 0, 0, 0, client } },
		.type = DHCP_DISCOVER };
	uint8_t message[600], out[700];
	struct writer w = writer(message, sizeof(message));
	struct udp udp = { .sport = 68, .dport = 67, .data = message };
	struct eth eth = {
		.dst = mac_broadcast, .src = m.chaddr, .type = ETH_IPV4
	};
	struct ip4 ip = { .ttl = 64, .protocol = IP_UDP, .dst = IP4_BROADCAST };

	dhcp_write(&w, &m);
	udp.data_bytes = (size_t)(w.at - message);
	ip.total_bytes = (uint16_t)(28 + udp.data_bytes);
	w = writer(out, sizeof(out));
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	udp_write(&w, &udp, ip.src, ip.dst);
	return rig_send(rig, INSIDE, out, (size_t)(w.at - out));
}

/* The address of the only offer that came since. */
static uint32_t
offered(struct rig *rig)
{
	struct got got = rig_got(rig, INSIDE);
	struct cursor c = cursor(got.udp.data, got.udp.data_bytes);
	struct dhcp m;

	assert_int_equal(dhcp_parse(&m, &c), REASON_NONE);
	assert_int_equal(m.type, DHCP_OFFER);
	return m.yiaddr;
}

static void
claim(struct rig *rig, uint32_t ip, struct mac mac)
{
	struct eth eth = {
		.dst = rig->peer[INSIDE].gw_mac, .src = mac, .type = ETH_ARP
	};
	struct arp arp = { .op = ARP_REPLY,
		.sender_mac = mac,
		.sender_ip = ip,
		.target_mac = rig->peer[INSIDE].gw_mac,
		.target_ip = GW_INSIDE };
	uint8_t out[64];
	struct writer w = writer(out, sizeof(out));

	eth_write(&w, &eth);
	arp_write(&w, &arp);
	rig_send(rig, INSIDE, out, (size_t)(w.at - out));
}

static void
the_link_is_asked_before_an_address_is_offered(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(discover(rig, 1, 7, 0), REASON_DELIVERED);
	assert_int_equal(rig->peer[INSIDE].arp_requests, 1);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	rig_wait(rig, PROBE - 1);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	rig_wait(rig, 1);
	assert_int_equal(offered(rig), FIRST);
}

static void
an_address_that_another_host_has_is_not_offered(void **state)
{
	struct rig *rig = *state;
	struct mac other = { { 2, 5, 5, 5, 5, 5 } };

	discover(rig, 1, 7, 0);
	claim(rig, FIRST, other);
	assert_int_equal(rig->peer[INSIDE].arp_requests, 2);
	claim(rig, FIRST + 1, other);
	rig_wait(rig, PROBE);
	assert_int_equal(offered(rig), FIRST + 2);
}

static void
the_client_itself_may_have_the_address_already(void **state)
{
	struct rig *rig = *state;
	struct mac own = { { 2, 9, 0, 0, 0, 1 } };

	discover(rig, 1, 7, 0);
	claim(rig, FIRST, own);
	rig_wait(rig, PROBE);
	assert_int_equal(offered(rig), FIRST);
}

static void
a_question_that_is_repeated_meanwhile_is_answered_once(void **state)
{
	struct rig *rig = *state;

	discover(rig, 1, 7, 0);
	discover(rig, 1, 7, 0);
	rig_wait(rig, PROBE);
	assert_int_equal(offered(rig), FIRST);
}

static void
the_address_offered_before_is_not_asked_for_again(void **state)
{
	struct rig *rig = *state;

	discover(rig, 1, 7, 0);
	rig_wait(rig, PROBE);
	rig_clear(rig);
	discover(rig, 1, 8, 0);
	assert_int_equal(offered(rig), FIRST);
	assert_int_equal(rig->peer[INSIDE].arp_requests, 0);
}

static void
more_than_can_wait_are_offered_at_once(void **state)
{
	struct rig *rig = rig_new(0);
	struct router_dhcp_options o = {
		.first = FIRST, .last = FIRST + 99, .probe_ns = PROBE
	};

	(void)state;
	rig->peer[INSIDE].silent = true;
	router_set_dhcp(rig->router, rig->peer[INSIDE].gw, &o, NULL);
	for (uint8_t i = 0; i < 64; i++)
		discover(rig, i, i, 0);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	discover(rig, 64, 64, 0);
	assert_int_equal(rig->peer[INSIDE].n, 1);
	rig_wait(rig, PROBE);
	assert_int_equal(rig->peer[INSIDE].n, 65);
	rig_free(rig);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_link_is_asked_before_an_address_is_offered),
		T(an_address_that_another_host_has_is_not_offered),
		T(the_client_itself_may_have_the_address_already),
		T(a_question_that_is_repeated_meanwhile_is_answered_once),
		T(the_address_offered_before_is_not_asked_for_again),
		T(more_than_can_wait_are_offered_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
