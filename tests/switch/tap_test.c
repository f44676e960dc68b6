/*
 * The TAP port against the host's own kernel, in network namespaces of this
 * process.  Needs root and /dev/net/tun; says so and skips otherwise.
 */
#include "switch/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/arp.h"
#include "net/checksum.h"
#include "net/eth.h"
#include "net/udp.h"
#include "tests/switch/sink.h"

static const struct port_kind *const kinds[] = { &port_tap, NULL };

#define HOST  UINT32_C(0xc0000201) /* 192.0.2.1, the kernel's */
#define PEER  UINT32_C(0xc0000202)
#define LIMIT (10 * NS_PER_S) /* for the kernel to answer */

static const struct mac peer_mac = { { 2, 0, 0, 0, 0, 2 } };

struct bench {
	struct loop *loop;
	struct node node;
	struct port *tap;
	struct sink *sink;
	struct loop_timer limit, again;
	bool timed_out;
};

static const char *why_not; /* to be skipped */

static void ask(void *arg);

static void
time_out(void *arg)
{
	struct bench *bench = arg;

	bench->timed_out = true;
	loop_stop(bench->loop);
}

static struct port *
open_port(struct bench *bench, const char *locator, struct err *err)
{
	return port_open(
	    kinds, bench->loop, &bench->node, "out.tap", locator, err);
}

static int
set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct err err = { "" };

	*state = bench;
	bench->loop = loop_new(LOOP_REAL, &err);
	loop_timer_init(&bench->limit, bench->loop, time_out, bench);
	loop_timer_init(&bench->again, bench->loop, ask, bench);
	node_init(&bench->node, "out");
	bench->sink = sink_new("peer.eth0");
	bench->sink->arg = bench;
	if (why_not != NULL)
		return 0;
	bench->tap = open_port(bench, "tap:lyd-test0", &err);
	assert_string_equal(err.text, "");
	cable_join(bench->tap, &bench->sink->port);
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *bench = *state;

	loop_timer_unset(&bench->limit);
	loop_timer_unset(&bench->again);
	port_close(bench->tap);
	sink_free(bench->sink);
	loop_free(bench->loop);
	free(bench);
	return 0;
}

#define SKIP_WITHOUT_TAP()                                \
	do {                                              \
		if (why_not != NULL) {                    \
			print_message("# %s\n", why_not); \
			skip();                           \
		}                                         \
	} while (0)

/* Runs the loop until somebody stops it. */
static void
run(struct bench *bench)
{
	loop_update_now(bench->loop);
	loop_timer_set(&bench->limit, loop_now_ns(bench->loop) + LIMIT);
	loop_run(bench->loop);
	loop_timer_unset(&bench->limit);
	assert_false(bench->timed_out);
}

/* ---- the interface from the host's side ---- */

static int
interface_ioctl(unsigned long request, struct ifreq *ifr, const char *name)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), result;

	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", name);
	result = ioctl(fd, request, ifr);
	close(fd);
	return result;
}

static struct sockaddr_in
address(uint32_t addr, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(addr) };
}

static void
assign(const char *name, uint32_t addr)
{
	struct sockaddr_in in = address(addr, 0);
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	memcpy(&ifr.ifr_addr, &in, sizeof(in));
	assert_int_equal(interface_ioctl(SIOCSIFADDR, &ifr, name), 0);
}

static struct sockaddr_in6
address6(uint8_t last, uint16_t port)
{
	struct sockaddr_in6 in = { .sin6_family = AF_INET6,
		.sin6_port = htons(port) };

	memcpy(&in.sin6_addr, "\xfd\x00lyd", 5);
	in.sin6_addr.s6_addr[15] = last;
	return in;
}

/* An address that is usable at once (nodad).  False: this kernel has no IPv6,
 * or there is no ip(8). */
static bool
assign6(const char *name, uint8_t last)
{
	char command[128];

	snprintf(command, sizeof(command),
	    "ip -6 addr add fd00:6c79:6400::%u/64 dev %s nodad", last, name);
	return system(command) == 0;
}

