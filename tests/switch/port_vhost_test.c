/*
 * The vhost-user port against a front end that does anything: real sockets,
 * memory and rings, one loop that runs when the front end waits.
 *
 *     front ==socket, rings== alice.eth0 ---cable--- bob.eth0 ==== front
 */
#include "switch/port_vhost.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "tests/switch/vhost_frontend.h"

static const struct port_kind *const kinds[] = { &port_vhost, NULL };

#define BIT(n) (UINT64_C(1) << (n))

#define PROTOCOL BIT(VHOST_F_PROTOCOL_FEATURES)
#define MODERN   (PROTOCOL | BIT(VIRTIO_F_VERSION_1))
#define MERGE    BIT(VIRTIO_NET_F_MRG_RXBUF)
#define EVENT    BIT(VRING_F_EVENT_IDX)
#define INDIRECT BIT(VRING_F_INDIRECT_DESC)
#define SENDS                                                   \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) | \
	    BIT(VIRTIO_NET_F_HOST_TSO6))
#define RECEIVES                                                       \
	(BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) | \
	    BIT(VIRTIO_NET_F_GUEST_TSO6))

#define SIZE   64   /* of rings */
#define STRIDE 2048 /* of buffers */
#define MEMORY (16 << 20)

struct side {
	struct node node;
	struct port *port;
	char path[128];
	struct front front;
};

struct world {
	struct loop *loop;
	struct loop_defer stop;
	unsigned int rounds;
	char dir[64];
	struct side a, b;
	int fds; /* open descriptors at the start */
};

static int
open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

/* Runs the loop for some rounds: all that is under way happens. */
static void
round_over(void *arg)
{
	struct world *w = arg;

	if (--w->rounds == 0)
		loop_stop(w->loop);
	else
		loop_defer_ask(&w->stop);
}

static void
pump(void *arg)
{
	struct world *w = arg;

	w->rounds = 8;
	loop_defer_ask(&w->stop);
	loop_run(w->loop);
}

