#include "switch/cable.h"

#include <errno.h>
#include <math.h>

#include "net/checksum.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/tcp.h"
#include "tests/switch/cable_rig.h"

#define MS NS_PER_MS

/* ---- plain, and back ---- */

static void
a_plain_cable_hands_over_at_once(void **state)
{
	struct rig *rig = *state;

	assert_null(rig->a->port.way);
	assert_int_equal(rig_send(rig, 1, 60).reason, REASON_DELIVERED);
	assert_int_equal(rig->n, 1);
	assert_int_equal(rig_set(rig, (struct cable_settings){ 0 }), 0);
	assert_null(rig->a->port.way);
}

static void
a_cable_is_plain_again_when_the_last_frame_has_left(void **state)
{
	struct rig *rig = *state;

	rig_set(rig, (struct cable_settings){ .delay_ns = 5 * MS });
	rig_send(rig, 1, 60);
	rig_set(rig, (struct cable_settings){ 0 });
	assert_int_equal(rig_send(rig, 2, 60).reason, REASON_CABLE_HELD);
	rig_pass(rig, 5 * MS);
	assert_int_equal(rig->n, 2);
	assert_int_equal(rig->got[0].number, 1); /* none overtook the other */
	assert_null(rig->a->port.way);
	assert_int_equal(rig_send(rig, 3, 60).reason, REASON_DELIVERED);
	assert_int_equal(rig->got[2].at_ns, 5 * MS);
}

static void
each_direction_has_its_own(void **state)
{
	struct rig *rig = *state;
	struct burst burst;

	rig_set(rig, (struct cable_settings){ .delay_ns = 5 * MS });
	burst_clear(&burst);
	burst_add(&burst, "a frame that goes the other way", 32);
	port_send(&rig->b->port, &burst);
	assert_int_equal(rig->a->n, 1);
	assert_int_equal(burst.frame[0].verdict.reason, REASON_DELIVERED);
}

/* ---- delay ---- */

static void
a_delay_is_exact_and_limits_nothing(void **state)
{
	struct rig *rig = *state;

	rig_set(rig, (struct cable_settings){ .delay_ns = 100 * MS });
	rig_stream(rig, 20000, 100, 100 * NS_PER_US);
	assert_int_equal(rig->n, 20000);
	for (unsigned int i = 0; i < rig->n; i++) {
		assert_int_equal(rig->got[i].number, i);
		assert_int_equal(rig->got[i].at_ns, rig->sent_ns[i] + 100 * MS);
	}
	rig_adds_up(rig);
}

static void
a_frame_that_is_held_is_judged_twice(void **state)
{
	struct rig *rig = *state;
	struct verdict v;

	rig_set(rig, (struct cable_settings){ .delay_ns = MS });
	v = rig_send(rig, 1, 60);
	assert_int_equal(v.reason, REASON_CABLE_HELD);
	assert_string_equal(v.node->name, "cable alice.eth0 out");
	assert_int_equal(rig_stats(rig).held, 1);
	rig->b->reason = DROP_NOT_READY;
	rig_pass(rig, MS);
	assert_int_equal(rig->b->node.count[DROP_NOT_READY], 1);
	assert_int_equal(rig->b->frame[0].caused_by.reason, REASON_CABLE_HELD);
	assert_ptr_equal(rig->b->frame[0].caused_by.node, v.node);
	/* as on a plain cable: the other end refused it */
	assert_int_equal(rig->a->port.out_drops, 1);
	assert_int_equal(rig->b->port.in_frames, 1);
	rig_adds_up(rig);
}

static void
a_shorter_delay_lets_nobody_overtake(void **state)
{
	struct rig *rig = *state;

	rig_set(rig, (struct cable_settings){ .delay_ns = 50 * MS });
	rig_send(rig, 1, 60);
	rig_set(rig, (struct cable_settings){ .delay_ns = MS });
	rig_send(rig, 2, 60);
	rig_pass(rig, 60 * MS);
	assert_int_equal(rig->n, 2);
	assert_int_equal(rig->got[0].number, 1);
	assert_int_equal(rig->got[1].at_ns, 50 * MS);
}

/* ---- jitter ---- */

static double
mean_and_deviation(const struct rig *rig, double *deviation)
{
	double sum = 0, squares = 0;

	for (unsigned int i = 0; i < rig->n; i++) {
		double d = (double)(rig->got[i].at_ns -
			       rig->sent_ns[rig->got[i].number]) /
		    1e6;

		sum += d;
		squares += d * d;
	}
	sum /= rig->n;
	*deviation = sqrt(squares / rig->n - sum * sum);
	return sum;
}

