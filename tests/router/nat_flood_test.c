/*
 * Floods of fragments, and what outlives them (RFC 4787 REQ-14a).
 */
#include "tests/router/fragments.h"

static void
rfc4787_req14a_a_flood_of_fragments_hurts_only_itself(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct form flood = form(BOB, 1, SERVER, 1);
	struct pkt *pkt = malloc(sizeof(*pkt)),
		   *part = malloc(3 * sizeof(*part));
	struct pkt *bad = malloc(3 * sizeof(*bad));

	flood.data_bytes = 3000;
	for (uint16_t i = 0; i < 20000; i++) {
		flood.id = i;
		pkt_make(pkt, &rig->peer[INSIDE], &flood, IP_UDP, 0);
		cut(pkt, 3, bad);
		rig_send(rig, INSIDE, bad[1].bytes, bad[1].len);
		if (i % 1000 != 500)
			continue;
		/* Whole packets, and fragments in order with the flood between
		 * them, pass. */
		rig_clear(rig);
		udp_port(rig, ALICE, 4000, SERVER, 1);
		f.id = i;
		f.data_bytes = 3000;
		pkt_make(pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
		cut(pkt, 3, part);
		for (int k = 0; k < 3; k++) {
			assert_false(reason_is_drop(
			    rig_send(rig, INSIDE, part[k].bytes, part[k].len)));
			rig_send(rig, INSIDE, bad[2].bytes, bad[2].len);
		}
		assert_int_equal(rig->peer[OUTSIDE].n, 3);
	}
	/* Nothing is left of it after its time: each of them is lost, once. */
	rig_wait(rig, 31 * S);
	assert_int_equal(
	    router_node(rig->router)->count[DROP_FRAGMENT], 20000 + 20 * 3);
	free(pkt);
	free(part);
	free(bad);
}

static void
rfc4787_req14a_a_packet_that_passes_outlives_a_flood_of_others(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct form flood = form(BOB, 1, SERVER, 1);
	struct pkt *pkt = malloc(sizeof(*pkt)),
		   *part = malloc(3 * sizeof(*part));
	struct pkt *bad = malloc(3 * sizeof(*bad));

	f.data_bytes = flood.data_bytes = 3000;
	pkt_make(pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
	cut(pkt, 3, part);
	assert_int_equal(
	    rig_send(rig, INSIDE, part[0].bytes, part[0].len), REASON_NAT_NEW);
	for (uint16_t i = 0; i < 5000; i++) {
		flood.id = i;
		pkt_make(pkt, &rig->peer[INSIDE], &flood, IP_UDP, 0);
		cut(pkt, 3, bad);
		rig_send(rig, INSIDE, bad[1].bytes, bad[1].len);
	}
	assert_int_equal(
	    rig_send(rig, INSIDE, part[1].bytes, part[1].len), REASON_NAT_OUT);
	assert_int_equal(
	    rig_send(rig, INSIDE, part[2].bytes, part[2].len), REASON_NAT_OUT);
	free(pkt);
	free(part);
	free(bad);
}

static void
a_full_table_of_fragments_forgets_first_who_waits(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct pkt *pkt = malloc(sizeof(*pkt)),
		   *part = malloc(2 * sizeof(*part));
	struct pkt *other = malloc(2 * sizeof(*other));

	f.data_bytes = 2000;
	pkt_make(pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
	cut(pkt, 2, part);
	rig_send(rig, INSIDE, part[0].bytes, part[0].len);
	for (uint16_t id = 1; id < 1025; id++) {
		f.id = id;
		pkt_make(pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
		cut(pkt, 2, other);
		rig_send(rig, INSIDE, other[id == 1].bytes, other[id == 1].len);
	}
	/* 1024 packets pass; the one that waited was the 1025th. */
	assert_int_equal(router_node(rig->router)->count[DROP_FRAGMENT], 1);
	assert_int_equal(
	    rig_send(rig, INSIDE, part[1].bytes, part[1].len), REASON_NAT_OUT);
	free(pkt);
	free(part);
	free(other);
}

/* Many packets' part by somebody else. */
static void
flood(struct rig *rig, int from, const struct form *form, uint8_t protocol,
    int which, uint16_t n)
{
	struct form f = *form;

	f.data_bytes = 3000;
	for (uint16_t i = 0; i < n; i++) {
		struct pkt *part;

		f.id = i;
		part = three_parts(rig, from, &f, protocol, ICMP_ECHO_REQUEST);
		send_part(rig, from, &part[which]);
		free(part);
	}
}

static void
rfc4787_req14a_what_passes_outlives_any_flood(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	const struct form bobs = form(BOB, 6000, SERVER, 1);
	const struct form nobodys = form(FAR, 6000, GW_OUTSIDE, 7777);
	struct pkt *part;

	f.data_bytes = 3000;
	part = three_parts(rig, INSIDE, &f, IP_UDP, 0);
	for (int kind = 0; kind < 3; kind++) {
		rig_clear(rig);
		assert_false(reason_is_drop(send_part(rig, INSIDE, &part[0])));
		if (kind == 0) /* passes as well, and never ends */
			flood(rig, INSIDE, &bobs, IP_UDP, 0, 3000);
		else if (kind == 1) /* is refused */
			flood(rig, OUTSIDE, &nobodys, IP_UDP, 0, 3000);
		else /* waits */
			flood(rig, INSIDE, &bobs, IP_UDP, 1, 3000);
		assert_int_equal(
		    send_part(rig, INSIDE, &part[1]), REASON_NAT_OUT);
		assert_int_equal(
		    send_part(rig, INSIDE, &part[2]), REASON_NAT_OUT);
	}
	free(part);
}

static void
rfc4787_req14a_what_waits_outlives_floods_of_others(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	const struct form bobs = form(BOB, 6000, SERVER, 1);
	const struct form nobodys = form(FAR, 6000, GW_OUTSIDE, 7777);
	const struct form pings = form(FAR, 7, GW_OUTSIDE, 0);
	struct pkt *part;

	f.data_bytes = 3000;
	part = three_parts(rig, INSIDE, &f, IP_UDP, 0);
	for (int kind = 0; kind < 4; kind++) {
		rig_clear(rig);
		assert_int_equal(
		    send_part(rig, INSIDE, &part[1]), REASON_FRAGMENT_HELD);
		if (kind == 0)
			flood(rig, INSIDE, &bobs, IP_UDP, 1, 3000);
		else if (kind == 1)
			flood(rig, INSIDE, &bobs, IP_UDP, 0, 3000);
		else if (kind == 2)
			flood(rig, OUTSIDE, &nobodys, IP_UDP, 0, 3000);
		else /* to the router, which keeps them */
			flood(rig, OUTSIDE, &pings, IP_ICMP, 0, 3000);
		rig_clear(rig);
		send_part(rig, INSIDE, &part[0]);
		assert_int_equal(rig->peer[OUTSIDE].n, 2);
		send_part(rig, INSIDE, &part[2]);
		assert_int_equal(rig->peer[OUTSIDE].n, 3);
	}
	free(part);
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc4787_req14a_a_flood_of_fragments_hurts_only_itself),
		T(rfc4787_req14a_a_packet_that_passes_outlives_a_flood_of_others),
		T(a_full_table_of_fragments_forgets_first_who_waits),
		T(rfc4787_req14a_what_passes_outlives_any_flood),
		T(rfc4787_req14a_what_waits_outlives_floods_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