static bool
has_carrier(const char *name)
{
	struct ethtool_value value = { .cmd = ETHTOOL_GLINK };
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_data = (char *)&value;
	assert_int_equal(interface_ioctl(SIOCETHTOOL, &ifr, name), 0);
	return value.data != 0;
}

static bool
is_up(const char *name)
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	assert_int_equal(interface_ioctl(SIOCGIFFLAGS, &ifr, name), 0);
	return ifr.ifr_flags & IFF_UP;
}

static void
interface_comes_up_and_goes_with_the_port(void **state)
{
	struct bench *bench = *state;
	char text[64];

	SKIP_WITHOUT_TAP();
	assert_true(is_up("lyd-test0"));
	assert_true(has_carrier("lyd-test0"));
	bench->tap->ops->describe(bench->tap, text, sizeof(text));
	assert_string_equal(text, "interface lyd-test0");
	port_close(bench->tap);
	bench->tap = NULL;
	assert_int_equal(if_nametoindex("lyd-test0"), 0);
	assert_false(bench->sink->link);
}

static void
carrier_follows_the_cable(void **state)
{
	struct bench *bench = *state;

	SKIP_WITHOUT_TAP();
	port_set_down(&bench->sink->port, true);
	assert_false(has_carrier("lyd-test0"));
	port_set_down(&bench->sink->port, false);
	assert_true(has_carrier("lyd-test0"));
	cable_cut(bench->tap);
	assert_false(has_carrier("lyd-test0"));
}

/* ---- frames ---- */

static size_t
write_arp_request(uint8_t *out, size_t bytes)
{
	struct writer w = writer(out, bytes);
	struct eth eth = {
		.dst = mac_broadcast, .src = peer_mac, .type = ETH_ARP
	};
	struct arp arp = {
		.op = ARP_REQUEST,
		.sender_mac = peer_mac,
		.sender_ip = PEER,
		.target_ip = HOST,
	};

	eth_write(&w, &eth);
	arp_write(&w, &arp);
	return (size_t)(w.at - out);
}

static enum reason
send_frame(struct bench *bench, const struct frame *frame)
{
	struct burst burst;

	burst_clear(&burst);
	burst.frame[burst.n++] = *frame;
	burst.flags = frame->flags;
	port_send(&bench->sink->port, &burst);
	return (enum reason)burst.frame[0].verdict.reason;
}

static enum reason
send_bytes(struct bench *bench, const uint8_t *bytes, size_t len)
{
	const struct frame frame = {
		.data = bytes, .len = (uint32_t)len, .head = (uint32_t)len
	};

	return send_frame(bench, &frame);
}

/* Is one of the frames an ARP reply of the kernel's address to ours? */
static void
stop_at_arp_reply(struct sink *sink, struct burst *burst)
{
	struct bench *bench = sink->arg;

	for (unsigned int i = 0; i < burst->n; i++) {
		uint8_t bytes[42];
		struct cursor c = cursor(bytes, sizeof(bytes));
		struct eth eth;
		struct arp arp;

		if (burst->frame[i].len < sizeof(bytes))
			continue;
		frame_copy(bytes, &burst->frame[i], 0, sizeof(bytes));
		if (eth_parse(&eth, &c) == DROP_NONE && eth.type == ETH_ARP &&
		    arp_parse(&arp, &c) == DROP_NONE && arp.op == ARP_REPLY &&
		    arp.sender_ip == HOST && arp.target_ip == PEER &&
		    mac_equal(&arp.target_mac, &peer_mac))
			loop_stop(bench->loop);
	}
}

/* Asks, and again a little later: the kernel begins to send some time after
 * the carrier came up. */
