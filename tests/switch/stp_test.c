#include "switch/stp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "switch/stp_state.h"
#include "tests/switch/stp_net.h"

static struct stp_options
rstp(void)
{
	struct stp_options o;

	stp_options_init(&o);
	return o;
}

static struct stp_options
stp(void)
{
	struct stp_options o = rstp();

	o.mode = STP_MODE_STP;
	return o;
}

static void
ring(struct net *net, unsigned int n, const struct stp_options *options)
{
	for (unsigned int i = 0; i < n; i++)
		net_add_bridge(net, options);
	for (unsigned int i = 0; i < n; i++)
		net_cable(net, i, (i + 1) % n);
}

static void
assert_faster(uint64_t took_ns, uint64_t limit_ns)
{
	if (took_ns >= limit_ns)
		fail_msg("took %.6f s, not under %.6f s", (double)took_ns / 1e9,
		    (double)limit_ns / 1e9);
}

static void
the_better_bridge_becomes_root(void **state)
{
	struct stp_options worse = rstp(), better = rstp();
	struct net *net = net_new();

	(void)state;
	better.priority = 4096;
	net_add_bridge(net, &worse);
	net_add_bridge(net, &better);
	net_cable(net, 0, 1);
	net_run(net, 10 * NET_S);
	assert_int_equal(
	    net_tree_view(net, 0, 0).root, net_tree_view(net, 1, 0).bridge);
	assert_int_equal(net_tree_view(net, 0, 0).cost, STP_COST);
	assert_int_equal(net_tree_view(net, 0, 0).root_port, 1);
	assert_int_equal(net_tree_view(net, 1, 0).root_port, 0);
	assert_int_equal(net_port(net, 0, 1, 0).role, STP_ROOT);
	assert_int_equal(net_port(net, 1, 1, 0).role, STP_DESIGNATED);
	assert_int_equal(net_port(net, 0, 1, 0).state, STP_FORWARDING);
	net_free(net);
}

static void
two_bridges_agree_without_waiting(void **state)
{
	const struct stp_options o = rstp();
	struct net *net = net_new();

	(void)state;
	ring(net, 2, &o);
	assert_faster(net_run_until_connected(net, 0, 60 * NET_S), 10 * NET_MS);
	net_free(net);
}

static void
a_ring_blocks_one_port_and_connects_at_once(void **state)
{
	const struct stp_options o = rstp();

	(void)state;
	for (unsigned int n = 3; n <= 7; n++) {
		struct net *net = net_new();

		ring(net, n, &o);
		assert_faster(
		    net_run_until_connected(net, 0, 60 * NET_S), 100 * NET_MS);
		net_run(net, 10 * NET_S);
		assert_true(net_is_connected(net, 0));
		assert_int_equal(net_count(net, 0, STP_ALTERNATE), 1);
		assert_int_equal(net_count(net, 0, STP_ROOT), n - 1);
		assert_int_equal(net_count(net, 0, STP_DESIGNATED), n);
		net_free(net);
	}
}

static void
a_ring_survives_the_cut_of_each_link(void **state)
{
	const struct stp_options o = rstp();

	(void)state;
	for (unsigned int n = 3; n <= 7; n++) {
		struct net *net = net_new();

		ring(net, n, &o);
		net_run(net, 10 * NET_S);
		for (unsigned int l = 0; l < n; l++) {
			net_set_up(net, l, false);
			assert_faster(
			    net_run_until_connected(net, 0, 60 * NET_S),
			    100 * NET_MS);
			net_run(net, 10 * NET_S);
			net_set_up(net, l, true);
			assert_faster(
			    net_run_until_connected(net, 0, 60 * NET_S),
			    100 * NET_MS);
			net_run(net, 10 * NET_S);
			assert_int_equal(net_count(net, 0, STP_ALTERNATE), 1);
		}
		net_free(net);
	}
}

/* 0 - 2 - 4 ...
 * |   |   |
 * 1 - 3 - 5 ... */
