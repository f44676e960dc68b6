#include "switch/groups.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/checksum.h"
#include "net/eth.h"

#define S       UINT64_C(1000000000)
#define MS      UINT64_C(1000000)
#define PORTS   6
#define QUERIES 256

/* A switch of PORTS ports; what it asks is kept. */
struct bench {
	struct groups *groups;
	uint64_t now_ns;
	struct {
		uint16_t vlan;
		uint32_t port;
		struct member_query q;
	} asked[QUERIES];
	unsigned int nasked;
};

static void
query(void *arg, uint16_t vlan, uint32_t port, const struct member_query *q)
{
	struct bench *b = arg;

	assert_true(b->nasked < QUERIES);
	b->asked[b->nasked].vlan = vlan;
	b->asked[b->nasked].port = port;
	b->asked[b->nasked++].q = *q;
}

static void
free_later(void *arg, void *memory)
{
	(void)arg;
	free(memory);
}

static const struct groups_calls calls = { query, free_later };

static struct ip6_addr
addr(const char *text)
{
	struct ip6_addr a;
	uint32_t ip4;

	if (ip4_read(&ip4, text))
		return ip6_of_ip4(ip4);
	assert_int_equal(inet_pton(AF_INET6, text, a.b), 1);
	return a;
}

static void
begin(struct bench *b, const struct groups_options *options)
{
	memset(b, 0, sizeof(*b));
	b->groups = groups_new(options, 42, &calls, b);
	assert_non_null(b->groups);
	for (unsigned int i = 0; i < PORTS; i++)
		assert_int_equal(groups_add(b->groups, i), 0);
}

static void
until(struct bench *b, uint64_t at_ns)
{
	for (;;) {
		uint64_t next = groups_run(b->groups, b->now_ns);

		assert_true(next > b->now_ns);
		if (next > at_ns)
			break;
		b->now_ns = next;
	}
	b->now_ns = at_ns;
	(void)groups_run(b->groups, at_ns);
}

static void
pass(struct bench *b, uint64_t ns)
{
	until(b, b->now_ns + ns);
}

/* As a querier, after the time in which members become known. */
static void
begin_querier(struct bench *b, struct groups_options options)
{
	options.querier = 0x0a000001;
	begin(b, &options);
	assert_int_equal(groups_vlan(b->groups, 0, 0), 0);
	until(b, 40 * S);
	b->nasked = 0;
}

/* A report of the newest version, with up to two sources. */
static void
say(struct bench *b, unsigned int port, enum member_change change,
    const char *group, const char *s1, const char *s2)
{
	struct ip6_addr g = addr(group), s[2];
	uint32_t ip4;
	bool ip6 = !ip6_to_ip4(&ip4, &g);
	uint8_t bytes[64];
	struct writer w = writer(bytes, sizeof(bytes));
	struct member_msg msg = { .kind = MEMBER_REPORT,
		.ip6 = ip6,
		.version = ip6 ? 2 : 3,
		.nrecords = 1 };

	wr_u8(&w, (uint8_t)change);
	wr_u8(&w, 0);
	wr_be16(&w, (uint16_t)((s1 != NULL) + (s2 != NULL)));
	wr_bytes(&w, g.b + (ip6 ? 0 : 12), ip6 ? 16 : 4);
	for (int i = 0; i < 2; i++)
		if ((i == 0 ? s1 : s2) != NULL) {
			s[i] = addr(i == 0 ? s1 : s2);
			wr_bytes(&w, s[i].b + (ip6 ? 0 : 12), ip6 ? 16 : 4);
		}
	msg.records = cursor(bytes, (size_t)(w.at - bytes));
	assert_non_null(groups_receive(b->groups, 0, port, &msg, b->now_ns));
}

/* A report or leave of an older version of IGMP. */
static void
say_old(struct bench *b, unsigned int port, uint8_t version,
    enum member_change change, const char *group)
{
	struct member_msg msg = { .kind = MEMBER_REPORT,
		.version = version,
		.nrecords = 1,
		.record = { .change = change, .group = addr(group) } };

	assert_non_null(groups_receive(b->groups, 0, port, &msg, b->now_ns));
}

