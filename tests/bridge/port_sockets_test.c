#include "bridge/port_sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/arp.h"
#include "net/checksum.h"
#include "net/eth.h"
#include "net/icmp.h"
#include "net/tcp.h"
#include "net/udp.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))
#define US        UINT32_C(0x0a000202) /* 10.0.2.2 */
#define GUEST     UINT32_C(0x0a00020f)
#define FAR       UINT32_C(0xc0000201)

static const struct port_kind *const kinds[] = { &port_sockets, NULL };
static const struct mac guest_mac = { { 0x02, 0, 0, 0, 0, 0x0f } };

struct lan {
	struct port port; /* first */
	struct node node, way_node;
	struct loop *loop;
	struct port *way;
	struct mac us;
	unsigned int n; /* frames that came */
	size_t len;
	uint8_t last[70000]; /* the latest */
	bool stop_at_frame;
	bool giving;               /* a burst of the guest */
	unsigned int while_giving; /* frames that came meanwhile */
};

static void
take(struct port *port, struct burst *burst)
{
	struct lan *l = (struct lan *)port;

	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *f = &burst->frame[i];

		l->n++;
		l->while_giving += l->giving;
		l->len = f->len < sizeof(l->last) ? f->len : sizeof(l->last);
		frame_copy(l->last, f, 0, l->len);
		node_judge(port->node, f, REASON_DELIVERED);
	}
	if (l->stop_at_frame)
		loop_stop(l->loop);
}

static const struct port_ops lan_ops = { .take = take };

static void
begin(struct lan *l, const char *locator)
{
	struct err err = { "" };

	memset(l, 0, sizeof(*l));
	l->loop = loop_new(LOOP_REAL, &err);
	node_init(&l->node, "lan");
	node_init(&l->way_node, "way");
	port_init(&l->port, &lan_ops, &l->node, "lan.port");
	l->way =
	    port_open(kinds, l->loop, &l->way_node, "way.eth0", locator, &err);
	assert_string_equal(err.text, "");
	assert_int_equal(cable_join(&l->port, l->way), 0);
	l->us = mac_of_name("way.eth0");
}

static void
end(struct lan *l)
{
	port_close(l->way);
	loop_free(l->loop);
}

static void
overdue(void *arg)
{
	loop_stop(arg);
}

/* Until the next frame from outside; false: none in 5 s. */
static bool
wait_frame(struct lan *l)
{
	unsigned int before = l->n;
	struct loop_timer timer;

	loop_timer_init(&timer, l->loop, overdue, l->loop);
	loop_timer_set(&timer, loop_now_ns(l->loop) + 5 * NS_PER_S);
	l->stop_at_frame = true;
	while (l->n == before && loop_timer_is_set(&timer))
		loop_run(l->loop);
	l->stop_at_frame = false;
	loop_timer_unset(&timer);
	return l->n > before;
}

static void
stop(void *arg)
{
	loop_stop(arg);
}

/* What is due when the round ends is done. */
static void
end_round(struct lan *l)
{
	struct loop_defer last;

	loop_defer_init(&last, l->loop, stop, l->loop);
	loop_defer_ask(&last);
	loop_run(l->loop);
}

static enum reason
give(struct lan *l, const void *bytes, size_t n)
{
	struct burst burst;

	burst_clear(&burst);
	burst_add(&burst, bytes, n);
	l->giving = true;
	port_send(&l->port, &burst);
	l->giving = false;
	return burst.frame[0].verdict.reason;
}

static struct writer
packet(uint8_t *out, size_t len, const struct lan *l, struct ip4 ip, size_t n)
{
	struct writer w = writer(out, len);

	eth_write(&w,
	    &(struct eth){ .dst = l->us, .src = guest_mac, .type = ETH_IPV4 });
	if (ip.ttl == 0)
		ip.ttl = 64;
	if (ip.src == 0)
		ip.src = GUEST;
	ip.total_bytes = (uint16_t)(IP4_HEADER_BYTES + n);
	ip4_write(&w, &ip);
	return w;
}

/* ---- the tests ---- */

