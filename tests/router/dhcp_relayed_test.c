/*
 * The DHCP server for clients of other subnets, which come by a relay, by
 * frames.
 *
 *    clients 10.11.0.0/24 ── relay 10.11.0.1, 10.0.0.10 ──┐
 *    clients 10.12.0.0/24 ── relay 10.12.0.1, 10.0.0.10 ──┤
 *                                        clients ───────┴── gw 10.0.0.1
 */
#include <errno.h>

#include "tests/router/rig.h"

#include "net/dhcp.h"

#define ONE    IP(10, 11, 0, 1)
#define TWO    IP(10, 12, 0, 1)
#define CLIENT ((struct mac){ { 2, 9, 0, 0, 0, 1 } })

static int
setup(void **state)
{
	struct rig *rig = rig_new(0);
	const struct router_dhcp_options link = { .first = IP(10, 0, 0, 100),
		.last = IP(10, 0, 0, 109),
		.dns = GW_INSIDE };
	struct err err = { "" };

	*state = rig;
	rig_warm(rig);
	if (router_set_dhcp(rig->router, rig->peer[INSIDE].gw, &link, &err) < 0)
		return -1;
	for (uint32_t net = ONE; net <= TWO; net += TWO - ONE) {
		struct router_dhcp_options o = { .first = net + 99,
			.last = net + 108 };

		if (router_add_route(rig->router,
			(struct ip4_net){ net - 1, 24 }, ALICE, &err) < 0 ||
		    router_add_dhcp_relayed(rig->router, rig->peer[INSIDE].gw,
			(struct ip4_net){ net, 24 }, &o, &err) < 0)
			return -1;
	}
	return 0;
}

static int
teardown(void **state)
{
	rig_free(*state);
	return 0;
}

/* Sends a message from src to dst, in a frame of from's. */
static enum reason
send(struct rig *rig, struct mac from, uint32_t src, uint32_t dst,
    const struct dhcp *m)
{
	uint8_t message[600], out[700];
	struct writer w = writer(message, sizeof(message));
	struct udp udp = {
		.sport = m->giaddr != 0 ? 67 : 68, .dport = 67, .data = message
	};
	struct eth eth = { .dst = dst == IP4_BROADCAST
		    ? mac_broadcast
		    : rig->peer[INSIDE].gw_mac,
		.src = from,
		.type = ETH_IPV4 };
	struct ip4 ip = {
		.ttl = 64, .protocol = IP_UDP, .src = src, .dst = dst
	};

	rig_clear(rig);
	dhcp_write(&w, m);
	udp.data_bytes = (size_t)(w.at - message);
	ip.total_bytes = (uint16_t)(28 + udp.data_bytes);
	w = writer(out, sizeof(out));
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	udp_write(&w, &udp, src, dst);
	return rig_send(rig, INSIDE, out, (size_t)(w.at - out));
}

static struct dhcp
message(enum dhcp_type type, uint32_t relay)
{
	return (struct dhcp){ .op = DHCP_BOOTREQUEST,
		.xid = 5,
		.hops = relay != 0,
		.chaddr = CLIENT,
		.type = type,
		.giaddr = relay };
}

static enum reason
relay(struct rig *rig, const struct dhcp *m)
{
	return send(rig, rig_mac(ALICE), m->giaddr, GW_INSIDE, m);
}

/* What came, and to where. */
static struct dhcp
answered(struct rig *rig, uint32_t to)
{
	struct got got = rig_got(rig, INSIDE);
	struct cursor c = cursor(got.udp.data, got.udp.data_bytes);
	struct dhcp m;

	assert_int_equal(dhcp_parse(&m, &c), REASON_NONE);
	assert_int_equal(got.ip.dst, to);
	assert_int_equal(got.ip.src, GW_INSIDE);
	assert_int_equal(got.dport, m.giaddr != 0 ? 67 : 68);
	return m;
}

/* The client of that relay gets the first address there. */
static void
lease(struct rig *rig, uint32_t giaddr)
{
	struct dhcp m = message(DHCP_DISCOVER, giaddr);

	relay(rig, &m);
	m.type = DHCP_REQUEST;
	m.requested = giaddr + 99;
	m.server = GW_INSIDE;
	assert_int_equal(relay(rig, &m), REASON_DELIVERED);
	assert_int_equal(answered(rig, giaddr).type, DHCP_ACK);
}

