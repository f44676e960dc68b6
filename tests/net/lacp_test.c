#include "net/lacp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/net/exact.h"

static const struct mac us = { { 0x52, 0x54, 0, 0x12, 0x34, 0x56 } };

/* As a Linux bond sends it, from the EtherType's end on. */
static const uint8_t linux_pdu[LACP_PDU_BYTES] = { 0x01, 0x01, 0x01, 0x14, 0xff,
	0xff, 0x52, 0x54, 0x00, 0xaa, 0xbb, 0xcc, 0x00, 0x0f, 0x00, 0xff, 0x00,
	0x01, 0x3d, 0x00, 0x00, 0x00, 0x02, 0x14, 0x80, 0x00, 0x52, 0x54, 0x00,
	0x12, 0x34, 0x56, 0x00, 0x07, 0x80, 0x00, 0x00, 0x02, 0x3f, 0x00, 0x00,
	0x00, 0x03, 0x10, 0x12, 0x34 };

static const uint8_t marker[] = { 0x02, 0x01, 0x01, 0x10, 0x00, 0x05, 0x52,
	0x54, 0x00, 0xaa, 0xbb, 0xcc, 0x01, 0x02, 0x03, 0x04, 0x00, 0x00 };

static enum reason
parse(struct slow *slow, const uint8_t *bytes, size_t len)
{
	struct exact e = exact(bytes, len);
	enum reason reason = slow_parse(slow, &e.c);

	exact_free(&e);
	return reason;
}

static void
a_pdu_is_read(void **state)
{
	char text[LACP_STATE_TEXT_BYTES];
	struct slow s;

	(void)state;
	assert_int_equal(parse(&s, linux_pdu, sizeof(linux_pdu)), DROP_NONE);
	assert_int_equal(s.kind, SLOW_LACP);
	assert_int_equal(s.lacp.actor.system_priority, 0xffff);
	assert_int_equal(s.lacp.actor.system.b[5], 0xcc);
	assert_int_equal(s.lacp.actor.key, 15);
	assert_int_equal(s.lacp.actor.port_priority, 255);
	assert_int_equal(s.lacp.actor.port, 1);
	assert_string_equal(
	    lacp_state_text(text, s.lacp.actor.state), "A-GSCD--");
	assert_true(mac_equal(&s.lacp.partner.system, &us));
	assert_int_equal(s.lacp.partner.port, 2);
	assert_int_equal(s.lacp.partner.state, 0x3f);
	assert_int_equal(s.lacp.max_delay_10us, 0x1234);
}

static void
a_marker_is_read(void **state)
{
	uint8_t bytes[sizeof(marker)];
	struct slow s;

	(void)state;
	assert_int_equal(parse(&s, marker, sizeof(marker)), DROP_NONE);
	assert_int_equal(s.kind, SLOW_MARKER);
	assert_false(s.marker.response);
	assert_int_equal(s.marker.port, 5);
	assert_int_equal(s.marker.transaction, 0x01020304);
	memcpy(bytes, marker, sizeof(bytes));
	bytes[2] = 2;
	assert_int_equal(parse(&s, bytes, sizeof(bytes)), DROP_NONE);
	assert_true(s.marker.response);
}

static void
what_is_written_is_read_again(void **state)
{
	uint8_t frame[LACP_FRAME_BYTES + 1];
	struct writer w = writer(frame, LACP_FRAME_BYTES);
	struct slow s, again;

	(void)state;
	assert_int_equal(parse(&s, linux_pdu, sizeof(linux_pdu)), DROP_NONE);
	slow_write(&w, &us, &s);
	assert_false(w.overrun);
	assert_int_equal(wr_left(&w), 0);
	assert_memory_equal(frame, &lacp_group, 6);
	assert_memory_equal(frame + 6, &us, 6);
	assert_int_equal(get_be16(frame + 12), 0x8809);
	assert_memory_equal(frame + 14, linux_pdu, sizeof(linux_pdu));

	assert_int_equal(parse(&s, marker, sizeof(marker)), DROP_NONE);
	s.marker.response = true;
	w = writer(frame, LACP_FRAME_BYTES);
	slow_write(&w, &us, &s);
	assert_int_equal(wr_left(&w), 0);
	assert_int_equal(parse(&again, frame + 14, LACP_PDU_BYTES), DROP_NONE);
	assert_true(again.marker.response);
	assert_int_equal(again.marker.transaction, s.marker.transaction);

	w = writer(frame, LACP_FRAME_BYTES - 1);
	slow_write(&w, &us, &s);
	assert_true(w.overrun);
}

static void
what_contradicts_itself_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum reason reason;
	} wrong[] = {
		{ 0, 3, DROP_SLOW_SUBTYPE }, /* OAM */
		{ 1, 2, DROP_NONE },         /* a later version */
		{ 2, 2, DROP_LACP }, { 3, 19, DROP_LACP }, { 22, 1, DROP_LACP },
		{ 23, 21, DROP_LACP }, { 42, 0, DROP_LACP },
		{ 43, 15, DROP_LACP }, { 58, 7, DROP_NONE }, /* reserved */
	};
	struct slow s;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		uint8_t bytes[LACP_PDU_BYTES];

		memcpy(bytes, linux_pdu, sizeof(bytes));
		bytes[wrong[i].at] = wrong[i].value;
		assert_int_equal(
		    parse(&s, bytes, sizeof(bytes)), wrong[i].reason);
	}
	for (size_t n = 0; n < 58; n++)
		assert_int_equal(parse(&s, linux_pdu, n), DROP_SHORT);
	for (size_t n = 58; n < LACP_PDU_BYTES; n++)
		assert_int_equal(parse(&s, linux_pdu, n), DROP_NONE);
	for (size_t n = 0; n < sizeof(marker); n++)
		assert_int_equal(parse(&s, marker, n), DROP_SHORT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pdu_is_read),
		cmocka_unit_test(a_marker_is_read),
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(what_contradicts_itself_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