static void
side_open(struct world *w, struct side *side, const char *name)
{
	char port[NODE_NAME_BYTES], locator[160];
	struct err err = { "" };

	node_init(&side->node, name);
	snprintf(port, sizeof(port), "%s.eth0", name);
	snprintf(side->path, sizeof(side->path), "%s/%s", w->dir, name);
	snprintf(locator, sizeof(locator), "vhost-user:%s", side->path);
	side->port =
	    port_open(kinds, w->loop, &side->node, port, locator, &err);
	assert_string_equal(err.text, "");
	assert_non_null(side->port);
	front_init(&side->front, MEMORY);
	side->front.pump = pump;
	side->front.arg = w;
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	log_set_level(LOG_ERROR);
	w->fds = open_fds();
	w->loop = loop_new(LOOP_REAL, NULL);
	loop_defer_init(&w->stop, w->loop, round_over, w);
	strcpy(w->dir, "/tmp/vhost-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	side_open(w, &w->a, "alice");
	side_open(w, &w->b, "bob");
	assert_int_equal(cable_join(w->a.port, w->b.port), 0);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	front_free(&w->a.front);
	front_free(&w->b.front);
	port_close(w->a.port);
	port_close(w->b.port);
	loop_free(w->loop);
	assert_int_not_equal(access(w->a.path, F_OK), 0);
	assert_int_equal(rmdir(w->dir), 0);
	assert_int_equal(open_fds(), w->fds);
	free(w);
	return 0;
}

static void
start_with(struct side *side, uint64_t features, uint16_t size, uint32_t stride)
{
	assert_true(
	    front_start(&side->front, side->path, features, size, stride));
	pump(side->front.arg);
	assert_true(port_vhost_stats(side->port).ready);
}

static void
start(struct side *side, uint64_t features)
{
	start_with(side, features, SIZE, STRIDE);
}

static void
make_frame(uint8_t *frame, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(i * 7 + seed);
	frame[0] = 2;
	frame[6] = 2;
}

/* A frame sent at from arrives at to as it is. */
static void
passes(struct side *from, struct side *to, size_t len, unsigned int seed)
{
	uint8_t frame[FRAME_MAX_BYTES], got[FRAME_MAX_BYTES], header[12];

	make_frame(frame, len, seed);
	front_transmit(&from->front, 1, NULL, frame, len);
	pump(from->front.arg);
	assert_int_equal(
	    front_receive(&to->front, 0, header, got, sizeof(got)), len);
	assert_memory_equal(got, frame, len);
}

/* ---- frames ---- */

static void
frames_pass_both_ways_with_every_set_of_features(void **state)
{
	static const uint64_t sets[] = { 0, MERGE, MODERN, PROTOCOL,
		MODERN | EVENT, MODERN | EVENT | MERGE | INDIRECT,
		MODERN | MERGE | SENDS | RECEIVES, EVENT };
	struct world *w = *state;

	for (unsigned int i = 0; i < 8; i++) {
		start(&w->a, sets[i]);
		start(&w->b, sets[7 - i]);
		for (unsigned int k = 0; k < 3 * SIZE; k++) {
			passes(&w->a, &w->b, 60 + k, k);
			passes(&w->b, &w->a, 1514 - k, k);
		}
		front_disconnect(&w->a.front);
		front_disconnect(&w->b.front);
		pump(w);
		w->a.front.used = w->b.front.used = 0;
		memset(w->a.front.mem, 0, MEMORY);
		memset(w->b.front.mem, 0, MEMORY);
	}
	assert_int_equal(w->b.node.count[REASON_DELIVERED], 8 * 3 * SIZE);
	assert_int_equal(w->a.port->out_drops, 0);
}

static void
one_kick_moves_a_whole_ring(void **state)
{
	struct world *w = *state;
	uint8_t frame[100], got[100], header[12];
	uint64_t kicks, calls;
	unsigned int n = 0;

	start_with(&w->a, MODERN | EVENT, 512, 256);
	start_with(&w->b, MODERN | EVENT, 512, 256);
	kicks = port_vhost_stats(w->a.port).kicks;
	calls = port_vhost_stats(w->b.port).calls;
	make_frame(frame, sizeof(frame), 1);
	for (unsigned int i = 0; i < 512; i++)
		front_transmit(&w->a.front, 1, NULL, frame, sizeof(frame));
	pump(w);
	while (front_receive(&w->b.front, 0, header, got, sizeof(got)) != 0)
		n++;
	assert_int_equal(n, 512);
	assert_true(port_vhost_stats(w->a.port).kicks - kicks == 1);
	assert_true(port_vhost_stats(w->b.port).calls - calls <= 4);
}

static void
no_call_for_a_guest_that_polls(void **state)
{
	struct world *w = *state;
	uint64_t count;

	start(&w->a, MODERN);
	start(&w->b, MODERN);
	(void)!read(w->b.front.queue[0].call, &count, sizeof(count));
	w->b.front.queue[0].avail[0] = 1; /* VRING_AVAIL_F_NO_INTERRUPT */
	passes(&w->a, &w->b, 100, 1);
	assert_true(read(w->b.front.queue[0].call, &count, sizeof(count)) < 0);
	w->b.front.queue[0].avail[0] = 0;
	passes(&w->a, &w->b, 100, 2);
	assert_true(read(w->b.front.queue[0].call, &count, sizeof(count)) == 8);
}

static void
a_ring_without_kick_descriptor_is_polled(void **state)
{
	struct world *w = *state;
	struct front *front = &w->a.front;
	uint8_t frame[100], got[100], header[12];

	start(&w->b, MODERN);
	start(&w->a, MODERN);
	assert_true(front_fd(front, VHOST_SET_VRING_KICK, 1, -1));
	make_frame(frame, sizeof(frame), 1);
	front->queue[1].used[0] = 1; /* so that no kick is sent */
	front_transmit(front, 1, NULL, frame, sizeof(frame));
	pump(w);
	assert_int_equal(front_receive(&w->b.front, 0, header, got, 100), 100);
}

static void
a_long_frame_is_spread_over_merged_buffers(void **state)
{
	struct world *w = *state;
	uint8_t frame[9000], got[FRAME_MAX_BYTES], header[12];

	start_with(&w->a, MODERN | MERGE, SIZE, 16384);
	start(&w->b, MODERN | MERGE);
	make_frame(frame, sizeof(frame), 3);
	for (unsigned int i = 0; i < 40; i++) {
		front_transmit(&w->a.front, 1, NULL, frame, sizeof(frame));
		pump(w);
		assert_int_equal(
		    front_receive(&w->b.front, 0, header, got, sizeof(got)),
		    sizeof(frame));
		assert_memory_equal(got, frame, sizeof(frame));
		assert_int_equal(header[10], 5);
	}
}

static void
a_frame_for_too_many_buffers_is_refused(void **state)
{
	struct world *w = *state;
	uint8_t frame[9000], got[2000], header[12];

	start_with(&w->a, MODERN | MERGE, SIZE, 16384);
	start_with(&w->b, MODERN | MERGE, 1024, 16);
	make_frame(frame, sizeof(frame), 3);
	front_transmit(&w->a.front, 1, NULL, frame, sizeof(frame));
	pump(w);
	assert_int_equal(w->b.node.count[DROP_RING_PIECES], 1);
	assert_int_equal(
	    front_receive(&w->b.front, 0, header, got, sizeof(got)), 0);
	passes(&w->a, &w->b, 2000, 4); /* 126 of them */
	front_transmit(&w->a.front, 1, NULL, frame, 16 * 129 - 12);
	pump(w);
	assert_int_equal(w->b.node.count[DROP_RING_PIECES], 2);
}

static void
a_long_frame_without_merged_buffers_is_too_long(void **state)
{
	struct world *w = *state;
	uint8_t frame[9000], got[FRAME_MAX_BYTES], header[12];

	start_with(&w->a, MODERN, SIZE, 16384);
	start(&w->b, MODERN);
	make_frame(frame, sizeof(frame), 3);
	front_transmit(&w->a.front, 1, NULL, frame, sizeof(frame));
	pump(w);
	assert_int_equal(
	    front_receive(&w->b.front, 0, header, got, sizeof(got)), 0);
	assert_int_equal(w->b.node.count[DROP_TOO_LONG], 1);
	passes(&w->a, &w->b, 1514, 4);
}

/* A frame in pieces of n bytes each, behind a header alone or not. */
static void
transmit_pieces(struct front *front, const uint8_t *frame, size_t len, size_t n,
    bool indirect)
{
	struct front_queue *queue = &front->queue[1];
	uint8_t *at = queue->buffer;
	struct vring_slot *table =
	    indirect ? (struct vring_slot *)(void *)(at + 32768) : queue->desc;
	size_t bytes = front->header_bytes + len;
	unsigned int i = 0;

	memset(at, 0, front->header_bytes);
	memcpy(at + front->header_bytes, frame, len);
	for (size_t done = 0; done < bytes; done += n, i++)
		table[i] = (struct vring_slot){ .addr = front_address(
						    front, at + done),
			.len = (uint32_t)(bytes - done < n ? bytes - done : n),
			.flags = VRING_SLOT_NEXT,
			.next = (uint16_t)(i + 1) };
	table[i - 1].flags = 0;
	if (indirect)
		queue->desc[0] =
		    (struct vring_slot){ .addr = front_address(front, table),
			    .len = 16 * i,
			    .flags = VRING_SLOT_INDIRECT };
	front_offer(queue, 0);
	front_publish(queue);
	front_kick(queue);
}

static void
a_frame_may_be_in_pieces_of_any_size(void **state)
{
	struct world *w = *state;
	uint8_t frame[1514], got[FRAME_MAX_BYTES], header[12];

	start_with(&w->a, MODERN | INDIRECT, 256, 4096);
	start(&w->b, MODERN);
	for (size_t n = 7; n < 1600; n = n * 4 / 3) {
		for (unsigned int indirect = 0; indirect < 2; indirect++) {
			make_frame(frame, sizeof(frame), (unsigned int)n);
			transmit_pieces(
			    &w->a.front, frame, sizeof(frame), n, indirect);
			pump(w);
			assert_int_equal(front_receive(&w->b.front, 0, header,
					     got, sizeof(got)),
			    sizeof(frame));
			assert_memory_equal(got, frame, sizeof(frame));
		}
	}
	assert_int_equal(w->a.port->out_drops, 0);
}

/* An unfinished TCP segment, as Linux hands it over. */
static void
make_tcp(uint8_t *frame, uint8_t header[12], size_t len, uint16_t gso)
{
	static const uint8_t head[54] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8,
		0, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10,
		0, 0, 2, 0x10, 0, 0x20, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10,
		0xff, 0xff, 0, 0, 0, 0 };

	make_frame(frame, len, 9);
	memcpy(frame, head, sizeof(head));
	frame[16] = (uint8_t)((len - 14) >> 8);
	frame[17] = (uint8_t)(len - 14);
	memset(header, 0, 12);
	header[0] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	header[6] = 34; /* csum_start */
	header[8] = 16; /* csum_offset */
	if (gso != 0) {
		header[1] = VIRTIO_NET_HDR_GSO_TCPV4;
		header[2] = 54;
		header[4] = (uint8_t)gso;
		header[5] = (uint8_t)(gso >> 8);
	}
}

static void
offloads_travel_from_guest_to_guest(void **state)
{
	static uint8_t frame[65000], got[FRAME_MAX_BYTES];
	struct world *w = *state;
	uint8_t header[12], arrived[12];

	start_with(&w->a, MODERN | MERGE | SENDS | RECEIVES, SIZE, 65600);
	start(&w->b, MODERN | MERGE | SENDS | RECEIVES);
	make_tcp(frame, header, sizeof(frame), 1448);
	front_transmit(&w->a.front, 1, header, frame, sizeof(frame));
	pump(w);
	assert_int_equal(
	    front_receive(&w->b.front, 0, arrived, got, sizeof(got)),
	    sizeof(frame));
	assert_memory_equal(got, frame, sizeof(frame));
	assert_memory_equal(arrived, header, 10);
	assert_int_equal(arrived[10], 32); /* 65012 bytes, 2048 each */
}