static void
locators_without_an_address_for_the_gateway_are_refused(void **state)
{
	static const struct {
		const char *locator, *says;
	} bad[] = {
		{ "sockets:", "has no address for the gateway" },
		{ "sockets:10.0.2.2", "has no address for the gateway" },
		{ "sockets:10.0.2.0/24", "has no address for the gateway" },
		{ "sockets:10.0.2.255/24", "has no address for the gateway" },
		{ "sockets:127.0.0.1/24", "has no address for the gateway" },
		{ "sockets:224.0.0.1/24", "has no address for the gateway" },
		{ "sockets:10.0.2.2/31", "has no address for the gateway" },
		{ "sockets:10.0.2.2/24?host=maybe", "\"host=maybe\"" },
		{ "sockets:10.0.2.2/24?port=1", "\"port\"" },
		{ "sockets:10.0.2.2/24?dns=here", "no IPv4 address" },
		{ "sockets:10.0.2.2/24?dns=10.0.2.2", "no other host" },
		{ "sockets:10.0.2.2/24?dns=10.0.3.3", "no other host" },
		{ "sockets:10.0.2.2/24?dns=10.0.2.255", "no other host" },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(bad); i++) {
		struct err err = { "" };

		assert_int_equal(
		    port_check(kinds, "p", bad[i].locator, &err), -EINVAL);
		if (strstr(err.text, bad[i].says) == NULL)
			fail_msg("%s: %s", bad[i].locator, err.text);
	}
}

static enum reason
ask(struct lan *l, uint32_t sender, uint32_t target)
{
	uint8_t frame[ETH_MIN_BYTES] = { 0 };
	struct writer w = writer(frame, sizeof(frame));

	eth_write(&w,
	    &(struct eth){
		.dst = mac_broadcast, .src = guest_mac, .type = ETH_ARP });
	arp_write(&w,
	    &(struct arp){ .op = ARP_REQUEST,
		.sender_mac = guest_mac,
		.sender_ip = sender,
		.target_ip = target });
	return give(l, frame, sizeof(frame));
}

static void
arp_is_answered_for_the_gateway_alone(void **state)
{
	struct lan l;
	struct arp arp;
	struct cursor c;

	(void)state;
	begin(&l, "sockets:10.0.2.2/24");
	assert_int_equal(ask(&l, GUEST, US + 1), DROP_NOT_OURS);
	assert_int_equal(ask(&l, US, US), DROP_NOT_OURS);
	assert_int_equal(l.n, 0);
	assert_int_equal(ask(&l, GUEST, US), REASON_DELIVERED);
	assert_int_equal(l.n, 1);
	c = cursor(l.last + ETH_HEADER_BYTES, l.len - ETH_HEADER_BYTES);
	assert_int_equal(arp_parse(&arp, &c), DROP_NONE);
	assert_int_equal(arp.op, ARP_REPLY);
	assert_int_equal(arp.sender_ip, US);
	assert_true(mac_equal(&arp.sender_mac, &l.us));
	end(&l);
}

static void
the_name_servers_address_is_answered_for_and_asked_for_names_alone(void **state)
{
	static const uint8_t to_port_80[UDP_HEADER_BYTES] = { 0x12, 0x34, 0, 80,
		0, UDP_HEADER_BYTES };
	uint8_t frame[128];
	struct writer w;
	struct arp arp;
	struct cursor c;
	struct lan l;

	(void)state;
	begin(&l, "sockets:10.0.2.2/24?dns=10.0.2.3");
	assert_int_equal(ask(&l, GUEST, US + 1), REASON_DELIVERED);
	c = cursor(l.last + ETH_HEADER_BYTES, l.len - ETH_HEADER_BYTES);
	assert_int_equal(arp_parse(&arp, &c), DROP_NONE);
	assert_int_equal(arp.sender_ip, US + 1);
	w = packet(frame, sizeof(frame), &l,
	    (struct ip4){ .dst = US + 1, .protocol = IP_UDP },
	    UDP_HEADER_BYTES);
	wr_bytes(&w, to_port_80, sizeof(to_port_80));
	assert_int_equal(
	    give(&l, frame, (size_t)(w.at - frame)), DROP_SOCKETS_RESOLVER);
	assert_int_equal(l.last[ETH_HEADER_BYTES + IP4_OFF_PROTOCOL], IP_ICMP);
	end(&l);
}

