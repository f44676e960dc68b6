/*
 * SIP through the NAT, by frames: what is changed, whom the pins let in, and
 * what is left alone.
 */
#include <stdio.h>

#include "tests/router/nat_rig.h"

#include "net/checksum.h"

static struct rig *
start(void **state, bool sip)
{
	struct nat_rules rules = nat_rules_default;
	struct rig *rig;

	rules.sip = sip;
	rig = start_rules(state, &rules);
	/* Alice's ports are taken outside, so that all texts differ. */
	rig_udp(rig, INSIDE, BOB, 5060, SERVER, 1);
	rig_udp(rig, INSIDE, BOB, 4000, SERVER, 1);
	return rig;
}

enum sum { SUM_RIGHT, SUM_NONE, SUM_WRONG };

static enum reason
send_text(struct rig *rig, int from, uint32_t src, uint16_t sport, uint32_t dst,
    uint16_t dport, const char *text, enum sum sum)
{
	uint8_t bytes[2048];
	struct writer w = writer(bytes, sizeof(bytes));
	struct eth eth = { .dst = rig->peer[from].gw_mac,
		.src = rig_mac(src),
		.type = ETH_IPV4 };
	struct udp udp = { .sport = sport,
		.dport = dport,
		.data = (const uint8_t *)text,
		.data_bytes = strlen(text) };
	struct ip4 ip = { .ttl = 64,
		.protocol = IP_UDP,
		.src = src,
		.dst = dst,
		.total_bytes = (uint16_t)(28 + udp.data_bytes) };

	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	udp_write(&w, &udp, src, dst);
	assert_false(w.overrun);
	if (sum == SUM_NONE)
		put_be16(bytes + 34 + UDP_OFF_CHECKSUM, 0);
	else if (sum == SUM_WRONG)
		bytes[34 + UDP_OFF_CHECKSUM] ^= 1;
	rig_clear(rig);
	return rig_send(rig, from, bytes, (size_t)(w.at - bytes));
}

#define INVITATION                                                        \
	"INVITE sip:b@203.0.113.10 SIP/2.0\r\n"                           \
	"Via: SIP/2.0/UDP 10.0.0.10:5060\r\nContact: <sip:10.0.0.10>\r\n" \
	"Content-Type: application/sdp\r\nContent-Length: 44\r\n\r\n"     \
	"c=IN IP4 10.0.0.10\r\nm=audio 4000 RTP/AVP 0\r\n"

/* Alice's outside ports, as the invitation that left names them. */
static void
invite(struct rig *rig, enum sum sum, unsigned int *port, unsigned int *media)
{
	char text[1024];
	struct got g;
	unsigned int via;

	assert_int_equal(
	    send_text(rig, INSIDE, ALICE, 5060, SERVER, 5060, INVITATION, sum),
	    REASON_NAT_NEW);
	g = rig_got(rig, OUTSIDE); /* its sum is right, or there is none */
	snprintf(text, sizeof(text), "%.*s", (int)g.udp.data_bytes,
	    (const char *)g.udp.data);
	assert_int_equal(sscanf(text,
			     "INVITE sip:b@203.0.113.10 SIP/2.0\r\n"
			     "Via: SIP/2.0/UDP 203.0.113.1:%u\r\n"
			     "Contact: <sip:203.0.113.1:%u>\r\n"
			     "Content-Type: application/sdp\r\n"
			     "Content-Length: 46\r\n\r\n"
			     "c=IN IP4 203.0.113.1\r\nm=audio %u RTP/AVP 0\r\n",
			     &via, port, media),
	    3);
	assert_int_equal(via, *port);
	assert_int_equal(g.sport, *port);
	assert_int_not_equal(*port, 5060);
	assert_int_not_equal(*media, 4000);
}

