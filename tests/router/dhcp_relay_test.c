/*
 * The DHCP relay on a router's port, by frames: clients inside, their servers
 * behind another port.
 */
#include "tests/router/rig.h"

#include <errno.h>

#include "net/dhcp.h"

#define FIRST  IP(10, 0, 0, 100)
#define DAVE   IP(10, 1, 0, 11)
#define CLIENT ((struct mac){ { 2, 9, 0, 0, 0, 7 } })

static int
setup(void **state)
{
	struct rig *rig = rig_new(0);
	struct router_dhcp_relay_options o = {
		.servers = { CAROL, DAVE }, .nservers = 2, .info = true
	};

	*state = rig;
	rig_warm(rig);
	return router_set_dhcp_relay(
	    rig->router, rig->peer[INSIDE].gw, &o, NULL);
}

static int
teardown(void **state)
{
	rig_free(*state);
	return 0;
}

/* Sends a message from src to dst by the link from. */
static enum reason
send(
    struct rig *rig, int from, uint32_t src, uint32_t dst, const struct dhcp *m)
{
	uint8_t message[600], out[700];
	struct writer w = writer(message, sizeof(message));
	struct udp udp = {
		.sport = src == 0 ? 68 : 67, .dport = 67, .data = message
	};
	struct eth eth = { .dst = dst == IP4_BROADCAST ? mac_broadcast
						       : rig->peer[from].gw_mac,
		.src = src == 0 ? m->chaddr : rig_mac(src),
		.type = ETH_IPV4 };
	struct ip4 ip = {
		.ttl = 64, .protocol = IP_UDP, .src = src, .dst = dst
	};

	dhcp_write(&w, m);
	udp.data_bytes = (size_t)(w.at - message);
	ip.total_bytes = (uint16_t)(28 + udp.data_bytes);
	w = writer(out, sizeof(out));
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	udp_write(&w, &udp, src, dst);
	return rig_send(rig, from, out, (size_t)(w.at - out));
}

static struct dhcp
discover(void)
{
	return (struct dhcp){ .op = DHCP_BOOTREQUEST,
		.xid = 5,
		.chaddr = CLIENT,
		.type = DHCP_DISCOVER };
}

static struct dhcp
offer(void)
{
	return (struct dhcp){ .op = DHCP_BOOTREPLY,
		.xid = 5,
		.chaddr = CLIENT,
		.type = DHCP_OFFER,
		.server = CAROL,
		.giaddr = GW_INSIDE,
		.yiaddr = FIRST,
		.relay_info = (const uint8_t *)"\1\1x",
		.relay_info_bytes = 3 };
}

static struct dhcp
message_in(const struct got *got)
{
	struct cursor c = cursor(got->udp.data, got->udp.data_bytes);
	struct dhcp m;

	assert_int_equal(dhcp_parse(&m, &c), REASON_NONE);
	return m;
}

static void
a_client_is_heard_by_every_server(void **state)
{
	static const uint32_t servers[] = { CAROL, DAVE };
	struct rig *rig = *state;
	struct dhcp m = discover();

	assert_int_equal(
	    send(rig, INSIDE, 0, IP4_BROADCAST, &m), REASON_DHCP_RELAYED);
	assert_int_equal(rig->peer[OTHER].n, 2);
	for (int i = 0; i < 2; i++) {
		struct got got = got_of(&rig->peer[OTHER].seen[i]);
		struct dhcp heard = message_in(&got);

		assert_int_equal(got.ip.src, GW_OTHER);
		assert_int_equal(got.ip.dst, servers[i]);
		assert_int_equal(got.sport, 67);
		assert_int_equal(got.dport, 67);
		assert_int_equal(heard.giaddr, GW_INSIDE);
		assert_int_equal(heard.hops, 1);
		assert_int_equal(heard.relay_info_bytes, 11);
		assert_memory_equal(heard.relay_info, "\1\11gw.inside", 11);
	}
}

static void
rfc3046_s2_1_1_nobody_else_is_at_the_relays_address(void **state)
{
	struct rig *rig = *state;
	struct dhcp m = discover();

	m.giaddr = GW_INSIDE;
	assert_int_equal(
	    send(rig, INSIDE, 0, IP4_BROADCAST, &m), DROP_DHCP_RELAY);
	m.giaddr = GW_OTHER;
	assert_int_equal(
	    send(rig, INSIDE, 0, IP4_BROADCAST, &m), DROP_DHCP_RELAY);
	m.giaddr = BOB; /* another relay, which passes it on to us */
	assert_int_equal(
	    send(rig, INSIDE, 0, IP4_BROADCAST, &m), REASON_DHCP_RELAYED);
}