static void
what_may_not_go_out_is_refused_by_its_reason(void **state)
{
	static const struct {
		struct ip4 ip;
		enum reason reason;
		unsigned int errors; /* ICMP, back to the guest */
	} bad[] = {
		{ { .dst = 0xe0000001, .protocol = IP_UDP }, DROP_MULTICAST,
		    0 },
		{ { .dst = 0x7f000001, .protocol = IP_TCP }, DROP_MARTIAN, 0 },
		{ { .dst = 0x00000001, .protocol = IP_TCP }, DROP_MARTIAN, 0 },
		{ { .dst = 0xffffffff, .protocol = IP_UDP }, DROP_MARTIAN, 0 },
		{ { .dst = FAR, .src = US, .protocol = IP_UDP }, DROP_MARTIAN,
		    0 },
		{ { .dst = 0x0a0002ff, .protocol = IP_UDP },
		    DROP_BROADCAST_FORWARD, 0 },
		{ { .dst = US + 7, .protocol = IP_UDP }, DROP_NO_ROUTE, 1 },
		{ { .dst = FAR, .protocol = IP_UDP, .fragment = IP4_MF },
		    DROP_FRAGMENT, 0 },
		{ { .dst = FAR, .protocol = IP_UDP, .ttl = 1 }, DROP_TTL, 1 },
		{ { .dst = FAR, .protocol = 47 }, DROP_PROTOCOL, 1 },
		{ { .dst = US, .protocol = IP_TCP }, DROP_NO_LISTENER, 1 },
		{ { .dst = FAR, .protocol = IP_TCP }, DROP_L4_HEADER, 0 },
		{ { .dst = FAR, .protocol = IP_UDP }, DROP_L4_HEADER, 0 },
	};
	struct lan l;

	(void)state;
	begin(&l, "sockets:10.0.2.2/24");
	for (size_t i = 0; i < NITEMS(bad); i++) {
		uint8_t frame[128];
		struct writer w =
		    packet(frame, sizeof(frame), &l, bad[i].ip, 24);
		unsigned int before = l.n;

		wr_zeros(&w, 24);
		assert_int_equal(
		    give(&l, frame, (size_t)(w.at - frame)), bad[i].reason);
		assert_int_equal(l.n - before, bad[i].errors);
		if (bad[i].errors > 0)
			assert_int_equal(
			    l.last[ETH_HEADER_BYTES + IP4_OFF_PROTOCOL],
			    IP_ICMP);
	}
	end(&l);
}

static void
the_gateway_answers_echo_requests_itself(void **state)
{
	uint8_t frame[128];
	struct icmp echo = { .type = ICMP_ECHO_REQUEST,
		.echo = { .id = 7, .seq = 9 },
		.data = (const uint8_t *)"lanyard",
		.data_bytes = 7 };
	struct ip4 ip;
	struct cursor c;
	struct writer w;
	struct lan l;

	(void)state;
	begin(&l, "sockets:10.0.2.2/24");
	w = packet(frame, sizeof(frame), &l,
	    (struct ip4){ .dst = US, .protocol = IP_ICMP }, 15);
	icmp_write(&w, &echo);
	assert_int_equal(
	    give(&l, frame, (size_t)(w.at - frame)), REASON_DELIVERED);
	assert_int_equal(l.n, 1);
	c = cursor(l.last + ETH_HEADER_BYTES, l.len - ETH_HEADER_BYTES);
	assert_int_equal(ip4_parse(&ip, &c), DROP_NONE);
	assert_int_equal(icmp_parse(&echo, &c), DROP_NONE);
	assert_int_equal(echo.type, ICMP_ECHO_REPLY);
	assert_int_equal(echo.echo.id, 7);
	assert_int_equal(echo.echo.seq, 9);
	assert_memory_equal(echo.data, "lanyard", 7);
	end(&l);
}

/* ---- TCP ---- */

static enum reason
segment_alone(struct lan *l, struct tcp tcp)
{
	uint8_t frame[256];
	struct writer w = packet(frame, sizeof(frame), l,
	    (struct ip4){ .dst = US, .protocol = IP_TCP },
	    TCP_HEADER_BYTES + (tcp.mss != 0 ? 4 : 0) + tcp.data_bytes);

	tcp.sport = 1234;
	if (tcp.window == 0)
		tcp.window = 8000;
	tcp_write(&w, &tcp, GUEST, US);
	return give(l, frame, (size_t)(w.at - frame));
}

