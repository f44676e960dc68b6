/*
 * The router's answers to questions about names, by frames, and what it
 * remembers of others' answers.
 */
#include "tests/router/rig.h"

#include <errno.h>
#include <stdio.h>

#include "net/dns.h"
#include "router/dns64.h"
#include "router/dns_cache.h"

/* ---- the cache ---- */

static void
an_answer_is_kept_for_its_time_to_live(void **state)
{
	struct dns_cache *cache = dns_cache_new(4);
	struct dns_answer answer = {
		.naddrs = 1, .addr = { ip6_of_ip4(FAR) }, .ttl_s = 60
	};
	struct dns_answer found;

	(void)state;
	dns_cache_add(cache, "far.test", DNS_TYPE_A, &answer, 0);
	assert_true(dns_cache_find(
	    cache, "far.test", DNS_TYPE_A, 20 * NS_PER_S, &found));
	assert_int_equal(found.ttl_s, 40);
	assert_memory_equal(&found.addr[0], &answer.addr[0], 16);
	assert_false(dns_cache_find(cache, "far.tes", DNS_TYPE_A, 0, &found));
	assert_false(dns_cache_find(
	    cache, "far.test", DNS_TYPE_A, 60 * NS_PER_S, &found));
	answer.ttl_s = 0;
	dns_cache_add(cache, "far.test", DNS_TYPE_A, &answer, 0);
	assert_false(dns_cache_find(cache, "far.test", DNS_TYPE_A, 0, &found));
	answer.ttl_s = UINT32_MAX;
	dns_cache_add(cache, "far.test", DNS_TYPE_A, &answer, 0);
	assert_true(dns_cache_find(cache, "far.test", DNS_TYPE_A, 0, &found));
	assert_int_equal(found.ttl_s, DNS_CACHE_MAX_S);
	dns_cache_free(cache);
}

static void
a_full_cache_forgets_what_was_used_longest_ago(void **state)
{
	struct dns_cache *cache = dns_cache_new(2);
	const struct dns_answer answer = { .ttl_s = 60 };
	struct dns_answer found;

	(void)state;
	dns_cache_add(cache, "a", DNS_TYPE_A, &answer, 0);
	dns_cache_add(cache, "b", DNS_TYPE_A, &answer, 0);
	assert_true(dns_cache_find(cache, "a", DNS_TYPE_A, 0, &found));
	dns_cache_add(cache, "c", DNS_TYPE_A, &answer, 0);
	assert_false(dns_cache_find(cache, "b", DNS_TYPE_A, 0, &found));
	assert_true(dns_cache_find(cache, "a", DNS_TYPE_A, 0, &found));
	assert_true(dns_cache_find(cache, "c", DNS_TYPE_A, 0, &found));
	dns_cache_free(cache);
}

/* ---- the service ---- */

/* both.lab's, besides that of server.lab. */
static const struct ip6_addr both6 = { { 0x20, 1, 0xd, 0xb8, [15] = 7 } };

static int
look_up(void *arg, const char *name, struct ip6_addr *addr, unsigned int max)
{
	(void)arg;
	assert_int_equal(max, DNS_MAX_ANSWERS);
	if (strcmp(name, "nobody.lab") == 0)
		return -ENOENT;
	if (strcmp(name, "server.lab") == 0 || strcmp(name, "ten.lab") == 0) {
		addr[0] = ip6_of_ip4(name[0] == 's' ? SERVER : 0x0a010101);
		return 1;
	}
	if (strcmp(name, "both.lab") == 0) {
		addr[0] = ip6_of_ip4(SERVER);
		addr[1] = both6;
		return 2;
	}
	if (strcmp(name, "alice.lab") != 0)
		return -1;
	addr[0] = ip6_of_ip4(ALICE);
	addr[1] = ip6_of_ip4(BOB);
	return 2;
}

static bool
look_back(void *arg, uint32_t addr, char *name, size_t bytes)
{
	(void)arg;
	if (addr == SERVER)
		snprintf(name, bytes, "server.lab");
	return addr == SERVER;
}

static int
setup(void **state)
{
	const struct router_dns_options o = { .lookup = look_up };
	struct rig *rig = rig_new(0);

	rig_warm(rig);
	*state = rig;
	return router_set_dns(rig->router, &o, NULL);
}

