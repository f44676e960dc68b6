/*
 * VXLAN: machines 127.0.0.2 and 127.0.0.3, a stranger at 127.0.0.4, and the
 * port at 127.0.0.1.
 */
#include "tests/switch/outside.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "net/vxlan.h"
#include "switch/dgram.h"

#define FRAME_BYTES 60

static int machine[5]; /* sockets, by the last byte of their address */
static uint16_t own;   /* the UDP port at 127.0.0.1 */

static struct sockaddr_in
address(unsigned int last, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(0x7f000000 + last) };
}

static int
socket_of(unsigned int last)
{
	struct sockaddr_in addr = address(last, 0);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static uint16_t
port_of(int fd)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	getsockname(fd, (struct sockaddr *)&addr, &len);
	return ntohs(addr.sin_port);
}

static int
set_up(void **state)
{
	int fd;

	*state = outside_new(&port_vxlan);
	for (unsigned int i = 2; i < 5; i++)
		machine[i] = socket_of(i);
	fd = socket_of(1);
	own = port_of(fd); /* free from now on */
	close(fd);
	return 0;
}

static int
tear_down(void **state)
{
	for (unsigned int i = 2; i < 5; i++)
		close(machine[i]);
	outside_free(*state);
	return 0;
}

static struct port *
port_with(struct outside *o, const char *name, unsigned int vni,
    const char *more, struct err *err)
{
	char locator[300];

	snprintf(locator, sizeof(locator),
	    "vxlan:127.0.0.2:%u?vni=%u&remote=127.0.0.3:%u"
	    "&local=127.0.0.1:%u%s",
	    port_of(machine[2]), vni, port_of(machine[3]), own, more);
	return port_open(o->kinds, o->loop, &o->node, name, locator, err);
}

static void
open_with(struct outside *o, const char *more)
{
	struct err err = { "" };

	o->port = port_with(o, "out.eth0", 7, more, &err);
	assert_string_equal(err.text, "");
	cable_join(o->port, &o->sink->port);
}

/* Sends bytes of a machine's. */
static void
came(unsigned int from, const void *bytes, size_t n)
{
	struct sockaddr_in to = address(1, own);

	assert_int_equal(sendto(machine[from], bytes, n, 0,
			     (struct sockaddr *)&to, sizeof(to)),
	    n);
}

/* A frame to dst from src, two addresses by their last byte; 0xff is for
 * broadcast. */
static void
make_frame(uint8_t bytes[FRAME_BYTES], uint8_t dst, uint8_t src)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 0, 0, 0 };

	memset(bytes, 0, FRAME_BYTES);
	memcpy(bytes, mac, 6);
	memcpy(bytes + 6, mac, 6);
	bytes[5] = dst;
	bytes[11] = src;
	if (dst == 0xff)
		memset(bytes, 0xff, 6);
}

static void
frame_came(unsigned int from, uint32_t vni, uint8_t dst, uint8_t src)
{
	uint8_t bytes[VXLAN_HEADER_BYTES + FRAME_BYTES];
	struct writer w = writer(bytes, sizeof(bytes));

	vxlan_write(&w, vni);
	make_frame(bytes + VXLAN_HEADER_BYTES, dst, src);
	came(from, bytes, sizeof(bytes));
}

static void
send_frame(struct outside *o, uint8_t dst, uint8_t src)
{
	uint8_t bytes[FRAME_BYTES];
	struct burst burst;

	burst_clear(&burst);
	make_frame(bytes, dst, src);
	burst_add(&burst, bytes, sizeof(bytes));
	port_send(&o->sink->port, &burst);
}

/* How many frames reached a machine. */
static unsigned int
reached(unsigned int at, uint32_t vni)
{
	uint8_t bytes[200];
	unsigned int n = 0;
	ssize_t len;

	while ((len = recv(machine[at], bytes, sizeof(bytes), 0)) >= 0) {
		struct cursor c = cursor(bytes, (size_t)len);
		uint32_t got;

		assert_int_equal(len, VXLAN_HEADER_BYTES + FRAME_BYTES);
		assert_int_equal(vxlan_parse(&got, &c), DROP_NONE);
		assert_int_equal(got, vni);
		n++;
	}
	return n;
}

