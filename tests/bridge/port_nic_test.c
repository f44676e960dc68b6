/*
 * A NIC port on a TAP interface, whose descriptor is the wire behind it, in a
 * network namespace of this process.  Needs root and /dev/net/tun; says so and
 * skips otherwise.
 */
#include "bridge/port_nic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "bridge/host_link.h"
#include "bridge/macnat_hook.h"
#include "net/checksum.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "tests/switch/outside.h"

#define NIC        "ly-nic"
#define VNET_BYTES 10
#define LIMIT      250 /* turns of 20 ms, for the kernel to tell */

static const char *why_not; /* to be skipped */
static int wire = -1;
static struct mac nic_mac;

#define SKIP_WITHOUT_NIC()                                \
	do {                                              \
		if (why_not != NULL) {                    \
			print_message("# %s\n", why_not); \
			skip();                           \
		}                                         \
	} while (0)

/* ---- the interface ---- */

static void
set_flags(short set, short clear)
{
	struct ifreq ifr = { .ifr_name = NIC };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
	ifr.ifr_flags = (short)((ifr.ifr_flags | set) & ~clear);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	assert_int_equal(ioctl(fd, SIOCGIFHWADDR, &ifr), 0);
	memcpy(nic_mac.b, ifr.ifr_hwaddr.sa_data, sizeof(nic_mac.b));
	close(fd);
}