static int
teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static enum reason
send_dns(struct rig *rig, int from, uint32_t src, uint32_t dst,
    const uint8_t *message, size_t bytes)
{
	uint8_t out[700];
	struct writer w = writer(out, sizeof(out));
	struct udp udp = { .sport = 4000,
		.dport = DNS_PORT,
		.data = message,
		.data_bytes = bytes };
	struct eth eth = { .dst = rig->peer[from].gw_mac,
		.src = rig_mac(src),
		.type = ETH_IPV4 };
	struct ip4 ip = { .ttl = 64,
		.protocol = IP_UDP,
		.src = src,
		.dst = dst,
		.total_bytes = (uint16_t)(28 + bytes) };

	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	udp_write(&w, &udp, src, dst);
	return rig_send(rig, from, out, (size_t)(w.at - out));
}

static enum reason
ask_as(struct rig *rig, const char *name, uint16_t type, size_t capital,
    bool dnssec, uint16_t checking)
{
	static const uint8_t option[] = { 0, 0, 41, 16, 0, 0, 0, 0x80, 0, 0,
		0 };
	struct dns q = { .id = 77,
		.flags = DNS_FLAG_RECURSE | checking,
		.type = type,
		.class = 1 };
	uint8_t message[512];
	struct writer w = writer(message, sizeof(message));

	strcpy(q.name, name);
	dns_write(&w, &q);
	if (dnssec) {
		wr_bytes(&w, option, sizeof(option));
		message[11] = 1;
	}
	if (capital > 0)
		message[12 + capital] -= 'a' - 'A';
	return send_dns(
	    rig, INSIDE, ALICE, GW_INSIDE, message, (size_t)(w.at - message));
}

static enum reason
ask(struct rig *rig, const char *name, uint16_t type, size_t capital)
{
	return ask_as(rig, name, type, capital, false, 0);
}

static struct dns
answer(struct rig *rig)
{
	struct got got = rig_got(rig, INSIDE);
	struct cursor c = cursor(got.udp.data, got.udp.data_bytes);
	struct dns dns;

	assert_int_equal(got.ip.src, GW_INSIDE);
	assert_int_equal(got.sport, DNS_PORT);
	assert_int_equal(got.dport, 4000);
	assert_int_equal(dns_parse(&dns, &c), REASON_NONE);
	assert_int_equal(dns.id, 77);
	assert_true(dns.flags & DNS_FLAG_RESPONSE);
	assert_true(dns.flags & DNS_FLAG_RECURSION);
	return dns;
}

static void
names_of_the_lab_are_answered(void **state)
{
	struct dns dns;

	assert_int_equal(
	    ask(*state, "alice.lab", DNS_TYPE_A, 0), REASON_DELIVERED);
	dns = answer(*state);
	assert_int_equal(DNS_RCODE(dns.flags), DNS_OK);
	assert_int_equal(dns.naddrs, 2);
	assert_int_equal(dns.addr[0], ALICE);
	assert_int_equal(dns.addr[1], BOB);
}

static void
their_ipv6_addresses_are_none(void **state)
{
	struct dns dns;

	ask(*state, "alice.lab", DNS_TYPE_AAAA, 0);
	dns = answer(*state);
	assert_int_equal(DNS_RCODE(dns.flags), DNS_OK);
	assert_int_equal(dns.naddrs, 0);
}

static void
without_an_upstream_server_other_names_do_not_exist(void **state)
{
	struct dns dns;

	ask(*state, "example.org", DNS_TYPE_A, 0);
	dns = answer(*state);
	assert_int_equal(DNS_RCODE(dns.flags), DNS_NXDOMAIN);
	rig_clear(*state);
	ask(*state, "nobody.lab", DNS_TYPE_A, 0);
	dns = answer(*state);
	assert_int_equal(DNS_RCODE(dns.flags), DNS_NXDOMAIN);
}

static void
names_of_the_lab_have_no_records_of_other_types(void **state)
{
	static const struct {
		const char *name;
		uint16_t type, rcode;
		uint8_t naddrs;
	} rows[] = {
		{ "alice.lab", 15, DNS_OK, 0 }, { "alice.lab", 65, DNS_OK, 0 },
		{ "nobody.lab", 15, DNS_NXDOMAIN, 0 },
		{ "example.org", 15, DNS_NXDOMAIN, 0 },
		{ "1.0.0.127.ip6.arpa", DNS_TYPE_PTR, DNS_NXDOMAIN, 0 },
		{ "lab", 252, DNS_REFUSED, 0 },  /* a transfer */
		{ "alice.lab", 255, DNS_OK, 2 }, /* RFC 8482 4.1 */
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct got got;
		struct dns dns;

		rig_clear(rig);
		ask(rig, rows[i].name, rows[i].type, 0);
		dns = answer(rig);
		assert_int_equal(DNS_RCODE(dns.flags), rows[i].rcode);
		got = rig_got(rig, INSIDE);
		assert_int_equal(get_be16(got.udp.data + 6), rows[i].naddrs);
	}
}

