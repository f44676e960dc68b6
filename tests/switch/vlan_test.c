#include "switch/vlan.h"

#include <assert.h>
#include <errno.h>

#include "tests/switch/lan.h"

/* The ports of the switch, by what they are. */
enum {
	ACCESS10,
	ACCESS20,
	TRUNK,    /* 10 and 20, native 30 */
	PROVIDER, /* 10, tags 0x88a8 */
	TUNNEL10,
	CLEAR, /* transparent */
	NPORTS,
};

static_assert(NPORTS == LAN_SINKS, "one sink each");

static int
set_up(void **state)
{
	struct vlan_options options[NPORTS] = {
		[ACCESS10] = { .mode = VLAN_ACCESS, .vlan = 10 },
		[ACCESS20] = { .mode = VLAN_ACCESS, .vlan = 20 },
		[TRUNK] = { .mode = VLAN_TRUNK, .vlan = 30 },
		[PROVIDER] = { .mode = VLAN_TRUNK, .provider = true },
		[TUNNEL10] = { .mode = VLAN_TUNNEL, .vlan = 10 },
	};
	struct lan *lan;

	lan_set_up(state);
	lan = *state;
	vlan_set_add(&options[TRUNK].allowed, 10, 10);
	vlan_set_add(&options[TRUNK].allowed, 20, 20);
	vlan_set_add(&options[PROVIDER].allowed, 10, 10);
	for (int i = 0; i < NPORTS; i++)
		assert_int_equal(switch_set_vlan(lan->port[i], &options[i]), 0);
	return 0;
}

#define NO_TAG 0, 0

/* What came out of a port: "-" nothing, else its tags. */
static const char *
seen_at(struct lan *lan, int port, char out[32])
{
	const uint8_t *data;
	size_t used = 0, len, at = 12;

	if (lan->sink[port]->n == 0)
		return "-";
	assert_int_equal(lan->sink[port]->n, 1);
	data = lan->sink[port]->frame[0].data;
	len = lan->sink[port]->frame[0].len;
	out[0] = '\0';
	while (get_be16(data + at) != 0x88b6) {
		used += (size_t)snprintf(out + used, 32 - used, "%s%c%x",
		    used > 0 ? " " : "",
		    get_be16(data + at) == ETH_VLAN ? 'c' : 's',
		    get_be16(data + at + 2));
		at += 4;
	}
	/* what is behind the tags is as it was sent */
	assert_int_equal(len - at, LAN_BYTES - 12);
	for (size_t i = 2; i < len - at; i++)
		assert_int_equal(data[at + i], (uint8_t)(12 + i));
	return out;
}