static void
a_guest_that_agreed_to_nothing_gets_finished_segments(void **state)
{
	static uint8_t frame[10054], got[FRAME_MAX_BYTES];
	struct world *w = *state;
	uint8_t header[12];
	unsigned int n = 0;
	size_t len;

	start_with(&w->a, MODERN | SENDS, SIZE, 16384);
	start(&w->b, MODERN);
	make_tcp(frame, header, sizeof(frame), 1000);
	front_transmit(&w->a.front, 1, header, frame, sizeof(frame));
	pump(w);
	while ((len = front_receive(
		    &w->b.front, 0, header, got, sizeof(got))) != 0) {
		assert_int_equal(len, 1054);
		assert_int_equal(header[0] | header[1], 0);
		assert_memory_equal(got + 54, frame + 54 + 1000 * n, 1000);
		n++;
	}
	assert_int_equal(n, 10);
}

static void
header_that_contradicts_its_frame_is_refused(void **state)
{
	static const struct {
		uint8_t at, value;
	} lies[] = {
		{ 6, 13 },   /* begins within the Ethernet header */
		{ 7, 0xff }, /* begins beyond the frame */
		{ 9, 0xff }, /* is stored beyond the frame */
		{ 1, 3 },    /* UDP segmentation, not offered */
		{ 1, 4 },    /* IPv6, not negotiated */
		{ 8, 6 },    /* TCP to be cut, checksum elsewhere */
		{ 0, 0 },    /* to be cut without checksum */
	};
	struct world *w = *state;
	uint8_t frame[1514], header[12];

	start(&w->a,
	    MODERN | BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4));
	start(&w->b, MODERN | RECEIVES);
	for (unsigned int i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		make_tcp(frame, header, sizeof(frame), 500);
		header[lies[i].at] = lies[i].value;
		front_transmit(&w->a.front, 1, header, frame, sizeof(frame));
		pump(w);
		assert_int_equal(w->a.node.count[DROP_VNET_HEADER], i + 1);
	}
	assert_int_equal(w->b.node.count[REASON_DELIVERED], 0);
}

static void
offloads_that_were_not_agreed_on_are_refused(void **state)
{
	struct world *w = *state;
	uint8_t frame[1000], header[12];

	start(&w->a, MODERN);
	start(&w->b, MODERN | RECEIVES);
	make_tcp(frame, header, sizeof(frame), 0);
	front_transmit(&w->a.front, 1, header, frame, sizeof(frame));
	pump(w);
	assert_int_equal(w->a.node.count[DROP_VNET_HEADER], 1);
}

static void
frames_for_a_guest_that_is_not_ready_are_refused(void **state)
{
	struct world *w = *state;
	uint8_t frame[100];

	start(&w->a, MODERN);
	make_frame(frame, sizeof(frame), 1);
	front_transmit(&w->a.front, 1, NULL, frame, sizeof(frame));
	pump(w);
	assert_int_equal(w->b.node.count[DROP_NOT_READY], 1);
	assert_int_equal(w->a.port->out_drops, 1);
}

static void
frames_beyond_the_buffers_offered_are_refused(void **state)
{
	struct world *w = *state;
	uint8_t frame[100], got[100], header[12];
	unsigned int n = 0;

	start_with(&w->a, MODERN, 2 * SIZE, 256);
	start(&w->b, MODERN);
	make_frame(frame, sizeof(frame), 1);
	for (unsigned int i = 0; i < 2 * SIZE; i++)
		front_transmit(&w->a.front, 1, NULL, frame, sizeof(frame));
	pump(w);
	assert_int_equal(w->b.node.count[DROP_RING_EMPTY], SIZE);
	while (front_receive(&w->b.front, 0, header, got, 100) != 0)
		n++;
	assert_int_equal(n, SIZE);
	passes(&w->a, &w->b, 100, 5);
}

static void
a_disabled_ring_is_emptied_without_effect(void **state)
{
	struct world *w = *state;
	uint8_t frame[100];
	uint32_t bytes;
	uint16_t head;

	start(&w->a, MODERN);
	start(&w->b, MODERN);
	assert_true(front_state(&w->a.front, VHOST_SET_VRING_ENABLE, 1, 0));
	make_frame(frame, sizeof(frame), 1);
	front_transmit(&w->a.front, 1, NULL, frame, sizeof(frame));
	pump(w);
	assert_true(front_used(&w->a.front.queue[1], &head, &bytes));
	assert_int_equal(w->a.node.count[DROP_NOT_READY], 1);
	assert_int_equal(w->b.node.count[REASON_DELIVERED], 0);
	assert_true(front_state(&w->a.front, VHOST_SET_VRING_ENABLE, 1, 1));
	passes(&w->a, &w->b, 100, 2);
}

static bool
says_up(struct side *side)
{
	struct vhost_msg msg = { .request = VHOST_GET_LINK };
	uint64_t up = 2;

	assert_true(front_ask(&side->front, &msg, false, &up));
	assert_in_range(up, 0, 1);
	return up;
}

static void
the_front_end_is_told_of_its_link(void **state)
{
	struct world *w = *state;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct vhost_msg call = {
		.request = VHOST_SET_LINK_CALL, .nfds = 1, .fd = { fd }
	};
	uint64_t count;

	start(&w->a, MODERN | BIT(VHOST_F_PROTOCOL_FEATURES));
	assert_true(front_ask(&w->a.front, &call, false, NULL));
	assert_true(says_up(&w->a));
	port_set_down(w->b.port, true);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_false(says_up(&w->a));
	port_set_down(w->b.port, false);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_true(says_up(&w->a));
	cable_cut(w->a.port);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_false(says_up(&w->a));
	cable_join(w->a.port, w->b.port);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	/* one that is full was told, too; it does not hold us up */
	count = UINT64_MAX - 1;
	assert_int_equal(write(fd, &count, sizeof(count)), sizeof(count));
	port_set_down(w->b.port, true);
	assert_false(says_up(&w->a));
	/* who has not asked for it is not told */
	assert_true(front_u64(&w->a.front, VHOST_SET_PROTOCOL_FEATURES, 0));
	call.request = VHOST_GET_LINK;
	call.nfds = 0;
	assert_false(front_ask(&w->a.front, &call, false, &count));
	close(fd);
}

static void
frames_beyond_the_mtu_are_refused(void **state)
{
	struct world *w = *state;
	struct vhost_msg msg = { .request = VHOST_NET_SET_MTU, .u64 = 1000 };
	uint8_t frame[1514];
	uint64_t ack = 1;

	start(&w->a, MODERN);
	start(&w->b, MODERN | BIT(VIRTIO_NET_F_MTU));
	assert_true(front_ask(&w->b.front, &msg, true, &ack));
	assert_int_equal(ack, 0);
	passes(&w->a, &w->b, 1014, 1);
	make_frame(frame, sizeof(frame), 1);
	front_transmit(&w->a.front, 1, NULL, frame, sizeof(frame));
	pump(w);
	assert_int_equal(w->b.node.count[DROP_TOO_LONG], 1);
	msg.u64 = 67;
	assert_true(front_ask(&w->b.front, &msg, true, &ack));
	assert_int_not_equal(ack, 0);
	passes(&w->a, &w->b, 1014, 2);
	/* The next front end has its own. */
	front_disconnect(&w->b.front);
	pump(w);
	w->b.front.used = 0;
	memset(w->b.front.mem, 0, MEMORY);
	start(&w->b, MODERN);
	passes(&w->a, &w->b, 1514, 3);
}