static void
ask(struct bench *b, unsigned int port, const char *from, const char *group,
    bool suppress)
{
	struct member_msg msg = { .kind = MEMBER_QUERY,
		.version = 3,
		.src = addr(from),
		.robustness = 2,
		.interval_s = 125,
		.max_response_ms = group != NULL ? 1000 : 10000,
		.suppress = suppress };

	if (group != NULL)
		msg.group = addr(group);
	assert_null(groups_receive(b->groups, 0, port, &msg, b->now_ns));
}

/* The ports that a packet goes to, as "013", or "all". */
static const char *
to(struct bench *b, const char *src, const char *group)
{
	static char text[PORTS + 1];
	struct ip6_addr g = addr(group), s = addr(src);
	const struct port_set *only;
	uint32_t ip4;
	char *at = text;

	only =
	    groups_find(b->groups, 0, !ip6_to_ip4(&ip4, &g), &g, &s, b->now_ns);
	if (only == NULL)
		return "all";
	for (unsigned int i = 0; i < PORTS; i++)
		if (port_set_has(only, i))
			*at++ = (char)('0' + i);
	*at = '\0';
	return text;
}

static void
a_group_goes_to_its_members_alone(void **state)
{
	struct bench b;

	(void)state;
	begin_querier(&b, (struct groups_options){ 0 });
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "");
	say(&b, 2, MEMBER_TO_EXCLUDE, "239.1.1.1", NULL, NULL);
	say_old(&b, 4, 2, MEMBER_IS_EXCLUDE, "239.1.1.1");
	say(&b, 1, MEMBER_TO_EXCLUDE, "ff05::99", NULL, NULL);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "24");
	assert_string_equal(to(&b, "fe80::1", "ff05::99"), "1");
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.2"), "");
	/* the same address on the link is another group */
	assert_string_equal(to(&b, "10.0.0.9", "239.129.1.1"), "");
	groups_free(b.groups);
}

static void
groups_of_the_link_are_not_restricted(void **state)
{
	struct bench b;

	(void)state;
	begin_querier(&b, (struct groups_options){ 0 });
	say(&b, 2, MEMBER_TO_EXCLUDE, "224.0.0.251", NULL, NULL);
	say(&b, 2, MEMBER_TO_EXCLUDE, "ff02::fb", NULL, NULL);
	assert_string_equal(to(&b, "10.0.0.9", "224.0.0.251"), "all");
	assert_string_equal(to(&b, "10.0.0.9", "224.0.0.7"), "all");
	assert_string_equal(to(&b, "fe80::1", "ff02::1:ff00:1"), "all");
	assert_string_equal(to(&b, "10.0.0.9", "224.0.1.1"), "");
	assert_string_equal(to(&b, "fe80::1", "ff03::1"), "");
	groups_free(b.groups);
}

static void
without_a_querier_nothing_is_restricted(void **state)
{
	struct groups_options none = { 0 };
	struct bench b;

	(void)state;
	begin(&b, &none);
	say(&b, 2, MEMBER_TO_EXCLUDE, "239.1.1.1", NULL, NULL);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "all");
	ask(&b, 5, "10.0.0.254", NULL, false);
	/* not before members have answered */
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "all");
	pass(&b, 10 * S);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "25");
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.2"), "5");
	/* and not once it is silent for 255 s */
	pass(&b, 244 * S);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.2"), "5");
	pass(&b, 2 * S);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.2"), "all");
	assert_int_equal(b.nasked, 0);
	groups_free(b.groups);
}

static void
what_nobody_joined_can_be_flooded(void **state)
{
	struct bench b;

	(void)state;
	begin_querier(
	    &b, (struct groups_options){ .unregistered = GROUPS_FLOOD });
	say(&b, 2, MEMBER_TO_EXCLUDE, "239.1.1.1", NULL, NULL);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "2");
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.2"), "all");
	groups_free(b.groups);
}

