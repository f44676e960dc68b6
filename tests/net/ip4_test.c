#include "net/ip4.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "net/checksum.h"
#include "tests/net/exact.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

/* Without their checksums, which seal() fills in. */
static const uint8_t plain[24] = { 0x45, 0x10, 0x00, 0x18, 0x12, 0x34, 0x40,
	0x00, 0x40, 0x11, 0x00, 0x00, 0x0a, 0x00, 0x00, 0x64, 0xcb, 0x00, 0x71,
	0x0a, 'd', 'a', 't', 'a' };
static const uint8_t with_options[28] = { 0x46, 0x00, 0x00, 0x1c, 0x00, 0x01,
	0x20, 0x05, 0xff, 0x01, 0x00, 0x00, 0x0a, 0x00, 0x00, 0x64, 0xcb, 0x00,
	0x71, 0x0a, 0x94, 0x04, 0x00, 0x00, 'd', 'a', 't', 'a' };

/* Makes the checksum right, over as much of a header as there is. */
static void
seal(struct exact *e)
{
	size_t len = (size_t)(e->data[0] & 0xf) * 4;

	put_be16(e->data + IP4_OFF_CHECKSUM, 0);
	put_be16(e->data + IP4_OFF_CHECKSUM,
	    csum_finish(
		csum_add_bytes(0, e->data, len < e->len ? len : e->len)));
}

static struct exact
sealed(const uint8_t *bytes, size_t len)
{
	struct exact e = exact(bytes, len);

	if (len >= IP4_HEADER_BYTES)
		seal(&e);
	return e;
}

static void
a_header_is_read(void **state)
{
	struct exact e = sealed(plain, sizeof(plain));
	struct ip4 ip;

	(void)state;
	assert_int_equal(ip4_parse(&ip, &e.c), DROP_NONE);
	assert_int_equal(ip.tos, 0x10);
	assert_int_equal(ip.header_bytes, 20);
	assert_int_equal(ip.total_bytes, 24);
	assert_int_equal(ip.id, 0x1234);
	assert_int_equal(ip.fragment, IP4_DF);
	assert_int_equal(ip.offset_bytes, 0);
	assert_int_equal(ip.ttl, 64);
	assert_int_equal(ip.protocol, IP_UDP);
	assert_int_equal(ip.checksum, get_be16(e.data + IP4_OFF_CHECKSUM));
	assert_int_equal(ip.src, 0x0a000064);
	assert_int_equal(ip.dst, 0xcb00710a);
	assert_false(ip4_is_fragment(&ip));
	assert_int_equal(cur_left(&e.c), 4);
	assert_memory_equal(e.c.at, "data", 4);
	exact_free(&e);
}

static void
a_header_with_options_of_a_fragment_is_read(void **state)
{
	struct exact e = sealed(with_options, sizeof(with_options));
	struct ip4 ip;

	(void)state;
	assert_int_equal(ip4_parse(&ip, &e.c), DROP_NONE);
	assert_int_equal(ip.header_bytes, 24);
	assert_int_equal(ip.fragment, IP4_MF);
	assert_int_equal(ip.offset_bytes, 40);
	assert_true(ip4_is_fragment(&ip));
	assert_memory_equal(ip.options, "\x94\x04\0\0", 4);
	assert_int_equal(cur_left(&e.c), 4);
	exact_free(&e);
}

static void
padding_behind_the_packet_is_cut_away(void **state)
{
	uint8_t frame[46] = { 0 };
	struct exact e;
	struct ip4 ip;

	(void)state;
	memcpy(frame, plain, sizeof(plain));
	memset(frame + sizeof(plain), 0xa5, sizeof(frame) - sizeof(plain));
	e = sealed(frame, sizeof(frame));
	assert_int_equal(ip4_parse(&ip, &e.c), DROP_NONE);
	assert_int_equal(cur_left(&e.c), 4);
	exact_free(&e);
}

static void
packets_cut_off_anywhere_are_refused(void **state)
{
	static const struct {
		const uint8_t *bytes;
		size_t len, header;
	} cases[] = {
		{ plain, sizeof(plain), 20 },
		{ with_options, sizeof(with_options), 24 },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++)
		for (size_t len = 0; len < cases[i].len; len++) {
			struct exact e = sealed(cases[i].bytes, len);
			struct ip4 ip = { .ttl = 77 };

			assert_int_equal(ip4_parse(&ip, &e.c),
			    len < cases[i].header ? DROP_SHORT
						  : DROP_IP_LENGTH);
			assert_int_equal(ip.ttl, 77);
			exact_free(&e);
		}
}

