#include "switch/switch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/switch/sink.h"

#define NSINKS 4
#define BYTES  64

/* One switch with four sinks; sink i has address 02:00:00:00:00:0i. */
struct lan {
	struct loop *loop;
	struct lan_switch *sw;
	struct port *port[NSINKS];
	struct sink *sink[NSINKS];
};

/* A frame with these last bytes as addresses; 0xff: broadcast. */
static void
fill(uint8_t *bytes, uint8_t dst, uint8_t src)
{
	memset(bytes, 0, BYTES);
	bytes[0] = bytes[6] = 0x02;
	bytes[5] = dst;
	bytes[11] = src;
	if (dst == 0xff)
		memset(bytes, 0xff, 6);
	bytes[12] = 0x88;
	bytes[13] = 0xb5;
	bytes[20] = dst;
	bytes[21] = src;
}

static struct lan_switch *
new_switch(struct loop *loop, const char *name, uint32_t max_macs)
{
	const struct switch_options options = { .max_macs = max_macs };
	struct err err = { "" };
	struct lan_switch *sw = switch_new(loop, name, &options, &err);

	assert_string_equal(err.text, "");
	assert_non_null(sw);
	return sw;
}

static int
set_up(void **state)
{
	struct lan *lan = calloc(1, sizeof(*lan));
	struct err err = { "" };

	lan->loop = loop_new(LOOP_VIRTUAL, &err);
	lan->sw = new_switch(lan->loop, "lan", 0);
	for (int i = 0; i < NSINKS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "lan.s%d.eth0", i);
		lan->port[i] = switch_add_port(lan->sw, name, &err);
		snprintf(name, sizeof(name), "s%d.eth0", i);
		lan->sink[i] = sink_new(name);
		assert_int_equal(
		    cable_join(lan->port[i], &lan->sink[i]->port), 0);
	}
	*state = lan;
	return 0;
}

static int
tear_down(void **state)
{
	struct lan *lan = *state;

	for (int i = 0; i < NSINKS; i++)
		sink_free(lan->sink[i]);
	switch_free(lan->sw);
	loop_free(lan->loop);
	free(lan);
	return 0;
}

static void
forget(struct lan *lan)
{
	for (int i = 0; i < NSINKS; i++)
		sink_clear(lan->sink[i]);
}

/* Sends one frame from a sink; returns what the switch made of it. */
static struct verdict
send_bytes(struct lan *lan, int from, const uint8_t *bytes, size_t len)
{
	struct burst burst;

	burst_clear(&burst);
	burst_add(&burst, bytes, len);
	port_send(&lan->sink[from]->port, &burst);
	return burst.frame[0].verdict;
}

static struct verdict
send(struct lan *lan, int from, uint8_t dst, uint8_t src)
{
	uint8_t bytes[BYTES];

	fill(bytes, dst, src);
	return send_bytes(lan, from, bytes, sizeof(bytes));
}

static void
introduce_all(struct lan *lan)
{
	for (int i = 0; i < NSINKS; i++)
		send(lan, i, 0xff, (uint8_t)i);
	forget(lan);
}

static void
unknown_destination_is_flooded_to_all_but_the_source(void **state)
{
	struct lan *lan = *state;
	struct verdict v = send(lan, 1, 9, 1);

	assert_int_equal(v.reason, REASON_FLOOD_UNKNOWN);
	assert_ptr_equal(v.node, switch_node(lan->sw));
	assert_ptr_equal(v.out, lan->port[0]);
	assert_int_equal(v.nout, 3);
	for (int i = 0; i < NSINKS; i++)
		assert_int_equal(lan->sink[i]->n, i == 1 ? 0 : 1);
	assert_memory_equal(lan->sink[3]->frame[0].data + 5, "\x09\x02", 2);
}