static void
rfc2131_s4_3_1_giaddr_chooses_the_pool(void **state)
{
	struct rig *rig = *state;

	for (uint32_t net = ONE; net <= TWO; net += TWO - ONE) {
		struct dhcp m = message(DHCP_DISCOVER, net), a;

		assert_int_equal(relay(rig, &m), REASON_DELIVERED);
		a = answered(rig, net);
		assert_int_equal(a.type, DHCP_OFFER);
		assert_int_equal(a.yiaddr, net + 99);
		assert_int_equal(a.giaddr, net);
		assert_int_equal(a.router, net);
		assert_int_equal(a.mask, 0xffffff00);
		assert_int_equal(a.server, GW_INSIDE);
		assert_int_equal(a.mtu, 0); /* of a link we do not know */
		lease(rig, net);
	}
}

static void
a_client_on_the_link_gets_an_address_of_it(void **state)
{
	struct rig *rig = *state;
	struct dhcp m = message(DHCP_DISCOVER, 0), a;

	send(rig, CLIENT, 0, IP4_BROADCAST, &m);
	a = answered(rig, IP(10, 0, 0, 100));
	assert_int_equal(a.yiaddr, IP(10, 0, 0, 100));
	assert_int_equal(a.router, GW_INSIDE);
}

static void
a_relay_of_no_subnet_served_is_not_answered(void **state)
{
	struct rig *rig = *state;
	struct dhcp m = message(DHCP_DISCOVER, IP(10, 13, 0, 1));

	assert_int_equal(
	    send(rig, rig_mac(ALICE), ALICE, GW_INSIDE, &m), DROP_NOT_OURS);
	m.giaddr = IP(10, 11, 0, 255); /* no host's */
	assert_int_equal(
	    send(rig, rig_mac(ALICE), ALICE, GW_INSIDE, &m), DROP_NOT_OURS);
	assert_int_equal(rig->peer[INSIDE].n, 0);
}

/* The link that the relay tells, and not its address, is the client's. */
static void
rfc3527_s3_the_link_selection_chooses_the_pool(void **state)
{
	struct rig *rig = *state;
	struct dhcp m = message(DHCP_DISCOVER, ONE), a;

	m.relay_info = (const uint8_t *)"\1\1x\5\4\12\14\0\0";
	m.relay_info_bytes = 9;
	assert_int_equal(relay(rig, &m), DROP_NOT_OURS); /* a net, no host */
	m.relay_info = (const uint8_t *)"\1\1x\5\4\12\14\0\7";
	assert_int_equal(relay(rig, &m), REASON_DELIVERED);
	a = answered(rig, ONE);
	assert_int_equal(a.yiaddr, TWO + 99);
	assert_int_equal(a.giaddr, ONE);
	assert_memory_equal(a.relay_info, m.relay_info, 9);
}

static void
rfc5107_s4_the_relay_may_be_the_server_to_the_client(void **state)
{
	struct rig *rig = *state;
	struct dhcp m = message(DHCP_DISCOVER, ONE);

	m.relay_info = (const uint8_t *)"\13\4\12\13\0\1";
	m.relay_info_bytes = 6;
	relay(rig, &m);
	assert_int_equal(answered(rig, ONE).server, ONE);
	m.type = DHCP_REQUEST;
	m.requested = ONE + 99;
	m.server = GW_INSIDE; /* whom it cannot know */
	relay(rig, &m);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	m.type = DHCP_DISCOVER;
	relay(rig, &m);
	m.type = DHCP_REQUEST;
	m.server = ONE;
	relay(rig, &m);
	assert_int_equal(answered(rig, ONE).type, DHCP_ACK);
}

static void
rfc2131_s4_3_2_a_client_beyond_a_relay_renews_by_itself(void **state)
{
	struct rig *rig = *state;
	struct dhcp m = message(DHCP_REQUEST, 0), a;

	lease(rig, ONE);
	m.ciaddr = ONE + 99;
	assert_int_equal(send(rig, rig_mac(ALICE), m.ciaddr, GW_INSIDE, &m),
	    REASON_DELIVERED);
	a = answered(rig, ONE + 99);
	assert_int_equal(a.type, DHCP_ACK);
	assert_int_equal(a.lease_s, 3600);
	assert_int_equal(a.router, ONE);
	m.type = DHCP_INFORM;
	send(rig, rig_mac(ALICE), m.ciaddr, GW_INSIDE, &m);
	a = answered(rig, ONE + 99);
	assert_int_equal(a.type, DHCP_ACK);
	assert_int_equal(a.lease_s, 0);
	/* It releases, and another one gets the address. */
	m.type = DHCP_RELEASE;
	m.server = GW_INSIDE;
	assert_int_equal(send(rig, rig_mac(ALICE), m.ciaddr, GW_INSIDE, &m),
	    REASON_DELIVERED);
	m = message(DHCP_DISCOVER, ONE);
	m.chaddr.b[5] = 2;
	m.requested = ONE + 99;
	relay(rig, &m);
	assert_int_equal(answered(rig, ONE).yiaddr, ONE + 99);
}

