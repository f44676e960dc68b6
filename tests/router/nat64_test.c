/*
 * IPv6 hosts behind a router's NAT: packets in, packets out, both families.
 */
#include "tests/router/rig6.h"

#include "net/ip64.h"
#include "net/siit.h"

static struct ip6_addr
far64(uint32_t ip4)
{
	return ip64_embed(&ip64_well_known, ip4);
}

/* What a peer got last, of IPv4. */
static struct got
last4(const struct rig *rig, int at)
{
	assert_int_not_equal(rig->peer[at].n, 0);
	return got_of(&rig->peer[at].seen[rig->peer[at].n - 1]);
}

/* The hosts' addresses are known, as if they had just spoken. */
static void
warm6(struct rig *rig)
{
	struct form6 f = form6(ALICE6, GW6, IP_ICMP6);

	assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_DELIVERED);
	f.src = BOB6;
	assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_DELIVERED);
	rig_clear(rig);
}

static struct rig *
rig64_with(uint32_t mtu, uint32_t max, enum nat_behaviour filtering)
{
	struct rig *rig = rig6_new(mtu);
	struct router_nat_options o = { .outside = rig->peer[OUTSIDE].gw,
		.rules.filtering = filtering,
		.rules.hairpin = true,
		.max_entries = max,
		.nat64 = ip64_well_known };
	struct err err = { "" };

	assert_int_equal(router_set_nat(rig->router, &o, &err), 0);
	rig_warm(rig);
	warm6(rig);
	return rig;
}

static int
setup(void **state)
{
	*state = rig64_with(0, 0, NAT_ADDRESS_AND_PORT_DEPENDENT);
	return 0;
}

static int
teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static enum reason
send_udp(struct rig *rig, struct ip6_addr src, uint16_t sport, uint32_t dst,
    uint16_t dport)
{
	struct form6 f = form6(src, far64(dst), IP_UDP);

	f.sport = sport;
	f.dport = dport;
	return rig6_send(rig, INSIDE, &f);
}

/* ---- there and back ---- */

static void
rfc6146_s3_5_1_udp_goes_out_and_comes_back(void **state)
{
	struct rig *rig = *state;
	struct got got;
	struct got6 back;

	assert_int_equal(
	    send_udp(rig, ALICE6, 5000, SERVER, 53), REASON_NAT_NEW);
	got = last4(rig, OUTSIDE);
	assert_int_equal(got.ip.src, GW_OUTSIDE);
	assert_int_equal(got.ip.dst, SERVER);
	assert_int_equal(got.ip.ttl, 63);
	assert_int_equal(got.sport, 5000);
	assert_int_equal(got.dport, 53);
	assert_int_equal(
	    rig_udp(rig, OUTSIDE, SERVER, 53, GW_OUTSIDE, 5000), REASON_NAT_IN);
	back = rig6_last(rig, INSIDE);
	assert_ip6(back.ip.src, far64(SERVER));
	assert_ip6(back.ip.dst, ALICE6);
	assert_int_equal(back.ip.hop_limit, 63);
	assert_int_equal(back.udp.sport, 53);
	assert_int_equal(back.udp.dport, 5000);
	assert_ptr_equal(rig->verdict.out, rig->peer[INSIDE].gw);
}

static void
rfc6146_s3_5_1_1_one_mapping_serves_all_destinations(void **state)
{
	struct rig *rig = *state;

	send_udp(rig, ALICE6, 5000, SERVER, 53);
	send_udp(rig, ALICE6, 5000, SERVER2, 99);
	assert_int_equal(last4(rig, OUTSIDE).sport, 5000);
	/* Another host's is another one, of the same parity. */
	send_udp(rig, BOB6, 5000, SERVER, 53);
	assert_int_not_equal(last4(rig, OUTSIDE).sport, 5000);
	assert_int_equal(last4(rig, OUTSIDE).sport % 2, 0);
	/* So is that of a host of IPv4: there is one table. */
	rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 53);
	assert_int_not_equal(last4(rig, OUTSIDE).sport, 5000);
}

static void
rfc6146_s3_5_2_tcp_follows_its_states(void **state)
{
	struct rig *rig = *state;
	struct form6 f = form6(ALICE6, far64(SERVER), IP_TCP);

	f.dport = 80;
	f.flags = TCP_ACK;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_NAT_STATE);
	f.flags = TCP_SYN;
	assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_NAT_NEW);
	assert_int_equal(rig_tcp(rig, OUTSIDE, SERVER, 80, GW_OUTSIDE, 5000,
			     TCP_SYN | TCP_ACK),
	    REASON_NAT_IN);
	assert_int_equal(rig6_last(rig, INSIDE).tcp.flags, TCP_SYN | TCP_ACK);
	f.flags = TCP_ACK;
	assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_NAT_OUT);
}

