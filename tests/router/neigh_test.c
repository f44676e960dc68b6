/*
 * The table of neighbours alone: what it asks, sends and loses is recorded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "router/neigh.h"

#define LINK(n) ((struct iface *)(uintptr_t)(0x1000 * (n)))
#define S       NS_PER_S

struct bench {
	struct loop *loop;
	struct neigh_table *table;
	unsigned int asked_all, asked_one, lost_failed, lost_queue, done;
	uint64_t asked_ns[32];
	char sent[256]; /* first bytes of frames, in order */
};

static const struct mac mac_a = { { 2, 0, 0, 0, 0, 1 } };
static const struct mac mac_b = { { 2, 0, 0, 0, 0, 2 } };

static void
ask(void *arg, struct iface *iface, const struct ip6_addr *ip,
    const struct mac *to)
{
	struct bench *b = arg;

	(void)iface;
	(void)ip;
	if (b->asked_all + b->asked_one < 32)
		b->asked_ns[b->asked_all + b->asked_one] = loop_now_ns(b->loop);
	if (to != NULL)
		b->asked_one++;
	else
		b->asked_all++;
}

static void
send_kept(
    void *arg, struct iface *iface, const struct mac *to, struct held *held)
{
	struct bench *b = arg;
	struct held_view view;
	size_t n = strlen(b->sent);

	(void)iface;
	assert_true(mac_equal(to, &mac_a));
	hold_view(&view, held);
	if (n + 1 < sizeof(b->sent))
		b->sent[n] = (char)view.frame.data[0];
}

static void
lost(void *arg, struct iface *iface, struct held *held, enum reason reason)
{
	struct bench *b = arg;

	(void)iface;
	assert_non_null(held);
	if (reason == DROP_ARP_FAILED)
		b->lost_failed++;
	else {
		assert_int_equal(reason, DROP_ARP_QUEUE);
		b->lost_queue++;
	}
}

static void
done(void *arg)
{
	struct bench *b = arg;

	b->done++;
}

static const struct neigh_calls calls = { REASON_ARP_QUEUED, DROP_ARP_FAILED,
	DROP_ARP_QUEUE, ask, send_kept, lost, done };

static const struct mac *
find_on(struct bench *b, struct iface *iface, uint32_t ip, uint64_t now_ns)
{
	struct ip6_addr key = ip6_of_ip4(ip);

	return neigh_find(b->table, iface, &key, now_ns);
}

static void
heard_on(struct bench *b, struct iface *iface, uint32_t ip,
    const struct mac *mac, bool make)
{
	struct ip6_addr key = ip6_of_ip4(ip);

	neigh_heard(b->table, iface, &key, mac,
	    NEIGH_CONFIRMED | (make ? NEIGH_MAKE : 0));
}

static void
told_on(
    struct bench *b, struct iface *iface, uint32_t ip, const struct mac *mac)
{
	struct ip6_addr key = ip6_of_ip4(ip);

	neigh_told(b->table, iface, &key, mac);
}

static int
setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->loop = loop_new(LOOP_VIRTUAL, NULL);
	b->table = neigh_new(b->loop, 8, 1, &calls, b);
	*state = b;
	return b->table == NULL;
}

static int
teardown(void **state)
{
	struct bench *b = *state;

	neigh_free(b->table);
	loop_free(b->loop);
	free(b);
	return 0;
}

static void
stop(void *arg)
{
	loop_stop(arg);
}

static void
wait_ns(struct bench *b, uint64_t ns)
{
	struct loop_timer timer;

	loop_timer_init(&timer, b->loop, stop, b->loop);
	loop_timer_set(&timer, loop_now_ns(b->loop) + ns);
	loop_run(b->loop);
}

/* A frame that begins with mark. */
static enum reason
keep_on(
    struct bench *b, struct iface *iface, uint32_t ip, char mark, size_t len)
{
	struct ip6_addr key = ip6_of_ip4(ip);
	uint8_t *bytes = calloc(1, len);
	struct verdict verdict = { .reason = REASON_ROUTED };
	struct frame frame = {
		.data = bytes, .len = (uint32_t)len, .head = (uint32_t)len
	};
	enum reason reason;

	bytes[0] = (uint8_t)mark;
	reason = neigh_keep(b->table, iface, &key, &frame, &verdict);
	free(bytes);
	return reason;
}

