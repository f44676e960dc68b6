#include "bridge/host_only.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/eth.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))
#define HOST      UINT32_C(0xc0a83801) /* 192.168.56.1 */

static const struct ip4_net host = { .addr = HOST, .prefix = 24 };

struct bytes {
	uint8_t b[64];
	size_t len;
};

static void
put(struct bytes *f, const void *bytes, size_t n)
{
	assert_true(f->len + n <= sizeof(f->b));
	memcpy(f->b + f->len, bytes, n);
	f->len += n;
}

static void
put_be(struct bytes *f, uint32_t value, unsigned int n)
{
	while (n-- > 0)
		put(f, (const uint8_t[]){ (uint8_t)(value >> 8 * n) }, 1);
}

/* Up to the type, behind tags. */
static struct bytes
ether(unsigned int tags, uint16_t type)
{
	struct bytes f = { .len = 12 };

	for (unsigned int i = 0; i < tags; i++)
		put_be(&f, 0x8100000a, 4);
	put_be(&f, type, 2);
	return f;
}

static struct bytes
ip4(unsigned int tags, uint32_t src, uint32_t dst)
{
	struct bytes f = ether(tags, ETH_IPV4);

	put_be(&f, 0x45000014, 4);
	put_be(&f, 0, 4);
	put_be(&f, 0x40010000, 4);
	put_be(&f, src, 4);
	put_be(&f, dst, 4);
	return f;
}

static struct bytes
ip6(uint16_t src, uint16_t dst)
{
	struct bytes f = ether(0, ETH_IPV6);
	uint8_t rest[14] = { [13] = 1 };

	put_be(&f, 0x60000000, 4);
	put_be(&f, 0x00003a40, 4);
	put_be(&f, src, 2);
	put(&f, rest, sizeof(rest));
	put_be(&f, dst, 2);
	put(&f, rest, sizeof(rest));
	return f;
}

static void
ip4_ends_at_the_host(void **state)
{
	static const struct {
		uint32_t dst;
		bool passes;
	} rows[] = {
		{ HOST, true },
		{ HOST + 1, false },
		{ 0xc0a838ff, true },  /* the subnet's broadcast */
		{ 0xc0a839ff, false }, /* another's */
		{ 0xffffffff, true },
		{ 0xe00000fb, true },  /* 224.0.0.251 */
		{ 0xe0000100, false }, /* 224.0.1.0 may be routed */
		{ 0xdfffffff, false },
		{ 0x7f000001, false },
		{ 0x08080808, false },
		{ 0, false },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(rows); i++)
		for (unsigned int tags = 0; tags <= 2; tags++) {
			struct bytes f = ip4(tags, HOST + 1, rows[i].dst);

			assert_int_equal(host_only_in(host, f.b, f.len),
			    rows[i].passes ? DROP_NONE : DROP_HOST_ONLY);
		}
}

static void
nothing_that_the_host_forwards_comes_in(void **state)
{
	struct bytes own = ip4(0, HOST, HOST + 1);
	struct bytes other = ip4(0, 0x08080808, HOST + 1);
	struct bytes tagged = ip4(2, 0x08080808, HOST + 1);

	(void)state;
	assert_int_equal(host_only_out(host, own.b, own.len), DROP_NONE);
	assert_int_equal(
	    host_only_out(host, other.b, other.len), DROP_HOST_ONLY);
	assert_int_equal(
	    host_only_out(host, tagged.b, tagged.len), DROP_HOST_ONLY);
}

static void
ip6_stays_on_the_link(void **state)
{
	static const struct {
		uint16_t src, dst;
		bool in, out;
	} rows[] = {
		{ 0xfe80, 0xfe80, true, true },
		{ 0xfebf, 0xfebf, true, true },
		{ 0xfec0, 0xfec0, false, false },
		{ 0xfe80, 0xff02, true, true },
		{ 0xfe80, 0xff12, true, true },
		{ 0xfe80, 0xff05, false, true },
		{ 0x2001, 0x2001, false, false },
		{ 0x2001, 0xfe80, true, false },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(rows); i++) {
		struct bytes f = ip6(rows[i].src, rows[i].dst);

		assert_int_equal(host_only_in(host, f.b, f.len),
		    rows[i].in ? DROP_NONE : DROP_HOST_ONLY);
		assert_int_equal(host_only_out(host, f.b, f.len),
		    rows[i].out ? DROP_NONE : DROP_HOST_ONLY);
	}
}

static void
other_protocols_pass_if_they_cannot_be_routed(void **state)
{
	static const struct {
		uint16_t type;
		enum reason reason;
	} rows[] = {
		{ ETH_ARP, DROP_NONE }, { ETH_LLDP, DROP_NONE },
		{ 38, DROP_NONE }, /* LLC, as a BPDU */
		{ 1500, DROP_NONE }, { 0x8847, DROP_HOST_ONLY }, /* MPLS */
		{ 0x8864, DROP_HOST_ONLY },                      /* PPPoE */
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(rows); i++) {
		struct bytes f = ether(0, rows[i].type);

		assert_int_equal(
		    host_only_in(host, f.b, f.len), rows[i].reason);
		assert_int_equal(
		    host_only_out(host, f.b, f.len), rows[i].reason);
	}
}

static void
what_is_cut_off_is_refused(void **state)
{
	struct bytes four = ip4(1, HOST, HOST), six = ip6(0xfe80, 0xfe80);

	(void)state;
	for (size_t n = 0; n < four.len; n++)
		assert_true(reason_is_drop(host_only_in(host, four.b, n)) &&
		    reason_is_drop(host_only_out(host, four.b, n)));
	for (size_t n = 0; n < six.len; n++)
		assert_true(reason_is_drop(host_only_in(host, six.b, n)) &&
		    reason_is_drop(host_only_out(host, six.b, n)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ip4_ends_at_the_host),
		cmocka_unit_test(nothing_that_the_host_forwards_comes_in),
		cmocka_unit_test(ip6_stays_on_the_link),
		cmocka_unit_test(other_protocols_pass_if_they_cannot_be_routed),
		cmocka_unit_test(what_is_cut_off_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