static int
make_nic(void)
{
	struct ifreq ifr = { .ifr_name = NIC,
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

	wire = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (wire < 0 || ioctl(wire, TUNSETIFF, &ifr) < 0)
		return -1;
	/* What leaves by it comes whole, as to any wire. */
	ioctl(wire, TUNSETOFFLOAD, 0);
	set_flags(IFF_UP, 0);
	return 0;
}

static void
come_in(const void *bytes, size_t len, const struct virtio_net_hdr *header)
{
	struct virtio_net_hdr none = { 0 };
	uint8_t all[VNET_BYTES + 8192];

	memcpy(all, header != NULL ? header : &none, VNET_BYTES);
	memcpy(all + VNET_BYTES, bytes, len);
	assert_int_equal(
	    write(wire, all, VNET_BYTES + len), (ssize_t)(VNET_BYTES + len));
}

/* The next frame that left, or 0. */
static size_t
leave(uint8_t *out, size_t room)
{
	uint8_t all[VNET_BYTES + 2048];
	ssize_t n = read(wire, all, sizeof(all));

	if (n <= VNET_BYTES)
		return 0;
	n -= VNET_BYTES;
	assert_true((size_t)n <= room);
	memcpy(out, all + VNET_BYTES, (size_t)n);
	return (size_t)n;
}

/* ---- the bench ---- */

static int
set_up(void **state)
{
	struct outside *o = outside_new(&port_nic);

	o->kinds[1] = &port_macnat;
	*state = o;
	if (why_not == NULL && make_nic() < 0)
		why_not = "needs /dev/net/tun";
	if (why_not == NULL)
		o->fds++; /* the wire's */
	return 0;
}

static int
tear_down(void **state)
{
	struct outside *o = *state;

	if (why_not == NULL)
		assert_true(wire >= 0);
	outside_free(o);
	if (wire >= 0)
		close(wire);
	wire = -1;
	return 0;
}

static bool
until(struct outside *o, bool (*holds)(const struct outside *o))
{
	for (int i = 0; i < LIMIT && !holds(o); i++)
		run_for(o, 20 * NS_PER_MS);
	return holds(o);
}

static bool
is_up(const struct outside *o)
{
	return port_is_up(o->port);
}

static bool
is_down(const struct outside *o)
{
	return !port_is_up(o->port);
}

static bool
took_one(const struct outside *o)
{
	return o->sink->n > 0;
}

static void
open_nic(struct outside *o, const char *locator)
{
	outside_open(o, locator);
	assert_true(until(o, is_up));
	sink_clear(o->sink);
}

/* A frame of our own protocol. */
static size_t
frame_to(uint8_t *out, const struct mac *dst, uint8_t mark)
{
	memset(out, mark, 60);
	memcpy(out, dst->b, 6);
	memcpy(out + 6, "\x02\x00\x00\x00\x00\x09\x88\xb5", 8);
	return 60;
}

static void
send_out(struct outside *o, const void *bytes, size_t len)
{
	struct burst burst;

	burst_clear(&burst);
	burst_add(&burst, bytes, len);
	port_send(&o->sink->port, &burst);
}

/* ---- claims ---- */

static const struct mac somebody = { { 2, 0, 0, 0, 0, 7 } };

static void
frames_pass_both_ways_and_none_comes_back(void **state)
{
	struct outside *o = *state;
	uint8_t bytes[60], got[2048];

	SKIP_WITHOUT_NIC();
	open_nic(o, "nic:" NIC);
	frame_to(bytes, &somebody, 1); /* no address of the NIC's */
	come_in(bytes, sizeof(bytes), NULL);
	assert_true(until(o, took_one));
	assert_int_equal(o->sink->frame[0].len, sizeof(bytes));
	assert_memory_equal(o->sink->frame[0].data, bytes, sizeof(bytes));
	sink_clear(o->sink);
	frame_to(bytes, &somebody, 2);
	send_out(o, bytes, sizeof(bytes));
	assert_int_equal(o->node.count[REASON_DELIVERED], 1);
	assert_int_equal(leave(got, sizeof(got)), sizeof(bytes));
	assert_memory_equal(got, bytes, sizeof(bytes));
	run_for(o, 50 * NS_PER_MS);
	assert_int_equal(o->sink->n, 0);
}

static void
vlan_tags_are_where_they_were(void **state)
{
	struct outside *o = *state;
	uint8_t bytes[64];

	SKIP_WITHOUT_NIC();
	open_nic(o, "nic:" NIC);
	frame_to(bytes, &somebody, 3);
	memmove(bytes + 16, bytes + 12, 48);
	memcpy(bytes + 12, "\x81\x00\xa0\x0a", 4);
	come_in(bytes, sizeof(bytes), NULL);
	assert_true(until(o, took_one));
	assert_int_equal(o->sink->frame[0].len, sizeof(bytes));
	assert_memory_equal(o->sink->frame[0].data, bytes, sizeof(bytes));
}

/* A TCP segment of 3 * 1000 bytes that is yet to be cut, without a checksum. */
static size_t
superframe(uint8_t *bytes, struct virtio_net_hdr *header)
{
	const struct eth eth = { .dst = somebody,
		.src = { { 2, 0, 0, 0, 0, 9 } },
		.type = ETH_IPV4 };
	const struct ip4 ip = { .total_bytes = 3040,
		.ttl = 64,
		.protocol = IP_TCP,
		.src = 0xc0000201,
		.dst = 0xc0000202 };
	struct writer w = writer(bytes, ETH_HEADER_BYTES + 3040);
	uint8_t *tcp;
	uint16_t pseudo;

	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	tcp = w.at;
	memset(tcp, 0, 20 + 3000);
	memcpy(tcp, "\x04\xd2\x00\x50", 4);
	tcp[12] = 5 << 4;
	tcp[13] = 0x10; /* ACK */
	for (int i = 0; i < 3000; i++)
		tcp[20 + i] = (uint8_t)i;
	pseudo = csum_fold(csum_pseudo4(ip.src, ip.dst, IP_TCP, 3020));
	put_be16(tcp + 16, pseudo);
	*header = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = 54,
		.gso_size = 1000,
		.csum_start = 34,
		.csum_offset = 16 };
	return ETH_HEADER_BYTES + 3040;
}

static bool
took_three(const struct outside *o)
{
	return o->sink->n >= 3;
}