/* Who says in its question that it knows EDNS is told the same. */
static void
rfc6891_s6_1_1_edns_is_answered_by_edns(void **state)
{
	static const struct {
		uint8_t version, extended;
		uint8_t naddrs;
	} rows[] = { { 0, 0, 2 }, { 1, 1, 0 } };
	static const uint8_t name[] = "\5alice\3lab";
	struct rig *rig = *state;

	for (int i = 0; i < 2; i++) {
		uint8_t message[64];
		struct writer w = writer(message, sizeof(message));
		struct got got;
		const uint8_t *opt;

		wr_bytes(&w, "\0\115\1\0\0\1\0\0\0\0\0\1", 12);
		wr_bytes(&w, name, sizeof(name));
		wr_bytes(&w, "\0\1\0\1\0\0\51\20\0\0", 10);
		wr_u8(&w, rows[i].version);
		wr_bytes(&w, "\200\0\0\0", 4);
		rig_clear(rig);
		assert_int_equal(send_dns(rig, INSIDE, ALICE, GW_INSIDE,
				     message, (size_t)(w.at - message)),
		    REASON_DELIVERED);
		got = rig_got(rig, INSIDE);
		assert_int_equal(get_be16(got.udp.data + 6), rows[i].naddrs);
		assert_int_equal(get_be16(got.udp.data + 10), 1);
		opt = got.udp.data + got.udp.data_bytes - 11;
		assert_int_equal(get_be16(opt + 1), 41);
		assert_int_equal(get_be16(opt + 3), DNS_EDNS_BYTES);
		assert_int_equal(opt[5], rows[i].extended);
		assert_int_equal(opt[6], 0);
		assert_int_equal(opt[7], 0x80); /* signatures are wanted */
	}
}

static void
what_is_no_query_is_not_implemented(void **state)
{
	static const uint8_t notify[] = { 0, 77, 0x21, 0, 0, 1, 0, 0, 0, 0, 0,
		0, 5, 'a', 'l', 'i', 'c', 'e', 3, 'l', 'a', 'b', 0, 0, 1, 0,
		1 };
	struct got got;

	send_dns(*state, INSIDE, ALICE, GW_INSIDE, notify, sizeof(notify));
	got = rig_got(*state, INSIDE);
	assert_int_equal(DNS_RCODE(get_be16(got.udp.data + 2)), 4);
	assert_int_equal(get_be16(got.udp.data + 6), 0);
}

static void
capital_letters_come_back_as_they_were_asked(void **state)
{
	struct rig *rig = *state;
	struct got got;

	ask(rig, "alice.lab", DNS_TYPE_A, 3);
	got = rig_got(rig, INSIDE);
	assert_memory_equal(got.udp.data + 12, "\5alIce\3lab", 10);
}

static void
what_is_no_question_is_not_answered(void **state)
{
	struct rig *rig = *state;
	static const uint8_t answer_bytes[] = { 0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0,
		0, 0, 1, 'a', 0, 0, 1, 0, 1 };
	static const uint8_t two[] = { 0, 1, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0,
		1, 0, 1, 0, 0, 1, 0, 1 };

	assert_int_equal(send_dns(rig, INSIDE, ALICE, GW_INSIDE, answer_bytes,
			     sizeof(answer_bytes)),
	    DROP_DNS);
	assert_int_equal(
	    send_dns(rig, INSIDE, ALICE, GW_INSIDE, two, sizeof(two)),
	    DROP_DNS);
	assert_int_equal(
	    send_dns(rig, INSIDE, ALICE, GW_INSIDE, two, 5), DROP_SHORT);
	assert_int_equal(rig->peer[INSIDE].n, 0);
}

static void
the_outside_of_a_nat_is_not_answered(void **state)
{
	struct rig *rig = *state;
	static const uint8_t question[] = { 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0,
		5, 'a', 'l', 'i', 'c', 'e', 3, 'l', 'a', 'b', 0, 0, 1, 0, 1 };

	rig_nat(rig, 0, 0, 0);
	assert_int_equal(send_dns(rig, OUTSIDE, SERVER, GW_OUTSIDE, question,
			     sizeof(question)),
	    DROP_NAT_UNSOLICITED);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
}

static void
a_virtual_loop_has_no_upstream_server(void **state)
{
	struct rig *rig = rig_new(0);
	const struct router_dns_options o = {
		.upstream = { FAR }, .nupstreams = 1, .upstream_port = 53
	};
	struct err err = { "" };

	(void)state;
	assert_true(router_set_dns(rig->router, &o, &err) < 0);
	assert_non_null(strstr(err.text, "virtual time; run without"));
	rig_free(rig);
}

