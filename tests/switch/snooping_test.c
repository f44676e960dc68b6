#include "switch/snooping.h"

#include <errno.h>

#include "net/checksum.h"
#include "net/membership.h"
#include "tests/switch/lan.h"

#define FRAME 128

static struct snooping *
snoop(struct lan *lan, struct groups_options options)
{
	struct err err = { "" };
	struct snooping *s;

	options.querier = 0x0a000001;
	s = snooping_new(lan->sw, &options, &err);
	assert_non_null(s);
	lan_pass_time(lan, 15 * NS_PER_S); /* members are known from then on */
	lan_forget(lan);
	return s;
}

static size_t
put_ip4(uint8_t frame[FRAME], uint8_t protocol, uint32_t src, uint32_t dst,
    const void *payload, size_t len)
{
	struct ip6_addr group = ip6_of_ip4(dst);
	struct eth eth = { .dst = member_mac(&group),
		.src = { { 2, 0, 0, 0, 0, (uint8_t)src } },
		.type = ETH_IPV4 };
	struct ip4 ip = { .ttl = 1,
		.protocol = protocol,
		.src = src,
		.dst = dst,
		.total_bytes = (uint16_t)(IP4_HEADER_BYTES + len) };
	struct writer w = writer(frame, FRAME);

	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	wr_bytes(&w, payload, len);
	return (size_t)(w.at - frame);
}

/* An IGMPv2 message from a sink. */
static struct verdict
igmp(struct lan *lan, int from, uint8_t type, uint32_t group)
{
	uint8_t frame[FRAME], m[8] = { type, type == 0x11 ? 100 : 0 };
	uint32_t to = type == 0x11 ? 0xe0000001 : group;

	put_be32(m + 4, group);
	put_be16(m + 2, csum_finish(csum_add_bytes(0, m, sizeof(m))));
	return lan_send_bytes(lan, from, frame,
	    put_ip4(frame, IP_IGMP, 0x0a000010u + (unsigned int)from, to, m,
		sizeof(m)));
}

static struct verdict
data(struct lan *lan, int from, uint32_t group)
{
	uint8_t frame[FRAME], payload[40] = { 0 };

	lan_forget(lan);
	return lan_send_bytes(lan, from, frame,
	    put_ip4(frame, IP_UDP, 0x0a000010u + (unsigned int)from, group,
		payload, sizeof(payload)));
}

/* The sinks that took something, as bits. */
static unsigned int
took(const struct lan *lan)
{
	unsigned int bits = 0;

	for (unsigned int i = 0; i < LAN_SINKS; i++)
		bits |= (lan->sink[i]->n > 0) << i;
	return bits;
}

static void
a_group_goes_to_who_joined_and_to_routers(void **state)
{
	struct lan *lan = *state;
	struct snooping *s = snoop(lan, (struct groups_options){ 0 });

	assert_int_equal(data(lan, 0, 0xef010101).reason, DROP_NO_MEMBER);
	/* no router: the report ends here */
	assert_int_equal(
	    igmp(lan, 2, 0x16, 0xef010101).reason, REASON_DELIVERED);
	assert_int_equal(took(lan), 0);
	assert_int_equal(data(lan, 0, 0xef010101).reason, REASON_TO_MEMBERS);
	assert_int_equal(took(lan), 1 << 2);
	/* a router appears; its address is higher than ours */
	assert_int_equal(igmp(lan, 5, 0x11, 0).reason, REASON_FLOOD_GROUP);
	lan_forget(lan);
	assert_int_equal(
	    igmp(lan, 3, 0x16, 0xef010101).reason, REASON_TO_ROUTERS);
	assert_int_equal(took(lan), 1 << 5);
	data(lan, 0, 0xef010101);
	assert_int_equal(took(lan), 1 << 2 | 1 << 3 | 1 << 5);
	data(lan, 0, 0xe00000fb);
	assert_int_equal(took(lan), 0x3e);
	/* the members' own cables are cut, and theirs alone */
	port_set_down(&lan->sink[2]->port, true);
	data(lan, 0, 0xef010101);
	assert_int_equal(took(lan), 1 << 3 | 1 << 5);
	snooping_free(s);
}

static void
who_leaves_is_asked_and_then_forgotten(void **state)
{
	struct lan *lan = *state;
	struct snooping *s = snoop(lan, (struct groups_options){ 0 });

	igmp(lan, 2, 0x16, 0xef010101);
	igmp(lan, 3, 0x16, 0xef010101);
	lan_forget(lan);
	igmp(lan, 2, 0x17, 0xef010101);
	assert_int_equal(took(lan), 1 << 2); /* the question, there alone */
	lan_pass_time(lan, 1500 * NS_PER_MS);
	assert_int_equal(lan->sink[2]->n, 2);
	data(lan, 0, 0xef010101);
	assert_int_equal(took(lan), 1 << 2 | 1 << 3);
	lan_pass_time(lan, NS_PER_S);
	data(lan, 0, 0xef010101);
	assert_int_equal(took(lan), 1 << 3);
	snooping_free(s);
}