static void
rfc6146_s3_5_3_echo_goes_by_its_identifier(void **state)
{
	struct rig *rig = *state;
	struct form6 f = form6(ALICE6, far64(SERVER), IP_ICMP6);

	f.word = 77u << 16 | 3;
	assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_NAT_NEW);
	assert_int_equal(last4(rig, OUTSIDE).icmp.type, ICMP_ECHO_REQUEST);
	assert_int_equal(
	    rig_echo(rig, OUTSIDE, SERVER, GW_OUTSIDE, 77, ICMP_ECHO_REPLY),
	    REASON_NAT_IN);
	assert_int_equal(rig6_last(rig, INSIDE).icmp.type, ICMP6_ECHO_REPLY);
}

static void
rfc6146_s3_5_1_filtering_is_that_of_the_nat(void **state)
{
	struct rig *rig = rig64_with(0, 0, NAT_ENDPOINT_INDEPENDENT);

	assert_int_equal(rig_udp(*state, OUTSIDE, SERVER, 9, GW_OUTSIDE, 5000),
	    DROP_NAT_UNSOLICITED);
	send_udp(*state, ALICE6, 5000, SERVER, 53);
	assert_int_equal(
	    rig_udp(*state, OUTSIDE, SERVER2, 53, GW_OUTSIDE, 5000),
	    DROP_NAT_FILTERED);
	send_udp(rig, ALICE6, 5000, SERVER, 53);
	assert_int_equal(
	    rig_udp(rig, OUTSIDE, SERVER2, 9, GW_OUTSIDE, 5000), REASON_NAT_IN);
	assert_ip6(rig6_last(rig, INSIDE).ip.src, far64(SERVER2));
	/* Who has no place behind the prefix is nobody to the host. */
	assert_int_equal(
	    rig_udp(rig, OUTSIDE, IP(172, 16, 0, 1), 9, GW_OUTSIDE, 5000),
	    DROP_NAT64_ADDRESS);
	rig_free(rig);
}

/* ---- sizes ---- */

/* An offload's bytes leave as they came, with headers of the other family. */
static void
offloads_stay_offloads(void **state)
{
	struct rig *rig = *state;
	struct pkt *pkt = malloc(sizeof(*pkt));
	struct form6 f = form6(ALICE6, far64(SERVER), IP_TCP);
	struct burst burst;
	struct seen *seen;
	struct ip4 ip;
	struct cursor c;

	f.flags = TCP_SYN;
	f.dport = 80;
	rig6_send(rig, INSIDE, &f);
	f.flags = TCP_ACK;
	f.data_bytes = 20000;
	rig6_write(pkt, &rig->peer[INSIDE], &f);
	put_be16(pkt->bytes + 54 + TCP_OFF_CHECKSUM,
	    csum_fold(csum_pseudo6(&f.src, &f.dst, IP_TCP, 20020)));
	burst_clear(&burst);
	burst_add(&burst, pkt->bytes, pkt->len);
	burst.frame[0].flags = FRAME_CSUM | FRAME_TSO6;
	burst.frame[0].csum_start = 54;
	burst.frame[0].csum_offset = TCP_OFF_CHECKSUM;
	burst.frame[0].header_bytes = 74;
	burst.frame[0].gso_bytes = 1440;
	burst.flags = FRAME_CSUM | FRAME_TSO6;
	port_send(&rig->peer[INSIDE].port, &burst);
	assert_int_equal(burst.frame[0].verdict.reason, REASON_NAT_OUT);
	free(pkt);
	seen = &rig->peer[OUTSIDE].seen[rig->peer[OUTSIDE].n - 1];
	assert_int_equal(seen->flags, FRAME_CSUM | FRAME_TSO4);
	assert_int_equal(seen->len, 14 + 20 + 20 + 20000);
	c = cursor(seen->data + 14, seen->len - 14);
	assert_int_equal(ip4_parse(&ip, &c), REASON_NONE);
	assert_int_equal(get_be16(c.at + TCP_OFF_CHECKSUM),
	    csum_fold(csum_pseudo4(ip.src, ip.dst, IP_TCP, 20020)));
}

static void
rfc7915_s5_2_a_packet_too_big_for_ip4_is_told_in_ip6(void **state)
{
	struct rig *rig = rig64_with(1400, 0, NAT_ENDPOINT_INDEPENDENT);
	struct form6 f = form6(ALICE6, far64(SERVER), IP_UDP);
	struct got6 got;

	(void)state;
	f.data_bytes = 1500 - 48;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_MTU);
	got = rig6_last(rig, INSIDE);
	assert_ip6(got.ip.src, GW6);
	assert_int_equal(got.icmp.type, ICMP6_TOO_BIG);
	assert_int_equal(got.icmp.word, 1420);
	/* It quotes what its sender sent. */
	assert_memory_equal(got.icmp.data + 8, &f.src, 16);
	assert_memory_equal(got.icmp.data + 24, &f.dst, 16);
	f.data_bytes = 1420 - 48;
	assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_NAT_NEW);
	rig_free(rig);
}