static void
jitter_has_the_spread_that_was_asked_for(void **state)
{
	static const struct {
		int spread;
		uint64_t alike_ppb;
		double deviation, tolerance;
	} rows[] = {
		{ CABLE_UNIFORM, 0, 5 / 1.7320508, 0.05 },
		{ CABLE_NORMAL, 0, 5, 0.1 },
		{ CABLE_PARETO, 0, 5, 0.9 }, /* a heavy tail: slow to settle */
		{ CABLE_UNIFORM, 500000000, 5 / 1.7320508, 0.1 },
		{ CABLE_NORMAL, 900000000, 5, 0.3 },
	};
	struct rig *rig = *state;

	for (unsigned int k = 0; k < 5; k++) {
		double deviation, mean;

		rig->n = 0;
		rig->sent = 0;
		rig_set(rig,
		    (struct cable_settings){ .delay_ns = 50 * MS,
			.jitter_ns = 5 * MS,
			.spread = rows[k].spread,
			.alike_ppb = rows[k].alike_ppb,
			.overtake = true });
		rig_stream(rig, 40000, 60, MS);
		assert_int_equal(rig->n, 40000);
		mean = mean_and_deviation(rig, &deviation);
		assert_true(fabs(mean - 50) < 0.25);
		assert_true(
		    fabs(deviation - rows[k].deviation) < rows[k].tolerance);
		for (unsigned int i = 0; k == 0 && i < rig->n; i++)
			assert_in_range(rig->got[i].at_ns -
				rig->sent_ns[rig->got[i].number],
			    45 * MS, 55 * MS);
	}
}

static void
jitter_is_as_alike_as_was_asked_for(void **state)
{
	struct rig *rig = *state;
	double deviation, mean, product = 0;

	rig_set(rig,
	    (struct cable_settings){ .delay_ns = 50 * MS,
		.jitter_ns = 5 * MS,
		.spread = CABLE_NORMAL,
		.alike_ppb = 800000000 });
	/* so far apart that none meets the one before */
	rig_stream(rig, 20000, 60, 200 * MS);
	mean = mean_and_deviation(rig, &deviation);
	for (unsigned int i = 1; i < rig->n; i++) {
		double x = (double)(rig->got[i].at_ns - rig->sent_ns[i]) / 1e6;
		double y =
		    (double)(rig->got[i - 1].at_ns - rig->sent_ns[i - 1]) / 1e6;

		product += (x - mean) * (y - mean);
	}
	product /= (rig->n - 1) * deviation * deviation;
	assert_true(fabs(product - 0.8) < 0.02);
}

static void
jitter_reorders_only_where_it_may(void **state)
{
	struct rig *rig = *state;

	for (int overtake = 0; overtake < 2; overtake++) {
		unsigned int back = 0;

		rig->n = 0;
		rig->sent = 0;
		rig_set(rig,
		    (struct cable_settings){ .delay_ns = 20 * MS,
			.jitter_ns = 10 * MS,
			.overtake = overtake });
		rig_stream(rig, 5000, 60, 100 * NS_PER_US);
		assert_int_equal(rig->n, 5000);
		for (unsigned int i = 1; i < rig->n; i++)
			back += rig->got[i].number < rig->got[i - 1].number;
		if (overtake)
			assert_true(back > 1000);
		else
			assert_int_equal(back, 0);
	}
	rig_adds_up(rig);
}

static void
jitter_follows_a_table(void **state)
{
	/* half of them early by a deviation, half late */
	static const char text[] = "# two values\n-8192 -8192\t8192\n8192\n";
	struct rig *rig = *state;
	struct cable_settings s = { .delay_ns = 10 * MS,
		.jitter_ns = 2 * MS,
		.spread = CABLE_TABLE,
		.overtake = true };
	struct jitter_table *table = malloc(sizeof(*table));
	struct err err = { "" };
	unsigned int early = 0, late = 0;

	assert_int_equal(
	    jitter_table_read(table, text, sizeof(text) - 1, &err), 0);
	assert_int_equal(
	    cable_set(rig->cable, CABLE_A, &s, NULL, &err), -EINVAL);
	assert_int_equal(cable_set(rig->cable, CABLE_A, &s, table, &err), 0);
	free(table);
	rig_stream(rig, 3000, 60, 10 * MS);
	for (unsigned int i = 0; i < rig->n; i++) {
		uint64_t d =
		    rig->got[i].at_ns - rig->sent_ns[rig->got[i].number];

		assert_in_range(d, 8 * MS, 12 * MS);
		early += d == 8 * MS;
		late += d == 12 * MS;
	}
	/* a third between each pair of values; in the middle, between both */
	assert_in_range(early, 900, 1100);
	assert_in_range(late, 900, 1100);
}