static void
superframes_arrive_as_frames_of_a_wire(void **state)
{
	struct outside *o = *state;
	struct virtio_net_hdr header;
	uint8_t bytes[4096];
	size_t len;

	SKIP_WITHOUT_NIC();
	o->sink->port.accepts = 0;
	open_nic(o, "nic:" NIC);
	len = superframe(bytes, &header);
	come_in(bytes, len, &header);
	assert_true(until(o, took_three));
	assert_int_equal(o->sink->n, 3);
	for (unsigned int i = 0; i < 3; i++) {
		const struct sink_frame *f = &o->sink->frame[i];
		uint32_t sum;

		assert_int_equal(f->len, 54 + 1000);
		assert_int_equal(f->flags & FRAME_TODO, 0);
		sum = csum_pseudo4(0xc0000201, 0xc0000202, IP_TCP, 1020);
		sum = csum_add_bytes(sum, f->data + 34, 1020);
		assert_int_equal(csum_fold(sum), 0xffff);
	}
}

static void
superframes_stay_whole_for_who_takes_them(void **state)
{
	struct outside *o = *state;
	struct virtio_net_hdr header;
	uint8_t bytes[4096];
	size_t len;

	SKIP_WITHOUT_NIC();
	open_nic(o, "nic:" NIC);
	len = superframe(bytes, &header);
	come_in(bytes, len, &header);
	assert_true(until(o, took_one));
	assert_int_equal(o->sink->frame[0].len, len);
	assert_int_equal(
	    o->sink->frame[0].flags & FRAME_TODO, FRAME_CSUM | FRAME_TSO4);
	assert_int_equal(o->sink->frame[0].gso_bytes, 1000);
}

static void
the_link_follows_the_interface(void **state)
{
	struct outside *o = *state;

	SKIP_WITHOUT_NIC();
	open_nic(o, "nic:" NIC);
	set_flags(0, IFF_UP);
	assert_true(until(o, is_down));
	assert_false(o->sink->link);
	set_flags(IFF_UP, 0);
	assert_true(until(o, is_up));
	assert_true(o->sink->link);
}

static void
an_interface_that_goes_and_returns_is_taken_up_again(void **state)
{
	struct outside *o = *state;
	uint8_t bytes[60];

	SKIP_WITHOUT_NIC();
	open_nic(o, "nic:" NIC);
	close(wire); /* which was all that kept it */
	assert_true(until(o, is_down));
	assert_int_equal(make_nic(), 0);
	assert_true(until(o, is_up));
	assert_int_equal(host_interface_promiscuity(NIC), 1);
	sink_clear(o->sink);
	frame_to(bytes, &somebody, 4);
	come_in(bytes, sizeof(bytes), NULL);
	assert_true(until(o, took_one));
}

static void
promiscuity_is_as_it_was_once_the_port_is_closed(void **state)
{
	struct outside *o = *state;

	SKIP_WITHOUT_NIC();
	assert_int_equal(host_interface_promiscuity(NIC), 0);
	open_nic(o, "nic:" NIC);
	assert_int_equal(host_interface_promiscuity(NIC), 1);
	port_close(o->port);
	o->port = NULL;
	assert_int_equal(host_interface_promiscuity(NIC), 0);
	assert_int_equal(host_interface_promiscuity("ly-nobody"), -1);
}

/* A socket that hears what the host gets by the NIC. */
static int
host_socket(void)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
		.sll_protocol = htons(0x88b5),
		.sll_ifindex = (int)if_nametoindex(NIC) };
	int fd = socket(
	    AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(0x88b5));

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* How many frames that are for the host it has got. */
static unsigned int
heard(int fd)
{
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	uint8_t bytes[2048];
	unsigned int n = 0;

	for (; recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from,
		   &len) > 0;
	     len = sizeof(from))
		n += from.sll_pkttype == PACKET_HOST ||
		    from.sll_pkttype == PACKET_BROADCAST;
	return n;
}