static void
a_membership_lasts_until_nobody_answers(void **state)
{
	struct bench b;

	(void)state;
	begin_querier(&b, (struct groups_options){ 0 });
	say(&b, 2, MEMBER_IS_EXCLUDE, "239.1.1.1", NULL, NULL);
	pass(&b, 259 * S);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "2");
	say(&b, 2, MEMBER_IS_EXCLUDE, "239.1.1.1", NULL, NULL);
	pass(&b, 259 * S);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "2");
	pass(&b, 2 * S);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "");
	groups_free(b.groups);
}

static void
who_leaves_is_asked_whether_others_are_there(void **state)
{
	struct ip6_addr group = addr("239.1.1.1");
	struct bench b;

	(void)state;
	begin_querier(&b, (struct groups_options){ 0 });
	say_old(&b, 2, 2, MEMBER_IS_EXCLUDE, "239.1.1.1");
	say_old(&b, 3, 2, MEMBER_IS_EXCLUDE, "239.1.1.1");
	b.nasked = 0;
	say_old(&b, 2, 2, MEMBER_TO_INCLUDE, "239.1.1.1");
	say_old(&b, 3, 2, MEMBER_TO_INCLUDE, "239.1.1.1");
	assert_int_equal(b.nasked, 2);
	assert_int_equal(b.asked[0].port, 2);
	assert_int_equal(b.asked[0].q.max_response_ms, 1000);
	assert_true(ip6_equal(&b.asked[0].q.group, &group));
	pass(&b, 1500 * MS);
	/* once more, as one may have been lost */
	assert_int_equal(b.nasked, 4);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "23");
	/* another host on port 3 answers */
	say_old(&b, 3, 2, MEMBER_IS_EXCLUDE, "239.1.1.1");
	pass(&b, 600 * MS);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "3");
	assert_int_equal(b.nasked, 4);
	groups_free(b.groups);
}

static void
with_fast_leave_who_leaves_was_the_last(void **state)
{
	struct bench b;

	(void)state;
	begin_querier(&b, (struct groups_options){ .fast_leave = true });
	say_old(&b, 2, 2, MEMBER_IS_EXCLUDE, "239.1.1.1");
	say(&b, 3, MEMBER_TO_EXCLUDE, "239.1.1.1", NULL, NULL);
	say_old(&b, 2, 2, MEMBER_TO_INCLUDE, "239.1.1.1");
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "3");
	say(&b, 3, MEMBER_TO_INCLUDE, "239.1.1.1", NULL, NULL);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "");
	assert_int_equal(b.nasked, 0);
	groups_free(b.groups);
}

static void
a_host_of_version_1_cannot_leave(void **state)
{
	struct bench b;

	(void)state;
	begin_querier(&b, (struct groups_options){ .fast_leave = true });
	say_old(&b, 2, 1, MEMBER_IS_EXCLUDE, "239.1.1.1");
	say_old(&b, 2, 2, MEMBER_TO_INCLUDE, "239.1.1.1");
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "2");
	pass(&b, 261 * S);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "");
	groups_free(b.groups);
}

static void
sources_are_let_through_by_name(void **state)
{
	struct bench b;

	(void)state;
	begin_querier(&b, (struct groups_options){ 0 });
	say(&b, 2, MEMBER_ALLOW, "232.1.1.1", "10.0.0.7", "10.0.0.8");
	assert_string_equal(to(&b, "10.0.0.7", "232.1.1.1"), "2");
	assert_string_equal(to(&b, "10.0.0.9", "232.1.1.1"), "");
	/* another host on the port wants a third */
	say(&b, 2, MEMBER_IS_INCLUDE, "232.1.1.1", "10.0.0.9", NULL);
	assert_string_equal(to(&b, "10.0.0.9", "232.1.1.1"), "2");
	b.nasked = 0;
	say(&b, 2, MEMBER_BLOCK, "232.1.1.1", "10.0.0.7", NULL);
	assert_int_equal(b.nasked, 1);
	assert_int_equal(b.asked[0].q.nsources, 1);
	pass(&b, 1900 * MS);
	assert_string_equal(to(&b, "10.0.0.7", "232.1.1.1"), "2");
	assert_int_equal(b.nasked, 2);
	pass(&b, 200 * MS);
	assert_string_equal(to(&b, "10.0.0.7", "232.1.1.1"), "");
	assert_string_equal(to(&b, "10.0.0.8", "232.1.1.1"), "2");
	groups_free(b.groups);
}