static void
learned_destination_gets_the_frame_alone(void **state)
{
	struct lan *lan = *state;
	struct verdict v;

	send(lan, 2, 0xff, 2);
	forget(lan);
	v = send(lan, 0, 2, 0);
	assert_int_equal(v.reason, REASON_FORWARDED);
	assert_ptr_equal(v.out, lan->port[2]);
	assert_int_equal(v.nout, 1);
	for (int i = 0; i < NSINKS; i++)
		assert_int_equal(lan->sink[i]->n, i == 2);
}

static void
frames_out_point_at_the_verdict_that_caused_them(void **state)
{
	struct lan *lan = *state;
	struct sink *sink = lan->sink[2];

	send(lan, 0, 0xff, 0);
	assert_non_null(sink->frame[0].cause);
	assert_ptr_equal(sink->frame[0].caused_by.node, switch_node(lan->sw));
	assert_int_equal(
	    sink->frame[0].caused_by.reason, REASON_FLOOD_BROADCAST);
	assert_int_equal(sink->frame[0].caused_by.nout, 3);
}

static void
verdict_stays_the_switchs_when_all_refuse(void **state)
{
	struct lan *lan = *state;
	struct verdict v;

	introduce_all(lan);
	for (int i = 0; i < NSINKS; i++)
		lan->sink[i]->reason = DROP_PORT_FULL;
	v = send(lan, 0, 1, 0);
	assert_int_equal(v.reason, REASON_FORWARDED);
	assert_int_equal(lan->port[1]->out_drops, 1);
	v = send(lan, 0, 0xff, 0);
	assert_int_equal(v.reason, REASON_FLOOD_BROADCAST);
	assert_int_equal(lan->port[2]->out_drops, 1);
}

static void
group_addresses_are_flooded_but_reserved_ones_end_here(void **state)
{
	static const struct {
		uint8_t dst[6];
		enum reason reason;
	} rows[] = {
		{ { 0x01, 0x00, 0x5e, 0, 0, 0xfb }, REASON_FLOOD_GROUP },
		{ { 0x33, 0x33, 0, 0, 0, 1 }, REASON_FLOOD_GROUP },
		{ { 0x01, 0x80, 0xc2, 0, 0, 0x00 }, DROP_RESERVED },
		{ { 0x01, 0x80, 0xc2, 0, 0, 0x0e }, DROP_RESERVED },
		{ { 0x01, 0x80, 0xc2, 0, 0, 0x0f }, DROP_RESERVED },
		{ { 0x01, 0x80, 0xc2, 0, 0, 0x10 }, REASON_FLOOD_GROUP },
		{ { 0x01, 0x80, 0xc2, 0, 1, 0x00 }, REASON_FLOOD_GROUP },
		{ { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
		    REASON_FLOOD_BROADCAST },
	};
	struct lan *lan = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t bytes[BYTES];
		struct verdict v;

		forget(lan);
		fill(bytes, 0, 1);
		memcpy(bytes, rows[i].dst, 6);
		v = send_bytes(lan, 1, bytes, sizeof(bytes));
		assert_int_equal(v.reason, rows[i].reason);
		assert_int_equal(
		    lan->sink[0]->n, rows[i].reason == DROP_RESERVED ? 0 : 1);
	}
	/* the source of a frame that ended here was learned all the same */
	assert_int_equal(send(lan, 0, 1, 0).reason, REASON_FORWARDED);
}

static void
group_source_and_short_frames_are_refused_and_teach_nothing(void **state)
{
	struct lan *lan = *state;
	uint8_t bytes[BYTES];

	introduce_all(lan);
	fill(bytes, 2, 1);
	bytes[6] = 0x03;
	assert_int_equal(
	    send_bytes(lan, 1, bytes, sizeof(bytes)).reason, DROP_ETH_SOURCE);
	fill(bytes, 2, 77);
	for (size_t len = 0; len < 14; len++)
		assert_int_equal(
		    send_bytes(lan, 1, bytes, len).reason, DROP_SHORT);
	assert_int_equal(lan->sink[2]->n, 0);
	assert_int_equal(send(lan, 0, 77, 0).reason, REASON_FLOOD_UNKNOWN);
}

