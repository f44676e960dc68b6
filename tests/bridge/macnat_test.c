#include "bridge/macnat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "bridge/macnat_nd.h"
#include "net/dhcp.h"
#include "tests/bridge/frames.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))
#define S         UINT64_C(1000000000)

static int
setup(void **state)
{
	const struct macnat_options options = {
		.nic = nic, .max_entries = 200, .age_ns = 100 * S, .seed = 7
	};

	*state = macnat_new(&options);
	return *state == NULL;
}

static int
teardown(void **state)
{
	macnat_free(*state);
	return 0;
}

static enum reason
out(struct macnat *m, struct bytes *f, uint64_t now_ns)
{
	struct macnat_frame frame = {
		.data = f->b, .head = f->len, .len = f->len
	};

	return macnat_out(m, &frame, now_ns);
}

static enum reason
in(struct macnat *m, struct bytes *f, uint64_t now_ns)
{
	struct macnat_frame frame = {
		.data = f->b, .head = f->len, .len = f->len
	};

	return macnat_in(m, &frame, now_ns);
}

static void
assert_mac(const uint8_t *at, const struct mac *mac)
{
	assert_memory_equal(at, mac->b, 6);
}

static void
greet(struct macnat *m, const struct mac *who, uint32_t ip, uint64_t now_ns)
{
	struct bytes f =
	    make_arp(&everybody, who, ARP_REQUEST, ip, &no_mac, OUTSIDE_IP);

	assert_int_equal(out(m, &f, now_ns), REASON_MACNAT_OUT);
}

static struct ip6_addr
ip6(const char *last)
{
	struct ip6_addr a = { { 0x20, 0x01, 0x0d, 0xb8 } };

	a.b[15] = (uint8_t)last[0];
	return a;
}

/* ---- ARP and IPv4 ---- */

static void
an_arp_request_goes_out_as_the_nics_own(void **state)
{
	struct bytes f = make_arp(
	    &everybody, &alice, ARP_REQUEST, ALICE_IP, &no_mac, OUTSIDE_IP);

	assert_int_equal(out(*state, &f, 0), REASON_MACNAT_OUT);
	assert_mac(f.b, &everybody);
	assert_mac(f.b + 6, &nic);
	assert_mac(f.b + 22, &nic); /* the sender within */
	assert_mac(f.b + 32, &no_mac);
	assert_int_equal(get_be32(f.b + 28), ALICE_IP);
}

static void
an_arp_reply_is_led_back_and_rewritten_inside(void **state)
{
	struct bytes f;

	greet(*state, &alice, ALICE_IP, 0);
	greet(*state, &bob, BOB_IP, 0);
	f = make_arp(&nic, &outsider, ARP_REPLY, OUTSIDE_IP, &nic, BOB_IP);
	assert_int_equal(in(*state, &f, 0), REASON_MACNAT_IN);
	assert_mac(f.b, &bob);
	assert_mac(f.b + 6, &outsider);
	assert_mac(f.b + 22, &outsider);
	assert_mac(f.b + 32, &bob);
}

static void
each_guest_gets_what_goes_to_its_address(void **state)
{
	struct bytes f;

	greet(*state, &alice, ALICE_IP, 0);
	f = make_udp(&outsider, &bob, BOB_IP, OUTSIDE_IP, 5, 6, "x", 1);
	assert_int_equal(out(*state, &f, 0), REASON_MACNAT_OUT);
	assert_mac(f.b, &outsider);
	assert_mac(f.b + 6, &nic);
	f = make_udp(&nic, &outsider, OUTSIDE_IP, BOB_IP, 6, 5, "x", 1);
	assert_int_equal(in(*state, &f, 0), REASON_MACNAT_IN);
	assert_mac(f.b, &bob);
	f = make_udp(&nic, &outsider, OUTSIDE_IP, ALICE_IP, 6, 5, "x", 1);
	assert_int_equal(in(*state, &f, 0), REASON_MACNAT_IN);
	assert_mac(f.b, &alice);
	f = make_udp(&nic, &outsider, OUTSIDE_IP, ALICE_IP + 9, 6, 5, "x", 1);
	assert_int_equal(in(*state, &f, 0), DROP_MACNAT_UNKNOWN);
}

