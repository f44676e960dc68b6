/*
 * Everything at once: a switch of 64 ports with all that ports can be set to,
 * bonds, spanning tree or the loop guard, LLDP, snooping, loops of cables that
 * delay and lose, stations that come and go, links that flap, and random frames.
 * Nothing crashes or leaks, and what is counted adds up.
 *
 * CHAOS_SECONDS of real time (2 by default), of which each is minutes in the
 * switch; the seed is printed, CHAOS_SEED repeats it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "switch/aggregation.h"
#include "switch/cable.h"
#include "switch/lldp_protocol.h"
#include "switch/snooping.h"
#include "switch/stp_switch.h"
#include "tests/switch/lan.h"

#define PORTS    64 /* of the first switch */
#define SWITCHES 3
#define UPLINKS  2 /* between each two of them */
#define ENDS     (PORTS - 2 * UPLINKS - 4)
#define BURST    16
#define MACS     40

/* A station: a node of one port, with a cable that may do something. */
struct end {
	struct port port; /* first */
	struct node node;
	struct port *plug; /* the switch's, NULL: not plugged in */
	struct cable *cable;
	uint8_t kind;
};

struct chaos {
	uint64_t random;
	struct loop *loop;
	struct lan_switch *sw[SWITCHES];
	struct stp_switch *tree[SWITCHES];
	struct lldp_protocol *lldp[SWITCHES];
	struct snooping *snooping[SWITCHES];
	struct aggregation *bonds;
	struct port *bond, *wire[4];
	struct sink *bonded[4];
	struct end end[ENDS];
	struct port *up[SWITCHES * UPLINKS][2];
	struct cable *up_cable[SWITCHES * UPLINKS];
	bool with_tree;
	uint64_t frames, gone_out, gone_in, gone_arrived;
};

static uint32_t
below(struct chaos *c, uint32_t n)
{
	c->random = c->random * UINT64_C(6364136223846793005) + 1442695;
	return (uint32_t)(c->random >> 33) % n;
}

static bool
one_in(struct chaos *c, uint32_t n)
{
	return below(c, n) == 0;
}

/* ---- stations ---- */

/* What stations may still say before the next step. */
static unsigned int answers_left;

/* Answers are not answered, or two stations would talk for ever.  Cables flip
 * the bits of the mark, so that is no limit by itself. */
static bool
is_question(const struct frame *frame)
{
	uint8_t mark[2] = { 0 };

	if (frame->len >= LAN_BYTES)
		frame_copy(mark, frame, LAN_BYTES - 2, 2);
	return memcmp(mark, "!!", 2) != 0;
}

static void
end_take(struct port *port, struct burst *burst)
{
	struct end *end = (struct end *)port;

	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *frame = &burst->frame[i];

		assert_false(frame->flags & FRAME_TODO & ~port->accepts);
		node_judge(port->node, frame,
		    end->kind & 1 ? DROP_PORT_FULL : REASON_DELIVERED);
	}
	if (end->kind & 2 && answers_left > 0 &&
	    is_question(&burst->frame[0])) {
		uint8_t back[LAN_BYTES];
		struct burst answer;

		lan_fill(back, sizeof(back), 0, (uint8_t)(end->kind >> 2));
		if (burst->frame[0].len >= 12)
			frame_copy(back, &burst->frame[0], 6, 6);
		back[0] &= 0xfe;
		memcpy(back + sizeof(back) - 2, "!!", 2);
		answers_left--;
		burst_clear(&answer);
		burst_add(&answer, back, sizeof(back))->cause =
		    &burst->frame[0].verdict;
		port_send(port, &answer);
	}
}

static const struct port_ops end_ops = { .take = end_take };

static void
set_cable(struct chaos *c, struct cable *cable)
{
	struct cable_settings s = { .delay_ns = 0 };

	if (one_in(c, 2))
		s.delay_ns = below(c, 50) * NS_PER_MS;
	if (one_in(c, 4))
		s.jitter_ns = s.delay_ns / 2;
	s.overtake = one_in(c, 2);
	if (one_in(c, 4))
		s.loss_ppb = below(c, 1000000000);
	if (one_in(c, 4))
		s.duplicate_ppb = below(c, 100000000);
	if (one_in(c, 4))
		s.corrupt_ppb = below(c, 500000000);
	if (one_in(c, 6))
		s.rate_bps = 1000000;
	cable_set(cable, one_in(c, 2) ? CABLE_A : CABLE_B, &s, NULL, NULL);
}

static void
plug_in(struct chaos *c, struct end *end)
{
	struct err err = { "" };

	end->plug = switch_add_port(c->sw[0], end->port.name, &err);
	assert_non_null(end->plug);
	assert_int_equal(cable_join(end->plug, &end->port), 0);
	end->cable = cable_new(c->loop, end->plug, &end->port, end->port.name,
	    below(c, 1000), &err);
	assert_non_null(end->cable);
	if (one_in(c, 3))
		set_cable(c, end->cable);
}