static void
tables_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = { "", "1", "1 2x", "1 40000", "-",
		"1 2 -99999", "1 0x10" };
	struct jitter_table *table = malloc(sizeof(*table));
	char *many = malloc(3 * JITTER_TABLE_MAX + 6);

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = { "" };

		assert_int_equal(
		    jitter_table_read(table, bad[i], strlen(bad[i]), &err),
		    -EINVAL);
		assert_true(err.text[0] != '\0');
	}
	for (unsigned int i = 0; i <= JITTER_TABLE_MAX; i++)
		memcpy(many + 3 * i, "12\n", 4);
	assert_int_equal(
	    jitter_table_read(table, many, strlen(many), NULL), -EINVAL);
	assert_int_equal(
	    jitter_table_read(table, many, strlen(many) - 3, NULL), 0);
	assert_int_equal(table->n, JITTER_TABLE_MAX);
	free(many);
	free(table);
}

/* ---- rate and queue ---- */

static void
a_rate_is_kept_exactly(void **state)
{
	static const struct {
		uint64_t rate_bps, overhead;
		uint32_t len;
	} rows[] = {
		{ 10000000, 0, 1250 },
		{ 7777777, 24, 1514 },
		{ 64000, 0, 60 },
		{ 3000000000, 24, 1514 },
	};
	struct rig *rig = *state;

	for (unsigned int k = 0; k < 4; k++) {
		uint64_t begin = loop_now_ns(rig->loop), took;
		double want = 500.0 * (double)(rows[k].len + rows[k].overhead) *
		    8e9 / (double)rows[k].rate_bps;

		rig->n = 0;
		rig_set(rig,
		    (struct cable_settings){ .rate_bps = rows[k].rate_bps,
			.overhead_bytes = rows[k].overhead });
		for (uint32_t i = 0; i < 500; i++)
			assert_int_equal(rig_send(rig, i, rows[k].len).reason,
			    REASON_CABLE_HELD);
		assert_int_equal(rig_stats(rig).queued, 499);
		rig_pass(rig, 60 * NS_PER_S);
		assert_int_equal(rig->n, 500);
		took = rig->got[499].at_ns - begin;
		assert_true(fabs((double)took - want) <= 1);
	}
	rig_adds_up(rig);
}

static void
a_queue_refuses_what_is_beyond_its_limits(void **state)
{
	struct rig *rig = *state;

	rig_set(rig,
	    (struct cable_settings){ .rate_bps = 1000000, .queue_frames = 3 });
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(rig_send(rig, i, 100).reason,
		    i < 4 ? REASON_CABLE_HELD : DROP_CABLE_QUEUE);
	rig_pass(rig, NS_PER_S);
	assert_int_equal(rig->n, 4); /* three, and the one being sent */
	rig_set(rig,
	    (struct cable_settings){ .rate_bps = 1000000,
		.queue_bytes = 250,
		.overhead_bytes = 20 });
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(rig_send(rig, i, 100).reason,
		    i < 3 ? REASON_CABLE_HELD : DROP_CABLE_QUEUE);
	rig_pass(rig, NS_PER_S);
	/* An empty queue takes what is longer than its limit. */
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(rig_send(rig, i, 1000).reason,
		    i < 2 ? REASON_CABLE_HELD : DROP_CABLE_QUEUE);
	rig_adds_up(rig);
}

static void
a_changed_rate_is_that_of_who_waits(void **state)
{
	struct rig *rig = *state;

	rig_set(rig, (struct cable_settings){ .rate_bps = 8000 });
	for (uint32_t i = 0; i < 3; i++)
		rig_send(rig, i, 1000); /* a second each */
	rig_pass(rig, NS_PER_S / 2);
	rig_set(rig, (struct cable_settings){ .rate_bps = 8000000 });
	rig_pass(rig, NS_PER_S);
	assert_int_equal(rig->n, 3);
	assert_int_equal(rig->got[0].at_ns, NS_PER_S);
	assert_int_equal(rig->got[2].at_ns, NS_PER_S + 2 * MS);
	/* and without any, who waits goes at once */
	rig_set(rig, (struct cable_settings){ .rate_bps = 8000 });
	for (uint32_t i = 0; i < 3; i++)
		rig_send(rig, i, 1000);
	rig_set(rig, (struct cable_settings){ 0 });
	rig_pass(rig, NS_PER_S);
	assert_int_equal(rig->n, 6);
	assert_null(rig->a->port.way);
	rig_adds_up(rig);
}

static void
an_idle_transmitter_saves_no_time_up(void **state)
{
	struct rig *rig = *state;

	rig_set(rig, (struct cable_settings){ .rate_bps = 8000000 });
	rig_send(rig, 0, 1000);
	rig_pass(rig, NS_PER_S);
	rig_send(rig, 1, 1000);
	rig_send(rig, 2, 1000);
	rig_pass(rig, NS_PER_S);
	assert_int_equal(rig->got[1].at_ns, NS_PER_S + MS);
	assert_int_equal(rig->got[2].at_ns, NS_PER_S + 2 * MS);
}

