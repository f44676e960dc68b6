/*
 * Captures made by hand, of a router's ports: what follows of its NAT table.
 */
#include "lab/nat_history.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/loop.h"
#include "lab/nat_facts.h"
#include "lab/nat_words.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/udp.h"
#include "pcap-tools/pcapng.h"

#define ALICE   0x0a000064u
#define BOB     0x0a000065u
#define OUTER   0xcb007101u
#define SERVER  0xcb00710au
#define INSIDE  0
#define OUTSIDE 1

struct bench {
	uint8_t bytes[65536];
	struct writer w;
	uint32_t journey;
	struct nat_row rows[8];
	unsigned int nrows;
	char path[32];
};

/* Both ports of a router whose rules are the default but for what is said. */
static void
begin(struct bench *b, const char *said)
{
	static const char *const names[] = { "gw.inside", "gw.outside" };
	char facts[200];

	b->w = writer(b->bytes, sizeof(b->bytes));
	pcapng_section(&b->w, "test", NULL);
	snprintf(facts, sizeof(facts), "nat=gw outside=gw.outside %s", said);
	for (int i = 0; i < 2; i++) {
		const struct pcapng_interface is = { .name = names[i],
			.facts = facts };

		pcapng_interface(&b->w, &is);
	}
}

struct udp_ends {
	uint32_t src;
	uint16_t sport;
	uint32_t dst;
	uint16_t dport;
};

/* A datagram of 4 bytes: 46 on the wire. */
static void
add(struct bench *b, uint64_t at_s, uint32_t point, bool out,
    const struct udp_ends *ends, const char *facts)
{
	static const struct mac mac = { { 2, 0, 0, 0, 0, 1 } };
	const struct eth eth = { mac, mac, ETH_IPV4, 0, { { 0, 0 } } };
	const struct ip4 ip = { .total_bytes = 32,
		.ttl = 64,
		.protocol = IP_UDP,
		.src = ends->src,
		.dst = ends->dst };
	const struct udp udp = { .sport = ends->sport,
		.dport = ends->dport,
		.data = (const uint8_t *)"data",
		.data_bytes = 4 };
	uint8_t frame[46];
	struct writer w = writer(frame, sizeof(frame));
	struct pcapng_packet p = { .interface = point,
		.flags = out ? PCAPNG_OUTBOUND : PCAPNG_INBOUND,
		.at_ns = at_s * NS_PER_S,
		.kept_bytes = sizeof(frame),
		.len_bytes = sizeof(frame),
		.data = frame,
		.facts = facts,
		.facts_bytes = (uint32_t)strlen(facts),
		.journey = b->journey };

	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	udp_write(&w, &udp, ip.src, ip.dst);
	assert_false(w.overrun);
	pcapng_packet(&b->w, &p);
	assert_false(b->w.overrun);
}

/* A packet through the router: as it came, and, if it left, as it left. */
static void
through(struct bench *b, uint64_t at_s, bool inwards,
    const struct udp_ends *before, const struct udp_ends *after,
    const char *verdict)
{
	char facts[100];

	b->journey++;
	snprintf(facts, sizeof(facts), " node=gw %s", verdict);
	add(b, at_s, inwards ? OUTSIDE : INSIDE, false, before, facts);
	if (after == NULL)
		return;
	snprintf(facts, sizeof(facts), " cause.node=gw cause.%s", verdict);
	/* "cause." is before the key of the entry, too */
	for (char *at = strstr(facts, " entry="); at != NULL; at = NULL) {
		char rest[40];

		snprintf(rest, sizeof(rest), " cause.%s", at + 1);
		strcpy(at, rest);
	}
	add(b, at_s, inwards ? INSIDE : OUTSIDE, true, after, facts);
}

static void
keep_row(void *arg, const char *router, const struct nat_row *row)
{
	struct bench *b = arg;

	assert_string_equal(router, "gw");
	assert_true(b->nrows < 8);
	b->rows[b->nrows++] = *row;
}