static void
a_ladder_survives_the_cut_of_each_link(void **state)
{
	const struct stp_options o = rstp();
	struct net *net = net_new();

	(void)state;
	for (unsigned int i = 0; i < 10; i++)
		net_add_bridge(net, &o);
	for (unsigned int i = 0; i < 10; i += 2) {
		net_cable(net, i, i + 1);
		if (i == 0)
			continue;
		net_cable(net, i - 2, i);
		net_cable(net, i - 1, i + 1);
	}
	net_run(net, 10 * NET_S);
	assert_int_equal(net_count(net, 0, STP_ALTERNATE), net->nlans - 9);
	for (unsigned int l = 0; l < net->nlans; l++) {
		net_set_up(net, l, false);
		assert_faster(
		    net_run_until_connected(net, 0, 60 * NET_S), NET_S);
		net_run(net, 10 * NET_S);
		net_set_up(net, l, true);
		net_run(net, 10 * NET_S);
		assert_true(net_is_connected(net, 0));
	}
	net_free(net);
}

/* The information about a root that is gone goes round until it is too old:
 * no loop opens, and it comes to an end. */
static void
a_dead_root_is_forgotten(void **state)
{
	const struct stp_options o = rstp();

	(void)state;
	for (unsigned int n = 3; n <= 8; n++) {
		struct net *net = net_new();

		ring(net, n, &o);
		/* a ring behind the root too */
		net_cable(net, 1, n - 1);
		net_run(net, 10 * NET_S);
		net_set_bridge_up(net, 0, false);
		assert_faster(
		    net_run_until_connected(net, 0, 90 * NET_S), 30 * NET_S);
		net_run(net, 60 * NET_S);
		for (unsigned int i = 1; i < n; i++)
			assert_int_equal(net_tree_view(net, i, 0).root,
			    net_tree_view(net, 1, 0).bridge);
		net_free(net);
	}
}

static void
a_root_that_falls_silent_is_missed_after_three_hellos(void **state)
{
	const struct stp_options o = rstp();
	struct net *net = net_new();

	(void)state;
	ring(net, 3, &o);
	net_run(net, 10 * NET_S);
	/* it forwards on, of course */
	net->count_loops = true;
	net->bridge[0].dead = true;
	/* its last hello was 2 s ago at most */
	net_run(net, 3900 * NET_MS);
	assert_int_equal(
	    net_tree_view(net, 1, 0).root, net_tree_view(net, 0, 0).bridge);
	net_run(net, 4 * NET_S);
	assert_int_equal(
	    net_tree_view(net, 1, 0).root, net_tree_view(net, 1, 0).bridge);
	assert_int_equal(
	    net_tree_view(net, 2, 0).root, net_tree_view(net, 1, 0).bridge);
	net_free(net);
}

static void
stp_waits_for_two_forward_delays(void **state)
{
	struct stp_options o = stp();
	struct net *net = net_new();
	uint64_t took;

	(void)state;
	o.forward_delay_s = 4;
	o.max_age_s = 6;
	ring(net, 3, &o);
	took = net_run_until_connected(net, 0, 120 * NET_S);
	assert_true(took >= 8 * NET_S);
	assert_faster(took, 15 * NET_S);
	net_run(net, 30 * NET_S);
	assert_int_equal(net_count(net, 0, STP_ALTERNATE), 1);
	net_set_up(net, 0, false);
	took = net_run_until_connected(net, 0, 120 * NET_S);
	assert_true(took >= 8 * NET_S);
	assert_faster(took, 20 * NET_S);
	net_free(net);
}

