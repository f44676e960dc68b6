#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "net/checksum.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "pcap-tools/capture.h"
#include "pcap-tools/file_ring.h"
#include "pcap-tools/pcapng.h"
#include "pcap-tools/reader.h"
#include "switch/switch.h"
#include "switch/traffic.h"
#include "tests/pcap-tools/blocks.h"

#define SMALL_RING 16384 /* the smallest there is */

/*
 *   alice.eth0 -- gw.inside [gw] gw.outside -- internet.gw [internet]
 *                                              internet.server.eth0 -- server.eth0
 *
 * Nodes that do what a router, a switch and a host do, as far as a capture can
 * tell: they judge, and send on with the verdict as the cause.
 */
enum { ALICE, INSIDE, OUTSIDE, INET_GW, INET_SERVER, SERVER, NPORTS };

struct bench {
	char dir[64], path[96];
	struct loop *loop;
	struct node alice, gw, internet, server;
	struct port port[NPORTS];
	struct capture *capture;
	bool detach; /* gw ends the capture in the middle of a burst */
	struct err err;
};

static struct bench *running;

static void
take_gw(struct port *port, struct burst *burst)
{
	struct burst out;

	(void)port;
	burst_clear(&out);
	out.flags = burst->flags;
	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *f = &burst->frame[i];

		node_judge(&running->gw, f, REASON_NAT_OUT);
		f->verdict.entry = 3;
		f->verdict.out = &running->port[OUTSIDE];
		f->verdict.nout = 1;
		out.frame[out.n] = *f;
		out.frame[out.n++].cause = &f->verdict;
	}
	if (running->detach) {
		capture_free(running->capture, NULL);
		running->capture = NULL;
	}
	port_send(&running->port[OUTSIDE], &out);
}

static void
take_internet(struct port *port, struct burst *burst)
{
	struct burst out;

	(void)port;
	burst_clear(&out);
	out.flags = burst->flags;
	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *f = &burst->frame[i];

		/* What begins with 0xff finds nobody to go to. */
		if (f->data[0] == 0xff) {
			node_judge(&running->internet, f, DROP_NO_OTHER_PORT);
			continue;
		}
		node_judge(&running->internet, f, REASON_FORWARDED);
		f->verdict.out = &running->port[INET_SERVER];
		f->verdict.nout = 1;
		out.frame[out.n] = *f;
		out.frame[out.n++].cause = &f->verdict;
	}
	port_send(&running->port[INET_SERVER], &out);
}

static void
take_host(struct port *port, struct burst *burst)
{
	node_judge_all(port->node, burst, REASON_DELIVERED);
}

static const struct port_ops ops[NPORTS] = {
	[ALICE] = { .take = take_host },
	[INSIDE] = { .take = take_gw },
	[OUTSIDE] = { .take = take_host },
	[INET_GW] = { .take = take_internet },
	[INET_SERVER] = { .take = take_host },
	[SERVER] = { .take = take_host },
};

static int
set_up(void **state)
{
	static const char *const names[NPORTS] = { "alice.eth0", "gw.inside",
		"gw.outside", "internet.gw", "internet.server.eth0",
		"server.eth0" };
	struct bench *b = calloc(1, sizeof(*b));
	struct node *of[NPORTS];

	assert_non_null(b);
	strcpy(b->dir, "/tmp/capture_test.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/t.pcapng", b->dir);
	node_init(&b->alice, "alice");
	node_init(&b->gw, "gw");
	node_init(&b->internet, "internet");
	node_init(&b->server, "server");
	of[ALICE] = &b->alice;
	of[INSIDE] = of[OUTSIDE] = &b->gw;
	of[INET_GW] = of[INET_SERVER] = &b->internet;
	of[SERVER] = &b->server;
	for (int i = 0; i < NPORTS; i++)
		port_init(&b->port[i], &ops[i], of[i], names[i]);
	for (int i = 0; i < NPORTS; i += 2)
		assert_int_equal(cable_join(&b->port[i], &b->port[i + 1]), 0);
	b->loop = loop_new(LOOP_VIRTUAL, &b->err);
	assert_non_null(b->loop);
	running = b;
	*state = b;
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;

	capture_free(b->capture, NULL);
	loop_free(b->loop);
	unlink(b->path);
	rmdir(b->dir);
	free(b);
	return 0;
}

static void
use_real_loop(struct bench *b)
{
	loop_free(b->loop);
	b->loop = loop_new(LOOP_REAL, &b->err);
	assert_non_null(b->loop);
}

static void
begin_capture(struct bench *b, uint32_t snaplen, size_t ring_bytes)
{
	const struct capture_options options = { .snaplen_bytes = snaplen,
		.ring_bytes = ring_bytes };

	b->capture = capture_new(b->loop, b->path, &options, &b->err);
	assert_string_equal(b->err.text, "");
	assert_non_null(b->capture);
}

static void
add_point(struct bench *b, int port, const char *filter)
{
	assert_int_equal(
	    capture_add(b->capture, &b->port[port], filter, &b->err), 0);
}

static struct bytes
end_capture(struct bench *b)
{
	assert_int_equal(capture_free(b->capture, &b->err), 0);
	b->capture = NULL;
	return read_file(b->path);
}

static void
send_bytes(struct bench *b, int port, const void *data, size_t n)
{
	struct burst burst;

	burst_clear(&burst);
	burst_add(&burst, data, n);
	port_send(&b->port[port], &burst);
}

/* A burst of n frames of len bytes, numbered from first on in their bytes 14 to
 * 17. */
static void
send_numbered(
    struct bench *b, int port, unsigned int n, size_t len, uint32_t first)
{
	static uint8_t data[BURST_MAX][2048];
	struct burst burst;

	burst_clear(&burst);
	for (unsigned int i = 0; i < n; i++) {
		memset(data[i], 0, len);
		put_be16(data[i] + 12, ETH_LOCAL);
		put_be32(data[i] + 14, first + i);
		burst_add(&burst, data[i], len);
	}
	port_send(&b->port[port], &burst);
}

static const uint8_t frame_a[60] = { 0x52, 0x54, 0, 0, 0, 1, 0x52, 0x54, 0, 0,
	0, 2, 0x88, 0xb5, 'a' };
static const uint8_t frame_ff[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52,
	0x54, 0, 0, 0, 2, 0x88, 0xb5, 'b' };

/* ---- files ---- */

/* The frames in file number n of a ring, whose first is *first; -1: there is no
 * such file. */