static void
broadcasts_get_the_tags_that_each_port_wants(void **state)
{
	static const struct {
		int from;
		uint16_t tpid, tci;
		enum reason reason;
		const char *at[NPORTS];
	} rows[] = {
		{ ACCESS10, NO_TAG, REASON_FLOOD_BROADCAST,
		    { "-", "-", "ca", "sa", "", "ca" } },
		/* priority-tagged: the priority stays where a tag does */
		{ ACCESS10, ETH_VLAN, 0xa000, REASON_FLOOD_BROADCAST,
		    { "-", "-", "ca00a", "sa00a", "", "ca00a" } },
		{ ACCESS10, ETH_VLAN, 10, DROP_VLAN_TAGGED, { 0 } },
		/* another kind of tag is payload */
		{ ACCESS10, ETH_QINQ, 10, REASON_FLOOD_BROADCAST,
		    { "-", "-", "ca sa", "sa sa", "sa", "ca sa" } },
		{ ACCESS20, NO_TAG, REASON_FLOOD_BROADCAST,
		    { "-", "-", "c14", "-", "-", "c14" } },
		{ TRUNK, ETH_VLAN, 0x600a, REASON_FLOOD_BROADCAST,
		    { "", "-", "-", "s600a", "", "c600a" } },
		{ TRUNK, ETH_VLAN, 20, REASON_FLOOD_BROADCAST,
		    { "-", "", "-", "-", "-", "c14" } },
		{ TRUNK, NO_TAG, REASON_FLOOD_BROADCAST,
		    { "-", "-", "-", "-", "-", "c1e" } },
		{ TRUNK, ETH_VLAN, 30, REASON_FLOOD_BROADCAST,
		    { "-", "-", "-", "-", "-", "c1e" } },
		{ TRUNK, ETH_VLAN, 11, DROP_VLAN, { 0 } },
		{ TRUNK, ETH_VLAN, 4095, DROP_VLAN, { 0 } },
		{ PROVIDER, ETH_QINQ, 10, REASON_FLOOD_BROADCAST,
		    { "", "-", "ca", "-", "", "sa" } },
		{ PROVIDER, NO_TAG, DROP_VLAN_UNTAGGED, { 0 } },
		{ PROVIDER, ETH_VLAN, 10, DROP_VLAN_UNTAGGED, { 0 } },
		/* what a customer sends is wrapped whole */
		{ TUNNEL10, NO_TAG, REASON_FLOOD_BROADCAST,
		    { "", "-", "ca", "sa", "-", "sa" } },
		{ TUNNEL10, ETH_VLAN, 77, REASON_FLOOD_BROADCAST,
		    { "c4d", "-", "ca c4d", "sa c4d", "-", "sa c4d" } },
		{ TUNNEL10, ETH_QINQ, 77, REASON_FLOOD_BROADCAST,
		    { "s4d", "-", "ca s4d", "sa s4d", "-", "sa s4d" } },
		{ CLEAR, ETH_VLAN, 10, REASON_FLOOD_BROADCAST,
		    { "", "-", "ca", "sa", "", "-" } },
		{ CLEAR, ETH_QINQ, 10, REASON_FLOOD_BROADCAST,
		    { "", "-", "ca", "sa", "", "-" } },
		{ CLEAR, ETH_VLAN, 30, REASON_FLOOD_BROADCAST,
		    { "-", "-", "", "-", "-", "-" } },
		{ CLEAR, NO_TAG, DROP_NO_OTHER_PORT, { 0 } },
		{ CLEAR, ETH_VLAN, 4095, DROP_VLAN, { 0 } },
	};
	struct lan *lan = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verdict v;
		unsigned int nout = 0;

		lan_forget(lan);
		v = lan_send_tagged(lan, rows[i].from, 0xff,
		    (uint8_t)rows[i].from, rows[i].tpid, rows[i].tci);
		if (v.reason != rows[i].reason)
			fail_msg("row %zu: %s", i,
			    reason_name((enum reason)v.reason));
		for (int p = 0; p < NPORTS; p++) {
			const char *want =
			    rows[i].at[p] != NULL ? rows[i].at[p] : "-";
			char out[32];

			if (strcmp(seen_at(lan, p, out), want) != 0)
				fail_msg("row %zu, port %d: \"%s\"", i, p,
				    seen_at(lan, p, out));
			nout += want[0] != '-';
		}
		assert_int_equal(v.nout, nout);
	}
}

static void
addresses_are_learned_by_vlan(void **state)
{
	struct lan *lan = *state;
	struct verdict v;

	/* the same station behind two ports, in two VLANs */
	lan_send(lan, ACCESS10, 0xff, 7);
	lan_send(lan, ACCESS20, 0xff, 7);
	v = lan_send_tagged(lan, TRUNK, 7, 1, ETH_VLAN, 10);
	assert_int_equal(v.reason, REASON_FORWARDED);
	assert_ptr_equal(v.out, lan->port[ACCESS10]);
	v = lan_send_tagged(lan, TRUNK, 7, 1, ETH_VLAN, 20);
	assert_ptr_equal(v.out, lan->port[ACCESS20]);
	assert_int_equal(
	    lan_send(lan, TRUNK, 7, 1).reason, REASON_FLOOD_UNKNOWN);
	/* and what is known in one is not in the other */
	assert_int_equal(
	    lan_send(lan, ACCESS10, 1, 7).reason, REASON_FORWARDED);
	v = lan_send(lan, ACCESS20, 2, 7);
	assert_int_equal(v.reason, REASON_FLOOD_UNKNOWN);
}