static void
an_stp_neighbour_is_spoken_to_in_stp(void **state)
{
	const struct stp_options old = stp(), new = rstp();
	struct net *net = net_new();

	(void)state;
	net_add_bridge(net, &new);
	net_add_bridge(net, &old);
	net_add_bridge(net, &new);
	net->bridge[1].legacy = true;
	for (unsigned int i = 0; i < 3; i++)
		net_cable(net, i, (i + 1) % 3);
	assert_int_not_equal(
	    net_run_until_connected(net, 0, 120 * NET_S), STP_NEVER);
	net_run(net, 60 * NET_S);
	assert_true(net_is_connected(net, 0));
	assert_false(net_port(net, 0, 1, 0).rstp);
	assert_false(net_port(net, 2, 1, 0).rstp);
	assert_true(net_port(net, 0, 2, 0).rstp);
	assert_true(net_port(net, 2, 2, 0).rstp);
	for (unsigned int l = 0; l < 3; l++) {
		net_set_up(net, l, false);
		net_run(net, 120 * NET_S);
		assert_true(net_is_connected(net, 0));
		net_set_up(net, l, true);
		net_run(net, 120 * NET_S);
		assert_true(net_is_connected(net, 0));
	}
	net_free(net);
}

static void
a_neighbour_that_learned_rstp_is_found_by_asking(void **state)
{
	const struct stp_options new = rstp();
	struct stp_options old = stp();
	struct net *net = net_new();

	(void)state;
	net_add_bridge(net, &new);
	net_add_bridge(net, &old);
	net_cable(net, 0, 1);
	net_run(net, 60 * NET_S);
	assert_false(net_port(net, 0, 1, 0).rstp);
	assert_int_equal(
	    stp_set_options(net->bridge[1].stp, &new, net->now_ns), 0);
	stp_check_protocol(net->bridge[0].stp, 1, net->now_ns);
	net_run(net, 10 * NET_S);
	assert_true(net_port(net, 0, 1, 0).rstp);
	assert_true(net_port(net, 1, 1, 0).rstp);
	net_free(net);
}

static void
a_bridge_without_ports_is_the_root_by_its_new_priority(void **state)
{
	struct stp_options o = rstp();
	struct stp_tree_view view;
	struct net *net = net_new();

	(void)state;
	net_add_bridge(net, &o);
	o.priority = 4096;
	assert_int_equal(
	    stp_set_options(net->bridge[0].stp, &o, net->now_ns), 0);
	view = net_tree_view(net, 0, 0);
	assert_int_equal(view.root >> 48, 4096);
	assert_true(view.root == view.bridge);
	net_free(net);
}

/* A bridge with one port in a LAN of its own, sent to by hand. */
struct lone {
	struct net *net;
	struct net_bridge *bridge;
};

static struct lone
lone(const struct stp_port_options *port)
{
	const struct stp_options o = rstp();
	struct lone l = { net_new(), NULL };
	unsigned int lan = net_add_lan(l.net);

	net_add_bridge(l.net, &o);
	l.bridge = &l.net->bridge[0];
	/* nobody hears it, and it does not hear itself */
	l.net->lan[lan].deaf = true;
	net_plug(l.net, lan, 0, port);
	return l;
}

static enum reason
hear(struct lone *l, uint16_t priority, uint8_t flags)
{
	const struct bpdu bpdu = {
		.type = BPDU_TYPE_RST,
		.version = BPDU_RSTP,
		.flags = flags,
		.root = (uint64_t)priority << 48 | 0x020000009999,
		.bridge = (uint64_t)priority << 48 | 0x020000009999,
		.port = 0x8007,
		.max_age = 20 * BPDU_SECOND,
		.hello = 2 * BPDU_SECOND,
		.forward_delay = 15 * BPDU_SECOND,
	};

	return stp_receive(l->bridge->stp, 1, &bpdu, l->net->now_ns);
}

static void
a_port_that_nobody_answers_is_an_edge_after_3_s(void **state)
{
	struct stp_port_options o;
	struct lone l;

	(void)state;
	stp_port_options_init(&o);
	l = lone(&o);
	net_run(l.net, 2900 * NET_MS);
	assert_int_equal(net_port(l.net, 0, 1, 0).state, STP_DISCARDING);
	net_run(l.net, 200 * NET_MS);
	assert_true(net_port(l.net, 0, 1, 0).edge);
	assert_int_equal(net_port(l.net, 0, 1, 0).state, STP_FORWARDING);
	/* no change of the topology */
	assert_int_equal(net_tree_view(l.net, 0, 0).changes, 0);
	net_free(l.net);

	o.edge = STP_EDGE_NO;
	l = lone(&o);
	net_run(l.net, 10 * NET_S);
	assert_false(net_port(l.net, 0, 1, 0).edge);
	net_run(l.net, 60 * NET_S);
	assert_int_equal(net_port(l.net, 0, 1, 0).state, STP_FORWARDING);
	assert_int_equal(net_tree_view(l.net, 0, 0).changes, 1);
	net_free(l.net);
}

