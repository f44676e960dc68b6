#include "switch/port.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/switch/sink.h"

static const struct port_kind *const kinds[] = { &port_tap, &port_vhost, NULL };

#define TRACE_MAX 32

/* Two sinks on one cable, and what their watchers were told, as text. */
struct pair {
	struct sink *a, *b;
	struct spy {
		struct watcher watcher;
		struct pair *pair;
		char name;
		bool ignores;
		uint32_t tokens;
	} spy[6];
	char trace[TRACE_MAX][16];
	unsigned int ntrace;
	struct verdict last;
};

static void
note(struct pair *pair, char what, char who, uint32_t token, char extra)
{
	assert_true(pair->ntrace < TRACE_MAX);
	snprintf(pair->trace[pair->ntrace++], sizeof(pair->trace[0]),
	    "%c%c%u%c", what, who, token, extra);
}

static uint32_t
spy_begin(struct watcher *watcher, const struct port *port, enum direction dir,
    const struct frame *frame)
{
	struct spy *spy = (struct spy *)watcher;

	(void)port;
	(void)frame;
	if (spy->ignores)
		return 0;
	note(spy->pair, '+', spy->name, ++spy->tokens,
	    dir == DIR_OUT ? 'o' : 'i');
	return spy->tokens;
}

static void
spy_end(struct watcher *watcher, uint32_t token, const struct frame *frame)
{
	struct spy *spy = (struct spy *)watcher;

	spy->pair->last = frame->verdict;
	note(spy->pair, '-', spy->name, token,
	    reason_is_drop((enum reason)frame->verdict.reason) ? 'd' : 'p');
}

static int
set_up(void **state)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	pair->a = sink_new("a");
	pair->b = sink_new("b");
	assert_int_equal(cable_join(&pair->a->port, &pair->b->port), 0);
	for (int i = 0; i < 6; i++) {
		pair->spy[i].watcher.begin = spy_begin;
		pair->spy[i].watcher.end = spy_end;
		pair->spy[i].pair = pair;
		pair->spy[i].name = (char)('A' + i);
	}
	*state = pair;
	return 0;
}

static int
tear_down(void **state)
{
	struct pair *pair = *state;

	sink_free(pair->a);
	sink_free(pair->b);
	free(pair);
	return 0;
}

static void
expect_trace(const struct pair *pair, const char *const *want)
{
	unsigned int n = 0;

	for (; want[n] != NULL; n++) {
		assert_true(n < pair->ntrace);
		assert_string_equal(pair->trace[n], want[n]);
	}
	assert_int_equal(pair->ntrace, n);
}

static struct verdict
send_len(struct sink *from, size_t len)
{
	static const uint8_t zeros[4096];
	struct burst burst;

	burst_clear(&burst);
	burst_add(&burst, zeros, len);
	port_send(&from->port, &burst);
	return burst.frame[0].verdict;
}

static void
both_ends_count_frames_and_bytes(void **state)
{
	struct pair *pair = *state;

	send_len(pair->a, 100);
	send_len(pair->a, 60);
	pair->b->reason = DROP_PORT_FULL;
	send_len(pair->a, 40);
	assert_int_equal(pair->a->port.out_frames, 3);
	assert_int_equal(pair->a->port.out_bytes, 200);
	assert_int_equal(pair->a->port.out_drops, 1);
	assert_int_equal(pair->b->port.in_frames, 3);
	assert_int_equal(pair->b->port.in_bytes, 200);
	assert_int_equal(pair->b->port.out_frames, 0);
	assert_int_equal(pair->b->node.count[REASON_DELIVERED], 2);
	assert_int_equal(pair->b->node.count[DROP_PORT_FULL], 1);
}

static void
verdict_comes_back_to_the_sender(void **state)
{
	struct pair *pair = *state;
	struct verdict v;

	pair->b->reason = DROP_TTL;
	v = send_len(pair->a, 60);
	assert_int_equal(v.reason, DROP_TTL);
	assert_ptr_equal(v.node, &pair->b->node);
}