static void
ask(void *arg)
{
	struct bench *bench = arg;
	uint8_t bytes[64];
	size_t len = write_arp_request(bytes, sizeof(bytes));

	assert_int_equal(send_bytes(bench, bytes, len), REASON_DELIVERED);
	loop_timer_set(
	    &bench->again, loop_now_ns(bench->loop) + 20 * NS_PER_MS);
}

static void
kernel_answers_arp_over_the_tap(void **state)
{
	struct bench *bench = *state;

	SKIP_WITHOUT_TAP();
	assign("lyd-test0", HOST);
	bench->sink->hook = stop_at_arp_reply;
	ask(bench);
	run(bench);
	assert_true(bench->node.count[REASON_DELIVERED] >= 1);
	assert_true(bench->sink->node.count[REASON_DELIVERED] >= 1);
	assert_int_equal(
	    bench->tap->in_frames, bench->node.count[REASON_DELIVERED]);
	assert_true(bench->tap->out_frames >= 1);
}

#define DATA_BYTES 1200

/* A UDP datagram to the kernel whose checksum the kernel is to complete. */
static size_t
write_datagram(uint8_t *out, size_t bytes, const struct mac *to)
{
	struct writer w = writer(out, bytes);
	struct eth eth = { .dst = *to, .src = peer_mac, .type = ETH_IPV4 };
	struct ip4 ip = {
		.total_bytes = 28 + DATA_BYTES,
		.ttl = 64,
		.protocol = IP_UDP,
		.src = PEER,
		.dst = HOST,
	};

	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	wr_be16(&w, 4000);
	wr_be16(&w, 5000);
	wr_be16(&w, 8 + DATA_BYTES);
	wr_be16(
	    &w, csum_fold(csum_pseudo4(PEER, HOST, IP_UDP, 8 + DATA_BYTES)));
	for (int i = 0; i < DATA_BYTES; i++)
		wr_u8(&w, (uint8_t)(i * 5));
	return (size_t)(w.at - out);
}

static void
interface_mac(const char *name, struct mac *mac)
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	assert_int_equal(interface_ioctl(SIOCGIFHWADDR, &ifr, name), 0);
	memcpy(mac, ifr.ifr_hwaddr.sa_data, sizeof(*mac));
}

/* A frame with its tail in that many pieces, and its checksum undone. */
static void
frames_in_pieces_arrive_whole(void **state)
{
	static const unsigned int pieces[] = { 0, 1, 7, 62, 63, 200 };
	struct bench *bench = *state;
	struct sockaddr_in in = address(HOST, 5000);
	uint8_t bytes[1514], got[2000];
	struct iovec tail[200];
	struct frame frame = { .data = bytes, .tail = tail };
	struct mac mac;
	int fd;

	SKIP_WITHOUT_TAP();
	assign("lyd-test0", HOST);
	interface_mac("lyd-test0", &mac);
	frame.len = (uint32_t)write_datagram(bytes, sizeof(bytes), &mac);
	frame.flags = FRAME_CSUM;
	frame.csum_start = 34;
	frame.csum_offset = 6;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		uint32_t at = FRAME_HEAD_BYTES;
		struct pollfd ready = { .fd = fd, .events = POLLIN };

		frame.ntail = (uint16_t)pieces[i];
		frame.head = pieces[i] == 0 ? frame.len : at;
		for (unsigned int k = 0; k < pieces[i]; k++) {
			uint32_t part = k == pieces[i] - 1 ? frame.len - at : 3;

			tail[k] = (struct iovec){ bytes + at, part };
			at += part;
		}
		assert_int_equal(send_frame(bench, &frame), REASON_DELIVERED);
		assert_int_equal(poll(&ready, 1, 5000), 1);
		assert_int_equal(
		    recv(fd, got, sizeof(got), MSG_DONTWAIT), DATA_BYTES);
		assert_memory_equal(got, bytes + 42, DATA_BYTES);
	}
	close(fd);
}