static void
the_answer_to_an_arp_probe_reaches_everybody(void **state)
{
	struct bytes f =
	    make_arp(&everybody, &alice, ARP_REQUEST, 0, &no_mac, OUTSIDE_IP);

	assert_int_equal(out(*state, &f, 0), REASON_MACNAT_OUT);
	assert_int_equal(macnat_entries(*state), 0);
	f = make_arp(&nic, &outsider, ARP_REPLY, OUTSIDE_IP, &nic, 0);
	assert_int_equal(in(*state, &f, 0), REASON_MACNAT_GROUP);
	assert_mac(f.b, &everybody);
}

static void
what_cannot_work_is_refused_and_left_as_it_was(void **state)
{
	struct {
		struct bytes f;
		bool outwards;
		enum reason reason;
	} cases[] = {
		{ .outwards = true, .reason = DROP_MACNAT_PROTOCOL },
		{ .outwards = true, .reason = DROP_MACNAT_PROTOCOL },
		{ .reason = DROP_MACNAT_PROTOCOL },
		{ .f = make_udp(&nic, &alice, ALICE_IP, BOB_IP, 1, 2, "", 0),
		    .outwards = true,
		    .reason = DROP_MACNAT_HOST },
		{ .f = make_udp(
		      &everybody, &nic, ALICE_IP, BOB_IP, 1, 2, "", 0),
		    .reason = DROP_MACNAT_ECHO },
		{ .f = make_udp(
		      &bob, &outsider, OUTSIDE_IP, BOB_IP, 1, 2, "", 0),
		    .reason = DROP_NOT_OURS },
		{ .f = make_udp(
		      &nic, &outsider, OUTSIDE_IP, ALICE_IP, 67, 68, "", 0),
		    .reason = DROP_DHCP },
	};

	/* 802.1X, a length (LLC), LLDP */
	begin(&cases[0].f, &outsider, &alice, 0x888e);
	begin(&cases[1].f, &outsider, &alice, 0x0026);
	begin(&cases[2].f, &everybody, &outsider, ETH_LLDP);
	for (int i = 0; i < 3; i++)
		cases[i].f.len = ETH_MIN_BYTES;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct bytes f = cases[i].f;

		assert_int_equal(
		    cases[i].outwards ? out(*state, &f, 0) : in(*state, &f, 0),
		    cases[i].reason);
		assert_memory_equal(f.b, cases[i].f.b, f.len);
	}
	assert_int_equal(macnat_entries(*state), 0);
}

/* ---- DHCP ---- */

static struct bytes
make_dhcp(bool answer, const struct mac *client, uint32_t ciaddr)
{
	struct dhcp dhcp = { .op = answer ? DHCP_BOOTREPLY : DHCP_BOOTREQUEST,
		.xid = 77,
		.ciaddr = ciaddr,
		.chaddr = *client,
		.type = answer ? DHCP_OFFER : DHCP_DISCOVER };
	uint8_t message[600];
	struct writer w = writer(message, sizeof(message));

	dhcp_write(&w, &dhcp);
	if (answer)
		return make_udp(&nic, &outsider, OUTSIDE_IP, ALICE_IP, 67, 68,
		    message, (size_t)(w.at - message));
	return make_udp(&everybody, client, ciaddr, IP4_BROADCAST, 68, 67,
	    message, (size_t)(w.at - message));
}

#define DHCP_AT (ETH_HEADER_BYTES + IP4_HEADER_BYTES + UDP_HEADER_BYTES)