static void
expect_reached(unsigned int second, unsigned int third)
{
	assert_int_equal(reached(2, 7), second);
	assert_int_equal(reached(3, 7), third);
	assert_int_equal(reached(4, 7), 0);
}

static void
unknown_and_group_addresses_go_to_each_machine(void **state)
{
	struct outside *o = *state;

	open_with(o, "");
	send_frame(o, 1, 9);
	expect_reached(1, 1);
	send_frame(o, 0xff, 9);
	expect_reached(1, 1);
	assert_int_equal(o->node.count[REASON_DELIVERED], 2);
}

static void
a_learned_address_has_one_machine_and_moves(void **state)
{
	struct outside *o = *state;
	char text[200];

	open_with(o, "");
	frame_came(3, 7, 0xff, 1);
	pump(o);
	assert_int_equal(o->sink->n, 1);
	assert_int_equal(o->sink->frame[0].len, FRAME_BYTES);
	send_frame(o, 1, 9);
	expect_reached(0, 1);
	frame_came(2, 7, 0xff, 1);
	pump(o);
	send_frame(o, 1, 9);
	expect_reached(1, 0);
	o->port->ops->describe(o->port, text, sizeof(text));
	assert_non_null(strstr(text, "VNI 7 at 127.0.0.1:"));
	assert_non_null(strstr(text, "and 1 more, 1 addresses"));
}

static void
what_came_from_one_machine_does_not_go_to_another(void **state)
{
	struct outside *o = *state;

	open_with(o, "");
	frame_came(2, 7, 0xff, 1);
	frame_came(3, 7, 1, 2);
	pump(o);
	assert_int_equal(o->sink->n, 2);
	expect_reached(0, 0);
}

static void
a_pinned_address_stays_and_others_may_go_unlearned(void **state)
{
	struct outside *o = *state;

	open_with(o, "&learn=no&mac=52:54:00:00:00:01@127.0.0.3");
	frame_came(2, 7, 0xff, 1);
	frame_came(2, 7, 0xff, 2);
	pump(o);
	assert_int_equal(o->sink->n, 2);
	send_frame(o, 1, 9);
	expect_reached(0, 1);
	send_frame(o, 2, 9);
	expect_reached(1, 1);
}

static void
hostile_datagrams_are_counted_by_reason(void **state)
{
	static const uint8_t no_vni[VXLAN_HEADER_BYTES + FRAME_BYTES] = { 0 };
	static uint8_t large[VXLAN_HEADER_BYTES + DGRAM_FRAME_BYTES + 1];
	struct writer w = writer(large, sizeof(large));
	struct outside *o = *state;

	open_with(o, "");
	vxlan_write(&w, 7);
	came(2, "", 0);
	came(2, large, VXLAN_HEADER_BYTES - 1);
	came(2, large, VXLAN_HEADER_BYTES);
	came(2, large, VXLAN_HEADER_BYTES + 13);
	came(2, no_vni, sizeof(no_vni));
	came(2, large, sizeof(large));
	frame_came(2, 8, 0xff, 1);
	frame_came(4, 7, 0xff, 1);
	frame_came(4, 8, 0xff, 1);
	pump(o);
	assert_int_equal(o->sink->n, 0);
	assert_int_equal(o->node.count[DROP_SHORT], 4);
	assert_int_equal(o->node.count[DROP_VXLAN], 1);
	assert_int_equal(o->node.count[DROP_TOO_LONG], 1);
	assert_int_equal(o->node.count[DROP_VXLAN_VNI], 2);
	assert_int_equal(o->node.count[DROP_VXLAN_REMOTE], 1);
	assert_int_equal(node_total(&o->node), 9);
	/* nor did it learn from them */
	send_frame(o, 1, 9);
	expect_reached(1, 1);
	/* and the other way */
	send_frames_of(o, 1, 13, 0);
	send_frames_of(o, 1, DGRAM_FRAME_BYTES + 1, 0);
	assert_int_equal(o->node.count[DROP_SHORT], 5);
	assert_int_equal(o->node.count[DROP_TOO_LONG], 2);
}