static void
static_address_on_a_port_outside_its_vlan_is_refused(void **state)
{
	struct lan *lan = *state;
	const struct mac mac = { { 2, 0, 0, 0, 0, 50 } };

	assert_int_equal(switch_pin(lan->port[ACCESS20], &mac, 10), 0);
	assert_int_equal(lan_send(lan, ACCESS10, 50, 1).reason, DROP_VLAN_OUT);
	assert_int_equal(switch_unpin(lan->port[ACCESS20], &mac, 10), 0);
}

static void
switch_without_vlans_looks_at_no_tag(void **state)
{
	const struct vlan_options clear = { .mode = VLAN_TRANSPARENT };
	struct lan *lan = *state;
	struct verdict v;

	lan_send(lan, ACCESS10, 0xff, 0);
	for (int i = 0; i < NPORTS; i++)
		switch_set_vlan(lan->port[i], &clear);
	/* what was learned by VLAN is gone */
	assert_int_equal(lan_send(lan, 1, 0, 1).reason, REASON_FLOOD_UNKNOWN);
	lan_send_tagged(lan, 2, 0xff, 2, ETH_VLAN, 10);
	v = lan_send_tagged(lan, 1, 2, 1, ETH_VLAN, 20);
	assert_ptr_equal(v.out, lan->port[2]);
	v = lan_send_tagged(lan, 1, 2, 1, ETH_VLAN, 4095);
	assert_ptr_equal(v.out, lan->port[2]);
}

static void
tag_that_is_cut_off_is_short(void **state)
{
	struct lan *lan = *state;
	uint8_t bytes[LAN_BYTES + 4];

	lan_fill(bytes, LAN_BYTES, 0xff, 1);
	lan_tag(bytes, LAN_BYTES, ETH_VLAN, 10);
	for (size_t len = 0; len < 18; len++)
		assert_int_equal(
		    lan_send_bytes(lan, TRUNK, bytes, len).reason, DROP_SHORT);
	assert_int_equal(lan_send_bytes(lan, TRUNK, bytes, 18).reason,
	    REASON_FLOOD_BROADCAST);
	/* untagged ones of the least length get theirs */
	lan_fill(bytes, LAN_BYTES, 0xff, 1);
	lan_forget(lan);
	for (size_t len = 14; len < 20; len++) {
		lan_forget(lan);
		lan_send_bytes(lan, ACCESS10, bytes, len);
		assert_int_equal(lan->sink[TRUNK]->frame[0].len, len + 4);
		assert_memory_equal(
		    lan->sink[TRUNK]->frame[0].data + 16, bytes + 12, len - 12);
	}
}

static void
vlans_out_of_range_are_refused(void **state)
{
	struct lan *lan = *state;
	struct vlan_options o = { .mode = VLAN_ACCESS }, was;

	switch_get_vlan(lan->port[0], &was);
	assert_int_equal(was.mode, VLAN_ACCESS);
	assert_int_equal(was.vlan, 10);
	assert_int_equal(switch_set_vlan(lan->port[0], &o), -EINVAL);
	o.vlan = 4095;
	assert_int_equal(switch_set_vlan(lan->port[0], &o), -EINVAL);
	o.mode = VLAN_TUNNEL;
	assert_int_equal(switch_set_vlan(lan->port[0], &o), -EINVAL);
	o.mode = VLAN_TRUNK;
	assert_int_equal(switch_set_vlan(lan->port[0], &o), -EINVAL);
	o.vlan = 0;
	assert_int_equal(switch_set_vlan(lan->port[0], &o), 0);
}