static void
rfc7915_s4_a_packet_too_big_for_ip6_is_told_in_ip4(void **state)
{
	struct rig *rig = *state;
	struct form f = form(SERVER, 53, GW_OUTSIDE, 5000);
	struct got got;

	send_udp(rig, ALICE6, 5000, SERVER, 53);
	rig_clear(rig);
	f.data_bytes = 1500 - 28;
	f.fragment = IP4_DF;
	assert_int_equal(rig_form(rig, OUTSIDE, &f, IP_UDP, 0), DROP_MTU);
	got = last4(rig, OUTSIDE);
	assert_int_equal(got.icmp.type, ICMP_UNREACHABLE);
	assert_int_equal(got.icmp.code, ICMP_UNREACH_NEEDFRAG);
	assert_int_equal(got.icmp.frag.mtu, 1480);
	f.data_bytes = 1480 - 28;
	assert_int_equal(rig_form(rig, OUTSIDE, &f, IP_UDP, 0), REASON_NAT_IN);
	assert_int_equal(rig6_last(rig, INSIDE).len, 1500);
}

static void
rfc7915_s4_what_may_be_cut_is_cut_to_1280(void **state)
{
	struct rig *rig = *state;
	struct form f = form(SERVER, 53, GW_OUTSIDE, 5000);
	const struct peer *inside = &rig->peer[INSIDE];
	size_t bytes = 0;

	send_udp(rig, ALICE6, 5000, SERVER, 53);
	rig_clear(rig);
	f.data_bytes = 2992;
	f.id = 0x1234;
	assert_int_equal(rig_form(rig, OUTSIDE, &f, IP_UDP, 0), REASON_NAT_IN);
	assert_int_equal(inside->n, 3);
	for (unsigned int i = 0; i < inside->n; i++) {
		struct siit6 p;

		assert_int_equal(siit6_read(&p, inside->seen[i].data + 14,
				     inside->seen[i].len - 14),
		    REASON_NONE);
		assert_true(inside->seen[i].len <= 14 + 1280);
		assert_int_equal(p.protocol, IP_UDP);
		assert_int_equal(p.id, 0x1234);
		assert_int_equal(p.offset_bytes, bytes);
		assert_int_equal(p.more, i < 2);
		assert_ip6(p.ip.src, far64(SERVER));
		bytes += siit6_payload_bytes(&p);
	}
	assert_int_equal(bytes, 3000);
}

/* ---- fragments ---- */

/* A piece of a packet of f, from at on. */
static enum reason
send_piece(
    struct rig *rig, const struct form6 *f, size_t at, size_t bytes, bool more)
{
	struct pkt *pkt = malloc(sizeof(*pkt));
	uint8_t out[2000], *ip = out + 14;
	enum reason reason;

	rig6_write(pkt, &rig->peer[INSIDE], f);
	memcpy(out, pkt->bytes, 54);
	put_be16(ip + 4, (uint16_t)(bytes + 8));
	ip[6] = IP_FRAGMENT;
	ip[40] = f->protocol;
	ip[41] = 0;
	put_be16(ip + 42, (uint16_t)(at | more));
	put_be32(ip + 44, 0xabcd1234);
	memcpy(ip + 48, pkt->bytes + 54 + at, bytes);
	reason = rig_send(rig, INSIDE, out, 62 + bytes);
	free(pkt);
	return reason;
}

static void
rfc6146_s3_4_fragments_pass_in_any_order(void **state)
{
	struct rig *rig = *state;
	struct form6 f = form6(ALICE6, far64(SERVER), IP_UDP);
	struct got got;

	f.data_bytes = 1992;
	assert_int_equal(send_piece(rig, &f, 0, 1000, true), REASON_NAT_NEW);
	assert_int_equal(
	    send_piece(rig, &f, 1000, 1000, false), REASON_NAT_OUT);
	assert_int_equal(rig->peer[OUTSIDE].n, 2);
	got = last4(rig, OUTSIDE);
	assert_int_equal(got.ip.src, GW_OUTSIDE);
	assert_int_equal(got.ip.offset_bytes, 1000);
	rig_clear(rig);
	f.sport = 6000;
	assert_int_equal(
	    send_piece(rig, &f, 1000, 1000, false), REASON_FRAGMENT_HELD);
	assert_int_equal(send_piece(rig, &f, 0, 1000, true), REASON_NAT_NEW);
	assert_int_equal(rig->peer[OUTSIDE].n, 2);
}