/* What a cable delivered, of both ways. */
static uint64_t
arrived(struct cable *cable)
{
	return cable_stats(cable, CABLE_A).left +
	    cable_stats(cable, CABLE_B).left;
}

static uint64_t
judged_by(const struct node *node)
{
	assert_int_equal(node->count[REASON_NONE], 0);
	return node_total(node);
}

/* What it judged as its senders asked; and all of its own sums. */
static uint64_t
judged_on(struct cable *cable)
{
	uint64_t entered = 0;

	for (int side = CABLE_A; side <= CABLE_B; side++) {
		struct cable_stats s =
		    cable_stats(cable, (enum cable_side)side);

		assert_int_equal(
		    s.entered + s.duplicated, s.left + s.dropped + s.held);
		entered += s.entered;
	}
	return entered;
}

static void
pull_out(struct chaos *c, struct end *end)
{
	cable_cut(end->plug);
	c->gone_in += judged_on(end->cable);
	c->gone_arrived += arrived(end->cable);
	cable_free(end->cable);
	c->gone_out += end->plug->out_frames;
	switch_remove_port(c->sw[0], end->plug);
	end->plug = NULL;
}

/* ---- frames ---- */

static size_t
random_frame(struct chaos *c, uint8_t *bytes)
{
	size_t len = 60 + (one_in(c, 3) ? below(c, 1600) : below(c, 60));

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)below(c, 256);
	memset(bytes, 0, 12);
	bytes[0] = bytes[6] = 2;
	bytes[5] = (uint8_t)below(c, MACS);
	bytes[11] = (uint8_t)below(c, one_in(c, 20) ? 256 : MACS);
	switch (below(c, 10)) {
	case 0: memset(bytes, 0xff, 6); break;
	case 1:
		memcpy(bytes, "\x01\x80\xc2\0\0", 5);
		bytes[5] = (uint8_t)below(c, 20);
		break;
	case 2: memcpy(bytes, "\x01\0\x5e\1\2", 5); break;
	case 3: memcpy(bytes, "\x33\x33\0\0\0", 5); break;
	case 4: bytes[6] |= (uint8_t)one_in(c, 10); break;
	default: break;
	}
	switch (below(c, 8)) {
	case 0:
	case 1:
		put_be16(bytes + 12, one_in(c, 2) ? ETH_VLAN : ETH_QINQ);
		put_be16(bytes + 14, (uint16_t)below(c, 8));
		break;
	case 2:
		put_be16(bytes + 12, ETH_IPV4);
		bytes[14] = 0x46;
		bytes[23] = 2;
		break;
	case 3: put_be16(bytes + 12, 0x88cc); break;
	case 4: memcpy(bytes + 12, "\0\x26\x42\x42\x03", 5); break;
	default: break;
	}
	return one_in(c, 30) ? below(c, 20) : len;
}

static void
send_burst(struct chaos *c)
{
	static uint8_t bytes[BURST][2000];
	struct end *end = &c->end[below(c, ENDS)];
	unsigned int n = 1 + below(c, BURST);
	struct burst burst;

	burst_clear(&burst);
	for (unsigned int i = 0; i < n; i++) {
		struct frame *frame =
		    burst_add(&burst, bytes[i], random_frame(c, bytes[i]));

		if (frame->len < 100 || !one_in(c, 4))
			continue;
		frame->flags = FRAME_CSUM;
		frame->csum_start = (uint16_t)below(c, 40);
		frame->csum_offset = 16;
		burst.flags |= frame->flags;
	}
	port_send(&end->port, &burst);
	for (unsigned int i = 0; i < n; i++)
		assert_true(burst.frame[i].verdict.reason != REASON_NONE);
	c->frames += n;
}

/* ---- what is set ---- */