static void
a_dhcp_client_asks_for_a_broadcast_and_keeps_its_chaddr(void **state)
{
	struct bytes f = make_dhcp(false, &alice, 0);

	assert_int_equal(out(*state, &f, 0), REASON_MACNAT_OUT);
	assert_int_equal(get_be16(f.b + DHCP_AT + 10), DHCP_BROADCAST);
	assert_mac(f.b + DHCP_AT + 28, &alice);
	assert_mac(f.b + 6, &nic);
	assert_true(udp4_sum_is_right(f.b, f.len));
	/* Without a sum there is none afterwards. */
	f = make_dhcp(false, &alice, 0);
	put_be16(f.b + DHCP_AT - 2, 0);
	assert_int_equal(out(*state, &f, 0), REASON_MACNAT_OUT);
	assert_int_equal(get_be16(f.b + DHCP_AT - 2), 0);
	/* One that renews has an address by which it is answered. */
	f = make_dhcp(false, &alice, ALICE_IP);
	assert_int_equal(out(*state, &f, 0), REASON_MACNAT_OUT);
	assert_int_equal(get_be16(f.b + DHCP_AT + 10), 0);
	assert_true(udp4_sum_is_right(f.b, f.len));
}

static void
a_sum_that_is_yet_to_be_made_is_left_alone(void **state)
{
	struct bytes f = make_dhcp(false, &alice, 0);
	uint16_t sum = get_be16(f.b + DHCP_AT - 2);
	struct macnat_frame frame = {
		.data = f.b, .head = f.len, .len = f.len, .unfinished = true
	};

	assert_int_equal(macnat_out(*state, &frame, 0), REASON_MACNAT_OUT);
	assert_int_equal(get_be16(f.b + DHCP_AT + 10), DHCP_BROADCAST);
	assert_int_equal(get_be16(f.b + DHCP_AT - 2), sum);
}

static void
a_dhcp_answer_is_led_back_by_chaddr(void **state)
{
	struct bytes f = make_dhcp(true, &bob, 0);

	assert_int_equal(in(*state, &f, 0), REASON_MACNAT_IN);
	assert_mac(f.b, &bob);
	f = make_dhcp(true, &bob, 0);
	memset(f.b, 0xff, 6);
	assert_int_equal(in(*state, &f, 0), REASON_MACNAT_IN);
	assert_mac(f.b, &bob);
	/* The host's own client is no guest. */
	f = make_dhcp(true, &nic, 0);
	assert_int_equal(in(*state, &f, 0), DROP_NOT_OURS);
	f = make_dhcp(true, &everybody, 0);
	assert_int_equal(in(*state, &f, 0), DROP_DHCP);
}

/* ---- IPv6 ---- */

static void
addresses_within_neighbour_discovery_are_rewritten(void **state)
{
	static const struct {
		uint8_t type;
		size_t fixed;
		uint8_t option;
	} cases[] = {
		{ ND_ROUTER_SOLICITATION, 8, 1 },
		{ ND_ROUTER_ADVERTISEMENT, 16, 1 },
		{ ND_NEIGHBOR_SOLICITATION, 24, 1 },
		{ ND_NEIGHBOR_ADVERTISEMENT, 24, 2 },
	};
	const struct ip6_addr from = ip6("a"), to = ip6("z");

	for (size_t i = 0; i < NITEMS(cases); i++) {
		uint8_t message[48] = { cases[i].type };
		uint8_t *option = message + cases[i].fixed + 8;
		struct bytes f;

		memcpy(message + 8, from.b, 16);
		/* an MTU option before it, as routers send */
		option[-8] = 5;
		option[-7] = 1;
		option[0] = cases[i].option;
		option[1] = 1;
		memcpy(option + 2, alice.b, 6);
		f = make_icmp6(&outsider, &alice, &from, &to, message,
		    cases[i].fixed + 16);
		assert_int_equal(out(*state, &f, 0), REASON_MACNAT_OUT);
		assert_mac(f.b + f.len - 6, &nic);
		assert_true(icmp6_sum_is_right(f.b, f.len));
		assert_int_equal(macnat_entries(*state), 1);
	}
}

