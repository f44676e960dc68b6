/*
 * The DHCP client against a server that answers as the test wants.
 */
#include "tests/guest/wire.h"

#define SERVER   0x0a000001u
#define OFFER    0x0a000064u
#define SENT_MAX 64

struct sent_message {
	struct dhcp m;
	uint32_t src, dst;
	bool broadcast; /* the frame */
	uint64_t at_us;
};

struct server {
	struct wire *wire;
	struct netif *nif;
	struct sent_message sent[SENT_MAX];
	unsigned int nsent, taken;
	unsigned int probes; /* ARP probes for OFFER */
	unsigned int announcements;
	uint32_t lease_s;
};

static const struct mac server_mac = { { 2, 0, 0, 0, 0, 9 } };
static const struct mac our_mac = { { 2, 0, 0, 0, 0, 1 } };

static void
hear_arp(struct server *s, struct cursor *c)
{
	struct arp arp;

	assert_int_equal(arp_parse(&arp, c), DROP_NONE);
	if (arp.sender_ip == 0 && arp.target_ip == OFFER)
		s->probes++;
	if (arp.sender_ip == OFFER && arp.target_ip == OFFER)
		s->announcements++;
}

static void
sent(struct wire *wire, unsigned int from, const uint8_t *frame, size_t len)
{
	struct server *s = wire->arg;
	struct cursor c = cursor(frame, len);
	struct sent_message *got = &s->sent[s->nsent];
	struct eth eth;
	struct ip4 ip;
	struct udp udp;

	(void)from;
	assert_int_equal(eth_parse(&eth, &c), DROP_NONE);
	if (eth.type == ETH_ARP) {
		hear_arp(s, &c);
		return;
	}
	assert_int_equal(ip4_parse(&ip, &c), DROP_NONE);
	assert_int_equal(ip.protocol, IP_UDP);
	assert_int_equal(udp_parse(&udp, &c, &ip, false), DROP_NONE);
	assert_int_equal(udp.sport, DHCP_CLIENT_PORT);
	assert_int_equal(udp.dport, DHCP_SERVER_PORT);
	c = cursor(udp.data, udp.data_bytes);
	assert_true(s->nsent < SENT_MAX);
	assert_int_equal(dhcp_parse(&got->m, &c), DROP_NONE);
	assert_int_equal(got->m.op, DHCP_BOOTREQUEST);
	assert_true(mac_equal(&got->m.chaddr, &our_mac));
	got->src = ip.src;
	got->dst = ip.dst;
	got->broadcast = mac_is_broadcast(&eth.dst);
	got->at_us = wire->now_us;
	s->nsent++;
}

static int
setup(void **state)
{
	struct server *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->wire = wire_new(5);
	s->wire->sent = sent;
	s->wire->arg = s;
	s->lease_s = 1000;
	wire_station(s->wire, 0, NULL);
	s->nif = s->wire->station[0]->nif;
	wire_round(s->wire);
	dhcpc_start(s->nif);
	wire_round(s->wire);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct server *s = *state;

	wire_free(s->wire);
	free(s);
	return 0;
}

/* The next message; must be of that type. */
static const struct sent_message *
heard(struct server *s, enum dhcp_type type)
{
	assert_true(s->taken < s->nsent);
	assert_int_equal(s->sent[s->taken].m.type, type);
	return &s->sent[s->taken++];
}

static void
put(struct server *s, const struct dhcp *m, uint32_t dst, const struct mac *to)
{
	uint8_t frame[700], message[600];
	struct writer w = writer(message, sizeof(message));
	const struct eth eth = { *to, server_mac, ETH_IPV4, 0, { { 0, 0 } } };
	struct ip4 ip = {
		.ttl = 64, .protocol = IP_UDP, .src = SERVER, .dst = dst
	};
	struct udp udp = {
		.sport = DHCP_SERVER_PORT,
		.dport = DHCP_CLIENT_PORT,
		.data = message,
	};

	dhcp_write(&w, m);
	assert_false(w.overrun);
	udp.data_bytes = (size_t)(w.at - message);
	ip.total_bytes = (uint16_t)(28 + udp.data_bytes);
	w = writer(frame, sizeof(frame));
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	udp_write(&w, &udp, SERVER, dst);
	assert_false(w.overrun);
	netif_input(s->nif, frame, (size_t)(w.at - frame), 0);
	wire_round(s->wire);
}