static void
set_rules(struct chaos *c, struct port *port)
{
	struct vlan_options vlans = {
		.mode = (enum vlan_mode)below(c, 4),
		.vlan = (uint16_t)(1 + below(c, 5)),
		.provider = one_in(c, 3),
	};
	struct mirror_options mirror = { .to = port,
		.vlan = (uint16_t)below(c, 4) };
	const struct mac mac = { { 2, 0, 0, 0, 0, (uint8_t)below(c, MACS) } };

	switch (below(c, 9)) {
	case 0:
	case 1:
		vlan_set_add(&vlans.allowed, 1, 1 + below(c, 6));
		switch_set_vlan(port, &vlans);
		return;
	case 2:
		switch_limit_macs(port, below(c, 5),
		    (enum mac_reaction)below(c, 3), one_in(c, 2));
		return;
	case 3:
		switch_limit_storm(
		    port, (enum storm_class)below(c, 3), below(c, 3) * 50);
		return;
	case 4: switch_set_isolated(port, one_in(c, 2)); return;
	case 5: switch_set_mtu(port, below(c, 3) * 700); return;
	case 6:
		for (unsigned int i = 1; i < PORTS; i++)
			if (one_in(c, 8))
				port_set_add(&mirror.in, i);
		port_set_remove(&mirror.in, 1);
		if (one_in(c, 3))
			switch_add_mirror(switch_of(port), &mirror);
		else
			switch_remove_mirror(switch_of(port), below(c, 3));
		return;
	case 7: switch_pin(port, &mac, (uint16_t)below(c, 3)); return;
	case 8: switch_unpin(port, &mac, (uint16_t)below(c, 3)); return;
	}
}

static void
step(struct chaos *c)
{
	struct end *end = &c->end[below(c, ENDS)];
	unsigned int u = below(c, SWITCHES * UPLINKS);

	answers_left = 1000;
	switch (below(c, 40)) {
	case 0:
		if (end->plug == NULL)
			plug_in(c, end);
		else if (one_in(c, 3))
			pull_out(c, end);
		return;
	case 1:
		if (end->plug != NULL)
			set_cable(c, end->cable);
		return;
	case 2:
		if (end->plug != NULL)
			set_rules(c, end->plug);
		return;
	case 3: port_set_down(&end->port, one_in(c, 3)); return;
	case 4:
		if (end->plug != NULL) /* after MAC_SHUT, among others */
			port_set_down(end->plug, false);
		return;
	case 5: port_set_down(c->up[u][0], one_in(c, 2)); return;
	case 6: set_cable(c, c->up_cable[u]); return;
	case 7: set_rules(c, c->up[u][one_in(c, 2)]); return;
	case 8:
		port_set_down(&c->bonded[below(c, 4)]->port, one_in(c, 3));
		return;
	case 9:
	case 10: {
		struct loop_timer timer;

		loop_timer_init(&timer, c->loop, lan_stop, c->loop);
		loop_timer_set(
		    &timer, loop_now_ns(c->loop) + below(c, 3000) * NS_PER_MS);
		loop_run(c->loop);
		loop_timer_unset(&timer);
		return;
	}
	default: send_burst(c); return;
	}
}

/* ---- sums ---- */

/* Frames that somebody's port sent were judged once, and what a cable held back
 * a second time, where it arrived. */
static void
check_sums(struct chaos *c)
{
	uint64_t out = c->gone_out + c->gone_arrived, judged = c->gone_in;

	for (unsigned int i = 0; i < ENDS; i++) {
		struct end *end = &c->end[i];

		out += end->port.out_frames;
		judged += judged_by(&end->node);
		if (end->plug == NULL)
			continue;
		out += end->plug->out_frames + arrived(end->cable);
		judged += judged_on(end->cable);
	}
	for (unsigned int i = 0; i < SWITCHES * UPLINKS; i++) {
		out += c->up[i][0]->out_frames + c->up[i][1]->out_frames +
		    arrived(c->up_cable[i]);
		judged += judged_on(c->up_cable[i]);
	}
	for (unsigned int i = 0; i < 4; i++) {
		out += c->wire[i]->out_frames + c->bonded[i]->port.out_frames;
		judged += judged_by(&c->bonded[i]->node);
	}
	out += c->bond->out_frames;
	for (unsigned int i = 0; i < SWITCHES; i++)
		judged += judged_by(switch_node(c->sw[i]));
	assert_int_equal(judged, out);
}

/* ---- a lab ---- */

static void
set_up_switch(struct chaos *c, unsigned int i)
{
	const struct switch_options options = { .max_macs = 50 };
	struct lldp_protocol_options lldp = { .description = "chaos" };
	struct groups_options groups;
	struct stp_options stp;
	char name[24];
	struct err err = { "" };

	snprintf(name, sizeof(name), "sw%u", i);
	c->sw[i] = switch_new(c->loop, name, &options, &err);
	assert_non_null(c->sw[i]);
	if (c->with_tree) {
		stp_options_init(&stp);
		c->tree[i] = stp_switch_new(c->sw[i], &stp, &err);
		assert_non_null(c->tree[i]);
	}
	lldp.agent =
	    (struct lldp_agent_options){ .send = true, .receive = true };
	c->lldp[i] = lldp_protocol_new(c->sw[i], &lldp, &err);
	assert_non_null(c->lldp[i]);
	groups = (struct groups_options){ .mac = switch_mac(c->sw[i]),
		.querier = i == 0 ? 0x0a000001 : 0 };
	c->snooping[i] = snooping_new(c->sw[i], &groups, &err);
	assert_non_null(c->snooping[i]);
}

