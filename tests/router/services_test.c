/*
 * What a router does besides forwarding: MSS clamping, its filter, redirects
 * and proxy ARP.
 */
#include "tests/router/rig.h"

#include "net/checksum.h"
#include "router/mss.h"

/* A rig whose inside port has options, with a default route. */
static struct rig *
rig_with(struct router_port_options inside)
{
	static const uint32_t addr[] = { GW_INSIDE, GW_OUTSIDE, GW_OTHER };
	static const char *const names[] = { "gw.inside", "gw.outside",
		"gw.other" };
	struct rig *rig = rig_new(0);

	/* Made anew, with the options. */
	for (int i = 0; i < NPEERS; i++)
		cable_cut(&rig->peer[i].port);
	router_free(rig->router);
	rig->router = router_new(rig->loop, "gw", 7, NULL);
	for (int i = 0; i < NPEERS; i++) {
		struct router_port_options o = { .mtu_bytes = 0 };

		if (i == INSIDE)
			o = inside;
		o.mac = rig_mac(addr[i]);
		o.address = (struct ip4_net){ addr[i], 24 };
		rig->peer[i].gw =
		    router_add_port(rig->router, names[i], &o, NULL);
		cable_join(&rig->peer[i].port, rig->peer[i].gw);
	}
	router_add_route(rig->router, (struct ip4_net){ 0, 0 }, PROVIDER, NULL);
	rig_warm(rig);
	return rig;
}

/* ---- MSS ---- */

static enum reason
send_syn(struct rig *rig, int from, uint32_t src, uint32_t dst, uint8_t flags,
    const uint8_t *options, size_t n)
{
	uint8_t out[128] = { 0 }, *tcp = out + 34;
	struct writer w = writer(out, sizeof(out));
	struct eth eth = { .dst = rig->peer[from].gw_mac,
		.src = rig_mac(src),
		.type = ETH_IPV4 };
	struct ip4 ip = { .ttl = 64,
		.protocol = IP_TCP,
		.src = src,
		.dst = dst,
		.total_bytes = (uint16_t)(40 + n) };

	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	put_be16(tcp, 1000);
	put_be16(tcp + 2, 80);
	tcp[12] = (uint8_t)((20 + n) / 4 << 4);
	tcp[13] = flags;
	memcpy(tcp + 20, options, n);
	put_be16(tcp + TCP_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(
		csum_pseudo4(src, dst, IP_TCP, (uint16_t)(20 + n)), tcp,
		20 + n)));
	return rig_send(rig, from, out, 54 + n);
}

static void
an_mss_is_lowered_to_what_fits_both_ways(void **state)
{
	static const struct {
		uint8_t options[8], flags;
		uint16_t mss;
	} cases[] = {
		{ { 2, 4, 5, 180, 1, 1, 1, 1 }, TCP_SYN, 1360 },
		{ { 1, 2, 4, 5, 180, 1, 1, 1 }, TCP_SYN, 1360 },
		{ { 3, 3, 7, 2, 4, 5, 180, 0 }, TCP_SYN | TCP_ACK, 1360 },
		{ { 2, 4, 2, 24, 0, 0, 0, 0 }, TCP_SYN, 536 },
		{ { 0, 2, 4, 5, 180, 0, 0, 0 }, TCP_SYN, 0 },
	};
	struct rig *rig = rig_with((struct router_port_options){
	    .mtu_bytes = 1400, .mss_clamp = true });

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct got got;

		rig_clear(rig);
		send_syn(rig, INSIDE, ALICE, CAROL, cases[i].flags,
		    cases[i].options, 8);
		/* rig_got() checks that the sum is right. */
		got = rig_got(rig, OTHER);
		assert_int_equal(got.tcp.mss, cases[i].mss);
		rig_clear(rig);
		send_syn(rig, OTHER, CAROL, ALICE, cases[i].flags,
		    cases[i].options, 8);
		got = rig_got(rig, INSIDE);
		assert_int_equal(got.tcp.mss, cases[i].mss);
	}
	rig_free(rig);
}