static void
an_edge_forwards_at_once_until_a_bridge_speaks(void **state)
{
	struct stp_port_options o;
	struct lone l;

	(void)state;
	stp_port_options_init(&o);
	o.edge = STP_EDGE_YES;
	l = lone(&o);
	assert_int_equal(net_port(l.net, 0, 1, 0).state, STP_FORWARDING);
	assert_int_equal(hear(&l, 4096, BPDU_ROLE_DESIGNATED | BPDU_PROPOSAL),
	    REASON_DELIVERED);
	assert_false(net_port(l.net, 0, 1, 0).edge);
	assert_int_equal(net_port(l.net, 0, 1, 0).role, STP_ROOT);
	/* its link goes: an edge again, by option */
	net_set_up(l.net, 0, false);
	assert_int_equal(net_port(l.net, 0, 1, 0).state, STP_DISCARDING);
	net_set_up(l.net, 0, true);
	assert_int_equal(net_port(l.net, 0, 1, 0).state, STP_FORWARDING);
	net_free(l.net);
}

static void
the_bpdu_guard_closes_the_port_until_its_link_goes(void **state)
{
	struct stp_port_options o;
	struct lone l;

	(void)state;
	stp_port_options_init(&o);
	o.edge = STP_EDGE_YES;
	o.bpdu_guard = true;
	l = lone(&o);
	assert_int_equal(
	    hear(&l, 61440, BPDU_ROLE_DESIGNATED), DROP_BPDU_GUARD);
	assert_true(net_port(l.net, 0, 1, 0).guarded);
	assert_int_equal(net_port(l.net, 0, 1, 0).role, STP_DISABLED);
	assert_int_equal(net_port(l.net, 0, 1, 0).state, STP_DISCARDING);
	net_run(l.net, 300 * NET_S);
	assert_int_equal(hear(&l, 4096, 0), DROP_BPDU_GUARD);
	assert_int_equal(net_port(l.net, 0, 1, 0).state, STP_DISCARDING);
	net_set_up(l.net, 0, false);
	net_set_up(l.net, 0, true);
	assert_int_equal(net_port(l.net, 0, 1, 0).state, STP_FORWARDING);
	/* or until it is told not to care */
	assert_int_equal(hear(&l, 4096, 0), DROP_BPDU_GUARD);
	o.bpdu_guard = false;
	stp_set_port_options(l.bridge->stp, 1, &o, l.net->now_ns);
	assert_false(net_port(l.net, 0, 1, 0).guarded);
	net_free(l.net);
}

static void
the_root_guard_keeps_a_rogue_root_out(void **state)
{
	struct stp_port_options o;
	struct lone l;

	(void)state;
	stp_port_options_init(&o);
	o.root_guard = true;
	l = lone(&o);
	hear(&l, 0, BPDU_ROLE_DESIGNATED | BPDU_PROPOSAL);
	assert_int_equal(net_port(l.net, 0, 1, 0).role, STP_ALTERNATE);
	assert_int_equal(net_port(l.net, 0, 1, 0).state, STP_DISCARDING);
	assert_int_equal(net_tree_view(l.net, 0, 0).root_port, 0);
	/* it gives up: the port is ours again, and opens without an agreement
	 * after max-age at most */
	net_run(l.net, 30 * NET_S);
	assert_int_equal(net_port(l.net, 0, 1, 0).role, STP_DESIGNATED);
	assert_int_equal(net_port(l.net, 0, 1, 0).state, STP_FORWARDING);
	/* taken away, it is followed */
	o.root_guard = false;
	stp_set_port_options(l.bridge->stp, 1, &o, l.net->now_ns);
	hear(&l, 0, BPDU_ROLE_DESIGNATED);
	assert_int_equal(net_port(l.net, 0, 1, 0).role, STP_ROOT);
	net_free(l.net);
}

