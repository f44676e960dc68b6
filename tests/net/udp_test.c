#include "net/udp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "net/checksum.h"
#include "tests/net/exact.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

static const struct ip4 ip = { .src = 0x0a000064, .dst = 0xcb00710a };

/* From 10.0.0.100:1000 to 203.0.113.10:53, "abc".  Checksum by hand: pseudo
 * header 0x0a00 + 0x0064 + 0xcb00 + 0x710a + 0x0011 + 0x000b, header 0x03e8 +
 * 0x0035 + 0x000b, data 0x6162 + 0x6300; 0x20f14 folds to 0x0f16. */
static const uint8_t sample[11] = { 0x03, 0xe8, 0x00, 0x35, 0x00, 0x0b, 0xf0,
	0xe9, 'a', 'b', 'c' };

static void
a_datagram_is_read(void **state)
{
	struct exact e = exact(sample, sizeof(sample));
	struct udp udp;

	(void)state;
	assert_int_equal(udp_parse(&udp, &e.c, &ip, false), DROP_NONE);
	assert_int_equal(udp.sport, 1000);
	assert_int_equal(udp.dport, 53);
	assert_int_equal(udp.len_bytes, 11);
	assert_int_equal(udp.checksum, get_be16(sample + UDP_OFF_CHECKSUM));
	assert_int_equal(udp.data_bytes, 3);
	assert_memory_equal(udp.data, "abc", 3);
	exact_free(&e);
}

static void
datagrams_cut_off_anywhere_are_refused(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(sample); len++)
		for (int trusted = 0; trusted < 2; trusted++) {
			struct exact e = exact(sample, len);
			struct udp udp = { .sport = 77 };

			assert_int_equal(
			    udp_parse(&udp, &e.c, &ip, trusted != 0),
			    len < UDP_HEADER_BYTES ? DROP_SHORT
						   : DROP_L4_HEADER);
			assert_int_equal(udp.sport, 77);
			exact_free(&e);
		}
}

static void
lengths_that_lie_are_refused(void **state)
{
	(void)state;
	for (uint32_t len = 0; len < 0x10000; len++) {
		struct exact e = exact(sample, sizeof(sample));
		struct udp udp;

		put_be16(e.data + 4, (uint16_t)len);
		assert_int_equal(udp_parse(&udp, &e.c, &ip, true),
		    len < 8 || len > 11 ? DROP_L4_HEADER : DROP_NONE);
		exact_free(&e);
	}
}

/* A datagram may be shorter than its packet: what is behind is not summed. */
static void
bytes_behind_the_datagram_are_left(void **state)
{
	uint8_t longer[16] = { 0 };
	struct exact e;
	struct udp udp;

	(void)state;
	memcpy(longer, sample, sizeof(sample));
	memset(longer + sizeof(sample), 0xa5, sizeof(longer) - sizeof(sample));
	e = exact(longer, sizeof(longer));
	assert_int_equal(udp_parse(&udp, &e.c, &ip, false), DROP_NONE);
	assert_int_equal(udp.data_bytes, 3);
	assert_int_equal(cur_left(&e.c), 5);
	exact_free(&e);
}

static void
every_wrong_checksum_is_refused_but_none_is_taken(void **state)
{
	const uint16_t right = get_be16(sample + UDP_OFF_CHECKSUM);

	(void)state;
	for (uint32_t check = 0; check < 0x10000; check++) {
		struct exact e = exact(sample, sizeof(sample));
		struct udp udp;

		put_be16(e.data + UDP_OFF_CHECKSUM, (uint16_t)check);
		assert_int_equal(udp_parse(&udp, &e.c, &ip, false),
		    check == right || check == 0 ? DROP_NONE
						 : DROP_L4_CHECKSUM);
		e.c = cursor(e.data, e.len);
		assert_int_equal(udp_parse(&udp, &e.c, &ip, true), DROP_NONE);
		assert_int_equal(udp.checksum, check);
		exact_free(&e);
	}
}

static void
the_checksum_covers_the_addresses(void **state)
{
	struct exact e = exact(sample, sizeof(sample));
	struct ip4 other = ip;
	struct udp udp;

	(void)state;
	other.src ^= 1;
	assert_int_equal(
	    udp_parse(&udp, &e.c, &other, false), DROP_L4_CHECKSUM);
	other = ip;
	other.dst ^= 0x10000;
	e.c = cursor(e.data, e.len);
	assert_int_equal(
	    udp_parse(&udp, &e.c, &other, false), DROP_L4_CHECKSUM);
	exact_free(&e);
}