static void
host_that_takes_nothing_is_an_io_error(void **state)
{
	struct bench *bench = *state;
	uint8_t bytes[64] = { 0 };
	struct ifreq ifr;

	SKIP_WITHOUT_TAP();
	assert_int_equal(send_bytes(bench, bytes, 3), DROP_IO);
	memset(&ifr, 0, sizeof(ifr));
	assert_int_equal(interface_ioctl(SIOCSIFFLAGS, &ifr, "lyd-test0"), 0);
	assert_int_equal(send_bytes(bench, bytes, 60), DROP_IO);
	assert_int_equal(bench->node.count[DROP_IO], 2);
}

static void
stop_when_down(struct port *port, bool up)
{
	struct sink *sink = (struct sink *)port;
	struct bench *bench = sink->arg;

	sink_link(port, up);
	if (!up)
		loop_stop(bench->loop);
}

static void
deleted_interface_takes_the_link_down(void **state)
{
	static const struct port_ops ops = { .take = sink_take,
		.link = stop_when_down };
	struct bench *bench = *state;
	uint8_t bytes[60] = { 0 };
	char text[64];

	SKIP_WITHOUT_TAP();
	bench->sink->port.ops = &ops;
	if (system("ip link del lyd-test0") != 0) {
		print_message("# ip(8) cannot delete interfaces here\n");
		skip();
	}
	run(bench);
	assert_false(bench->sink->link);
	assert_int_equal(send_bytes(bench, bytes, 60), DROP_LINK_DOWN);
	bench->tap->ops->describe(bench->tap, text, sizeof(text));
	assert_string_equal(text, "interface lyd-test0, lost");
	bench->sink->port.ops = &sink_ops;
}

/* ---- two kernels with a cable between them ---- */

#define TCP_BYTES (2 * 1024 * 1024)

struct transfer {
	struct bench *bench;
	struct loop_watch *out, *in;
	int out_fd, in_fd;
	uint32_t sent, received;
	bool wrong;
	uint32_t longest; /* frame seen */
	struct watcher watcher;
};

static uint8_t
stream_byte(uint32_t i)
{
	return (uint8_t)(i ^ i >> 8 ^ i >> 16);
}

static void
send_more(void *arg, unsigned int events)
{
	struct transfer *t = arg;
	uint8_t bytes[65536];
	ssize_t n;

	(void)events;
	for (uint32_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = stream_byte(t->sent + i);
	n = TCP_BYTES - t->sent < sizeof(bytes) ? (ssize_t)(TCP_BYTES - t->sent)
						: (ssize_t)sizeof(bytes);
	n = send(t->out_fd, bytes, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		t->sent += (uint32_t)n;
	if (t->sent == TCP_BYTES)
		loop_watch_events(t->out, 0);
}

static void
receive_more(void *arg, unsigned int events)
{
	struct transfer *t = arg;
	uint8_t bytes[65536];
	ssize_t n = recv(t->in_fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	(void)events;
	for (ssize_t i = 0; i < n; i++)
		t->wrong |= bytes[i] != stream_byte(t->received + (uint32_t)i);
	if (n > 0)
		t->received += (uint32_t)n;
	if (t->received == TCP_BYTES || n == 0)
		loop_stop(t->bench->loop);
}

static uint32_t
see(struct watcher *watcher, const struct port *port, enum direction dir,
    const struct frame *frame)
{
	struct transfer *t = (struct transfer *)(void *)((char *)watcher -
	    offsetof(struct transfer, watcher));

	(void)port;
	(void)dir;
	if (frame->len > t->longest)
		t->longest = frame->len;
	return 0;
}

static void
accept_one(void *arg, unsigned int events)
{
	struct transfer *t = arg;
	int fd = accept(t->in_fd, NULL, NULL);

	(void)events;
	assert_true(fd >= 0);
	loop_watch_free(t->in);
	close(t->in_fd);
	t->in_fd = fd;
	t->in = loop_watch_new(
	    t->bench->loop, fd, LOOP_READ, receive_more, t, NULL);
}

/* TCP checksum errors that the present namespace's kernel counted. */
static long
checksum_errors(void)
{
	char line[1024], names[1024] = "";
	FILE *file = fopen("/proc/thread-self/net/snmp", "r");
	long errors = -1;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, "Tcp:", 4) != 0)
			continue;
		if (names[0] == '\0') {
			snprintf(names, sizeof(names), "%s", line);
			continue;
		}
		assert_non_null(strstr(names, "InCsumErrors\n"));
		errors = atol(strrchr(line, ' '));
	}
	fclose(file);
	return errors;
}