static void
several_queue_pairs_all_carry_frames(void **state)
{
	struct world *w = *state;
	struct front *b = &w->b.front;
	uint8_t frame[100], got[100], header[12];
	unsigned int n[2] = { 0, 0 };

	start(&w->a, MODERN);
	start(&w->b, MODERN | BIT(VIRTIO_NET_F_MQ));
	for (unsigned int q = 2; q < 4; q++)
		front_layout(b, q, SIZE, STRIDE);
	front_fill(b, 2);
	assert_true(front_start_queue(b, 2, false));
	assert_true(front_start_queue(b, 3, false));
	for (unsigned int i = 0; i < 64; i++) {
		make_frame(frame, sizeof(frame), 1);
		frame[35] = (uint8_t)i;
		front_transmit(&w->a.front, 1, NULL, frame, sizeof(frame));
		pump(w);
	}
	for (unsigned int q = 0; q < 4; q += 2)
		while (front_receive(b, q, header, got, 100) != 0)
			n[q / 2]++;
	assert_int_equal(n[0] + n[1], 64);
	assert_true(n[0] > 8 && n[1] > 8);
	front_transmit(b, 3, NULL, frame, sizeof(frame));
	pump(w);
	assert_int_equal(front_receive(&w->a.front, 0, header, got, 100), 100);
}

/* ---- rings that lie ---- */

#define GUEST_END (FRONT_GUEST + MEMORY)

/* What a guest may write into slot 0 of its ring, and what becomes of it. */
static const struct lie {
	const char *name;
	struct vring_slot slot;
	enum reason reason;
} lies[] = {
	{ "outside memory", { 0, 100, 0, 0 }, DROP_RING_ADDRESS },
	{ "beyond the end", { GUEST_END - 50, 100, 0, 0 }, DROP_RING_ADDRESS },
	{ "overflowing", { UINT64_MAX - 50, 100, 0, 0 }, DROP_RING_ADDRESS },
	{ "all of memory and more", { FRONT_GUEST, UINT32_MAX, 0, 0 },
	    DROP_RING_ADDRESS },
	{ "of no length", { FRONT_GUEST, 0, 0, 0 }, DROP_SHORT },
	{ "shorter than a header", { FRONT_GUEST, 11, 0, 0 }, DROP_SHORT },
	{ "cut in the Ethernet header", { FRONT_GUEST, 25, 0, 0 }, DROP_SHORT },
	{ "longer than any frame", { FRONT_GUEST, 70000, 0, 0 },
	    DROP_TOO_LONG },
	{ "for the device to write", { FRONT_GUEST, 100, VRING_SLOT_WRITE, 0 },
	    DROP_RING_DIRECTION },
	{ "a loop", { FRONT_GUEST, 1, VRING_SLOT_NEXT, 0 }, DROP_RING_CHAIN },
	{ "next outside the table", { FRONT_GUEST, 100, VRING_SLOT_NEXT, 64 },
	    DROP_RING_CHAIN },
	{ "indirect of odd length", { FRONT_GUEST, 17, VRING_SLOT_INDIRECT, 0 },
	    DROP_RING_CHAIN },
	{ "indirect of no length", { FRONT_GUEST, 0, VRING_SLOT_INDIRECT, 0 },
	    DROP_RING_CHAIN },
	{ "indirect and next",
	    { FRONT_GUEST, 16, VRING_SLOT_INDIRECT | VRING_SLOT_NEXT, 1 },
	    DROP_RING_CHAIN },
	{ "indirect outside memory", { 0, 16, VRING_SLOT_INDIRECT, 0 },
	    DROP_RING_ADDRESS },
	{ "indirect longer than any",
	    { FRONT_GUEST, 16 * 40000, VRING_SLOT_INDIRECT, 0 },
	    DROP_RING_CHAIN },
};

static void
what_a_transmit_ring_lies_about_is_counted_by_reason(void **state)
{
	struct world *w = *state;
	struct front_queue *queue = &w->a.front.queue[1];

	start(&w->a, MODERN | INDIRECT);
	start(&w->b, MODERN);
	for (unsigned int i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		uint64_t before = w->a.node.count[lies[i].reason];
		uint32_t bytes = 1;
		uint16_t head;

		queue->desc[0] = lies[i].slot;
		front_offer(queue, 0);
		front_publish(queue);
		front_kick(queue);
		pump(w);
		if (w->a.node.count[lies[i].reason] != before + 1)
			fail_msg("%s: not counted as %s", lies[i].name,
			    reason_name(lies[i].reason));
		assert_true(front_used(queue, &head, &bytes));
		assert_int_equal(head, 0);
		assert_int_equal(bytes, 0);
	}
	/* The ring goes on; and a head outside the table is not given back. */
	front_offer(queue, SIZE);
	front_publish(queue);
	front_kick(queue);
	pump(w);
	assert_int_equal(queue->used[1], queue->seen);
	queue->desc[0] =
	    (struct vring_slot){ front_address(&w->a.front, queue->buffer), 112,
		    0, 0 };
	front_offer(queue, 0);
	front_publish(queue);
	front_kick(queue);
	pump(w);
	assert_int_equal(w->b.node.count[REASON_DELIVERED], 1);
	assert_true(port_vhost_stats(w->a.port).connected);
}

static void
what_a_receive_ring_lies_about_costs_one_frame(void **state)
{
	struct world *w = *state;
	struct front_queue *queue = &w->b.front.queue[0];
	uint8_t frame[100];

	start(&w->a, MODERN | INDIRECT);
	start(&w->b, MODERN | INDIRECT);
	make_frame(frame, sizeof(frame), 1);
	for (unsigned int i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct vring_slot *slot = &queue->desc[i];
		enum reason reason = lies[i].reason;
		uint32_t bytes = 1;
		uint64_t before;
		uint16_t head;

		*slot = lies[i].slot;
		slot->flags ^= VRING_SLOT_WRITE;
		if (reason == DROP_SHORT)
			reason = DROP_TOO_LONG; /* for that buffer */
		if (reason == DROP_TOO_LONG && slot->len > 60)
			reason = REASON_DELIVERED; /* room enough */
		if (slot->flags & VRING_SLOT_NEXT && slot->next == 0)
			slot->next = (uint16_t)i; /* a loop */
		before = w->b.node.count[reason];
		front_transmit(&w->a.front, 1, NULL, frame, sizeof(frame));
		pump(w);
		if (w->b.node.count[reason] != before + 1)
			fail_msg("%s: not counted as %s", lies[i].name,
			    reason_name(reason));
		if (reason == DROP_TOO_LONG) { /* it is still on offer */
			slot->addr = 0;
			slot->len = 1;
			front_transmit(
			    &w->a.front, 1, NULL, frame, sizeof(frame));
			pump(w);
		}
		assert_true(front_used(queue, &head, &bytes));
		assert_int_equal(head, i);
		assert_int_equal(bytes, reason == REASON_DELIVERED ? 112 : 0);
	}
	passes(&w->a, &w->b, 100, 2);
}

