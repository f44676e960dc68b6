/*
 * The router's answers to questions about names, by frames, and what it
 * remembers of others' answers.
 */
#include "tests/router/rig.h"

#include <errno.h>

#include "net/dns.h"
#include "router/dns_cache.h"

/* ---- the cache ---- */

static void
an_answer_is_kept_for_its_time_to_live(void **state)
{
	struct dns_cache *cache = dns_cache_new(4);
	struct dns_answer answer = {
		.naddrs = 1, .addr = { FAR }, .ttl_s = 60
	};
	struct dns_answer found;

	(void)state;
	dns_cache_add(cache, "far.test", &answer, 0);
	assert_true(dns_cache_find(cache, "far.test", 20 * NS_PER_S, &found));
	assert_int_equal(found.ttl_s, 40);
	assert_int_equal(found.addr[0], FAR);
	assert_false(dns_cache_find(cache, "far.tes", 0, &found));
	assert_false(dns_cache_find(cache, "far.test", 60 * NS_PER_S, &found));
	answer.ttl_s = 0;
	dns_cache_add(cache, "far.test", &answer, 0);
	assert_false(dns_cache_find(cache, "far.test", 0, &found));
	answer.ttl_s = UINT32_MAX;
	dns_cache_add(cache, "far.test", &answer, 0);
	assert_true(dns_cache_find(cache, "far.test", 0, &found));
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
	dns_cache_add(cache, "a", &answer, 0);
	dns_cache_add(cache, "b", &answer, 0);
	assert_true(dns_cache_find(cache, "a", 0, &found));
	dns_cache_add(cache, "c", &answer, 0);
	assert_false(dns_cache_find(cache, "b", 0, &found));
	assert_true(dns_cache_find(cache, "a", 0, &found));
	assert_true(dns_cache_find(cache, "c", 0, &found));
	dns_cache_free(cache);
}

/* ---- the service ---- */

static int
look_up(void *arg, const char *name, uint32_t *addr, unsigned int max)
{
	(void)arg;
	assert_int_equal(max, DNS_MAX_ANSWERS);
	if (strcmp(name, "nobody.lab") == 0)
		return -ENOENT;
	if (strcmp(name, "alice.lab") != 0)
		return -1;
	addr[0] = ALICE;
	addr[1] = BOB;
	return 2;
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
ask(struct rig *rig, const char *name, uint16_t type, size_t capital)
{
	struct dns q = {
		.id = 77, .flags = DNS_FLAG_RECURSE, .type = type, .class = 1
	};
	uint8_t message[512];
	struct writer w = writer(message, sizeof(message));

	strcpy(q.name, name);
	dns_write(&w, &q);
	if (capital > 0)
		message[12 + capital] -= 'a' - 'A';
	return send_dns(
	    rig, INSIDE, ALICE, GW_INSIDE, message, (size_t)(w.at - message));
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
other_types_are_not_implemented(void **state)
{
	struct dns dns;

	ask(*state, "alice.lab", 15, 0);
	dns = answer(*state);
	assert_int_equal(DNS_RCODE(dns.flags), 4);
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
	static const uint8_t root[] = { 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
		0, 1, 0, 1 };

	assert_int_equal(send_dns(rig, INSIDE, ALICE, GW_INSIDE, answer_bytes,
			     sizeof(answer_bytes)),
	    DROP_DNS);
	assert_int_equal(
	    send_dns(rig, INSIDE, ALICE, GW_INSIDE, root, sizeof(root)),
	    DROP_DNS);
	assert_int_equal(
	    send_dns(rig, INSIDE, ALICE, GW_INSIDE, root, 5), DROP_SHORT);
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
	const struct router_dns_options o = { .upstream = FAR };
	struct err err = { "" };

	(void)state;
	assert_true(router_set_dns(rig->router, &o, &err) < 0);
	assert_non_null(strstr(err.text, "virtual time; run without"));
	rig_free(rig);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

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
		T(other_types_are_not_implemented),
		T(capital_letters_come_back_as_they_were_asked),
		T(what_is_no_question_is_not_answered),
		T(the_outside_of_a_nat_is_not_answered),
		cmocka_unit_test(a_virtual_loop_has_no_upstream_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