static void
sources_are_kept_back_if_all_on_the_port_agree(void **state)
{
	struct bench b;

	(void)state;
	begin_querier(&b, (struct groups_options){ 0 });
	say(&b, 2, MEMBER_TO_EXCLUDE, "239.1.1.1", "10.0.0.7", "10.0.0.8");
	assert_string_equal(to(&b, "10.0.0.7", "239.1.1.1"), "");
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "2");
	/* a second host wants one of them: RFC 4541 2.1.2, the superset */
	say(&b, 2, MEMBER_ALLOW, "239.1.1.1", "10.0.0.7", NULL);
	assert_string_equal(to(&b, "10.0.0.7", "239.1.1.1"), "2");
	assert_string_equal(to(&b, "10.0.0.8", "239.1.1.1"), "");
	/* the first leaves: the other's source stays */
	say(&b, 2, MEMBER_TO_INCLUDE, "239.1.1.1", NULL, NULL);
	say(&b, 2, MEMBER_IS_INCLUDE, "239.1.1.1", "10.0.0.7", NULL);
	pass(&b, 2100 * MS);
	assert_string_equal(to(&b, "10.0.0.7", "239.1.1.1"), "2");
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "");
	pass(&b, 259 * S);
	assert_string_equal(to(&b, "10.0.0.7", "239.1.1.1"), "");
	groups_free(b.groups);
}

static void
a_host_of_version_2_wants_all_sources(void **state)
{
	struct bench b;

	(void)state;
	begin_querier(&b, (struct groups_options){ 0 });
	say_old(&b, 2, 2, MEMBER_IS_EXCLUDE, "239.1.1.1");
	say(&b, 2, MEMBER_TO_EXCLUDE, "239.1.1.1", "10.0.0.7", NULL);
	say(&b, 2, MEMBER_BLOCK, "239.1.1.1", "10.0.0.8", NULL);
	assert_string_equal(to(&b, "10.0.0.7", "239.1.1.1"), "2");
	assert_string_equal(to(&b, "10.0.0.8", "239.1.1.1"), "2");
	groups_free(b.groups);
}

static void
the_lower_address_asks(void **state)
{
	struct bench b;
	unsigned int asked;

	(void)state;
	begin_querier(&b, (struct groups_options){ 0 });
	ask(&b, 5, "10.0.0.254", NULL, false); /* higher than ours */
	pass(&b, 125 * S);
	assert_true(b.nasked > 0);
	assert_int_equal(b.asked[0].port, GROUPS_ALL_PORTS);
	assert_true(ip6_is_zero(&b.asked[0].q.group));
	ask(&b, 4, "9.9.9.9", NULL, false);
	b.nasked = 0;
	pass(&b, 254 * S);
	asked = 0;
	for (unsigned int i = 0; i < b.nasked; i++)
		asked += !b.asked[i].q.ip6;
	assert_int_equal(asked, 0);
	/* it is silent: we are in charge again, at once */
	pass(&b, 2 * S);
	for (unsigned int i = 0; i < b.nasked; i++)
		asked += !b.asked[i].q.ip6;
	assert_int_equal(asked, 1);
	groups_free(b.groups);
}

static void
who_is_no_querier_any_more_asks_nothing_more(void **state)
{
	struct bench b;

	(void)state;
	begin_querier(&b, (struct groups_options){ 0 });
	say_old(&b, 2, 2, MEMBER_IS_EXCLUDE, "239.1.1.1");
	say_old(&b, 2, 2, MEMBER_TO_INCLUDE, "239.1.1.1");
	assert_int_equal(b.nasked, 1);
	ask(&b, 4, "9.9.9.9", NULL, false);
	pass(&b, 3 * S); /* finds each time that is due after the one before */
	assert_int_equal(b.nasked, 1);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "4");
	groups_free(b.groups);
}