static int
frames_in(const struct bench *b, unsigned int n, uint32_t *first)
{
	char path[160];
	struct reader *reader;
	struct reader_frame f;
	int frames = 0, e;

	snprintf(path, sizeof(path), "%s/t-%05u.pcapng.zst", b->dir, n);
	if (access(path, F_OK) != 0)
		return -1;
	reader = reader_open(path, NULL);
	assert_non_null(reader);
	while ((e = reader_next(reader, &f, NULL)) == 1)
		if (frames++ == 0)
			*first = get_be32(f.data + 14);
	assert_int_equal(e, 0);
	assert_int_equal(reader_interfaces(reader), 2);
	assert_string_equal(reader_interface(reader, 1)->name, "gw.outside");
	reader_free(reader);
	(void)unlink(path);
	return frames;
}

static void
a_ring_of_compressed_files_keeps_the_newest_whole(void **state)
{
	const struct capture_options options = { .file_bytes = 20000,
		.files = 3 };
	struct bench *b = *state;
	char path[128];
	unsigned int file = 1, kept = 0;
	uint32_t first = 0, next = 0;
	int n;

	snprintf(path, sizeof(path), "%s/t.pcapng.zst", b->dir);
	b->capture = capture_new(b->loop, path, &options, &b->err);
	assert_non_null(b->capture);
	add_point(b, INSIDE, NULL);
	add_point(b, OUTSIDE, NULL);
	for (uint32_t i = 0; i < 100; i++)
		send_numbered(b, ALICE, 10, 100, 10 * i);
	assert_int_equal(capture_free(b->capture, &b->err), 0);
	b->capture = NULL;
	while (frames_in(b, file, &first) < 0 && file < 100)
		file++;
	assert_true(file > 3); /* the oldest are gone */
	for (file++; (n = frames_in(b, file, &first)) >= 0; file++) {
		assert_in_range(n, 1, 200);
		/* A burst is in it twice, once for each point. */
		if (kept++ > 0)
			assert_true(first >= next);
		next = first;
	}
	assert_int_equal(kept, 2); /* and the one above */
}

struct numbered {
	struct loop_timer timer;
	struct bench *bench;
	uint32_t number;
};

static void
send_number(void *arg)
{
	struct numbered *it = arg;

	send_numbered(it->bench, ALICE, 1, 100, it->number);
}

static void
a_file_ends_with_its_time(void **state)
{
	const struct capture_options options = { .file_ns = NS_PER_S };
	struct bench *b = *state;
	char path[128];
	uint32_t first = 0;
	struct numbered step[4];

	snprintf(path, sizeof(path), "%s/t.pcapng.zst", b->dir);
	b->capture = capture_new(b->loop, path, &options, &b->err);
	assert_non_null(b->capture);
	add_point(b, INSIDE, NULL);
	add_point(b, OUTSIDE, NULL);
	for (uint32_t i = 0; i < 4; i++) {
		step[i] = (struct numbered){ .bench = b, .number = i };
		loop_timer_init(&step[i].timer, b->loop, send_number, &step[i]);
		loop_timer_set(&step[i].timer, i * 600 * NS_PER_MS);
	}
	assert_int_equal(loop_run(b->loop), 0);
	assert_int_equal(capture_free(b->capture, &b->err), 0);
	b->capture = NULL;
	assert_int_equal(frames_in(b, 1, &first), 4); /* at 0 and 0.6 s */
	assert_int_equal(first, 0);
	assert_int_equal(frames_in(b, 2, &first), 4);
	assert_int_equal(first, 2);
	assert_int_equal(frames_in(b, 3, &first), -1);
}

