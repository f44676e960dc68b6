#include "switch/lacp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define S     UINT64_C(1000000000)
#define MS    UINT64_C(1000000)
#define LINKS 4
#define QUEUE 4096

/* Two systems and the cables between them; a PDU takes no time. */
struct end {
	struct lacp *lacp;
	struct net *net;
	int which;
	bool collecting[LINKS], distributing[LINKS];
	unsigned int sent[LINKS], markers;
	struct slow last;
};

struct net {
	struct end end[2];
	uint64_t now_ns;
	bool cut[LINKS];  /* the link is down at both ends */
	bool deaf[LINKS]; /* PDUs are lost, the link is up */
	struct {
		int to;
		unsigned int link;
		struct slow pdu;
	} queue[QUEUE];
	unsigned int head, tail;
};

static void
send(void *arg, unsigned int link, const struct slow *pdu)
{
	struct end *end = arg;
	struct net *net = end->net;

	end->sent[link]++;
	end->markers += pdu->kind == SLOW_MARKER;
	end->last = *pdu;
	if (net->cut[link] || net->deaf[link])
		return;
	assert_true(net->tail - net->head < QUEUE);
	net->queue[net->tail % QUEUE].to = !end->which;
	net->queue[net->tail % QUEUE].link = link;
	net->queue[net->tail++ % QUEUE].pdu = *pdu;
}

static void
mux(void *arg, unsigned int link, bool collecting, bool distributing)
{
	struct end *end = arg;

	assert_true(collecting || !distributing);
	end->collecting[link] = collecting;
	end->distributing[link] = distributing;
}

static const struct lacp_calls calls = { send, mux };

static struct lacp_options
options_of(int which)
{
	return (struct lacp_options){
		.system = { { 0x52, 0, 0, 0, 0, (uint8_t)(which + 1) } },
		.key = (uint16_t)(7 + which),
		.active = true,
		.fast = true,
	};
}

static void
join(
    struct net *net, const struct lacp_options *a, const struct lacp_options *b)
{
	const struct lacp_options *options[2] = { a, b };

	memset(net, 0, sizeof(*net));
	for (int i = 0; i < 2; i++) {
		net->end[i].net = net;
		net->end[i].which = i;
		net->end[i].lacp = lacp_new(options[i], &calls, &net->end[i]);
		assert_non_null(net->end[i].lacp);
		for (unsigned int k = 0; k < LINKS; k++)
			lacp_add(net->end[i].lacp, k, 0);
	}
}

static void
part(struct net *net)
{
	for (int i = 0; i < 2; i++)
		lacp_free(net->end[i].lacp);
}

static void
set_link(struct net *net, unsigned int link, bool up)
{
	net->cut[link] = !up;
	for (int i = 0; i < 2; i++)
		lacp_link(net->end[i].lacp, link, up);
}

static void
links_up(struct net *net)
{
	for (unsigned int k = 0; k < LINKS; k++)
		set_link(net, k, true);
}

static void
settle(struct net *net)
{
	for (int i = 0; i < 2; i++)
		(void)lacp_run(net->end[i].lacp, net->now_ns);
	while (net->head != net->tail) {
		unsigned int at = net->head++ % QUEUE;
		struct end *end = &net->end[net->queue[at].to];

		lacp_receive(end->lacp, net->queue[at].link,
		    &net->queue[at].pdu, net->now_ns);
		(void)lacp_run(end->lacp, net->now_ns);
	}
}

/* Lets ns pass, from one due time to the next. */
static void
pass(struct net *net, uint64_t ns)
{
	uint64_t end_ns = net->now_ns + ns;

	for (;;) {
		uint64_t a, b, next;

		settle(net);
		a = lacp_run(net->end[0].lacp, net->now_ns);
		b = lacp_run(net->end[1].lacp, net->now_ns);
		next = a < b ? a : b;
		assert_true(next > net->now_ns);
		if (next > end_ns)
			break;
		net->now_ns = next;
	}
	net->now_ns = end_ns;
	settle(net);
}