static struct dhcp
reply(const struct server *s, enum dhcp_type type)
{
	return (struct dhcp){
		.op = DHCP_BOOTREPLY,
		.xid = s->sent[s->nsent - 1].m.xid,
		.yiaddr = OFFER,
		.chaddr = our_mac,
		.type = type,
		.server = SERVER,
		.mask = 0xffffff00u,
		.router = SERVER,
		.dns = { SERVER },
		.ndns = 1,
		.lease_s = s->lease_s,
	};
}

static void
answer(struct server *s, enum dhcp_type type)
{
	const struct dhcp m = reply(s, type);

	put(s, &m, OFFER, &our_mac);
}

static void
bind(struct server *s)
{
	heard(s, DHCP_DISCOVER);
	answer(s, DHCP_OFFER);
	heard(s, DHCP_REQUEST);
	answer(s, DHCP_ACK);
	assert_int_equal(s->nif->dhcp.state, DHCPC_BOUND);
}

static void
say_arp(struct server *s, uint16_t op, uint32_t sender, uint32_t target)
{
	uint8_t frame[64];
	struct writer w = writer(frame, sizeof(frame));
	const struct eth eth = { mac_broadcast, server_mac, ETH_ARP, 0,
		{ { 0, 0 } } };
	const struct arp arp = { .op = op,
		.sender_mac = server_mac,
		.sender_ip = sender,
		.target_ip = target };

	eth_write(&w, &eth);
	arp_write(&w, &arp);
	netif_input(s->nif, frame, (size_t)(w.at - frame), 0);
	wire_round(s->wire);
}

/* ---- getting a lease ---- */

static void
four_messages_give_an_address(void **state)
{
	struct server *s = *state;
	const struct sent_message *got = heard(s, DHCP_DISCOVER);

	assert_true(got->broadcast);
	assert_int_equal(got->src, 0);
	assert_int_equal(got->dst, IP4_BROADCAST);
	assert_int_equal(got->m.ciaddr, 0);
	assert_string_equal(got->m.hostname, "alice");
	assert_true(dhcp_wants(&got->m, DHCP_OPT_MASK));
	answer(s, DHCP_OFFER);
	got = heard(s, DHCP_REQUEST);
	assert_true(got->broadcast);
	assert_int_equal(got->m.requested, OFFER);
	assert_int_equal(got->m.server, SERVER);
	assert_int_equal(got->m.xid, s->sent[0].m.xid);
	answer(s, DHCP_ACK);
	assert_int_equal(s->nif->net.addr, OFFER);
	assert_int_equal(s->nif->net.prefix, 24);
	assert_int_equal(s->nif->gateway, SERVER);
	assert_int_equal(s->nif->dns[0], SERVER);
	assert_int_equal(s->probes, 1);
	assert_int_equal(s->announcements, 1);
}

static void
without_answers_it_asks_ever_more_slowly(void **state)
{
	struct server *s = *state;

	wire_pass(s->wire, 600 * US_PER_S);
	assert_in_range(s->nsent, 12, 18);
	for (unsigned int i = 1; i < s->nsent; i++) {
		const uint64_t gap_us = s->sent[i].at_us - s->sent[i - 1].at_us;
		const uint64_t wait_us = US_PER_S << (i - 1 < 6 ? i - 1 : 6);

		assert_in_range(
		    gap_us, wait_us - US_PER_S / 2, wait_us + US_PER_S / 2);
		assert_int_equal(s->sent[i].m.type, DHCP_DISCOVER);
	}
	assert_in_range(s->sent[s->nsent - 1].m.secs, 500, 600);
	answer(s, DHCP_OFFER);
	assert_int_equal(s->nif->dhcp.state, DHCPC_REQUESTING);
}

