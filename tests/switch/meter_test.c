#include "switch/meter.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/arp.h"
#include "net/checksum.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/nd.h"
#include "net/udp.h"
#include "switch/cable.h"
#include "switch/switch.h"
#include "tests/switch/sink.h"

static const struct port_kind *const kinds[] = { &port_traffic, NULL };

/* Two meters, with a cable, a switch or something else between them. */
struct rig {
	struct loop *loop;
	struct node node[2];
	struct port *port[2];
	struct meter *meter[2];
	struct cable *cable;
	struct lan_switch *sw;
	struct sink *sink;
	bool ended;
	struct meter_result result;
};

static int
set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct err err = { "" };

	rig->loop = loop_new(LOOP_VIRTUAL, &err);
	assert_non_null(rig->loop);
	*state = rig;
	return 0;
}

static int
tear_down(void **state)
{
	struct rig *rig = *state;

	cable_free(rig->cable);
	switch_free(rig->sw);
	for (int i = 0; i < 2; i++)
		port_close(rig->port[i]);
	sink_free(rig->sink);
	loop_free(rig->loop);
	free(rig);
	return 0;
}

static void
open_meter(struct rig *rig, int i, const char *locator)
{
	static const char *const names[] = { "left", "right" };
	char port[32];
	struct err err = { "" };

	snprintf(port, sizeof(port), "%s.eth0", names[i]);
	node_init(&rig->node[i], names[i]);
	rig->port[i] =
	    port_open(kinds, rig->loop, &rig->node[i], port, locator, &err);
	assert_string_equal(err.text, "");
	rig->meter[i] = meter_of(rig->port[i]);
	assert_non_null(rig->meter[i]);
}

/* Joined by a cable on which that happens from left to right. */
static void
join(struct rig *rig, const struct cable_settings *settings)
{
	struct err err = { "" };

	assert_int_equal(cable_join(rig->port[0], rig->port[1]), 0);
	rig->cable =
	    cable_new(rig->loop, rig->port[0], rig->port[1], "c", 7, &err);
	assert_non_null(rig->cable);
	assert_int_equal(
	    cable_set(rig->cable, CABLE_A, settings, NULL, &err), 0);
}

static void
open_pair(struct rig *rig, const struct cable_settings *settings)
{
	open_meter(rig, 0, "traffic:10.0.0.1/24");
	open_meter(rig, 1, "traffic:10.0.0.2/24");
	join(rig, settings);
}

static struct meter_options
some(uint64_t count)
{
	return (struct meter_options){
		.any_pattern = true,
		.sizes = { METER_IN_TURN, 1, { 60 } },
		.fps = 1000,
		.burst = 1,
		.flows = 1,
		.macs = 1,
		.count = count,
		.wait_ns = NS_PER_S,
	};
}

static void
ended(void *arg)
{
	struct rig *rig = arg;

	rig->ended = true;
	assert_true(meter_result(rig->meter[0], &rig->result));
	loop_stop(rig->loop);
}

static void
run(struct rig *rig, const struct meter_options *options)
{
	struct err err = { "" };

	rig->ended = false;
	assert_int_equal(meter_start(rig->meter[0], rig->meter[1], options,
			     ended, rig, &err),
	    0);
	loop_run(rig->loop);
	assert_true(rig->ended);
}

/* ---- what is measured is what is so ---- */

static void
a_plain_cable_loses_nothing_and_takes_no_time(void **state)
{
	struct rig *rig = *state;
	struct meter_options o = some(1000);
	const struct cable_settings plain = { 0 };
	const struct tally *t;

	open_pair(rig, &plain);
	run(rig, &o);
	t = rig->result.tally;
	assert_null(rig->result.why);
	assert_int_equal(rig->result.sent, 1000);
	assert_int_equal(t->received, 1000);
	assert_int_equal(t->max_ns, 0);
	assert_int_equal(
	    t->duplicate + t->reordered + t->late + t->corrupt + t->foreign, 0);
}