static unsigned int
carrying(const struct end *end)
{
	unsigned int n = 0;

	for (unsigned int k = 0; k < LINKS; k++)
		n += end->collecting[k] && end->distributing[k];
	return n;
}

static const char *
why(const struct net *net, int which, unsigned int link)
{
	struct lacp_row row;

	assert_true(lacp_row(net->end[which].lacp, link, &row));
	return row.why;
}

static void
two_systems_agree_on_all_links_in_two_seconds(void **state)
{
	struct lacp_options a = options_of(0), b = options_of(1);
	struct lacp_row row;
	struct net net;

	(void)state;
	join(&net, &a, &b);
	links_up(&net);
	pass(&net, 1900 * MS);
	assert_int_equal(carrying(&net.end[0]) + carrying(&net.end[1]), 0);
	assert_string_equal(why(&net, 0, 0), "waits for more links");
	pass(&net, 200 * MS);
	assert_int_equal(carrying(&net.end[0]), LINKS);
	assert_int_equal(carrying(&net.end[1]), LINKS);
	assert_true(lacp_row(net.end[0].lacp, 2, &row));
	assert_string_equal(row.state, "distributing");
	assert_string_equal(row.receive, "current");
	assert_int_equal(row.partner.key, 8);
	assert_int_equal(row.partner.port, 3);
	assert_true(mac_equal(&row.partner.system, &b.system));
	assert_false(lacp_row(net.end[0].lacp, LINKS, &row));
	part(&net);
}

static void
a_passive_system_answers_but_two_are_silent(void **state)
{
	struct lacp_options a = options_of(0), b = options_of(1);
	struct net net;

	(void)state;
	b.active = false;
	join(&net, &a, &b);
	links_up(&net);
	pass(&net, 3 * S);
	assert_int_equal(carrying(&net.end[0]), LINKS);
	assert_int_equal(carrying(&net.end[1]), LINKS);
	part(&net);

	a.active = false;
	join(&net, &a, &b);
	links_up(&net);
	pass(&net, 100 * S);
	assert_int_equal(net.end[0].sent[0] + net.end[1].sent[0], 0);
	assert_int_equal(carrying(&net.end[0]), 0);
	assert_string_equal(why(&net, 0, 0), "no partner answers");
	part(&net);
}

static void
a_link_that_is_cut_stops_at_once_and_comes_back(void **state)
{
	struct lacp_options a = options_of(0), b = options_of(1);
	struct net net;

	(void)state;
	join(&net, &a, &b);
	links_up(&net);
	pass(&net, 3 * S);
	set_link(&net, 1, false);
	settle(&net);
	assert_int_equal(carrying(&net.end[0]), LINKS - 1);
	assert_int_equal(carrying(&net.end[1]), LINKS - 1);
	assert_false(net.end[0].collecting[1]);
	assert_string_equal(why(&net, 0, 1), "the link is down");
	set_link(&net, 1, true);
	pass(&net, 2100 * MS);
	assert_int_equal(carrying(&net.end[0]), LINKS);
	part(&net);
}

static void
a_silent_partner_is_given_up_after_three_periods(void **state)
{
	struct lacp_options a = options_of(0), b = options_of(1);
	struct net net;

	(void)state;
	for (int slow = 0; slow < 2; slow++) {
		a.fast = b.fast = !slow;
		join(&net, &a, &b);
		links_up(&net);
		pass(&net, 3 * S);
		assert_int_equal(carrying(&net.end[0]), LINKS);
		net.deaf[0] = true;
		pass(&net, slow ? 58 * S : 1900 * MS);
		assert_int_equal(carrying(&net.end[0]), LINKS);
		pass(&net, slow ? 33 * S : 1200 * MS);
		assert_int_equal(carrying(&net.end[0]), LINKS - 1);
		assert_int_equal(carrying(&net.end[1]), LINKS - 1);
		pass(&net, 3 * S);
		assert_string_equal(why(&net, 0, 0), "no partner answers");
		net.deaf[0] = false;
		pass(&net, 34 * S);
		assert_int_equal(carrying(&net.end[0]), LINKS);
		part(&net);
	}
}