/* An IPv4 packet whose sender understands ECN, or does not. */
static struct frame
ip_frame(uint8_t bytes[1514], uint8_t tos)
{
	struct writer w = { .at = bytes, .end = bytes + 1514 };
	struct eth eth = { .dst = { { 2, 0, 0, 0, 0, 1 } },
		.src = { { 2, 0, 0, 0, 0, 2 } },
		.type = ETH_IPV4 };
	struct ip4 ip = { .tos = tos,
		.total_bytes = 1500,
		.ttl = 64,
		.protocol = IP_UDP,
		.src = 0x0a000001,
		.dst = 0x0a000002 };

	memset(bytes, 0, 1514);
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	return (struct frame){ .data = bytes, .len = 1514, .head = 1514 };
}

/* Twice the rate for four seconds. */
static void
overload(struct rig *rig, uint8_t tos)
{
	uint8_t bytes[1514];
	struct frame frame = ip_frame(bytes, tos);

	for (unsigned int i = 0; i < 4000; i++) {
		rig_send_frame(rig, &frame);
		rig_pass(rig, MS);
	}
}

static void
codel_drops_from_a_queue_that_stays(void **state)
{
	struct rig *rig = *state;
	const struct node *node = cable_node(rig->cable, CABLE_A);

	rig_set(rig,
	    (struct cable_settings){
		.rate_bps = 6056000, .discipline = CABLE_CODEL });
	/* A burst that drains within an interval is left alone. */
	for (uint32_t i = 0; i < 40; i++)
		rig_send(rig, i, 1514);
	rig_pass(rig, NS_PER_S);
	assert_int_equal(node->count[DROP_CABLE_CODEL], 0);
	overload(rig, 0);
	/* An open loop that offers twice the rate: CoDel's drops accelerate, by
	 * its law to about (t / interval / 2)^2 = 400 within 4 s. */
	assert_in_range(node->count[DROP_CABLE_CODEL], 200, 600);
	rig_adds_up(rig);
}

static void
codel_marks_who_understands(void **state)
{
	struct rig *rig = *state;
	const struct node *node = cable_node(rig->cable, CABLE_A);
	unsigned int marked = 0;

	rig_set(rig,
	    (struct cable_settings){ .rate_bps = 6056000,
		.discipline = CABLE_CODEL,
		.ecn = true,
		.queue_frames = 100000 });
	overload(rig, 2);
	assert_int_equal(node->count[DROP_CABLE_CODEL], 0);
	rig_pass(rig, 60 * NS_PER_S);
	for (unsigned int i = 0; i < rig->n; i++)
		marked += rig->got[i].reason == REASON_CABLE_MARKED;
	assert_true(marked > 100);
	assert_int_equal(rig_stats(rig).marked, marked);
	assert_int_equal(node->count[REASON_CABLE_MARKED], marked);
	/* who does not understand is dropped */
	overload(rig, 0);
	assert_true(node->count[DROP_CABLE_CODEL] > 100);
	rig_adds_up(rig);
}

static void
who_waits_longer_than_the_mark_is_marked(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[1514];
	struct frame frame = ip_frame(bytes, 1);
	struct ip4 ip;

	rig_set(rig,
	    (struct cable_settings){ .rate_bps = 12112000, .mark_ns = 5 * MS });
	for (unsigned int i = 0; i < 10; i++)
		rig_send_frame(rig, &frame); /* 1 ms each */
	rig_pass(rig, NS_PER_S);
	assert_int_equal(rig_stats(rig).marked, 4); /* waits of 6 to 9 ms */
	for (unsigned int i = 0; i < 10; i++) {
		struct cursor c =
		    cursor(rig->b->frame[i].data + ETH_HEADER_BYTES, 1500);

		/* its header checksum is right */
		assert_int_equal(ip4_parse(&ip, &c), DROP_NONE);
		assert_int_equal(ip.tos, i < 6 ? 1 : 3);
		assert_int_equal(rig->got[i].reason,
		    i < 6 ? REASON_CABLE_HELD : REASON_CABLE_MARKED);
	}
}

/* ---- chance ---- */

static void
loss_is_what_was_asked_for(void **state)
{
	static const uint64_t ppb[] = { 1000000, 10000000, 250000000,
		CABLE_ALWAYS };
	struct rig *rig = *state;

	for (unsigned int k = 0; k < 4; k++) {
		const double want = (double)ppb[k] / 1e9 * 50000;
		uint64_t before =
		    cable_node(rig->cable, CABLE_A)->count[DROP_CABLE_LOSS];
		double lost;

		rig->sent = rig->n = 0;
		rig_set(rig, (struct cable_settings){ .loss_ppb = ppb[k] });
		rig_stream(rig, 50000, 60, NS_PER_US);
		lost = (double)(cable_node(rig->cable, CABLE_A)
				    ->count[DROP_CABLE_LOSS] -
		    before);
		assert_int_equal(rig->n, 50000 - (unsigned int)lost);
		/* four standard deviations */
		assert_true(fabs(lost - want) <=
		    4 * sqrt(want * (1 - (double)ppb[k] / 1e9)) + 0.5);
	}
	rig_adds_up(rig);
}