static void
the_rate_is_exact(void **state)
{
	static const struct {
		uint64_t fps, bps, burst;
		uint32_t bytes;
		uint64_t count, ns;
	} table[] = {
		{ 1000, 0, 1, 60, 1000, NS_PER_S },
		{ 3, 0, 1, 60, 9, 3 * NS_PER_S },
		{ 7, 0, 1, 60, 700, 100 * NS_PER_S },
		{ 1000, 0, 10, 60, 1000, NS_PER_S },
		/* 84 bytes on the wire: 672 bits */
		{ 0, 672000, 1, 60, 1000, NS_PER_S },
		{ 0, 10000000, 1, 1514, 100, 123040000 },
	};
	struct rig *rig = *state;
	const struct cable_settings plain = { 0 };

	open_pair(rig, &plain);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct meter_options o = some(table[i].count);

		o.fps = table[i].fps;
		o.bps = table[i].bps;
		o.burst = table[i].burst;
		o.sizes.bytes[0] = table[i].bytes;
		run(rig, &o);
		assert_int_equal(rig->result.sent, table[i].count);
		assert_int_equal(rig->result.sent_ns, table[i].ns);
	}
}

static void
a_time_ends_a_run_as_exactly(void **state)
{
	struct rig *rig = *state;
	struct meter_options o = some(0);
	const struct cable_settings plain = { 0 };

	o.for_ns = 2 * NS_PER_S;
	open_pair(rig, &plain);
	run(rig, &o);
	assert_int_equal(rig->result.sent, 2000);
	assert_int_equal(rig->result.sent_ns, 2 * NS_PER_S);
}

static void
frames_that_a_cable_loses_are_named(void **state)
{
	struct rig *rig = *state;
	struct meter_options o = some(100);
	const struct cable_settings loses = { .lose = { 3, { 5, 9, 100 } } };
	const struct tally *t;

	/* Without addresses the cable's frame 1 is the stream's. */
	open_meter(rig, 0, "traffic:");
	open_meter(rig, 1, "traffic:");
	join(rig, &loses);
	run(rig, &o);
	t = rig->result.tally;
	assert_int_equal(t->received, 97);
	assert_int_equal(t->nlost, 3);
	assert_int_equal(t->lost[0] + 1, 5);
	assert_int_equal(t->lost[1] + 1, 9);
	assert_int_equal(t->lost[2] + 1, 100);
	assert_int_equal(t->reordered, 0);
}

static void
a_delay_is_measured_to_the_nanosecond(void **state)
{
	struct rig *rig = *state;
	struct meter_options o = some(500);
	const struct cable_settings slow = { .delay_ns = 10 * NS_PER_MS };
	const struct tally *t;

	open_pair(rig, &slow);
	run(rig, &o);
	t = rig->result.tally;
	assert_int_equal(t->received, 500);
	assert_int_equal(t->min_ns, 10 * NS_PER_MS);
	assert_int_equal(t->max_ns, 10 * NS_PER_MS);
	assert_int_equal(tally_mean_ns(t), 10 * NS_PER_MS);
	assert_int_equal(tally_percentile_ns(t, 500), 10 * NS_PER_MS);
	assert_int_equal(tally_percentile_ns(t, 999), 10 * NS_PER_MS);
	assert_int_equal(t->jitter16_ns, 0);
}

static void
jitter_is_seen_as_jitter(void **state)
{
	struct rig *rig = *state;
	struct meter_options o = some(20000);
	const struct cable_settings uneven = { .delay_ns = 10 * NS_PER_MS,
		.jitter_ns = 4 * NS_PER_MS,
		.overtake = true };
	const struct tally *t;
	uint64_t half;

	o.fps = 100;
	open_pair(rig, &uneven);
	run(rig, &o);
	t = rig->result.tally;
	half = tally_percentile_ns(t, 500);
	assert_int_equal(t->received, 20000);
	assert_in_range(t->min_ns, 6000000, 6010000);
	assert_in_range(t->max_ns, 13990000, 14000000);
	assert_in_range(half, 9800000, 10300000);
	assert_in_range(tally_percentile_ns(t, 900), 13000000, 13500000);
	/* Two uniform ones differ by a third of the width in the mean. */
	assert_in_range(t->jitter16_ns / 16, 1800000, 3600000);
}