static void
the_host_hears_the_lan_only_if_asked_for(void **state)
{
	static const struct {
		const char *locator;
		unsigned int heard;
	} ways[] = { { "nic:" NIC, 0 }, { "nic:" NIC "?host=yes", 2 } };
	struct outside *o = *state;
	uint8_t bytes[60];

	SKIP_WITHOUT_NIC();
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		int fd = host_socket();

		open_nic(o, ways[i].locator);
		frame_to(bytes, &nic_mac, 5);
		send_out(o, bytes, sizeof(bytes));
		frame_to(bytes, &mac_broadcast, 6);
		send_out(o, bytes, sizeof(bytes));
		frame_to(bytes, &somebody, 7);
		send_out(o, bytes, sizeof(bytes));
		run_for(o, 50 * NS_PER_MS);
		assert_int_equal(heard(fd), ways[i].heard);
		/* Nor does it come back into the LAN. */
		assert_int_equal(o->sink->n, 0);
		assert_int_equal(port_nic_twin(o->port) != NULL, i == 1);
		port_close(o->port);
		o->port = NULL;
		close(fd);
	}
}

static void
macnat_stands_before_a_nic(void **state)
{
	/* ARP: who has 192.0.2.1, says 192.0.2.7. */
	static const char ask[] =
	    "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x09\x08\x06"
	    "\x00\x01\x08\x00\x06\x04\x00\x01\x02\x00\x00\x00\x00\x09"
	    "\xc0\x00\x02\x07\x00\x00\x00\x00\x00\x00\xc0\x00\x02\x01";
	struct outside *o = *state;
	uint8_t bytes[60] = { 0 }, got[2048];

	SKIP_WITHOUT_NIC();
	open_nic(o, "mac-nat:" NIC);
	memcpy(bytes, ask, sizeof(ask) - 1);
	send_out(o, bytes, sizeof(bytes));
	assert_int_equal(o->node.count[REASON_MACNAT_OUT], 1);
	assert_int_equal(leave(got, sizeof(got)), sizeof(bytes));
	assert_memory_equal(got + 6, nic_mac.b, 6);
	assert_memory_equal(got + 22, nic_mac.b, 6);
	assert_int_equal(macnat_entries(macnat_hook_table(o->port)), 1);
	frame_to(bytes, &somebody, 8);
	send_out(o, bytes, sizeof(bytes));
	assert_int_equal(o->node.count[DROP_MACNAT_PROTOCOL], 1);
	assert_int_equal(leave(got, sizeof(got)), 0);
}

static void
what_cannot_be_a_nic_is_said(void **state)
{
	static const struct {
		const char *locator, *says;
	} bad[] = {
		{ "nic:ly-nobody", "there is no interface of that name" },
		{ "nic:lo", "no Ethernet interface" },
		{ "nic:a-name-that-is-too-long", "names no interface" },
		{ "nic:" NIC "?host=maybe", "use yes or no" },
		{ "nic:" NIC "?hots=yes", "hots" },
	};
	struct outside *o = *state;

	SKIP_WITHOUT_NIC();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = { "" };

		assert_null(
		    outside_port(o, "out.eth0", bad[i].locator, "", &err));
		if (strstr(err.text, bad[i].says) == NULL)
			fail_msg("%s: %s", bad[i].locator, err.text);
	}
}

/* A namespace of our own, silent. */
static void
prepare(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0) {
		why_not = "needs root, for a network namespace";
		return;
	}
	fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6",
	    O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "1", 1) < 0)
			(void)errno;
		close(fd);
	}
}

int
main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH(frames_pass_both_ways_and_none_comes_back),
		WITH(vlan_tags_are_where_they_were),
		WITH(superframes_arrive_as_frames_of_a_wire),
		WITH(superframes_stay_whole_for_who_takes_them),
		WITH(the_link_follows_the_interface),
		WITH(an_interface_that_goes_and_returns_is_taken_up_again),
		WITH(promiscuity_is_as_it_was_once_the_port_is_closed),
		WITH(the_host_hears_the_lan_only_if_asked_for),
		WITH(macnat_stands_before_a_nic),
		WITH(what_cannot_be_a_nic_is_said),
	};

	prepare();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
