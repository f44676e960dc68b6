#include "net/tcp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "net/checksum.h"
#include "tests/net/exact.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

static const struct ip4 ip = { .src = 0x0a000064, .dst = 0xcb00710a };

/* A SYN with MSS 1460, and then "data".  seal() fills in the checksum. */
static const uint8_t sample[28] = { 0x9c, 0x40, 0x00, 0x50, 0x01, 0x02, 0x03,
	0x04, 0x05, 0x06, 0x07, 0x08, 0x60, 0x02, 0xfa, 0xf0, 0x00, 0x00, 0x12,
	0x34, 0x02, 0x04, 0x05, 0xb4, 'd', 'a', 't', 'a' };

static void
seal(uint8_t *data, size_t len)
{
	put_be16(data + TCP_OFF_CHECKSUM, 0);
	put_be16(data + TCP_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(
		csum_pseudo4(ip.src, ip.dst, IP_TCP, (uint16_t)len), data,
		len)));
}

static struct exact
sealed(const uint8_t *bytes, size_t len)
{
	struct exact e = exact(bytes, len);

	if (len >= TCP_HEADER_BYTES)
		seal(e.data, len);
	return e;
}

static void
a_segment_is_read(void **state)
{
	struct exact e = sealed(sample, sizeof(sample));
	struct tcp tcp;

	(void)state;
	assert_int_equal(tcp_parse(&tcp, &e.c, &ip, false), DROP_NONE);
	assert_int_equal(tcp.sport, 40000);
	assert_int_equal(tcp.dport, 80);
	assert_int_equal(tcp.seq, 0x01020304);
	assert_int_equal(tcp.ack, 0x05060708);
	assert_int_equal(tcp.flags, TCP_SYN);
	assert_int_equal(tcp.header_bytes, 24);
	assert_int_equal(tcp.window, 64240);
	assert_int_equal(tcp.checksum, get_be16(e.data + TCP_OFF_CHECKSUM));
	assert_int_equal(tcp.urgent, 0x1234);
	assert_int_equal(tcp.mss, 1460);
	assert_int_equal(tcp.data_bytes, 4);
	assert_memory_equal(tcp.data, "data", 4);
	assert_int_equal(cur_left(&e.c), 0);
	exact_free(&e);
}

static void
segments_cut_off_anywhere_are_refused(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(sample); len++) {
		struct exact e = exact(sample, len);
		struct tcp tcp = { .seq = 77 };
		enum reason want = len < TCP_HEADER_BYTES ? DROP_SHORT
		    : len < 24                            ? DROP_L4_HEADER
							  : DROP_L4_CHECKSUM;

		assert_int_equal(tcp_parse(&tcp, &e.c, &ip, false), want);
		assert_int_equal(tcp.seq, 77);
		exact_free(&e);
	}
}

static void
header_lengths_that_lie_are_refused(void **state)
{
	(void)state;
	for (uint8_t words = 0; words < 16; words++) {
		struct exact e = exact(sample, sizeof(sample));
		struct tcp tcp;

		e.data[12] = (uint8_t)(words << 4 | 0xf);
		assert_int_equal(tcp_parse(&tcp, &e.c, &ip, true),
		    words < 5 || words > 7 ? DROP_L4_HEADER : DROP_NONE);
		exact_free(&e);
	}
}

static void
every_wrong_checksum_is_refused_unless_trusted(void **state)
{
	struct exact e = sealed(sample, sizeof(sample));
	const uint16_t right = get_be16(e.data + TCP_OFF_CHECKSUM);

	(void)state;
	for (uint32_t check = 0; check < 0x10000; check++) {
		struct cursor c = cursor(e.data, e.len);
		struct tcp tcp;

		put_be16(e.data + TCP_OFF_CHECKSUM, (uint16_t)check);
		assert_int_equal(tcp_parse(&tcp, &c, &ip, false),
		    check == right ? DROP_NONE : DROP_L4_CHECKSUM);
		c = cursor(e.data, e.len);
		assert_int_equal(tcp_parse(&tcp, &c, &ip, true), DROP_NONE);
	}
	exact_free(&e);
}

