#include "net/npt6.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "net/checksum.h"

static struct npt6
npt(const char *inside, const char *outside)
{
	struct ip6_net in, out;
	struct npt6 n;

	assert_true(ip6_net_read(&in, inside));
	assert_true(ip6_net_read(&out, outside));
	assert_true(npt6_init(&n, &in, &out));
	return n;
}

static struct ip6_addr
addr(const char *text)
{
	struct ip6_addr a;

	assert_true(ip6_read(&a, text));
	return a;
}

static uint16_t
sum_of(const struct ip6_addr *a)
{
	uint16_t sum = csum_fold(csum_add_bytes(0, a->b, sizeof(a->b)));

	return sum == 0xffff ? 0 : sum;
}

/* The first row is the example of RFC 6296, 3.6, as corrected by its errata. */
static void
addresses_are_mapped_and_mapped_back(void **state)
{
	static const struct {
		const char *inside, *outside, *host, *is;
	} rows[] = {
		{ "fd01:203:405::/48", "2001:db8:1::/48",
		    "fd01:203:405:1::1234", "2001:db8:1:d550::1234" },
		/* the adjustment comes to all ones, which is written as 0 */
		{ "fd01:203:405::/48", "2001:db8:1::/48",
		    "fd01:203:405:2ab0::1", "2001:db8:1::1" },
		{ "fd01:203:405::/48", "2001:db8:1::/48",
		    "fd01:203:405:ffff::1", NULL },
		/* a shorter prefix is the longer one with what follows it */
		{ "fd00::/40", "2001:db8:1::/48", "fd00:0:0:7::9",
		    "2001:db8:1:cf4d::9" },
		/* a longer prefix: in the identifier */
		{ "fd00:1:2:3::/64", "2001:db8:1:2::/64", "fd00:1:2:3::9",
		    "2001:db8:1:2:cf4a::9" },
		{ "fd00:1:2:3::/64", "2001:db8:1:2::/64",
		    "fd00:1:2:3:ffff:ffff:0:9",
		    "2001:db8:1:2:ffff:ffff:cf4a:9" },
		{ "fd00:1:2:3::/64", "2001:db8:1:2::/64",
		    "fd00:1:2:3::", NULL },
		{ "fd00:1:2:3::/64", "2001:db8:1:2::/64",
		    "fd00:1:2:3:ffff:ffff:ffff:ffff", NULL },
		/* bits between 48 and 64 that the prefix leaves stay */
		{ "fd00:1:2:300::/56", "2001:db8:1:200::/56", "fd00:1:2:3ab::9",
		    "2001:db8:1:2ab:d049::9" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct npt6 n = npt(rows[i].inside, rows[i].outside);
		struct ip6_addr host = addr(rows[i].host), a = host;
		char text[IP6_TEXT_BYTES];

		print_message("%s\n", rows[i].host);
		if (rows[i].is == NULL) {
			assert_in_range(
			    npt6_out(&n, &a), NPT6_NO_SUBNET, NPT6_NO_HOST);
			assert_true(ip6_equal(&a, &host));
			continue;
		}
		assert_int_equal(npt6_out(&n, &a), NPT6_DONE);
		assert_string_equal(ip6_text(text, &a), rows[i].is);
		assert_int_equal(sum_of(&a), sum_of(&host));
		assert_int_equal(npt6_out(&n, &a), NPT6_NOT_OURS);
		assert_int_equal(npt6_in(&n, &a), NPT6_DONE);
		assert_true(ip6_equal(&a, &host));
	}
}

/* All subnets but one, in both directions. */
static void
no_two_subnets_become_one(void **state)
{
	struct npt6 n = npt("fd01:203:405::/48", "2001:db8:1::/48");
	static bool seen[0x10000];

	(void)state;
	for (unsigned int i = 0; i < 0xffff; i++) {
		struct ip6_addr a = addr("fd01:203:405::1"), was;
		unsigned int is;

		put_be16(a.b + 6, (uint16_t)i);
		was = a;
		assert_int_equal(npt6_out(&n, &a), NPT6_DONE);
		is = get_be16(a.b + 6);
		assert_int_not_equal(is, 0xffff);
		assert_false(seen[is]);
		seen[is] = true;
		assert_int_equal(sum_of(&a), sum_of(&was));
		assert_int_equal(npt6_in(&n, &a), NPT6_DONE);
		assert_true(ip6_equal(&a, &was));
	}
}

static void
what_is_no_pair_is_refused(void **state)
{
	struct ip6_net a, b;
	struct npt6 n;

	(void)state;
	assert_true(ip6_net_read(&a, "fd00::1/65"));
	assert_true(ip6_net_read(&b, "2001:db8::/48"));
	assert_false(npt6_init(&n, &a, &b));
	assert_false(npt6_init(&n, &b, &b));
	a.prefix = b.prefix = 0;
	assert_false(npt6_init(&n, &a, &b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_mapped_and_mapped_back),
		cmocka_unit_test(no_two_subnets_become_one),
		cmocka_unit_test(what_is_no_pair_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
