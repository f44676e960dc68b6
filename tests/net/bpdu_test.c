#include "net/bpdu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/eth.h"
#include "tests/net/exact.h"

/* From the length field on, as a bridge of the Linux kernel sends it. */
static const uint8_t config[] = { 0x00, 0x26, 0x42, 0x42, 0x03, 0x00, 0x00,
	0x00, 0x00, 0x01, 0x80, 0x00, 0x52, 0x54, 0x00, 0x00, 0x00, 0x01, 0x00,
	0x00, 0x00, 0x64, 0x80, 0x00, 0x52, 0x54, 0x00, 0x00, 0x00, 0x02, 0x80,
	0x03, 0x01, 0x00, 0x14, 0x00, 0x02, 0x00, 0x0f, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00 };
static const uint8_t tcn[] = { 0x00, 0x07, 0x42, 0x42, 0x03, 0x00, 0x00, 0x00,
	0x80 };
static const uint8_t rst[] = { 0x00, 0x27, 0x42, 0x42, 0x03, 0x00, 0x00, 0x02,
	0x02, 0x7c, 0x10, 0x00, 0x52, 0x54, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,
	0x4e, 0x20, 0x80, 0x00, 0x52, 0x54, 0x00, 0x00, 0x00, 0x02, 0x80, 0x01,
	0x01, 0x00, 0x14, 0x00, 0x02, 0x00, 0x0f, 0x00, 0x00 };

static enum reason
parse(struct bpdu *bpdu, const uint8_t *bytes, size_t len)
{
	struct exact e = exact(bytes, len);
	enum reason reason = bpdu_parse(bpdu, &e.c);

	exact_free(&e);
	return reason;
}

static void
a_configuration_bpdu_is_read(void **state)
{
	struct bpdu b;

	(void)state;
	assert_int_equal(parse(&b, config, sizeof(config)), DROP_NONE);
	assert_int_equal(b.type, BPDU_TYPE_CONFIG);
	assert_int_equal(b.version, BPDU_STP);
	assert_int_equal(b.flags, BPDU_TC);
	assert_int_equal(b.root, 0x8000525400000001);
	assert_int_equal(b.external_cost, 100);
	assert_int_equal(b.bridge, 0x8000525400000002);
	assert_int_equal(b.port, 0x8003);
	assert_int_equal(b.message_age, 1 * BPDU_SECOND);
	assert_int_equal(b.max_age, 20 * BPDU_SECOND);
	assert_int_equal(b.hello, 2 * BPDU_SECOND);
	assert_int_equal(b.forward_delay, 15 * BPDU_SECOND);
}

static void
a_tcn_and_an_rst_bpdu_are_read(void **state)
{
	struct bpdu b;

	(void)state;
	assert_int_equal(parse(&b, tcn, sizeof(tcn)), DROP_NONE);
	assert_int_equal(b.type, BPDU_TYPE_TCN);
	assert_int_equal(parse(&b, rst, sizeof(rst)), DROP_NONE);
	assert_int_equal(b.type, BPDU_TYPE_RST);
	assert_int_equal(b.version, BPDU_RSTP);
	assert_int_equal(b.flags & BPDU_ROLE, BPDU_ROLE_DESIGNATED);
	assert_true(b.flags & BPDU_AGREEMENT);
	assert_int_equal(b.root, 0x1000525400000001);
	assert_int_equal(b.external_cost, 20000);
}

static struct bpdu
some_mst(unsigned int nmstis)
{
	struct bpdu b = {
		.type = BPDU_TYPE_RST,
		.version = BPDU_MSTP,
		.flags = BPDU_ROLE_ROOT | BPDU_AGREEMENT,
		.root = 0x1000525400000001,
		.external_cost = 7,
		.bridge = 0x2000525400000002,
		.port = 0x8005,
		.message_age = 256,
		.max_age = 5120,
		.hello = 512,
		.forward_delay = 3840,
		.region = { .name = "campus",
		    .revision = 3,
		    .digest = { 1, 2, 3, 16 } },
		.internal_cost = 9,
		.sender = 0x8000525400000003,
		.hops = 19,
		.nmstis = nmstis,
	};

	for (unsigned int i = 0; i < nmstis; i++)
		b.msti[i] = (struct bpdu_msti){
			.flags = BPDU_ROLE_DESIGNATED,
			.regional_root = 0x8001525400000003 + i,
			.internal_cost = i,
			.bridge_priority = 0x80,
			.port_priority = 0x70,
			.hops = (uint8_t)i,
		};
	return b;
}

