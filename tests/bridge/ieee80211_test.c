#include "bridge/ieee80211.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "bridge/radiotap.h"
#include "bridge/wifi_bss.h"
#include "net/eth.h"
#include "tests/net/exact.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

static const struct mac ap = { { 2, 0, 0, 0, 0, 0xa0 } };
static const struct mac sta = { { 2, 0, 0, 0, 0, 0x51 } };
static const struct mac far = { { 2, 0, 0, 0, 0, 0xfa } };
static const struct mac peer = { { 2, 0, 0, 0, 0, 0xbb } };
static const struct mac all = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

#define SNAP(type) \
	0xaa, 0xaa, 3, 0, 0, 0, (uint8_t)((type) >> 8), (uint8_t)(type)

struct air {
	uint8_t b[512];
	size_t len;
};

/* A data frame; body is what follows the header. */
static struct air
make(uint8_t control, uint8_t flags, const struct mac *one,
    const struct mac *two, const struct mac *three, const struct mac *four,
    uint16_t sequence, int qos, const void *body, size_t n)
{
	struct air f = { .len = 0 };
	struct writer w = writer(f.b, sizeof(f.b));

	wr_u8(&w, control);
	wr_u8(&w, flags);
	wr_be16(&w, 0);
	wr_mac(&w, one);
	wr_mac(&w, two);
	wr_mac(&w, three);
	wr_u8(&w, (uint8_t)(sequence << 4));
	wr_u8(&w, (uint8_t)(sequence >> 4));
	if (four != NULL)
		wr_mac(&w, four);
	if (qos >= 0)
		wr_be16(&w, (uint16_t)(qos << 8));
	wr_bytes(&w, body, n);
	f.len = (size_t)(w.at - f.b);
	return f;
}

static const uint8_t hello[] = { SNAP(ETH_IPV4), 'h', 'e', 'l', 'l', 'o' };

static enum reason
parse(const struct air *f, struct wifi *w, bool padded, struct exact *e)
{
	*e = exact(f->b, f->len);
	return wifi_parse(w, &e->c, padded);
}

/* The only Ethernet frame in f is that. */
static void
assert_is(const struct air *f, bool padded, const struct mac *dst,
    const struct mac *src, uint16_t type, const void *data, size_t len)
{
	struct wifi_msdu m;
	struct exact e;
	struct wifi w;

	assert_int_equal(parse(f, &w, padded, &e), DROP_NONE);
	assert_true(wifi_next(&w, &m));
	assert_memory_equal(m.dst.b, dst->b, 6);
	assert_memory_equal(m.src.b, src->b, 6);
	assert_int_equal(m.type, type);
	assert_int_equal(m.len, len);
	assert_memory_equal(m.data, data, len);
	assert_false(wifi_next(&w, &m));
	exact_free(&e);
}

static void
addresses_are_found_by_the_two_bits(void **state)
{
	struct air f;

	(void)state;
	f = make(0x08, 0, &sta, &peer, &ap, NULL, 1, -1, hello, sizeof(hello));
	assert_is(&f, false, &sta, &peer, ETH_IPV4, "hello", 5);
	f = make(0x08, 1, &ap, &sta, &far, NULL, 1, -1, hello, sizeof(hello));
	assert_is(&f, false, &far, &sta, ETH_IPV4, "hello", 5);
	f = make(0x08, 2, &sta, &ap, &far, NULL, 1, -1, hello, sizeof(hello));
	assert_is(&f, false, &sta, &far, ETH_IPV4, "hello", 5);
	f = make(0x08, 3, &peer, &ap, &far, &sta, 1, -1, hello, sizeof(hello));
	assert_is(&f, false, &far, &sta, ETH_IPV4, "hello", 5);
}

static void
what_lengthens_the_header_is_passed_over(void **state)
{
	uint8_t body[32] = { 0 };
	struct air f;

	(void)state;
	f = make(0x88, 2, &sta, &ap, &far, NULL, 1, 5, hello, sizeof(hello));
	assert_is(&f, false, &sta, &far, ETH_IPV4, "hello", 5);
	/* HT control, by the order bit of a QoS frame only */
	memcpy(body + 4, hello, sizeof(hello));
	f = make(
	    0x88, 0x82, &sta, &ap, &far, NULL, 1, 5, body, 4 + sizeof(hello));
	assert_is(&f, false, &sta, &far, ETH_IPV4, "hello", 5);
	f = make(
	    0x08, 0x82, &sta, &ap, &far, NULL, 1, -1, hello, sizeof(hello));
	assert_is(&f, false, &sta, &far, ETH_IPV4, "hello", 5);
	/* 26 bytes, padded to 28 */
	memcpy(body + 2, hello, sizeof(hello));
	f = make(0x88, 2, &sta, &ap, &far, NULL, 1, 5, body, 2 + sizeof(hello));
	assert_is(&f, true, &sta, &far, ETH_IPV4, "hello", 5);
	f = make(0x08, 2, &sta, &ap, &far, NULL, 1, -1, hello, sizeof(hello));
	assert_is(&f, true, &sta, &far, ETH_IPV4, "hello", 5);
}