static void
fragments_come_in_as_such(void **state)
{
	struct rig *rig = *state;
	struct form f = form(SERVER, 53, GW_OUTSIDE, 5000);
	struct pkt *pkt = malloc(sizeof(*pkt));
	uint8_t *ip = pkt->bytes + 14;
	struct got6 got;

	send_udp(rig, ALICE6, 5000, SERVER, 53);
	f.data_bytes = 992;
	f.fragment = IP4_MF;
	f.id = 9;
	pkt_make(pkt, &rig->peer[OUTSIDE], &f, IP_UDP, 0);
	assert_int_equal(
	    rig_send(rig, OUTSIDE, pkt->bytes, pkt->len), REASON_NAT_IN);
	got = rig6_last(rig, INSIDE);
	assert_true(got.chain.more);
	assert_int_equal(got.chain.id, 9);
	/* The next one, whose bytes do not matter. */
	put_be16(ip + IP4_OFF_FRAGMENT, 1000 / 8);
	put_be16(ip + IP4_OFF_CHECKSUM, 0);
	put_be16(ip + IP4_OFF_CHECKSUM, csum_finish(csum_add_bytes(0, ip, 20)));
	assert_int_equal(
	    rig_send(rig, OUTSIDE, pkt->bytes, pkt->len), REASON_NAT_IN);
	got = rig6_last(rig, INSIDE);
	assert_int_equal(got.chain.offset_bytes, 1000);
	assert_false(got.chain.more);
	free(pkt);
}

/* Joins what peer saw, which are fragments in their order, to out. */
static size_t
join_seen(const struct peer *peer, uint8_t *out)
{
	size_t n = 0;

	for (unsigned int i = 0; i < peer->n; i++) {
		const struct seen *seen = &peer->seen[i];
		bool six = get_be16(seen->data + 12) == ETH_IPV6;
		size_t skip = 14 + (six ? 48 : 20);

		memcpy(out + n, seen->data + skip, seen->len - skip);
		n += seen->len - skip;
	}
	return n;
}

static void
rfc6146_s3_4_pings_in_fragments_are_made_whole_and_cut_again(void **state)
{
	struct rig *rig = *state;
	struct form6 f = form6(ALICE6, far64(SERVER), IP_ICMP6);
	struct form back = form(SERVER, 77, GW_OUTSIDE, 0);
	struct pkt *pkt = malloc(sizeof(*pkt));
	uint8_t *ip = pkt->bytes + 14, whole[4000], rest[2000];
	struct ip6_addr src = far64(SERVER), dst = ALICE6;

	f.word = 77u << 16 | 3;
	f.data_bytes = 1992;
	assert_int_equal(
	    send_piece(rig, &f, 1000, 1000, false), REASON_FRAGMENT_HELD);
	assert_int_equal(send_piece(rig, &f, 0, 1000, true), REASON_NAT_NEW);
	assert_int_equal(rig->peer[OUTSIDE].n, 2);
	assert_int_equal(join_seen(&rig->peer[OUTSIDE], whole), 2000);
	assert_int_equal(whole[0], ICMP_ECHO_REQUEST);
	assert_int_equal(csum_fold(csum_add_bytes(0, whole, 2000)), 0xffff);

	rig_clear(rig);
	back.data_bytes = 1992;
	back.id = 5;
	pkt_make(pkt, &rig->peer[OUTSIDE], &back, IP_ICMP, ICMP_ECHO_REPLY);
	memcpy(rest, ip + 20 + 1480, 520);
	put_be16(ip + IP4_OFF_LENGTH, 1500);
	put_be16(ip + IP4_OFF_FRAGMENT, IP4_MF);
	put_be16(ip + IP4_OFF_CHECKSUM, 0);
	put_be16(ip + IP4_OFF_CHECKSUM, csum_finish(csum_add_bytes(0, ip, 20)));
	assert_int_equal(
	    rig_send(rig, OUTSIDE, pkt->bytes, 1514), REASON_FRAGMENT_HELD);
	memcpy(ip + 20, rest, 520);
	put_be16(ip + IP4_OFF_LENGTH, 540);
	put_be16(ip + IP4_OFF_FRAGMENT, 1480 / 8);
	put_be16(ip + IP4_OFF_CHECKSUM, 0);
	put_be16(ip + IP4_OFF_CHECKSUM, csum_finish(csum_add_bytes(0, ip, 20)));
	assert_int_equal(
	    rig_send(rig, OUTSIDE, pkt->bytes, 554), REASON_NAT_IN);
	assert_int_equal(rig->peer[INSIDE].n, 2);
	assert_int_equal(join_seen(&rig->peer[INSIDE], whole), 2000);
	assert_int_equal(whole[0], ICMP6_ECHO_REPLY);
	assert_int_equal(
	    csum_fold(csum_add_bytes(
		csum_pseudo6(&src, &dst, IP_ICMP6, 2000), whole, 2000)),
	    0xffff);
	/* One that never becomes whole is lost in time, and counted. */
	f.word = 78u << 16;
	assert_int_equal(
	    send_piece(rig, &f, 0, 1000, true), REASON_FRAGMENT_HELD);
	rig_wait(rig, 40 * NS_PER_S);
	assert_int_equal(router_held(rig->router).fragments, 0);
	assert_int_equal(router_node(rig->router)->count[DROP_FRAGMENT], 1);
	free(pkt);
}