static void
the_partner_says_how_often_we_speak(void **state)
{
	struct lacp_options a = options_of(0), b = options_of(1);
	unsigned int before[2];
	struct net net;

	(void)state;
	b.fast = false;
	join(&net, &a, &b);
	links_up(&net);
	pass(&net, 5 * S);
	for (int i = 0; i < 2; i++)
		before[i] = net.end[i].sent[0];
	pass(&net, 60 * S);
	assert_int_equal(net.end[0].sent[0] - before[0], 2);
	assert_int_equal(net.end[1].sent[0] - before[1], 60);
	part(&net);
}

static void
no_more_than_three_pdus_leave_in_a_second(void **state)
{
	struct lacp_options a = options_of(0);
	struct slow pdu = { .kind = SLOW_LACP,
		.lacp.actor = { .system = { { 0x52, 9 } },
		    .key = 1,
		    .port = 1,
		    .state = LACP_ACTIVE | LACP_AGGREGATION } };
	struct net net;

	(void)state;
	join(&net, &a, &a);
	net.deaf[0] = true;
	lacp_link(net.end[0].lacp, 0, true);
	for (int i = 0; i < 1000; i++) {
		/* each is another partner, and does not know us */
		pdu.lacp.actor.key = (uint16_t)(i + 1);
		lacp_receive(net.end[0].lacp, 0, &pdu, net.now_ns);
		(void)lacp_run(net.end[0].lacp, net.now_ns);
		net.now_ns += 10 * MS;
	}
	assert_in_range(net.end[0].sent[0], 10, 33);
	part(&net);
}

static void
a_link_to_another_system_stays_out(void **state)
{
	struct lacp_options a = options_of(0), b = options_of(1);
	struct slow pdu = { .kind = SLOW_LACP,
		.lacp.actor = { .system = { { 0x52, 9 } },
		    .key = 1,
		    .port = 1,
		    .state = LACP_ACTIVE | LACP_AGGREGATION | LACP_SYNC } };
	struct net net;

	(void)state;
	join(&net, &a, &b);
	/* though it is there from the beginning */
	net.deaf[0] = true;
	links_up(&net);
	for (int i = 0; i < 10; i++) {
		pdu.lacp.partner = net.end[0].last.lacp.actor;
		pdu.lacp.partner.port = 1;
		lacp_receive(net.end[0].lacp, 0, &pdu, net.now_ns);
		pass(&net, 500 * MS);
	}
	assert_int_equal(carrying(&net.end[0]), LINKS - 1);
	assert_false(net.end[0].collecting[0]);
	assert_string_equal(why(&net, 0, 0), "leads to another partner or key");
	part(&net);
}

static void
below_min_links_nothing_is_carried_by_either_side(void **state)
{
	struct lacp_options a = options_of(0), b = options_of(1);
	struct net net;

	(void)state;
	a.min_links = 3;
	join(&net, &a, &b);
	links_up(&net);
	pass(&net, 3 * S);
	assert_int_equal(carrying(&net.end[1]), LINKS);
	set_link(&net, 0, false);
	pass(&net, S);
	assert_int_equal(carrying(&net.end[1]), 3);
	set_link(&net, 1, false);
	pass(&net, S);
	assert_int_equal(carrying(&net.end[0]), 0);
	assert_int_equal(carrying(&net.end[1]), 0);
	assert_string_equal(why(&net, 0, 2), "fewer links than min-links");
	set_link(&net, 1, true);
	pass(&net, 3 * S);
	assert_int_equal(carrying(&net.end[0]), 3);
	assert_int_equal(carrying(&net.end[1]), 3);
	part(&net);
}