static void
a_request_without_answer_begins_anew(void **state)
{
	struct server *s = *state;
	uint32_t xid;

	xid = heard(s, DHCP_DISCOVER)->m.xid;
	answer(s, DHCP_OFFER);
	wire_pass(s->wire, 30 * US_PER_S);
	for (unsigned int i = 0; i < 4; i++)
		heard(s, DHCP_REQUEST);
	assert_true(heard(s, DHCP_DISCOVER)->m.xid != xid);
}

static void
answers_that_are_not_ours_change_nothing(void **state)
{
	struct server *s = *state;
	struct dhcp m = reply(s, DHCP_OFFER);

	m.xid++;
	put(s, &m, IP4_BROADCAST, &mac_broadcast);
	m = reply(s, DHCP_OFFER);
	m.chaddr.b[5]++;
	put(s, &m, IP4_BROADCAST, &mac_broadcast);
	m = reply(s, DHCP_OFFER);
	m.op = DHCP_BOOTREQUEST;
	put(s, &m, IP4_BROADCAST, &mac_broadcast);
	m = reply(s, DHCP_ACK); /* before a request */
	put(s, &m, IP4_BROADCAST, &mac_broadcast);
	m = reply(s, DHCP_OFFER);
	m.server = 0;
	put(s, &m, IP4_BROADCAST, &mac_broadcast);
	m = reply(s, DHCP_OFFER);
	m.yiaddr = 0xe0000001u; /* a group */
	put(s, &m, IP4_BROADCAST, &mac_broadcast);
	assert_int_equal(s->nif->dhcp.state, DHCPC_SELECTING);
	assert_int_equal(s->nsent, 1);
}

static void
an_acknowledgement_must_be_the_chosen_servers(void **state)
{
	struct server *s = *state;
	struct dhcp m;

	answer(s, DHCP_OFFER);
	m = reply(s, DHCP_ACK);
	m.server = SERVER + 1;
	put(s, &m, OFFER, &our_mac);
	m = reply(s, DHCP_ACK);
	m.yiaddr++;
	put(s, &m, OFFER, &our_mac);
	m = reply(s, DHCP_ACK);
	m.lease_s = 0;
	put(s, &m, OFFER, &our_mac);
	assert_int_equal(s->nif->dhcp.state, DHCPC_REQUESTING);
	assert_int_equal(s->nif->net.addr, 0);
}

static void
a_refusal_begins_anew_but_not_at_once(void **state)
{
	struct server *s = *state;

	answer(s, DHCP_OFFER);
	s->taken = s->nsent;
	answer(s, DHCP_NAK);
	assert_int_equal(s->nif->dhcp.state, DHCPC_WAITING);
	assert_int_equal(s->taken, s->nsent);
	wire_pass(s->wire, 1100 * US_PER_MS);
	heard(s, DHCP_DISCOVER);
}

/* ---- keeping it ---- */

static void
at_half_of_the_lease_the_server_is_asked_alone(void **state)
{
	struct server *s = *state;
	const struct sent_message *got;
	const uint64_t start_us = s->wire->now_us;

	bind(s);
	wire_pass(s->wire, 499 * US_PER_S);
	assert_int_equal(s->taken, s->nsent);
	say_arp(s, ARP_REPLY, SERVER, OFFER); /* so that ARP finds it */
	say_arp(s, ARP_REQUEST, SERVER, OFFER);
	wire_pass(s->wire, 2 * US_PER_S);
	got = heard(s, DHCP_REQUEST);
	assert_in_range(got->at_us - start_us, 500 * US_PER_S, 501 * US_PER_S);
	assert_int_equal(got->src, OFFER);
	assert_int_equal(got->dst, SERVER);
	assert_false(got->broadcast);
	assert_int_equal(got->m.ciaddr, OFFER);
	assert_int_equal(got->m.requested, 0);
	assert_int_equal(got->m.server, 0);
	answer(s, DHCP_ACK);
	assert_int_equal(s->nif->dhcp.state, DHCPC_BOUND);
	assert_int_equal(s->announcements, 1); /* the address is the same */
	assert_in_range(s->nif->dhcp.expire_us,
	    s->wire->now_us + 999 * US_PER_S,
	    s->wire->now_us + 1000 * US_PER_S);
}