static void
names_of_files_count_before_their_endings(void **state)
{
	static const char *const names[][2] = {
		{ "nat.pcapng", "nat-00007.pcapng" },
		{ "/a.b/nat.pcapng.zst", "/a.b/nat-00007.pcapng.zst" },
		{ "/a.b/nat", "/a.b/nat-00007" },
		{ ".nat", ".nat-00007" },
		{ "x/", "x/-00007" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *name = file_ring_name(names[i][0], 7);

		assert_string_equal(name, names[i][1]);
		free(name);
	}
}

/* ---- what is said ---- */

static void
frame_stands_before_those_it_causes(void **state)
{
	static const struct {
		uint32_t interface, direction;
		const char *comment;
	} want[] = {
		{ 0, 2,
		    "gw: translated outwards by NAT entry 3 -> gw.outside" },
		{ 1, 1,
		    "gw: translated outwards by NAT entry 3 -> gw.outside" },
		{ 2, 2,
		    "gw: translated outwards by NAT entry 3 -> gw.outside; "
		    "internet: forwarded to the port where its destination was "
		    "learned (internet.server.eth0)" },
		{ 3, 1,
		    "internet: forwarded to the port where its destination was "
		    "learned (internet.server.eth0)" },
		{ 4, 2,
		    "internet: forwarded to the port where its destination was "
		    "learned (internet.server.eth0); "
		    "server: delivered to this node itself" },
		{ 5, 1, "server: delivered to this node itself" },
	};
	struct bench *b = *state;
	struct bytes file;
	struct packet p;

	begin_capture(b, 0, 0);
	for (int i = 0; i < NPORTS; i++)
		add_point(b, i, NULL);
	send_bytes(b, ALICE, frame_a, sizeof(frame_a));
	file = end_capture(b);
	assert_int_equal(count_blocks(&file, BLOCK_PACKET), 6);
	for (unsigned int i = 0; i < 6; i++) {
		assert_true(packet_at(&p, &file, i));
		assert_int_equal(p.interface, want[i].interface);
		assert_int_equal(p.flags, want[i].direction);
		assert_string_equal(p.comment, want[i].comment);
		assert_int_equal(p.len, sizeof(frame_a));
		assert_int_equal(p.kept, sizeof(frame_a));
		assert_memory_equal(p.data, frame_a, sizeof(frame_a));
	}
	free(file.data);
}

/* Packet number n's facts, behind the number of the enterprise. */
static char *
facts_at(const struct bytes *file, unsigned int n)
{
	struct block b = block_at(file, BLOCK_PACKET, n);
	uint32_t kept = le32(b.body + 12);
	struct option o =
	    find_option(&b, 20 + (kept + 3) / 4 * 4, PCAPNG_OPT_CUSTOM_TEXT);

	assert_non_null(o.value);
	assert_true(o.n >= 4);
	assert_int_equal(le32(o.value), PCAPNG_ENTERPRISE);
	return strndup((const char *)o.value + 4, o.n - 4);
}

static void
facts_carry_journeys_through_nodes_and_verdicts(void **state)
{
	static const char *const want[] = {
		"lanyard journey=1 node=gw verdict=nat-out out=gw.outside "
		"ports=1 entry=3",
		"lanyard journey=2 node=gw verdict=nat-out out=gw.outside "
		"ports=1 entry=3",
		"lanyard journey=1 cause.node=internet cause.verdict=forwarded "
		"cause.out=internet.server.eth0 cause.ports=1 "
		"node=server verdict=delivered",
		"lanyard journey=2 cause.node=internet cause.verdict=forwarded "
		"cause.out=internet.server.eth0 cause.ports=1 "
		"node=server verdict=delivered",
	};
	struct bench *b = *state;
	struct bytes file;

	/* What passed before does not count. */
	begin_capture(b, 0, 0);
	add_point(b, INSIDE, NULL);
	send_numbered(b, ALICE, 5, 60, 0);
	free(end_capture(b).data);

	/* Between the two points is a hop where nobody looks. */
	begin_capture(b, 0, 0);
	add_point(b, INSIDE, NULL);
	add_point(b, INET_SERVER, NULL);
	send_numbered(b, ALICE, 2, 60, 0);
	file = end_capture(b);
	for (unsigned int i = 0; i < 4; i++) {
		char *is = facts_at(&file, i);

		assert_string_equal(is, want[i]);
		free(is);
	}
	free(file.data);
}

static void
burst_stands_before_those_it_causes(void **state)
{
	struct bench *b = *state;
	struct bytes file;
	struct packet p;

	begin_capture(b, 0, 0);
	add_point(b, INSIDE, NULL);
	add_point(b, OUTSIDE, NULL);
	send_numbered(b, ALICE, 3, 60, 0);
	send_numbered(b, ALICE, 2, 60, 3);
	file = end_capture(b);
	for (unsigned int i = 0; i < 10; i++) {
		static const struct {
			uint32_t interface, number;
		} want[10] = { { 0, 0 }, { 0, 1 }, { 0, 2 }, { 1, 0 }, { 1, 1 },
			{ 1, 2 }, { 0, 3 }, { 0, 4 }, { 1, 3 }, { 1, 4 } };

		assert_true(packet_at(&p, &file, i));
		assert_int_equal(p.interface, want[i].interface);
		assert_int_equal(get_be32(p.data + 14), want[i].number);
	}
	assert_false(packet_at(&p, &file, 10));
	free(file.data);
}

static void
drops_say_why(void **state)
{
	struct bench *b = *state;
	struct bytes file;
	struct packet p;

	begin_capture(b, 0, 0);
	add_point(b, INET_GW, NULL);
	add_point(b, ALICE, NULL);
	send_bytes(b, ALICE, frame_ff, sizeof(frame_ff));
	port_set_down(&b->port[ALICE], true);
	send_bytes(b, ALICE, frame_ff, sizeof(frame_ff));
	port_set_down(&b->port[ALICE], false);
	file = end_capture(b);
	assert_true(packet_at(&p, &file, 0));
	assert_int_equal(p.interface, 1);
	assert_true(packet_at(&p, &file, 1));
	assert_int_equal(p.interface, 0);
	assert_string_equal(p.comment,
	    "internet: dropped (no-other-port): no other port to flood it to");
	assert_true(packet_at(&p, &file, 2));
	assert_int_equal(p.interface, 1);
	assert_string_equal(
	    p.comment, "alice: dropped (link-down): the link is down");
	free(file.data);
}

static void
interfaces_are_described_in_order(void **state)
{
	struct bench *b = *state;
	struct bytes file;
	struct block i;

	begin_capture(b, 96, 0);
	add_point(b, OUTSIDE, "arp or icmp");
	cable_cut(&b->port[SERVER]);
	add_point(b, SERVER, NULL);
	file = end_capture(b);
	assert_int_equal(count_blocks(&file, BLOCK_INTERFACE), 2);
	i = block_at(&file, BLOCK_SECTION, 0);
	assert_option(&i, 16, 4, "lanyard");
	assert_option(&i, 16, 1, "virtual time, which begins in 1970");
	i = block_at(&file, BLOCK_INTERFACE, 0);
	assert_int_equal(le16(i.body), 1);
	assert_int_equal(le32(i.body + 4), 96);
	assert_option(&i, 8, 2, "gw.outside");
	assert_option(&i, 8, 3, "port of gw, cabled to internet.gw");
	assert_option(&i, 8, 9, "\x09");
	assert_memory_equal(find_option(&i, 8, 11).value, "\0arp or icmp", 12);
	i = block_at(&file, BLOCK_INTERFACE, 1);
	assert_option(&i, 8, 2, "server.eth0");
	assert_option(&i, 8, 3, "port of server, no cable");
	assert_null(find_option(&i, 8, 11).value);
	free(file.data);
}

struct later {
	struct bench *bench;
	struct loop_timer timer;
};

static void
send_later(void *arg)
{
	struct later *l = arg;

	send_bytes(l->bench, ALICE, frame_a, sizeof(frame_a));
}

static void
stamps_are_the_loops(void **state)
{
	static const uint64_t at_ns[] = { 0, 1, 999999999, UINT64_C(1) << 33,
		86400 * NS_PER_S + 123456789 };
	struct bench *b = *state;
	struct later later[5];
	struct bytes file;
	struct packet p;
	struct block s;

	begin_capture(b, 0, 0);
	add_point(b, ALICE, NULL);
	for (int i = 0; i < 5; i++) {
		later[i].bench = b;
		loop_timer_init(
		    &later[i].timer, b->loop, send_later, &later[i]);
		loop_timer_set(&later[i].timer, at_ns[i]);
	}
	assert_int_equal(loop_run(b->loop), 0);
	file = end_capture(b);
	for (unsigned int i = 0; i < 5; i++) {
		assert_true(packet_at(&p, &file, i));
		assert_true(p.at_ns == at_ns[i]);
	}
	s = block_at(&file, BLOCK_STATISTICS, 0);
	assert_true(stamp(find_option(&s, 12, 2).value) == 0);
	assert_true(stamp(find_option(&s, 12, 3).value) == at_ns[4]);
	free(file.data);
}

/* ---- what is kept ---- */

static void
snaplen_keeps_the_beginning(void **state)
{
	struct bench *b = *state;
	struct bytes file;
	struct packet p;

	begin_capture(b, 33, 0);
	add_point(b, ALICE, NULL);
	send_bytes(b, ALICE, frame_a, sizeof(frame_a));
	send_bytes(b, ALICE, frame_a, 20);
	assert_int_equal(capture_stats(b->capture).bytes, 80);
	file = end_capture(b);
	assert_true(packet_at(&p, &file, 0));
	assert_int_equal(p.kept, 33);
	assert_int_equal(p.len, 60);
	assert_memory_equal(p.data, frame_a, 33);
	assert_true(packet_at(&p, &file, 1));
	assert_int_equal(p.kept, 20);
	assert_int_equal(p.len, 20);
	free(file.data);
}

static void
filter_lets_through_what_it_says(void **state)
{
	struct bench *b = *state;
	struct bytes file;
	struct packet p;
	struct block s;

	begin_capture(b, 16, 0);
	add_point(b, ALICE, "ether broadcast and len == 60 and ether[14] = 98");
	for (int i = 0; i < 3; i++)
		send_bytes(b, ALICE, frame_a, sizeof(frame_a));
	send_bytes(b, ALICE, frame_ff, sizeof(frame_ff));
	send_bytes(b, ALICE, frame_ff, sizeof(frame_ff) - 1);
	file = end_capture(b);
	assert_int_equal(count_blocks(&file, BLOCK_PACKET), 1);
	assert_true(packet_at(&p, &file, 0));
	assert_int_equal(p.kept, 16);
	assert_memory_equal(p.data, frame_ff, 16);
	s = block_at(&file, BLOCK_STATISTICS, 0);
	assert_true(le64(find_option(&s, 12, 4).value) == 5);
	assert_true(le64(find_option(&s, 12, 6).value) == 1);
	assert_true(le64(find_option(&s, 12, 8).value) == 1);
	free(file.data);
}

static void
filter_that_is_none_is_refused_with_its_text(void **state)
{
	struct bench *b = *state;

	begin_capture(b, 0, 0);
	assert_int_equal(capture_add(b->capture, &b->port[ALICE],
			     "icmp and nonsense (", &b->err),
	    -EINVAL);
	assert_non_null(
	    strstr(b->err.text, "filter \"icmp and nonsense (\": "));
	assert_non_null(strstr(b->err.text, "pcap-filter(7)"));
	assert_null(b->port[ALICE].watchers);
	free(end_capture(b).data);
}

static void
frame_in_pieces_is_whole(void **state)
{
	static uint8_t data[1400];
	struct iovec tail[] = { { data + 256, 4 }, { data + 260, 1000 },
		{ data + 1260, 140 } };
	struct bench *b = *state;
	struct burst burst;
	struct frame *f;
	struct bytes file;
	struct packet p;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	begin_capture(b, 0, 0);
	add_point(b, ALICE, NULL);
	add_point(b, INSIDE, "len == 1400 and ether[1399] = 0x41");
	burst_clear(&burst);
	f = burst_add(&burst, data, sizeof(data));
	f->head = 256;
	f->tail = tail;
	f->ntail = 3;
	port_send(&b->port[ALICE], &burst);
	file = end_capture(b);
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(packet_at(&p, &file, i));
		assert_int_equal(p.kept, sizeof(data));
		assert_memory_equal(p.data, data, sizeof(data));
	}
	free(file.data);
}