static void
an_index_that_runs_ahead_stops_the_ring(void **state)
{
	struct world *w = *state;
	uint8_t frame[100];

	start(&w->a, MODERN);
	start(&w->b, MODERN);
	w->a.front.queue[1].next += SIZE + 1;
	front_publish(&w->a.front.queue[1]);
	front_kick(&w->a.front.queue[1]);
	pump(w);
	assert_int_equal(w->a.node.count[DROP_RING_INDEX], 1);
	assert_int_equal(port_vhost_stats(w->a.port).broken_rings, 1);
	pump(w);
	assert_int_equal(w->a.node.count[DROP_RING_INDEX], 1);
	/* Set up anew, it runs again. */
	w->a.front.used = 0;
	memset(w->a.front.mem, 0, MEMORY);
	front_layout(&w->a.front, 1, SIZE, STRIDE);
	assert_true(front_start_queue(&w->a.front, 1, false));
	passes(&w->a, &w->b, 100, 1);
	/* The receive ring likewise; other frames find it not ready. */
	w->b.front.queue[0].next += 2 * SIZE;
	front_publish(&w->b.front.queue[0]);
	make_frame(frame, sizeof(frame), 1);
	for (unsigned int i = 0; i < SIZE + 2; i++) {
		front_transmit(&w->a.front, 1, NULL, frame, sizeof(frame));
		pump(w);
	}
	assert_int_equal(w->b.node.count[DROP_RING_INDEX], 1);
	assert_true(w->b.node.count[DROP_NOT_READY] > 0);
	assert_false(port_vhost_stats(w->b.port).ready);
}

/* Rings and buffers full of noise: whatever happens, it is counted and the
 * rest goes on. */
static void
noise_in_rings_harms_nobody(void **state)
{
	struct world *w = *state;
	uint32_t x = 12345;

	start(&w->b, MODERN | MERGE | RECEIVES);
	for (unsigned int i = 0; i < 30; i++) {
		struct front *front = &w->a.front;

		start(&w->a,
		    MODERN | MERGE | SENDS | RECEIVES | INDIRECT |
			(i & 1 ? EVENT : 0));
		for (unsigned int k = 0; k < 20000; k++) {
			x = x * 1664525 + 1013904223;
			front->mem[(x >> 8) % front->used] = (uint8_t)x;
			if (k % 100 != 0)
				continue;
			front->queue[1].desc[x % SIZE].addr =
			    FRONT_GUEST + x % MEMORY;
			front->queue[1].next += 16;
			front_publish(&front->queue[1]);
			front_kick(&front->queue[1]);
			pump(w);
		}
		front_disconnect(front);
		pump(w);
		front->used = 0;
		memset(front->mem, 0, MEMORY);
	}
	start(&w->a, MODERN);
	while (w->b.front.queue[0].used[1] != w->b.front.queue[0].seen) {
		uint8_t got[FRAME_MAX_BYTES], header[12];

		front_receive(&w->b.front, 0, header, got, sizeof(got));
	}
	passes(&w->a, &w->b, 1514, 1);
}

/* ---- connections ---- */

static void
the_next_front_end_may_come_when_one_left(void **state)
{
	struct world *w = *state;

	start(&w->b, MODERN);
	for (unsigned int i = 0; i < 5; i++) {
		int fds;

		start(&w->a, MODERN | (i & 1 ? EVENT : 0));
		passes(&w->a, &w->b, 100, i);
		fds = open_fds();
		front_disconnect(&w->a.front);
		/* The next may connect before we saw the last one leave. */
		w->a.front.used = 0;
		memset(w->a.front.mem, 0, MEMORY);
		if (i == 2)
			pump(w);
		assert_true(open_fds() <= fds);
	}
	pump(w);
	assert_int_equal(port_vhost_stats(w->a.port).connections, 5);
	assert_false(port_vhost_stats(w->a.port).connected);
	/* The listening socket stays; the front end's, kick and call go. */
}

static void
a_front_end_that_comes_just_before_the_last_left_may_stay(void **state)
{
	struct world *w = *state;
	struct front second;

	start(&w->a, MODERN);
	front_init(&second, MEMORY);
	second.pump = pump;
	second.arg = w;
	assert_int_equal(front_connect(&second, w->a.path), 0);
	front_disconnect(&w->a.front);
	assert_false(front_is_closed(&second));
	assert_int_equal(port_vhost_stats(w->a.port).connections, 2);
	assert_int_equal(port_vhost_stats(w->a.port).turned_away, 0);
	front_free(&second);
}

/* One round of the loop costs little; a listener that cannot accept must not
 * make it run for ever. */
static void
without_descriptors_the_listener_waits(void **state)
{
	struct world *w = *state;
	struct front *front = &w->a.front;
	struct rlimit was, none;
	int lowest = dup(0);

	close(lowest);
	assert_int_equal(front_connect(front, w->a.path), 0);
	getrlimit(RLIMIT_NOFILE, &was);
	none = was;
	none.rlim_cur = (rlim_t)lowest + 1; /* the front end's own */
	setrlimit(RLIMIT_NOFILE, &none);
	pump(w);
	setrlimit(RLIMIT_NOFILE, &was);
	assert_int_equal(port_vhost_stats(w->a.port).connections, 0);
	pump(w); /* it does not even look before a second is over */
	assert_int_equal(port_vhost_stats(w->a.port).connections, 0);
}

static void
a_second_front_end_is_turned_away(void **state)
{
	struct world *w = *state;
	struct front second;

	start(&w->a, MODERN);
	start(&w->b, MODERN);
	front_init(&second, 4096);
	second.pump = pump;
	second.arg = w;
	assert_int_equal(front_connect(&second, w->a.path), 0);
	assert_true(front_is_closed(&second));
	front_free(&second);
	assert_int_equal(port_vhost_stats(w->a.port).turned_away, 1);
	passes(&w->a, &w->b, 100, 1);
}

static void
a_stopped_ring_says_where_it_stands_and_goes_on_from_there(void **state)
{
	struct world *w = *state;
	struct vhost_msg msg = { .request = VHOST_GET_VRING_BASE,
		.state = { 1, 0 } };
	uint8_t frame[100];
	uint64_t base = 0;

	start(&w->a, MODERN);
	start(&w->b, MODERN);
	for (unsigned int i = 0; i < 5; i++)
		passes(&w->a, &w->b, 100, i);
	assert_true(front_ask(&w->a.front, &msg, false, &base));
	assert_int_equal(base, UINT64_C(5) << 32 | 1);
	make_frame(frame, sizeof(frame), 1);
	front_transmit(&w->a.front, 1, NULL, frame, sizeof(frame));
	pump(w);
	assert_int_equal(w->b.node.count[REASON_DELIVERED], 5);
	assert_true(front_fd(
	    &w->a.front, VHOST_SET_VRING_KICK, 1, w->a.front.queue[1].kick));
	assert_int_equal(w->b.node.count[REASON_DELIVERED], 6);
}