static void
then_all_servers_are_asked_then_the_address_is_lost(void **state)
{
	struct server *s = *state;
	const uint64_t start_us = s->wire->now_us;
	const struct sent_message *last = NULL;
	unsigned int broadcasts = 0;

	bind(s);
	wire_run(s->wire, start_us + 999 * US_PER_S, NULL);
	assert_int_equal(s->nif->net.addr, OFFER);
	while (s->taken < s->nsent) {
		last = heard(s, DHCP_REQUEST);
		broadcasts += last->dst == IP4_BROADCAST;
		if (last->dst == IP4_BROADCAST)
			assert_true(last->at_us - start_us >= 875 * US_PER_S);
		assert_int_equal(last->m.ciaddr, OFFER);
	}
	assert_in_range(broadcasts, 1, 3);
	wire_run(s->wire, start_us + 1001 * US_PER_S, NULL);
	assert_int_equal(s->nif->net.addr, 0);
	assert_int_equal(s->nif->gateway, 0);
	assert_int_equal(heard(s, DHCP_DISCOVER)->src, 0);
}

static void
another_server_may_answer_when_rebinding(void **state)
{
	struct server *s = *state;
	struct dhcp m;

	bind(s);
	wire_pass(s->wire, 880 * US_PER_S);
	assert_int_equal(s->nif->dhcp.state, DHCPC_REBINDING);
	m = reply(s, DHCP_ACK);
	m.server = SERVER + 5;
	put(s, &m, OFFER, &our_mac);
	assert_int_equal(s->nif->dhcp.state, DHCPC_BOUND);
	assert_int_equal(s->nif->dhcp.server, SERVER + 5);
}

static void
a_refusal_to_renew_takes_the_address(void **state)
{
	struct server *s = *state;

	bind(s);
	say_arp(s, ARP_REQUEST, SERVER, OFFER);
	wire_pass(s->wire, 501 * US_PER_S);
	answer(s, DHCP_NAK);
	assert_int_equal(s->nif->net.addr, 0);
	assert_int_equal(s->nif->dhcp.state, DHCPC_WAITING);
}

static void
an_infinite_lease_is_never_renewed(void **state)
{
	struct server *s = *state;

	s->lease_s = 0xffffffffu;
	bind(s);
	wire_pass(s->wire, 100000000 * US_PER_S);
	assert_int_equal(s->taken, s->nsent);
	assert_int_equal(s->nif->net.addr, OFFER);
}

static void
the_servers_own_times_count(void **state)
{
	struct server *s = *state;
	struct dhcp m;

	answer(s, DHCP_OFFER);
	m = reply(s, DHCP_ACK);
	m.renewal_s = 100;
	m.rebinding_s = 200;
	put(s, &m, OFFER, &our_mac);
	assert_int_equal(
	    s->nif->dhcp.renew_us - s->wire->now_us, 100 * US_PER_S);
	assert_int_equal(
	    s->nif->dhcp.rebind_us - s->wire->now_us, 200 * US_PER_S);
	/* Times that contradict each other do not. */
	dhcpc_start(s->nif);
	wire_round(s->wire);
	answer(s, DHCP_OFFER);
	m = reply(s, DHCP_ACK);
	m.renewal_s = 2000;
	m.rebinding_s = 1500;
	put(s, &m, OFFER, &our_mac);
	assert_int_equal(
	    s->nif->dhcp.renew_us - s->wire->now_us, 500 * US_PER_S);
	assert_int_equal(
	    s->nif->dhcp.rebind_us - s->wire->now_us, 875 * US_PER_S);
}

/* ---- conflicts ---- */

static void
an_address_in_use_is_declined(void **state)
{
	struct server *s = *state;
	const struct sent_message *got;

	heard(s, DHCP_DISCOVER);
	answer(s, DHCP_OFFER);
	heard(s, DHCP_REQUEST);
	say_arp(s, ARP_REPLY, OFFER, 0); /* our probe is answered */
	answer(s, DHCP_ACK);
	assert_int_equal(s->nif->net.addr, 0);
	got = heard(s, DHCP_DECLINE);
	assert_int_equal(got->m.requested, OFFER);
	assert_int_equal(got->m.server, SERVER);
	assert_int_equal(got->m.ciaddr, 0);
	wire_pass(s->wire, 9 * US_PER_S);
	assert_int_equal(s->taken, s->nsent);
	wire_pass(s->wire, 2 * US_PER_S);
	heard(s, DHCP_DISCOVER);
}