static void
empty_burst_is_no_event(void **state)
{
	struct pair *pair = *state;
	struct burst burst;

	burst_clear(&burst);
	port_send(&pair->a->port, &burst);
	assert_int_equal(pair->b->takes, 0);
	cable_cut(&pair->a->port);
	port_send(&pair->a->port, &burst);
	assert_int_equal(node_total(&pair->a->node), 0);
}

static void
without_a_cable_the_sender_refuses(void **state)
{
	struct pair *pair = *state;
	struct verdict v;

	cable_cut(&pair->b->port);
	cable_cut(&pair->b->port); /* a second time is fine */
	v = send_len(pair->a, 60);
	assert_int_equal(v.reason, DROP_NO_CABLE);
	assert_ptr_equal(v.node, &pair->a->node);
	assert_int_equal(pair->a->node.count[DROP_NO_CABLE], 1);
	assert_int_equal(pair->a->port.out_frames, 1);
	assert_int_equal(pair->a->port.out_drops, 1);
	assert_int_equal(pair->b->port.in_frames, 0);
}

static void
either_end_can_take_the_link_down_and_both_are_told(void **state)
{
	struct pair *pair = *state;

	assert_true(pair->a->link && pair->b->link);
	for (int end = 0; end < 2; end++) {
		struct port *port = end ? &pair->a->port : &pair->b->port;

		port_set_down(port, true);
		assert_false(pair->a->link || pair->b->link);
		assert_false(port_is_up(&pair->a->port));
		assert_int_equal(send_len(pair->a, 60).reason, DROP_LINK_DOWN);
		port_set_down(port, false);
		assert_true(pair->a->link && pair->b->link);
		assert_int_equal(
		    send_len(pair->a, 60).reason, REASON_DELIVERED);
	}
	assert_int_equal(pair->a->link_changes, 5);
	/* no news when nothing changes */
	port_set_down(&pair->a->port, true);
	port_set_down(&pair->a->port, true);
	port_set_down(&pair->b->port, true);
	assert_int_equal(pair->b->link_changes, 6);
}

static void
port_with_a_cable_takes_no_second_one(void **state)
{
	struct pair *pair = *state;
	struct sink *c = sink_new("c");

	assert_int_equal(cable_join(&c->port, &pair->a->port), -EBUSY);
	assert_int_equal(cable_join(&pair->b->port, &c->port), -EBUSY);
	assert_null(c->port.peer);
	sink_free(c);
}

static void
frames_beyond_the_mtu_are_refused_the_rest_goes_on(void **state)
{
	static const uint16_t len[] = { 1514, 1515, 60, 4000, 1514 };
	static const uint8_t zeros[4096];
	struct pair *pair = *state;
	struct burst burst;

	pair->b->port.mtu_bytes = 1514;
	burst_clear(&burst);
	for (int i = 0; i < 5; i++)
		burst_add(&burst, zeros, len[i]);
	port_send(&pair->a->port, &burst);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(burst.frame[i].verdict.reason,
		    len[i] > 1514 ? DROP_TOO_LONG : REASON_DELIVERED);
		assert_ptr_equal(burst.frame[i].verdict.node, &pair->b->node);
	}
	assert_int_equal(pair->b->n, 3);
	assert_int_equal(pair->b->node.count[DROP_TOO_LONG], 2);
	assert_int_equal(pair->b->port.in_frames, 5);
	assert_int_equal(pair->a->port.out_drops, 2);
}

static void
segments_are_what_the_mtu_is_about(void **state)
{
	static const uint8_t zeros[4096];
	struct pair *pair = *state;
	struct burst burst;

	pair->b->port.mtu_bytes = 1514;
	burst_clear(&burst);
	for (int i = 0; i < 2; i++) {
		struct frame *frame = burst_add(&burst, zeros, 4000);

		frame->flags = burst.flags = FRAME_CSUM | FRAME_TSO4;
		frame->header_bytes = 66;
		frame->gso_bytes = (uint16_t)(1448 + i);
	}
	port_send(&pair->a->port, &burst);
	assert_int_equal(burst.frame[0].verdict.reason, REASON_DELIVERED);
	assert_int_equal(burst.frame[1].verdict.reason, DROP_TOO_LONG);
}