static void
memory_slots_come_and_go(void **state)
{
	struct world *w = *state;
	struct vhost_msg add = { .request = VHOST_ADD_MEM_REG,
		.memory = { 1, { { 0x1000, 0x2000, 0x9000, 0x3000 } } },
		.nfds = 1 };
	struct vhost_msg remove = add;
	uint64_t ack = 1, slots = 0;

	start(&w->a, MODERN);
	start(&w->b, MODERN);
	remove.request = VHOST_GET_MAX_MEM_SLOTS;
	remove.nfds = 0;
	assert_true(front_ask(&w->a.front, &remove, false, &slots));
	assert_int_equal(slots, GUEST_REGIONS_MAX);
	add.fd[0] = w->a.front.memfd;
	assert_true(front_ask(&w->a.front, &add, true, &ack));
	assert_int_equal(ack, 0);
	add.memory.region[0].offset = 0; /* something else at the same place */
	assert_true(front_ask(&w->a.front, &add, true, &ack));
	assert_int_not_equal(ack, 0);
	remove.request = VHOST_REM_MEM_REG;
	assert_true(front_ask(&w->a.front, &remove, true, &ack));
	assert_int_equal(ack, 0);
	assert_true(front_ask(&w->a.front, &remove, true, &ack));
	assert_int_not_equal(ack, 0);
	passes(&w->a, &w->b, 100, 1);
	/* Without the memory of its rings a guest is not ready. */
	remove.memory.region[0] =
	    (struct vhost_region){ FRONT_GUEST, MEMORY, FRONT_USER, 0 };
	assert_true(front_ask(&w->a.front, &remove, true, &ack));
	assert_int_equal(ack, 0);
	assert_false(port_vhost_stats(w->a.port).ready);
}

static void
memory_cut_short_costs_the_front_end_its_place(void **state)
{
	struct world *w = *state;
	struct front *front = &w->a.front;
	int fd = memfd_create("unsealed", MFD_CLOEXEC);
	uint8_t frame[100];

	start(&w->b, MODERN);
	close(front->memfd);
	munmap(front->mem, front->bytes);
	front->memfd = fd;
	assert_int_equal(ftruncate(fd, MEMORY), 0);
	front->mem =
	    mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	start(&w->a, MODERN);
	passes(&w->a, &w->b, 100, 1);
	make_frame(frame, sizeof(frame), 1);
	front_transmit(front, 1, NULL, frame, sizeof(frame));
	assert_int_equal(ftruncate(fd, 0), 0);
	pump(w);
	assert_true(front_is_closed(front));
	assert_int_equal(
	    port_vhost_stats(w->a.port).refused[VHOST_BAD_MEMORY], 1);
}

/* ---- messages that are wrong ---- */

static void
bytes_that_are_no_message_close_the_connection(void **state)
{
	static const struct {
		uint32_t word[16];
		unsigned int nwords, nfds;
		enum vhost_refusal refusal;
	} bad[] = {
		{ { 1, 0, 0 }, 3, 0, VHOST_BAD_VERSION },
		{ { 1, 2, 0 }, 3, 0, VHOST_BAD_VERSION },
		{ { 1, 5, 0 }, 3, 0, VHOST_BAD_FLAGS },
		{ { 1, 0x11, 0 }, 3, 0, VHOST_BAD_FLAGS },
		{ { 0, 1, 0 }, 3, 0, VHOST_BAD_REQUEST },
		{ { 6, 1, 8 }, 3, 0, VHOST_BAD_REQUEST },
		{ { 24, 1, 12 }, 3, 0, VHOST_BAD_REQUEST },
		{ { 99, 1, 0 }, 3, 0, VHOST_BAD_REQUEST },
		{ { UINT32_MAX, 1, 0 }, 3, 0, VHOST_BAD_REQUEST },
		{ { 1, 1, 8 }, 3, 0, VHOST_BAD_SIZE },
		{ { 2, 1, 0 }, 3, 0, VHOST_BAD_SIZE },
		{ { 2, 1, UINT32_MAX }, 3, 0, VHOST_BAD_SIZE },
		{ { 5, 1, 4 }, 3, 0, VHOST_BAD_SIZE },
		{ { 5, 1, 8 + 9 * 32 }, 3, 0, VHOST_BAD_SIZE },
		{ { 5, 1, 8, 1, 0 }, 5, 0, VHOST_BAD_SIZE },
		{ { 9, 1, 8 }, 3, 0, VHOST_BAD_SIZE },
		{ { 1, 1, 0 }, 3, 1, VHOST_BAD_FDS },
		{ { 2, 1, 8, 0, 0 }, 5, 1, VHOST_BAD_FDS },
		{ { 2, 1, 8, 0, 0 }, 5, 9, VHOST_BAD_FDS },
		{ { 5, 1, 8, 0, 0 }, 5, 1, VHOST_BAD_FDS },
		{ { 12, 1, 8, 1, 0 }, 5, 0, VHOST_BAD_FDS },
		{ { 12, 1, 8, 0x101, 0 }, 5, 1, VHOST_BAD_FDS },
		{ { 12, 1, 8, 1, 0 }, 5, 2, VHOST_BAD_FDS },
		{ { 13, 1, 8, 0x101, 1 }, 5, 0, VHOST_BAD_VALUE },
		{ { 2, 1, 8, 0, 0x80000000 }, 5, 0, VHOST_BAD_FEATURES },
		{ { 2, 1, 8, 0x4000000, 0 }, 5, 0, VHOST_BAD_FEATURES },
		{ { 16, 1, 8, 0x20, 0 }, 5, 0, VHOST_BAD_FEATURES },
		{ { 8, 1, 8, 16, 256 }, 5, 0, VHOST_BAD_RING },
		{ { 8, 1, 8, 0, 0 }, 5, 0, VHOST_BAD_RING },
		{ { 8, 1, 8, 0, 100 }, 5, 0, VHOST_BAD_RING },
		{ { 8, 1, 8, 0, 65536 }, 5, 0, VHOST_BAD_RING },
		{ { 10, 1, 8, 0, 65536 }, 5, 0, VHOST_BAD_VALUE },
		{ { 10, 1, 8, UINT32_MAX, 0 }, 5, 0, VHOST_BAD_RING },
		{ { 11, 1, 8, 16, 0 }, 5, 0, VHOST_BAD_RING },
		{ { 18, 1, 8, 0, 2 }, 5, 0, VHOST_BAD_VALUE },
		{ { 9, 1, 40, 16 }, 13, 0, VHOST_BAD_RING },
		{ { 9, 1, 40, 0, 1 }, 13, 0, VHOST_BAD_VALUE },
		{ { 12, 1, 8, 0x100, 0 }, 5, 0, VHOST_BAD_RING_MEMORY },
		{ { 12, 1, 8, 1, 0 }, 5, 1, VHOST_BAD_RING_MEMORY },
		{ { 12, 1, 8, 0x110, 0 }, 5, 0, VHOST_BAD_RING },
		{ { 20, 1, 8, 1500, 0 }, 5, 0, VHOST_BAD_REQUEST },
		{ { 38, 1, 40 }, 13, 0, VHOST_BAD_REQUEST },
		{ { 37, 1, 40 }, 13, 1, VHOST_BAD_REQUEST },
		{ { 37, 1, 40 }, 13, 0, VHOST_BAD_FDS },
	};
	struct world *w = *state;
	struct front *front = &w->a.front;
	int fds[9], before = open_fds();

	for (unsigned int i = 0; i < 9; i++)
		fds[i] = front->queue[0].kick;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vhost_stats was = port_vhost_stats(w->a.port);

		assert_int_equal(front_connect(front, w->a.path), 0);
		assert_true(front_send(
		    front, bad[i].word, 4 * bad[i].nwords, fds, bad[i].nfds));
		if (!front_is_closed(front) ||
		    port_vhost_stats(w->a.port).refused[bad[i].refusal] !=
			was.refused[bad[i].refusal] + 1)
			fail_msg("message %u: not refused as %s", i,
			    vhost_refusal_name(bad[i].refusal));
		front_disconnect(front);
		assert_int_equal(open_fds(), before);
	}
	start(&w->a, MODERN);
	start(&w->b, MODERN);
	passes(&w->a, &w->b, 100, 1);
}