static void
what_is_no_syn_or_not_asked_for_stays(void **state)
{
	static const uint8_t options[8] = { 2, 4, 5, 180, 1, 1, 1, 1 };
	struct rig *rig = rig_with((struct router_port_options){
	    .mtu_bytes = 1400, .mss_clamp = true });

	(void)state;
	send_syn(rig, INSIDE, ALICE, CAROL, TCP_ACK, options, 8);
	rig_got(rig, OTHER);
	assert_int_equal(get_be16(rig->peer[OTHER].seen[0].data + 56), 1460);
	rig_free(rig);
	rig = rig_with((struct router_port_options){ .mtu_bytes = 1400 });
	send_syn(rig, INSIDE, ALICE, CAROL, TCP_SYN, options, 8);
	assert_int_equal(rig_got(rig, OTHER).tcp.mss, 1460);
	rig_free(rig);
}

/* Each cut, and each option length, of a hostile header. */
static void
no_header_is_read_beyond_its_end(void **state)
{
	struct ip4 header = { .header_bytes = 20, .protocol = IP_TCP };

	(void)state;
	for (size_t bytes = 20; bytes < 80; bytes++)
		for (unsigned int len = 0; len < 256; len++) {
			uint8_t *ip = malloc(bytes);

			memset(ip, 2, bytes);
			if (bytes > 33) {
				ip[32] = (uint8_t)(len << 4);
				ip[33] = TCP_SYN;
			}
			for (size_t at = 41; at < bytes; at += 2)
				ip[at] = (uint8_t)len;
			mss_clamp(ip, bytes, &header, 576, true);
			free(ip);
		}
}

/* ---- filter ---- */

static void
the_first_rule_that_matches_decides(void **state)
{
	struct rig *rig = rig_with((struct router_port_options){ 0 });
	const struct port *in = rig->peer[INSIDE].gw;

	(void)state;
	router_add_filter(
	    rig->router, in, NULL, "udp dst port 53", ROUTER_FILTER_PASS, NULL);
	router_add_filter(
	    rig->router, in, NULL, "udp", ROUTER_FILTER_DROP, NULL);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 4000, CAROL, 53), REASON_ROUTED);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 4000, CAROL, 54), DROP_FILTERED);
	assert_int_equal(rig->peer[OTHER].n, 1);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	assert_int_equal(
	    rig_udp(rig, OTHER, CAROL, 4000, ALICE, 54), REASON_ROUTED);
	rig_free(rig);
}

static void
a_rejected_packets_sender_is_told(void **state)
{
	struct rig *rig = rig_with((struct router_port_options){ 0 });
	struct got got;

	(void)state;
	router_add_filter(rig->router, NULL, rig->peer[OTHER].gw,
	    "tcp dst port 23", ROUTER_FILTER_REJECT, NULL);
	assert_int_equal(
	    rig_tcp(rig, INSIDE, ALICE, 9, CAROL, 23, TCP_SYN), DROP_FILTERED);
	got = rig_got(rig, INSIDE);
	assert_int_equal(got.icmp.type, ICMP_UNREACHABLE);
	assert_int_equal(got.icmp.code, ICMP_UNREACH_PROHIBITED);
	assert_int_equal(got_quote(&got).dport, 23);
	assert_null(rig->verdict.out);
	/* By another port it passes. */
	assert_int_equal(
	    rig_tcp(rig, INSIDE, ALICE, 9, SERVER, 23, TCP_SYN), REASON_ROUTED);
	rig_free(rig);
}

static void
rules_see_what_is_translated_as_it_is_at_the_port(void **state)
{
	struct rig *rig = rig_with((struct router_port_options){ 0 });

	(void)state;
	rig_nat(rig, 0, 0, 0);
	router_add_filter(rig->router, NULL, rig->peer[OUTSIDE].gw,
	    "src host 203.0.113.1 and dst port 7", ROUTER_FILTER_DROP, NULL);
	router_add_filter(rig->router, rig->peer[OUTSIDE].gw, NULL,
	    "src port 8 and dst host 203.0.113.1", ROUTER_FILTER_DROP, NULL);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 4000, SERVER, 7), DROP_FILTERED);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 4000, SERVER, 8), REASON_NAT_NEW);
	assert_int_equal(
	    rig_udp(rig, OUTSIDE, SERVER, 8, GW_OUTSIDE, 4000), DROP_FILTERED);
	rig_free(rig);
}