static void
llc_becomes_a_type_or_stays_behind_its_length(void **state)
{
	static const struct {
		uint8_t body[12];
		uint16_t type;
		size_t skip;
	} cases[] = {
		{ { SNAP(ETH_ARP), 1, 2, 3, 4 }, ETH_ARP, 8 },
		{ { 0xaa, 0xaa, 3, 0, 0, 0xf8, 0x80, 0xf3, 1, 2, 3, 4 }, 0x80f3,
		    8 },
		{ { SNAP(0x80f3), 1, 2, 3, 4 }, 12, 0 },
		{ { SNAP(0x8137), 1, 2, 3, 4 }, 12, 0 },
		{ { SNAP(0x0500), 1, 2, 3, 4 }, 12, 0 },
		{ { 0x42, 0x42, 3, 0, 0, 0 }, 12, 0 }, /* a BPDU */
		{ { 0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0 }, 12, 0 },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct air f = make(
		    0x08, 2, &sta, &ap, &far, NULL, 1, -1, cases[i].body, 12);

		assert_is(&f, false, &sta, &far, cases[i].type,
		    cases[i].body + cases[i].skip, 12 - cases[i].skip);
	}
}

static void
frames_that_bring_nothing_are_refused(void **state)
{
	static const struct {
		uint8_t control, flags, sequence;
		size_t n;
		enum reason reason;
	} cases[] = {
		{ 0x09, 2, 0, 13, DROP_WIFI_VERSION },
		{ 0x0c, 2, 0, 13, DROP_WIFI_VERSION },
		{ 0x80, 0, 0, 13, DROP_WIFI_MANAGEMENT }, /* beacon */
		{ 0xd4, 0, 0, 13, DROP_WIFI_CONTROL },    /* ack */
		{ 0x48, 2, 0, 0, DROP_WIFI_EMPTY },       /* null */
		{ 0x08, 0x42, 0, 13, DROP_WIFI_PROTECTED },
		{ 0x08, 0x06, 0, 13, DROP_WIFI_FRAGMENT },
		{ 0x08, 0x02, 3, 13, DROP_WIFI_FRAGMENT },
		{ 0x08, 0x02, 0, 2, DROP_WIFI_LLC },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct air f = make(cases[i].control, cases[i].flags, &sta, &ap,
		    &far, NULL, 0, -1, hello, cases[i].n);
		struct exact e;
		struct wifi w;

		f.b[22] = cases[i].sequence;
		assert_int_equal(parse(&f, &w, false, &e), cases[i].reason);
		exact_free(&e);
	}
}

static void
headers_cut_off_anywhere_are_short(void **state)
{
	struct air f =
	    make(0x88, 0x83, &peer, &ap, &far, &sta, 1, 5, "\0\0\0", 4);
	struct exact e;
	struct wifi w;

	(void)state;
	for (size_t n = f.len; n-- > 0;) {
		f.len = n;
		assert_int_equal(parse(&f, &w, false, &e), DROP_SHORT);
		exact_free(&e);
	}
}

/* ---- aggregates ---- */

static size_t
add_subframe(uint8_t *at, const struct mac *dst, const struct mac *src,
    const void *data, size_t n)
{
	memcpy(at, dst->b, 6);
	memcpy(at + 6, src->b, 6);
	put_be16(at + 12, (uint16_t)n);
	memcpy(at + 14, data, n);
	return 14 + n;
}