static void
errors_in_fragments_are_refused(void **state)
{
	struct rig *rig = *state;
	struct form6 f = form6(ALICE6, far64(SERVER), IP_ICMP6);

	f.type = ICMP6_UNREACHABLE;
	f.data_bytes = 1992;
	assert_int_equal(
	    send_piece(rig, &f, 1000, 1000, false), REASON_FRAGMENT_HELD);
	assert_int_equal(send_piece(rig, &f, 0, 1000, true), DROP_FRAGMENT);
	/* Overlapping ones, too. */
	f.type = ICMP6_ECHO_REQUEST;
	assert_int_equal(
	    send_piece(rig, &f, 0, 1000, true), REASON_FRAGMENT_HELD);
	assert_int_equal(send_piece(rig, &f, 992, 1000, true), DROP_FRAGMENT);
	assert_int_equal(send_piece(rig, &f, 1000, 1000, false), DROP_FRAGMENT);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
}

/* ---- errors ---- */

/* An error about the last packet that peer got, from src. */
static enum reason
complain(
    struct rig *rig, uint32_t src, uint8_t type, uint8_t code, uint32_t word)
{
	const struct seen *seen =
	    &rig->peer[OUTSIDE].seen[rig->peer[OUTSIDE].n - 1];
	uint8_t out[700];
	struct writer w = writer(out, sizeof(out));
	struct eth eth = { .dst = rig->peer[OUTSIDE].gw_mac,
		.src = rig_mac(src),
		.type = ETH_IPV4 };
	struct icmp icmp = { .type = type,
		.code = code,
		.word = word,
		.data = seen->data + 14,
		.data_bytes = seen->len - 14 };
	struct ip4 ip = { .ttl = 64,
		.protocol = IP_ICMP,
		.src = src,
		.dst = GW_OUTSIDE,
		.total_bytes = (uint16_t)(28 + icmp.data_bytes) };

	if (type == ICMP_UNREACHABLE && code == ICMP_UNREACH_NEEDFRAG) {
		icmp.frag.unused = 0;
		icmp.frag.mtu = (uint16_t)word;
	}
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	icmp_write(&w, &icmp);
	return rig_send(rig, OUTSIDE, out, (size_t)(w.at - out));
}

static void
rfc6146_s3_6_1_errors_come_back_about_what_was_sent(void **state)
{
	static const struct {
		uint8_t type, code;
		uint32_t word;
		uint8_t type6, code6;
		uint32_t word6;
	} rows[] = {
		{ ICMP_TIME_EXCEEDED, 0, 0, ICMP6_TIME_EXCEEDED, 0, 0 },
		{ ICMP_UNREACHABLE, ICMP_UNREACH_PORT, 0, ICMP6_UNREACHABLE,
		    ICMP6_UNREACH_PORT, 0 },
		{ ICMP_UNREACHABLE, ICMP_UNREACH_NEEDFRAG, 1400, ICMP6_TOO_BIG,
		    0, 1420 },
	};
	struct rig *rig = *state;
	struct got6 got;
	struct ip6_addr src = ALICE6, dst = far64(SERVER);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		send_udp(rig, ALICE6, 5001, SERVER, 53);
		assert_int_equal(complain(rig, FAR, rows[i].type, rows[i].code,
				     rows[i].word),
		    REASON_NAT_ICMP);
		got = rig6_last(rig, INSIDE);
		assert_ip6(got.ip.src, far64(FAR));
		assert_ip6(got.ip.dst, ALICE6);
		assert_int_equal(got.icmp.type, rows[i].type6);
		assert_int_equal(got.icmp.code, rows[i].code6);
		assert_int_equal(got.icmp.word, rows[i].word6);
		assert_memory_equal(got.icmp.data + 8, &src, 16);
		assert_memory_equal(got.icmp.data + 24, &dst, 16);
		assert_int_equal(get_be16(got.icmp.data + 40), 5001);
		rig_clear(rig);
	}
}

/* RFC 6791: a router whose address cannot be told is spoken for. */
static void
rfc6791_s3_a_private_routers_error_comes_from_ours(void **state)
{
	struct rig *rig = *state;

	send_udp(rig, ALICE6, 5000, SERVER, 53);
	assert_int_equal(
	    complain(rig, IP(172, 16, 0, 1), ICMP_TIME_EXCEEDED, 0, 0),
	    REASON_NAT_ICMP);
	assert_ip6(rig6_last(rig, INSIDE).ip.src, GW6);
}