static void
a_rule_that_libpcap_cannot_read_is_refused(void **state)
{
	struct rig *rig = rig_with((struct router_port_options){ 0 });
	struct err err = { "" };

	(void)state;
	assert_true(router_add_filter(rig->router, NULL, NULL, "tcp and and",
			ROUTER_FILTER_DROP, &err) < 0);
	assert_non_null(strstr(err.text, "filter \"tcp and and\": "));
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 4000, CAROL, 53), REASON_ROUTED);
	rig_free(rig);
}

/* ---- redirects and proxy ARP ---- */

static void
a_host_is_told_of_the_better_router_on_its_link(void **state)
{
	struct rig *rig = rig_with((struct router_port_options){ 0 });
	const struct ip4_net to = { IP(192, 0, 2, 0), 24 };
	struct got got;

	(void)state;
	router_add_route(rig->router, to, BOB, NULL);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 4000, IP(192, 0, 2, 9), 53),
	    REASON_ROUTED);
	assert_int_equal(rig->peer[INSIDE].n, 2);
	got = got_of(&rig->peer[INSIDE].seen[0]);
	if (got.ip.protocol != IP_ICMP)
		got = got_of(&rig->peer[INSIDE].seen[1]);
	assert_int_equal(got.icmp.type, ICMP_REDIRECT);
	assert_int_equal(got.icmp.code, 1);
	assert_int_equal(got.icmp.word, BOB);
	assert_int_equal(got.ip.dst, ALICE);
	assert_int_equal(got_quote(&got).dport, 53);
	rig_free(rig);
	rig = rig_with((struct router_port_options){ .no_redirects = true });
	router_add_route(rig->router, to, BOB, NULL);
	rig_udp(rig, INSIDE, ALICE, 4000, IP(192, 0, 2, 9), 53);
	assert_int_equal(rig->peer[INSIDE].n, 1);
	rig_free(rig);
}

/* Who is said to have ip, when ALICE asks. */
static unsigned int
ask(struct rig *rig, uint32_t sender, uint32_t ip)
{
	struct peer *peer = &rig->peer[INSIDE];
	struct eth eth = {
		.dst = mac_broadcast, .src = rig_mac(ALICE), .type = ETH_ARP
	};
	struct arp arp = { .op = ARP_REQUEST,
		.sender_mac = eth.src,
		.sender_ip = sender,
		.target_ip = ip };
	uint8_t out[64];
	struct writer w = writer(out, sizeof(out));
	struct cursor c;

	eth_write(&w, &eth);
	arp_write(&w, &arp);
	rig_clear(rig);
	peer->keep_arp = true;
	rig_send(rig, INSIDE, out, (size_t)(w.at - out));
	peer->keep_arp = false;
	if (peer->n == 0)
		return 0;
	c = cursor(peer->seen[0].data + 14, peer->seen[0].len - 14);
	assert_int_equal(arp_parse(&arp, &c), REASON_NONE);
	assert_int_equal(arp.sender_ip, ip);
	assert_true(mac_equal(&arp.sender_mac, &peer->gw_mac));
	return peer->n;
}

static void
proxy_arp_answers_for_what_is_reached_elsewhere(void **state)
{
	struct rig *rig =
	    rig_with((struct router_port_options){ .proxy_arp = true });

	(void)state;
	assert_int_equal(ask(rig, ALICE, CAROL), 1);
	assert_int_equal(ask(rig, ALICE, FAR), 1);
	assert_int_equal(ask(rig, ALICE, BOB), 0);
	assert_int_equal(ask(rig, 0, CAROL), 0); /* a probe */
	rig_free(rig);
	rig = rig_with((struct router_port_options){ 0 });
	assert_int_equal(ask(rig, ALICE, CAROL), 0);
	assert_int_equal(ask(rig, ALICE, GW_INSIDE), 1);
	rig_free(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_mss_is_lowered_to_what_fits_both_ways),
		cmocka_unit_test(what_is_no_syn_or_not_asked_for_stays),
		cmocka_unit_test(no_header_is_read_beyond_its_end),
		cmocka_unit_test(the_first_rule_that_matches_decides),
		cmocka_unit_test(a_rejected_packets_sender_is_told),
		cmocka_unit_test(
		    rules_see_what_is_translated_as_it_is_at_the_port),
		cmocka_unit_test(a_rule_that_libpcap_cannot_read_is_refused),
		cmocka_unit_test(
		    a_host_is_told_of_the_better_router_on_its_link),
		cmocka_unit_test(
		    proxy_arp_answers_for_what_is_reached_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