static void
information_lives_for_three_hellos(void **state)
{
	struct stp_port_options o;
	struct lone l;

	(void)state;
	stp_port_options_init(&o);
	l = lone(&o);
	hear(&l, 4096, BPDU_ROLE_DESIGNATED);
	net_run(l.net, 4 * NET_S);
	hear(&l, 4096, BPDU_ROLE_DESIGNATED);
	net_run(l.net, 5990 * NET_MS);
	assert_int_equal(net_port(l.net, 0, 1, 0).role, STP_ROOT);
	net_run(l.net, 20 * NET_MS);
	assert_int_equal(net_port(l.net, 0, 1, 0).role, STP_DESIGNATED);
	net_free(l.net);
}

static void
no_more_is_sent_than_the_hold_count_allows(void **state)
{
	struct stp_port_options o;
	unsigned int sent;
	struct lone l;

	(void)state;
	stp_port_options_init(&o);
	l = lone(&o);
	net_run(l.net, 60 * NET_S);
	sent = l.bridge->port[1].sent;
	for (unsigned int i = 0; i < 50; i++) {
		/* each time another root: there is always news */
		hear(&l, (uint16_t)(i % 2 * 4096 + 4096),
		    BPDU_ROLE_DESIGNATED | BPDU_PROPOSAL);
		net_run(l.net, NET_MS);
	}
	assert_in_range(l.bridge->port[1].sent - sent, 2, STP_HOLD);
	net_free(l.net);
}

static void
a_disputed_port_does_not_forward(void **state)
{
	struct stp_port_options o;
	struct lone l;

	(void)state;
	stp_port_options_init(&o);
	l = lone(&o);
	for (unsigned int i = 0; i < 60; i++) {
		hear(&l, 61440, BPDU_ROLE_DESIGNATED | BPDU_LEARNING);
		net_run(l.net, NET_S);
		assert_int_not_equal(
		    net_port(l.net, 0, 1, 0).state, STP_FORWARDING);
	}
	assert_int_equal(net_port(l.net, 0, 1, 0).role, STP_DESIGNATED);
	net_free(l.net);
}

/* 0 hears nothing of 1: without the dispute it would open. */
static void
a_link_of_one_direction_makes_no_loop(void **state)
{
	struct stp_options o = rstp(), worst = rstp();
	struct net *net = net_new();
	unsigned int lan;

	(void)state;
	worst.priority = 61440;
	net_add_bridge(net, &worst);
	net_add_bridge(net, &o);
	lan = net_cable(net, 1, 0);
	net_cable(net, 0, 1);
	net_run(net, 60 * NET_S);
	net->lan[lan].deaf = true;
	net_run(net, 120 * NET_S);
	assert_true(net_is_connected(net, 0));
	net_free(net);
}

static void
a_port_looped_to_itself_never_forwards(void **state)
{
	struct stp_port_options o;
	struct net *net = net_new();
	struct stp_options bridge[2] = { rstp(), stp() };

	(void)state;
	stp_port_options_init(&o);
	net->count_loops = true;
	for (unsigned int i = 0; i < 2; i++) {
		unsigned int lan = net_add_lan(net);

		bridge[i].max_age_s = 6;
		bridge[i].forward_delay_s = 4;
		net_add_bridge(net, &bridge[i]);
		net_plug(net, lan, i, &o);
		for (unsigned int t = 0; t < 1000; t++) {
			net_run(net, 100 * NET_MS);
			assert_int_equal(
			    net_port(net, i, 1, 0).state, STP_DISCARDING);
		}
	}
	net_free(net);
}