static void
who_invites_is_answered_and_gets_media_from_anybody(void **state)
{
	struct rig *rig = start(state, true);
	unsigned int port, media;
	char answer[256];
	struct got g;

	invite(rig, SUM_RIGHT, &port, &media);
	snprintf(answer, sizeof(answer),
	    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 203.0.113.1:%u\r\n\r\n", port);
	assert_int_equal(send_text(rig, OUTSIDE, SERVER, 5060, GW_OUTSIDE,
			     (uint16_t)port, answer, SUM_RIGHT),
	    REASON_NAT_IN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, ALICE);
	assert_memory_equal(g.udp.data,
	    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.10:5060\r\n\r\n",
	    g.udp.data_bytes);
	/* Media and RTCP from where nobody sent to; signalling not. */
	for (unsigned int i = 0; i < 2; i++) {
		rig_clear(rig);
		assert_int_equal(rig_udp(rig, OUTSIDE, SERVER2, 1, GW_OUTSIDE,
				     (uint16_t)(media + i)),
		    REASON_NAT_IN);
		g = rig_got(rig, INSIDE);
		assert_int_equal(g.dport, 4000 + i);
	}
	assert_int_equal(
	    rig_udp(rig, OUTSIDE, SERVER2, 1, GW_OUTSIDE, (uint16_t)port),
	    DROP_NAT_FILTERED);
	/* A call an hour after, as long as registrations last. */
	rig_wait(rig, 3500 * NS_PER_S);
	assert_int_equal(
	    rig_udp(rig, OUTSIDE, SERVER, 9, GW_OUTSIDE, (uint16_t)port),
	    REASON_NAT_IN);
	assert_int_equal(
	    rig_udp(rig, OUTSIDE, SERVER2, 1, GW_OUTSIDE, (uint16_t)media),
	    DROP_NAT_UNSOLICITED);
}

static void
a_datagram_without_a_checksum_stays_without(void **state)
{
	struct rig *rig = start(state, true);
	unsigned int port, media;

	invite(rig, SUM_NONE, &port, &media);
	assert_int_equal(
	    get_be16(rig->peer[OUTSIDE].seen[0].data + 34 + UDP_OFF_CHECKSUM),
	    0);
}

static void
damage_is_not_covered_up(void **state)
{
	struct rig *rig = start(state, true);
	const struct seen *seen = &rig->peer[OUTSIDE].seen[0];

	assert_int_equal(send_text(rig, INSIDE, ALICE, 5060, SERVER, 5060,
			     INVITATION, SUM_WRONG),
	    REASON_NAT_NEW);
	assert_int_equal(seen->len, 42 + strlen(INVITATION));
	assert_memory_equal(seen->data + 42, INVITATION, strlen(INVITATION));
}

static void
rfc4787_req10_sip_is_off_by_default(void **state)
{
	struct rig *rig = start(state, false);
	struct got g;

	assert_false(nat_rules_default.sip);
	for (int p = 0; p < NAT_PRESETS; p++)
		assert_false(nat_preset((enum nat_preset)p)->sip);
	send_text(
	    rig, INSIDE, ALICE, 5060, SERVER, 5060, INVITATION, SUM_RIGHT);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.udp.data_bytes, strlen(INVITATION));
	assert_memory_equal(g.udp.data, INVITATION, strlen(INVITATION));
}

static void
rfc4787_req10a_sip_is_switched_by_itself(void **state)
{
	struct rig *rig = start(state, false);
	struct nat_rules rules = *router_nat_rules(rig->router);
	struct err err = { "" };
	unsigned int port, media;

	rules.sip = true;
	assert_int_equal(router_change_nat(rig->router, &rules, &err), 0);
	assert_false(router_nat_rules(rig->router)->ftp);
	invite(rig, SUM_RIGHT, &port, &media);
}

/* By the outer address, to a port that is forwarded to Bob: what the callee is
 * told are inside ends, which it can reach. */
static void
between_two_inside_hosts_nothing_is_changed(void **state)
{
	struct rig *rig = start(state, true);
	const struct router_forward forward = { .protocol = IP_UDP,
		.in_ip = BOB,
		.in_port = 5070,
		.out_port = 5070 };
	struct err err = { "" };
	struct got g;

	assert_int_equal(router_add_forward(rig->router, &forward, &err), 0);
	assert_int_equal(send_text(rig, INSIDE, ALICE, 5060, GW_OUTSIDE, 5070,
			     INVITATION, SUM_RIGHT),
	    REASON_NAT_HAIRPIN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, BOB);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	assert_int_equal(g.udp.data_bytes, strlen(INVITATION));
	assert_memory_equal(g.udp.data, INVITATION, g.udp.data_bytes);
}

/* A phone behind a forwarded port is called by that. */
static void
what_comes_to_a_forwarded_port_names_the_inside_end(void **state)
{
	struct rig *rig = start(state, true);
	const struct router_forward forward = { .protocol = IP_UDP,
		.in_ip = ALICE,
		.in_port = 5060,
		.out_port = 5099 };
	struct err err = { "" };
	struct got g;

	assert_int_equal(router_add_forward(rig->router, &forward, &err), 0);
	assert_int_equal(send_text(rig, OUTSIDE, SERVER, 5060, GW_OUTSIDE, 5099,
			     "INVITE sip:a@203.0.113.1:5099 SIP/2.0\r\n"
			     "Via: SIP/2.0/UDP 203.0.113.10:5060\r\n\r\n",
			     SUM_RIGHT),
	    REASON_NAT_IN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, ALICE);
	assert_memory_equal(
	    g.udp.data, "INVITE sip:a@10.0.0.10:5060 SIP/2.0", 35);
}

static void
other_ports_are_left_alone(void **state)
{
	struct rig *rig = start(state, true);
	struct got g;

	send_text(
	    rig, INSIDE, ALICE, 5061, SERVER, 5062, INVITATION, SUM_RIGHT);
	g = rig_got(rig, OUTSIDE);
	assert_memory_equal(g.udp.data, INVITATION, strlen(INVITATION));
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(who_invites_is_answered_and_gets_media_from_anybody),
		T(a_datagram_without_a_checksum_stays_without),
		T(damage_is_not_covered_up),
		T(rfc4787_req10_sip_is_off_by_default),
		T(rfc4787_req10a_sip_is_switched_by_itself),
		T(between_two_inside_hosts_nothing_is_changed),
		T(what_comes_to_a_forwarded_port_names_the_inside_end),
		T(other_ports_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