static void
an_aggregate_gives_each_of_its_frames(void **state)
{
	static const uint8_t other[] = { SNAP(ETH_ARP), 'b' };
	uint8_t body[128] = { 0 };
	size_t n = add_subframe(body, &sta, &far, hello, sizeof(hello));
	struct wifi_msdu m;
	struct air f;
	struct exact e;
	struct wifi w;

	(void)state;
	n = (n + 3) & ~(size_t)3;
	n += add_subframe(body + n, &all, &peer, other, sizeof(other));
	f = make(0x88, 2, &sta, &ap, &ap, NULL, 1, 0x80, body, n);
	assert_int_equal(parse(&f, &w, false, &e), DROP_NONE);
	assert_true(wifi_next(&w, &m));
	assert_true(mac_equal(&m.dst, &sta) && mac_equal(&m.src, &far));
	assert_int_equal(m.type, ETH_IPV4);
	assert_memory_equal(m.data, "hello", 5);
	assert_true(wifi_next(&w, &m));
	assert_true(mac_equal(&m.dst, &all) && mac_equal(&m.src, &peer));
	assert_int_equal(m.type, ETH_ARP);
	assert_int_equal(m.len, 1);
	assert_false(wifi_next(&w, &m));
	exact_free(&e);
	/* Cut off within the second: refused as a whole. */
	f.len--;
	assert_int_equal(parse(&f, &w, false, &e), DROP_WIFI_AMSDU);
	exact_free(&e);
}

static void
a_frame_that_was_marked_as_an_aggregate_is_refused(void **state)
{
	uint8_t body[64] = { SNAP(ETH_IPV4), 0x45, 0, 0, 0, 0, 4 };
	struct air f = make(0x88, 2, &sta, &ap, &far, NULL, 1, 0x80, body, 18);
	struct exact e;
	struct wifi w;

	(void)state;
	assert_int_equal(parse(&f, &w, false, &e), DROP_WIFI_AMSDU);
	exact_free(&e);
}

/* ---- radiotap ---- */

static void
radiotap_is_read_as_it_is_aligned(void **state)
{
	static const struct {
		uint8_t b[40];
		size_t len;
		enum reason reason;
		struct radiotap r;
	} cases[] = {
		{ { 0, 0, 8 }, 8, DROP_NONE, { 0 } },
		{ { 0, 0, 9, 0, 2, 0, 0, 0, 0x10 }, 9, DROP_NONE,
		    { .fcs = true } },
		{ { 0, 0, 9, 0, 2, 0, 0, 0, 0x70 }, 9, DROP_NONE,
		    { .fcs = true, .padded = true, .bad_fcs = true } },
		/* TSFT at 8, flags at 16, rate, channel at 18, signal */
		{ { 0, 0, 23, 0, 0x2f, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x20,
		      12, 0x85, 0x09, 0, 0, 0xd0 },
		    23, DROP_NONE,
		    { .padded = true,
			.mhz = 2437,
			.has_signal = true,
			.signal_dbm = -48 } },
		/* a second word, so TSFT at 16; flags without padding */
		{ { 0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1,
		      1, 1, 1, 1, 1, 0x10 },
		    25, DROP_NONE, { .fcs = true } },
		/* TX flags, and vendors' bytes, are passed over */
		{ { 0, 0, 14, 0, 0, 0x80, 0, 0, 8, 0, 1, 2, 3, 4 }, 14,
		    DROP_NONE, { 0 } },
		{ { 1, 0, 8 }, 8, DROP_RADIOTAP, { 0 } },
		{ { 0, 0, 7 }, 8, DROP_RADIOTAP, { 0 } },
		{ { 0, 0, 8, 0, 2 }, 8, DROP_RADIOTAP, { 0 } },
		{ { 0, 0, 8, 0, 0, 0, 0, 0x80 }, 8, DROP_RADIOTAP, { 0 } },
		{ { 0, 0, 9 }, 8, DROP_SHORT, { 0 } },
		{ { 0, 0, 8 }, 3, DROP_SHORT, { 0 } },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct exact e = exact(cases[i].b, cases[i].len);
		struct radiotap r = { .mhz = 0 };

		assert_int_equal(radiotap_parse(&r, &e.c), cases[i].reason);
		if (cases[i].reason == DROP_NONE) {
			assert_int_equal(cur_left(&e.c), 0);
			assert_int_equal(r.fcs, cases[i].r.fcs);
			assert_int_equal(r.padded, cases[i].r.padded);
			assert_int_equal(r.bad_fcs, cases[i].r.bad_fcs);
			assert_int_equal(r.mhz, cases[i].r.mhz);
			assert_int_equal(r.has_signal, cases[i].r.has_signal);
			assert_int_equal(r.signal_dbm, cases[i].r.signal_dbm);
		}
		exact_free(&e);
	}
}

/* ---- a BSS ---- */