static void
what_was_read_is_written_again(void **state)
{
	struct exact e = exact(sample, sizeof(sample));
	uint8_t out[sizeof(sample)];
	struct writer w = writer(out, sizeof(out));
	struct udp udp;

	(void)state;
	assert_int_equal(udp_parse(&udp, &e.c, &ip, false), DROP_NONE);
	udp.checksum = 0xdead;
	udp.len_bytes = 4711; /* neither is looked at */
	udp_write(&w, &udp, ip.src, ip.dst);
	assert_false(w.overrun);
	assert_memory_equal(out, sample, sizeof(sample));
	exact_free(&e);
}

/* Over all source ports, the checksum is once 0: it is sent as 0xffff, since
 * 0 would say that there is none. */
static void
a_checksum_of_zero_is_written_in_its_other_form(void **state)
{
	unsigned int nzero = 0;

	(void)state;
	for (uint32_t port = 0; port < 0x10000; port++) {
		struct udp udp = { .sport = (uint16_t)port,
			.dport = 53,
			.data = (const uint8_t *)"abc",
			.data_bytes = 3 };
		uint8_t out[11];
		struct writer w = writer(out, sizeof(out));
		struct cursor c = cursor(out, sizeof(out));
		uint16_t check;

		udp_write(&w, &udp, ip.src, ip.dst);
		check = get_be16(out + UDP_OFF_CHECKSUM);
		assert_int_not_equal(check, 0);
		nzero += check == 0xffff;
		assert_int_equal(udp_parse(&udp, &c, &ip, false), DROP_NONE);
		assert_int_equal(udp.sport, port);
	}
	assert_int_equal(nzero, 1);
}

static void
an_empty_datagram_reads_back(void **state)
{
	struct udp udp = { .sport = 1, .dport = 0xffff };
	uint8_t out[UDP_HEADER_BYTES];
	struct writer w = writer(out, sizeof(out));
	struct exact e;

	(void)state;
	udp_write(&w, &udp, ip.src, ip.dst);
	assert_false(w.overrun);
	e = exact(out, sizeof(out));
	assert_int_equal(udp_parse(&udp, &e.c, &ip, false), DROP_NONE);
	assert_int_equal(udp.data_bytes, 0);
	assert_int_equal(udp.dport, 0xffff);
	exact_free(&e);
}

static void
data_may_lie_where_it_is_written(void **state)
{
	uint8_t out[sizeof(sample)];
	struct writer w = writer(out, sizeof(out));
	struct udp udp = { .sport = 1000,
		.dport = 53,
		.data = out + UDP_HEADER_BYTES,
		.data_bytes = 3 };

	(void)state;
	memcpy(out + UDP_HEADER_BYTES, "abc", 3);
	udp_write(&w, &udp, ip.src, ip.dst);
	assert_memory_equal(out, sample, sizeof(sample));
}

static void
what_does_not_fit_is_not_begun(void **state)
{
	uint8_t *big = calloc(2, 65536);
	struct udp udp = { .data = big, .data_bytes = 65508 };
	struct writer w;

	(void)state;
	assert_non_null(big);
	/* More than an IPv4 packet carries, though the room is there. */
	w = writer(big + 65536, 65536);
	udp_write(&w, &udp, ip.src, ip.dst);
	assert_true(w.overrun);
	assert_ptr_equal(w.at, big + 65536);
	udp.data_bytes = SIZE_MAX;
	udp_write(&w, &udp, ip.src, ip.dst);
	assert_ptr_equal(w.at, big + 65536);

	udp.data_bytes = 65507;
	w = writer(big, 65514);
	udp_write(&w, &udp, ip.src, ip.dst);
	assert_true(w.overrun);
	assert_ptr_equal(w.at, big);

	udp.data = big + 65536;
	udp.data_bytes = 65507;
	w = writer(big, 65536);
	udp_write(&w, &udp, ip.src, ip.dst);
	assert_false(w.overrun);
	assert_int_equal(w.at - big, 65515);
	free(big);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_datagram_is_read),
		cmocka_unit_test(datagrams_cut_off_anywhere_are_refused),
		cmocka_unit_test(lengths_that_lie_are_refused),
		cmocka_unit_test(bytes_behind_the_datagram_are_left),
		cmocka_unit_test(
		    every_wrong_checksum_is_refused_but_none_is_taken),
		cmocka_unit_test(the_checksum_covers_the_addresses),
		cmocka_unit_test(what_was_read_is_written_again),
		cmocka_unit_test(
		    a_checksum_of_zero_is_written_in_its_other_form),
		cmocka_unit_test(an_empty_datagram_reads_back),
		cmocka_unit_test(data_may_lie_where_it_is_written),
		cmocka_unit_test(what_does_not_fit_is_not_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