static void
destination_behind_the_same_port_is_filtered(void **state)
{
	struct lan *lan = *state;

	send(lan, 1, 0xff, 1);
	send(lan, 1, 0xff, 11);
	forget(lan);
	assert_int_equal(send(lan, 1, 1, 11).reason, DROP_SAME_PORT);
	for (int i = 0; i < NSINKS; i++)
		assert_int_equal(lan->sink[i]->n, 0);
}

static void
station_that_moved_is_found_at_its_new_port(void **state)
{
	struct lan *lan = *state;

	introduce_all(lan);
	assert_ptr_equal(send(lan, 0, 2, 0).out, lan->port[2]);
	send(lan, 3, 0xff, 2);
	assert_ptr_equal(send(lan, 0, 2, 0).out, lan->port[3]);
}

static void
alarm_rang(void *arg)
{
	(void)arg;
}

static void
pass_time(struct lan *lan, uint64_t ns)
{
	struct loop_timer timer;

	loop_timer_init(&timer, lan->loop, alarm_rang, NULL);
	loop_timer_set(&timer, loop_now_ns(lan->loop) + ns);
	loop_run(lan->loop);
}

static void
silent_station_ages_out(void **state)
{
	struct lan *lan = *state;

	introduce_all(lan);
	pass_time(lan, (SWITCH_AGE_S - 1) * NS_PER_S);
	assert_int_equal(send(lan, 0, 2, 0).reason, REASON_FORWARDED);
	pass_time(lan, 2 * NS_PER_S);
	assert_int_equal(send(lan, 0, 2, 0).reason, REASON_FLOOD_UNKNOWN);
	/* the other was heard of a while ago */
	assert_int_equal(send(lan, 2, 0, 2).reason, REASON_FORWARDED);
}

static void
burst_is_sent_once_a_port_and_in_order(void **state)
{
	/* to, from sink 0; 9 is unknown */
	static const uint8_t to[] = { 1, 2, 1, 0xff, 1, 3, 9, 2, 1 };
	uint8_t bytes[sizeof(to)][BYTES];
	struct lan *lan = *state;
	struct burst burst;

	introduce_all(lan);
	burst_clear(&burst);
	for (size_t i = 0; i < sizeof(to); i++) {
		fill(bytes[i], to[i], 0);
		bytes[i][30] = (uint8_t)i;
		burst_add(&burst, bytes[i], BYTES);
	}
	port_send(&lan->sink[0]->port, &burst);
	for (int s = 1; s < NSINKS; s++) {
		unsigned int n = 0;

		assert_int_equal(lan->sink[s]->takes, 1);
		for (size_t i = 0; i < sizeof(to); i++)
			if (to[i] == s || to[i] == 0xff || to[i] == 9)
				assert_int_equal(
				    lan->sink[s]->frame[n++].data[30], i);
		assert_int_equal(lan->sink[s]->n, n);
	}
	assert_int_equal(lan->sink[0]->n, 0);
}

static void
unicast_burst_is_sent_once_a_port_and_in_order(void **state)
{
	uint8_t bytes[BURST_MAX][BYTES];
	struct lan *lan = *state;
	struct burst burst;

	introduce_all(lan);
	burst_clear(&burst);
	for (unsigned int i = 0; i < BURST_MAX; i++) {
		fill(bytes[i], (uint8_t)(1 + i % 3), 0);
		bytes[i][30] = (uint8_t)i;
		burst_add(&burst, bytes[i], BYTES);
	}
	port_send(&lan->sink[0]->port, &burst);
	for (int s = 1; s < NSINKS; s++) {
		assert_int_equal(lan->sink[s]->takes, 1);
		for (unsigned int k = 0; k < lan->sink[s]->n; k++)
			assert_int_equal(lan->sink[s]->frame[k].data[30],
			    3 * k + (unsigned int)s - 1);
	}
	assert_int_equal(
	    lan->sink[1]->n + lan->sink[2]->n + lan->sink[3]->n, BURST_MAX);
}