static void
providers_pass_customers_protocols_by_the_table(void **state)
{
	struct lan *lan = *state;

	for (uint8_t last = 0; last < 16; last++) {
		uint8_t bytes[LAN_BYTES];
		bool passes = last == 0 || last == 0xb || last == 0xc ||
		    last == 0xd || last == 0xf;

		lan_fill(bytes, sizeof(bytes), 0, 1);
		memcpy(bytes, "\x01\x80\xc2\0\0", 5);
		bytes[5] = last;
		assert_int_equal(
		    lan_send_bytes(lan, TUNNEL10, bytes, sizeof(bytes)).reason,
		    passes ? REASON_FLOOD_GROUP : DROP_RESERVED);
		assert_int_equal(
		    lan_send_bytes(lan, ACCESS10, bytes, sizeof(bytes)).reason,
		    DROP_RESERVED);
	}
}

/* ---- frames in pieces, and with work left to do ---- */

#define LONG 5000

/* The frame as head, and a tail in pieces. */
struct pieces {
	uint8_t bytes[LONG];
	struct iovec tail[20];
	struct burst burst;
};

static void
cut_up(struct pieces *p, uint32_t head, unsigned int ntail)
{
	struct frame *frame;
	uint32_t at = head, each = (LONG - head) / (ntail > 0 ? ntail : 1);

	lan_fill(p->bytes, LONG, 0xff, 1);
	burst_clear(&p->burst);
	frame = burst_add(&p->burst, p->bytes, LONG);
	frame->head = head;
	frame->ntail = (uint16_t)ntail;
	frame->tail = p->tail;
	for (unsigned int i = 0; i < ntail; i++) {
		p->tail[i] = (struct iovec){ p->bytes + at,
			i == ntail - 1 ? LONG - at : each };
		at += each;
	}
}

static void
long_frames_keep_every_byte(void **state)
{
	static const struct {
		uint32_t head;
		unsigned int ntail;
	} rows[] = { { LONG, 0 }, { 256, 1 }, { 256, 20 }, { 259, 2 },
		{ 260, 2 }, { 261, 3 }, { 1000, 3 }, { 4999, 1 } };
	static struct pieces p;
	struct lan *lan = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct sink_frame *f;

		lan_forget(lan);
		cut_up(&p, rows[i].head, rows[i].ntail);
		port_send(&lan->sink[ACCESS10]->port, &p.burst);
		f = &lan->sink[TRUNK]->frame[0];
		assert_int_equal(f->len, LONG + 4);
		assert_memory_equal(f->data, p.bytes, 12);
		assert_memory_equal(f->data + 12, "\x81\0\0\x0a", 4);
		assert_memory_equal(f->data + 16, p.bytes + 12, LONG - 12);
		/* and without its tag again */
		lan_tag(p.bytes, LONG - 4, ETH_VLAN, 10);
		lan_forget(lan);
		port_send(&lan->sink[TRUNK]->port, &p.burst);
		f = &lan->sink[ACCESS10]->frame[0];
		assert_int_equal(f->len, LONG - 4);
		assert_memory_equal(f->data, p.bytes, 12);
		assert_memory_equal(f->data + 12, p.bytes + 16, LONG - 16);
	}
}

static void
full_bursts_of_pieces_arrive_in_order(void **state)
{
	static struct pieces p;
	static uint8_t head[BURST_MAX][256];
	struct lan *lan = *state;
	struct iovec tail[20];

	cut_up(&p, 256, 20);
	memcpy(tail, p.tail, sizeof(tail));
	burst_clear(&p.burst);
	for (unsigned int i = 0; i < BURST_MAX; i++) {
		struct frame *frame;

		memcpy(head[i], p.bytes, sizeof(head[i]));
		head[i][100] = (uint8_t)i;
		frame = burst_add(&p.burst, head[i], LONG);
		frame->head = 256;
		frame->tail = tail;
		frame->ntail = 20;
	}
	port_send(&lan->sink[ACCESS10]->port, &p.burst);
	assert_int_equal(lan->sink[TRUNK]->n, BURST_MAX);
	for (unsigned int i = 0; i < BURST_MAX; i++) {
		const struct sink_frame *f = &lan->sink[TRUNK]->frame[i];

		assert_int_equal(f->len, LONG + 4);
		assert_int_equal(f->data[104], i);
		assert_memory_equal(f->data + 260, p.bytes + 256, LONG - 256);
		assert_int_equal(
		    p.burst.frame[i].verdict.reason, REASON_FLOOD_BROADCAST);
	}
}