/* ---- offloads ---- */

#define TCP_AT     (ETH_HEADER_BYTES + IP4_HEADER_BYTES)
#define PAYLOAD_AT (TCP_AT + TCP_HEADER_BYTES)

/* A TCP segment of payload bytes, its checksum unfinished as guests leave it. */
static size_t
write_unfinished(uint8_t *out, size_t max, size_t payload)
{
	static uint8_t zeros[60000];
	const struct eth eth = { .dst = { { 2, 0, 0, 0, 0, 1 } },
		.src = { { 2, 0, 0, 0, 0, 2 } },
		.type = ETH_IPV4 };
	const struct ip4 ip = {
		.total_bytes =
		    (uint16_t)(IP4_HEADER_BYTES + TCP_HEADER_BYTES + payload),
		.fragment = IP4_DF,
		.ttl = 64,
		.protocol = IP_TCP,
		.src = 0x0a000064,
		.dst = 0xcb00710a,
	};
	const struct tcp tcp = {
		.sport = 40000,
		.dport = 80,
		.seq = 1000,
		.ack = 2000,
		.flags = TCP_ACK | TCP_PSH,
		.window = 8192,
		.data = zeros,
		.data_bytes = payload,
	};
	struct writer w = writer(out, max);

	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	tcp_write(&w, &tcp, ip.src, ip.dst);
	assert_false(w.overrun);
	for (size_t i = 0; i < payload; i++)
		out[PAYLOAD_AT + i] = (uint8_t)(i * 13 + i / 256);
	put_be16(out + TCP_AT + TCP_OFF_CHECKSUM,
	    csum_fold(csum_pseudo4(ip.src, ip.dst, IP_TCP,
		(uint16_t)(TCP_HEADER_BYTES + payload))));
	return (size_t)(w.at - out);
}

static struct frame *
add_unfinished(struct burst *burst, const uint8_t *data, size_t len,
    uint8_t flags, uint16_t gso_bytes)
{
	struct frame *f = burst_add(burst, data, len);

	f->flags = flags;
	f->csum_start = TCP_AT;
	f->csum_offset = TCP_OFF_CHECKSUM;
	f->gso_bytes = gso_bytes;
	f->header_bytes = PAYLOAD_AT;
	burst->flags |= flags;
	return f;
}

/* Reads a captured TCP segment, with all checksums checked. */
static void
read_tcp(struct tcp *tcp, const struct packet *p)
{
	struct cursor c = cursor(p->data, p->kept);
	struct eth eth;
	struct ip4 ip;

	assert_int_equal(eth_parse(&eth, &c), DROP_NONE);
	assert_int_equal(ip4_parse(&ip, &c), DROP_NONE);
	assert_int_equal(tcp_parse(tcp, &c, &ip, false), DROP_NONE);
}

static void
superframe_is_shown_as_its_segments(void **state)
{
	static uint8_t data[65536];
	const size_t payload = 45 * 1448 / 2 + 1; /* 22 whole ones and a rest */
	struct bench *b = *state;
	size_t len = write_unfinished(data, sizeof(data), payload);
	struct burst burst;
	struct bytes file;
	struct packet p;
	struct tcp tcp;
	size_t done = 0;
	unsigned int n = 0;

	begin_capture(b, 0, 0);
	add_point(b, INSIDE, "tcp port 80");
	add_point(b, SERVER, NULL);
	burst_clear(&burst);
	add_unfinished(&burst, data, len, FRAME_CSUM | FRAME_TSO4, 1448);
	port_send(&b->port[ALICE], &burst);
	file = end_capture(b);
	for (; packet_at(&p, &file, n) && p.interface == 0; n++) {
		assert_int_equal(p.flags, 1);
		assert_string_equal(p.comment,
		    "gw: translated outwards by NAT entry 3 -> gw.outside");
		read_tcp(&tcp, &p);
		assert_int_equal(tcp.seq, 1000 + done);
		assert_true(tcp.data_bytes <= 1448);
		assert_memory_equal(
		    tcp.data, data + PAYLOAD_AT + done, tcp.data_bytes);
		done += tcp.data_bytes;
		assert_int_equal(
		    tcp.flags, done == payload ? TCP_ACK | TCP_PSH : TCP_ACK);
	}
	assert_int_equal(n, 23);
	assert_int_equal(done, payload);
	for (; packet_at(&p, &file, n); n++)
		assert_string_equal(
		    p.comment, "server: delivered to this node itself");
	assert_int_equal(n, 46);
	free(file.data);
}