static int
setup(void **state)
{
	*state = wifi_bss_new(&ap, 3);
	return *state == NULL;
}

static int
teardown(void **state)
{
	wifi_bss_free(*state);
	return 0;
}

static enum reason
hear(struct wifi_bss *bss, const struct air *f)
{
	struct exact e = exact(f->b, f->len);
	struct wifi w;
	enum reason reason =
	    wifi_bss_in(bss, WIFI_LINK_80211, e.data, e.len, &w);

	exact_free(&e);
	return reason;
}

static struct air
numbered(uint16_t sequence, bool retry, int tid, const struct mac *from)
{
	return make(tid < 0 ? 0x08 : 0x88, retry ? 0x0a : 0x02, &sta, from,
	    &far, NULL, sequence, tid, hello, sizeof(hello));
}

static void
retries_count_once(void **state)
{
	static const struct {
		uint16_t sequence;
		bool retry;
		int tid;
		enum reason reason;
	} heard[] = {
		{ 10, false, -1, REASON_WIFI_IN },
		{ 10, true, -1, DROP_WIFI_RETRY },
		{ 10, true, 0, REASON_WIFI_IN }, /* a class of its own */
		{ 10, true, 0, DROP_WIFI_RETRY },
		{ 10, true, 5, REASON_WIFI_IN },
		{ 11, true, -1, REASON_WIFI_IN }, /* the first was missed */
		{ 11, true, -1, DROP_WIFI_RETRY },
		{ 13, false, -1, REASON_WIFI_IN },
		{ 12, true, -1, REASON_WIFI_IN }, /* late, but the first */
		{ 12, true, -1, DROP_WIFI_RETRY },
		{ 10, true, -1, DROP_WIFI_RETRY },
		{ 13, false, -1, REASON_WIFI_IN }, /* not a retry: anew */
		{ 4095, false, -1, REASON_WIFI_IN },
		{ 1, false, -1, REASON_WIFI_IN },
		{ 4095, true, -1, DROP_WIFI_RETRY },
		{ 0, true, -1, REASON_WIFI_IN },
		{ 2000, false, -1, REASON_WIFI_IN }, /* begun anew */
		{ 1, true, -1, REASON_WIFI_IN },
	};

	for (size_t i = 0; i < NITEMS(heard); i++) {
		struct air f = numbered(
		    heard[i].sequence, heard[i].retry, heard[i].tid, &ap);

		assert_int_equal(hear(*state, &f), heard[i].reason);
	}
}

static void
only_frames_of_the_bss_come_in(void **state)
{
	struct air f = numbered(1, false, -1, &peer);

	assert_int_equal(hear(*state, &f), DROP_WIFI_BSSID);
	f = make(0x08, 1, &peer, &sta, &far, NULL, 1, -1, hello, 13);
	assert_int_equal(hear(*state, &f), DROP_WIFI_BSSID);
	f = make(0x08, 3, &ap, &peer, &far, &sta, 1, -1, hello, 13);
	assert_int_equal(hear(*state, &f), REASON_WIFI_IN);
	f = make(0x08, 3, &peer, &ap, &far, &sta, 1, -1, hello, 13);
	assert_int_equal(hear(*state, &f), REASON_WIFI_IN);
	f = make(0x08, 3, &peer, &far, &ap, &sta, 1, -1, hello, 13);
	assert_int_equal(hear(*state, &f), DROP_WIFI_BSSID);
	/* To all: as the access point sends it, not on its way there. */
	f = make(0x08, 1, &ap, &sta, &all, NULL, 1, -1, hello, 13);
	assert_int_equal(hear(*state, &f), DROP_WIFI_RELAYED);
	f = make(0x08, 2, &all, &ap, &sta, NULL, 1, -1, hello, 13);
	assert_int_equal(hear(*state, &f), REASON_WIFI_IN);
}

