/*
 * IPv6 addresses, routers and groups of the guest: what it makes of what routers
 * and neighbours say.
 */
#include "tests/guest/bench6.h"

#define OURS      "2001:db8:1:0:0:ff:fe00:1"
#define OURS_LINK "fe80::ff:fe00:1"

static int
setup(void **state)
{
	*state = bench6_new("auto");
	return 0;
}

static const struct addr6 *
own(struct bench6 *b, const char *text)
{
	const struct ip6_addr addr = addr6(text);

	return addr6_find(b->nif, &addr);
}

static bool
is6(const struct ip6_addr *addr, const char *text)
{
	const struct ip6_addr want = addr6(text);

	return ip6_equal(addr, &want);
}

static const char *
state_of(struct bench6 *b, const char *text)
{
	const struct addr6 *a = own(b, text);

	return a != NULL ? addr6_state_name(a) : "none";
}

/* ---- addresses ---- */

static void
without_ipv6_nothing_is_said_nor_heard(void **state)
{
	struct bench6 *b = bench6_new(NULL);
	const struct nd_message nd = {
		.type = ND_SOLICIT, .target = addr6(OURS_LINK), .mac = their_mac
	};

	*state = b;
	put_nd(b, &their_mac, &nd, "fe80::2", "ff02::1:ff00:1");
	wire_pass(b->wire, 60 * US_PER_S);
	assert_int_equal(b->nsent + b->others, 0);
	assert_int_equal(DROPS6(DROP_ETH_TYPE), 1);
}

static void
an_address_is_looked_for_before_it_is_used(void **state)
{
	struct bench6 *b = *state;
	const struct ip6_addr none = { { 0 } };
	const struct sent6 *f;
	struct nd_message nd;
	struct cursor c;

	assert_string_equal(state_of(b, OURS_LINK), "tentative");
	wire_pass(b->wire, 200 * US_PER_MS);
	f = next6(b, ND_SOLICIT);
	assert_non_null(f);
	c = cursor(f->payload, f->bytes);
	assert_int_equal(nd_message_parse(&nd, &c, &f->ip), DROP_NONE);
	assert_true(ip6_equal(&f->ip.src, &none));
	assert_true(ip6_equal(&nd.target, &own(b, OURS_LINK)->net.addr));
	assert_true(mac_is_zero(&nd.mac));
	wire_pass(b->wire, 700 * US_PER_MS);
	assert_string_equal(state_of(b, OURS_LINK), "tentative");
	wire_pass(b->wire, 300 * US_PER_MS);
	assert_string_equal(state_of(b, OURS_LINK), "preferred");
}