static void
duplicates_order_and_changes_are_counted(void **state)
{
	struct rig *rig = *state;
	struct meter_options o = some(10000);
	const struct cable_settings bad = { .duplicate_ppb = CABLE_ALWAYS / 20,
		.corrupt_ppb = CABLE_ALWAYS / 50,
		.reorder_ppb = CABLE_ALWAYS / 10 };
	struct cable_stats c;
	const struct tally *t;

	o.sizes.bytes[0] = 1000;
	open_meter(rig, 0, "traffic:");
	open_meter(rig, 1, "traffic:");
	join(rig, &bad);
	run(rig, &o);
	t = rig->result.tally;
	c = cable_stats(rig->cable, CABLE_A);
	assert_in_range(c.corrupted, 150, 250);
	/* A changed bit of the addresses and the type sends a frame elsewhere:
	 * 112 bits of 8000. */
	/* Some of them came twice. */
	assert_in_range(
	    t->corrupt, c.corrupted - 12, c.corrupted + c.corrupted / 5);
	assert_true(t->duplicate > c.duplicated - c.corrupted);
	assert_true(t->duplicate <= c.duplicated);
	assert_in_range(t->reordered, c.reordered - c.corrupted, c.reordered);
	assert_true(t->received + c.corrupted >= rig->result.sent);
	assert_true(t->received < rig->result.sent);
}

/* ---- sizes, patterns, cycles ---- */

static void
remember(struct rig *rig, const char *locator)
{
	open_meter(rig, 0, locator);
	open_meter(rig, 1, "traffic:10.0.0.2/24?ip6=2001:db8::2/64");
	rig->sink = sink_new("peer.eth0");
	rig->sink->reason = REASON_DELIVERED;
	cable_join(rig->port[0], &rig->sink->port);
}

static void
sizes_are_as_asked(void **state)
{
	static const struct {
		struct meter_sizes sizes;
		size_t want[6];
	} table[] = {
		{ { METER_IN_TURN, 1, { 60 } }, { 60, 60, 60, 60, 60, 60 } },
		{ { METER_IN_TURN, 3, { 60, 590, 9216 } },
		    { 60, 590, 9216, 60, 590, 9216 } },
		{ { METER_SWEEP, 0, { 60, 63 } }, { 60, 61, 62, 63, 60, 61 } },
	};
	struct rig *rig = *state;
	struct meter_options o = some(6);

	remember(rig, "traffic:");
	o.wait_ns = 1;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		unsigned int from = rig->sink->n;

		o.sizes = table[i].sizes;
		run(rig, &o);
		assert_int_equal(rig->sink->n, from + 6);
		for (unsigned int k = 0; k < 6; k++)
			assert_int_equal(
			    rig->sink->frame[from + k].len, table[i].want[k]);
	}
}

static void
random_sizes_follow_from_the_seed(void **state)
{
	struct rig *rig = *state;
	struct meter_options o = some(50);
	bool differ = false;

	remember(rig, "traffic:");
	o.sizes = (struct meter_sizes){ METER_RANDOM, 0, { 60, 1514 } };
	o.wait_ns = 1;
	for (int i = 0; i < 3; i++) {
		o.seed = i == 2 ? 8 : 7;
		run(rig, &o);
	}
	for (unsigned int k = 0; k < 50; k++) {
		const struct sink_frame *f = rig->sink->frame;

		assert_in_range(f[k].len, 60, 1514);
		assert_int_equal(f[k].len, f[50 + k].len);
		differ |= f[k].len != f[100 + k].len;
	}
	assert_true(differ);
}