static enum reason
keep(struct bench *b, uint32_t ip, char mark)
{
	return keep_on(b, LINK(1), ip, mark, 60);
}

static const struct mac *
find(struct bench *b, uint32_t ip)
{
	return find_on(b, LINK(1), ip, loop_now_ns(b->loop));
}

static void
packets_wait_for_the_answer_and_leave_in_order(void **state)
{
	struct bench *b = *state;

	assert_null(find(b, 10));
	assert_int_equal(keep(b, 10, 'a'), REASON_ARP_QUEUED);
	assert_int_equal(keep(b, 10, 'b'), REASON_ARP_QUEUED);
	assert_int_equal(keep(b, 10, 'c'), REASON_ARP_QUEUED);
	assert_int_equal(b->asked_all, 1);
	heard_on(b, LINK(1), 10, &mac_a, false);
	assert_string_equal(b->sent, "abc");
	assert_true(mac_equal(find(b, 10), &mac_a));
	loop_run(b->loop);
	assert_int_equal(b->asked_all, 1); /* the timer is off */
}

static void
requests_are_a_second_apart_and_three(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < 5; i++)
		keep(b, 10, 'a');
	loop_run(b->loop);
	assert_int_equal(b->asked_all, NEIGH_TRIES);
	for (uint64_t i = 0; i < NEIGH_TRIES; i++)
		assert_int_equal(b->asked_ns[i], i * S);
	assert_int_equal(loop_now_ns(b->loop), NEIGH_TRIES * S);
	assert_int_equal(b->lost_failed, 5);
	assert_int_equal(b->done, NEIGH_TRIES);
	assert_null(find(b, 10));
}

static void
traffic_to_nobody_never_asks_more_than_once_a_second(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < 100; i++) {
		keep(b, 10, 'a');
		wait_ns(b, S / 10);
	}
	assert_in_range(b->asked_all, 10, 11);
	for (unsigned int i = 1; i < b->asked_all; i++)
		assert_true(b->asked_ns[i] - b->asked_ns[i - 1] >= S);
	loop_run(b->loop);
}

static void
an_entry_that_is_used_is_checked_when_it_is_old(void **state)
{
	struct bench *b = *state;

	heard_on(b, LINK(1), 10, &mac_a, true);
	wait_ns(b, 59 * S);
	assert_non_null(find(b, 10));
	assert_int_equal(b->asked_one, 0);
	wait_ns(b, 2 * S);
	assert_non_null(find(b, 10)); /* stays in use meanwhile */
	assert_int_equal(b->asked_one, 1);
	assert_int_equal(b->asked_all, 0);
	heard_on(b, LINK(1), 10, &mac_a, false);
	loop_run(b->loop);
	assert_int_equal(b->asked_one, 1);
}

static void
a_claim_holds_only_if_the_owner_does_not_answer(void **state)
{
	struct bench *b = *state;

	heard_on(b, LINK(1), 10, &mac_a, true);
	wait_ns(b, 2 * S);
	heard_on(b, LINK(1), 10, &mac_b, false);
	assert_true(mac_equal(find(b, 10), &mac_a));
	assert_int_equal(b->asked_one, 1);
	heard_on(b, LINK(1), 10, &mac_a, false); /* it answers */
	wait_ns(b, 2 * S);
	assert_true(mac_equal(find(b, 10), &mac_a));
	heard_on(b, LINK(1), 10, &mac_b, false);
	assert_int_equal(b->asked_one, 2);
	wait_ns(b, S + 1); /* it does not */
	assert_true(mac_equal(find(b, 10), &mac_b));
	loop_run(b->loop);
	assert_int_equal(b->asked_one, 2);
	assert_int_equal(b->asked_all, 0);
}

static void
a_storm_of_claims_costs_one_question_a_second(void **state)
{
	struct bench *b = *state;

	heard_on(b, LINK(1), 10, &mac_a, true);
	for (int i = 0; i < 1000; i++) {
		unsigned int asked = b->asked_one;

		heard_on(b, LINK(1), 10, &mac_b, false);
		assert_true(mac_equal(find(b, 10), &mac_a));
		if (b->asked_one > asked)
			heard_on(b, LINK(1), 10, &mac_a, false);
		wait_ns(b, S / 100);
	}
	assert_in_range(b->asked_one, 9, 10);
}