static void
a_late_owner_makes_us_decline_too(void **state)
{
	struct server *s = *state;

	bind(s);
	wire_pass(s->wire, 1 * US_PER_S);
	say_arp(s, ARP_REPLY, OFFER, OFFER);
	assert_int_equal(s->nif->net.addr, 0);
	assert_int_equal(heard(s, DHCP_DECLINE)->m.requested, OFFER);
}

static void
an_old_lease_is_defended_once_in_a_while(void **state)
{
	struct server *s = *state;

	bind(s);
	wire_pass(s->wire, 60 * US_PER_S);
	s->announcements = 0;
	for (unsigned int i = 0; i < 5; i++)
		say_arp(s, ARP_REQUEST, OFFER, OFFER);
	assert_int_equal(s->announcements, 1);
	assert_int_equal(s->nif->net.addr, OFFER);
	assert_int_equal(s->nif->conflicts, 5);
	wire_pass(s->wire, 11 * US_PER_S);
	say_arp(s, ARP_REQUEST, OFFER, OFFER);
	assert_int_equal(s->announcements, 2);
}

/* ---- orders ---- */

static void
a_release_gives_the_address_back(void **state)
{
	struct server *s = *state;
	const struct sent_message *got;

	bind(s);
	say_arp(s, ARP_REQUEST, SERVER, OFFER);
	dhcpc_release(s->nif);
	wire_round(s->wire);
	got = heard(s, DHCP_RELEASE);
	assert_int_equal(got->m.ciaddr, OFFER);
	assert_int_equal(got->m.server, SERVER);
	assert_int_equal(got->dst, SERVER);
	assert_int_equal(s->nif->net.addr, 0);
	wire_pass(s->wire, 1000 * US_PER_S);
	assert_int_equal(s->taken, s->nsent);
}

static void
a_lost_link_begins_anew(void **state)
{
	struct server *s = *state;

	bind(s);
	netif_link(s->nif, false);
	wire_pass(s->wire, 100 * US_PER_S);
	assert_int_equal(s->nif->net.addr, 0);
	assert_int_equal(s->taken, s->nsent);
	netif_link(s->nif, true);
	wire_round(s->wire);
	heard(s, DHCP_DISCOVER);
}

static void
a_narrow_network_narrows_the_interface(void **state)
{
	struct server *s = *state;
	struct dhcp m;

	answer(s, DHCP_OFFER);
	m = reply(s, DHCP_ACK);
	m.mtu = 1280;
	put(s, &m, OFFER, &our_mac);
	assert_int_equal(s->nif->mtu_bytes, 1280);
	dhcpc_start(s->nif);
	wire_round(s->wire);
	answer(s, DHCP_OFFER);
	m = reply(s, DHCP_ACK);
	m.mtu = 9000; /* wider than the card */
	put(s, &m, OFFER, &our_mac);
	assert_int_equal(s->nif->mtu_bytes, WIRE_MTU);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(four_messages_give_an_address),
		TEST(without_answers_it_asks_ever_more_slowly),
		TEST(a_request_without_answer_begins_anew),
		TEST(answers_that_are_not_ours_change_nothing),
		TEST(an_acknowledgement_must_be_the_chosen_servers),
		TEST(a_refusal_begins_anew_but_not_at_once),
		TEST(at_half_of_the_lease_the_server_is_asked_alone),
		TEST(then_all_servers_are_asked_then_the_address_is_lost),
		TEST(another_server_may_answer_when_rebinding),
		TEST(a_refusal_to_renew_takes_the_address),
		TEST(an_infinite_lease_is_never_renewed),
		TEST(the_servers_own_times_count),
		TEST(an_address_in_use_is_declined),
		TEST(a_late_owner_makes_us_decline_too),
		TEST(an_old_lease_is_defended_once_in_a_while),
		TEST(a_release_gives_the_address_back),
		TEST(a_lost_link_begins_anew),
		TEST(a_narrow_network_narrows_the_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