/* The table after n frames, 0: all. */
static void
look(struct bench *b, unsigned int n)
{
	struct err err = { "" };
	struct nat_history *h = nat_history_new();
	struct reader *reader;
	struct crossing c;
	int fd;

	strcpy(b->path, "/tmp/nat-history-XXXXXX");
	fd = mkstemp(b->path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, b->bytes, (size_t)(b->w.at - b->bytes)),
	    b->w.at - b->bytes);
	close(fd);
	reader = reader_open(b->path, &err);
	assert_non_null(reader);
	unlink(b->path);
	for (unsigned int i = 0;
	     (n == 0 || i < n) && crossing_next(reader, &c, &err) == 1; i++)
		assert_int_equal(nat_history_add(h, reader, &c), 0);
	b->nrows = 0;
	nat_history_each(h, keep_row, b);
	nat_history_free(h);
	reader_free(reader);
}

static const struct udp_ends alice_out = { ALICE, 5000, SERVER, 53 };
static const struct udp_ends outer_out = { OUTER, 6000, SERVER, 53 };
static const struct udp_ends server_in = { SERVER, 53, OUTER, 6000 };
static const struct udp_ends inner_in = { SERVER, 53, ALICE, 5000 };

static int
setup(void **state)
{
	*state = calloc(1, sizeof(struct bench));
	return *state == NULL;
}

static int
teardown(void **state)
{
	free(*state);
	return 0;
}

static void
an_entry_has_ends_counts_and_time(void **state)
{
	struct bench *b = *state;
	const struct nat_row *row = b->rows;

	begin(b, "udp-idle=100s udp-one-way=20s");
	through(
	    b, 10, false, &alice_out, &outer_out, "verdict=nat-new entry=3");
	through(b, 12, true, &server_in, &inner_in, "verdict=nat-in entry=3");
	through(
	    b, 15, false, &alice_out, &outer_out, "verdict=nat-out entry=3");

	look(b, 1);
	assert_int_equal(b->nrows, 1);
	assert_int_equal(row->outside_ip, 0); /* it has not left yet */
	assert_int_equal(row->left_ns, 20 * NS_PER_S);
	look(b, 2);
	assert_string_equal(row->state, "one-way");
	assert_int_equal(row->outside_ip, OUTER);
	look(b, 0);
	assert_int_equal(b->nrows, 1);
	assert_int_equal(row->id, 3);
	assert_int_equal(row->protocol, IP_UDP);
	assert_int_equal(row->inside_ip, ALICE);
	assert_int_equal(row->inside_port, 5000);
	assert_int_equal(row->outside_port, 6000);
	assert_int_equal(row->remote_ip, SERVER);
	assert_int_equal(row->remote_port, 53);
	assert_int_equal(row->out_frames, 2);
	assert_int_equal(row->out_bytes, 92);
	assert_int_equal(row->in_frames, 1);
	assert_int_equal(row->left_ns, 100 * NS_PER_S);
	assert_string_equal(row->state, "two-way");
	assert_string_equal(row->why, "a host inside began");
}

static void
what_has_expired_is_gone_and_its_number_free(void **state)
{
	static const struct udp_ends bob = { BOB, 7000, SERVER, 99 };
	static const struct udp_ends bob_outer = { OUTER, 7000, SERVER, 99 };
	struct bench *b = *state;

	begin(b, "udp-idle=100s udp-one-way=20s");
	through(
	    b, 10, false, &alice_out, &outer_out, "verdict=nat-new entry=1");
	through(b, 29, false, &bob, &bob_outer, "verdict=nat-new entry=2");
	look(b, 0);
	assert_int_equal(b->nrows, 2);
	through(b, 30, false, &bob, &bob_outer, "verdict=nat-out entry=2");
	look(b, 0);
	assert_int_equal(b->nrows, 1);
	assert_int_equal(b->rows[0].id, 2);
	through(
	    b, 31, false, &alice_out, &outer_out, "verdict=nat-new entry=1");
	look(b, 0);
	assert_int_equal(b->nrows, 2);
	assert_int_equal(b->rows[0].out_frames, 1);
}