static void
unfinished_checksum_is_finished(void **state)
{
	static uint8_t data[2048];
	struct bench *b = *state;
	size_t len = write_unfinished(data, sizeof(data), 1001);
	struct burst burst;
	struct bytes file;
	struct packet p;
	struct tcp tcp;

	begin_capture(b, 0, 0);
	add_point(b, INSIDE, NULL);
	burst_clear(&burst);
	add_unfinished(&burst, data, len, FRAME_CSUM, 0);
	port_send(&b->port[ALICE], &burst);
	file = end_capture(b);
	assert_true(packet_at(&p, &file, 0));
	assert_int_equal(p.flags, 1);
	assert_int_equal(p.len, len);
	read_tcp(&tcp, &p);
	assert_int_equal(tcp.data_bytes, 1001);
	free(file.data);
}

static void
superframe_that_lies_is_shown_as_it_is(void **state)
{
	static uint8_t data[4096];
	struct bench *b = *state;
	size_t len = write_unfinished(data, sizeof(data), 3000);
	struct burst burst;
	struct bytes file;
	struct packet p;

	data[ETH_HEADER_BYTES + IP4_OFF_PROTOCOL] = IP_UDP;
	begin_capture(b, 0, 0);
	add_point(b, INSIDE, NULL);
	burst_clear(&burst);
	add_unfinished(&burst, data, len, FRAME_CSUM | FRAME_TSO4, 1000);
	port_send(&b->port[ALICE], &burst);
	file = end_capture(b);
	assert_int_equal(count_blocks(&file, BLOCK_PACKET), 1);
	assert_true(packet_at(&p, &file, 0));
	assert_int_equal(p.flags, 0x1 | 0x200 | 0x800);
	assert_int_equal(p.kept, len);
	assert_memory_equal(p.data, data, len);
	free(file.data);
}

/* ---- too much at a time ---- */

static void
lost_frames_are_counted_in_the_file(void **state)
{
	struct bench *b = *state;
	struct capture_stats stats;
	struct bytes file;
	struct block s;
	struct packet p;
	uint64_t received = 0, dropped = 0, delivered = 0;

	use_real_loop(b);
	begin_capture(b, 0, SMALL_RING);
	add_point(b, INSIDE, NULL);
	add_point(b, OUTSIDE, NULL);
	send_numbered(b, ALICE, BURST_MAX, 60, 0);
	stats = capture_stats(b->capture);
	assert_int_equal(stats.frames + stats.lost, 2 * BURST_MAX);
	assert_in_range(stats.frames, 10, 2 * BURST_MAX - 10);
	file = end_capture(b);
	for (unsigned int i = 0; i < 2; i++) {
		s = block_at(&file, BLOCK_STATISTICS, i);
		assert_int_equal(le32(s.body), i);
		received += le64(find_option(&s, 12, 4).value);
		dropped += le64(find_option(&s, 12, 5).value);
		delivered += le64(find_option(&s, 12, 8).value);
	}
	assert_int_equal(received, 2 * BURST_MAX);
	assert_int_equal(dropped, stats.lost);
	assert_int_equal(delivered, stats.frames);
	assert_int_equal(count_blocks(&file, BLOCK_PACKET), stats.frames);
	assert_true(packet_at(&p, &file, 0));
	assert_int_equal(get_be32(p.data + 14), 0);
	free(file.data);
}

static void
frame_too_large_for_the_ring_is_lost_alone(void **state)
{
	static uint8_t large[3000];
	struct bench *b = *state;
	struct bytes file;

	begin_capture(b, 0, SMALL_RING);
	add_point(b, ALICE, NULL);
	send_bytes(b, ALICE, frame_a, sizeof(frame_a));
	send_bytes(b, ALICE, large, sizeof(large));
	send_bytes(b, ALICE, frame_a, sizeof(frame_a));
	assert_int_equal(capture_stats(b->capture).lost, 1);
	file = end_capture(b);
	assert_int_equal(count_blocks(&file, BLOCK_PACKET), 2);
	free(file.data);
}

static void
virtual_loop_waits_instead_of_losing(void **state)
{
	struct bench *b = *state;
	struct bytes file;
	struct block block;
	struct packet p;
	size_t at = 0;
	uint32_t sent = 0, number = 0;

	begin_capture(b, 0, SMALL_RING);
	add_point(b, SERVER, NULL);
	for (uint32_t i = 0; i < 3000; i++) {
		send_numbered(b, ALICE, 1 + i % 7, 60 + i % 500, sent);
		sent += 1 + i % 7;
	}
	assert_int_equal(capture_stats(b->capture).lost, 0);
	assert_int_equal(capture_stats(b->capture).frames, sent);
	file = end_capture(b);
	while (next_block(&block, &file, &at)) {
		if (block.type != BLOCK_PACKET)
			continue;
		read_packet(&p, &block);
		assert_int_equal(get_be32(p.data + 14), number);
		number++;
	}
	assert_int_equal(number, sent);
	free(file.data);
}

/* ---- two runs ---- */

static struct bytes
one_run(struct bench *b, size_t ring_bytes)
{
	begin_capture(b, 0, ring_bytes);
	for (int i = 0; i < NPORTS; i++)
		add_point(b, i, i % 2 ? NULL : "ether[17] & 1 = 0");
	for (uint32_t i = 0; i < 200; i++) {
		send_numbered(b, ALICE, 1 + i % BURST_MAX, 60 + i, i * 64);
		send_bytes(b, ALICE, frame_ff, sizeof(frame_ff));
	}
	return end_capture(b);
}

static void
two_virtual_runs_give_the_same_bytes(void **state)
{
	/* With the small ring frames are lost, the same ones each time. */
	static const size_t ring_bytes[] = { 0, SMALL_RING };
	struct bench *b = *state;

	for (int k = 0; k < 2; k++) {
		struct bytes one = one_run(b, ring_bytes[k]);
		struct bytes two = one_run(b, ring_bytes[k]);

		assert_true(count_blocks(&one, BLOCK_PACKET) > 1000);
		assert_int_equal(one.n, two.n);
		assert_memory_equal(one.data, two.data, one.n);
		free(one.data);
		free(two.data);
	}
}

