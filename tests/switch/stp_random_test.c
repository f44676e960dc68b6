/*
 * Random networks of bridges whose links come and go at random: no
 * loop outlives the flight of a BPDU (of STP: none at any instant), and when
 * they are left alone they become one tree.
 *
 * STP_SEED and STP_ROUNDS (environment) run others, or more.
 */
#include "switch/stp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/switch/stp_net.h"

#define ROUNDS 60
#define FLAPS  40

static unsigned long
number(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoul(text, NULL, 10) : otherwise;
}

#define DELAY_MAX_NS (3 * NET_MS)

/* Every third net has cables without a delay.  A loop may live for as long as
 * what ends it is on its way. */
static void
random_delays(struct net *net)
{
	bool none = net_random(net, 3) == 0;

	for (unsigned int l = 0; l < net->nlans; l++)
		net->lan[l].delay_ns =
		    none ? 0 : 1000 + net_random(net, DELAY_MAX_NS - 1000);
	net->tolerated_ns = net->slack_ns + (none ? 0 : DELAY_MAX_NS);
}

static void
random_cables(struct net *net, unsigned int extra)
{
	/* connected at first, then more */
	for (unsigned int i = 1; i < net->nbridges; i++)
		net_cable(net, net_random(net, i), i);
	for (unsigned int i = 0; i < extra; i++) {
		unsigned int a = net_random(net, net->nbridges);
		unsigned int b = net_random(net, net->nbridges);

		if (net->bridge[a].port[NET_PORTS - 2].used ||
		    net->bridge[b].port[NET_PORTS - 2].used)
			continue;
		net_cable(net, a, b);
	}
}

/* STP never opens anything in a hurry. */
static bool
stp_rapid(const struct net *net)
{
	for (unsigned int i = 0; i < net->nbridges; i++)
		if (!net->bridge[i].legacy)
			return true;
	return false;
}

static void
flap(struct net *net, uint64_t longest_ns)
{
	uint32_t what = net_random(net, 10);

	if (what < 8) {
		unsigned int lan = net_random(net, net->nlans);

		net_set_up(net, lan, !net->lan[lan].up);
	} else {
		net_set_bridge_up(
		    net, net_random(net, net->nbridges), what == 8);
	}
	net_run(net, net_random(net, (uint32_t)(longest_ns / 1000)) * 1000);
}

static void
check_settled(const struct net *net, unsigned long seed)
{
	uint64_t best = UINT64_MAX;

	for (unsigned int v = 0; v < net->nvlans; v++)
		if (!net_is_connected(net, net->vlan[v]))
			fail_msg("seed %lu: VLAN %u is not connected", seed,
			    net->vlan[v]);
	for (unsigned int i = 0; i < net->nbridges; i++) {
		uint64_t id = net_tree_view(net, i, 0).bridge;

		best = id < best ? id : best;
	}
	for (unsigned int i = 0; i < net->nbridges; i++)
		if (net_tree_view(net, i, 0).root != best)
			fail_msg(
			    "seed %lu: bridge %u has another root", seed, i);
}

static void
run(struct net *net, unsigned long seed, uint64_t longest_ns, uint64_t rest_ns)
{
	random_cables(net, 1 + net_random(net, 12));
	random_delays(net);
	if (!stp_rapid(net))
		net->tolerated_ns = 0;
	for (unsigned int i = 0; i < FLAPS; i++)
		flap(net, longest_ns);
	for (unsigned int l = 0; l < net->nlans; l++)
		net_set_up(net, l, true);
	net_run(net, rest_ns);
	check_settled(net, seed);
	net_free(net);
}

static struct net *
random_net(unsigned long seed, enum stp_mode mode)
{
	struct net *net = net_new();
	struct stp_options o;
	unsigned int n;

	stp_options_init(&o);
	net->seed = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	net_random(net, 2);
	n = 3 + net_random(net, 8);
	for (unsigned int i = 0; i < n; i++) {
		o.mode = mode;
		o.priority = (uint16_t)(net_random(net, 16) * 4096);
		net_add_bridge(net, &o);
	}
	return net;
}

/* Flaps faster and slower than hellos, timers and handshakes. */
static const uint64_t paces[] = { 2 * NET_MS, 50 * NET_MS, 3 * NET_S,
	20 * NET_S };