static void
an_address_that_somebody_has_is_not_used(void **state)
{
	static const struct {
		uint8_t type, nonce;
		const char *src, *dst;
		const char *verdict;
	} rows[] = {
		{ ND_ADVERTISE, 0, "fe80::2", "ff02::1", "duplicate" },
		{ ND_SOLICIT, 0, "::", "ff02::1:ff00:1", "duplicate" },
		{ ND_SOLICIT, 1, "::", "ff02::1:ff00:1", "tentative" },
		/* who asks for it does not have it */
		{ ND_SOLICIT, 0, "fe80::2", "ff02::1:ff00:1", "tentative" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bench6 *b = bench6_new("auto");
		struct nd_message nd = { .type = rows[i].type,
			.target = addr6(OURS_LINK) };

		print_message("row %zu\n", i);
		if (rows[i].type == ND_ADVERTISE)
			nd.mac = their_mac;
		if (rows[i].nonce)
			memcpy(nd.nonce, own(b, OURS_LINK)->nonce,
			    sizeof(nd.nonce));
		put_nd(b, &their_mac, &nd, rows[i].src, rows[i].dst);
		assert_string_equal(state_of(b, OURS_LINK), rows[i].verdict);
		wire_pass(b->wire, 30 * US_PER_S);
		assert_string_equal(state_of(b, OURS_LINK),
		    strcmp(rows[i].verdict, "duplicate") == 0 ? "duplicate"
							      : "preferred");
		bench6_free((void **)&b);
	}
	(void)state;
	*state = bench6_new("auto");
}

static void
routers_are_asked_for_three_times(void **state)
{
	struct bench6 *b = *state;

	wire_pass(b->wire, 60 * US_PER_S);
	assert_int_equal(count6(b, ND_ROUTER_SOLICIT), 3);
	/* One from nowhere at once, then from our address. */
	assert_true(b->sent[0].payload[0] == ND_ROUTER_SOLICIT ||
	    b->sent[1].payload[0] == ND_ROUTER_SOLICIT);
	bench6_settle(b, 0);
	wire_pass(b->wire, 3600 * US_PER_S);
	assert_int_equal(b->nsent, 0);
}

static void
an_advertisement_gives_all_there_is(void **state)
{
	struct bench6 *b = *state;
	struct ra_message ra = usual_ra();
	const struct ip6_addr far = addr6("2001:db8:99::1");
	struct ip6_addr none = { { 0 } }, src, hop;

	put_ra(b, &ra);
	assert_string_equal(state_of(b, OURS), "tentative");
	assert_true(addr6_is_coming(b->nif));
	assert_false(ip_source(b->stack, &far, &none, &src));
	bench6_settle(b, 2 * US_PER_S);
	assert_string_equal(state_of(b, OURS), "preferred");
	assert_true(ip_source(b->stack, &far, &none, &src));
	assert_true(ip6_equal(&src, &own(b, OURS)->net.addr));
	assert_ptr_equal(ipv6_route(b->stack, &far, &none, &hop), b->nif);
	hop = *autoconf_router(b->nif);
	assert_true(is6(&hop, "fe80::9"));
	assert_int_equal(ip_mtu(b->stack, &far, &src), 1400);
	assert_int_equal(b->nif->ip6.hop_limit, 32);
	assert_true(b->nif->ip6.dns[0].used);
	/* Nobody is asked for any more. */
	wire_pass(b->wire, 100 * US_PER_S);
	assert_int_equal(count6(b, ND_ROUTER_SOLICIT), 0);
	/* Each has its time. */
	wire_pass(b->wire, 600 * US_PER_S);
	assert_false(b->nif->ip6.dns[0].used);
	wire_pass(b->wire, 1800 * US_PER_S);
	assert_null(autoconf_router(b->nif));
	wire_pass(b->wire, 14400 * US_PER_S);
	assert_string_equal(state_of(b, OURS), "deprecated");
	wire_pass(b->wire, 86400 * US_PER_S);
	assert_string_equal(state_of(b, OURS), "none");
	assert_string_equal(state_of(b, OURS_LINK), "preferred");
}

static void
nobody_takes_an_address_away_at_once(void **state)
{
	struct bench6 *b = *state;
	struct ra_message ra = usual_ra();

	put_ra(b, &ra);
	bench6_settle(b, 2 * US_PER_S);
	ra.prefix[0].valid_s = ra.prefix[0].preferred_s = 1;
	put_ra(b, &ra);
	wire_pass(b->wire, 7100 * US_PER_S);
	assert_string_equal(state_of(b, OURS), "deprecated");
	wire_pass(b->wire, 200 * US_PER_S);
	assert_string_equal(state_of(b, OURS), "none");
}

static void
advertisements_that_cannot_be_are_refused(void **state)
{
	static const struct {
		const char *src;
		uint8_t hop_limit, code;
		uint8_t option[32];
		size_t bytes;
		enum reason why;
	} rows[] = {
		{ "fe80::9", 255, 0, { 0 }, 0, DROP_NONE },
		{ "fe80::9", 254, 0, { 0 }, 0, DROP_ND },
		{ "2001:db8:1::9", 255, 0, { 0 }, 0, DROP_ND },
		{ "fe80::9", 255, 1, { 0 }, 0, DROP_ND },
		{ "fe80::9", 255, 0, { 200, 0 }, 8, DROP_ND },
		{ "fe80::9", 255, 0, { 200, 4 }, 8, DROP_SHORT },
		{ "fe80::9", 255, 0, { 200, 1 }, 8, DROP_NONE },
		/* a prefix of 129 bits, one too short, servers of half */
		{ "fe80::9", 255, 0, { 3, 4, 129, 0xc0, [7] = 9 }, 32,
		    DROP_NONE },
		{ "fe80::9", 255, 0, { 3, 1, 64, 0xc0 }, 8, DROP_NONE },
		{ "fe80::9", 255, 0, { 25, 2 }, 16, DROP_NONE },
	};
	struct bench6 *b = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t data[8 + 32] = { 0 };
		const struct icmp6 icmp = { .type = ND_ROUTER_ADVERTISE,
			.code = rows[i].code,
			.word = 1800,
			.data = data,
			.data_bytes = 8 + rows[i].bytes };
		uint8_t packet[200];
		struct writer w = writer(packet, sizeof(packet));
		struct ip6 ip = { .next = IP_ICMP6,
			.hop_limit = rows[i].hop_limit,
			.src = addr6(rows[i].src),
			.dst = ip6_all_nodes };

		print_message("row %zu\n", i);
		memset(b->nif->drops, 0, sizeof(b->nif->drops));
		memset(b->nif->ip6.gateway, 0, sizeof(b->nif->ip6.gateway));
		memcpy(data + 8, rows[i].option, rows[i].bytes);
		icmp6_write(&w, &icmp, &ip.src, &ip.dst);
		put6(b, &router_mac, &ip, packet, (size_t)(w.at - packet));
		if (rows[i].why != DROP_NONE)
			assert_int_equal(DROPS6(rows[i].why), 1);
		assert_true((autoconf_router(b->nif) != NULL) ==
		    (rows[i].why == DROP_NONE));
		assert_false(b->nif->ip6.dns[0].used);
		assert_string_equal(state_of(b, OURS), "none");
	}
}