static void
set_up_bond(struct chaos *c)
{
	const struct bond_options options = { .mode = BOND_STATIC,
		.hash = { .level = FLOW_L3 } };
	struct err err = { "" };

	c->bonds = aggregation_new(c->sw[0], &err);
	c->bond = aggregation_add(c->bonds, "sw0.bond", &options, &err);
	assert_non_null(c->bond);
	for (int i = 0; i < 4; i++) {
		char name[24];

		snprintf(name, sizeof(name), "sw0.w%d", i);
		c->wire[i] = switch_add_port(c->sw[0], name, &err);
		assert_int_equal(
		    aggregation_join(c->bonds, c->bond, c->wire[i], 0, &err),
		    0);
		c->bonded[i] = sink_new("wire");
		cable_join(c->wire[i], &c->bonded[i]->port);
	}
}

static void
set_up_uplinks(struct chaos *c)
{
	struct err err = { "" };
	unsigned int n = 0;

	for (unsigned int a = 0; a < SWITCHES; a++)
		for (unsigned int k = 0; k < UPLINKS; k++) {
			unsigned int b = (a + 1) % SWITCHES;
			char name[2][24];

			snprintf(name[0], 24, "sw%u.sw%u-%u", a, b, k);
			snprintf(name[1], 24, "sw%u.sw%u-%u", b, a, k);
			for (int e = 0; e < 2; e++)
				c->up[n][e] = switch_add_port(
				    c->sw[e == 0 ? a : b], name[e], &err);
			cable_join(c->up[n][0], c->up[n][1]);
			c->up_cable[n] = cable_new(c->loop, c->up[n][0],
			    c->up[n][1], name[0], n, &err);
			n++;
		}
}

static struct chaos *
chaos_new(uint64_t seed)
{
	struct chaos *c = calloc(1, sizeof(*c));
	struct err err = { "" };

	c->random = seed;
	c->with_tree = seed % 2 == 0;
	c->loop = loop_new(LOOP_VIRTUAL, &err);
	for (unsigned int i = 0; i < SWITCHES; i++)
		set_up_switch(c, i);
	set_up_bond(c);
	set_up_uplinks(c);
	for (unsigned int i = 0; i < ENDS; i++) {
		struct end *end = &c->end[i];
		char name[24];

		snprintf(name, sizeof(name), "end%u", i);
		node_init(&end->node, name);
		port_init(&end->port, &end_ops, &end->node, name);
		end->kind = (uint8_t)below(c, 256);
		if (one_in(c, 3))
			end->port.accepts = 0;
		if (one_in(c, 4))
			end->port.mtu_bytes = 1514;
		plug_in(c, end);
	}
	return c;
}

static void
chaos_free(struct chaos *c)
{
	for (unsigned int i = 0; i < ENDS; i++)
		if (c->end[i].plug != NULL)
			pull_out(c, &c->end[i]);
	for (unsigned int i = 0; i < SWITCHES * UPLINKS; i++) {
		cable_cut(c->up[i][0]);
		cable_free(c->up_cable[i]);
	}
	aggregation_free(c->bonds);
	for (unsigned int i = 0; i < SWITCHES; i++) {
		snooping_free(c->snooping[i]);
		lldp_protocol_free(c->lldp[i]);
		stp_switch_free(c->tree[i]);
		switch_free(c->sw[i]);
	}
	for (int i = 0; i < 4; i++)
		sink_free(c->bonded[i]);
	loop_free(c->loop);
	free(c);
}

static double
number_of(const char *name, double otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? atof(text) : otherwise;
}

static void
all_features_at_once_lose_no_frame(void **state)
{
	double seconds = number_of("CHAOS_SECONDS", 2);
	uint64_t seed = (uint64_t)number_of("CHAOS_SEED", 1);
	uint64_t frames = 0, virtual_ns = 0;
	time_t end = time(NULL) + (time_t)(seconds + 0.5);

	(void)state;
	do {
		struct chaos *c = chaos_new(seed);

		for (int i = 0; i < 3000 && time(NULL) <= end; i++) {
			step(c);
			if (i % 50 == 0)
				check_sums(c);
			for (int k = 0; k < 4; k++)
				sink_clear(c->bonded[k]);
		}
		check_sums(c);
		frames += c->frames;
		virtual_ns += loop_now_ns(c->loop);
		chaos_free(c);
		seed++;
	} while (time(NULL) < end);
	printf("# figure: %llu random frames into 64 ports with everything "
	       "on, %.0f minutes of virtual time, seeds up to %llu\n",
	    (unsigned long long)frames, (double)virtual_ns / 60e9,
	    (unsigned long long)seed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_features_at_once_lose_no_frame),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