static void
offload_marks_pass_the_switch(void **state)
{
	struct lan *lan = *state;
	uint8_t bytes[BYTES];
	struct burst burst;
	struct frame *frame;

	introduce_all(lan);
	fill(bytes, 2, 0);
	burst_clear(&burst);
	frame = burst_add(&burst, bytes, sizeof(bytes));
	frame->flags = burst.flags = FRAME_CSUM | FRAME_TSO4;
	frame->csum_start = 34;
	frame->gso_bytes = 1448;
	port_send(&lan->sink[0]->port, &burst);
	assert_int_equal(lan->sink[2]->frame[0].flags, FRAME_CSUM | FRAME_TSO4);
	assert_int_equal(lan->sink[2]->frame[0].gso_bytes, 1448);
}

static void
port_that_does_not_offload_gets_finished_frames(void **state)
{
	struct lan *lan = *state;
	uint8_t bytes[BYTES];
	struct burst burst;
	struct frame *frame;

	introduce_all(lan);
	lan->sink[2]->port.accepts = 0;
	fill(bytes, 2, 0);
	burst_clear(&burst);
	frame = burst_add(&burst, bytes, sizeof(bytes));
	frame->flags = burst.flags = FRAME_CSUM;
	frame->csum_start = 14;
	frame->csum_offset = 30;
	port_send(&lan->sink[0]->port, &burst);
	assert_int_equal(lan->sink[2]->frame[0].flags, 0);
	assert_int_not_equal(lan->sink[2]->frame[0].data[44], 0);
	assert_int_equal(bytes[44], 0); /* not in the guest's memory */
}

static void
last_port_has_nobody_to_flood_to(void **state)
{
	struct lan *lan = *state;

	for (int i = 1; i < NSINKS; i++)
		cable_cut(lan->port[i]);
	assert_int_equal(send(lan, 0, 9, 0).reason, DROP_NO_OTHER_PORT);
	assert_int_equal(send(lan, 0, 0xff, 0).reason, DROP_NO_OTHER_PORT);
}

static void
ports_that_are_down_get_no_floods_and_keep_no_addresses(void **state)
{
	struct lan *lan = *state;
	struct verdict v;

	introduce_all(lan);
	port_set_down(lan->port[2], true);
	v = send(lan, 0, 2, 0);
	assert_int_equal(v.reason, REASON_FLOOD_UNKNOWN);
	assert_int_equal(v.nout, 2);
	port_set_down(&lan->sink[3]->port, true);
	v = send(lan, 0, 3, 0);
	assert_int_equal(v.reason, REASON_FLOOD_UNKNOWN);
	assert_int_equal(v.nout, 1);
	port_set_down(lan->port[2], false);
	assert_int_equal(send(lan, 0, 0xff, 0).nout, 2);
	assert_int_equal(switch_node(lan->sw)->count[DROP_LINK_DOWN], 0);
}

static void
removed_port_is_forgotten_and_its_place_used_again(void **state)
{
	struct lan *lan = *state;
	struct err err = { "" };

	introduce_all(lan);
	switch_remove_port(lan->sw, lan->port[2]);
	assert_null(lan->sink[2]->port.peer);
	assert_false(lan->sink[2]->link);
	assert_int_equal(send(lan, 0, 2, 0).reason, REASON_FLOOD_UNKNOWN);
	lan->port[2] = switch_add_port(lan->sw, "lan.new.eth0", &err);
	assert_non_null(lan->port[2]);
	cable_join(lan->port[2], &lan->sink[2]->port);
	assert_int_equal(send(lan, 0, 2, 0).reason, REASON_FLOOD_UNKNOWN);
	send(lan, 2, 0xff, 2);
	assert_ptr_equal(send(lan, 0, 2, 0).out, lan->port[2]);
}