/* An address of either family, for a socket. */
struct place {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} to;
	socklen_t bytes;
};

/* Gives the interface the address of HOST or PEER. */
static struct place
settle(const char *name, bool ip6, bool is_host)
{
	struct place place = { .bytes = sizeof(place.to.in) };

	if (!ip6) {
		assign(name, is_host ? HOST : PEER);
		place.to.in = address(is_host ? HOST : PEER, 80);
		return place;
	}
	assert_true(assign6(name, is_host ? 1 : 2));
	place.to.in6 = address6(is_host ? 1 : 2, 80);
	place.bytes = sizeof(place.to.in6);
	return place;
}

/* Moves 2 MiB from one namespace to another, over two TAPs on one cable.  The
 * calling process ends up in another namespace. */
static void
transfer(struct bench *bench, bool ip6, uint8_t accepts, struct transfer *t)
{
	struct place host;
	struct err err = { "" };
	struct port *other;

	memset(t, 0, sizeof(*t));
	t->bench = bench;
	t->watcher.begin = see;
	cable_cut(bench->tap);
	/* here the receiver, in a new namespace the sender */
	host = settle("lyd-test0", ip6, true);
	t->in_fd =
	    socket(host.to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(t->in_fd, &host.to.any, host.bytes), 0);
	assert_int_equal(listen(t->in_fd, 1), 0);
	t->in = loop_watch_new(
	    bench->loop, t->in_fd, LOOP_READ, accept_one, t, &err);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	other = open_port(bench, "tap:lyd-test1", &err);
	assert_string_equal(err.text, "");
	settle("lyd-test1", ip6, false);
	bench->tap->accepts = accepts;
	other->accepts = accepts;
	port_watch(bench->tap, &t->watcher);
	cable_join(bench->tap, other);

	t->out_fd =
	    socket(host.to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(t->out_fd, &host.to.any, host.bytes), -1);
	assert_int_equal(errno, EINPROGRESS);
	t->out = loop_watch_new(
	    bench->loop, t->out_fd, LOOP_WRITE, send_more, t, &err);
	run(bench);

	assert_int_equal(t->received, TCP_BYTES);
	assert_false(t->wrong);
	assert_int_equal(checksum_errors(), 0);
	loop_watch_free(t->out);
	loop_watch_free(t->in);
	close(t->out_fd);
	close(t->in_fd);
	port_unwatch(bench->tap, &t->watcher);
	port_close(other);
}

static void
large_segments_pass_whole_between_two_kernels(void **state)
{
	struct transfer t;

	SKIP_WITHOUT_TAP();
	transfer(*state, false, FRAME_TODO, &t);
	assert_true(t.longest > 1514);
	print_message("# longest frame: %u bytes\n", t.longest);
}

static void
kernel_accepts_what_was_finished_for_it(void **state)
{
	struct transfer t;

	SKIP_WITHOUT_TAP();
	transfer(*state, false, 0, &t);
	assert_true(t.longest == 1514);
}

static void
kernel_completes_checksums_of_segments(void **state)
{
	struct transfer t;

	SKIP_WITHOUT_TAP();
	transfer(*state, false, FRAME_CSUM, &t);
	assert_true(t.longest == 1514);
}

static void
the_same_over_ip6(void **state)
{
	struct transfer t;

	SKIP_WITHOUT_TAP();
	if (!assign6("lyd-test0", 9)) {
		print_message("# cannot give IPv6 addresses here\n");
		skip();
	}
	transfer(*state, true, FRAME_TODO, &t);
	assert_true(t.longest > 1514);
}