static void
bursts_of_loss_have_their_share_and_length(void **state)
{
	struct rig *rig = *state;
	unsigned int lost = 0, bursts = 0;
	uint32_t last = 0;

	/* bad in 1 of 11 frames, for 10 frames on average */
	rig_set(rig,
	    (struct cable_settings){ .spells = { .enter_ppb = 10000000,
					 .leave_ppb = 100000000,
					 .bad_ppb = CABLE_ALWAYS } });
	rig_stream(rig, 100000, 60, NS_PER_US);
	for (unsigned int i = 0; i < rig->n; i++) {
		if (rig->got[i].number > last + 1) {
			lost += rig->got[i].number - last - 1;
			bursts++;
		}
		last = rig->got[i].number;
	}
	assert_in_range(lost, 8200, 10000); /* 9091 */
	assert_in_range(10 * lost / bursts, 92, 108);
	assert_in_range(
	    cable_node(rig->cable, CABLE_A)->count[DROP_CABLE_SPELL], lost,
	    lost + 100);
	rig_adds_up(rig);
}

static void
both_states_of_a_burst_lose(void **state)
{
	struct rig *rig = *state;

	/* as often bad as good: a mean of 30 and 10 % */
	rig_set(rig,
	    (struct cable_settings){ .spells = { .enter_ppb = 100000000,
					 .leave_ppb = 100000000,
					 .bad_ppb = 300000000,
					 .good_ppb = 100000000 } });
	rig_stream(rig, 100000, 60, NS_PER_US);
	assert_in_range(rig->n, 79200, 80800);
}

static void
named_frames_are_lost_and_no_others(void **state)
{
	struct rig *rig = *state;

	rig_set(rig, (struct cable_settings){ .lose = { 2, { 5, 9 } } });
	for (uint32_t i = 1; i <= 12; i++)
		assert_int_equal(rig_send(rig, i, 60).reason,
		    i == 5 || i == 9 ? DROP_CABLE_CHOSEN : REASON_CABLE_HELD);
	/* another setting does not begin to count anew, another list does */
	rig_set(rig,
	    (struct cable_settings){ .lose = { 2, { 5, 9 } }, .delay_ns = MS });
	for (uint32_t i = 13; i < 24; i++)
		assert_int_equal(
		    rig_send(rig, i, 60).reason, REASON_CABLE_HELD);
	rig_set(rig, (struct cable_settings){ .lose = { 1, { 1 } } });
	assert_int_equal(rig_send(rig, 24, 60).reason, DROP_CABLE_CHOSEN);
	rig_pass(rig, NS_PER_S);
	rig_adds_up(rig);
}

static void
a_duplicate_follows_its_original(void **state)
{
	struct rig *rig = *state;

	rig_set(rig, (struct cable_settings){ .duplicate_ppb = CABLE_ALWAYS });
	assert_int_equal(rig_send(rig, 1, 60).reason, REASON_CABLE_DUPLICATED);
	rig_send(rig, 2, 60);
	rig_pass(rig, MS);
	assert_int_equal(rig->n, 4);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(rig->got[i].number, 1 + i / 2);
		assert_int_equal(rig->got[i].reason, REASON_CABLE_DUPLICATED);
	}
	assert_int_equal(rig_stats(rig).entered, 2);
	assert_int_equal(rig_stats(rig).duplicated, 2);
	/* one that finds no room is counted as well */
	rig_set(rig,
	    (struct cable_settings){ .duplicate_ppb = CABLE_ALWAYS,
		.rate_bps = 8000,
		.queue_frames = 1 });
	for (uint32_t i = 0; i < 3; i++)
		rig_send(rig, i, 60);
	rig_adds_up(rig);
	rig_pass(rig, NS_PER_S);
	rig_adds_up(rig);
	assert_int_equal(rig->n, 6);
}

static unsigned int
bits_that_differ(const uint8_t *a, const uint8_t *b, size_t n)
{
	unsigned int bits = 0;

	for (size_t i = 0; i < n; i++)
		bits += (unsigned int)__builtin_popcount(a[i] ^ b[i]);
	return bits;
}