static void
a_query_from_nobody_is_of_no_router(void **state)
{
	struct groups_options none = { 0 };
	struct bench b;

	(void)state;
	begin(&b, &none);
	ask(&b, 5, "0.0.0.0", NULL, false);
	pass(&b, 20 * S);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "all");
	groups_free(b.groups);
}

static void
reports_go_to_routers_alone(void **state)
{
	struct member_msg report = { .kind = MEMBER_REPORT,
		.version = 2,
		.nrecords = 1,
		.record = {
		    .change = MEMBER_IS_EXCLUDE, .group = addr("239.1.1.1") } };
	struct member_msg hello = { .kind = MEMBER_ROUTER, .hold_s = 10 };
	struct member_msg gone = { .kind = MEMBER_ROUTER_GONE };
	const struct port_set *only;
	struct member_msg msg;
	struct bench b;

	(void)state;
	begin_querier(&b, (struct groups_options){ 0 });
	msg = report;
	only = groups_receive(b.groups, 0, 1, &msg, b.now_ns);
	assert_non_null(only);
	assert_true(port_set_is_empty(only));
	ask(&b, 5, "10.0.0.254", NULL, false);
	assert_null(groups_receive(b.groups, 0, 3, &hello, b.now_ns));
	msg = report;
	only = groups_receive(b.groups, 0, 1, &msg, b.now_ns);
	assert_non_null(only);
	assert_true(port_set_has(only, 5) && port_set_has(only, 3));
	assert_false(port_set_has(only, 1) || port_set_has(only, 0));
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "135");
	pass(&b, 10 * S); /* the hello held for so long */
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "15");
	assert_null(groups_receive(b.groups, 0, 5, &gone, b.now_ns));
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "1");
	groups_free(b.groups);
}

static void
a_routers_question_about_a_group_shortens_its_members(void **state)
{
	struct groups_options none = { 0 };
	struct bench b;

	(void)state;
	begin(&b, &none);
	ask(&b, 5, "10.0.0.254", NULL, false);
	pass(&b, 10 * S);
	say_old(&b, 1, 2, MEMBER_IS_EXCLUDE, "239.1.1.1");
	say_old(&b, 2, 2, MEMBER_IS_EXCLUDE, "239.1.1.1");
	/* a leave changes nothing before the router has asked */
	say_old(&b, 1, 2, MEMBER_TO_INCLUDE, "239.1.1.1");
	pass(&b, 10 * S);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "125");
	ask(&b, 5, "10.0.0.254", "239.1.1.1", true);
	pass(&b, 3 * S);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "125");
	ask(&b, 5, "10.0.0.254", "239.1.1.1", false);
	pass(&b, S);
	say_old(&b, 2, 2, MEMBER_IS_EXCLUDE, "239.1.1.1");
	pass(&b, 1100 * MS);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "25");
	groups_free(b.groups);
}

static void
a_port_that_floods_the_table_fills_its_own_part(void **state)
{
	struct bench b;
	char group[32];

	(void)state;
	begin_querier(&b, (struct groups_options){ .max_groups = 100 });
	for (int i = 0; i < 1000; i++) {
		snprintf(group, sizeof(group), "239.2.%d.%d", i / 250, i % 250);
		say_old(&b, 0, 2, MEMBER_IS_EXCLUDE, group);
	}
	assert_int_equal(groups_counts(b.groups, 0)->refused, 900);
	say_old(&b, 1, 2, MEMBER_IS_EXCLUDE, "239.2.3.99");
	assert_string_equal(to(&b, "10.0.0.9", "239.2.3.99"), "1");
	assert_string_equal(to(&b, "10.0.0.9", "239.2.0.99"), "0");
	groups_link(b.groups, 0, false, b.now_ns);
	assert_string_equal(to(&b, "10.0.0.9", "239.2.0.99"), "");
	say_old(&b, 0, 2, MEMBER_IS_EXCLUDE, "239.2.3.99");
	assert_string_equal(to(&b, "10.0.0.9", "239.2.3.99"), "01");
	groups_free(b.groups);
}