/* One host pings another through a learning switch, three times. */
static struct bytes
run_of_built_in_nodes(struct bench *b)
{
	const struct traffic_options pings = {
		.mac = { { 2, 0, 0, 0, 0, 1 } },
		.address = { 0x0a000001, 24 },
		.seed = 7,
		.kind = TRAFFIC_PING,
		.to = 0x0a000002,
		.count = 3,
	};
	const struct traffic_options answers = {
		.mac = { { 2, 0, 0, 0, 0, 2 } },
		.address = { 0x0a000002, 24 },
		.seed = 7,
	};
	const struct switch_options usual = { 0 };
	struct loop *loop = loop_new(LOOP_VIRTUAL, &b->err);
	struct lan_switch *lan = switch_new(loop, "lan", &usual, &b->err);
	struct traffic *one =
	    traffic_new(loop, "one", "one.eth0", &pings, &b->err);
	struct traffic *two =
	    traffic_new(loop, "two", "two.eth0", &answers, &b->err);
	struct port *p1 = switch_add_port(lan, "lan.one.eth0", &b->err);
	struct port *p2 = switch_add_port(lan, "lan.two.eth0", &b->err);

	assert_string_equal(b->err.text, "");
	cable_join(traffic_port(one), p1);
	cable_join(traffic_port(two), p2);
	b->capture = capture_new(loop, b->path, NULL, &b->err);
	assert_non_null(b->capture);
	assert_int_equal(capture_add(b->capture, p1, NULL, &b->err), 0);
	assert_int_equal(capture_add(b->capture, p2, NULL, &b->err), 0);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(traffic_stats(one).received, 3);
	assert_int_equal(capture_free(b->capture, &b->err), 0);
	b->capture = NULL;
	traffic_free(one);
	traffic_free(two);
	switch_free(lan);
	loop_free(loop);
	return read_file(b->path);
}

static void
runs_of_built_in_nodes_give_the_same_bytes(void **state)
{
	struct bench *b = *state;
	struct bytes one = run_of_built_in_nodes(b);
	struct bytes two = run_of_built_in_nodes(b);
	struct packet p;

	assert_int_equal(one.n, two.n);
	assert_memory_equal(one.data, two.data, one.n);
	/* ARP twice and echo six times, at two points */
	assert_int_equal(count_blocks(&one, BLOCK_PACKET), 16);
	assert_true(packet_at(&p, &one, 0));
	assert_string_equal(p.comment,
	    "lan: flooded because it is a broadcast -> lan.two.eth0");
	assert_true(packet_at(&p, &one, 1));
	assert_string_equal(p.comment,
	    "lan: flooded because it is a broadcast -> lan.two.eth0; "
	    "two: delivered to this node itself");
	assert_true(packet_at(&p, &one, 15));
	free(one.data);
	free(two.data);
}

/* ---- coming and going ---- */

static void
capture_may_end_while_a_burst_is_on_its_way(void **state)
{
	struct bench *b = *state;
	struct bytes file;

	begin_capture(b, 0, 0);
	add_point(b, ALICE, NULL);
	add_point(b, INSIDE, NULL);
	add_point(b, SERVER, NULL);
	b->detach = true;
	send_numbered(b, ALICE, 5, 60, 0);
	assert_null(b->capture);
	assert_null(b->port[ALICE].watchers);
	file = read_file(b->path);
	assert_int_equal(count_blocks(&file, BLOCK_PACKET), 10);
	assert_int_equal(count_blocks(&file, BLOCK_STATISTICS), 3);
	free(file.data);
}

static void
removed_port_may_go_away(void **state)
{
	struct bench *b = *state;
	struct bytes file;

	begin_capture(b, 0, 0);
	add_point(b, ALICE, NULL);
	add_point(b, SERVER, NULL);
	send_bytes(b, ALICE, frame_a, sizeof(frame_a));
	capture_remove(b->capture, &b->port[SERVER]);
	cable_cut(&b->port[SERVER]);
	memset(&b->port[SERVER], 0xee, sizeof(b->port[SERVER]));
	memset(&b->server, 0xee, sizeof(b->server));
	send_bytes(b, ALICE, frame_a, sizeof(frame_a));
	file = end_capture(b);
	assert_int_equal(count_blocks(&file, BLOCK_PACKET), 3);
	assert_int_equal(count_blocks(&file, BLOCK_INTERFACE), 2);
	assert_int_equal(count_blocks(&file, BLOCK_STATISTICS), 2);
	free(file.data);
}

static void
several_captures_watch_one_port(void **state)
{
	struct bench *b = *state;
	struct capture *other;
	char path[128];
	struct bytes one, two;

	snprintf(path, sizeof(path), "%s/two.pcapng", b->dir);
	begin_capture(b, 0, 0);
	other = capture_new(b->loop, path, NULL, &b->err);
	assert_non_null(other);
	add_point(b, INSIDE, NULL);
	assert_int_equal(
	    capture_add(other, &b->port[INSIDE], NULL, &b->err), 0);
	assert_int_equal(
	    capture_add(other, &b->port[INSIDE], "arp", &b->err), 0);
	send_bytes(b, ALICE, frame_a, sizeof(frame_a));
	assert_int_equal(capture_free(other, &b->err), 0);
	one = end_capture(b);
	two = read_file(path);
	assert_int_equal(count_blocks(&one, BLOCK_PACKET), 1);
	assert_int_equal(count_blocks(&two, BLOCK_PACKET), 1);
	assert_int_equal(count_blocks(&two, BLOCK_INTERFACE), 2);
	unlink(path);
	free(one.data);
	free(two.data);
}

/* ---- the file ---- */

static void
flush_brings_everything_into_the_file(void **state)
{
	struct bench *b = *state;
	struct bytes file;

	use_real_loop(b);
	begin_capture(b, 0, 0);
	add_point(b, ALICE, NULL);
	for (unsigned int i = 1; i < 10; i++) {
		send_bytes(b, ALICE, frame_a, sizeof(frame_a));
		capture_flush(b->capture);
		file = read_file(b->path);
		assert_int_equal(count_blocks(&file, BLOCK_PACKET), i);
		free(file.data);
	}
	free(end_capture(b).data);
}

static void
frames_reach_the_file_by_themselves(void **state)
{
	const struct timespec moment = { .tv_nsec = 5000000 };
	struct bench *b = *state;
	unsigned int n = 0;

	use_real_loop(b);
	begin_capture(b, 0, 0);
	add_point(b, ALICE, NULL);
	send_bytes(b, ALICE, frame_a, sizeof(frame_a));
	/* Soon; but on a busy machine let it be late rather than failed. */
	for (int tries = 0; n == 0 && tries < 2000; tries++) {
		struct bytes file = read_file(b->path);

		n = count_blocks(&file, BLOCK_PACKET);
		free(file.data);
		nanosleep(&moment, NULL);
	}
	assert_int_equal(n, 1);
	free(end_capture(b).data);
}