static void
two_ports_cabled_together_are_designated_and_backup(void **state)
{
	const struct stp_options o = rstp();
	struct net *net = net_new();

	(void)state;
	net_add_bridge(net, &o);
	net_cable(net, 0, 0);
	net_run(net, 60 * NET_S);
	assert_int_equal(net_port(net, 0, 1, 0).role, STP_DESIGNATED);
	assert_int_equal(net_port(net, 0, 2, 0).role, STP_BACKUP);
	net_free(net);
}

static void
the_cheaper_way_and_the_lower_port_win(void **state)
{
	struct stp_port_options dear, cheap;
	const struct stp_options o = rstp();
	struct net *net = net_new();

	(void)state;
	stp_port_options_init(&dear);
	stp_port_options_init(&cheap);
	net_add_bridge(net, &o);
	net_add_bridge(net, &o);
	net_cable(net, 0, 1);
	net_cable(net, 0, 1);
	net_run(net, 10 * NET_S);
	assert_int_equal(net_tree_view(net, 1, 0).root_port, 1);
	cheap.cost = 100;
	stp_set_port_options(net->bridge[1].stp, 2, &cheap, net->now_ns);
	net_run(net, 10 * NET_S);
	assert_int_equal(net_tree_view(net, 1, 0).root_port, 2);
	assert_int_equal(net_tree_view(net, 1, 0).cost, 100);
	assert_int_equal(net_port(net, 1, 1, 0).role, STP_ALTERNATE);
	/* the neighbour's port priority decides between equals */
	stp_set_port_options(net->bridge[1].stp, 2, &dear, net->now_ns);
	dear.priority = 64;
	stp_set_port_options(net->bridge[0].stp, 2, &dear, net->now_ns);
	net_run(net, 10 * NET_S);
	assert_int_equal(net_tree_view(net, 1, 0).root_port, 2);
	assert_true(net_is_connected(net, 0));
	net_free(net);
}

static void
a_new_priority_moves_the_root(void **state)
{
	struct stp_options o = rstp();
	struct net *net = net_new();

	(void)state;
	ring(net, 4, &o);
	net_run(net, 10 * NET_S);
	o.priority = 0;
	assert_int_equal(
	    stp_set_options(net->bridge[2].stp, &o, net->now_ns), 0);
	net_run(net, 10 * NET_S);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(net_tree_view(net, i, 0).root,
		    net_tree_view(net, 2, 0).bridge);
	assert_true(net_is_connected(net, 0));
	net_free(net);
}

static void
a_change_is_told_to_all_and_flushes(void **state)
{
	const struct stp_options o = rstp();
	struct net *net = net_new();
	unsigned int before;

	(void)state;
	ring(net, 5, &o);
	net_run(net, 10 * NET_S);
	before =
	    net->bridge[3].port[1].flushes + net->bridge[3].port[2].flushes;
	/* a link at the other side */
	net_set_up(net, 0, false);
	net_run(net, NET_S);
	assert_true(
	    net->bridge[3].port[1].flushes + net->bridge[3].port[2].flushes >
	    before);
	assert_true(net_tree_view(net, 3, 0).changed_ns > 10 * NET_S - NET_MS);
	net_free(net);
}

static void
the_tcn_guard_keeps_changes_to_itself(void **state)
{
	const struct stp_options o = rstp();
	struct stp_port_options guard, plain;
	struct net *net = net_new();
	unsigned int lan, before;

	(void)state;
	stp_port_options_init(&plain);
	stp_port_options_init(&guard);
	guard.tcn_guard = true;
	/* 0 - 1 - 2, 1 does not believe 2 */
	for (unsigned int i = 0; i < 3; i++)
		net_add_bridge(net, &o);
	net_cable(net, 0, 1);
	lan = net_add_lan(net);
	net_plug(net, lan, 1, &guard);
	net_plug(net, lan, 2, &plain);
	lan = net_cable(net, 2, 2);
	net_run(net, 20 * NET_S);
	before =
	    net->bridge[0].port[1].flushes + net->bridge[1].port[1].flushes;
	net_set_up(net, lan, false);
	net_run(net, 10 * NET_S);
	net_set_up(net, lan, true);
	net_run(net, 60 * NET_S);
	assert_true(net_tree_view(net, 2, 0).changes > 0);
	assert_int_equal(
	    net->bridge[0].port[1].flushes + net->bridge[1].port[1].flushes,
	    before);
	net_free(net);
}