static void
frame_in_pieces_is_copied_from_anywhere(void **state)
{
	static const uint8_t bytes[] = "abcdefghijklmnopqrstuvwxyz";
	uint8_t head[5], one[1], rest[20], out[27];
	const struct iovec tail[] = {
		{ one, sizeof(one) },
		{ head, 0 },
		{ rest, sizeof(rest) },
	};
	struct frame frame = {
		.data = head, .head = 5, .len = 26, .tail = tail, .ntail = 3
	};

	(void)state;
	memcpy(head, bytes, 5);
	memcpy(one, bytes + 5, 1);
	memcpy(rest, bytes + 6, 20);
	for (size_t from = 0; from <= 26; from++)
		for (size_t n = 0; from + n <= 26; n++) {
			memset(out, '!', sizeof(out));
			frame_copy(out, &frame, from, n);
			assert_memory_equal(out, bytes + from, n);
			assert_int_equal(out[n], '!');
		}
}

/* ---- watchers ---- */

static void
watchers_of_both_ends_are_nested_around_the_take(void **state)
{
	static const char *const want[] = { "+A1o", "+A2o", "+B1i", "+B2i",
		"-B1p", "-B2p", "-A1p", "-A2p", NULL };
	static const uint8_t zeros[60];
	struct pair *pair = *state;
	struct burst burst;

	port_watch(&pair->a->port, &pair->spy[0].watcher);
	port_watch(&pair->b->port, &pair->spy[1].watcher);
	burst_clear(&burst);
	burst_add(&burst, zeros, sizeof(zeros));
	burst_add(&burst, zeros, sizeof(zeros));
	port_send(&pair->a->port, &burst);
	expect_trace(pair, want);
}

static void
reply(struct sink *sink, struct burst *burst)
{
	(void)burst;
	sink->hook = NULL;
	send_len(sink, 70);
}

static void
what_a_frame_causes_comes_between_its_two_calls(void **state)
{
	static const char *const want[] = { "+A1o", "+A2i", "-A2p", "-A1p",
		NULL };
	struct pair *pair = *state;

	port_watch(&pair->a->port, &pair->spy[0].watcher);
	pair->b->hook = reply;
	send_len(pair->a, 60);
	expect_trace(pair, want);
}

static void
any_number_may_watch_and_some_are_not_interested(void **state)
{
	static const char *const want[] = { "+F1o", "+E1o", "+C1o", "+B1o",
		"+A1o", "-A1d", "-B1d", "-C1d", "-E1d", "-F1d", NULL };
	struct pair *pair = *state;

	for (int i = 0; i < 6; i++)
		port_watch(&pair->a->port, &pair->spy[i].watcher);
	pair->spy[3].ignores = true;
	pair->b->reason = DROP_TTL;
	send_len(pair->a, 60);
	expect_trace(pair, want);
	assert_int_equal(pair->last.reason, DROP_TTL);
	for (int i = 0; i < 6; i++)
		port_unwatch(&pair->a->port, &pair->spy[i].watcher);
	port_unwatch(&pair->a->port, &pair->spy[0].watcher);
	assert_null(pair->a->port.watchers);
	send_len(pair->a, 60);
	expect_trace(pair, want);
}

static void
frames_that_cannot_leave_are_seen_too(void **state)
{
	static const char *const want[] = { "+A1o", "-A1d", NULL };
	struct pair *pair = *state;

	port_watch(&pair->a->port, &pair->spy[0].watcher);
	cable_cut(&pair->a->port);
	send_len(pair->a, 60);
	expect_trace(pair, want);
	assert_int_equal(pair->last.reason, DROP_NO_CABLE);
}

static void
detach_spies(struct sink *sink, struct burst *burst)
{
	struct pair *pair = sink->arg;

	(void)burst;
	port_unwatch(&pair->a->port, &pair->spy[1].watcher);
	port_unwatch(&pair->b->port, &pair->spy[2].watcher);
}

