/*
 * The rootless way out, as a host of its LAN sees it: 10.0.2.15 with frames
 * made by hand, and a UDP server of the test's at 127.0.0.1.
 */
#include "bridge/port_slirp.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "net/arp.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/udp.h"
#include "tests/switch/outside.h"

#define ROUTER 0x0a000202
#define HOST   0x0a00020f

static const struct mac mac = { { 0x52, 0x54, 0, 0, 0, 1 } };

static int
set_up(void **state)
{
	*state = outside_new(&port_slirp);
	return 0;
}

static int
tear_down(void **state)
{
	outside_free(*state);
	return 0;
}

static void
send_out(struct outside *o, const void *bytes, size_t len)
{
	struct burst burst;

	burst_clear(&burst);
	burst_add(&burst, bytes, len);
	port_send(&o->sink->port, &burst);
}

static void
send_udp(struct outside *o, uint32_t dst, uint16_t sport, uint16_t dport)
{
	static const struct mac router = { { 0x52, 0x55, 10, 0, 2, 2 } };
	const struct eth eth = { .dst = router, .src = mac, .type = ETH_IPV4 };
	const struct udp udp = { .sport = sport,
		.dport = dport,
		.data = (const uint8_t *)"hello",
		.data_bytes = 5 };
	const struct ip4 ip = { .total_bytes =
				    IP4_HEADER_BYTES + UDP_HEADER_BYTES + 5,
		.ttl = 64,
		.protocol = IP_UDP,
		.src = HOST,
		.dst = dst };
	uint8_t
	    bytes[ETH_HEADER_BYTES + IP4_HEADER_BYTES + UDP_HEADER_BYTES + 5];
	struct writer w = writer(bytes, sizeof(bytes));

	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	udp_write(&w, &udp, HOST, dst);
	assert_false(w.overrun);
	send_out(o, bytes, sizeof(bytes));
}

/* The last datagram that came, if it is one. */
static bool
came_udp(const struct outside *o, struct udp *udp, struct ip4 *ip)
{
	const struct sink_frame *f;
	struct eth eth;
	struct cursor c;

	if (o->sink->n == 0)
		return false;
	f = &o->sink->frame[o->sink->n - 1];
	c = cursor(f->data, f->len);
	return eth_parse(&eth, &c) == DROP_NONE && eth.type == ETH_IPV4 &&
	    ip4_parse(ip, &c) == DROP_NONE && ip->protocol == IP_UDP &&
	    udp_parse(udp, &c, ip, false) == DROP_NONE;
}

/* libslirp asks by ARP where the host is before it sends to it. */
static void
answer_arp(struct sink *sink, struct burst *burst)
{
	struct outside *o = sink->arg;
	struct cursor c = cursor(burst->frame[0].data, burst->frame[0].len);
	struct eth eth;
	struct arp arp;
	uint8_t bytes[60] = { 0 };
	struct writer w = writer(bytes, sizeof(bytes));

	if (eth_parse(&eth, &c) != DROP_NONE || eth.type != ETH_ARP ||
	    arp_parse(&arp, &c) != DROP_NONE || arp.op != ARP_REQUEST ||
	    arp.target_ip != HOST)
		return;
	eth.dst = eth.src;
	eth.src = mac;
	eth_write(&w, &eth);
	arp_write(&w,
	    &(struct arp){ .op = ARP_REPLY,
		.sender_mac = mac,
		.sender_ip = HOST,
		.target_mac = arp.sender_mac,
		.target_ip = arp.sender_ip });
	send_out(o, bytes, sizeof(bytes));
}

static void
open_as(struct outside *o, const char *locator)
{
	outside_open(o, locator);
	o->sink->hook = answer_arp;
	o->sink->arg = o;
}

static int
server(struct sockaddr_in *addr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(*addr);

	*addr = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(fd, (struct sockaddr *)addr, sizeof(*addr)), 0);
	getsockname(fd, (struct sockaddr *)addr, &len);
	return fd;
}

static void
a_datagram_goes_out_and_its_answer_comes_back(void **state)
{
	struct outside *o = *state;
	struct sockaddr_in at, from;
	socklen_t len = sizeof(from);
	int fd = server(&at);
	char bytes[100], text[100];
	struct udp udp;
	struct ip4 ip;

	open_as(o, "slirp:?host=yes");
	send_udp(o, ROUTER, 1000, ntohs(at.sin_port));
	pump(o);
	assert_int_equal(recvfrom(fd, bytes, sizeof(bytes), 0,
			     (struct sockaddr *)&from, &len),
	    5);
	assert_memory_equal(bytes, "hello", 5);
	assert_int_equal(
	    sendto(fd, "world!", 6, 0, (struct sockaddr *)&from, len), 6);
	pump(o);
	assert_true(came_udp(o, &udp, &ip));
	assert_int_equal(ip.src, ROUTER);
	assert_int_equal(udp.dport, 1000);
	assert_memory_equal(udp.data, "world!", 6);
	o->port->ops->describe(o->port, text, sizeof(text));
	assert_string_equal(text, "10.0.2.0/24, 1 flows");
	close(fd);
}