static void
who_the_router_gave_an_address_to_need_not_wait(void **state)
{
	struct bench *b = *state;

	heard_on(b, LINK(1), 10, &mac_a, true);
	told_on(b, LINK(1), 10, &mac_b);
	assert_true(mac_equal(find(b, 10), &mac_b));
	told_on(b, LINK(1), 11, &mac_b);
	assert_null(find(b, 11));
	assert_int_equal(b->asked_one + b->asked_all, 0);
}

/* Who only asks for the router does not push out those that are sent to. */
static void
entries_that_were_never_used_go_first(void **state)
{
	struct bench *b = *state;

	for (uint32_t ip = 1; ip <= 4; ip++) {
		heard_on(b, LINK(1), ip, &mac_a, true);
		assert_non_null(find(b, ip));
	}
	assert_int_equal(keep(b, 5, 'a'), REASON_ARP_QUEUED);
	heard_on(b, LINK(1), 5, &mac_a, false);
	for (uint32_t ip = 100; ip < 200; ip++)
		heard_on(b, LINK(1), ip, &mac_a, true);
	for (uint32_t ip = 1; ip <= 5; ip++)
		assert_non_null(find(b, ip));
}

static void
an_old_entry_that_does_not_answer_is_forgotten(void **state)
{
	struct bench *b = *state;

	heard_on(b, LINK(1), 10, &mac_a, true);
	wait_ns(b, 61 * S);
	find(b, 10);
	wait_ns(b, 2 * S + S / 2);
	assert_non_null(find(b, 10));
	wait_ns(b, S);
	assert_null(find(b, 10));
	assert_int_equal(b->asked_one, NEIGH_TRIES);
}

static void
an_entry_that_nobody_uses_costs_no_frames(void **state)
{
	struct bench *b = *state;

	heard_on(b, LINK(1), 10, &mac_a, true);
	loop_run(b->loop); /* ends: no timer is set */
	wait_ns(b, 10000 * S);
	assert_int_equal(b->asked_one + b->asked_all, 0);
}

static void
an_entry_is_made_only_if_asked_to(void **state)
{
	struct bench *b = *state;

	heard_on(b, LINK(1), 10, &mac_a, false);
	assert_null(find(b, 10));
	heard_on(b, LINK(1), 10, &mac_a, true);
	assert_non_null(find(b, 10));
	/* On one link it is not on another. */
	assert_null(find_on(b, LINK(2), 10, 0));
}

static void
a_full_queue_pushes_out_its_oldest(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < NEIGH_QUEUE_BLOCKS; i++)
		assert_int_equal(keep(b, 10, 'a'), REASON_ARP_QUEUED);
	assert_int_equal(b->lost_queue, 0);
	assert_int_equal(keep(b, 10, 'z'), REASON_ARP_QUEUED);
	assert_int_equal(b->lost_queue, 1);
	heard_on(b, LINK(1), 10, &mac_a, false);
	assert_int_equal(strlen(b->sent), NEIGH_QUEUE_BLOCKS);
	assert_int_equal(b->sent[NEIGH_QUEUE_BLOCKS - 1], 'z');
}

static void
long_frames_come_out_as_they_went_in(void **state)
{
	struct bench *b = *state;
	struct hold *hold = hold_new(100);
	static const uint32_t lengths[] = { 1, 60, 1514, 1960, 1970, 1980, 2048,
		4096, 9000, 65535, FRAME_MAX_BYTES };
	uint8_t *in = malloc(FRAME_MAX_BYTES), *out = malloc(FRAME_MAX_BYTES);

	(void)b;
	for (uint32_t i = 0; i < FRAME_MAX_BYTES; i++)
		in[i] = (uint8_t)(i * 7 + (i >> 8));
	for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
		struct verdict verdict = { .reason = REASON_ROUTED };
		struct frame frame = { .data = in,
			.len = lengths[k],
			.head = lengths[k],
			.flags = FRAME_CSUM,
			.csum_start = 34,
			.csum_offset = 6 };
		struct held *held = hold_keep(hold, &frame, &verdict);
		struct held_view view;

		assert_non_null(held);
		hold_view(&view, held);
		assert_int_equal(view.frame.len, lengths[k]);
		assert_int_equal(view.frame.csum_start, 34);
		assert_true(view.frame.head == lengths[k] ||
		    view.frame.head >= FRAME_HEAD_BYTES);
		frame_copy(out, &view.frame, 0, lengths[k]);
		assert_memory_equal(in, out, lengths[k]);
		hold_drop(hold, held);
	}
	free(in);
	free(out);
	hold_free(hold);
}