static void
a_flood_of_advertisements_takes_nothing_away(void **state)
{
	struct bench6 *b = *state;
	struct ra_message ra = usual_ra();

	put_ra(b, &ra);
	bench6_settle(b, 2 * US_PER_S);
	for (unsigned int i = 0; i < 200; i++) {
		ra.prefix[0].net.addr.b[7] = (uint8_t)i;
		ra.prefix[0].net.addr.b[6] = 7;
		ra.dns[0].b[7] = (uint8_t)i;
		put_ra(b, &ra);
		b->nsent = b->taken = 0;
	}
	assert_string_equal(state_of(b, OURS), "preferred");
	assert_true(b->nif->ip6.dns[0].used);
	bench6_settle(b, 2 * US_PER_S);
	assert_string_equal(state_of(b, OURS), "preferred");
}

static void
addresses_of_the_file_stay(void **state)
{
	struct bench6 *b =
	    bench6_new("2001:db8:5::10/64,2001:db8:6::10/48,gw=2001:db8:5::1,"
		       "dns=2001:db8:5::53");
	struct ra_message ra = usual_ra();
	const struct ip6_addr far = addr6("2001:db8:99::1"),
			      near = addr6("2001:db8:6:7::1");
	struct ip6_addr none = { { 0 } }, hop;

	*state = b;
	wire_pass(b->wire, 2 * US_PER_S);
	assert_string_equal(state_of(b, "2001:db8:5::10"), "preferred");
	assert_ptr_equal(ipv6_route(b->stack, &far, &none, &hop), b->nif);
	assert_true(is6(&hop, "2001:db8:5::1"));
	assert_ptr_equal(ipv6_route(b->stack, &near, &none, &hop), b->nif);
	assert_true(ip6_equal(&hop, &near));
	/* A router that says so of what the file says changes nothing. */
	ra.prefix[0].net.addr = addr6("2001:db8:5::");
	ra.prefix[0].valid_s = ra.prefix[0].preferred_s = 1;
	ra.dns[0] = addr6("2001:db8:5::53");
	ra.dns_s = 0;
	put_ra(b, &ra);
	wire_pass(b->wire, 100000 * US_PER_S);
	assert_string_equal(state_of(b, "2001:db8:5::10"), "preferred");
	assert_true(b->nif->ip6.dns[0].used);
	assert_true(b->nif->ip6.prefix[0].used);
	assert_non_null(autoconf_router(b->nif));
}

static void
what_cannot_be_an_address_is_told(void **state)
{
	static const char *const wrong[] = { "2001:db8::1", "ff02::1/64",
		"::1/128", "2001:db8::1/0", "10.0.0.1/24", "auto,gw=1.2.3",
		"auto,dns=ff02::1", "auto,", "autos" };
	struct bench6 *b = *state;
	char text[64];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		strcpy(text, wrong[i]);
		print_message("%s\n", text);
		assert_non_null(ipv6_configure(b->nif, text));
	}
	strcpy(text, "none");
	assert_null(ipv6_configure(b->nif, text));
	bench6_settle(b, 0);
	wire_pass(b->wire, 100 * US_PER_S);
	assert_int_equal(b->nsent, 0);
}