static void
an_answer_reaches_the_client_and_nobody_else(void **state)
{
	struct rig *rig = *state;
	struct dhcp m = offer(), heard;
	struct got got;

	assert_int_equal(
	    send(rig, OTHER, CAROL, GW_INSIDE, &m), REASON_DHCP_RELAYED);
	got = rig_got(rig, INSIDE);
	assert_true(mac_equal(&got.eth.dst, &CLIENT));
	assert_int_equal(got.ip.src, GW_INSIDE);
	assert_int_equal(got.ip.dst, FIRST);
	assert_int_equal(got.dport, 68);
	heard = message_in(&got);
	assert_int_equal(heard.type, DHCP_OFFER);
	assert_int_equal(heard.relay_info_bytes, 0);
	rig_clear(rig);
	m.flags = DHCP_BROADCAST;
	assert_int_equal(
	    send(rig, OTHER, DAVE, GW_INSIDE, &m), REASON_DHCP_RELAYED);
	got = rig_got(rig, INSIDE);
	assert_true(mac_equal(&got.eth.dst, &mac_broadcast));
	assert_int_equal(got.ip.dst, IP4_BROADCAST);
}

static void
who_is_no_server_of_it_is_not_heard(void **state)
{
	struct rig *rig = *state;
	struct dhcp m = offer(), request = discover();

	/* not one of the two; at another port; for another relay; from the
	 * clients' own link */
	assert_int_equal(
	    send(rig, OTHER, CAROL + 7, GW_INSIDE, &m), DROP_DHCP_RELAY);
	assert_int_equal(
	    send(rig, OTHER, CAROL, GW_OTHER, &m), DROP_NO_LISTENER);
	assert_int_equal(
	    send(rig, INSIDE, ALICE, GW_INSIDE, &m), DROP_DHCP_RELAY);
	m.giaddr = GW_OTHER;
	assert_int_equal(
	    send(rig, OTHER, CAROL, GW_INSIDE, &m), DROP_DHCP_RELAY);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	/* A client says where it is, as only a relay may. */
	request.relay_info = (const uint8_t *)"\1\1x";
	request.relay_info_bytes = 3;
	assert_int_equal(
	    send(rig, INSIDE, 0, IP4_BROADCAST, &request), DROP_DHCP_RELAY);
	request.relay_info_bytes = 0;
	request.hops = 5;
	assert_int_equal(
	    send(rig, INSIDE, 0, IP4_BROADCAST, &request), DROP_DHCP_HOPS);
	assert_int_equal(
	    send(rig, OTHER, 0, IP4_BROADCAST, &request), DROP_NO_LISTENER);
}

static void
what_cannot_be_a_relay_is_refused(void **state)
{
	struct rig *rig = *state;
	struct router_dhcp_relay_options o = { .nservers = 0 };
	struct err err = { "" };

	assert_int_equal(
	    router_set_dhcp_relay(rig->router, rig->peer[INSIDE].gw, &o, &err),
	    -EEXIST);
	assert_int_equal(
	    router_set_dhcp_relay(rig->router, rig->peer[OTHER].gw, &o, &err),
	    -EINVAL);
	o.nservers = 1;
	o.servers[0] = CAROL;
	err = (struct err){ "" };
	assert_int_equal(
	    router_set_dhcp_relay(rig->router, rig->peer[OTHER].gw, &o, &err),
	    -EINVAL);
	assert_string_equal(err.text,
	    "port \"gw.other\": the DHCP server 10.1.0.10 is on its own link, "
	    "and hears the clients there; leave the relay out");
	assert_int_equal(
	    router_set_dhcp_relay(rig->router, NULL, &o, &err), -EINVAL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_client_is_heard_by_every_server),
		T(rfc3046_s2_1_1_nobody_else_is_at_the_relays_address),
		T(an_answer_reaches_the_client_and_nobody_else),
		T(who_is_no_server_of_it_is_not_heard),
		T(what_cannot_be_a_relay_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
