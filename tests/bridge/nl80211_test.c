#include "bridge/nl80211.h"

#include <errno.h>
#include <linux/nl80211.h>
#include <netlink/genl/genl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FAMILY 0x1c

static void
a_channels_frequency_is_known(void **state)
{
	static const struct {
		unsigned int channel, mhz;
	} cases[] = { { 1, 2412 }, { 6, 2437 }, { 13, 2472 }, { 14, 2484 },
		{ 36, 5180 }, { 64, 5320 }, { 100, 5500 }, { 144, 5720 },
		{ 149, 5745 }, { 177, 5885 }, { 0, 0 }, { 15, 0 }, { 37, 0 },
		{ 68, 0 }, { 148, 0 }, { 181, 0 }, { 4000000000, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(nl80211_mhz(cases[i].channel), cases[i].mhz);
}

static void
assert_command(struct nl_msg *msg, struct nlattr **attr, int command)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);

	assert_int_equal(h->nlmsg_type, FAMILY);
	assert_int_equal(genlmsg_hdr(h)->cmd, command);
	assert_int_equal(genlmsg_parse(h, 0, attr, NL80211_ATTR_MAX, NULL), 0);
	assert_int_equal(nla_get_u32(attr[NL80211_ATTR_IFINDEX]), 3);
}

static void
a_monitor_is_asked_for_that_ends_with_its_socket(void **state)
{
	struct nlattr *attr[NL80211_ATTR_MAX + 1];
	struct nl_msg *msg = nlmsg_alloc();

	(void)state;
	assert_int_equal(nl80211_write_monitor(msg, FAMILY, 3, "mon0"), 0);
	assert_command(msg, attr, NL80211_CMD_NEW_INTERFACE);
	assert_string_equal(nla_get_string(attr[NL80211_ATTR_IFNAME]), "mon0");
	assert_int_equal(
	    nla_get_u32(attr[NL80211_ATTR_IFTYPE]), NL80211_IFTYPE_MONITOR);
	assert_true(nla_get_flag(attr[NL80211_ATTR_SOCKET_OWNER]));
	nlmsg_free(msg);
}

static void
a_radio_is_tuned_to_20_mhz(void **state)
{
	struct nlattr *attr[NL80211_ATTR_MAX + 1];
	struct nl_msg *msg = nlmsg_alloc();

	(void)state;
	assert_int_equal(nl80211_write_tune(msg, FAMILY, 3, 5180), 0);
	assert_command(msg, attr, NL80211_CMD_SET_WIPHY);
	assert_int_equal(nla_get_u32(attr[NL80211_ATTR_WIPHY_FREQ]), 5180);
	assert_int_equal(nla_get_u32(attr[NL80211_ATTR_CHANNEL_WIDTH]),
	    NL80211_CHAN_WIDTH_20_NOHT);
	nlmsg_free(msg);
}

static void
a_message_without_room_is_not_written(void **state)
{
	struct nl_msg *msg = nlmsg_alloc_size(NLMSG_HDRLEN + 12);

	(void)state;
	assert_int_equal(
	    nl80211_write_monitor(msg, FAMILY, 3, "mon0"), -ENOBUFS);
	nlmsg_free(msg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_channels_frequency_is_known),
		cmocka_unit_test(
		    a_monitor_is_asked_for_that_ends_with_its_socket),
		cmocka_unit_test(a_radio_is_tuned_to_20_mhz),
		cmocka_unit_test(a_message_without_room_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