static void
offloads_move_with_the_tag(void **state)
{
	struct lan *lan = *state;
	struct frame *frame;
	struct sink *sink = lan->sink[TRUNK];
	uint8_t bytes[LAN_BYTES];
	struct burst burst;

	/* the sum over what is behind byte 34 belongs at byte 50 */
	sink->port.accepts = 0;
	lan_fill(bytes, sizeof(bytes), 0xff, 1);
	bytes[50] = bytes[51] = 0;
	burst_clear(&burst);
	frame = burst_add(&burst, bytes, sizeof(bytes));
	frame->flags = burst.flags = FRAME_CSUM;
	frame->csum_start = 34;
	frame->csum_offset = 16;
	port_send(&lan->sink[ACCESS10]->port, &burst);
	assert_int_equal(sink->n, 1);
	assert_int_equal(sink->frame[0].len, sizeof(bytes) + 4);
	assert_true(sink->frame[0].data[54] != 0);
	assert_int_equal(sink->frame[0].data[50], bytes[46]);
	/* whole to who can do it itself */
	lan_forget(lan);
	sink->port.accepts = FRAME_TODO;
	frame->flags = burst.flags = FRAME_CSUM | FRAME_TSO4;
	frame->header_bytes = 54;
	frame->gso_bytes = 8;
	port_send(&lan->sink[ACCESS10]->port, &burst);
	assert_int_equal(sink->frame[0].flags, FRAME_CSUM | FRAME_TSO4);
	/* one that begins within the tag, or before, is nonsense */
	lan_forget(lan);
	for (uint16_t start = 0; start < 14; start++) {
		frame->csum_start = start;
		frame->flags = burst.flags = FRAME_CSUM;
		port_send(&lan->sink[ACCESS10]->port, &burst);
	}
	assert_int_equal(sink->n, 0);
	assert_int_equal(switch_node(lan->sw)->count[DROP_VNET_HEADER], 14 * 3);
}

static void
cable_between_two_vlans_is_no_loop(void **state)
{
	struct vlan_options access = { .mode = VLAN_ACCESS, .vlan = 10 };
	struct lan *lan = *state;
	struct err err = { "" };
	struct port *a = switch_add_port(lan->sw, "lan.a", &err);
	struct port *b = switch_add_port(lan->sw, "lan.b", &err);

	switch_set_vlan(a, &access);
	access.vlan = 20;
	switch_set_vlan(b, &access);
	cable_join(a, b);
	lan_send(lan, ACCESS10, 0xff, 1);
	assert_int_equal(lan->sink[ACCESS20]->n, 1);
	assert_int_equal(switch_node(lan->sw)->count[DROP_LOOP], 0);
	assert_int_equal(
	    lan_send(lan, ACCESS20, 1, 2).reason, REASON_FORWARDED);
	assert_int_equal(lan->sink[ACCESS10]->n, 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, lan_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(broadcasts_get_the_tags_that_each_port_wants),
		TEST(addresses_are_learned_by_vlan),
		TEST(static_address_on_a_port_outside_its_vlan_is_refused),
		TEST(switch_without_vlans_looks_at_no_tag),
		TEST(tag_that_is_cut_off_is_short),
		TEST(vlans_out_of_range_are_refused),
		TEST(providers_pass_customers_protocols_by_the_table),
		TEST(long_frames_keep_every_byte),
		TEST(full_bursts_of_pieces_arrive_in_order),
		TEST(offloads_move_with_the_tag),
		TEST(cable_between_two_vlans_is_no_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