static void
links_beyond_max_links_stand_by_in_the_better_systems_order(void **state)
{
	struct lacp_options a = options_of(0), b = options_of(1);
	struct net net;

	(void)state;
	/* a asks for two; b, whose priority is better, prefers link 3 */
	a.max_links = 2;
	b.system_priority = 1;
	join(&net, &a, &b);
	lacp_remove(net.end[1].lacp, 3, 0);
	lacp_add(net.end[1].lacp, 3, 100);
	links_up(&net);
	pass(&net, 3 * S);
	assert_int_equal(carrying(&net.end[0]), 2);
	assert_true(net.end[0].distributing[3] && net.end[0].distributing[0]);
	assert_string_equal(why(&net, 0, 1), "stands by beyond max-links");
	assert_int_equal(carrying(&net.end[1]), 2);
	set_link(&net, 3, false);
	pass(&net, 3 * S);
	assert_true(net.end[0].distributing[0] && net.end[0].distributing[1]);
	assert_int_equal(carrying(&net.end[1]), 2);
	part(&net);
}

static void
one_link_carries_without_a_partner_if_it_may(void **state)
{
	struct lacp_options a = options_of(0);
	struct lacp_row row;
	struct net net;

	(void)state;
	a.individual = true;
	join(&net, &a, &a);
	for (unsigned int k = 0; k < LINKS; k++)
		net.deaf[k] = true;
	for (unsigned int k = 1; k < LINKS; k++)
		lacp_link(net.end[0].lacp, k, true);
	pass(&net, 6 * S);
	assert_int_equal(carrying(&net.end[0]), 1);
	assert_true(net.end[0].distributing[1]);
	assert_true(lacp_row(net.end[0].lacp, 1, &row));
	assert_string_equal(row.state, "individual");
	assert_string_equal(why(&net, 0, 2), "another link carries for it");
	/* one that was there first stays */
	lacp_link(net.end[0].lacp, 0, true);
	pass(&net, 6 * S);
	assert_true(net.end[0].distributing[1]);
	lacp_link(net.end[0].lacp, 1, false);
	pass(&net, 6 * S);
	assert_int_equal(carrying(&net.end[0]), 1);
	assert_true(net.end[0].distributing[0]);
	part(&net);
}

static void
a_partner_that_changes_its_key_is_selected_anew(void **state)
{
	struct lacp_options a = options_of(0), b = options_of(1);
	struct net net;

	(void)state;
	join(&net, &a, &b);
	links_up(&net);
	pass(&net, 3 * S);
	lacp_free(net.end[1].lacp);
	b.key = 99;
	net.end[1].lacp = lacp_new(&b, &calls, &net.end[1]);
	assert_non_null(net.end[1].lacp);
	for (unsigned int k = 0; k < LINKS; k++) {
		lacp_add(net.end[1].lacp, k, 0);
		lacp_link(net.end[1].lacp, k, true);
	}
	settle(&net);
	assert_int_equal(carrying(&net.end[0]), 0);
	pass(&net, 3 * S);
	assert_int_equal(carrying(&net.end[0]), LINKS);
	part(&net);
}

static void
a_partner_out_of_sync_for_a_minute_churns(void **state)
{
	struct lacp_options a = options_of(0);
	struct slow pdu = { .kind = SLOW_LACP,
		.lacp.actor = { .system = { { 0x52, 9 } },
		    .key = 1,
		    .port = 1,
		    .state = LACP_ACTIVE | LACP_AGGREGATION } };
	struct lacp_row row;
	struct net net;

	(void)state;
	join(&net, &a, &a);
	net.deaf[0] = true;
	lacp_link(net.end[0].lacp, 0, true);
	for (int i = 0; i < 62; i++) {
		assert_true(lacp_row(net.end[0].lacp, 0, &row));
		assert_int_equal(row.churning, i >= 60);
		lacp_receive(net.end[0].lacp, 0, &pdu, net.now_ns);
		pass(&net, S);
	}
	assert_string_equal(why(&net, 0, 0), "the partner is not in sync");
	part(&net);
}