static void
errors_of_hosts_go_out(void **state)
{
	struct rig *rig = *state;
	struct form6 f = form6(ALICE6, far64(SERVER), IP_ICMP6);
	const struct seen *seen;
	struct got got;

	send_udp(rig, ALICE6, 5000, SERVER, 53);
	rig_udp(rig, OUTSIDE, SERVER, 53, GW_OUTSIDE, 5000);
	seen = &rig->peer[INSIDE].seen[rig->peer[INSIDE].n - 1];
	f.type = ICMP6_UNREACHABLE;
	f.code = ICMP6_UNREACH_PORT;
	f.data = seen->data + 14;
	f.data_bytes = seen->len - 14;
	assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_NAT_ICMP);
	got = last4(rig, OUTSIDE);
	assert_int_equal(got.ip.src, GW_OUTSIDE);
	assert_int_equal(got.icmp.type, ICMP_UNREACHABLE);
	assert_int_equal(got.icmp.code, ICMP_UNREACH_PORT);
	assert_int_equal(get_be32(got.icmp.data + IP4_OFF_SRC), SERVER);
	assert_int_equal(get_be32(got.icmp.data + IP4_OFF_DST), GW_OUTSIDE);
	/* About nothing that passed. */
	f.data_bytes = 0;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_SHORT);
}

static void
hop_limits_end_on_either_side(void **state)
{
	struct rig *rig = *state;
	struct form6 f = form6(ALICE6, far64(SERVER), IP_UDP);
	struct form back = form(SERVER, 53, GW_OUTSIDE, 5000);

	f.hop_limit = 1;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_TTL);
	assert_int_equal(rig6_last(rig, INSIDE).icmp.type, ICMP6_TIME_EXCEEDED);
	assert_ip6(rig6_last(rig, INSIDE).ip.src, GW6);
	send_udp(rig, ALICE6, 5000, SERVER, 53);
	back.ttl = 1;
	assert_int_equal(rig_form(rig, OUTSIDE, &back, IP_UDP, 0), DROP_TTL);
	assert_int_equal(last4(rig, OUTSIDE).icmp.type, ICMP_TIME_EXCEEDED);
}

static void
who_is_not_there_is_told_in_the_senders_family(void **state)
{
	struct rig *rig = *state;
	struct got6 got;
	struct got back;

	rig->peer[OUTSIDE].silent = true;
	assert_int_equal(send_udp(rig, ALICE6, 5000, IP(203, 0, 113, 77), 53),
	    REASON_ARP_QUEUED);
	rig_wait(rig, 5 * NS_PER_S);
	got = rig6_last(rig, INSIDE);
	assert_int_equal(got.icmp.type, ICMP6_UNREACHABLE);
	assert_ip6(got.ip.src, GW6);
	assert_ip6(got.ip.dst, ALICE6);

	rig->peer[OUTSIDE].silent = false;
	rig_clear(rig);
	send_udp(rig, ALICE6, 5000, SERVER, 53);
	rig_clear(rig);
	rig->peer[INSIDE].silent = true;
	rig_wait(rig, 70 * NS_PER_S); /* until the host is asked for again */
	rig_udp(rig, OUTSIDE, SERVER, 53, GW_OUTSIDE, 5000);
	rig_wait(rig, 10 * NS_PER_S);
	rig_udp(rig, OUTSIDE, SERVER, 53, GW_OUTSIDE, 5000);
	rig_wait(rig, 10 * NS_PER_S);
	back = last4(rig, OUTSIDE);
	assert_int_equal(back.ip.src, GW_OUTSIDE);
	assert_int_equal(back.ip.dst, SERVER);
	assert_int_equal(back.icmp.type, ICMP_UNREACHABLE);
	assert_int_equal(back.icmp.code, ICMP_UNREACH_HOST);
	assert_int_equal(get_be32(back.icmp.data + IP4_OFF_DST), GW_OUTSIDE);
}

/* ---- hairpins ---- */