static void
full_table_keeps_the_quiet_ports_addresses(void **state)
{
	struct lan *lan = *state;
	struct lan_switch *small = new_switch(lan->loop, "small", 10);
	struct err err = { "" };
	struct port *a = switch_add_port(small, "small.a", &err);
	struct port *b = switch_add_port(small, "small.b", &err);

	cable_cut(lan->port[0]);
	cable_cut(lan->port[1]);
	cable_join(a, &lan->sink[0]->port);
	cable_join(b, &lan->sink[1]->port);
	send(lan, 0, 0xff, 0);
	for (uint8_t i = 10; i < 200; i++)
		send(lan, 1, 0xff, i);
	assert_int_equal(send(lan, 1, 0, 199).reason, REASON_FORWARDED);
	switch_free(small);
}

static void
too_large_a_table_is_refused_with_its_number(void **state)
{
	const struct switch_options options = { .max_macs =
						    SWITCH_MACS_MAX + 1 };
	struct lan *lan = *state;
	struct err err = { "" };

	assert_null(switch_new(lan->loop, "lan", &options, &err));
	assert_string_equal(err.text,
	    "lan: an address table of 1000001 is too large; use 1 to 1000000");
}

struct seen {
	unsigned int n;
	const struct port *port_of_2;
	uint64_t age_ns;
};

static void
see(void *arg, const struct fdb_row *row, const struct port *port)
{
	struct seen *seen = arg;

	seen->n++;
	if (row->mac.b[5] == 2)
		seen->port_of_2 = port;
	seen->age_ns = row->age_ns;
}

static void
addresses_can_be_listed(void **state)
{
	struct lan *lan = *state;
	struct seen seen = { 0 };

	introduce_all(lan);
	pass_time(lan, 10 * NS_PER_S);
	switch_each_mac(lan->sw, see, &seen);
	assert_int_equal(seen.n, 4);
	assert_ptr_equal(seen.port_of_2, lan->port[2]);
	assert_in_range(
	    seen.age_ns, 10 * NS_PER_S - 65536, 10 * NS_PER_S + 65536);
}

/* ---- sends within sends ---- */

/* Answers each frame to its source, by the port it came from, at once. */
static void
answer(struct sink *sink, struct burst *burst)
{
	for (unsigned int i = 0; i < burst->n; i++) {
		uint8_t bytes[BYTES], came[12];
		struct burst back;

		frame_copy(came, &burst->frame[i], 0, sizeof(came));
		if (came[0] & 1 || came[5] != sink->port.name[1] - '0')
			continue;
		fill(bytes, came[11], came[5]);
		burst_clear(&back);
		burst_add(&back, bytes, sizeof(bytes))->cause =
		    &burst->frame[i].verdict;
		port_send(&sink->port, &back);
	}
}

static void
answers_come_back_while_the_burst_is_still_being_sent(void **state)
{
	uint8_t bytes[BURST_MAX][BYTES];
	struct lan *lan = *state;
	struct burst burst;

	introduce_all(lan);
	for (int i = 1; i < NSINKS; i++)
		lan->sink[i]->hook = answer;
	burst_clear(&burst);
	for (unsigned int i = 0; i < BURST_MAX; i++) {
		fill(bytes[i], (uint8_t)(1 + i % 3), 0);
		burst_add(&burst, bytes[i], BYTES);
	}
	port_send(&lan->sink[0]->port, &burst);
	assert_int_equal(lan->sink[0]->n, BURST_MAX);
	for (int i = 1; i < NSINKS; i++)
		assert_int_equal(lan->sink[i]->n, i == 1 ? 22 : 21);
	for (unsigned int i = 0; i < BURST_MAX; i++) {
		assert_int_equal(
		    burst.frame[i].verdict.reason, REASON_FORWARDED);
		assert_ptr_equal(
		    burst.frame[i].verdict.out, lan->port[1 + i % 3]);
	}
}