static void
a_message_may_come_byte_by_byte_and_be_cut_off(void **state)
{
	static const uint32_t get[] = { 1, 1, 0 }, set[] = { 2, 1, 8, 0, 0 };
	struct world *w = *state;
	struct front *front = &w->a.front;
	uint32_t reply[5];

	assert_int_equal(front_connect(front, w->a.path), 0);
	for (unsigned int i = 0; i < sizeof(set); i++) {
		front_send(front, (const uint8_t *)set + i, 1, NULL, 0);
		pump(w);
	}
	assert_true(front_send(front, get, sizeof(get), NULL, 0));
	pump(w);
	assert_int_equal(
	    recv(front->fd, reply, sizeof(reply), 0), sizeof(reply));
	assert_int_equal(reply[1], VHOST_VERSION | VHOST_REPLY);
	assert_true(front_send(front, set, 13, NULL, 0));
	front_disconnect(front);
	pump(w);
	assert_int_equal(port_vhost_stats(w->a.port).refused[VHOST_CUT_OFF], 1);
}

static void
bad_memory_is_refused_with_its_reason(void **state)
{
	static const struct {
		struct vhost_region region;
		enum vhost_refusal refusal;
	} bad[] = {
		{ { 0, 0, 0, 0 }, VHOST_BAD_REGION },
		{ { UINT64_MAX - 10, 4096, 0, 0 }, VHOST_BAD_REGION },
		{ { 0, 4096, UINT64_MAX - 10, 0 }, VHOST_BAD_REGION },
		{ { 0, 4096, 0, UINT64_MAX - 10 }, VHOST_BAD_REGION },
		{ { 0, MEMORY + 1, 0, 0 }, VHOST_BAD_REGION },
		{ { 0, 4096, 0, MEMORY - 4095 }, VHOST_BAD_REGION },
		{ { 0, UINT64_MAX, 0, 0 }, VHOST_BAD_REGION },
	};
	struct world *w = *state;
	struct front *front = &w->a.front;
	struct vhost_msg msg = { .request = VHOST_SET_MEM_TABLE, .nfds = 1 };
	struct vhost_stats stats;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t was =
		    port_vhost_stats(w->a.port).refused[bad[i].refusal];

		assert_int_equal(front_connect(front, w->a.path), 0);
		msg.memory.n = 1;
		msg.memory.region[0] = bad[i].region;
		msg.fd[0] = front->memfd;
		assert_false(front_ask(front, &msg, false, NULL));
		stats = port_vhost_stats(w->a.port);
		assert_int_equal(stats.refused[bad[i].refusal], was + 1);
		front_disconnect(front);
	}
	/* Not a file at all; and two that overlap. */
	assert_int_equal(front_connect(front, w->a.path), 0);
	msg.memory.region[0] = (struct vhost_region){ 0, 4096, 0, 0 };
	msg.fd[0] = front->queue[0].kick;
	assert_false(front_ask(front, &msg, false, NULL));
	front_disconnect(front);
	assert_int_equal(front_connect(front, w->a.path), 0);
	msg.memory.n = msg.nfds = 2;
	msg.memory.region[1] = (struct vhost_region){ 0x800, 4096, 0x9000, 0 };
	msg.fd[0] = msg.fd[1] = front->memfd;
	assert_false(front_ask(front, &msg, false, NULL));
	stats = port_vhost_stats(w->a.port);
	assert_int_equal(stats.refused[VHOST_BAD_REGION], 9);
}

static void
rings_outside_memory_or_unaligned_are_refused(void **state)
{
	static const uint64_t addresses[][3] = {
		{ FRONT_USER + MEMORY, FRONT_USER, FRONT_USER + 4096 },
		{ FRONT_USER, FRONT_USER - 2, FRONT_USER + 4096 },
		{ FRONT_USER, FRONT_USER + 4096, UINT64_MAX - 3 },
		{ FRONT_USER + 8, FRONT_USER + 4096, FRONT_USER + 8192 },
		{ FRONT_USER, FRONT_USER + 4097, FRONT_USER + 8192 },
		{ FRONT_USER, FRONT_USER + 4096, FRONT_USER + 8194 },
	};
	struct world *w = *state;
	struct front *front = &w->a.front;

	for (unsigned int i = 0; i < 6; i++) {
		struct vhost_msg msg = { .request = VHOST_SET_VRING_ADDR,
			.addr = { .ring = 1,
			    .desc = addresses[i][0],
			    .avail = addresses[i][1],
			    .used = addresses[i][2] } };

		assert_int_equal(front_connect(front, w->a.path), 0);
		assert_true(front_negotiate(front, MODERN, 0));
		assert_true(front_share_memory(front));
		assert_true(front_state(front, VHOST_SET_VRING_NUM, 1, 256));
		assert_true(front_ask(front, &msg, false, NULL));
		assert_false(front_fd(
		    front, VHOST_SET_VRING_KICK, 1, front->queue[1].kick));
		front_disconnect(front);
	}
	assert_int_equal(
	    port_vhost_stats(w->a.port).refused[VHOST_BAD_RING_MEMORY], 6);
}

static void
a_descriptor_that_cannot_notify_is_refused(void **state)
{
	static const uint32_t requests[] = { VHOST_SET_VRING_KICK,
		VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR };
	struct world *w = *state;
	struct front *front = &w->a.front;

	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(front_connect(front, w->a.path), 0);
		assert_false(front_fd(front, requests[i], 1, front->memfd));
		front_disconnect(front);
		assert_int_equal(
		    port_vhost_stats(w->a.port).refused[VHOST_BAD_FDS], i + 1);
	}
}

