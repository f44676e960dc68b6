#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/checksum.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/tcp.h"
#include "pcap-tools/capture.h"

/* alice -- lan: takes what begins with 0xff for unwanted, and answers what
 * begins with 0xaa before it judges it. */
struct bench {
	struct loop *loop;
	struct node alice, lan;
	struct port a, b;
	struct counter *counter;
	unsigned int changes;
	bool free_at_change;
	struct err err;
};

static struct bench *running;

static void
take_lan(struct port *port, struct burst *burst)
{
	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *f = &burst->frame[i];

		if (f->data[0] == 0xaa) {
			uint8_t answer[60] = { 0xbb };
			struct burst out;

			burst_clear(&out);
			burst_add(&out, answer, sizeof(answer));
			port_send(port, &out);
		}
		node_judge(port->node, f,
		    f->data[0] == 0xff ? DROP_NOT_OURS : REASON_DELIVERED);
	}
}

static void
take_alice(struct port *port, struct burst *burst)
{
	node_judge_all(port->node, burst, REASON_DELIVERED);
}

static const struct port_ops ops_a = { .take = take_alice };
static const struct port_ops ops_b = { .take = take_lan };

static int
set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	node_init(&b->alice, "alice");
	node_init(&b->lan, "lan");
	port_init(&b->a, &ops_a, &b->alice, "alice.eth0");
	port_init(&b->b, &ops_b, &b->lan, "lan.alice.eth0");
	assert_int_equal(cable_join(&b->a, &b->b), 0);
	b->loop = loop_new(LOOP_VIRTUAL, &b->err);
	assert_non_null(b->loop);
	running = b;
	*state = b;
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;

	counter_free(b->counter);
	loop_free(b->loop);
	free(b);
	return 0;
}

static void
changed(void *arg)
{
	struct bench *b = arg;

	b->changes++;
	if (b->free_at_change) {
		counter_free(b->counter);
		b->counter = NULL;
	}
}

static void
count(struct bench *b, const char *filter, enum reason reason)
{
	b->counter =
	    counter_new(b->loop, &b->b, filter, reason, changed, b, &b->err);
	assert_string_equal(b->err.text, "");
	assert_non_null(b->counter);
}

static void
send_first(struct bench *b, unsigned int n, uint8_t first, size_t len)
{
	uint8_t data[2048] = { 0 };
	struct burst burst;

	data[0] = first;
	burst_clear(&burst);
	for (unsigned int i = 0; i < n; i++)
		burst_add(&burst, data, len);
	port_send(&b->a, &burst);
}

static void
all_frames_count_without_a_filter(void **state)
{
	struct bench *b = *state;

	count(b, NULL, REASON_NONE);
	send_first(b, 10, 0, 60);
	send_first(b, 5, 0xff, 60);
	assert_int_equal(counter_frames(b->counter), 15);
}

static void
filter_and_verdict_both_must_fit(void **state)
{
	static const struct {
		const char *filter;
		enum reason reason;
		uint64_t frames;
	} rows[] = {
		{ NULL, REASON_NONE, 9 },
		{ NULL, DROP_NOT_OURS, 5 },
		{ NULL, REASON_DELIVERED, 4 },
		{ NULL, DROP_TTL, 0 },
		{ "len > 60", REASON_NONE, 3 },
		{ "len > 60", DROP_NOT_OURS, 2 },
		{ "ether broadcast", REASON_NONE, 0 },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		count(b, rows[i].filter, rows[i].reason);
		send_first(b, 3, 0, 60);
		send_first(b, 1, 0, 61);
		send_first(b, 3, 0xff, 60);
		send_first(b, 2, 0xff, 1000);
		assert_int_equal(counter_frames(b->counter), rows[i].frames);
		counter_free(b->counter);
		b->counter = NULL;
	}
}

static void
newest_frames_are_kept_with_their_verdict(void **state)
{
	struct bench *b = *state;
	struct counter_frame kept[COUNTER_KEEP];

	count(b, NULL, REASON_NONE);
	assert_int_equal(counter_kept(b->counter, kept), 0);
	send_first(b, 20, 1, 60);
	send_first(b, 1, 0xff, 1000);
	send_first(b, 2, 3, 70);
	assert_int_equal(counter_kept(b->counter, kept), COUNTER_KEEP);
	for (unsigned int i = 0; i < COUNTER_KEEP; i++) {
		bool dropped = i == 5, last = i > 5;

		assert_int_equal(kept[i].data[0],
		    dropped    ? 0xff
			: last ? 3
			       : 1);
		assert_int_equal(kept[i].len, dropped ? 1000 : last ? 70 : 60);
		assert_int_equal(
		    kept[i].kept, dropped ? COUNTER_KEEP_BYTES : kept[i].len);
		assert_int_equal(
		    kept[i].reason, dropped ? DROP_NOT_OURS : REASON_DELIVERED);
		assert_string_equal(kept[i].node, "lan");
		assert_int_equal(kept[i].dir, DIR_IN);
	}
}