static void
loop_of_two_cables_delivers_and_stops(void **state)
{
	struct lan *lan = *state;
	struct lan_switch *other = new_switch(lan->loop, "other", 0);
	struct err err = { "" };
	struct port *end[5];

	/* lan =====two cables===== other --- sink 3 */
	for (int i = 0; i < 5; i++)
		end[i] =
		    switch_add_port(i < 2 ? lan->sw : other, "an.end", &err);
	cable_cut(lan->port[3]);
	cable_join(end[0], end[2]);
	cable_join(end[1], end[3]);
	cable_join(end[4], &lan->sink[3]->port);

	assert_int_equal(send(lan, 0, 0xff, 0).reason, REASON_FLOOD_BROADCAST);
	/* each neighbour once, who is behind the loop twice, nobody for ever */
	assert_int_equal(lan->sink[0]->n, 0);
	assert_int_equal(lan->sink[1]->n, 1);
	assert_int_equal(lan->sink[2]->n, 1);
	assert_int_equal(lan->sink[3]->n, 2);
	assert_int_equal(switch_node(lan->sw)->count[DROP_LOOP], 2);
	/* what went round did not teach the switch a wrong port */
	assert_ptr_equal(send(lan, 1, 0, 1).out, lan->port[0]);
	assert_int_equal(send(lan, 3, 0, 3).reason, REASON_FORWARDED);
	switch_free(other);
}

static void
switch_cabled_to_itself_stops(void **state)
{
	struct lan *lan = *state;
	struct err err = { "" };
	struct port *a = switch_add_port(lan->sw, "lan.a", &err);
	struct port *b = switch_add_port(lan->sw, "lan.b", &err);

	cable_join(a, b);
	assert_int_equal(send(lan, 0, 0xff, 0).nout, 5);
	assert_int_equal(lan->sink[1]->n, 1);
	assert_int_equal(switch_node(lan->sw)->count[DROP_LOOP], 2);
	assert_ptr_equal(send(lan, 1, 0, 1).out, lan->port[0]);
}

static void
burst_that_goes_round_is_refused_frame_by_frame(void **state)
{
	struct lan *lan = *state;
	struct err err = { "" };
	uint8_t bytes[BURST_MAX][BYTES];
	struct burst burst;

	cable_join(switch_add_port(lan->sw, "lan.a", &err),
	    switch_add_port(lan->sw, "lan.b", &err));
	burst_clear(&burst);
	/* from the highest address in memory downwards, then upwards */
	for (int i = 0; i < BURST_MAX; i++) {
		int at = i % 2 == 0 ? BURST_MAX / 2 + i / 2
				    : BURST_MAX / 2 - 1 - i / 2;

		fill(bytes[at], 0xff, (uint8_t)i);
		burst_add(&burst, bytes[at], BYTES);
	}
	port_send(&lan->sink[0]->port, &burst);
	assert_int_equal(switch_node(lan->sw)->count[DROP_LOOP], 2 * BURST_MAX);
	assert_int_equal(lan->sink[1]->n, BURST_MAX);
}

/* Every switch joined to every other by two cables: a storm if anything is. */
#define MESH 9

static void
dense_mesh_of_switches_stops(void **state)
{
	struct lan *lan = *state;
	struct lan_switch *mesh[MESH];
	struct err err = { "" };
	uint64_t loops = 0, judged = 0;

	for (int i = 0; i < MESH; i++)
		mesh[i] = new_switch(lan->loop, "mesh", 0);
	for (int i = 0; i < MESH; i++)
		for (int k = 0; k < 2 * i; k++)
			cable_join(switch_add_port(mesh[i], "mesh.up", &err),
			    switch_add_port(mesh[k / 2], "mesh.down", &err));
	cable_cut(lan->port[0]);
	cable_join(
	    switch_add_port(mesh[0], "mesh.s0", &err), &lan->sink[0]->port);
	assert_int_equal(send(lan, 0, 0xff, 0).reason, REASON_FLOOD_BROADCAST);
	for (int i = 0; i < MESH; i++) {
		judged += node_total(switch_node(mesh[i]));
		loops += switch_node(mesh[i])->count[DROP_LOOP];
	}
	assert_true(loops > 0);
	/* what the bound let through, and a few refused behind it */
	assert_in_range(judged, PORT_SENDS_MAX - 1, PORT_SENDS_MAX + 1000);
	for (int i = 0; i < MESH; i++)
		switch_free(mesh[i]);
}

