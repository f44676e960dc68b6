/*
 * Packets that are cut, and fragments, through the NAT (RFC 4787 10 and 11).
 */
#include "tests/router/fragments.h"

static void
rfc4787_req13_too_big_with_df_is_told_of_the_mtu(void **state)
{
	struct rig *rig = rig_new(1400);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct got g, q;

	*state = rig;
	rig_nat(rig, EI, APD, 0);
	rig_warm(rig);
	f.fragment = IP4_DF;
	f.data_bytes = 1472;
	assert_int_equal(rig_form(rig, INSIDE, &f, IP_UDP, 0), DROP_MTU);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.src, GW_INSIDE);
	assert_int_equal(g.icmp.type, ICMP_UNREACHABLE);
	assert_int_equal(g.icmp.code, ICMP_UNREACH_NEEDFRAG);
	assert_int_equal(g.icmp.frag.mtu, 1400);
	q = got_quote(&g);
	assert_int_equal(q.ip.src, ALICE); /* as it was sent */
	assert_int_equal(q.sport, 5000);
	f.data_bytes = 1372;
	assert_int_equal(rig_form(rig, INSIDE, &f, IP_UDP, 0), REASON_NAT_NEW);
}

/* Joins the fragments that a peer saw, which must be in order, into a packet
 * of its own. */
static struct seen
joined(const struct peer *peer, uint8_t *out)
{
	size_t at = 0;
	struct got g = { .seen = NULL };
	struct ip4 first = { .ttl = 0 };
	struct writer w = writer(out, FRAME_MAX_BYTES);

	for (unsigned int i = 0; i < peer->n; i++) {
		g = got_of(&peer->seen[i]);
		assert_int_equal(g.ip.offset_bytes, at);
		assert_int_equal(
		    (g.ip.fragment & IP4_MF) != 0, i + 1 < peer->n);
		if (i == 0)
			first = g.ip;
		assert_int_equal(g.ip.id, first.id);
		assert_int_equal(g.ip.src, first.src);
		assert_int_equal(g.ip.dst, first.dst);
		memcpy(out + 14 + first.header_bytes + at,
		    g.seen->data + 14 + g.ip.header_bytes,
		    g.ip.total_bytes - g.ip.header_bytes);
		at += g.ip.total_bytes - g.ip.header_bytes;
	}
	eth_write(&w, &g.eth);
	first.total_bytes = (uint16_t)(first.header_bytes + at);
	first.fragment = 0;
	ip4_write(&w, &first);
	return (struct seen){ .data = out, .len = 14u + first.total_bytes };
}

static void
rfc4787_req13a_without_df_fragments_leave_in_order(void **state)
{
	struct rig *rig = rig_new(576);
	struct form f = form(ALICE, 5000, SERVER, 1);
	uint8_t *bytes = malloc(FRAME_MAX_BYTES);
	struct seen seen;
	struct got g;

	*state = rig;
	rig_nat(rig, EI, APD, 0);
	rig_warm(rig);
	f.data_bytes = 1472;
	f.id = 99;
	assert_int_equal(rig_form(rig, INSIDE, &f, IP_UDP, 0), REASON_NAT_NEW);
	assert_int_equal(rig->peer[OUTSIDE].n, 3);
	for (int i = 0; i < 3; i++) {
		assert_true(rig->peer[OUTSIDE].seen[i].len <= 576 + 14);
		assert_int_equal(
		    rig->peer[OUTSIDE].seen[i].cause.reason, REASON_NAT_NEW);
	}
	seen = joined(&rig->peer[OUTSIDE], bytes);
	g = got_of(&seen);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	assert_int_equal(g.udp.data_bytes, 1472);
	assert_int_equal(g.udp.data[1471], rig_byte(1471));
	free(bytes);
}

static const int orders[6][3] = {
	{ 0, 1, 2 },
	{ 0, 2, 1 },
	{ 1, 0, 2 },
	{ 1, 2, 0 },
	{ 2, 0, 1 },
	{ 2, 1, 0 },
};

/* The fragments that a peer saw, in the order of their offsets. */
static int
by_offset(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	return (get_be16(x->data + 20) & 0x1fff) -
	    (get_be16(y->data + 20) & 0x1fff);
}