static void
corruption_flips_one_bit_of_the_finished_frame(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[1514], finished[1514];
	struct frame frame = ip_frame(bytes, 0);
	unsigned int places[8] = { 0 };

	rig_set(rig, (struct cable_settings){ .corrupt_ppb = CABLE_ALWAYS });
	frame.flags = FRAME_CSUM | FRAME_VALID;
	frame.csum_start = 34;
	frame.csum_offset = 6;
	memcpy(finished, bytes, sizeof(bytes));
	put_be16(
	    finished + 40, csum_finish(csum_add_bytes(0, bytes + 34, 1480)));
	for (unsigned int i = 0; i < 200; i++)
		assert_int_equal(
		    rig_send_frame(rig, &frame).reason, REASON_CABLE_CORRUPTED);
	rig_pass(rig, MS);
	assert_int_equal(rig->b->n, 200);
	for (unsigned int i = 0; i < 200; i++) {
		const struct sink_frame *f = &rig->b->frame[i];

		assert_int_equal(bits_that_differ(f->data, finished, 1514), 1);
		assert_int_equal(f->flags, 0);
		for (unsigned int k = 0; k < 8; k++)
			places[k] += bits_that_differ(
			    f->data + k * 189, finished + k * 189, 189);
	}
	for (unsigned int k = 0; k < 8; k++)
		assert_in_range(places[k], 8, 45); /* all over the frame */
	assert_int_equal(rig_stats(rig).corrupted, 200);
	rig_adds_up(rig);
}

static void
a_frame_held_back_is_overtaken(void **state)
{
	struct rig *rig = *state;
	unsigned int late = 0;

	rig_set(rig,
	    (struct cable_settings){ .delay_ns = 10 * MS,
		.reorder_ppb = 100000000,
		.reorder_by_ns = 3 * MS });
	rig_stream(rig, 10000, 60, MS);
	assert_int_equal(rig->n, 10000);
	for (unsigned int i = 0; i < rig->n; i++) {
		uint64_t d =
		    rig->got[i].at_ns - rig->sent_ns[rig->got[i].number];

		if (rig->got[i].reason == REASON_CABLE_REORDERED) {
			assert_int_equal(d, 13 * MS);
			late++;
		} else {
			assert_int_equal(d, 10 * MS);
		}
	}
	assert_in_range(late, 880, 1120);
	assert_int_equal(rig_stats(rig).reordered, late);
	rig_adds_up(rig);
}

static void
the_same_seed_gives_the_same_fates(void **state)
{
	const struct cable_settings s = { .delay_ns = 5 * MS,
		.jitter_ns = 2 * MS,
		.overtake = true,
		.loss_ppb = 50000000,
		.duplicate_ppb = 50000000,
		.corrupt_ppb = 50000000,
		.reorder_ppb = 50000000 };
	struct arrival *first = malloc(4000 * sizeof(*first));
	unsigned int n = 0;

	(void)state;
	for (int run = 0; run < 2; run++) {
		void *other = NULL;
		struct rig *rig;

		rig_set_up(&other);
		rig = other;
		rig_set(rig, s);
		rig_stream(rig, 2000, 60, 100 * NS_PER_US);
		if (run == 0) {
			n = rig->n;
			memcpy(first, rig->got, n * sizeof(*first));
		} else {
			assert_int_equal(rig->n, n);
			assert_memory_equal(
			    first, rig->got, n * sizeof(*first));
		}
		rig_tear_down(&other);
	}
	free(first);
}

/* ---- superframes ---- */

static struct frame
superframe(uint8_t *bytes, uint32_t payload)
{
	struct writer w = { .at = bytes, .end = bytes + 54 };
	struct eth eth = { .dst = { { 2, 0, 0, 0, 0, 1 } },
		.src = { { 2, 0, 0, 0, 0, 2 } },
		.type = ETH_IPV4 };
	struct ip4 ip = { .total_bytes = (uint16_t)(40 + payload),
		.ttl = 64,
		.protocol = IP_TCP,
		.src = 0x0a000001,
		.dst = 0x0a000002 };

	memset(bytes, 0, 54 + payload);
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	bytes[34 + 12] = 0x50; /* header of 20 bytes */
	return (struct frame){ .data = bytes,
		.len = 54 + payload,
		.head = 54 + payload,
		.flags = FRAME_CSUM | FRAME_TSO4,
		.csum_start = 34,
		.csum_offset = 16,
		.gso_bytes = 1460,
		.header_bytes = 54 };
}

static void
a_delay_keeps_superframes_whole(void **state)
{
	struct rig *rig = *state;
	uint8_t *bytes = malloc(FRAME_MAX_BYTES);
	struct frame frame = superframe(bytes, 44 * 1460);
	const struct sink_frame *f = &rig->b->frame[0];

	rig_set(rig, (struct cable_settings){ .delay_ns = MS });
	rig_send_frame(rig, &frame);
	rig_pass(rig, MS);
	assert_int_equal(rig->b->n, 1);
	assert_int_equal(f->len, frame.len);
	assert_int_equal(f->flags, FRAME_CSUM | FRAME_TSO4);
	assert_int_equal(f->gso_bytes, 1460);
	assert_memory_equal(f->data, bytes, frame.len);
	/* The guest at the other end was replaced by one that cannot. */
	rig_send_frame(rig, &frame);
	rig->b->port.accepts = 0;
	rig_pass(rig, MS);
	assert_int_equal(rig->b->n, 1 + 44);
	assert_int_equal(rig_stats(rig).left, 2);
	free(bytes);
}