static void
full_disk_is_reported(void **state)
{
	struct bench *b = *state;

	b->capture = capture_new(b->loop, "/dev/full", NULL, &b->err);
	assert_non_null(b->capture);
	add_point(b, ALICE, NULL);
	send_bytes(b, ALICE, frame_a, sizeof(frame_a));
	capture_flush(b->capture);
	assert_int_equal(capture_stats(b->capture).error, -ENOSPC);
	send_bytes(b, ALICE, frame_a, sizeof(frame_a));
	assert_int_equal(capture_stats(b->capture).lost, 1);
	assert_int_equal(capture_free(b->capture, &b->err), -ENOSPC);
	b->capture = NULL;
	assert_string_equal(b->err.text,
	    "/dev/full: the capture is not whole: cannot write: "
	    "No space left on device");
}

static void
cut_off_file_ends_with_a_whole_block(void **state)
{
	struct rlimit before, small = { .rlim_cur = 500 * 1000 };
	struct bench *b = *state;
	struct bytes file;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	begin_capture(b, 0, 0);
	add_point(b, ALICE, NULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (uint32_t i = 0; i < 100; i++)
		send_numbered(b, ALICE, BURST_MAX, 1001, i * BURST_MAX);
	assert_int_equal(capture_free(b->capture, &b->err), -EFBIG);
	b->capture = NULL;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	file = read_file(b->path);
	assert_in_range(file.n, 200 * 1000, 500 * 1000);
	assert_true(count_blocks(&file, BLOCK_PACKET) > 100);
	free(file.data);
}

static void
file_that_cannot_be_made_is_refused(void **state)
{
	struct bench *b = *state;
	char want[256], path[128];

	snprintf(path, sizeof(path), "%s/nowhere/t.pcapng", b->dir);
	snprintf(want, sizeof(want),
	    "%s: cannot write: No such file or directory; make its directory "
	    "first",
	    path);
	assert_null(capture_new(b->loop, path, NULL, &b->err));
	assert_string_equal(b->err.text, want);
	err_clear(&b->err);
	assert_null(capture_new(b->loop, b->dir, NULL, &b->err));
	assert_non_null(strstr(b->err.text, "give the name of a file"));
}

static void
pipe_without_a_reader_is_refused(void **state)
{
	struct bench *b = *state;

	assert_int_equal(mkfifo(b->path, 0600), 0);
	assert_null(capture_new(b->loop, b->path, NULL, &b->err));
	assert_non_null(
	    strstr(b->err.text, "start the program that reads the pipe first"));
}

static void
reader_that_goes_away_is_an_error_only(void **state)
{
	struct bench *b = *state;
	int fd;

	assert_int_equal(mkfifo(b->path, 0600), 0);
	fd = open(b->path, O_RDONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	begin_capture(b, 0, 0);
	add_point(b, ALICE, NULL);
	send_bytes(b, ALICE, frame_a, sizeof(frame_a));
	capture_flush(b->capture);
	assert_int_equal(capture_stats(b->capture).error, 0);
	close(fd);
	send_bytes(b, ALICE, frame_a, sizeof(frame_a));
	assert_int_equal(capture_free(b->capture, &b->err), -EPIPE);
	b->capture = NULL;
}

static void
reader_that_sleeps_does_not_keep_us(void **state)
{
	struct bench *b = *state;
	int fd;

	use_real_loop(b);
	assert_int_equal(mkfifo(b->path, 0600), 0);
	fd = open(b->path, O_RDONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	begin_capture(b, 0, 1u << 20);
	add_point(b, ALICE, NULL);
	for (uint32_t i = 0; i < 100; i++)
		send_numbered(b, ALICE, BURST_MAX, 1000, 0);
	assert_true(capture_stats(b->capture).lost > 1000);
	assert_int_equal(capture_free(b->capture, &b->err), -ETIMEDOUT);
	b->capture = NULL;
	close(fd);
}

static void
dash_is_standard_output(void **state)
{
	struct bench *b = *state;
	int file = open(b->path, O_WRONLY | O_CREAT, 0600);
	int out = dup(STDOUT_FILENO);
	struct bytes got;

	assert_true(file >= 0 && out >= 0);
	fflush(stdout);
	dup2(file, STDOUT_FILENO);
	b->capture = capture_new(b->loop, "-", NULL, &b->err);
	dup2(out, STDOUT_FILENO);
	close(out);
	close(file);
	assert_non_null(b->capture);
	add_point(b, ALICE, NULL);
	send_bytes(b, ALICE, frame_a, sizeof(frame_a));
	got = end_capture(b);
	assert_int_equal(count_blocks(&got, BLOCK_PACKET), 1);
	free(got.data);
}

static void
no_capture_is_fine(void **state)
{
	(void)state;
	assert_int_equal(capture_free(NULL, NULL), 0);
}

/* ---- other people's readers ---- */

static unsigned int
read_by_libpcap(const char *path, uint64_t *last_ns, uint32_t *snaplen)
{
	char text[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline_with_tstamp_precision(
	    path, PCAP_TSTAMP_PRECISION_NANO, text);
	struct pcap_pkthdr *header;
	const u_char *data;
	unsigned int n = 0;
	int got;

	assert_non_null(pcap);
	assert_int_equal(pcap_datalink(pcap), DLT_EN10MB);
	*snaplen = (uint32_t)pcap_snapshot(pcap);
	while ((got = pcap_next_ex(pcap, &header, &data)) == 1) {
		n++;
		*last_ns = (uint64_t)header->ts.tv_sec * NS_PER_S +
		    (uint64_t)header->ts.tv_usec;
	}
	assert_int_equal(got, PCAP_ERROR_BREAK);
	pcap_close(pcap);
	return n;
}

static void
libpcap_reads_both_formats(void **state)
{
	static const char *const suffixes[] = { "pcapng", "pcap" };
	struct bench *b = *state;

	for (int k = 0; k < 2; k++) {
		struct later later = { .bench = b };
		uint64_t last_ns;
		uint32_t snaplen;

		snprintf(
		    b->path, sizeof(b->path), "%s/t.%s", b->dir, suffixes[k]);
		begin_capture(b, 100, 0);
		add_point(b, ALICE, NULL);
		add_point(b, SERVER, NULL);
		loop_timer_init(&later.timer, b->loop, send_later, &later);
		loop_timer_set(&later.timer,
		    loop_now_ns(b->loop) + 3 * NS_PER_S + 123456789);
		for (uint32_t i = 0; i < 100; i++)
			send_numbered(b, ALICE, BURST_MAX, 300, 0);
		loop_run(b->loop);
		assert_int_equal(capture_free(b->capture, &b->err), 0);
		b->capture = NULL;
		assert_int_equal(
		    read_by_libpcap(b->path, &last_ns, &snaplen), 12802);
		assert_true(last_ns == loop_now_ns(b->loop));
		assert_int_equal(snaplen, 100);
		unlink(b->path);
	}
}

static void
cut_off_classic_file_ends_with_a_whole_frame(void **state)
{
	struct rlimit before, small = { .rlim_cur = 500 * 1000 };
	struct bench *b = *state;
	uint64_t last_ns;
	uint32_t snaplen;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	snprintf(b->path, sizeof(b->path), "%s/t.pcap", b->dir);
	begin_capture(b, 0, 0);
	add_point(b, ALICE, NULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (uint32_t i = 0; i < 100; i++)
		send_numbered(b, ALICE, BURST_MAX, 1001, 0);
	assert_int_equal(capture_free(b->capture, &b->err), -EFBIG);
	b->capture = NULL;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_in_range(read_by_libpcap(b->path, &last_ns, &snaplen), 100, 500);
}

/* What a program prints about the file; NULL: it is not installed. */
static char *
output_of(const char *program, const char *arguments, const char *path)
{
	char line[512], *text = NULL;
	size_t n = 0;
	FILE *f;

	snprintf(line, sizeof(line), "command -v %s >/dev/null", program);
	if (system(line) != 0)
		return NULL;
	snprintf(line, sizeof(line), "%s %s %s 2>/dev/null", program, arguments,
	    path);
	f = popen(line, "r");
	assert_non_null(f);
	if (getdelim(&text, &n, '\0', f) < 0) {
		free(text);
		text = strdup("");
	}
	assert_int_equal(pclose(f), 0);
	return text;
}

static void
tshark_shows_names_directions_and_comments(void **state)
{
	static uint8_t data[8192];
	struct bench *b = *state;
	size_t len = write_unfinished(data, sizeof(data), 4000);
	struct burst burst;
	char *text;

	begin_capture(b, 0, 0);
	add_point(b, INSIDE, NULL);
	add_point(b, OUTSIDE, NULL);
	send_bytes(b, ALICE, frame_ff, sizeof(frame_ff));
	burst_clear(&burst);
	add_unfinished(&burst, data, len, FRAME_CSUM | FRAME_TSO4, 1448);
	port_send(&b->port[ALICE], &burst);
	free(end_capture(b).data);

	text = output_of("tshark",
	    "-n -c 2 -T fields -e frame.interface_name "
	    "-e frame.packet_flags_direction -e frame.comment -r",
	    b->path);
	if (text == NULL) {
		print_message("tshark is not installed\n");
		skip();
	}
	assert_string_equal(text,
	    "gw.inside\t0x00000001\tgw: translated outwards by NAT entry 3 -> "
	    "gw.outside\n"
	    "gw.outside\t0x00000002\tgw: translated outwards by NAT entry 3 -> "
	    "gw.outside; internet: dropped (no-other-port): no other port to "
	    "flood it to\n");
	free(text);
	text = output_of("tshark",
	    "-n -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE "
	    "-Y 'tcp.checksum.status == 1 && ip.checksum.status == 1' "
	    "-T fields -e tcp.len -r",
	    b->path);
	assert_non_null(text);
	assert_string_equal(text, "1448\n1448\n1104\n1448\n1448\n1104\n");
	free(text);
}

static void
capinfos_counts_interfaces_and_losses(void **state)
{
	static uint8_t large[3000];
	struct bench *b = *state;
	char *text;

	begin_capture(b, 0, SMALL_RING);
	add_point(b, INSIDE, NULL);
	add_point(b, OUTSIDE, "icmp");
	send_bytes(b, ALICE, large, sizeof(large));
	send_bytes(b, ALICE, frame_a, sizeof(frame_a));
	free(end_capture(b).data);
	text = output_of("capinfos", "-M", b->path);
	if (text == NULL) {
		print_message("capinfos is not installed\n");
		skip();
	}
	assert_non_null(strstr(text, "Number of packets:   1\n"));
	assert_non_null(strstr(text, "Name = gw.inside\n"));
	assert_non_null(strstr(text, "Name = gw.outside\n"));
	assert_non_null(strstr(text, "Time precision = nanoseconds (9)\n"));
	assert_non_null(strstr(text, "Filter string = icmp\n"));
	assert_non_null(strstr(text, "lanyard"));
	free(text);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_ring_of_compressed_files_keeps_the_newest_whole),
		TEST(a_file_ends_with_its_time),
		TEST(names_of_files_count_before_their_endings),
		TEST(frame_stands_before_those_it_causes),
		TEST(facts_carry_journeys_through_nodes_and_verdicts),
		TEST(burst_stands_before_those_it_causes),
		TEST(drops_say_why),
		TEST(interfaces_are_described_in_order),
		TEST(stamps_are_the_loops),
		TEST(snaplen_keeps_the_beginning),
		TEST(filter_lets_through_what_it_says),
		TEST(filter_that_is_none_is_refused_with_its_text),
		TEST(frame_in_pieces_is_whole),
		TEST(superframe_is_shown_as_its_segments),
		TEST(unfinished_checksum_is_finished),
		TEST(superframe_that_lies_is_shown_as_it_is),
		TEST(lost_frames_are_counted_in_the_file),
		TEST(frame_too_large_for_the_ring_is_lost_alone),
		TEST(virtual_loop_waits_instead_of_losing),
		TEST(two_virtual_runs_give_the_same_bytes),
		TEST(runs_of_built_in_nodes_give_the_same_bytes),
		TEST(capture_may_end_while_a_burst_is_on_its_way),
		TEST(removed_port_may_go_away),
		TEST(several_captures_watch_one_port),
		TEST(flush_brings_everything_into_the_file),
		TEST(frames_reach_the_file_by_themselves),
		TEST(full_disk_is_reported),
		TEST(cut_off_file_ends_with_a_whole_block),
		TEST(file_that_cannot_be_made_is_refused),
		TEST(pipe_without_a_reader_is_refused),
		TEST(reader_that_goes_away_is_an_error_only),
		TEST(reader_that_sleeps_does_not_keep_us),
		TEST(dash_is_standard_output),
		TEST(no_capture_is_fine),
		TEST(libpcap_reads_both_formats),
		TEST(cut_off_classic_file_ends_with_a_whole_frame),
		TEST(tshark_shows_names_directions_and_comments),
		TEST(capinfos_counts_interfaces_and_losses),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