static void
a_lan_of_many_elects_one_designated_port(void **state)
{
	const struct stp_options o = rstp();
	struct stp_port_options shared;
	struct net *net = net_new();
	unsigned int lan = net_add_lan(net);

	(void)state;
	stp_port_options_init(&shared);
	shared.point_to_point = false;
	for (unsigned int i = 0; i < 3; i++) {
		net_add_bridge(net, &o);
		net_plug(net, lan, i, &shared);
	}
	net_plug(net, lan, 0, &shared);
	assert_int_not_equal(
	    net_run_until_connected(net, 0, 120 * NET_S), STP_NEVER);
	net_run(net, 60 * NET_S);
	assert_true(net_is_connected(net, 0));
	assert_int_equal(net_count(net, 0, STP_DESIGNATED), 1);
	assert_int_equal(net_count(net, 0, STP_BACKUP), 1);
	assert_int_equal(net_count(net, 0, STP_ROOT), 2);
	net_free(net);
}

static void
a_port_comes_and_goes(void **state)
{
	const struct stp_options o = rstp();
	struct stp_port_options port;
	struct net *net = net_new();

	(void)state;
	stp_port_options_init(&port);
	ring(net, 3, &o);
	net_run(net, 10 * NET_S);
	assert_int_equal(
	    stp_add_port(net->bridge[0].stp, 1, &port, net->now_ns), -EEXIST);
	assert_int_equal(
	    stp_add_port(net->bridge[0].stp, 0, &port, net->now_ns), -ENOSPC);
	assert_int_equal(stp_add_port(net->bridge[0].stp, STP_PORTS_MAX + 1,
			     &port, net->now_ns),
	    -ENOSPC);
	stp_remove_port(net->bridge[2].stp, net_tree_view(net, 2, 0).root_port,
	    net->now_ns);
	net_run(net, 20 * NET_S);
	/* the other one leads to the root now */
	assert_int_equal(
	    net_tree_view(net, 2, 0).root, net_tree_view(net, 0, 0).bridge);
	assert_int_equal(net_tree_view(net, 2, 0).cost, 2 * STP_COST);
	net_free(net);
}

static void
a_bridge_at_rest_says_hello_and_no_more(void **state)
{
	const struct stp_options o = rstp();
	struct net *net = net_new();
	uint64_t before;

	(void)state;
	ring(net, 3, &o);
	net_run(net, 30 * NET_S);
	before = net->bpdus;
	net_run(net, 60 * NET_S);
	/* three designated ports, every two seconds */
	assert_in_range(net->bpdus - before, 3 * 29, 3 * 31);
	net_free(net);
}

/* The examples of 802.1Q-2018, table 13-2. */
static void
the_digest_of_a_region_is_as_in_the_standard(void **state)
{
	static const char *const digests[] = {
		"ac36177f50283cd4b83821d8ab26de62", /* all of the CIST */
		"e13a80f11ed0856acd4ee3476941c73b", /* all of MSTID 1 */
		"9d145c267dbe9fb5d893441be3ba08ce", /* MSTID v % 32 + 1 */
	};
	struct stp_options o = rstp();
	struct bpdu_region region;

	(void)state;
	o.nmstis = 32;
	for (unsigned int i = 0; i < 32; i++)
		o.msti[i].id = (uint16_t)(i + 1);
	snprintf(o.region, sizeof(o.region), "%s",
	    "thirty-two bytes are a full name");
	for (size_t i = 0; i < 3; i++) {
		char text[33] = "";

		for (unsigned int v = 1; v <= 4094; v++)
			o.tree[v] = i == 0 ? 0
			    : i == 1       ? 1
					   : (uint8_t)(v % 32 + 1);
		stp_region_make(&region, &o);
		for (size_t k = 0; k < 16; k++)
			snprintf(text + 2 * k, 3, "%02x", region.digest[k]);
		assert_string_equal(text, digests[i]);
		assert_memory_equal(region.name, o.region, 32);
	}
}