static void
a_rate_charges_superframes_for_their_segments(void **state)
{
	struct rig *rig = *state;
	uint8_t *bytes = malloc(FRAME_MAX_BYTES);
	struct frame frame = superframe(bytes, 40 * 1460);

	/* fast enough to stay whole, at 1 Gbit/s with 24 bytes a frame */
	rig_set(rig,
	    (struct cable_settings){
		.rate_bps = 1000000000, .overhead_bytes = 24 });
	rig_send_frame(rig, &frame);
	rig_pass(rig, NS_PER_S);
	assert_int_equal(rig->n, 1);
	assert_int_equal(rig->got[0].at_ns, 40 * (1514 + 24) * 8);
	/* 10 Mbit/s: each segment leaves by itself */
	rig_set(rig, (struct cable_settings){ .rate_bps = 10000000 });
	rig_send_frame(rig, &frame);
	assert_int_equal(rig_stats(rig).queued, 39);
	rig_pass(rig, NS_PER_S);
	assert_int_equal(rig->n, 41);
	assert_int_equal(
	    rig->got[40].at_ns - rig->got[1].at_ns, 39 * 1514 * 800);
	free(bytes);
}

static void
chance_decides_about_each_segment(void **state)
{
	struct rig *rig = *state;
	uint8_t *bytes = malloc(FRAME_MAX_BYTES);
	struct frame frame = superframe(bytes, 40 * 1460);

	rig_set(rig, (struct cable_settings){ .lose = { 2, { 5, 9 } } });
	rig_send_frame(rig, &frame);
	rig_pass(rig, NS_PER_S);
	assert_int_equal(rig->n, 38);
	assert_int_equal(rig->a->port.out_frames, 40);
	assert_int_equal(rig->a->port.out_drops, 2);
	free(bytes);
}

/* ---- the ends ---- */

static void
a_link_that_goes_down_loses_what_is_on_its_way(void **state)
{
	struct rig *rig = *state;
	const struct node *node = cable_node(rig->cable, CABLE_A);

	rig_set(
	    rig, (struct cable_settings){ .delay_ns = MS, .rate_bps = 8000 });
	for (uint32_t i = 0; i < 5; i++)
		rig_send(rig, i, 1000);
	port_set_down(&rig->b->port, true);
	assert_false(rig->a->link); /* told at once */
	assert_int_equal(node->count[DROP_LINK_DOWN], 5);
	assert_int_equal(rig_send(rig, 9, 60).reason, DROP_LINK_DOWN);
	rig_adds_up(rig);
	port_set_down(&rig->b->port, false);
	assert_true(rig->a->link);
	rig_send(rig, 10, 1000);
	rig_pass(rig, 3 * NS_PER_S);
	assert_int_equal(rig->n, 1);
	assert_int_equal(rig->got[0].at_ns, NS_PER_S + MS); /* none before it */
	rig_adds_up(rig);
}

static void
a_pulled_cable_loses_what_is_on_its_way(void **state)
{
	struct rig *rig = *state;
	struct err err = { "" };
	const struct cable_settings s = { .delay_ns = MS };

	rig_set(rig, s);
	rig_send(rig, 1, 60);
	cable_cut(&rig->a->port);
	assert_null(rig->a->port.way);
	assert_null(cable_port(rig->cable, CABLE_A));
	assert_int_equal(
	    cable_node(rig->cable, CABLE_A)->count[DROP_NO_CABLE], 1);
	assert_int_equal(
	    cable_set(rig->cable, CABLE_A, &s, NULL, &err), -ENODEV);
	rig_adds_up(rig);
}

static void
pull(struct sink *sink, struct burst *burst)
{
	(void)burst;
	cable_cut(&sink->port);
}

static void
a_taker_may_pull_the_cable(void **state)
{
	struct rig *rig = *state;

	rig_set(rig, (struct cable_settings){ .delay_ns = MS });
	for (uint32_t i = 0; i < 100; i++)
		rig_send(rig, i, 60);
	rig->b->hook = pull;
	rig_pass(rig, 2 * MS);
	assert_int_equal(rig->b->n, BURST_MAX);
	assert_int_equal(cable_node(rig->cable, CABLE_A)->count[DROP_NO_CABLE],
	    100 - BURST_MAX);
	rig_adds_up(rig);
}

