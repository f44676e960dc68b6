#include "net/lldp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/net/exact.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

static const struct mac us = { { 0x52, 0x54, 0, 0x12, 0x34, 0x56 } };

/* chassis MAC, port "eth0", 120 s */
#define MANDATORY                                                           \
	0x02, 0x07, 4, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 0x04, 0x05, 5, 'e', \
	    't', 'h', '0', 0x06, 0x02, 0, 120
#define END 0, 0

static enum reason
parse(struct lldp *lldp, const uint8_t *bytes, size_t len)
{
	struct exact e = exact(bytes, len);
	enum reason reason = lldp_parse(lldp, &e.c);

	/* only counts may be looked at: the bytes are gone */
	exact_free(&e);
	return reason;
}

static struct lldp_bytes
text(const char *s)
{
	return (struct lldp_bytes){ (const uint8_t *)s, (uint16_t)strlen(s) };
}

static void
what_is_written_is_read_again(void **state)
{
	static const uint8_t ip4[4] = { 10, 0, 0, 1 };
	struct lldp l = {
		.chassis = { LLDP_CHASSIS_MAC, { us.b, 6 } },
		.port = { LLDP_PORT_IFNAME, text("lan.alice.eth0") },
		.ttl_s = 121,
		.port_description = text("to alice"),
		.name = text("lan"),
		.description = text("a switch"),
		.has_capabilities = true,
		.capabilities = LLDP_CAN_BRIDGE | LLDP_CAN_ROUTER,
		.enabled = LLDP_CAN_BRIDGE,
		.mgmt = { { LLDP_FAMILY_IP4, { ip4, 4 }, LLDP_IFNUMBER_IFINDEX,
		    7 } },
		.nmgmt = 1,
		.has_pvid = true,
		.pvid = 10,
		.vlan = { { 10, text("red") }, { 20, text("") } },
		.nvlans = 2,
		.max_frame_bytes = 1522,
		.has_aggregation = true,
		.has_old_aggregation = true,
		.aggregation = 3,
		.aggregation_port = 42,
	}, r;
	uint8_t frame[512];
	struct writer w = writer(frame, sizeof(frame));
	char t[300];
	struct cursor c;

	(void)state;
	lldp_write(&w, &us, &l);
	assert_false(w.overrun);
	assert_memory_equal(frame, &lldp_group, 6);
	assert_int_equal(get_be16(frame + 12), 0x88cc);
	c = cursor(frame + 14, (size_t)(w.at - frame - 14));
	assert_int_equal(lldp_parse(&r, &c), DROP_NONE);
	assert_int_equal(r.wrong + r.beyond + r.unknown, 0);
	assert_string_equal(
	    lldp_chassis_text(t, sizeof(t), &r.chassis), "52:54:00:12:34:56");
	assert_string_equal(
	    lldp_port_text(t, sizeof(t), &r.port), "lan.alice.eth0");
	assert_int_equal(r.ttl_s, 121);
	assert_string_equal(
	    lldp_text(t, sizeof(t), &r.port_description), "to alice");
	assert_string_equal(lldp_text(t, sizeof(t), &r.name), "lan");
	assert_string_equal(
	    lldp_text(t, sizeof(t), &r.description), "a switch");
	assert_string_equal(
	    lldp_capabilities_text(t, sizeof(t), r.capabilities),
	    "bridge, router");
	assert_int_equal(r.enabled, LLDP_CAN_BRIDGE);
	assert_int_equal(r.nmgmt, 1);
	assert_string_equal(lldp_address_text(t, sizeof(t), r.mgmt[0].family,
				&r.mgmt[0].address),
	    "10.0.0.1");
	assert_int_equal(r.mgmt[0].number, 7);
	assert_true(r.has_pvid);
	assert_int_equal(r.pvid, 10);
	assert_int_equal(r.nvlans, 2);
	assert_int_equal(r.vlan[0].id, 10);
	assert_string_equal(lldp_text(t, sizeof(t), &r.vlan[0].name), "red");
	assert_int_equal(r.vlan[1].name.len, 0);
	assert_int_equal(r.max_frame_bytes, 1522);
	assert_true(r.has_aggregation && r.has_old_aggregation);
	assert_int_equal(r.aggregation, 3);
	assert_int_equal(r.aggregation_port, 42);

	/* each shorter room is too short */
	for (size_t n = 0; n < (size_t)(w.at - frame); n += 7) {
		struct writer small = writer(frame, n);

		lldp_write(&small, &us, &l);
		assert_true(small.overrun);
	}
}

static void
a_short_message_is_padded(void **state)
{
	struct lldp l = { .chassis = { LLDP_CHASSIS_MAC, { us.b, 6 } },
		.port = { LLDP_PORT_IFNAME, text("p") } };
	uint8_t frame[512];
	struct writer w = writer(frame, sizeof(frame));

	(void)state;
	lldp_write(&w, &us, &l);
	assert_int_equal(w.at - frame, 60);
}