static void
watcher_detached_on_the_way_is_not_told_the_end(void **state)
{
	static const char *const want[] = { "+B1o", "+A1o", "+D1i", "+C1i",
		"-D1p", "-A1p", NULL };
	struct pair *pair = *state;

	port_watch(&pair->a->port, &pair->spy[0].watcher);
	port_watch(&pair->a->port, &pair->spy[1].watcher);
	port_watch(&pair->b->port, &pair->spy[2].watcher);
	port_watch(&pair->b->port, &pair->spy[3].watcher);
	pair->b->hook = detach_spies;
	pair->b->arg = pair;
	send_len(pair->a, 60);
	expect_trace(pair, want);
}

static void
cut_cable(struct sink *sink, struct burst *burst)
{
	(void)burst;
	cable_cut(&sink->port);
	assert_int_equal(send_len(sink, 60).reason, DROP_NO_CABLE);
}

static void
cable_cut_during_a_take_ends_well(void **state)
{
	static const char *const want[] = { "+A1o", "+B1i", "+B2o", "-B2d",
		"-B1p", "-A1p", NULL };
	struct pair *pair = *state;

	port_watch(&pair->a->port, &pair->spy[0].watcher);
	port_watch(&pair->b->port, &pair->spy[1].watcher);
	pair->b->hook = cut_cable;
	assert_int_equal(send_len(pair->a, 60).reason, REASON_DELIVERED);
	expect_trace(pair, want);
	assert_int_equal(pair->b->port.in_frames, 1);
	assert_int_equal(send_len(pair->a, 60).reason, DROP_NO_CABLE);
}

/* Sends back and forth for ever, if it is let. */
static void
echo(struct sink *sink, struct burst *burst)
{
	(void)burst;
	send_len(sink, 60);
}

static void
endless_answers_end_as_a_loop(void **state)
{
	struct pair *pair = *state;

	pair->a->hook = pair->b->hook = echo;
	assert_int_equal(send_len(pair->a, 60).reason, REASON_DELIVERED);
	assert_int_equal(pair->a->n + pair->b->n, PORT_NESTED_MAX);
	assert_int_equal(
	    pair->a->node.count[DROP_LOOP] + pair->b->node.count[DROP_LOOP], 1);
	/* and the next one begins anew */
	pair->b->hook = NULL;
	assert_int_equal(send_len(pair->a, 60).reason, REASON_DELIVERED);
	assert_int_equal(pair->a->n + pair->b->n, PORT_NESTED_MAX + 1);
}

/* ---- locators ---- */

static void
unknown_locators_are_refused_with_what_there_is(void **state)
{
	static const char *const rows[] = { "", "tap", "taps:lan0", ":x",
		"ta:lan0", "lan0" };
	struct node node;

	(void)state;
	node_init(&node, "n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = { "" };
		char want[256];

		assert_null(
		    port_open(kinds, NULL, &node, "n.p", rows[i], &err));
		snprintf(want, sizeof(want),
		    "n.p: \"%s\" does not name a port; use tap:NAME or ",
		    rows[i]);
		assert_memory_equal(err.text, want, strlen(want));
	}
	port_close(NULL);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(both_ends_count_frames_and_bytes),
		TEST(verdict_comes_back_to_the_sender),
		TEST(empty_burst_is_no_event),
		TEST(without_a_cable_the_sender_refuses),
		TEST(either_end_can_take_the_link_down_and_both_are_told),
		TEST(port_with_a_cable_takes_no_second_one),
		TEST(frames_beyond_the_mtu_are_refused_the_rest_goes_on),
		TEST(segments_are_what_the_mtu_is_about),
		TEST(frame_in_pieces_is_copied_from_anywhere),
		TEST(watchers_of_both_ends_are_nested_around_the_take),
		TEST(what_a_frame_causes_comes_between_its_two_calls),
		TEST(any_number_may_watch_and_some_are_not_interested),
		TEST(frames_that_cannot_leave_are_seen_too),
		TEST(watcher_detached_on_the_way_is_not_told_the_end),
		TEST(cable_cut_during_a_take_ends_well),
		TEST(endless_answers_end_as_a_loop),
		TEST(unknown_locators_are_refused_with_what_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