static void
check_sequences_are_checked_and_cut_off(void **state)
{
	static const uint8_t head[] = { 0, 0, 9, 0, 2, 0, 0, 0, 0x10 };
	struct air f = numbered(1, false, -1, &ap), g = { .len = 0 };
	/* of that frame, by another program's CRC-32 */
	static const uint8_t digits[] = "123456789\x26\x39\xf4\xcb";
	struct wifi_msdu m;
	struct wifi w;
	uint32_t crc = ~UINT32_C(0);

	assert_true(wifi_fcs_is_right(digits, 13));
	assert_false(wifi_fcs_is_right(digits, 12));
	assert_false(wifi_fcs_is_right(digits, 3));
	memcpy(g.b, head, sizeof(head));
	memcpy(g.b + sizeof(head), f.b, f.len);
	for (size_t i = 0; i < f.len; i++) {
		crc ^= f.b[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	crc = ~crc;
	g.len = sizeof(head) + f.len;
	for (int i = 0; i < 4; i++)
		g.b[g.len++] = (uint8_t)(crc >> 8 * i);
	assert_int_equal(
	    wifi_bss_in(*state, WIFI_LINK_RADIOTAP, g.b, g.len, &w),
	    REASON_WIFI_IN);
	assert_true(wifi_next(&w, &m));
	assert_int_equal(m.len, 5);
	g.b[g.len - 5] ^= 1;
	assert_int_equal(
	    wifi_bss_in(*state, WIFI_LINK_RADIOTAP, g.b, g.len, &w),
	    DROP_WIFI_FCS);
}

static void
what_is_sent_can_be_heard_and_its_echo_is_known(void **state)
{
	static const struct {
		uint16_t type;
		size_t len;
	} cases[] = { { ETH_IPV4, 60 }, { 0x80f3, 60 }, { 0x8137, 14 },
		{ 40, 60 } /* of 46, with padding */ };

	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct wifi_bss *other = wifi_bss_new(&ap, 1);
		uint8_t eth[60] = { 0 }, back[64], air[256];
		struct writer w = writer(air, sizeof(air));
		struct writer b = writer(back, sizeof(back));
		struct wifi_msdu m;
		struct wifi wifi;

		memcpy(eth, far.b, 6);
		memcpy(eth + 6, sta.b, 6);
		put_be16(eth + 12, cases[i].type);
		eth[14] = eth[15] = 0x42;
		assert_int_equal(
		    wifi_bss_out(*state, &w, eth, cases[i].len), DROP_NONE);
		assert_int_equal(wifi_bss_in(other, WIFI_LINK_RADIOTAP, air,
				     (size_t)(w.at - air), &wifi),
		    REASON_WIFI_IN);
		assert_true(wifi.to_ds && !wifi.from_ds);
		assert_int_equal(wifi.sequence, i);
		assert_true(wifi_next(&wifi, &m));
		wifi_write_ethernet(&b, &m);
		assert_int_equal(
		    b.at - back, cases[i].type == 40 ? 54 : (int)cases[i].len);
		assert_memory_equal(back, eth, (size_t)(b.at - back));
		assert_int_equal(wifi_bss_in(*state, WIFI_LINK_RADIOTAP, air,
				     (size_t)(w.at - air), &wifi),
		    DROP_WIFI_ECHO);
		wifi_bss_free(other);
	}
}

static void
what_cannot_be_sent_is_refused(void **state)
{
	uint8_t eth[WIFI_MSDU_BYTES + 14] = { 0 }, air[WIFI_MSDU_BYTES + 64];
	struct writer w = writer(air, sizeof(air));

	put_be16(eth + 12, ETH_IPV4);
	assert_int_equal(wifi_bss_out(*state, &w, eth, 13), DROP_SHORT);
	assert_int_equal(
	    wifi_bss_out(*state, &w, eth, WIFI_MSDU_BYTES - 8 + 15),
	    DROP_TOO_LONG);
	w = writer(air, sizeof(air));
	assert_int_equal(
	    wifi_bss_out(*state, &w, eth, WIFI_MSDU_BYTES - 8 + 14), DROP_NONE);
	put_be16(eth + 12, 47);
	w = writer(air, sizeof(air));
	assert_int_equal(wifi_bss_out(*state, &w, eth, 60), DROP_SHORT);
}

#define BSS(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_found_by_the_two_bits),
		cmocka_unit_test(what_lengthens_the_header_is_passed_over),
		cmocka_unit_test(llc_becomes_a_type_or_stays_behind_its_length),
		cmocka_unit_test(frames_that_bring_nothing_are_refused),
		cmocka_unit_test(headers_cut_off_anywhere_are_short),
		cmocka_unit_test(an_aggregate_gives_each_of_its_frames),
		cmocka_unit_test(
		    a_frame_that_was_marked_as_an_aggregate_is_refused),
		cmocka_unit_test(radiotap_is_read_as_it_is_aligned),
		BSS(retries_count_once),
		BSS(only_frames_of_the_bss_come_in),
		BSS(check_sequences_are_checked_and_cut_off),
		BSS(what_is_sent_can_be_heard_and_its_echo_is_known),
		BSS(what_cannot_be_sent_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