/* ---- DNS64 ---- */

static int
setup_64(void **state)
{
	const struct router_dns_options o = { .lookup = look_up,
		.reverse = look_back,
		.ip6 = true,
		.dns64 = ip64_well_known };
	struct rig *rig = rig_new(0);

	rig_warm(rig);
	rig_nat(rig, 0, 0, 0);
	*state = rig;
	return router_set_dns(rig->router, &o, NULL);
}

static void
rfc6147_s5_1_6_addresses_are_made_where_there_are_none(void **state)
{
	struct ip6_addr want = ip64_embed(&ip64_well_known, SERVER);
	struct dns dns;

	ask(*state, "server.lab", DNS_TYPE_AAAA, 0);
	dns = answer(*state);
	assert_int_equal(DNS_RCODE(dns.flags), DNS_OK);
	assert_int_equal(dns.naddrs6, 1);
	assert_memory_equal(&dns.addr6[0], &want, sizeof(want));
	assert_int_equal(dns.naddrs, 0);
	/* A question for A is answered as ever. */
	rig_clear(*state);
	ask(*state, "server.lab", DNS_TYPE_A, 0);
	dns = answer(*state);
	assert_int_equal(dns.naddrs, 1);
	assert_int_equal(dns.addr[0], SERVER);
}

static void
of_a_name_with_both_kinds_none_is_made(void **state)
{
	struct dns dns;

	ask(*state, "both.lab", DNS_TYPE_AAAA, 0);
	dns = answer(*state);
	assert_int_equal(dns.naddrs6, 1);
	assert_memory_equal(&dns.addr6[0], &both6, sizeof(both6));
	rig_clear(*state);
	ask(*state, "both.lab", DNS_TYPE_A, 0);
	dns = answer(*state);
	assert_int_equal(dns.naddrs, 1);
	assert_int_equal(dns.addr[0], SERVER);
}

static void
no_address_is_made_that_nat64_would_not_translate(void **state)
{
	static const char *const names[] = { "alice.lab", "ten.lab" };
	struct dns dns;

	for (int i = 0; i < 2; i++) {
		rig_clear(*state);
		ask(*state, names[i], DNS_TYPE_AAAA, 0);
		dns = answer(*state);
		assert_int_equal(DNS_RCODE(dns.flags), DNS_OK);
		assert_int_equal(dns.naddrs6, 0);
	}
}

static void
rfc6147_s5_1_2_a_name_that_does_not_exist_gets_no_address(void **state)
{
	struct dns dns;

	ask(*state, "nobody.lab", DNS_TYPE_AAAA, 0);
	dns = answer(*state);
	assert_int_equal(DNS_RCODE(dns.flags), DNS_NXDOMAIN);
	assert_int_equal(dns.naddrs6, 0);
}

static void
rfc6147_s5_5_a_validator_sees_what_there_is(void **state)
{
	static const struct {
		bool dnssec;
		uint16_t checking;
		uint8_t naddrs;
	} rows[] = { { false, 0, 1 }, { true, 0, 1 },
		{ false, DNS_FLAG_CHECKING, 1 },
		{ true, DNS_FLAG_CHECKING, 0 } };
	struct dns dns;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rig_clear(*state);
		ask_as(*state, "server.lab", DNS_TYPE_AAAA, 0, rows[i].dnssec,
		    rows[i].checking);
		dns = answer(*state);
		assert_int_equal(DNS_RCODE(dns.flags), DNS_OK);
		assert_int_equal(dns.naddrs6, rows[i].naddrs);
		assert_int_equal(
		    dns.flags & DNS_FLAG_CHECKING, rows[i].checking);
	}
}

static void
rfc6147_s5_3_1_names_of_made_addresses_are_those_of_ip4(void **state)
{
	static const char name[] = "a.0.1.7.0.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0."
				   "0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa";
	char reverse[REVERSE4_BYTES];
	struct dns dns;

	assert_string_equal(
	    reverse4_text(reverse, SERVER), "10.113.0.203.in-addr.arpa");
	ask(*state, name, DNS_TYPE_PTR, 0);
	dns = answer(*state);
	assert_int_equal(DNS_RCODE(dns.flags), DNS_OK);
	assert_string_equal(dns.alias, reverse);
	assert_string_equal(dns.host, "server.lab");
	rig_clear(*state);
	ask(*state, reverse, DNS_TYPE_PTR, 0);
	dns = answer(*state);
	assert_string_equal(dns.host, "server.lab");
	assert_string_equal(dns.alias, "");
	/* One behind another prefix. */
	rig_clear(*state);
	ask(*state, name + 2, DNS_TYPE_PTR, 0);
	assert_int_equal(DNS_RCODE(answer(*state).flags), DNS_NXDOMAIN);
}