static void
a_kick_pipe_that_ends_costs_the_front_end_its_place(void **state)
{
	struct world *w = *state;
	struct front *front = &w->a.front;
	int ends[2];

	start(&w->a, MODERN);
	assert_int_equal(pipe(ends), 0);
	assert_true(front_fd(front, VHOST_SET_VRING_KICK, 1, ends[0]));
	close(ends[0]);
	close(ends[1]);
	assert_true(front_is_closed(front));
	front_disconnect(front);
	assert_int_equal(
	    port_vhost_stats(w->a.port).refused[VHOST_BAD_KICK], 1);
}

static void
a_front_end_that_reads_no_replies_is_dropped(void **state)
{
	static const uint32_t get[] = { 1, 1, 0 };
	struct world *w = *state;
	struct front *front = &w->a.front;

	assert_int_equal(front_connect(front, w->a.path), 0);
	for (unsigned int i = 0; i < 20000; i++) {
		if (!front_send(front, get, sizeof(get), NULL, 0))
			break;
		if (i % 64 == 0)
			pump(w);
	}
	pump(w);
	assert_int_equal(
	    port_vhost_stats(w->a.port).refused[VHOST_NOT_READING], 1);
	front_disconnect(front);
}

/* ---- the socket ---- */

static void
the_socket_is_private_and_a_live_one_is_not_replaced(void **state)
{
	struct world *w = *state;
	char locator[160];
	struct err err = { "" };
	struct stat st;

	assert_int_equal(stat(w->a.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(locator, sizeof(locator), "vhost-user:%s", w->a.path);
	assert_null(
	    port_open(kinds, w->loop, &w->a.node, "x.eth0", locator, &err));
	assert_non_null(strstr(err.text, "another process listens there"));
	assert_int_equal(stat(w->a.path, &st), 0);
}

static void
a_socket_left_by_the_dead_is_replaced_and_a_file_is_not(void **state)
{
	struct world *w = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char locator[160], path[128];
	struct err err = { "" };
	struct port *port;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(path, sizeof(path), "%s/dead", w->dir);
	snprintf(locator, sizeof(locator), "vhost-user:%s", path);
	strcpy(addr.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	port = port_open(kinds, w->loop, &w->a.node, "x.eth0", locator, &err);
	assert_non_null(port);
	port_close(port);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	assert_null(
	    port_open(kinds, w->loop, &w->a.node, "x.eth0", locator, &err));
	assert_non_null(strstr(err.text, "is not a socket"));
	unlink(path);
}

static void
a_path_that_is_no_socket_path_is_an_error(void **state)
{
	struct world *w = *state;
	char locator[300] = "vhost-user:";
	struct err err = { "" };

	assert_null(
	    port_open(kinds, w->loop, &w->a.node, "x.eth0", locator, &err));
	err_clear(&err);
	memset(locator + 11, 'x', 200);
	assert_null(
	    port_open(kinds, w->loop, &w->a.node, "x.eth0", locator, &err));
	assert_non_null(strstr(err.text, "1 to 107 bytes"));
	err_clear(&err);
	assert_null(port_open(kinds, w->loop, &w->a.node, "x.eth0",
	    "vhost-user:/nowhere/at/all", &err));
	assert_non_null(strstr(err.text, "/nowhere/at/all: cannot listen"));
}

static void
it_describes_what_it_waits_for_and_what_it_has(void **state)
{
	struct world *w = *state;
	char text[200];

	w->a.port->ops->describe(w->a.port, text, sizeof(text));
	assert_non_null(strstr(text, "waiting at /tmp/vhost-test-"));
	start(&w->a, MODERN | MERGE | RECEIVES);
	w->a.port->ops->describe(w->a.port, text, sizeof(text));
	assert_non_null(
	    strstr(text, "ready, 1 queue pair, csum, tso4, tso6, mergeable"));
	front_state(&w->a.front, VHOST_SET_VRING_NUM, 99, 1);
	front_disconnect(&w->a.front);
	w->a.port->ops->describe(w->a.port, text, sizeof(text));
	assert_non_null(strstr(text, "last refused: bad-ring"));
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD(frames_pass_both_ways_with_every_set_of_features),
		WORLD(one_kick_moves_a_whole_ring),
		WORLD(no_call_for_a_guest_that_polls),
		WORLD(a_ring_without_kick_descriptor_is_polled),
		WORLD(a_long_frame_is_spread_over_merged_buffers),
		WORLD(a_frame_for_too_many_buffers_is_refused),
		WORLD(a_long_frame_without_merged_buffers_is_too_long),
		WORLD(a_frame_may_be_in_pieces_of_any_size),
		WORLD(offloads_travel_from_guest_to_guest),
		WORLD(a_guest_that_agreed_to_nothing_gets_finished_segments),
		WORLD(header_that_contradicts_its_frame_is_refused),
		WORLD(offloads_that_were_not_agreed_on_are_refused),
		WORLD(frames_for_a_guest_that_is_not_ready_are_refused),
		WORLD(frames_beyond_the_buffers_offered_are_refused),
		WORLD(a_disabled_ring_is_emptied_without_effect),
		WORLD(the_front_end_is_told_of_its_link),
		WORLD(frames_beyond_the_mtu_are_refused),
		WORLD(several_queue_pairs_all_carry_frames),
		WORLD(what_a_transmit_ring_lies_about_is_counted_by_reason),
		WORLD(what_a_receive_ring_lies_about_costs_one_frame),
		WORLD(an_index_that_runs_ahead_stops_the_ring),
		WORLD(noise_in_rings_harms_nobody),
		WORLD(the_next_front_end_may_come_when_one_left),
		WORLD(
		    a_front_end_that_comes_just_before_the_last_left_may_stay),
		WORLD(without_descriptors_the_listener_waits),
		WORLD(a_second_front_end_is_turned_away),
		WORLD(
		    a_stopped_ring_says_where_it_stands_and_goes_on_from_there),
		WORLD(memory_slots_come_and_go),
		WORLD(memory_cut_short_costs_the_front_end_its_place),
		WORLD(bytes_that_are_no_message_close_the_connection),
		WORLD(a_message_may_come_byte_by_byte_and_be_cut_off),
		WORLD(bad_memory_is_refused_with_its_reason),
		WORLD(rings_outside_memory_or_unaligned_are_refused),
		WORLD(a_descriptor_that_cannot_notify_is_refused),
		WORLD(a_kick_pipe_that_ends_costs_the_front_end_its_place),
		WORLD(a_front_end_that_reads_no_replies_is_dropped),
		WORLD(the_socket_is_private_and_a_live_one_is_not_replaced),
		WORLD(a_socket_left_by_the_dead_is_replaced_and_a_file_is_not),
		WORLD(a_path_that_is_no_socket_path_is_an_error),
		WORLD(it_describes_what_it_waits_for_and_what_it_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
