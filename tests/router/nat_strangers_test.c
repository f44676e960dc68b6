/*
 * What senders outside can and cannot do to the table of a NAT whose filters
 * admit them.
 */
#include "tests/router/nat_ends.h"

static void
rfc4787_req6_strangers_keep_no_mapping_that_only_its_host_refreshes(
    void **state)
{
	struct nat_rules rules = *nat_preset(NAT_PRESET_FULL_CONE);
	struct nat *nat;

	(void)state;
	rules.refresh = NAT_REFRESH_OUTBOUND;
	rules.no_rest = true;
	nat = table(&rules);
	out(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL);
	/* Each a little before the last one's time is over. */
	assert_int_equal(in(nat, 5000, OTHER, 1, 250 * S), REASON_NAT_IN);
	assert_int_equal(in(nat, 5000, OTHER, 1, 299 * S), REASON_NAT_IN);
	assert_int_equal(in(nat, 5000, OTHER, 2, 299 * S), REASON_NAT_IN);
	nat_expire(nat, 302 * S);
	assert_int_equal(nat_stats(nat).mappings, 0);
	assert_int_equal(
	    in(nat, 5000, OTHER, 2, 302 * S), DROP_NAT_UNSOLICITED);
	assert_int_equal(
	    in(nat, 5000, OTHER, 3, 302 * S), DROP_NAT_UNSOLICITED);
	/* Another's mapping there has nothing to do with them. */
	assert_int_equal(
	    out(nat, udp(BOB, 5000, SERVER, 1), 303 * S, NULL), 5000);
	assert_int_equal(in(nat, 5000, OTHER, 1, 303 * S), REASON_NAT_IN);
	assert_int_equal(in(nat, 5000, OTHER, 2, 303 * S), REASON_NAT_IN);
	nat_expire(nat, 900 * S);
	assert_int_equal(nat_stats(nat).sessions, 0);
	assert_int_equal(nat_stats(nat).mappings, 0);
	nat_free(nat);
}

static void
rfc4787_req6_who_is_answered_keeps_it(void **state)
{
	static const enum nat_behaviour filters[] = { NAT_ENDPOINT_INDEPENDENT,
		NAT_ADDRESS_DEPENDENT };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct nat_rules rules = { .filtering = filters[i],
			.refresh = NAT_REFRESH_OUTBOUND,
			.no_rest = true };
		struct nat *nat = table(&rules);

		out(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL);
		assert_int_equal(
		    in(nat, 5000, SERVER, 2, 250 * S), REASON_NAT_IN);
		assert_int_equal(
		    out(nat, udp(ALICE, 5000, SERVER, 2), 260 * S, NULL), 5000);
		nat_expire(nat, 302 * S);
		assert_int_equal(nat_stats(nat).mappings, 1);
		assert_int_equal(
		    in(nat, 5000, SERVER, 3, 559 * S), REASON_NAT_IN);
		nat_expire(nat, 562 * S);
		assert_int_equal(nat_stats(nat).mappings, 0);
		/* All that was counted is counted back. */
		nat_expire(nat, 1000 * S);
		assert_int_equal(nat_stats(nat).sessions, 0);
		out(nat, udp(ALICE, 5000, OTHER, 1), 1000 * S, NULL);
		if (i == 1)
			assert_int_equal(in(nat, 5000, SERVER, 1, 1000 * S),
			    DROP_NAT_FILTERED);
		nat_free(nat);
	}
}

static void
a_mapping_that_rests_has_no_guests(void **state)
{
	struct nat_rules rules = *nat_preset(NAT_PRESET_FULL_CONE);
	struct nat *nat;
	enum reason why;

	(void)state;
	rules.refresh = NAT_REFRESH_OUTBOUND;
	nat = table(&rules);
	out(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL);
	assert_int_equal(in(nat, 5000, OTHER, 1, 250 * S), REASON_NAT_IN);
	nat_expire(nat, 302 * S);
	assert_int_equal(nat_stats(nat).resting, 1);
	assert_int_equal(
	    in(nat, 5000, OTHER, 1, 310 * S), DROP_NAT_UNSOLICITED);
	/* The host has its port again, and speaks to whom it did not know. */
	assert_int_equal(
	    out(nat, udp(ALICE, 5000, OTHER, 1), 320 * S, &why), 5000);
	assert_int_equal(why, REASON_NAT_NEW);
	assert_true(nat_has_port(nat, OUTSIDE, IP_UDP, 5000));
	assert_int_equal(in(nat, 5000, OTHER, 2, 321 * S), REASON_NAT_IN);
	nat_expire(nat, 700 * S);
	nat_expire(nat, 900 * S);
	assert_int_equal(nat_stats(nat).sessions, 0);
	assert_int_equal(nat_stats(nat).mappings, 0);
	assert_int_equal(nat_stats(nat).resting, 0);
	nat_free(nat);
}