static void
a_neighbour_advertisement_leads_to_its_target(void **state)
{
	const struct ip6_addr from = ip6("a"), target = ip6("t"), to = ip6("z");
	uint8_t message[24] = { ND_NEIGHBOR_ADVERTISEMENT };
	struct bytes f;

	memcpy(message + 8, target.b, 16);
	f = make_icmp6(&outsider, &alice, &from, &to, message, 24);
	assert_int_equal(out(*state, &f, 0), REASON_MACNAT_OUT);
	f = make_icmp6(&nic, &outsider, &to, &target, "\x80\0\0\0\0\0\0", 8);
	assert_int_equal(in(*state, &f, 0), REASON_MACNAT_IN);
	assert_mac(f.b, &alice);
}

static void
a_redirect_tells_of_each_by_the_address_that_its_reader_uses(void **state)
{
	const struct ip6_addr a = ip6("a"), b = ip6("b"), o = ip6("o");
	uint8_t message[48] = { ND_REDIRECT };
	struct bytes f = make_icmp6(&outsider, &bob, &b, &o, "\x80\0\0\0", 4);

	assert_int_equal(out(*state, &f, 0), REASON_MACNAT_OUT);
	f = make_icmp6(&outsider, &alice, &a, &o, "\x80\0\0\0", 4);
	assert_int_equal(out(*state, &f, 0), REASON_MACNAT_OUT);
	message[40] = 2;
	message[41] = 1;
	/* From outside, about bob, whom outsiders know by the NIC's. */
	memcpy(message + 8, b.b, 16);
	memcpy(message + 42, nic.b, 6);
	f = make_icmp6(&nic, &outsider, &o, &a, message, 48);
	assert_int_equal(in(*state, &f, 0), REASON_MACNAT_IN);
	assert_mac(f.b, &alice);
	assert_mac(f.b + f.len - 6, &bob);
	assert_true(icmp6_sum_is_right(f.b, f.len));
	/* From alice, about bob. */
	memcpy(message + 42, bob.b, 6);
	f = make_icmp6(&outsider, &alice, &a, &o, message, 48);
	assert_int_equal(out(*state, &f, 0), REASON_MACNAT_OUT);
	assert_mac(f.b + f.len - 6, &nic);
	/* From alice, about an outsider. */
	memcpy(message + 8, o.b, 16);
	memcpy(message + 42, outsider.b, 6);
	f = make_icmp6(&outsider, &alice, &a, &o, message, 48);
	assert_int_equal(out(*state, &f, 0), REASON_MACNAT_OUT);
	assert_mac(f.b + f.len - 6, &outsider);
}

static void
neighbour_discovery_that_contradicts_itself_is_refused(void **state)
{
	static const struct {
		uint8_t type;
		uint8_t len;
		uint8_t option[3][2];
		enum reason reason;
	} cases[] = {
		{ ND_NEIGHBOR_SOLICITATION, 24, { { 0 } }, REASON_MACNAT_OUT },
		{ ND_NEIGHBOR_SOLICITATION, 23, { { 0 } }, DROP_SHORT },
		{ ND_NEIGHBOR_SOLICITATION, 32, { { 1, 0 } }, DROP_ND },
		{ ND_NEIGHBOR_SOLICITATION, 32, { { 1, 2 } }, DROP_ND },
		{ ND_NEIGHBOR_SOLICITATION, 40, { { 1, 2 } }, DROP_ND },
		{ ND_NEIGHBOR_SOLICITATION, 40, { { 1, 1 }, { 1, 1 } },
		    DROP_ND },
		{ ND_NEIGHBOR_SOLICITATION, 40, { { 1, 1 }, { 2, 1 } },
		    REASON_MACNAT_OUT },
		{ ND_NEIGHBOR_SOLICITATION, 32, { { 12, 1 } },
		    DROP_MACNAT_PROTOCOL },
		{ ND_NEIGHBOR_SOLICITATION, 25, { { 1 } }, DROP_ND },
		{ ND_REDIRECT, 39, { { 0 } }, DROP_SHORT },
	};
	const struct ip6_addr from = ip6("a"), to = ip6("z");

	for (size_t i = 0; i < NITEMS(cases); i++) {
		uint8_t message[64] = { cases[i].type };
		struct bytes f;

		for (int k = 0; k < 3; k++)
			memcpy(message + 24 + 8 * k, cases[i].option[k], 2);
		f = make_icmp6(
		    &outsider, &alice, &from, &to, message, cases[i].len);
		assert_int_equal(out(*state, &f, 0), cases[i].reason);
	}
}