static void
macs_and_vlans_are_in_the_frames(void **state)
{
	struct rig *rig = *state;
	struct meter_options o = some(6);

	remember(rig, "traffic:?mac=02:00:00:ff:ff:ff");
	o.macs = 3;
	o.vlan = 7;
	o.sizes.bytes[0] = 64;
	o.wait_ns = 1;
	run(rig, &o);
	for (unsigned int i = 0; i < 6; i++) {
		const struct sink_frame *f = &rig->sink->frame[i];
		struct cursor c = cursor(f->data, f->len);
		uint8_t last = (uint8_t)(i % 3 - 1);
		struct eth eth;

		assert_int_equal(eth_parse(&eth, &c), DROP_NONE);
		assert_int_equal(eth.nvlans, 1);
		assert_int_equal(eth.vlan[0].tci, 7);
		assert_int_equal(eth.type, ETH_LOCAL);
		assert_int_equal(eth.src.b[5], last);
		assert_int_equal(eth.src.b[0], 2);
	}
}

static void
udp_is_well_formed_and_its_flows_go_round(void **state)
{
	static const enum test_pattern patterns[] = { TEST_UDP4, TEST_UDP6 };
	struct rig *rig = *state;

	for (int p = 0; p < 2; p++) {
		struct test_shape shape = {
			.pattern = patterns[p],
			.src4 = 0x0a000001,
			.dst4 = 0x0a000002,
			.src6 = { { 0x20, 1, [15] = 1 } },
			.dst6 = { { 0x20, 1, [15] = 2 } },
			.sport = 5000,
			.dport = 9,
			.flows = 4,
			.macs = 1,
		};
		static struct test_fill fill;
		uint8_t out[TEST_FRAME_MAX];

		test_fill_make(&fill);
		for (uint32_t n = 0; n < 3000; n++) {
			size_t len = test_frame_min(&shape) + n;
			struct cursor c = cursor(out, len);
			struct test_mark mark;
			struct eth eth;
			struct ip4 ip = { .src = 0 };
			struct ip6 ip6 = { .src = shape.src6 };
			struct udp udp;

			test_frame_make(out, len, &shape, &fill, n, n * 77);
			assert_int_equal(eth_parse(&eth, &c), DROP_NONE);
			if (p == 0) {
				assert_int_equal(ip4_parse(&ip, &c), DROP_NONE);
				assert_int_equal(
				    udp_parse(&udp, &c, &ip, false), DROP_NONE);
				assert_int_equal(udp.sport, 5000 + n % 4);
				assert_int_equal(test_mark_read(&mark, udp.data,
						     udp.data_bytes, &fill),
				    TEST_WHOLE);
			} else {
				assert_int_equal(
				    ip6_parse(&ip6, &c), DROP_NONE);
				assert_int_equal(
				    csum_finish(csum_add_bytes(
					csum_pseudo6(&ip6.src, &ip6.dst, IP_UDP,
					    (uint32_t)cur_left(&c)),
					c.at, cur_left(&c))),
				    0);
				assert_int_equal(get_be16(c.at), 5000 + n % 4);
				assert_int_equal(test_mark_read(&mark, c.at + 8,
						     cur_left(&c) - 8, &fill),
				    TEST_WHOLE);
			}
			assert_int_equal(mark.number, n);
			assert_int_equal(mark.sent_ns, n * 77);
		}
	}
	(void)rig;
}

static void
any_changed_bit_of_a_payload_is_found(void **state)
{
	struct test_shape shape = { .stream = 3, .flows = 1, .macs = 1 };
	static struct test_fill fill;
	uint8_t out[300];

	(void)state;
	test_fill_make(&fill);
	test_frame_make(out, sizeof(out), &shape, &fill, 9, 1);
	for (size_t bit = 16; bit < (sizeof(out) - ETH_HEADER_BYTES) * 8;
	     bit++) {
		uint8_t *at = &out[ETH_HEADER_BYTES + bit / 8];
		struct test_mark mark;

		*at ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(test_mark_read(&mark, out + ETH_HEADER_BYTES,
				     sizeof(out) - ETH_HEADER_BYTES, &fill),
		    TEST_CORRUPT);
		*at ^= (uint8_t)(1 << bit % 8);
	}
}

/* ---- neighbours ---- */