static void
rfc6146_s3_8_hosts_reach_each_other_by_their_outer_ends(void **state)
{
	struct rig *rig = rig64_with(0, 0, NAT_ENDPOINT_INDEPENDENT);
	struct got6 got;

	(void)state;
	send_udp(rig, ALICE6, 5000, SERVER, 53);
	send_udp(rig, BOB6, 6000, SERVER, 53);
	rig_udp(rig, INSIDE, ALICE, 7000, SERVER, 53);
	assert_int_equal(
	    send_udp(rig, ALICE6, 5000, GW_OUTSIDE, 6000), REASON_NAT_HAIRPIN);
	got = rig6_last(rig, INSIDE);
	assert_ip6(got.ip.src, far64(GW_OUTSIDE));
	assert_ip6(got.ip.dst, BOB6);
	assert_int_equal(got.udp.sport, 5000);
	assert_int_equal(got.udp.dport, 6000);
	assert_int_equal(got.ip.hop_limit, 63);
	/* From IPv6 to IPv4, and back. */
	assert_int_equal(
	    send_udp(rig, ALICE6, 5000, GW_OUTSIDE, 7000), REASON_NAT_HAIRPIN);
	assert_int_equal(last4(rig, INSIDE).ip.dst, ALICE);
	assert_int_equal(last4(rig, INSIDE).ip.src, GW_OUTSIDE);
	assert_int_equal(rig_udp(rig, INSIDE, ALICE, 7000, GW_OUTSIDE, 5000),
	    REASON_NAT_HAIRPIN);
	assert_ip6(rig6_last(rig, INSIDE).ip.dst, ALICE6);
	/* The outer address itself answers as ever. */
	{
		struct form6 f = form6(ALICE6, far64(GW_OUTSIDE), IP_ICMP6);

		assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_DELIVERED);
		got = rig6_last(rig, INSIDE);
		assert_int_equal(got.icmp.type, ICMP6_ECHO_REPLY);
		assert_ip6(got.ip.src, far64(GW_OUTSIDE));
	}
	rig_free(rig);
}

/* ---- refusals ---- */

static void
rfc6146_s3_5_what_may_not_pass_is_refused_by_name(void **state)
{
	struct rig *rig = *state;
	static const uint8_t route[8] = { IP_UDP, 0, 0, 1 };
	struct ip6_addr alice = ALICE6, local = addr6("fe80::10");
	struct {
		struct ip6_addr src, dst;
		uint8_t protocol;
		int from;
		enum reason reason;
	} rows[] = {
		{ alice, far64(IP(10, 1, 2, 3)), IP_UDP, INSIDE,
		    DROP_NAT64_ADDRESS },
		{ alice, far64(IP(127, 0, 0, 1)), IP_UDP, INSIDE,
		    DROP_NAT64_ADDRESS },
		{ alice, far64(IP(224, 0, 0, 1)), IP_UDP, INSIDE,
		    DROP_NAT64_ADDRESS },
		{ alice, far64(IP(0, 0, 0, 1)), IP_UDP, INSIDE,
		    DROP_NAT64_ADDRESS },
		{ alice, far64(IP(203, 0, 113, 255)), IP_UDP, INSIDE,
		    DROP_NAT64_ADDRESS },
		{ local, far64(SERVER), IP_UDP, INSIDE, DROP_SCOPE },
		{ SERVER6, far64(SERVER), IP_UDP, OUTSIDE,
		    DROP_NAT_UNSOLICITED },
		{ far64(SERVER2), far64(SERVER), IP_UDP, INSIDE,
		    DROP_NAT64_ADDRESS },
		{ addr6("2001:db8:77::1"), far64(SERVER), IP_UDP, INSIDE,
		    DROP_MARTIAN },
		{ alice, far64(SERVER), 58, INSIDE, DROP_ICMP_TYPE },
	};
	struct form6 f;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		f = form6(rows[i].src, rows[i].dst, rows[i].protocol);
		f.type = 200;
		assert_int_equal(
		    rig6_send(rig, rows[i].from, &f), rows[i].reason);
	}
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	/* A routing header with somewhere to go. */
	f = form6(alice, far64(SERVER), IP_UDP);
	f.chain = route;
	f.chain_bytes = sizeof(route);
	f.first = 43;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_SOURCE_ROUTE);
	assert_int_equal(rig6_last(rig, INSIDE).icmp.type, ICMP6_PARAMETER);
	assert_int_equal(rig6_last(rig, INSIDE).icmp.word, 43);
}

/* Behind a prefix of one's own, private addresses may stand; not those that
 * are not beyond the outer port, though. */
static void
only_what_is_beyond_the_outer_port_is_translated(void **state)
{
	struct rig *rig = rig6_new(0);
	struct router_nat_options o = { .outside = rig->peer[OUTSIDE].gw,
		.nat64 = { .bits = 96 } };
	struct form6 f;

	(void)state;
	o.nat64.addr = addr6("2001:db8:64::");
	assert_int_equal(router_set_nat(rig->router, &o, NULL), 0);
	rig_warm(rig);
	f = form6(ALICE6, ip64_embed(&o.nat64, CAROL), IP_UDP);
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_NAT64_INSIDE);
	assert_int_equal(rig6_last(rig, INSIDE).icmp.type, ICMP6_UNREACHABLE);
	f.dst = ip64_embed(&o.nat64, GW_INSIDE);
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_NAT64_INSIDE);
	f.dst = ip64_embed(&o.nat64, IP(10, 9, 9, 9));
	assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_NAT_NEW);
	rig_free(rig);
}