static void
the_querier_asks_all_in_each_vlan(void **state)
{
	struct lan *lan = *state;
	struct vlan_options access = { .mode = VLAN_ACCESS, .vlan = 10 };
	struct vlan_options trunk = { .mode = VLAN_TRUNK };
	struct snooping *s;
	unsigned int tagged = 0;

	vlan_set_add(&trunk.allowed, 10, 11);
	for (int i = 0; i < LAN_SINKS - 1; i++) {
		access.vlan = i < 2 ? 10 : 20;
		assert_int_equal(switch_set_vlan(lan->port[i], &access), 0);
	}
	switch_set_vlan(lan->port[5], &trunk);
	s = snoop(lan, (struct groups_options){ .query_ns = 20 * NS_PER_S });
	lan_pass_time(lan, 20 * NS_PER_S);
	/* one of IGMP and one of MLD, untagged for who has one VLAN */
	for (int i = 0; i < 5; i++)
		assert_int_equal(lan->sink[i]->n, 2);
	for (unsigned int i = 0; i < lan->sink[5]->n; i++) {
		const uint8_t *f = lan->sink[5]->frame[i].data;

		if (get_be16(f + 12) == ETH_VLAN)
			tagged |= 1u << (get_be16(f + 14) & 0xfff) % 32;
	}
	assert_int_equal(tagged, 1u << 10 | 1u << 11);
	/* a member in one VLAN is none in another */
	igmp(lan, 1, 0x16, 0xef010101);
	data(lan, 0, 0xef010101);
	assert_int_equal(took(lan), 1 << 1);
	assert_int_equal(data(lan, 2, 0xef010101).reason, DROP_NO_MEMBER);
	/* a port that is put into another VLAN has that one asked, too */
	lan_forget(lan);
	access.vlan = 30;
	switch_set_vlan(lan->port[3], &access);
	lan_pass_time(lan, NS_PER_S);
	assert_int_equal(lan->sink[3]->n, 2);
	assert_int_equal(lan->sink[2]->n, 0);
	snooping_free(s);
}

static void
members_are_asked_anew_when_the_topology_changes(void **state)
{
	struct lan *lan = *state;
	struct snooping *s = snoop(lan, (struct groups_options){ 0 });

	lan_pass_time(lan, 60 * NS_PER_S);
	lan_forget(lan);
	switch_flush(lan->port[1], SWITCH_ALL_TREES);
	lan_pass_time(lan, NS_PER_S);
	assert_int_equal(lan->sink[0]->n, 2);
	snooping_free(s);
}

static void
what_is_wrong_is_refused_and_teaches_nothing(void **state)
{
	struct lan *lan = *state;
	struct snooping *s = snoop(lan, (struct groups_options){ 0 });
	uint8_t frame[FRAME], m[8] = { 0x16, 0, 0, 1, 239, 1, 1, 1 };
	size_t len = put_ip4(frame, IP_IGMP, 0x0a000010, 0xef010101, m, 8);

	assert_int_equal(
	    lan_send_bytes(lan, 0, frame, len).reason, DROP_L4_CHECKSUM);
	frame[14 + 10] ^= 1;
	assert_int_equal(
	    lan_send_bytes(lan, 0, frame, len).reason, DROP_IP_CHECKSUM);
	assert_int_equal(took(lan), 0);
	assert_int_equal(data(lan, 1, 0xef010101).reason, DROP_NO_MEMBER);
	/* a switch that looks at no tags leaves tagged ones alone */
	put_be16(m + 2, 0);
	put_be16(m + 2, csum_finish(csum_add_bytes(0, m, sizeof(m))));
	len = put_ip4(frame, IP_IGMP, 0x0a000010, 0xef010101, m, 8);
	len = lan_tag(frame, len, ETH_VLAN, 5);
	assert_int_equal(
	    lan_send_bytes(lan, 0, frame, len).reason, REASON_FLOOD_GROUP);
	assert_int_equal(data(lan, 1, 0xef010101).reason, DROP_NO_MEMBER);
	snooping_free(s);
}

static void
a_burst_outlives_the_group_that_it_goes_to(void **state)
{
	struct lan *lan = *state;
	struct snooping *s =
	    snoop(lan, (struct groups_options){ .fast_leave = true });
	uint8_t leave[FRAME], packet[FRAME],
	    m[8] = { 0x17, 0, 0, 0, 239, 1, 1, 1 };
	uint8_t payload[40] = { 0 };
	struct burst burst;

	igmp(lan, 2, 0x16, 0xef010101);
	put_be16(m + 2, csum_finish(csum_add_bytes(0, m, sizeof(m))));
	burst_clear(&burst);
	burst_add(&burst, packet,
	    put_ip4(packet, IP_UDP, 0x0a000012, 0xef010101, payload, 40));
	burst_add(&burst, leave,
	    put_ip4(leave, IP_IGMP, 0x0a000012, 0xef010101, m, 8));
	lan_forget(lan);
	port_send(&lan->sink[2]->port, &burst);
	assert_int_equal(burst.frame[0].verdict.reason, DROP_NO_MEMBER);
	assert_int_equal(data(lan, 0, 0xef010101).reason, DROP_NO_MEMBER);
	snooping_free(s);
}

static void
a_switch_snoops_once(void **state)
{
	struct lan *lan = *state;
	struct snooping *s = snoop(lan, (struct groups_options){ 0 });
	const struct groups_options options = { 0 };
	struct err err = { "" };

	assert_null(snooping_new(lan->sw, &options, &err));
	assert_non_null(strstr(err.text, "snoops on groups already"));
	snooping_set_router(s, lan->port[4]);
	data(lan, 0, 0xef010101);
	assert_int_equal(took(lan), 1 << 4);
	assert_ptr_equal(
	    snooping_port(s, switch_port_index(lan->port[4])), lan->port[4]);
	switch_remove_port(lan->sw, lan->port[4]);
	assert_int_equal(data(lan, 0, 0xef010101).reason, DROP_NO_MEMBER);
	snooping_free(s);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, lan_set_up, lan_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_group_goes_to_who_joined_and_to_routers),
		TEST(who_leaves_is_asked_and_then_forgotten),
		TEST(the_querier_asks_all_in_each_vlan),
		TEST(members_are_asked_anew_when_the_topology_changes),
		TEST(what_is_wrong_is_refused_and_teaches_nothing),
		TEST(a_burst_outlives_the_group_that_it_goes_to),
		TEST(a_switch_snoops_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