/* A byte of the sample changed, and the checksum made right again. */
static void
each_field_is_checked(void **state)
{
	static const struct {
		size_t at;
		uint8_t byte;
		enum reason reason;
	} cases[] = {
		{ 0, 0x55, DROP_IP_VERSION },
		{ 0, 0x65, DROP_IP_VERSION },
		{ 0, 0x05, DROP_IP_VERSION },
		{ 0, 0x35, DROP_IP_VERSION },
		{ 0, 0x40, DROP_IP_HEADER },
		{ 0, 0x44, DROP_IP_HEADER },
		{ 0, 0x45, DROP_NONE },
		{ 0, 0x46, DROP_NONE }, /* the data are options now */
		{ 0, 0x47, DROP_SHORT },
		{ 0, 0x4f, DROP_SHORT },
		{ 3, 0x00, DROP_IP_HEADER },
		{ 3, 0x13, DROP_IP_HEADER },
		{ 3, 0x14, DROP_NONE },
		{ 3, 0x17, DROP_NONE },
		{ 3, 0x19, DROP_IP_LENGTH },
		{ 2, 0x01, DROP_IP_LENGTH },
		{ 2, 0xff, DROP_IP_LENGTH },
		{ 6, 0x00, DROP_NONE },
		{ 6, 0x80, DROP_NONE }, /* the reserved flag */
		{ 6, 0x1f, DROP_NONE },
		{ 8, 0x00, DROP_NONE }, /* TTL 0 may be delivered */
		{ 9, 0xff, DROP_NONE },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct exact e = exact(plain, sizeof(plain));
		struct ip4 ip;

		e.data[cases[i].at] = cases[i].byte;
		seal(&e);
		assert_int_equal(ip4_parse(&ip, &e.c), cases[i].reason);
		exact_free(&e);
	}
}

/* The last fragment of a datagram of 65535 bytes ends just there. */
static void
fragments_end_within_the_longest_datagram(void **state)
{
	static const struct {
		uint16_t offset, payload;
		enum reason reason;
	} cases[] = {
		{ 65512, 3, DROP_NONE },
		{ 65512, 4, DROP_IP_HEADER },
		{ 65528, 0, DROP_IP_HEADER },
		{ 65528, 8, DROP_IP_HEADER },
		{ 65504, 8, DROP_NONE },
	};
	uint8_t longer[IP4_HEADER_BYTES + 8] = { 0 };

	(void)state;
	memcpy(longer, plain, sizeof(plain));
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct exact e = exact(longer, sizeof(longer));
		struct ip4 ip;

		put_be16(e.data + IP4_OFF_LENGTH,
		    (uint16_t)(IP4_HEADER_BYTES + cases[i].payload));
		put_be16(e.data + IP4_OFF_FRAGMENT, cases[i].offset / 8);
		seal(&e);
		assert_int_equal(ip4_parse(&ip, &e.c), cases[i].reason);
		exact_free(&e);
	}
}

static void
every_wrong_checksum_is_refused(void **state)
{
	struct exact e = sealed(plain, sizeof(plain));
	uint16_t right = get_be16(e.data + IP4_OFF_CHECKSUM);

	(void)state;
	for (uint32_t check = 0; check < 0x10000; check++) {
		struct cursor c = cursor(e.data, e.len);
		struct ip4 ip;

		put_be16(e.data + IP4_OFF_CHECKSUM, (uint16_t)check);
		assert_int_equal(ip4_parse(&ip, &c),
		    check == right ? DROP_NONE : DROP_IP_CHECKSUM);
	}
	exact_free(&e);
}

/* Where the right checksum is 0, its other form is as good (RFC 1624, 2). */
static void
both_forms_of_a_zero_checksum_are_right(void **state)
{
	struct exact e = exact(plain, sizeof(plain));
	struct cursor c;
	struct ip4 ip;

	(void)state;
	put_be16(e.data + IP4_OFF_CHECKSUM, 0);
	put_be16(e.data + IP4_OFF_ID, 0);
	put_be16(e.data + IP4_OFF_ID,
	    csum_finish(csum_add_bytes(0, e.data, IP4_HEADER_BYTES)));
	c = cursor(e.data, e.len);
	assert_int_equal(ip4_parse(&ip, &c), DROP_NONE);
	put_be16(e.data + IP4_OFF_CHECKSUM, 0xffff);
	c = cursor(e.data, e.len);
	assert_int_equal(ip4_parse(&ip, &c), DROP_NONE);
	put_be16(e.data + IP4_OFF_CHECKSUM, 0x0001);
	c = cursor(e.data, e.len);
	assert_int_equal(ip4_parse(&ip, &c), DROP_IP_CHECKSUM);
	exact_free(&e);
}

static void
every_flipped_bit_of_a_header_is_refused(void **state)
{
	(void)state;
	for (size_t bit = 0; bit < sizeof(with_options) * 8 - 32; bit++) {
		struct exact e = sealed(with_options, sizeof(with_options));
		struct ip4 ip;

		e.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(ip4_parse(&ip, &e.c), DROP_NONE);
		exact_free(&e);
	}
}