/* Who has come to another LAN is told so there, however it asks. */
static void
rfc2131_s4_3_2_a_client_that_moved_is_refused(void **state)
{
	struct rig *rig = *state;
	struct dhcp m = message(DHCP_REQUEST, 0);

	lease(rig, ONE);
	/* To the server's link: rebooting, rebinding, renewing. */
	m.requested = ONE + 99;
	send(rig, CLIENT, 0, IP4_BROADCAST, &m);
	assert_int_equal(answered(rig, IP4_BROADCAST).type, DHCP_NAK);
	m.requested = 0;
	m.ciaddr = ONE + 99;
	send(rig, CLIENT, m.ciaddr, IP4_BROADCAST, &m);
	assert_int_equal(answered(rig, IP4_BROADCAST).type, DHCP_NAK);
	send(rig, CLIENT, m.ciaddr, GW_INSIDE, &m);
	assert_int_equal(answered(rig, IP4_BROADCAST).type, DHCP_NAK);
	/* To another relay's. */
	m = message(DHCP_REQUEST, TWO);
	m.requested = ONE + 99;
	relay(rig, &m);
	m = answered(rig, TWO);
	assert_int_equal(m.type, DHCP_NAK);
	assert_int_equal(m.flags, DHCP_BROADCAST);
}

static void
reservations_and_leases_are_of_their_subnet(void **state)
{
	struct rig *rig = *state;
	struct mac other = { { 2, 9, 0, 0, 0, 9 } };
	struct lease_saved saved = { .port = rig->peer[INSIDE].gw,
		.ip = TWO + 100,
		.mac = other,
		.left_ns = 100 * NS_PER_S,
		.client_bytes = 7,
		.client = { 0, 2, 9, 0, 0, 0, 9 } };
	struct dhcp m = message(DHCP_DISCOVER, ONE);
	struct err err = { "" };

	assert_int_equal(router_add_reservation(rig->router,
			     rig->peer[INSIDE].gw, &other, ONE + 5, &err),
	    0);
	assert_int_equal(
	    router_add_reservation(rig->router, rig->peer[INSIDE].gw, &other,
		IP(10, 13, 0, 5), &err),
	    -EINVAL);
	assert_int_equal(router_restore_lease(rig->router, &saved), 0);
	saved.ip = IP(10, 13, 0, 5);
	assert_int_equal(router_restore_lease(rig->router, &saved), -EINVAL);
	m.chaddr = other;
	relay(rig, &m);
	assert_int_equal(answered(rig, ONE).yiaddr, ONE + 5);
	m.giaddr = TWO;
	relay(rig, &m);
	assert_int_equal(answered(rig, TWO).yiaddr, TWO + 100);
}

static void
a_subnet_is_served_once(void **state)
{
	struct rig *rig = *state;
	struct port *gw = rig->peer[INSIDE].gw;
	struct router_dhcp_options o = { .first = ONE + 1, .last = ONE + 2 };
	struct err err = { "" };

	assert_int_equal(router_add_dhcp_relayed(rig->router, gw,
			     (struct ip4_net){ ONE + 7, 24 }, &o, &err),
	    -EEXIST);
	assert_int_equal(router_add_dhcp_relayed(rig->router, gw,
			     (struct ip4_net){ BOB, 24 }, &o, &err),
	    -EEXIST);
	assert_int_equal(router_set_dhcp(rig->router, gw, &o, &err), -EEXIST);
	for (uint32_t i = 3; i <= ROUTER_RELAYED; i++) {
		o.first = o.last = IP(10, 20 + i, 0, 2);
		assert_int_equal(
		    router_add_dhcp_relayed(rig->router, gw,
			(struct ip4_net){ IP(10, 20 + i, 0, 1), 24 }, &o, &err),
		    0);
	}
	o.first = o.last = IP(10, 99, 0, 2);
	assert_int_equal(
	    router_add_dhcp_relayed(rig->router, gw,
		(struct ip4_net){ IP(10, 99, 0, 1), 24 }, &o, &err),
	    -ENOSPC);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc2131_s4_3_1_giaddr_chooses_the_pool),
		T(a_client_on_the_link_gets_an_address_of_it),
		T(a_relay_of_no_subnet_served_is_not_answered),
		T(rfc3527_s3_the_link_selection_chooses_the_pool),
		T(rfc5107_s4_the_relay_may_be_the_server_to_the_client),
		T(rfc2131_s4_3_2_a_client_beyond_a_relay_renews_by_itself),
		T(rfc2131_s4_3_2_a_client_that_moved_is_refused),
		T(reservations_and_leases_are_of_their_subnet),
		T(a_subnet_is_served_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