static void
too_many_sources_are_all_of_them(void **state)
{
	struct bench b;
	char source[32];

	(void)state;
	begin_querier(&b, (struct groups_options){ 0 });
	for (int i = 0; i <= GROUP_SOURCES; i++) {
		snprintf(source, sizeof(source), "10.1.0.%d", i);
		say(&b, 2, MEMBER_ALLOW, "232.1.1.1", source, NULL);
	}
	assert_int_equal(groups_counts(b.groups, 2)->widened, 1);
	assert_string_equal(to(&b, "10.9.9.9", "232.1.1.1"), "2");
	groups_free(b.groups);
}

static void
collect(void *arg, const struct group_row *row)
{
	*(struct group_row *)arg = *row;
}

static void
collect_router(void *arg, const struct group_router_row *row)
{
	if (!row->ip6)
		*(struct group_router_row *)arg = *row;
}

static void
the_table_can_be_shown(void **state)
{
	struct group_router_row router = { 0 };
	struct group_row row = { 0 };
	struct bench b;

	(void)state;
	begin_querier(&b, (struct groups_options){ 0 });
	groups_each_router(b.groups, b.now_ns, collect_router, &router);
	assert_string_equal(router.what, "querier");
	assert_int_equal(router.port, GROUPS_ALL_PORTS);
	say(&b, 2, MEMBER_ALLOW, "232.1.1.1", "10.0.0.7", "10.0.0.8");
	groups_each(b.groups, b.now_ns, collect, &row);
	assert_int_equal(row.port, 2);
	assert_int_equal(row.version, 3);
	assert_false(row.exclude);
	assert_int_equal(row.nsources, 2);
	assert_int_equal(row.left_ns, 260 * S);
	say_old(&b, 2, 2, MEMBER_IS_EXCLUDE, "232.1.1.1");
	groups_each(b.groups, b.now_ns, collect, &row);
	assert_true(row.exclude);
	assert_int_equal(row.version, 2);
	assert_int_equal(row.nsources, 0);
	groups_free(b.groups);
}

static void
a_port_can_be_a_routers_by_the_lab_file(void **state)
{
	struct bench b;

	(void)state;
	begin_querier(&b, (struct groups_options){ 0 });
	say(&b, 2, MEMBER_TO_EXCLUDE, "239.1.1.2", NULL, NULL);
	groups_set_router(b.groups, 4, true, b.now_ns);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.2"), "24");
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "4");
	say(&b, 4, MEMBER_TO_EXCLUDE, "239.1.1.1", NULL, NULL);
	groups_set_router(b.groups, 4, false, b.now_ns);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "4");
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.2"), "2");
	groups_remove(b.groups, 4, b.now_ns);
	assert_string_equal(to(&b, "10.0.0.9", "239.1.1.1"), "");
	groups_free(b.groups);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_goes_to_its_members_alone),
		cmocka_unit_test(groups_of_the_link_are_not_restricted),
		cmocka_unit_test(without_a_querier_nothing_is_restricted),
		cmocka_unit_test(what_nobody_joined_can_be_flooded),
		cmocka_unit_test(a_membership_lasts_until_nobody_answers),
		cmocka_unit_test(who_leaves_is_asked_whether_others_are_there),
		cmocka_unit_test(with_fast_leave_who_leaves_was_the_last),
		cmocka_unit_test(a_host_of_version_1_cannot_leave),
		cmocka_unit_test(sources_are_let_through_by_name),
		cmocka_unit_test(
		    sources_are_kept_back_if_all_on_the_port_agree),
		cmocka_unit_test(a_host_of_version_2_wants_all_sources),
		cmocka_unit_test(the_lower_address_asks),
		cmocka_unit_test(who_is_no_querier_any_more_asks_nothing_more),
		cmocka_unit_test(a_query_from_nobody_is_of_no_router),
		cmocka_unit_test(reports_go_to_routers_alone),
		cmocka_unit_test(
		    a_routers_question_about_a_group_shortens_its_members),
		cmocka_unit_test(
		    a_port_that_floods_the_table_fills_its_own_part),
		cmocka_unit_test(too_many_sources_are_all_of_them),
		cmocka_unit_test(the_table_can_be_shown),
		cmocka_unit_test(a_port_can_be_a_routers_by_the_lab_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