static void
both_families_find_each_other_through_a_switch(void **state)
{
	static const struct {
		enum test_pattern pattern;
		uint32_t bytes;
		uint16_t vlan;
	} table[] = {
		{ TEST_ETHERNET, 60, 0 },
		{ TEST_UDP4, 60, 0 },
		{ TEST_UDP6, 80, 0 },
		{ TEST_UDP4, 64, 9 },
		{ TEST_UDP6, 84, 9 },
	};
	struct rig *rig = *state;
	struct switch_options options = { .age_ns = 0 };
	struct err err = { "" };

	open_meter(rig, 0, "traffic:10.0.0.1/24?ip6=2001:db8::1/64");
	open_meter(rig, 1, "traffic:10.0.0.2/24?ip6=2001:db8::2/64");
	rig->sw = switch_new(rig->loop, "lan", &options, &err);
	assert_non_null(rig->sw);
	for (int i = 0; i < 2; i++)
		cable_join(rig->port[i],
		    switch_add_port(
			rig->sw, i == 0 ? "lan.left" : "lan.right", &err));
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct meter_options o = some(10);

		o.any_pattern = false;
		o.pattern = table[i].pattern;
		o.sizes.bytes[0] = table[i].bytes;
		o.vlan = table[i].vlan;
		run(rig, &o);
		assert_null(rig->result.why);
		assert_int_equal(rig->result.tally->received, 10);
	}
}

static void
nobody_who_answers_ends_a_run_with_its_reason(void **state)
{
	struct rig *rig = *state;
	struct meter_options o = some(10);

	remember(rig, "traffic:10.0.0.1/24");
	run(rig, &o);
	assert_non_null(rig->result.why);
	assert_int_equal(rig->result.sent, 0);
	/* Asked three times, in three seconds. */
	assert_int_equal(rig->sink->n, 3);
	assert_int_equal(loop_now_ns(rig->loop), 3 * NS_PER_S);
}

/* ---- the receiver believes nothing ---- */

static void
marks_of_numbers_never_sent_are_foreign(void **state)
{
	static struct tally t;

	(void)state;
	tally_clear(&t);
	tally_add(&t, 10, 10, 5, 5, 60);
	tally_add(&t, UINT32_MAX - 1, 10, 5, 5, 60);
	assert_int_equal(t.foreign, 2);
	assert_int_equal(t.received, 0);
	tally_add(&t, 9, 10, 5, 5, 60);
	assert_int_equal(t.received, 1);
}

static void
late_ones_are_not_taken_for_received(void **state)
{
	static struct tally t;

	(void)state;
	tally_clear(&t);
	tally_add(&t, 0, 1, 5, 5, 60);
	tally_add(&t, TALLY_WINDOW + 5, 1000000, 5, 5, 60);
	tally_add(&t, 3, 1000000, 5, 5, 60);
	assert_int_equal(t.late, 1);
	assert_int_equal(t.received, 2);
	tally_add(&t, 7, 1000000, 5, 5, 60);
	assert_int_equal(t.reordered, 1);
	assert_int_equal(t.received, 3);
	tally_finish(&t, TALLY_WINDOW + 6);
	assert_int_equal(t.nlost, TALLY_LOST);
	assert_int_equal(t.lost[0], 1);
	assert_int_equal(t.lost[5], 6);
	assert_int_equal(t.lost[6], 8);
}

static void
percentiles_are_within_a_sixty_fourth(void **state)
{
	static struct tally t;

	(void)state;
	tally_clear(&t);
	for (uint32_t i = 0; i < 50000; i++)
		tally_add(&t, i, 50000, (i + 1) * UINT64_C(1000), i, 60);
	for (unsigned int p = 100; p <= 1000; p += 100)
		assert_in_range(tally_percentile_ns(&t, p), p * UINT64_C(50000),
		    p * UINT64_C(50000) * 65 / 64);
}

/* ---- what cannot be is said ---- */