static void
what_contradicts_itself_is_refused(void **state)
{
	static const struct {
		const char *what;
		uint8_t bytes[64];
		size_t len;
		enum reason reason;
	} t[] = {
		{ "as it should be", { MANDATORY, END }, 22, DROP_NONE },
		{ "no end", { MANDATORY }, 20, DROP_NONE },
		{ "padding", { MANDATORY, END, 1, 2, 3 }, 25, DROP_NONE },
		{ "an end with content", { MANDATORY, 0, 1, 9 }, 23,
		    DROP_LLDP },
		{ "a second chassis", { MANDATORY, 2, 2, 4, 1, END }, 26,
		    DROP_LLDP },
		{ "a second TTL", { MANDATORY, 6, 2, 0, 1, END }, 26,
		    DROP_LLDP },
		{ "port first", { 4, 2, 5, 'a', 2, 2, 4, 1, 6, 2, 0, 1, END },
		    14, DROP_LLDP },
		{ "no TTL", { 2, 2, 4, 1, 4, 2, 5, 'a', END }, 10, DROP_LLDP },
		{ "a chassis of no bytes",
		    { 2, 1, 4, 4, 2, 5, 'a', 6, 2, 0, 1, END }, 13, DROP_LLDP },
		{ "a TTL of one byte",
		    { 2, 2, 4, 1, 4, 2, 5, 'a', 6, 1, 1, END }, 13, DROP_LLDP },
		{ "a part beyond the end", { MANDATORY, 0x0a, 9, 'x' }, 23,
		    DROP_SHORT },
		{ "half a head", { MANDATORY, 0x0a }, 21, DROP_SHORT },
		{ "nothing", { 0 }, 0, DROP_SHORT },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(t); i++) {
		struct lldp l;
		enum reason reason = parse(&l, t[i].bytes, t[i].len);

		if (reason != t[i].reason)
			print_error("%s\n", t[i].what);
		assert_int_equal(reason, t[i].reason);
	}
}

static void
a_part_that_is_wrong_is_left_out(void **state)
{
	static const struct {
		uint8_t bytes[48];
		size_t len;
		unsigned int wrong, unknown;
	} t[] = {
		{ { MANDATORY, 0x0a, 1, 'a', 0x0a, 1, 'b', END }, 28, 1, 0 },
		{ { MANDATORY, 0x0e, 3, 0, 4, 0, END }, 27, 1, 0 },
		{ { MANDATORY, 0x10, 2, 1, 1, END }, 26, 1, 0 },
		/* an address that is longer than the part */
		{ { MANDATORY, 0x10, 9, 9, 1, 10, 0, 0, 1, 1, 0, 0, END }, 33,
		    1, 0 },
		{ { MANDATORY, 0xfe, 5, 0, 0x80, 0xc2, 1, 0, END }, 29, 1, 0 },
		{ { MANDATORY, 0xfe, 3, 0, 0x80, 0xc2, END }, 27, 1, 0 },
		/* of an organization that nobody here knows */
		{ { MANDATORY, 0xfe, 5, 0, 0x12, 0xbb, 1, 0, END }, 29, 0, 1 },
		{ { MANDATORY, 0x12, 1, 0, END }, 25, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(t); i++) {
		struct lldp l;

		assert_int_equal(parse(&l, t[i].bytes, t[i].len), DROP_NONE);
		assert_int_equal(l.wrong, t[i].wrong);
		assert_int_equal(l.unknown, t[i].unknown);
	}
}

static void
more_than_there_is_room_for_is_counted(void **state)
{
	static const uint8_t mandatory[] = { MANDATORY };
	static const uint8_t address[] = { 0x10, 12, 5, 1, 10, 0, 0, 1, 1, 0, 0,
		0, 0, 0 };
	static const uint8_t vlan[] = { 0xfe, 8, 0, 0x80, 0xc2, 3, 0, 10, 1,
		'x' };
	uint8_t bytes[512];
	struct writer w = writer(bytes, sizeof(bytes));
	struct lldp l;

	(void)state;
	wr_bytes(&w, mandatory, sizeof(mandatory));
	for (int i = 0; i < LLDP_MGMT_MAX + 3; i++)
		wr_bytes(&w, address, sizeof(address));
	for (int i = 0; i < LLDP_VLANS_MAX + 2; i++)
		wr_bytes(&w, vlan, sizeof(vlan));
	assert_int_equal(parse(&l, bytes, (size_t)(w.at - bytes)), DROP_NONE);
	assert_int_equal(l.nmgmt, LLDP_MGMT_MAX);
	assert_int_equal(l.nvlans, LLDP_VLANS_MAX);
	assert_int_equal(l.beyond, 5);
}

static void
text_of_the_neighbour_is_made_printable(void **state)
{
	static const uint8_t bad[] = { 'a', 0x1b, '[', 0xff, 'b' };
	static const uint8_t ip6[17] = { 2, 0xfe, 0x80, [16] = 1 };
	struct lldp_bytes b = { bad, sizeof(bad) };
	struct lldp_id id = { LLDP_PORT_ADDRESS, { ip6, 17 } };
	char t[64];

	(void)state;
	assert_string_equal(lldp_text(t, sizeof(t), &b), "a?[?b");
	assert_string_equal(lldp_text(t, 3, &b), "a?");
	assert_string_equal(lldp_port_text(t, sizeof(t), &id), "fe80::1");
	assert_string_equal(lldp_port_text(t, 5, &id), "fe80");
	id.id.len = 5; /* too short for its family */
	assert_string_equal(lldp_port_text(t, sizeof(t), &id), "????");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(a_short_message_is_padded),
		cmocka_unit_test(what_contradicts_itself_is_refused),
		cmocka_unit_test(a_part_that_is_wrong_is_left_out),
		cmocka_unit_test(more_than_there_is_room_for_is_counted),
		cmocka_unit_test(text_of_the_neighbour_is_made_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