static void
kernel_accepts_what_was_finished_for_it_over_ip6(void **state)
{
	struct transfer t;

	SKIP_WITHOUT_TAP();
	if (!assign6("lyd-test0", 9)) {
		print_message("# cannot give IPv6 addresses here\n");
		skip();
	}
	transfer(*state, true, 0, &t);
	assert_true(t.longest == 1514);
}

/* ---- what cannot be opened ---- */

static void
impossible_names_are_refused(void **state)
{
	static const char *const names[] = { "", "a/b", "a b", ".", "..",
		"tap%d", "a:1", "sixteen-letters-", "\tx", "x\x7f" };
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct err err = { "" };
		char locator[64], want[256];

		snprintf(locator, sizeof(locator), "tap:%s", names[i]);
		snprintf(want, sizeof(want),
		    "out.tap: \"%s\" names no interface; use tap: and 1 to 15 "
		    "characters other than space, /, : and %%",
		    locator);
		assert_null(open_port(bench, locator, &err));
		assert_string_equal(err.text, want);
	}
}

static void
interface_in_use_and_one_that_is_no_tap_are_refused(void **state)
{
	struct bench *bench = *state;
	struct err err = { "" };

	SKIP_WITHOUT_TAP();
	assert_null(open_port(bench, "tap:lyd-test0", &err));
	assert_string_equal(err.text,
	    "out.tap: tap:lyd-test0: cannot attach to the interface: Device or "
	    "resource busy; another program has it open; use another name");
	err_clear(&err);
	assert_null(open_port(bench, "tap:lo", &err));
	assert_string_equal(err.text,
	    "out.tap: tap:lo: cannot attach to the interface: Invalid "
	    "argument; it is no plain TAP interface; use another name");
}

static void
without_rights_the_remedy_is_named(void **state)
{
	struct bench *bench = *state;
	struct err err = { "" };
	int status;
	pid_t pid;

	SKIP_WITHOUT_TAP();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (setresgid(65534, 65534, 65534) < 0 ||
		    setresuid(65534, 65534, 65534) < 0)
			_exit(3);
		if (open_port(bench, "tap:lyd-test2", &err) != NULL)
			_exit(4);
		_exit(strstr(err.text,
			  "; run as root or grant CAP_NET_ADMIN") == NULL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
virtual_time_has_no_tap(void **state)
{
	struct bench *bench = *state;
	struct err err = { "" };
	struct loop *loop;

	SKIP_WITHOUT_TAP();
	loop = loop_new(LOOP_VIRTUAL, &err);
	assert_null(port_open(
	    kinds, loop, &bench->node, "out.tap", "tap:lyd-test3", &err));
	assert_string_not_equal(err.text, "");
	assert_int_equal(if_nametoindex("lyd-test3"), 0);
	loop_free(loop);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(interface_comes_up_and_goes_with_the_port),
		TEST(carrier_follows_the_cable),
		TEST(kernel_answers_arp_over_the_tap),
		TEST(frames_in_pieces_arrive_whole),
		TEST(host_that_takes_nothing_is_an_io_error),
		TEST(deleted_interface_takes_the_link_down),
		TEST(large_segments_pass_whole_between_two_kernels),
		TEST(kernel_accepts_what_was_finished_for_it),
		TEST(kernel_completes_checksums_of_segments),
		TEST(the_same_over_ip6),
		TEST(kernel_accepts_what_was_finished_for_it_over_ip6),
		TEST(impossible_names_are_refused),
		TEST(interface_in_use_and_one_that_is_no_tap_are_refused),
		TEST(without_rights_the_remedy_is_named),
		TEST(virtual_time_has_no_tap),
	};

	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		why_not = "cannot use /dev/net/tun: run as root";
	else if (unshare(CLONE_NEWNET) < 0)
		why_not = "cannot make a network namespace: run as root";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