static void
the_host_s_own_services_are_out_of_reach_unless_asked_for(void **state)
{
	struct outside *o = *state;
	struct sockaddr_in at;
	int fd = server(&at);
	char bytes[100];

	open_as(o, "slirp:");
	send_udp(o, ROUTER, 1000, ntohs(at.sin_port));
	send_udp(o, INADDR_LOOPBACK, 1000, ntohs(at.sin_port));
	send_udp(o, 0, 1000, ntohs(at.sin_port));
	pump(o);
	assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), -1);
	assert_int_equal(o->node.count[DROP_MARTIAN], 2);
	close(fd);
}

static void
restricted_it_lets_nothing_out(void **state)
{
	struct outside *o = *state;
	struct sockaddr_in at;
	int fd = server(&at);
	char bytes[100];

	open_as(o, "slirp:?restrict=yes&host=yes");
	send_udp(o, ROUTER, 1000, ntohs(at.sin_port));
	pump(o);
	assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), -1);
	close(fd);
}

static void
flows_take_so_many_sockets_and_no_more(void **state)
{
	struct outside *o = *state;
	struct sockaddr_in at;
	int fd = server(&at);

	open_as(o, "slirp:?host=yes");
	for (unsigned int i = 0; i < PORT_SLIRP_FLOWS_MAX + 100; i++)
		send_udp(o, ROUTER, (uint16_t)(1000 + i), ntohs(at.sin_port));
	assert_int_equal(o->node.count[DROP_PORT_FULL], 100);
	pump(o);
	assert_in_range(open_fds() - o->fds, PORT_SLIRP_FLOWS_MAX,
	    PORT_SLIRP_FLOWS_MAX + 10);
	/* not even later, nor by one that is there: it cannot be told apart */
	send_udp(o, ROUTER, 1000, ntohs(at.sin_port));
	assert_int_equal(o->node.count[DROP_PORT_FULL], 101);
	close(fd);
}

static void
many_frames_of_one_flow_are_one(void **state)
{
	struct outside *o = *state;
	struct sockaddr_in at;
	int fd = server(&at);

	open_as(o, "slirp:?host=yes");
	for (unsigned int i = 0; i < 2 * PORT_SLIRP_FLOWS_MAX; i++)
		send_udp(o, ROUTER, 1000, ntohs(at.sin_port));
	assert_int_equal(o->node.count[DROP_PORT_FULL], 0);
	close(fd);
}

static void
a_forward_leads_in(void **state)
{
	struct outside *o = *state;
	struct sockaddr_in at;
	int fd = server(&at);
	char locator[100];
	struct udp udp;
	struct ip4 ip;

	close(fd); /* its port is free now */
	snprintf(locator, sizeof(locator),
	    "slirp:?restrict=yes&forward=udp:%u-10.0.2.15:7",
	    ntohs(at.sin_port));
	open_as(o, locator);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
	    sendto(fd, "hi", 2, 0, (struct sockaddr *)&at, sizeof(at)), 2);
	run_for(o, 50 * NS_PER_MS);
	assert_true(came_udp(o, &udp, &ip));
	assert_int_equal(ip.dst, HOST);
	assert_int_equal(udp.dport, 7);
	assert_memory_equal(udp.data, "hi", 2);
	close(fd);
}

static void
locators_that_cannot_be_are_refused(void **state)
{
	static const struct {
		const char *locator, *says;
	} rows[] = {
		{ "slirp:eth0", "nothing to name" },
		{ "slirp:?net=10.0.2.1/24", "no network" },
		{ "slirp:?net=10.0.2.0/28", "/8 to /27" },
		{ "slirp:?net=10.0.0.0/7", "/8 to /27" },
		{ "slirp:?net=127.0.0.0/8", "no network" },
		{ "slirp:?net=224.0.0.0/8", "no network" },
		{ "slirp:?ipv6=yes", "no network" },
		{ "slirp:?ipv6=fd00::1/64", "no network" },
		{ "slirp:?ipv6=fd00::/48", "no network" },
		{ "slirp:?ipv6=fe80::/64", "no network" },
		{ "slirp:?restrict=1", "use yes or no" },
		{ "slirp:?host=", "use yes or no" },
		{ "slirp:?forward=80", "does not say" },
		{ "slirp:?forward=tcp:80", "does not say" },
		{ "slirp:?forward=tcp:80-10.0.2.15", "does not say" },
		{ "slirp:?forward=tcp:80-10.0.3.15:80", "does not say" },
		{ "slirp:?forward=sctp:80-10.0.2.15:80", "does not say" },
		{ "slirp:?forward=tcp:192.0.2.77:8080-10.0.2.15:80",
		    "cannot listen" },
		{ "slirp:?bootp=1", "is not known" },
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
		T(a_datagram_goes_out_and_its_answer_comes_back),
		T(the_host_s_own_services_are_out_of_reach_unless_asked_for),
		T(restricted_it_lets_nothing_out),
		T(flows_take_so_many_sockets_and_no_more),
		T(many_frames_of_one_flow_are_one),
		T(a_forward_leads_in),
		T(locators_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