/* ---- the table ---- */

static void
addresses_are_forgotten_when_nobody_uses_them(void **state)
{
	struct bytes f =
	    make_udp(&nic, &outsider, OUTSIDE_IP, ALICE_IP, 6, 5, "x", 1);
	struct bytes again = f, last = f;

	greet(*state, &alice, ALICE_IP, 0);
	assert_int_equal(in(*state, &f, 99 * S), REASON_MACNAT_IN);
	assert_int_equal(in(*state, &again, 198 * S), REASON_MACNAT_IN);
	assert_int_equal(in(*state, &last, 298 * S), DROP_MACNAT_UNKNOWN);
	assert_int_equal(macnat_entries(*state), 0);
}

static void
a_guest_of_many_addresses_gives_up_its_own_oldest(void **state)
{
	struct bytes f;

	greet(*state, &bob, BOB_IP, 0);
	for (uint32_t i = 0; i <= MACNAT_PER_GUEST; i++)
		greet(*state, &alice, 0x0a000001 + i, 1 + i);
	assert_int_equal(macnat_entries(*state), MACNAT_PER_GUEST + 1);
	f = make_udp(&nic, &outsider, OUTSIDE_IP, BOB_IP, 6, 5, "x", 1);
	assert_int_equal(in(*state, &f, 99), REASON_MACNAT_IN);
	f = make_udp(&nic, &outsider, OUTSIDE_IP, 0x0a000001, 6, 5, "x", 1);
	assert_int_equal(in(*state, &f, 99), DROP_MACNAT_UNKNOWN);
	f = make_udp(&nic, &outsider, OUTSIDE_IP, 0x0a000002, 6, 5, "x", 1);
	assert_int_equal(in(*state, &f, 99), REASON_MACNAT_IN);
}

static void
a_full_table_refuses_new_addresses_and_keeps_the_others(void **state)
{
	struct mac who = alice;
	struct bytes f;

	for (uint32_t i = 0; i < 200; i++) {
		who.b[4] = (uint8_t)i;
		greet(*state, &who, 0x0a000001 + i, 0);
	}
	f = make_arp(
	    &everybody, &bob, ARP_REQUEST, BOB_IP, &no_mac, OUTSIDE_IP);
	assert_int_equal(out(*state, &f, 1), DROP_MACNAT_FULL);
	assert_mac(f.b + 6, &bob);
	f = make_udp(&nic, &outsider, OUTSIDE_IP, 0x0a000001, 6, 5, "x", 1);
	assert_int_equal(in(*state, &f, 1), REASON_MACNAT_IN);
	greet(*state, &bob, BOB_IP, 100 * S);
	assert_int_equal(macnat_entries(*state), 2);
}

static void
only_an_announcement_takes_an_address_over(void **state)
{
	struct bytes f;

	greet(*state, &alice, ALICE_IP, 0);
	f = make_udp(&outsider, &bob, ALICE_IP, OUTSIDE_IP, 5, 6, "x", 1);
	assert_int_equal(out(*state, &f, 0), DROP_MACNAT_TAKEN);
	greet(*state, &bob, ALICE_IP, 0);
	f = make_udp(&nic, &outsider, OUTSIDE_IP, ALICE_IP, 6, 5, "x", 1);
	assert_int_equal(in(*state, &f, 0), REASON_MACNAT_IN);
	assert_mac(f.b, &bob);
	assert_int_equal(macnat_entries(*state), 1);
}