static void
what_cannot_be_is_refused(void **state)
{
	static const char *const locators[] = { "traffic:10.0.0.1",
		"traffic:10.0.0.1/33", "traffic:224.0.0.1/24",
		"traffic:?mac=01:00:00:00:00:01", "traffic:?ip6=ff02::1/64",
		"traffic:?ip6=2001:db8::1", "traffic:?ip6=2001:db8::1/129",
		"traffic:?gateway=10.0.0.1",
		"traffic:10.0.0.1/24?gateway=10.0.1.1", "traffic:?speed=7",
		"traffic:?gateway6=2001:db8::1" };
	struct rig *rig = *state;
	const struct cable_settings plain = { 0 };
	struct meter_options o;
	struct err err = { "" };

	for (size_t i = 0; i < sizeof(locators) / sizeof(locators[0]); i++) {
		err_clear(&err);
		assert_int_equal(
		    port_check(kinds, "left.eth0", locators[i], &err), -EINVAL);
		assert_true(err.text[0] != '\0');
	}
	open_pair(rig, &plain);
#define REFUSED(field, value)                                                  \
	do {                                                                   \
		o = some(10);                                                  \
		o.field = (value);                                             \
		err_clear(&err);                                               \
		assert_int_equal(meter_start(rig->meter[0], rig->meter[1], &o, \
				     ended, rig, &err),                        \
		    -EINVAL);                                                  \
		assert_true(err.text[0] != '\0');                              \
	} while (0)
	REFUSED(count, 0);
	REFUSED(count, METER_COUNT_MAX + 1);
	REFUSED(fps, 0); /* virtual time */
	REFUSED(fps, METER_RATE_MAX + 1);
	REFUSED(bps, 1000);
	REFUSED(burst, 0);
	REFUSED(flows, 0);
	REFUSED(macs, METER_MACS_MAX + 1);
	REFUSED(vlan, 4095);
	REFUSED(vlan, 7); /* no room in 60 bytes */
	REFUSED(sizes.bytes[0], 59);
	REFUSED(sizes.bytes[0], TEST_FRAME_MAX + 1);
	REFUSED(sizes.n, 0);
	o = some(10);
	err_clear(&err);
	assert_int_equal(
	    meter_start(rig->meter[0], rig->meter[0], &o, ended, rig, &err),
	    -EINVAL);
	err_clear(&err);
	assert_int_equal(
	    meter_start(rig->meter[0], rig->meter[1], &o, ended, rig, &err), 0);
	assert_int_equal(
	    meter_start(rig->meter[0], rig->meter[1], &o, ended, rig, &err),
	    -EBUSY);
	meter_stop(rig->meter[0]);
	assert_int_equal(
	    meter_start(rig->meter[0], rig->meter[1], &o, ended, rig, &err), 0);
}

static void
a_receiver_that_goes_takes_its_run_with_it(void **state)
{
	struct rig *rig = *state;
	struct meter_options o = some(10);
	const struct cable_settings plain = { 0 };
	struct meter_result result;
	struct err err = { "" };

	open_pair(rig, &plain);
	assert_int_equal(
	    meter_start(rig->meter[0], rig->meter[1], &o, ended, rig, &err), 0);
	cable_free(rig->cable);
	rig->cable = NULL;
	port_close(rig->port[1]);
	rig->port[1] = NULL;
	loop_run(rig->loop);
	assert_false(rig->ended);
	assert_false(meter_result(rig->meter[0], &result));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_plain_cable_loses_nothing_and_takes_no_time),
		TEST(the_rate_is_exact),
		TEST(a_time_ends_a_run_as_exactly),
		TEST(frames_that_a_cable_loses_are_named),
		TEST(a_delay_is_measured_to_the_nanosecond),
		TEST(jitter_is_seen_as_jitter),
		TEST(duplicates_order_and_changes_are_counted),
		TEST(sizes_are_as_asked),
		TEST(random_sizes_follow_from_the_seed),
		TEST(macs_and_vlans_are_in_the_frames),
		TEST(udp_is_well_formed_and_its_flows_go_round),
		TEST(any_changed_bit_of_a_payload_is_found),
		TEST(both_families_find_each_other_through_a_switch),
		TEST(nobody_who_answers_ends_a_run_with_its_reason),
		TEST(marks_of_numbers_never_sent_are_foreign),
		TEST(late_ones_are_not_taken_for_received),
		TEST(percentiles_are_within_a_sixty_fourth),
		TEST(what_cannot_be_is_refused),
		TEST(a_receiver_that_goes_takes_its_run_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