static void
a_prefix_that_cannot_be_is_refused(void **state)
{
	struct rig *rig = rig6_new(0);
	struct router_nat_options o = { .outside = rig->peer[OUTSIDE].gw,
		.nat64 = { .bits = 95 } };
	struct err err = { "" };

	(void)state;
	assert_true(router_set_nat(rig->router, &o, &err) < 0);
	assert_non_null(strstr(err.text, "64:ff9b::/96"));
	rig_free(rig);
	/* One that a port has addresses of. */
	err = (struct err){ "" };
	rig = rig6_new(0);
	o.outside = rig->peer[OUTSIDE].gw;
	o.nat64 = (struct ip64_prefix){ addr6("2001:db8:1::"), 96 };
	assert_true(router_set_nat(rig->router, &o, &err) < 0);
	assert_non_null(strstr(err.text, "gw.inside"));
	rig_free(rig);
}

/* ---- the table ---- */

static void
count_row(void *arg, const struct nat_row *row)
{
	(void)row;
	++*(unsigned int *)arg;
}

static void
check_row(void *arg, const struct nat_row *row)
{
	++*(unsigned int *)arg;
	assert_ip6(row->inside6, ALICE6);
	assert_ip6(row->remote6, far64(SERVER));
	assert_int_equal(row->inside_port, 5000);
}

static void
rows_have_ip6_ends(void **state)
{
	struct rig *rig = *state;
	unsigned int n = 0;

	send_udp(rig, ALICE6, 5000, SERVER, 53);
	router_each_nat(rig->router, check_row, &n);
	assert_int_equal(n, 1);
}

static void
rfc6146_s5_3_a_full_table_pushes_nobody_out(void **state)
{
	struct rig *rig = rig64_with(0, 3, NAT_ENDPOINT_INDEPENDENT);
	unsigned int n = 0;

	(void)state;
	for (uint16_t host = 1; host <= 3; host++)
		assert_int_equal(
		    send_udp(rig, rig_ip6(1, 100 + host), 5000, SERVER, 53),
		    REASON_NAT_NEW);
	for (uint16_t host = 1; host < 200; host++) {
		enum reason reason =
		    send_udp(rig, rig_ip6(1, 1000 + host), 5000, SERVER, 53);

		assert_int_equal(reason, DROP_NAT64_FULL);
	}
	assert_int_equal(
	    send_udp(rig, rig_ip6(1, 101), 5001, SERVER, 53), DROP_NAT_FULL);
	assert_int_equal(
	    send_udp(rig, rig_ip6(1, 101), 5000, SERVER, 53), REASON_NAT_OUT);
	/* When their sessions have ended, others have a place. */
	rig_wait(rig, 310 * NS_PER_S);
	for (uint16_t host = 1; host <= 3; host++)
		assert_int_equal(
		    send_udp(rig, rig_ip6(1, 1000 + host), 5000, SERVER, 53),
		    REASON_NAT_NEW);
	router_each_nat(rig->router, count_row, &n);
	assert_int_equal(n, 3);
	rig_free(rig);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc6146_s3_5_1_udp_goes_out_and_comes_back),
		T(rfc6146_s3_5_1_1_one_mapping_serves_all_destinations),
		T(rfc6146_s3_5_2_tcp_follows_its_states),
		T(rfc6146_s3_5_3_echo_goes_by_its_identifier),
		T(rfc6146_s3_5_1_filtering_is_that_of_the_nat),
		T(offloads_stay_offloads),
		cmocka_unit_test(
		    rfc7915_s5_2_a_packet_too_big_for_ip4_is_told_in_ip6),
		T(rfc7915_s4_a_packet_too_big_for_ip6_is_told_in_ip4),
		T(rfc7915_s4_what_may_be_cut_is_cut_to_1280),
		T(rfc6146_s3_4_fragments_pass_in_any_order),
		T(fragments_come_in_as_such),
		T(rfc6146_s3_4_pings_in_fragments_are_made_whole_and_cut_again),
		T(errors_in_fragments_are_refused),
		T(rfc6146_s3_6_1_errors_come_back_about_what_was_sent),
		T(rfc6791_s3_a_private_routers_error_comes_from_ours),
		T(errors_of_hosts_go_out),
		T(hop_limits_end_on_either_side),
		T(who_is_not_there_is_told_in_the_senders_family),
		cmocka_unit_test(
		    rfc6146_s3_8_hosts_reach_each_other_by_their_outer_ends),
		T(rfc6146_s3_5_what_may_not_pass_is_refused_by_name),
		cmocka_unit_test(
		    only_what_is_beyond_the_outer_port_is_translated),
		cmocka_unit_test(a_prefix_that_cannot_be_is_refused),
		T(rows_have_ip6_ends),
		cmocka_unit_test(rfc6146_s5_3_a_full_table_pushes_nobody_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