static void
a_quoted_packet_may_be_cut_short(void **state)
{
	(void)state;
	for (size_t len = 0; len <= sizeof(plain); len++) {
		struct exact e = sealed(plain, len);
		struct ip4 ip;

		if (len < IP4_HEADER_BYTES) {
			assert_int_equal(
			    ip4_parse_quoted(&ip, &e.c), DROP_SHORT);
		} else {
			assert_int_equal(
			    ip4_parse_quoted(&ip, &e.c), DROP_NONE);
			assert_int_equal(ip.total_bytes, 24);
			assert_int_equal(cur_left(&e.c), len - 20);
		}
		exact_free(&e);
	}
}

static void
a_quoted_header_is_checked_like_any(void **state)
{
	static const struct {
		size_t at;
		uint8_t byte;
		enum reason reason;
	} cases[] = {
		{ 0, 0x65, DROP_IP_VERSION },
		{ 0, 0x44, DROP_IP_HEADER },
		{ 0, 0x4f, DROP_SHORT },
		{ 3, 0x13, DROP_IP_HEADER },
		{ 2, 0xff, DROP_NONE },
	};
	struct exact e;
	struct ip4 ip;

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		e = exact(plain, sizeof(plain));
		e.data[cases[i].at] = cases[i].byte;
		seal(&e);
		assert_int_equal(ip4_parse_quoted(&ip, &e.c), cases[i].reason);
		exact_free(&e);
	}
	e = sealed(plain, sizeof(plain));
	e.data[IP4_OFF_CHECKSUM] ^= 1;
	assert_int_equal(ip4_parse_quoted(&ip, &e.c), DROP_IP_CHECKSUM);
	exact_free(&e);

	/* What lies behind the quoted packet is not part of it. */
	e = exact(plain, sizeof(plain));
	put_be16(e.data + IP4_OFF_LENGTH, 22);
	seal(&e);
	assert_int_equal(ip4_parse_quoted(&ip, &e.c), DROP_NONE);
	assert_int_equal(cur_left(&e.c), 2);
	exact_free(&e);
}

static void
what_was_read_is_written_again(void **state)
{
	static const struct {
		const uint8_t *bytes;
		size_t len, header;
	} cases[] = {
		{ plain, sizeof(plain), 20 },
		{ with_options, sizeof(with_options), 24 },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct exact e = sealed(cases[i].bytes, cases[i].len);
		uint8_t out[60];
		struct writer w = writer(out, sizeof(out));
		struct ip4 ip;

		assert_int_equal(ip4_parse(&ip, &e.c), DROP_NONE);
		ip.checksum = 0xdead; /* not looked at */
		ip4_write(&w, &ip);
		assert_false(w.overrun);
		assert_ptr_equal(w.at, out + cases[i].header);
		assert_memory_equal(out, e.data, cases[i].header);
		w = writer(out, cases[i].header - 1);
		ip4_write(&w, &ip);
		assert_true(w.overrun);
		exact_free(&e);
	}
}

static void
without_a_header_length_it_is_20_bytes(void **state)
{
	struct ip4 ip = { .total_bytes = 20,
		.ttl = 1,
		.protocol = 1,
		.fragment = IP4_DF | IP4_MF,
		.offset_bytes = 65528 };
	uint8_t out[20];
	struct writer w = writer(out, sizeof(out));

	(void)state;
	ip4_write(&w, &ip);
	assert_false(w.overrun);
	assert_int_equal(wr_left(&w), 0);
	assert_int_equal(out[0], 0x45);
	assert_int_equal(get_be16(out + IP4_OFF_FRAGMENT), 0x7fff);
	assert_int_equal(csum_fold(csum_add_bytes(0, out, 20)), 0xffff);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_is_read),
		cmocka_unit_test(a_header_with_options_of_a_fragment_is_read),
		cmocka_unit_test(padding_behind_the_packet_is_cut_away),
		cmocka_unit_test(packets_cut_off_anywhere_are_refused),
		cmocka_unit_test(each_field_is_checked),
		cmocka_unit_test(fragments_end_within_the_longest_datagram),
		cmocka_unit_test(every_wrong_checksum_is_refused),
		cmocka_unit_test(both_forms_of_a_zero_checksum_are_right),
		cmocka_unit_test(every_flipped_bit_of_a_header_is_refused),
		cmocka_unit_test(a_quoted_packet_may_be_cut_short),
		cmocka_unit_test(a_quoted_header_is_checked_like_any),
		cmocka_unit_test(what_was_read_is_written_again),
		cmocka_unit_test(without_a_header_length_it_is_20_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