static void
rstp_has_no_loop_and_converges(void **state)
{
	unsigned long seed = number("STP_SEED", 1);
	unsigned long end = seed + number("STP_ROUNDS", ROUNDS);

	(void)state;
	for (; seed < end; seed++)
		run(random_net(seed, STP_MODE_RSTP), seed, paces[seed % 4],
		    120 * NET_S);
}

static void
stp_has_no_loop_and_converges(void **state)
{
	unsigned long seed = number("STP_SEED", 1);
	unsigned long end = seed + number("STP_ROUNDS", ROUNDS);

	(void)state;
	for (; seed < end; seed++) {
		struct net *net = random_net(seed, STP_MODE_STP);

		for (unsigned int i = 0; i < net->nbridges; i++)
			net->bridge[i].legacy = true;
		run(net, seed, paces[seed % 4], 300 * NET_S);
	}
}

static void
stp_among_rstp_has_no_loop_and_converges(void **state)
{
	unsigned long seed = number("STP_SEED", 1);
	unsigned long end = seed + number("STP_ROUNDS", ROUNDS);

	(void)state;
	for (; seed < end; seed++) {
		struct net *net = random_net(seed, STP_MODE_RSTP);
		struct stp_options old;

		stp_options_init(&old);
		old.mode = STP_MODE_STP;
		for (unsigned int i = 0; i < net->nbridges; i++) {
			if (net_random(net, 3) != 0)
				continue;
			old.priority =
			    stp_get_options(net->bridge[i].stp)->priority;
			assert_int_equal(stp_set_options(net->bridge[i].stp,
					     &old, net->now_ns),
			    0);
			net->bridge[i].legacy = true;
		}
		run(net, seed, paces[seed % 4], 300 * NET_S);
	}
}

/* Three VLANs: one of the CIST, two of instances. */
static void
make_regions(struct net *net, bool one)
{
	net->nvlans = NET_VLANS;
	net->vlan[1] = 10;
	net->vlan[2] = 20;
	for (unsigned int i = 0; i < net->nbridges; i++) {
		struct stp_options o = *stp_get_options(net->bridge[i].stp);
		uint32_t kind = one ? 1 : net_random(net, 4);

		if (kind == 0)
			continue;
		o.mode = STP_MODE_MSTP;
		snprintf(o.region, sizeof(o.region), "%s",
		    kind == 1 ? "north" : "south");
		o.nmstis = 2;
		o.msti[0].id = 1;
		o.msti[1].id = 7;
		for (unsigned int m = 0; m < 2; m++)
			o.msti[m].priority =
			    (uint16_t)(net_random(net, 16) * 4096);
		o.tree[10] = 1;
		o.tree[20] = 2;
		assert_int_equal(
		    stp_set_options(net->bridge[i].stp, &o, net->now_ns), 0);
	}
}

static void
a_region_has_no_loop_and_converges_in_every_vlan(void **state)
{
	unsigned long seed = number("STP_SEED", 1);
	unsigned long end = seed + number("STP_ROUNDS", ROUNDS);

	(void)state;
	for (; seed < end; seed++) {
		struct net *net = random_net(seed, STP_MODE_RSTP);

		make_regions(net, true);
		run(net, seed, paces[seed % 4], 240 * NET_S);
	}
}

/* Two regions, and bridges of RSTP.  Here a loop may last until the next hello:
 * what an instance's port agreed to does not say by which way the region was
 * left then. */
static void
regions_among_rstp_converge_in_every_vlan(void **state)
{
	unsigned long seed = number("STP_SEED", 1);
	unsigned long end = seed + number("STP_ROUNDS", ROUNDS);

	(void)state;
	for (; seed < end; seed++) {
		struct net *net = random_net(seed, STP_MODE_RSTP);

		make_regions(net, false);
		net->slack_ns = STP_HELLO_S * NET_S;
		run(net, seed, paces[seed % 4], 240 * NET_S);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rstp_has_no_loop_and_converges),
		cmocka_unit_test(stp_has_no_loop_and_converges),
		cmocka_unit_test(stp_among_rstp_has_no_loop_and_converges),
		cmocka_unit_test(
		    a_region_has_no_loop_and_converges_in_every_vlan),
		cmocka_unit_test(regions_among_rstp_converge_in_every_vlan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