static void
freeing_a_cable_leaves_a_plain_one(void **state)
{
	struct rig *rig = *state;

	rig_set(rig, (struct cable_settings){ .delay_ns = MS });
	rig_send(rig, 1, 60);
	cable_free(rig->cable);
	rig->cable = NULL;
	assert_int_equal(rig_send(rig, 2, 60).reason, REASON_DELIVERED);
	rig_pass(rig, 2 * MS);
	assert_int_equal(rig->n, 1);
}

static void
memory_has_a_limit(void **state)
{
	struct rig *rig = *state;
	const struct node *node = cable_node(rig->cable, CABLE_A);
	unsigned int fit;

	rig_set(rig,
	    (struct cable_settings){
		.delay_ns = NS_PER_S, .memory_bytes = CABLE_MEMORY_MIN });
	for (uint32_t i = 0; i < 5000; i++)
		rig_send(rig, i, 1514);
	/* 2 KiB each */
	fit = CABLE_MEMORY_MIN / 2048;
	assert_int_equal(rig->verdicts[REASON_CABLE_HELD], fit);
	assert_int_equal(node->count[DROP_CABLE_MEMORY], 5000 - fit);
	rig_pass(rig, NS_PER_S + MS);
	assert_int_equal(rig->n, fit);
	rig_adds_up(rig);
	/* as much again, of another size */
	for (uint32_t i = 0; i < 5000; i++)
		assert_int_equal(
		    rig_send(rig, i, 100).reason, REASON_CABLE_HELD);
	/* and more once it is empty */
	rig_set(rig,
	    (struct cable_settings){
		.delay_ns = NS_PER_S, .memory_bytes = 2 * CABLE_MEMORY_MIN });
	rig_pass(rig, NS_PER_S + MS);
	rig->verdicts[REASON_CABLE_HELD] = 0;
	for (uint32_t i = 0; i < 5000; i++)
		rig_send(rig, i, 1514);
	assert_int_equal(rig->verdicts[REASON_CABLE_HELD], 2 * fit);
	rig_adds_up(rig);
}

static void
settings_that_cannot_be_are_refused(void **state)
{
	static const struct {
		struct cable_settings settings;
		const char *says;
	} rows[] = {
		{ { .jitter_ns = 1 }, "delay" },
		{ { .queue_bytes = 1000 }, "rate" },
		{ { .discipline = CABLE_CODEL }, "rate" },
		{ { .rate_bps = 1000, .ecn = true }, "codel" },
		{ { .reorder_by_ns = 5 }, "reorder" },
	};
	struct rig *rig = *state;

	for (unsigned int i = 0; i < 5; i++) {
		struct err err = { "" };

		assert_int_equal(cable_set(rig->cable, CABLE_A,
				     &rows[i].settings, NULL, &err),
		    -EINVAL);
		assert_non_null(strstr(err.text, rows[i].says));
		assert_null(rig->a->port.way);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_plain_cable_hands_over_at_once),
		TEST(a_cable_is_plain_again_when_the_last_frame_has_left),
		TEST(each_direction_has_its_own),
		TEST(a_delay_is_exact_and_limits_nothing),
		TEST(a_frame_that_is_held_is_judged_twice),
		TEST(a_shorter_delay_lets_nobody_overtake),
		TEST(jitter_has_the_spread_that_was_asked_for),
		TEST(jitter_is_as_alike_as_was_asked_for),
		TEST(jitter_reorders_only_where_it_may),
		TEST(jitter_follows_a_table),
		TEST(tables_that_are_none_are_refused),
		TEST(a_rate_is_kept_exactly),
		TEST(a_queue_refuses_what_is_beyond_its_limits),
		TEST(a_changed_rate_is_that_of_who_waits),
		TEST(an_idle_transmitter_saves_no_time_up),
		TEST(codel_drops_from_a_queue_that_stays),
		TEST(codel_marks_who_understands),
		TEST(who_waits_longer_than_the_mark_is_marked),
		TEST(loss_is_what_was_asked_for),
		TEST(bursts_of_loss_have_their_share_and_length),
		TEST(both_states_of_a_burst_lose),
		TEST(named_frames_are_lost_and_no_others),
		TEST(a_duplicate_follows_its_original),
		TEST(corruption_flips_one_bit_of_the_finished_frame),
		TEST(a_frame_held_back_is_overtaken),
		TEST(the_same_seed_gives_the_same_fates),
		TEST(a_delay_keeps_superframes_whole),
		TEST(a_rate_charges_superframes_for_their_segments),
		TEST(chance_decides_about_each_segment),
		TEST(a_link_that_goes_down_loses_what_is_on_its_way),
		TEST(a_pulled_cable_loses_what_is_on_its_way),
		TEST(a_taker_may_pull_the_cable),
		TEST(freeing_a_cable_leaves_a_plain_one),
		TEST(memory_has_a_limit),
		TEST(settings_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests_name("cable", tests, NULL, NULL);
}