static struct got
reassembled(struct rig *rig, int at, uint8_t *bytes, struct seen *seen)
{
	struct peer *peer = &rig->peer[at];

	qsort(peer->seen, peer->n, sizeof(peer->seen[0]), by_offset);
	*seen = joined(peer, bytes);
	return got_of(seen);
}

static void
rfc4787_req14_fragments_pass_in_each_order_and_direction(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct form back = form(SERVER, 1, GW_OUTSIDE, 0);
	struct pkt *pkt = malloc(sizeof(*pkt)),
		   *part = malloc(3 * sizeof(*part));
	uint8_t *bytes = malloc(FRAME_MAX_BYTES);
	struct seen seen;
	struct got g;

	/* Somebody else has the port, so that it must change. */
	udp_port(rig, BOB, 5000, SERVER, 1);
	f.data_bytes = back.data_bytes = 3000;
	for (uint16_t o = 0; o < 6; o++) {
		f.id = back.id = (uint16_t)(100 + o);
		pkt_make(pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
		cut(pkt, 3, part);
		for (int i = 0; i < 3; i++) {
			const struct pkt *p = &part[orders[o][i]];

			assert_false(reason_is_drop(
			    rig_send(rig, INSIDE, p->bytes, p->len)));
		}
		assert_int_equal(rig->peer[OUTSIDE].n, 3);
		g = reassembled(rig, OUTSIDE, bytes, &seen);
		assert_int_equal(g.ip.src, GW_OUTSIDE);
		assert_int_not_equal(g.sport, 5000);
		assert_int_equal(g.udp.data_bytes, 3000);
		back.dport = g.sport;
		rig_clear(rig);

		pkt_make(pkt, &rig->peer[OUTSIDE], &back, IP_UDP, 0);
		cut(pkt, 3, part);
		for (int i = 0; i < 3; i++) {
			const struct pkt *p = &part[orders[o][i]];

			assert_false(reason_is_drop(
			    rig_send(rig, OUTSIDE, p->bytes, p->len)));
		}
		g = reassembled(rig, INSIDE, bytes, &seen);
		assert_int_equal(g.ip.dst, ALICE);
		assert_int_equal(g.dport, 5000);
		assert_int_equal(g.udp.data_bytes, 3000);
		rig_clear(rig);
	}
	free(pkt);
	free(part);
	free(bytes);
}

static void
rfc4787_req14_long_pings_pass_in_each_order(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct form f = form(ALICE, 77, SERVER, 0);
	struct form back = form(SERVER, 77, GW_OUTSIDE, 0);
	struct pkt *pkt = malloc(sizeof(*pkt)),
		   *part = malloc(3 * sizeof(*part));
	uint8_t *bytes = malloc(FRAME_MAX_BYTES);
	struct seen seen;
	struct got g;

	f.data_bytes = back.data_bytes = 3000;
	for (uint16_t o = 0; o < 6; o++) {
		f.id = back.id = (uint16_t)(200 + o);
		pkt_make(
		    pkt, &rig->peer[INSIDE], &f, IP_ICMP, ICMP_ECHO_REQUEST);
		cut(pkt, 3, part);
		for (int i = 0; i < 3; i++)
			rig_send(rig, INSIDE, part[orders[o][i]].bytes,
			    part[orders[o][i]].len);
		g = reassembled(rig, OUTSIDE, bytes, &seen);
		assert_int_equal(g.ip.src, GW_OUTSIDE);
		assert_int_equal(g.icmp.data_bytes, 3000);
		rig_clear(rig);
		pkt_make(
		    pkt, &rig->peer[OUTSIDE], &back, IP_ICMP, ICMP_ECHO_REPLY);
		cut(pkt, 3, part);
		for (int i = 0; i < 3; i++)
			rig_send(rig, OUTSIDE, part[orders[o][i]].bytes,
			    part[orders[o][i]].len);
		g = reassembled(rig, INSIDE, bytes, &seen);
		assert_int_equal(g.ip.dst, ALICE);
		assert_int_equal(g.icmp.type, ICMP_ECHO_REPLY);
		rig_clear(rig);
	}
	free(pkt);
	free(part);
	free(bytes);
}

static void
overlapping_fragments_are_refused(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct pkt *part, *wider;

	f.data_bytes = 3000;
	part = three_parts(rig, INSIDE, &f, IP_UDP, 0);
	f.data_bytes = 3048; /* its parts are 16 bytes longer */
	wider = three_parts(rig, INSIDE, &f, IP_UDP, 0);
	assert_int_equal(
	    send_part(rig, INSIDE, &part[1]), REASON_FRAGMENT_HELD);
	assert_int_equal(send_part(rig, INSIDE, &wider[1]), DROP_FRAGMENT);
	assert_int_equal(send_part(rig, INSIDE, &part[0]), DROP_FRAGMENT);
	assert_int_equal(send_part(rig, INSIDE, &part[2]), DROP_FRAGMENT);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	free(part);
	free(wider);
}

/* Have all three parts come to a peer, as of one packet? */
static void
expect_all_parts(const struct peer *peer)
{
	unsigned int offsets = 0;
	uint16_t id = got_of(&peer->seen[0]).ip.id;

	for (unsigned int i = 0; i < peer->n; i++) {
		struct got g = got_of(&peer->seen[i]);

		assert_int_equal(g.ip.id, id);
		offsets |= 1u << g.ip.offset_bytes / 1000;
	}
	assert_int_equal(offsets, 7);
}

static void
rfc4787_req14_copies_of_fragments_do_no_harm(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct form ping = form(SERVER, 9, GW_OUTSIDE, 0);

	f.data_bytes = ping.data_bytes = 3000;
	/* The first copy at once, then the others where they come. */
	for (uint16_t o = 0; o < 36; o++) {
		const int *order = orders[o % 6];
		int again = order[o / 6 % 3], before = o / 18;
		struct pkt *part;

		f.id = ping.id = (uint16_t)(1000 + o);
		part = three_parts(rig, INSIDE, &f, IP_UDP, 0);
		for (int i = 0; i < 3; i++) {
			send_part(rig, INSIDE, &part[order[i]]);
			if (i == before && again != order[2])
				send_part(rig, INSIDE, &part[again]);
		}
		expect_all_parts(&rig->peer[OUTSIDE]);
		free(part);
		rig_clear(rig);
		/* And what is for the router itself is answered. */
		part = three_parts(
		    rig, OUTSIDE, &ping, IP_ICMP, ICMP_ECHO_REQUEST);
		for (int i = 0; i < 3; i++) {
			send_part(rig, OUTSIDE, &part[order[i]]);
			if (i == before && i < 2)
				send_part(rig, OUTSIDE, &part[order[i]]);
		}
		assert_true(rig->peer[OUTSIDE].n > 0);
		free(part);
		rig_clear(rig);
		rig_wait(rig, NS_PER_S);
	}
}

static void
rfc4787_req14_hairpins_pass_in_each_order(void **state)
{
	struct rig *rig = start_as(state, EI, EI, 0);
	struct form f = form(BOB, 6000, GW_OUTSIDE, 5000);
	uint8_t *bytes = malloc(FRAME_MAX_BYTES);

	udp_port(rig, ALICE, 5000, SERVER, 1);
	f.data_bytes = 3000;
	for (uint16_t o = 0; o < 6; o++) {
		struct seen seen;
		struct got g;
		struct pkt *part;

		f.id = (uint16_t)(100 + o);
		part = three_parts(rig, INSIDE, &f, IP_UDP, 0);
		for (int i = 0; i < 3; i++)
			send_part(rig, INSIDE, &part[orders[o][i]]);
		assert_int_equal(rig->peer[INSIDE].n, 3);
		for (int i = 0; i < 3; i++) {
			const struct verdict *v =
			    &rig->peer[INSIDE].seen[i].cause;

			assert_int_equal(v->reason, REASON_NAT_HAIRPIN);
			assert_int_not_equal(v->entry, 0);
			assert_int_not_equal(v->other, 0);
			assert_int_not_equal(v->other, v->entry);
		}
		g = reassembled(rig, INSIDE, bytes, &seen);
		assert_int_equal(g.ip.src, GW_OUTSIDE);
		assert_int_equal(g.sport, 6000);
		assert_int_equal(g.ip.dst, ALICE);
		assert_int_equal(g.dport, 5000);
		assert_int_equal(g.udp.data_bytes, 3000);
		free(part);
		rig_clear(rig);
	}
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	free(bytes);
}

static void
rfc3128_a_tiny_fragment_does_not_reach_the_tcp_flags(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct pkt *pkt = malloc(sizeof(*pkt)),
		   *part = malloc(4 * sizeof(*part));

	f.flags = TCP_SYN;
	f.data_bytes = 4;
	pkt_make(pkt, &rig->peer[INSIDE], &f, IP_TCP, 0);
	cut(pkt, 3, part); /* 8 bytes each: the flags are in the second */
	assert_int_equal(
	    rig_send(rig, INSIDE, part[0].bytes, part[0].len), DROP_FRAGMENT);
	assert_int_equal(
	    rig_send(rig, INSIDE, part[1].bytes, part[1].len), DROP_FRAGMENT);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	free(pkt);
	free(part);
}

static void
rfc3128_nor_does_one_that_comes_first(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct pkt *pkt = malloc(sizeof(*pkt)),
		   *part = malloc(4 * sizeof(*part));

	f.flags = TCP_SYN;
	f.data_bytes = 4;
	pkt_make(pkt, &rig->peer[INSIDE], &f, IP_TCP, 0);
	cut(pkt, 3, part);
	assert_int_equal(
	    rig_send(rig, INSIDE, part[1].bytes, part[1].len), DROP_FRAGMENT);
	free(pkt);
	free(part);
}

static void
rfc7857_s10_fragments_of_two_hosts_do_not_mix_outside(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct form a = form(ALICE, 5000, SERVER, 1);
	struct form b = form(BOB, 5000, SERVER, 1);
	struct pkt *pkt = malloc(sizeof(*pkt)), *pa = malloc(2 * sizeof(*pa));
	struct pkt *pb = malloc(2 * sizeof(*pb));
	uint16_t id[4];

	a.id = b.id = 4711;
	a.data_bytes = b.data_bytes = 2000;
	pkt_make(pkt, &rig->peer[INSIDE], &a, IP_UDP, 0);
	cut(pkt, 2, pa);
	pkt_make(pkt, &rig->peer[INSIDE], &b, IP_UDP, 0);
	cut(pkt, 2, pb);
	rig_send(rig, INSIDE, pa[0].bytes, pa[0].len);
	rig_send(rig, INSIDE, pb[0].bytes, pb[0].len);
	rig_send(rig, INSIDE, pa[1].bytes, pa[1].len);
	rig_send(rig, INSIDE, pb[1].bytes, pb[1].len);
	assert_int_equal(rig->peer[OUTSIDE].n, 4);
	for (int i = 0; i < 4; i++)
		id[i] = got_of(&rig->peer[OUTSIDE].seen[i]).ip.id;
	assert_int_equal(id[0], id[2]);
	assert_int_equal(id[1], id[3]);
	assert_int_not_equal(id[0], id[1]);
	free(pkt);
	free(pa);
	free(pb);
}

/* The identification of the only packet that a peer saw. */
static uint16_t
id_at(struct rig *rig, int at)
{
	uint16_t id = rig_got(rig, at).ip.id;

	rig_clear(rig);
	return id;
}

static void
rfc7857_s10_nor_do_packets_that_others_may_cut(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	uint16_t alice, bob;

	f.id = 4711;
	rig_form(rig, INSIDE, &f, IP_UDP, 0);
	alice = id_at(rig, OUTSIDE);
	f.src = BOB;
	rig_form(rig, INSIDE, &f, IP_UDP, 0);
	bob = id_at(rig, OUTSIDE);
	assert_int_not_equal(alice, bob);
	/* Errors that they cause, and answers of the router itself, neither. */
	f = form(ALICE, 7, SERVER, 0);
	rig_form(rig, INSIDE, &f, IP_ICMP, ICMP_ECHO_REQUEST);
	alice = id_at(rig, OUTSIDE);
	rig_echo(rig, OUTSIDE, SERVER, GW_OUTSIDE, 9, ICMP_ECHO_REQUEST);
	bob = id_at(rig, OUTSIDE);
	assert_int_not_equal(alice, bob);
	/* What nobody may cut has no use for it (RFC 6864 4.1). */
	f = form(ALICE, 5000, SERVER, 1);
	f.id = 4711;
	f.fragment = IP4_DF;
	rig_form(rig, INSIDE, &f, IP_UDP, 0);
	assert_int_equal(id_at(rig, OUTSIDE), 4711);
}

static void
rfc7857_s10_nor_do_fragments_that_are_cut_here(void **state)
{
	static const uint32_t hosts[] = { ALICE, BOB };
	struct rig *rig = rig_new(576);
	uint16_t id[2];

	*state = rig;
	rig_nat(rig, EI, APD, 0);
	rig_warm(rig);
	for (int i = 0; i < 2; i++) {
		struct form f = form(hosts[i], 5000, SERVER, 1);

		f.id = 4711;
		f.data_bytes = 1000;
		rig_form(rig, INSIDE, &f, IP_UDP, 0);
		assert_int_equal(rig->peer[OUTSIDE].n, 2);
		id[i] = got_of(&rig->peer[OUTSIDE].seen[0]).ip.id;
		assert_int_equal(
		    got_of(&rig->peer[OUTSIDE].seen[1]).ip.id, id[i]);
		rig_clear(rig);
	}
	assert_int_not_equal(id[0], id[1]);
}

static void
rfc7857_s10_fragments_by_two_outside_addresses_do_not_mix_inside(void **state)
{
	static const uint32_t pool[] = { IP(203, 0, 113, 5),
		IP(203, 0, 113, 9) };
	const struct router_nat_options o = {
		.pool = pool, .npool = 2, .rules = nat_rules_default
	};
	struct rig *rig = start_nat(state, &o);
	struct pkt *pkt = malloc(sizeof(*pkt)),
		   *part = malloc(2 * 2 * sizeof(*part));
	uint16_t id[4];

	for (int i = 0; i < 2; i++) {
		const struct router_forward forward = { .protocol = IP_UDP,
			.out_ip = pool[i],
			.out_port = 80,
			.in_ip = ALICE,
			.in_port = (uint16_t)(8000 + i) };
		struct form f = form(SERVER, 1, pool[i], 80);

		assert_int_equal(
		    router_add_forward(rig->router, &forward, NULL), 0);
		f.id = 4711;
		f.data_bytes = 2000;
		pkt_make(pkt, &rig->peer[OUTSIDE], &f, IP_UDP, 0);
		cut(pkt, 2, part + (ptrdiff_t)2 * i);
	}
	for (int i = 0; i < 4; i++) {
		const struct pkt *p = &part[i % 2 * 2 + i / 2];

		assert_int_equal(
		    rig_send(rig, OUTSIDE, p->bytes, p->len), REASON_NAT_IN);
	}
	assert_int_equal(rig->peer[INSIDE].n, 4);
	for (int i = 0; i < 4; i++)
		id[i] = got_of(&rig->peer[INSIDE].seen[i]).ip.id;
	assert_int_equal(id[0], id[2]);
	assert_int_equal(id[1], id[3]);
	assert_int_not_equal(id[0], id[1]);
	free(pkt);
	free(part);
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc4787_req13_too_big_with_df_is_told_of_the_mtu),
		T(rfc4787_req13a_without_df_fragments_leave_in_order),
		T(rfc4787_req14_fragments_pass_in_each_order_and_direction),
		T(rfc4787_req14_long_pings_pass_in_each_order),
		T(overlapping_fragments_are_refused),
		T(rfc4787_req14_copies_of_fragments_do_no_harm),
		T(rfc4787_req14_hairpins_pass_in_each_order),
		T(rfc3128_a_tiny_fragment_does_not_reach_the_tcp_flags),
		T(rfc3128_nor_does_one_that_comes_first),
		T(rfc7857_s10_fragments_of_two_hosts_do_not_mix_outside),
		T(rfc7857_s10_nor_do_packets_that_others_may_cut),
		T(rfc7857_s10_nor_do_fragments_that_are_cut_here),
		T(rfc7857_s10_fragments_by_two_outside_addresses_do_not_mix_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