static void
no_guest_gets_the_hosts_address(void **state)
{
	const struct ip6_addr host = ip6_of_ip4(ALICE_IP);
	struct bytes f = make_arp(
	    &everybody, &alice, ARP_REQUEST, ALICE_IP, &no_mac, OUTSIDE_IP);

	assert_int_equal(macnat_reserve(*state, &host), 0);
	assert_int_equal(out(*state, &f, 0), DROP_MACNAT_TAKEN);
	for (int i = 1; i < MACNAT_RESERVED_MAX; i++)
		assert_int_equal(macnat_reserve(*state, &host), 0);
	assert_int_equal(macnat_reserve(*state, &host), -28 /* ENOSPC */);
}

static void
vlans_have_addresses_of_their_own(void **state)
{
	struct bytes f;

	greet(*state, &alice, ALICE_IP, 0);
	f = make_udp(&nic, &outsider, OUTSIDE_IP, ALICE_IP, 6, 5, "x", 1);
	memmove(f.b + 16, f.b + 12, f.len - 12);
	put_be16(f.b + 12, ETH_VLAN);
	put_be16(f.b + 14, 0x2007);
	f.len += 4;
	assert_int_equal(in(*state, &f, 0), DROP_MACNAT_UNKNOWN);
}

static void
list(void *arg, const struct macnat_entry *e)
{
	char text[IP6_TEXT_BYTES];
	char *at = arg;

	sprintf(at + strlen(at), "%s %02x %u/%u %u s; ",
	    ip6_text(text, &e->address), e->guest.b[5],
	    (unsigned int)e->out_frames, (unsigned int)e->in_frames,
	    (unsigned int)(e->idle_ns / S));
}

static void
the_table_shows_each_guest(void **state)
{
	const struct ip6_addr a = ip6("a"), o = ip6("o");
	char text[256] = "";
	struct bytes f;

	greet(*state, &alice, ALICE_IP, 0);
	greet(*state, &bob, BOB_IP, 5 * S);
	f = make_icmp6(&outsider, &alice, &a, &o, "\x80\0\0\0", 4);
	assert_int_equal(out(*state, &f, 6 * S), REASON_MACNAT_OUT);
	f = make_udp(&nic, &outsider, OUTSIDE_IP, BOB_IP, 6, 5, "x", 1);
	assert_int_equal(in(*state, &f, 7 * S), REASON_MACNAT_IN);
	macnat_each(*state, 9 * S, list, text);
	assert_string_equal(text,
	    "192.0.2.7 0a 1/0 9 s; 2001:db8::61 0a 1/0 3 s; "
	    "192.0.2.8 0b 1/1 2 s; ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_arp_request_goes_out_as_the_nics_own),
		TEST(an_arp_reply_is_led_back_and_rewritten_inside),
		TEST(each_guest_gets_what_goes_to_its_address),
		TEST(the_answer_to_an_arp_probe_reaches_everybody),
		TEST(what_cannot_work_is_refused_and_left_as_it_was),
		TEST(a_dhcp_client_asks_for_a_broadcast_and_keeps_its_chaddr),
		TEST(a_sum_that_is_yet_to_be_made_is_left_alone),
		TEST(a_dhcp_answer_is_led_back_by_chaddr),
		TEST(addresses_within_neighbour_discovery_are_rewritten),
		TEST(a_neighbour_advertisement_leads_to_its_target),
		TEST(
		    a_redirect_tells_of_each_by_the_address_that_its_reader_uses),
		TEST(neighbour_discovery_that_contradicts_itself_is_refused),
		TEST(addresses_are_forgotten_when_nobody_uses_them),
		TEST(a_guest_of_many_addresses_gives_up_its_own_oldest),
		TEST(a_full_table_refuses_new_addresses_and_keeps_the_others),
		TEST(only_an_announcement_takes_an_address_over),
		TEST(no_guest_gets_the_hosts_address),
		TEST(vlans_have_addresses_of_their_own),
		TEST(the_table_shows_each_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