static void
a_full_pool_keeps_nothing_more_and_is_whole_again_later(void **state)
{
	struct hold *hold = hold_new(40);
	uint8_t *bytes = calloc(1, FRAME_MAX_BYTES);
	struct verdict verdict = { .reason = REASON_ROUTED };
	struct frame frame = {
		.data = bytes, .len = FRAME_MAX_BYTES, .head = FRAME_MAX_BYTES
	};

	(void)state;
	for (int i = 0; i < 10; i++) {
		struct held *held = hold_keep(hold, &frame, &verdict);

		assert_non_null(held);
		assert_null(hold_keep(hold, &frame, &verdict));
		hold_drop(hold, held);
	}
	free(bytes);
	hold_free(hold);
}

static void
a_full_table_forgets_the_one_not_used_for_longest(void **state)
{
	struct bench *b = *state;

	for (uint32_t ip = 1; ip <= 8; ip++)
		heard_on(b, LINK(1), ip, &mac_a, true);
	wait_ns(b, 2 * S);
	for (uint32_t ip = 1; ip <= 8; ip++)
		if (ip != 3)
			assert_non_null(find(b, ip));
	heard_on(b, LINK(1), 9, &mac_a, true);
	assert_null(find(b, 3));
	for (uint32_t ip = 1; ip <= 9; ip++)
		if (ip != 3)
			assert_non_null(find(b, ip));
}

static void
a_scan_takes_no_more_than_half_the_table(void **state)
{
	struct bench *b = *state;

	for (uint32_t ip = 1; ip <= 4; ip++)
		heard_on(b, LINK(1), ip, &mac_a, true);
	for (uint32_t ip = 100; ip < 104; ip++)
		assert_int_equal(keep(b, ip, 'a'), REASON_ARP_QUEUED);
	for (uint32_t ip = 104; ip < 200; ip++)
		assert_int_equal(keep(b, ip, 'a'), DROP_ARP_QUEUE);
	for (uint32_t ip = 1; ip <= 4; ip++)
		assert_non_null(find(b, ip));
	loop_run(b->loop);
	assert_int_equal(b->lost_failed, 4);
	assert_int_equal(keep(b, 200, 'a'), REASON_ARP_QUEUED);
	loop_run(b->loop);
}

static void
a_link_that_went_down_is_forgotten_alone(void **state)
{
	struct bench *b = *state;

	heard_on(b, LINK(1), 1, &mac_a, true);
	heard_on(b, LINK(2), 1, &mac_a, true);
	keep(b, 10, 'a');
	neigh_forget(b->table, LINK(1));
	assert_null(find(b, 1));
	assert_int_equal(b->lost_failed, 1);
	assert_non_null(find_on(b, LINK(2), 1, 0));
	loop_run(b->loop);
	assert_int_equal(b->asked_all, 1);
}

static void
what_is_kept_at_the_end_is_freed(void **state)
{
	struct bench *b = *state;

	for (uint32_t ip = 1; ip < 4; ip++)
		keep_on(b, LINK(1), ip, 'a', 9000);
	/* teardown frees the table with its timers set */
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(packets_wait_for_the_answer_and_leave_in_order),
		T(requests_are_a_second_apart_and_three),
		T(traffic_to_nobody_never_asks_more_than_once_a_second),
		T(an_entry_that_is_used_is_checked_when_it_is_old),
		T(a_claim_holds_only_if_the_owner_does_not_answer),
		T(a_storm_of_claims_costs_one_question_a_second),
		T(who_the_router_gave_an_address_to_need_not_wait),
		T(entries_that_were_never_used_go_first),
		T(an_old_entry_that_does_not_answer_is_forgotten),
		T(an_entry_that_nobody_uses_costs_no_frames),
		T(an_entry_is_made_only_if_asked_to),
		T(a_full_queue_pushes_out_its_oldest),
		T(long_frames_come_out_as_they_went_in),
		T(a_full_pool_keeps_nothing_more_and_is_whole_again_later),
		T(a_full_table_forgets_the_one_not_used_for_longest),
		T(a_scan_takes_no_more_than_half_the_table),
		T(a_link_that_went_down_is_forgotten_alone),
		T(what_is_kept_at_the_end_is_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