static void
options_that_cannot_work_are_refused(void **state)
{
	static const struct {
		size_t at;
		unsigned int value;
		const char *says;
	} bad[] = {
		{ offsetof(struct stp_options, priority), 1, "4096" },
		{ offsetof(struct stp_options, hello_s), 0, "hello" },
		{ offsetof(struct stp_options, hello_s), 10, "max-age" },
		{ offsetof(struct stp_options, max_age_s), 5, "max-age" },
		{ offsetof(struct stp_options, max_age_s), 40, "outlives" },
		{ offsetof(struct stp_options, forward_delay_s), 31,
		    "forward-delay" },
		{ offsetof(struct stp_options, hold), 0, "hold" },
		{ offsetof(struct stp_options, max_hops), 41, "hops" },
	};
	struct stp_options o = rstp();
	struct err err = { "" };

	(void)state;
	assert_int_equal(stp_options_check(&o, "lan", &err), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		o = rstp();
		if (bad[i].at == offsetof(struct stp_options, priority))
			o.priority = (uint16_t)bad[i].value;
		else
			((uint8_t *)&o)[bad[i].at] = (uint8_t)bad[i].value;
		err_clear(&err);
		assert_int_equal(stp_options_check(&o, "lan", &err), -EINVAL);
		assert_non_null(strstr(err.text, bad[i].says));
		assert_ptr_equal(strstr(err.text, "lan: "), err.text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_better_bridge_becomes_root),
		cmocka_unit_test(two_bridges_agree_without_waiting),
		cmocka_unit_test(a_ring_blocks_one_port_and_connects_at_once),
		cmocka_unit_test(a_ring_survives_the_cut_of_each_link),
		cmocka_unit_test(a_ladder_survives_the_cut_of_each_link),
		cmocka_unit_test(a_dead_root_is_forgotten),
		cmocka_unit_test(
		    a_root_that_falls_silent_is_missed_after_three_hellos),
		cmocka_unit_test(stp_waits_for_two_forward_delays),
		cmocka_unit_test(an_stp_neighbour_is_spoken_to_in_stp),
		cmocka_unit_test(
		    a_neighbour_that_learned_rstp_is_found_by_asking),
		cmocka_unit_test(
		    a_bridge_without_ports_is_the_root_by_its_new_priority),
		cmocka_unit_test(
		    a_port_that_nobody_answers_is_an_edge_after_3_s),
		cmocka_unit_test(
		    an_edge_forwards_at_once_until_a_bridge_speaks),
		cmocka_unit_test(
		    the_bpdu_guard_closes_the_port_until_its_link_goes),
		cmocka_unit_test(the_root_guard_keeps_a_rogue_root_out),
		cmocka_unit_test(information_lives_for_three_hellos),
		cmocka_unit_test(no_more_is_sent_than_the_hold_count_allows),
		cmocka_unit_test(a_disputed_port_does_not_forward),
		cmocka_unit_test(a_link_of_one_direction_makes_no_loop),
		cmocka_unit_test(a_port_looped_to_itself_never_forwards),
		cmocka_unit_test(
		    two_ports_cabled_together_are_designated_and_backup),
		cmocka_unit_test(the_cheaper_way_and_the_lower_port_win),
		cmocka_unit_test(a_new_priority_moves_the_root),
		cmocka_unit_test(a_change_is_told_to_all_and_flushes),
		cmocka_unit_test(the_tcn_guard_keeps_changes_to_itself),
		cmocka_unit_test(a_lan_of_many_elects_one_designated_port),
		cmocka_unit_test(a_port_comes_and_goes),
		cmocka_unit_test(a_bridge_at_rest_says_hello_and_no_more),
		cmocka_unit_test(the_digest_of_a_region_is_as_in_the_standard),
		cmocka_unit_test(options_that_cannot_work_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