static void
a_link_that_comes_back_begins_anew(void **state)
{
	struct bench6 *b = *state;
	struct ra_message ra = usual_ra();

	put_ra(b, &ra);
	bench6_settle(b, 2 * US_PER_S);
	netif_link(b->nif, false);
	wire_pass(b->wire, 10 * US_PER_S);
	assert_int_equal(b->nsent, 0);
	netif_link(b->nif, true);
	assert_string_equal(state_of(b, OURS), "tentative");
	wire_pass(b->wire, 2 * US_PER_S);
	assert_string_equal(state_of(b, OURS), "preferred");
	assert_int_equal(count6(b, ND_ROUTER_SOLICIT), 1);
	assert_int_equal(count6(b, ND_SOLICIT), 2);
}

/* ---- groups ---- */

/* The next report; its records. */
static unsigned int
next_report(
    struct bench6 *b, struct member_msg *msg, struct member_record record[16])
{
	const struct sent6 *f = next6(b, 143);
	struct cursor c;
	unsigned int n = 0;

	assert_non_null(f);
	c = cursor(f->payload, f->bytes);
	assert_int_equal(mld_parse(msg, &f->ip, &c), DROP_NONE);
	assert_int_equal(msg->kind, MEMBER_REPORT);
	while (n < 16 && member_next(msg, &record[n]))
		n++;
	return n;
}

static void
groups_are_told_when_they_are_joined(void **state)
{
	struct bench6 *b = *state;
	const struct ip6_addr group = addr6("ff02::1:ff00:1");
	struct member_record record[16];
	struct member_msg msg;

	wire_pass(b->wire, 3 * US_PER_S);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(next_report(b, &msg, record), 1);
		assert_int_equal(record[0].change, MEMBER_TO_EXCLUDE);
		assert_true(ip6_equal(&record[0].group, &group));
	}
	assert_null(next6(b, 143));
}

static void
who_asks_for_groups_is_answered_in_its_version(void **state)
{
	struct bench6 *b = *state;
	struct ra_message ra = usual_ra();
	struct member_query query = { .ip6 = true,
		.version = 2,
		.src = addr6("fe80::9"),
		.max_response_ms = 1000,
		.robustness = 2,
		.interval_s = 125 };
	struct member_record record[16];
	uint8_t frame[MEMBER_QUERY_BYTES];
	struct member_msg msg;
	struct writer w;

	put_ra(b, &ra);
	bench6_settle(b, 5 * US_PER_S);
	w = writer(frame, sizeof(frame));
	member_write_query(&w, &router_mac, &query);
	netif_input(b->nif, frame, (size_t)(w.at - frame), 0);
	wire_pass(b->wire, 2 * US_PER_S);
	/* Both addresses end alike: they are of one group. */
	assert_int_equal(next_report(b, &msg, record), 1);
	assert_int_equal(record[0].change, MEMBER_IS_EXCLUDE);
	bench6_settle(b, 0);
	/* Of a group that nobody has joined. */
	query.group = addr6("ff02::1:ff00:2");
	w = writer(frame, sizeof(frame));
	member_write_query(&w, &router_mac, &query);
	netif_input(b->nif, frame, (size_t)(w.at - frame), 0);
	wire_pass(b->wire, 2 * US_PER_S);
	assert_int_equal(b->nsent, 0);
	query = (struct member_query){ .ip6 = true,
		.version = 1,
		.src = addr6("fe80::9"),
		.max_response_ms = 1000 };
	w = writer(frame, sizeof(frame));
	member_write_query(&w, &router_mac, &query);
	netif_input(b->nif, frame, (size_t)(w.at - frame), 0);
	wire_pass(b->wire, 2 * US_PER_S);
	assert_non_null(next6(b, 131));
}

int
main(void)
{
#define TEST(name)     cmocka_unit_test_setup_teardown(name, setup, bench6_free)
#define TEST_OWN(name) cmocka_unit_test_teardown(name, bench6_free)
	const struct CMUnitTest tests[] = {
		TEST_OWN(without_ipv6_nothing_is_said_nor_heard),
		TEST(an_address_is_looked_for_before_it_is_used),
		TEST_OWN(an_address_that_somebody_has_is_not_used),
		TEST(routers_are_asked_for_three_times),
		TEST(an_advertisement_gives_all_there_is),
		TEST(nobody_takes_an_address_away_at_once),
		TEST(advertisements_that_cannot_be_are_refused),
		TEST(a_flood_of_advertisements_takes_nothing_away),
		TEST_OWN(addresses_of_the_file_stay),
		TEST(what_cannot_be_an_address_is_told),
		TEST(a_link_that_comes_back_begins_anew),
		TEST(groups_are_told_when_they_are_joined),
		TEST(who_asks_for_groups_is_answered_in_its_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