static void
kept_frames_are_in_the_order_of_sending(void **state)
{
	struct bench *b = *state;
	struct counter_frame kept[COUNTER_KEEP];

	/* The answers are judged before the questions. */
	count(b, NULL, REASON_NONE);
	send_first(b, 3, 0xaa, 60);
	assert_int_equal(counter_kept(b->counter, kept), 6);
	for (unsigned int i = 0; i < 6; i++) {
		assert_int_equal(kept[i].data[0], i < 3 ? 0xaa : 0xbb);
		assert_int_equal(kept[i].dir, i < 3 ? DIR_IN : DIR_OUT);
		assert_string_equal(kept[i].node, i < 3 ? "lan" : "alice");
	}
	/* Too old to be kept, all of the questions: the answers are newer. */
	send_first(b, 10, 0xaa, 60);
	assert_int_equal(counter_kept(b->counter, kept), COUNTER_KEEP);
	for (unsigned int i = 0; i < COUNTER_KEEP; i++)
		assert_int_equal(kept[i].data[0], 0xbb);
	assert_int_equal(counter_frames(b->counter), 26);
}

static void
change_is_told_once_per_round(void **state)
{
	struct bench *b = *state;

	count(b, "len == 60", REASON_NONE);
	send_first(b, 30, 0, 60);
	send_first(b, 30, 0, 60);
	assert_int_equal(b->changes, 0);
	loop_run(b->loop);
	assert_int_equal(b->changes, 1);
	send_first(b, 30, 0, 61);
	loop_run(b->loop);
	assert_int_equal(b->changes, 1);
	send_first(b, 1, 0, 60);
	loop_run(b->loop);
	assert_int_equal(b->changes, 2);
}

static void
counter_may_be_freed_by_its_change(void **state)
{
	struct bench *b = *state;

	count(b, NULL, REASON_NONE);
	b->free_at_change = true;
	send_first(b, 1, 0, 60);
	loop_run(b->loop);
	assert_null(b->counter);
	assert_null(b->b.watchers);
	send_first(b, 1, 0, 60);
	assert_int_equal(b->changes, 1);
}

static void
freed_counter_tells_no_change(void **state)
{
	struct bench *b = *state;

	count(b, NULL, REASON_NONE);
	send_first(b, 1, 0, 60);
	counter_free(b->counter);
	b->counter = NULL;
	loop_run(b->loop);
	assert_int_equal(b->changes, 0);
}

static void
superframe_counts_as_its_segments(void **state)
{
	static uint8_t data[4096];
	const struct eth eth = { .src = { { 2 } }, .type = ETH_IPV4 };
	const struct ip4 ip = { .total_bytes = 40 + 3000,
		.ttl = 64,
		.protocol = IP_TCP,
		.src = 0x0a000001,
		.dst = 0x0a000002 };
	const struct tcp tcp = { .sport = 7,
		.dport = 80,
		.flags = TCP_ACK | TCP_FIN,
		.data = data,
		.data_bytes = 3000 };
	struct bench *b = *state;
	struct writer w = writer(data, sizeof(data));
	struct counter *fin;
	struct burst burst;
	struct frame *f;

	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	tcp_write(&w, &tcp, ip.src, ip.dst);
	burst_clear(&burst);
	f = burst_add(&burst, data, (size_t)(w.at - data));
	f->flags = burst.flags = FRAME_CSUM | FRAME_TSO4;
	f->csum_start = ETH_HEADER_BYTES + IP4_HEADER_BYTES;
	f->csum_offset = TCP_OFF_CHECKSUM;
	f->gso_bytes = 1000;
	f->header_bytes = (uint16_t)(f->csum_start + TCP_HEADER_BYTES);
	count(b, "tcp port 80 and len == 1054", REASON_DELIVERED);
	fin = counter_new(b->loop, &b->b, "tcp[tcpflags] & tcp-fin != 0",
	    REASON_NONE, NULL, NULL, &b->err);
	assert_non_null(fin);
	port_send(&b->a, &burst);
	assert_int_equal(counter_frames(b->counter), 3);
	assert_int_equal(counter_frames(fin), 1);
	counter_free(fin);
}

static void
filter_that_is_none_is_refused_with_its_text(void **state)
{
	struct bench *b = *state;

	assert_null(counter_new(
	    b->loop, &b->b, "port 80 80", REASON_NONE, changed, b, &b->err));
	assert_non_null(strstr(b->err.text, "filter \"port 80 80\": "));
	assert_null(b->b.watchers);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(all_frames_count_without_a_filter),
		TEST(filter_and_verdict_both_must_fit),
		TEST(newest_frames_are_kept_with_their_verdict),
		TEST(kept_frames_are_in_the_order_of_sending),
		TEST(change_is_told_once_per_round),
		TEST(counter_may_be_freed_by_its_change),
		TEST(freed_counter_tells_no_change),
		TEST(superframe_counts_as_its_segments),
		TEST(filter_that_is_none_is_refused_with_its_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