static void
a_partner_that_moved_is_forgotten_on_the_link_that_is_down(void **state)
{
	struct lacp_options a = options_of(0), b = options_of(1);
	struct lacp_row row;
	struct slow pdu;
	struct net net;

	(void)state;
	join(&net, &a, &b);
	set_link(&net, 0, true);
	pass(&net, 3 * S);
	set_link(&net, 0, false);
	settle(&net);
	assert_true(lacp_row(net.end[0].lacp, 0, &row));
	assert_int_equal(row.partner.key, 8);
	pdu = net.end[1].last;
	lacp_link(net.end[0].lacp, 1, true);
	lacp_receive(net.end[0].lacp, 1, &pdu, net.now_ns);
	assert_true(lacp_row(net.end[0].lacp, 0, &row));
	assert_int_equal(row.partner.key, 0);
	part(&net);
}

static void
a_marker_comes_back_as_a_response(void **state)
{
	struct lacp_options a = options_of(0);
	struct slow marker = { .kind = SLOW_MARKER,
		.marker = { .port = 5,
		    .system = { { 0x52, 9 } },
		    .transaction = 0x01020304 } };
	struct net net;

	(void)state;
	join(&net, &a, &a);
	net.deaf[0] = true;
	lacp_link(net.end[0].lacp, 0, true);
	lacp_receive(net.end[0].lacp, 0, &marker, 0);
	assert_int_equal(net.end[0].markers, 1);
	assert_true(net.end[0].last.marker.response);
	assert_int_equal(net.end[0].last.marker.transaction, 0x01020304);
	assert_int_equal(net.end[0].last.marker.port, 5);
	/* a response is not answered */
	lacp_receive(net.end[0].lacp, 0, &net.end[0].last, 0);
	assert_int_equal(net.end[0].markers, 1);
	part(&net);
}

static void
a_link_that_is_removed_carries_no_more(void **state)
{
	struct lacp_options a = options_of(0), b = options_of(1);
	struct net net;

	(void)state;
	join(&net, &a, &b);
	links_up(&net);
	pass(&net, 3 * S);
	lacp_remove(net.end[0].lacp, 0, net.now_ns);
	assert_int_equal(carrying(&net.end[0]), LINKS - 1);
	lacp_add(net.end[0].lacp, 0, 0);
	lacp_link(net.end[0].lacp, 0, true);
	pass(&net, 3 * S);
	assert_int_equal(carrying(&net.end[0]), LINKS);
	part(&net);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_systems_agree_on_all_links_in_two_seconds),
		cmocka_unit_test(a_passive_system_answers_but_two_are_silent),
		cmocka_unit_test(
		    a_link_that_is_cut_stops_at_once_and_comes_back),
		cmocka_unit_test(
		    a_silent_partner_is_given_up_after_three_periods),
		cmocka_unit_test(the_partner_says_how_often_we_speak),
		cmocka_unit_test(no_more_than_three_pdus_leave_in_a_second),
		cmocka_unit_test(a_link_to_another_system_stays_out),
		cmocka_unit_test(
		    below_min_links_nothing_is_carried_by_either_side),
		cmocka_unit_test(
		    links_beyond_max_links_stand_by_in_the_better_systems_order),
		cmocka_unit_test(one_link_carries_without_a_partner_if_it_may),
		cmocka_unit_test(
		    a_partner_that_changes_its_key_is_selected_anew),
		cmocka_unit_test(a_partner_out_of_sync_for_a_minute_churns),
		cmocka_unit_test(
		    a_partner_that_moved_is_forgotten_on_the_link_that_is_down),
		cmocka_unit_test(a_marker_comes_back_as_a_response),
		cmocka_unit_test(a_link_that_is_removed_carries_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