/* The same, and what it causes at once. */
static enum reason
segment(struct lan *l, struct tcp tcp)
{
	enum reason reason = segment_alone(l, tcp);

	end_round(l);
	return reason;
}

/* The segment that came last; its sum is the pseudo header's. */
static struct tcp
answer(const struct lan *l)
{
	struct cursor c =
	    cursor(l->last + ETH_HEADER_BYTES, l->len - ETH_HEADER_BYTES);
	struct tcp tcp;
	struct ip4 ip;

	assert_int_equal(ip4_parse(&ip, &c), DROP_NONE);
	assert_int_equal(ip.src, US);
	assert_int_equal(tcp_parse(&tcp, &c, &ip, true), DROP_NONE);
	return tcp;
}

static int
listener(uint16_t *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*port = ntohs(at.sin_port);
	return fd;
}

static void
a_connection_is_spliced_and_both_sides_end_it(void **state)
{
	const uint8_t *later = (const uint8_t *)"world",
		      *first = (const uint8_t *)"hello ";
	uint8_t got[32];
	uint16_t port;
	struct tcp a;
	struct lan l;
	int server = listener(&port), peer;

	(void)state;
	begin(&l, "sockets:10.0.2.2/24?host=yes");
	assert_int_equal(segment(&l,
			     (struct tcp){ .dport = port,
				 .seq = 1000,
				 .flags = TCP_SYN,
				 .mss = 1000 }),
	    REASON_DELIVERED);
	assert_true(wait_frame(&l));
	a = answer(&l);
	assert_int_equal(a.flags, TCP_SYN | TCP_ACK);
	assert_int_equal(a.ack, 1001);
	assert_int_equal(a.mss, 1460);
	peer = accept(server, NULL, NULL);
	assert_true(peer >= 0);

	/* The later segment first: it is held until the hole is filled. */
	segment(&l,
	    (struct tcp){ .dport = port,
		.seq = 1007,
		.ack = a.seq + 1,
		.flags = TCP_ACK,
		.data = later,
		.data_bytes = 5 });
	assert_int_equal(answer(&l).ack, 1001);
	assert_int_equal(recv(peer, got, sizeof(got), MSG_DONTWAIT), -1);
	segment(&l,
	    (struct tcp){ .dport = port,
		.seq = 1001,
		.ack = a.seq + 1,
		.flags = TCP_ACK,
		.data = first,
		.data_bytes = 6 });
	assert_int_equal(answer(&l).ack, 1012);
	assert_int_equal(recv(peer, got, sizeof(got), 0), 11);
	assert_memory_equal(got, "hello world", 11);

	assert_int_equal(send(peer, "and back", 8, 0), 8);
	assert_true(wait_frame(&l));
	assert_int_equal(answer(&l).seq, a.seq + 1);
	assert_int_equal(answer(&l).data_bytes, 8);
	assert_memory_equal(answer(&l).data, "and back", 8);
	/* Nobody acknowledges it, so it comes again. */
	assert_true(wait_frame(&l));
	assert_int_equal(answer(&l).seq, a.seq + 1);
	assert_memory_equal(answer(&l).data, "and back", 8);

	segment(&l,
	    (struct tcp){ .dport = port,
		.seq = 1012,
		.ack = a.seq + 9,
		.flags = TCP_ACK | TCP_FIN });
	assert_int_equal(answer(&l).ack, 1013);
	assert_int_equal(recv(peer, got, sizeof(got), 0), 0);
	close(peer);
	assert_true(wait_frame(&l));
	assert_int_equal(answer(&l).flags, TCP_FIN | TCP_ACK);
	assert_int_equal(answer(&l).seq, a.seq + 9);
	segment(&l,
	    (struct tcp){ .dport = port,
		.seq = 1013,
		.ack = a.seq + 10,
		.flags = TCP_ACK });
	close(server);
	end(&l);
}

/* A connection of the guest's port 1234, whose SYN had 1000 as its number.
 * Returns the far end; *seq is what the guest gets next. */