static void
two_networks_share_a_socket(void **state)
{
	struct outside *o = *state;
	struct sink *other = sink_new("in.eth1");
	struct err err = { "" };
	struct port *second;

	open_with(o, "");
	assert_null(port_with(o, "out.eth1", 7, "", &err));
	assert_non_null(strstr(err.text, "that of port out.eth0"));
	second = port_with(o, "out.eth1", 8, "", &err);
	assert_non_null(second);
	cable_join(second, &other->port);
	for (unsigned int i = 0; i < 20; i++)
		frame_came(2, 7 + i % 2, 0xff, 1);
	pump(o);
	assert_int_equal(o->sink->n, 10);
	assert_int_equal(other->n, 10);
	/* The one goes, the other stays. */
	port_close(o->port);
	o->port = second;
	frame_came(2, 8, 0xff, 1);
	frame_came(2, 7, 0xff, 1);
	pump(o);
	assert_int_equal(other->n, 11);
	assert_int_equal(o->node.count[DROP_VXLAN_VNI], 1);
	cable_cut(second);
	sink_free(other);
}

static void
a_burst_arrives_as_it_was_at_each_machine(void **state)
{
	struct outside *o = *state;
	uint8_t bytes[2000];

	open_with(o, "");
	send_frames_of(o, 64, 1500, 0);
	for (unsigned int i = 0; i < 64; i++)
		for (unsigned int at = 2; at <= 3; at++) {
			uint32_t number;

			assert_int_equal(
			    recv(machine[at], bytes, sizeof(bytes), 0),
			    VXLAN_HEADER_BYTES + 1500);
			memcpy(&number, bytes + VXLAN_HEADER_BYTES,
			    sizeof(number));
			assert_int_equal(number, i);
		}
}

static void
locators_that_cannot_be_are_refused(void **state)
{
	static const struct {
		const char *locator, *says;
	} rows[] = {
		{ "vxlan:", "names no network" },
		{ "vxlan:?vni=1", "no address of a machine" },
		{ "vxlan:192.0.2.1", "names no network" },
		{ "vxlan:host?vni=1", "no address of a machine" },
		{ "vxlan:239.1.1.1?vni=1", "no address of a machine" },
		{ "vxlan:[ff02::1]?vni=1", "no address of a machine" },
		{ "vxlan:192.0.2.1?vni=16777216", "0 to 16777215" },
		{ "vxlan:192.0.2.1?vni=x", "0 to 16777215" },
		{ "vxlan:192.0.2.1?vni=1&port=0", "1 to 65535" },
		{ "vxlan:192.0.2.1?vni=1&remote=::1", "another family" },
		{ "vxlan:192.0.2.1?vni=1&remote=192.0.2.1:9", "already" },
		{ "vxlan:192.0.2.1?vni=1&local=::1", "the remote's family" },
		{ "vxlan:192.0.2.1?vni=1&learn=maybe", "use yes or no" },
		{ "vxlan:192.0.2.1?vni=1&mac=52:54:00:00:00:01", "at which" },
		{ "vxlan:192.0.2.1?vni=1&mac=52:54:00:00:00:01@192.0.2.2",
		    "at which" },
		{ "vxlan:192.0.2.1?vni=1&mac=01:00:00:00:00:01@192.0.2.1",
		    "at which" },
		{ "vxlan:192.0.2.1?vni=1&group=1", "is not known" },
		{ "vxlan:127.0.0.1?vni=1&local=192.0.2.77",
		    "an address of this machine" },
		{ "vxlan:127.0.0.1?vni=1&local=127.0.0.1"
		  "&mac=52:54:00:00:00:01@127.0.0.1"
		  "&mac=52:54:00:00:00:01@127.0.0.1",
		    "twice" },
	};
	struct outside *o = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = { "" };

		assert_null(port_open(o->kinds, o->loop, &o->node, "out.eth0",
		    rows[i].locator, &err));
		if (strstr(err.text, rows[i].says) == NULL)
			fail_msg("%s: %s", rows[i].locator, err.text);
	}
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(unknown_and_group_addresses_go_to_each_machine),
		T(a_learned_address_has_one_machine_and_moves),
		T(what_came_from_one_machine_does_not_go_to_another),
		T(a_pinned_address_stays_and_others_may_go_unlearned),
		T(hostile_datagrams_are_counted_by_reason),
		T(two_networks_share_a_socket),
		T(a_burst_arrives_as_it_was_at_each_machine),
		T(locators_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