static size_t
write(uint8_t *out, size_t room, const struct bpdu *b)
{
	const struct mac src = { { 2, 0, 0, 0, 0, 1 } };
	struct writer w = writer(out, room);

	bpdu_write(&w, &src, b);
	assert_false(w.overrun);
	return (size_t)(w.at - out);
}

static void
what_is_written_is_read_again(void **state)
{
	static const unsigned int counts[] = { 0, 1, 2, BPDU_MAX_MSTIS };
	uint8_t out[BPDU_FRAME_BYTES];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct bpdu b = some_mst(counts[i]), c;
		size_t len = write(out, sizeof(out), &b);

		memset(&c, 0, sizeof(c));
		assert_memory_equal(out, bpdu_group.b, 6);
		assert_int_equal(parse(&c, out + 12, len - 12), DROP_NONE);
		assert_memory_equal(&b, &c, sizeof(b));
	}
}

static void
short_frames_are_padded_and_say_their_length(void **state)
{
	const struct bpdu b = { .type = BPDU_TYPE_TCN };
	uint8_t out[BPDU_FRAME_BYTES];

	(void)state;
	assert_int_equal(write(out, sizeof(out), &b), ETH_MIN_BYTES);
	assert_memory_equal(out + 12, tcn, sizeof(tcn));
}

static void
cut_off_anywhere_it_is_refused(void **state)
{
	struct bpdu b;

	(void)state;
	for (size_t n = 0; n < 2 + 38; n++)
		assert_int_equal(parse(&b, config, n), DROP_SHORT);
	for (size_t n = 0; n < sizeof(tcn); n++)
		assert_int_equal(parse(&b, tcn, n), DROP_SHORT);
	/* the frame is long enough, its length field says otherwise */
	for (uint8_t n = 0; n < 38; n++) {
		uint8_t bytes[sizeof(config)];

		memcpy(bytes, config, sizeof(bytes));
		bytes[1] = n;
		assert_int_equal(parse(&b, bytes, sizeof(bytes)), DROP_SHORT);
	}
}

static void
nonsense_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = {
		{ 0, 0x08 },  /* an EtherType */
		{ 2, 0xaa },  /* SNAP */
		{ 4, 0x00 },  /* not unnumbered information */
		{ 5, 0x01 },  /* another protocol */
		{ 8, 0x01 },  /* no such type */
		{ 32, 0x14 }, /* as old as can be */
	};
	uint8_t bytes[0x900] = { 0 };
	struct bpdu b;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(bytes, config, sizeof(config));
		bytes[bad[i].at] = bad[i].value;
		assert_int_equal(parse(&b, bytes, sizeof(bytes)), DROP_BPDU);
	}
	/* an RST BPDU of version 1 */
	memcpy(bytes, rst, sizeof(rst));
	bytes[7] = 1;
	assert_int_equal(parse(&b, bytes, sizeof(rst)), DROP_BPDU);
}

/* 802.1Q-2018, 14.4: what is not sound beyond the RST BPDU is not read. */
static void
an_unsound_mst_bpdu_is_an_rst_bpdu(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = {
		{ 40, 1 },   /* version 1 length */
		{ 42, 95 },  /* not a whole number of instances */
		{ 42, 48 },  /* none of it */
		{ 42, 112 }, /* one more than there is */
		{ 41, 5 },
	};
	uint8_t out[BPDU_FRAME_BYTES];
	struct bpdu b = some_mst(2), c;
	size_t len = write(out, sizeof(out), &b);

	(void)state;
	assert_int_equal(out[12 + 42], 96);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t was = out[12 + bad[i].at];

		out[12 + bad[i].at] = bad[i].value;
		assert_int_equal(parse(&c, out + 12, len - 12), DROP_NONE);
		assert_int_equal(c.version, BPDU_RSTP);
		assert_int_equal(c.nmstis, 0);
		assert_int_equal(c.root, b.root);
		out[12 + bad[i].at] = was;
	}
	/* a later version than we know */
	out[12 + 7] = 4;
	assert_int_equal(parse(&c, out + 12, len - 12), DROP_NONE);
	assert_int_equal(c.version, BPDU_MSTP);
	assert_int_equal(c.nmstis, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_configuration_bpdu_is_read),
		cmocka_unit_test(a_tcn_and_an_rst_bpdu_are_read),
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(short_frames_are_padded_and_say_their_length),
		cmocka_unit_test(cut_off_anywhere_it_is_refused),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(an_unsound_mst_bpdu_is_an_rst_bpdu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