static void
a_guest_of_a_former_mapping_is_not_found_for_another_host(void **state)
{
	struct nat_rules rules = *nat_preset(NAT_PRESET_FULL_CONE);
	struct nat *nat;
	enum reason why;

	(void)state;
	rules.refresh = NAT_REFRESH_OUTBOUND;
	rules.no_rest = true;
	nat = table(&rules);
	out(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL);
	assert_int_equal(in(nat, 5000, OTHER, 1, 250 * S), REASON_NAT_IN);
	/* Her mapping ends before the guest's own time, and bob has the port. */
	nat_expire(nat, 302 * S);
	assert_int_equal(
	    out(nat, udp(BOB, 5000, OTHER, 1), 310 * S, &why), 5000);
	assert_int_equal(why, REASON_NAT_NEW);
	assert_int_equal(nat_stats(nat).sessions, 1);
	assert_int_equal(in(nat, 5000, OTHER, 1, 311 * S), REASON_NAT_IN);
	nat_free(nat);
}

static void
guests_are_counted_when_all_packets_refresh_again(void **state)
{
	struct nat_rules rules = *nat_preset(NAT_PRESET_RESTRICTED);
	struct nat *nat;

	(void)state;
	rules.refresh = NAT_REFRESH_OUTBOUND;
	rules.no_rest = true;
	nat = table(&rules);
	out(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL);
	assert_int_equal(in(nat, 5000, SERVER, 2, 200 * S), REASON_NAT_IN);
	rules.refresh = NAT_REFRESH_BOTH;
	assert_int_equal(nat_set_rules(nat, &rules, 200 * S, NULL), 0);
	assert_int_equal(in(nat, 5000, SERVER, 2, 290 * S), REASON_NAT_IN);
	nat_expire(nat, 302 * S);
	assert_int_equal(nat_stats(nat).mappings, 1);
	nat_expire(nat, 592 * S);
	assert_int_equal(nat_stats(nat).mappings, 0);
	nat_free(nat);
}

/* ---- who floods from outside ---- */

static void
nobody_outside_fills_the_table(void **state)
{
	struct nat *nat = table(nat_preset(NAT_PRESET_FULL_CONE));
	enum reason why;
	uint32_t n = 0;

	(void)state;
	out(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL);
	while (in(nat, 5000, OTHER + n, 9, 0) == REASON_NAT_IN)
		n++;
	assert_int_equal(in(nat, 5000, OTHER + n, 9, 0), DROP_NAT_FULL);
	assert_int_equal(n + 1, 4096 / 4 * 3);
	/* Who was there goes on, and the quarter is for those inside. */
	assert_int_equal(in(nat, 5000, SERVER, 1, 0), REASON_NAT_IN);
	assert_int_equal(in(nat, 5000, OTHER, 9, 0), REASON_NAT_IN);
	for (uint32_t i = 0; i < 4096 / 4; i++)
		assert_int_not_equal(
		    out(nat, udp(BOB, (uint16_t)(2000 + i), SERVER, 1), 0,
			&why),
		    0);
	out(nat, udp(BOB, 9000, SERVER, 1), 0, &why);
	assert_int_equal(why, DROP_NAT_FULL);
	/* What has expired is room. */
	assert_int_not_equal(
	    out(nat, udp(ALICE, 5000, SERVER, 2), 302 * S, NULL), 0);
	nat_free(nat);
}

static void
rfc6888_req4_nobody_outside_takes_all_that_a_host_may_have(void **state)
{
	struct nat_rules rules = *nat_preset(NAT_PRESET_FULL_CONE);
	struct nat *nat;
	enum reason why;
	uint32_t n = 0;

	(void)state;
	rules.host_sessions = 100;
	nat = table(&rules);
	out(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL);
	while (in(nat, 5000, OTHER + n, 9, 0) == REASON_NAT_IN)
		n++;
	assert_int_equal(in(nat, 5000, OTHER + n, 9, 0), DROP_NAT_HOST_LIMIT);
	assert_int_equal(n + 1, 75);
	for (uint16_t i = 0; i < 25; i++)
		assert_int_not_equal(
		    out(nat, udp(ALICE, 6000 + i, SERVER, 1), 0, NULL), 0);
	out(nat, udp(ALICE, 7000, SERVER, 1), 0, &why);
	assert_int_equal(why, DROP_NAT_HOST_LIMIT);
	nat_free(nat);
}

#define T(f) cmocka_unit_test(f)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc4787_req6_strangers_keep_no_mapping_that_only_its_host_refreshes),
		T(rfc4787_req6_who_is_answered_keeps_it),
		T(a_mapping_that_rests_has_no_guests),
		T(a_guest_of_a_former_mapping_is_not_found_for_another_host),
		T(guests_are_counted_when_all_packets_refresh_again),
		T(nobody_outside_fills_the_table),
		T(rfc6888_req4_nobody_outside_takes_all_that_a_host_may_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