static void
rfc7050_s3_hosts_find_out_the_prefix(void **state)
{
	struct ip6_addr want = ip64_embed(&ip64_well_known, 0xc00000aa);
	struct dns dns;

	ask(*state, "ipv4only.arpa", DNS_TYPE_AAAA, 0);
	dns = answer(*state);
	assert_int_equal(dns.naddrs6, 2);
	assert_memory_equal(&dns.addr6[0], &want, sizeof(want));
	rig_clear(*state);
	ask(*state, "ipv4only.arpa", DNS_TYPE_A, 0);
	dns = answer(*state);
	assert_int_equal(dns.naddrs, 2);
	assert_int_equal(dns.addr[1], 0xc00000ab);
}

static void
rfc6147_s5_1_4_addresses_of_ip4_are_none_of_ip6(void **state)
{
	struct dns_answer answer = { .naddrs = 3,
		.addr = { ip6_of_ip4(SERVER), ip64_well_known.addr,
		    ip6_of_ip4(FAR) } };

	(void)state;
	assert_true(dns64_sift(&answer));
	assert_int_equal(answer.naddrs, 1);
	assert_memory_equal(&answer.addr[0], &ip64_well_known.addr, 16);
	answer.addr[0] = ip6_of_ip4(SERVER);
	assert_false(dns64_sift(&answer));
	assert_int_equal(answer.naddrs, 0);
}

static void
rfc6147_s5_1_7_what_is_made_lives_600_s_at_most(void **state)
{
	struct dns_answer a = {
		.naddrs = 1, .addr = { ip6_of_ip4(FAR) }, .ttl_s = 3600
	};
	struct dns_answer made;

	(void)state;
	assert_true(dns64_make(&ip64_well_known, &a, &made));
	assert_int_equal(made.ttl_s, 600);
	a.ttl_s = 20;
	assert_true(dns64_make(&ip64_well_known, &a, &made));
	assert_int_equal(made.ttl_s, 20);
}

static void
names_of_addresses_that_cannot_be_are_none(void **state)
{
	static const char *const names[] = { "1.2.3.in-addr.arpa",
		"1.2.3.4.5.in-addr.arpa", "256.2.3.4.in-addr.arpa",
		"01.2.3.4.in-addr.arpa", ".in-addr.arpa", "in-addr.arpa",
		"1.2.3.4.in-addr.arpa.org", "1.2.3.4" };
	uint32_t ip4;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_false(reverse4_read(names[i], &ip4));
	assert_true(reverse4_read("4.3.2.1.in-addr.arpa", &ip4));
	assert_int_equal(ip4, 0x01020304);
}

#define T64(f) cmocka_unit_test_setup_teardown(f, setup_64, teardown)
#define T(f)   cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_kept_for_its_time_to_live),
		cmocka_unit_test(
		    a_full_cache_forgets_what_was_used_longest_ago),
		T(names_of_the_lab_are_answered),
		T(their_ipv6_addresses_are_none),
		T(without_an_upstream_server_other_names_do_not_exist),
		T(names_of_the_lab_have_no_records_of_other_types),
		T(rfc6891_s6_1_1_edns_is_answered_by_edns),
		T(what_is_no_query_is_not_implemented),
		T(capital_letters_come_back_as_they_were_asked),
		T(what_is_no_question_is_not_answered),
		T(the_outside_of_a_nat_is_not_answered),
		cmocka_unit_test(a_virtual_loop_has_no_upstream_server),
		T64(rfc6147_s5_1_6_addresses_are_made_where_there_are_none),
		T64(of_a_name_with_both_kinds_none_is_made),
		T64(no_address_is_made_that_nat64_would_not_translate),
		T64(rfc6147_s5_1_2_a_name_that_does_not_exist_gets_no_address),
		T64(rfc6147_s5_5_a_validator_sees_what_there_is),
		T64(rfc7050_s3_hosts_find_out_the_prefix),
		T64(rfc6147_s5_3_1_names_of_made_addresses_are_those_of_ip4),
		cmocka_unit_test(
		    rfc6147_s5_1_4_addresses_of_ip4_are_none_of_ip6),
		cmocka_unit_test(
		    rfc6147_s5_1_7_what_is_made_lives_600_s_at_most),
		cmocka_unit_test(names_of_addresses_that_cannot_be_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