static void
packets_of_one_direction_refresh_if_the_rules_say_so(void **state)
{
	struct bench *b = *state;

	begin(b, "udp-idle=100s refresh=inbound");
	through(b, 0, false, &alice_out, &outer_out, "verdict=nat-new entry=1");
	through(
	    b, 60, false, &alice_out, &outer_out, "verdict=nat-out entry=1");
	look(b, 0);
	assert_int_equal(b->rows[0].left_ns, 40 * NS_PER_S);
	through(b, 61, true, &server_in, &inner_in, "verdict=nat-in entry=1");
	look(b, 0);
	assert_int_equal(b->rows[0].left_ns, 100 * NS_PER_S);
}

static void
what_waited_for_arp_counts_and_what_was_dropped_does_not(void **state)
{
	struct bench *b = *state;

	begin(b, "");
	through(
	    b, 0, false, &alice_out, &outer_out, "verdict=arp-queued entry=1");
	through(b, 1, true, &server_in, NULL, "verdict=nat-filtered entry=1");
	look(b, 0);
	assert_int_equal(b->nrows, 1);
	assert_int_equal(b->rows[0].out_frames, 1);
	assert_int_equal(b->rows[0].in_frames, 0);
	assert_int_equal(b->rows[0].outside_port, 6000);
}

static void
what_was_there_before_says_so(void **state)
{
	struct bench *b = *state;

	begin(b, "");
	through(b, 0, false, &alice_out, &outer_out, "verdict=nat-out entry=9");
	look(b, 0);
	assert_string_equal(
	    b->rows[0].why, "it was there when the capture began");
	begin(b, "");
	through(b, 0, true, &server_in, &inner_in, "verdict=nat-in entry=9");
	look(b, 0);
	assert_string_equal(
	    b->rows[0].why, "a host outside began, and was admitted");
}

static void
captures_of_others_have_no_table(void **state)
{
	struct bench *b = *state;
	const struct pcapng_interface is = { .name = "eth0" };

	b->w = writer(b->bytes, sizeof(b->bytes));
	pcapng_section(&b->w, "test", NULL);
	pcapng_interface(&b->w, &is);
	b->journey = 1;
	add(b, 0, 0, false, &alice_out, " node=gw verdict=nat-new entry=1");
	look(b, 0);
	assert_int_equal(b->nrows, 0);
}

static void
facts_are_read_as_they_were_written(void **state)
{
	char text[NAT_FACTS_BYTES];
	struct nat_facts facts;

	(void)state;
	for (int p = 0; p < NAT_PRESETS; p++) {
		const struct nat_rules *rules = nat_preset((enum nat_preset)p);

		nat_facts_text(text, "gw", "gw.outside", rules);
		assert_true(nat_facts_read(&facts, text));
		assert_string_equal(facts.router, "gw");
		assert_string_equal(facts.outside, "gw.outside");
		assert_int_equal(facts.rules.refresh, rules->refresh);
		for (int t = 0; t < NAT_TIMERS; t++)
			assert_int_equal(
			    nat_idle_ns(&facts.rules, (enum nat_timer)t),
			    nat_idle_ns(rules, (enum nat_timer)t));
	}
	assert_false(nat_facts_read(&facts, ""));
	assert_false(nat_facts_read(&facts, "nat=gw"));
	assert_true(nat_facts_read(
	    &facts, "nat=gw outside=x later-key=9 udp-idle=nonsense = =x"));
	assert_int_equal(
	    nat_idle_ns(&facts.rules, NAT_TIMER_UDP), 300 * NS_PER_S);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_entry_has_ends_counts_and_time),
		TEST(what_has_expired_is_gone_and_its_number_free),
		TEST(packets_of_one_direction_refresh_if_the_rules_say_so),
		TEST(what_waited_for_arp_counts_and_what_was_dropped_does_not),
		TEST(what_was_there_before_says_so),
		TEST(captures_of_others_have_no_table),
		TEST(facts_are_read_as_they_were_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