/* A chain of as many switches as a frame can pass. */
static void
long_chain_of_switches_works_up_to_the_bound(void **state)
{
	struct lan *lan = *state;
	struct lan_switch *chain[PORT_NESTED_MAX + 1];
	struct port *end = &lan->sink[0]->port;
	struct err err = { "" };

	cable_cut(lan->port[0]);
	cable_cut(lan->port[3]);
	for (int i = 0; i <= PORT_NESTED_MAX; i++) {
		chain[i] = new_switch(lan->loop, "chain", 0);
		cable_join(end, switch_add_port(chain[i], "chain.in", &err));
		end = switch_add_port(chain[i], "chain.out", &err);
		if (i == PORT_NESTED_MAX - 2)
			cable_join(switch_add_port(chain[i], "chain.s", &err),
			    &lan->sink[3]->port);
	}
	cable_join(end, lan->port[0]);
	send(lan, 0, 0xff, 0);
	assert_int_equal(lan->sink[3]->n, 1);
	assert_int_equal(lan->sink[1]->n, 0);
	assert_int_equal(
	    switch_node(chain[PORT_NESTED_MAX - 1])->count[DROP_LOOP], 1);
	for (int i = 0; i <= PORT_NESTED_MAX; i++)
		switch_free(chain[i]);
}

static void
every_frame_gets_one_verdict(void **state)
{
	struct lan *lan = *state;
	uint64_t judged = node_total(switch_node(lan->sw)), in = 0;
	uint64_t random = 3;

	for (int i = 0; i < 5000; i++) {
		random = random * UINT64_C(6364136223846793005) + 1;
		send(lan, (int)(random >> 40) % NSINKS,
		    (uint8_t)(random >> 48) & 0xf, (uint8_t)(random >> 56) & 7);
		if (i % 100 == 99)
			forget(lan);
	}
	for (int i = 0; i < NSINKS; i++)
		in += lan->port[i]->in_frames;
	judged = node_total(switch_node(lan->sw)) - judged;
	assert_int_equal(in, 5000);
	assert_int_equal(judged, 5000);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(unknown_destination_is_flooded_to_all_but_the_source),
		TEST(learned_destination_gets_the_frame_alone),
		TEST(frames_out_point_at_the_verdict_that_caused_them),
		TEST(verdict_stays_the_switchs_when_all_refuse),
		TEST(group_addresses_are_flooded_but_reserved_ones_end_here),
		TEST(
		    group_source_and_short_frames_are_refused_and_teach_nothing),
		TEST(destination_behind_the_same_port_is_filtered),
		TEST(station_that_moved_is_found_at_its_new_port),
		TEST(silent_station_ages_out),
		TEST(burst_is_sent_once_a_port_and_in_order),
		TEST(unicast_burst_is_sent_once_a_port_and_in_order),
		TEST(offload_marks_pass_the_switch),
		TEST(port_that_does_not_offload_gets_finished_frames),
		TEST(last_port_has_nobody_to_flood_to),
		TEST(ports_that_are_down_get_no_floods_and_keep_no_addresses),
		TEST(removed_port_is_forgotten_and_its_place_used_again),
		TEST(full_table_keeps_the_quiet_ports_addresses),
		TEST(too_large_a_table_is_refused_with_its_number),
		TEST(addresses_can_be_listed),
		TEST(answers_come_back_while_the_burst_is_still_being_sent),
		TEST(loop_of_two_cables_delivers_and_stops),
		TEST(switch_cabled_to_itself_stops),
		TEST(burst_that_goes_round_is_refused_frame_by_frame),
		TEST(dense_mesh_of_switches_stops),
		TEST(long_chain_of_switches_works_up_to_the_bound),
		TEST(every_frame_gets_one_verdict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