static int
open_connection(struct lan *l, int server, uint16_t port, uint32_t *seq)
{
	int peer;

	segment(l,
	    (struct tcp){
		.dport = port, .seq = 1000, .flags = TCP_SYN, .mss = 1460 });
	if (l->n == 0)
		assert_true(wait_frame(l));
	assert_int_equal(answer(l).flags, TCP_SYN | TCP_ACK);
	*seq = answer(l).seq + 1;
	peer = accept(server, NULL, NULL);
	assert_true(peer >= 0);
	segment(l,
	    (struct tcp){
		.dport = port, .seq = 1001, .ack = *seq, .flags = TCP_ACK });
	return peer;
}

/* Who hands us a burst is sending, and may have little room for what comes
 * back meanwhile. */
static void
no_segment_is_sent_within_a_burst_of_the_guest(void **state)
{
	static uint8_t much[100000];
	uint16_t port;
	uint32_t seq;
	struct lan l;
	int server = listener(&port), peer;

	(void)state;
	begin(&l, "sockets:10.0.2.2/24?host=yes");
	peer = open_connection(&l, server, port, &seq);
	assert_int_equal(send(peer, much, sizeof(much), 0), sizeof(much));
	assert_true(wait_frame(&l));
	for (unsigned int i = 0; i < 100; i++) {
		struct tcp last = answer(&l);

		segment(&l,
		    (struct tcp){ .dport = port,
			.seq = 1001,
			.ack = last.seq + (uint32_t)last.data_bytes,
			.window = 40000,
			.flags = TCP_ACK });
		if (answer(&l).seq == last.seq)
			break; /* all was sent */
	}
	assert_int_equal(
	    answer(&l).seq + answer(&l).data_bytes, seq + sizeof(much));
	assert_int_equal(l.while_giving, 0);
	close(peer);
	close(server);
	end(&l);
}

static void
a_timer_that_is_due_with_the_last_acknowledgement_ends_nothing(void **state)
{
	const struct timespec longer = { .tv_nsec = 300 * 1000 * 1000 };
	uint16_t port;
	uint32_t seq;
	struct lan l;
	int server = listener(&port), peer;

	(void)state;
	begin(&l, "sockets:10.0.2.2/24?host=yes");
	peer = open_connection(&l, server, port, &seq);
	assert_int_equal(send(peer, "one", 3, 0), 3);
	assert_true(wait_frame(&l));
	nanosleep(&longer, NULL); /* as a process that is not scheduled */
	segment(&l,
	    (struct tcp){
		.dport = port, .seq = 1001, .ack = seq + 3, .flags = TCP_ACK });
	end_round(&l);
	assert_int_equal(send(peer, "two", 3, 0), 3);
	assert_true(wait_frame(&l));
	assert_false(answer(&l).flags & TCP_RST);
	assert_int_equal(answer(&l).seq, seq + 3);
	close(peer);
	close(server);
	end(&l);
}

static void
a_refused_connection_is_reset(void **state)
{
	uint16_t port;
	struct lan l;

	(void)state;
	close(listener(&port)); /* nobody listens any more */
	begin(&l, "sockets:10.0.2.2/24?host=yes");
	segment(
	    &l, (struct tcp){ .dport = port, .seq = 1000, .flags = TCP_SYN });
	if (l.n == 0)
		assert_true(wait_frame(&l));
	assert_int_equal(answer(&l).flags, TCP_RST | TCP_ACK);
	assert_int_equal(answer(&l).ack, 1001);
	/* So is a segment of no connection. */
	assert_int_equal(
	    segment(&l,
		(struct tcp){
		    .dport = port, .seq = 5, .ack = 77, .flags = TCP_ACK }),
	    DROP_TCP_STATE);
	assert_int_equal(answer(&l).flags, TCP_RST);
	assert_int_equal(answer(&l).seq, 77);
	end(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    locators_without_an_address_for_the_gateway_are_refused),
		cmocka_unit_test(arp_is_answered_for_the_gateway_alone),
		cmocka_unit_test(
		    the_name_servers_address_is_answered_for_and_asked_for_names_alone),
		cmocka_unit_test(what_may_not_go_out_is_refused_by_its_reason),
		cmocka_unit_test(the_gateway_answers_echo_requests_itself),
		cmocka_unit_test(a_connection_is_spliced_and_both_sides_end_it),
		cmocka_unit_test(
		    no_segment_is_sent_within_a_burst_of_the_guest),
		cmocka_unit_test(
		    a_timer_that_is_due_with_the_last_acknowledgement_ends_nothing),
		cmocka_unit_test(a_refused_connection_is_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