/* For TCP, unlike UDP, 0 is a checksum like any other. */
static void
both_forms_of_a_zero_checksum_are_right(void **state)
{
	static const uint16_t checks[] = { 0x0000, 0xffff };

	(void)state;
	for (size_t i = 0; i < NITEMS(checks); i++) {
		struct exact e = exact(sample, sizeof(sample));
		struct tcp tcp;

		put_be16(e.data, 0);
		seal(e.data, e.len);
		put_be16(e.data, get_be16(e.data + TCP_OFF_CHECKSUM));
		put_be16(e.data + TCP_OFF_CHECKSUM, checks[i]);
		assert_int_equal(tcp_parse(&tcp, &e.c, &ip, false), DROP_NONE);
		put_be16(e.data + TCP_OFF_CHECKSUM, 1);
		e.c = cursor(e.data, e.len);
		assert_int_equal(
		    tcp_parse(&tcp, &e.c, &ip, false), DROP_L4_CHECKSUM);
		exact_free(&e);
	}
}

/* Options of a SYN, and the MSS found in them. */
static void
options_are_walked_without_being_believed(void **state)
{
	static const struct {
		const char *what;
		uint8_t bytes[12];
		uint16_t mss;
	} cases[] = {
		{ "first", { 2, 4, 0x05, 0xb4 }, 1460 },
		{ "behind padding", { 1, 1, 1, 1, 2, 4, 0x02, 0x18 }, 536 },
		{ "at the very end", { 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 0, 1 },
		    1 },
		{ "not aligned", { 1, 2, 4, 0xff, 0xff }, 65535 },
		{ "behind others", { 3, 3, 7, 4, 2, 2, 4, 0x05, 0x78, 1, 1, 1 },
		    1400 },
		{ "the last of two", { 2, 4, 0, 1, 2, 4, 0, 2 }, 2 },
		{ "behind the end", { 0, 0, 0, 0, 2, 4, 0x05, 0xb4 }, 0 },
		{ "length 0", { 3, 0, 2, 4, 0x05, 0xb4 }, 0 },
		{ "length 1", { 3, 1, 2, 4, 0x05, 0xb4 }, 0 },
		{ "own length 0", { 2, 0, 2, 4, 0x05, 0xb4 }, 0 },
		{ "own length 3 is another thing",
		    { 2, 3, 9, 2, 4, 0x05, 0xb4 }, 1460 },
		{ "own length 5", { 2, 5, 1, 2, 3, 2, 4, 0x05, 0xb4 }, 1460 },
		{ "length beyond the header", { 3, 13, 2, 4, 0x05, 0xb4 }, 0 },
		{ "length 255", { 3, 255, 2, 4, 0x05, 0xb4 }, 0 },
		{ "value cut off", { 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 5 }, 0 },
		{ "value cut off behind a whole one",
		    { 2, 4, 0x05, 0xb4, 1, 1, 1, 1, 1, 2, 4, 5 }, 1460 },
		{ "length cut off", { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2 }, 0 },
		{ "none", { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, 0 },
		{ "zero", { 2, 4, 0, 0 }, 0 },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		uint8_t bytes[TCP_HEADER_BYTES + 12];
		struct exact e;
		struct tcp tcp;

		memcpy(bytes, sample, TCP_HEADER_BYTES);
		bytes[12] = sizeof(bytes) / 4 << 4;
		memcpy(bytes + TCP_HEADER_BYTES, cases[i].bytes, 12);
		e = sealed(bytes, sizeof(bytes));
		assert_int_equal(tcp_parse(&tcp, &e.c, &ip, false), DROP_NONE);
		if (tcp.mss != cases[i].mss)
			fail_msg("%s: %u", cases[i].what, tcp.mss);
		assert_int_equal(tcp.data_bytes, 0);
		/* Only a SYN can carry it. */
		e.data[13] = TCP_ACK;
		e.c = cursor(e.data, e.len);
		assert_int_equal(tcp_parse(&tcp, &e.c, &ip, true), DROP_NONE);
		assert_int_equal(tcp.mss, 0);
		exact_free(&e);
	}
}

static void
what_was_read_is_written_again(void **state)
{
	struct exact e = sealed(sample, sizeof(sample));
	uint8_t out[sizeof(sample)];
	struct writer w = writer(out, sizeof(out));
	struct tcp tcp;

	(void)state;
	assert_int_equal(tcp_parse(&tcp, &e.c, &ip, false), DROP_NONE);
	tcp.checksum = 0xdead;
	tcp.header_bytes = 60; /* neither is looked at */
	tcp_write(&w, &tcp, ip.src, ip.dst);
	assert_false(w.overrun);
	assert_memory_equal(out, e.data, sizeof(sample));
	exact_free(&e);
}

static void
all_flags_read_back_and_only_a_syn_has_its_mss(void **state)
{
	(void)state;
	for (unsigned int flags = 0; flags < 256; flags++) {
		struct tcp in = { .sport = 1,
			.dport = 2,
			.seq = 0xffffffff,
			.ack = 0x80000000,
			.flags = (uint8_t)flags,
			.window = 0xffff,
			.mss = 1460,
			.data = (const uint8_t *)"x",
			.data_bytes = 1 };
		uint8_t out[25];
		struct writer w = writer(out, sizeof(out));
		bool syn = (flags & TCP_SYN) != 0;
		struct exact e;
		struct tcp tcp;

		tcp_write(&w, &in, ip.src, ip.dst);
		assert_false(w.overrun);
		e = exact(out, (size_t)(w.at - out));
		assert_int_equal(e.len, syn ? 25 : 21);
		assert_int_equal(tcp_parse(&tcp, &e.c, &ip, false), DROP_NONE);
		assert_int_equal(tcp.flags, flags);
		assert_int_equal(tcp.mss, syn ? 1460 : 0);
		assert_int_equal(tcp.seq, 0xffffffff);
		assert_int_equal(tcp.ack, 0x80000000);
		assert_int_equal(tcp.window, 0xffff);
		assert_int_equal(tcp.data_bytes, 1);
		exact_free(&e);
	}
}

static void
what_does_not_fit_is_not_begun(void **state)
{
	uint8_t *big = calloc(2, 65536);
	struct tcp tcp = { .data = big, .data_bytes = 65516 - 20 };
	struct writer w;

	(void)state;
	assert_non_null(big);
	w = writer(big + 65536, 65536);
	tcp_write(&w, &tcp, ip.src, ip.dst);
	assert_true(w.overrun);
	assert_ptr_equal(w.at, big + 65536);
	tcp.data_bytes = SIZE_MAX;
	tcp_write(&w, &tcp, ip.src, ip.dst);
	assert_ptr_equal(w.at, big + 65536);

	tcp.data_bytes = 65515 - 20;
	w = writer(big + 65536, 65536);
	tcp_write(&w, &tcp, ip.src, ip.dst);
	assert_false(w.overrun);
	assert_int_equal(w.at - (big + 65536), 65515);
	free(big);
}

static void
a_segment_longer_than_a_packet_is_refused(void **state)
{
	uint8_t *big = calloc(1, 65536);
	struct cursor c;
	struct tcp tcp;

	(void)state;
	assert_non_null(big);
	memcpy(big, sample, sizeof(sample));
	c = cursor(big, 65516);
	assert_int_equal(tcp_parse(&tcp, &c, &ip, true), DROP_L4_HEADER);
	c = cursor(big, 65515);
	assert_int_equal(tcp_parse(&tcp, &c, &ip, true), DROP_NONE);
	free(big);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_segment_is_read),
		cmocka_unit_test(segments_cut_off_anywhere_are_refused),
		cmocka_unit_test(header_lengths_that_lie_are_refused),
		cmocka_unit_test(
		    every_wrong_checksum_is_refused_unless_trusted),
		cmocka_unit_test(both_forms_of_a_zero_checksum_are_right),
		cmocka_unit_test(options_are_walked_without_being_believed),
		cmocka_unit_test(what_was_read_is_written_again),
		cmocka_unit_test(
		    all_flags_read_back_and_only_a_syn_has_its_mss),
		cmocka_unit_test(what_does_not_fit_is_not_begun),
		cmocka_unit_test(a_segment_longer_than_a_packet_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
