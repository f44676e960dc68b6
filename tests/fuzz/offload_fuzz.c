/* libs: switch net base */
/*
 * A frame and a virtio-net header as a guest would give them, with the bytes in
 * pieces, and one of them changed after the port had looked at it.
 *
 * What is finished must be finished: segments cover the payload exactly, are no
 * longer than was asked for, have right lengths and checksums by a plain sum,
 * and are bounded in number.
 */
#include <assert.h>
#include <stdlib.h>

#include "net/eth.h"
#include "net/tcp.h"
#include "switch/offload.h"
#include "switch/vnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PIECES 3

struct seen {
	const struct frame *frame;
	unsigned int n;
	uint64_t bytes;
	uint32_t headers; /* of the first segment */
};

static uint32_t
plain_sum(uint32_t sum, const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Where IP begins in a finished segment. */
static size_t
ip_of(const uint8_t *data)
{
	size_t at = 12;

	while (
	    get_be16(data + at) == ETH_VLAN || get_be16(data + at) == ETH_QINQ)
		at += 4;
	return at + 2;
}

static void
check_segment(void *arg, const uint8_t *data, size_t len)
{
	struct seen *seen = arg;
	const struct frame *frame = seen->frame;
	uint32_t l4 = frame->csum_start, tcp_bytes, sum;
	size_t l3 = ip_of(data);
	const uint8_t *ip = data + l3;
	uint32_t headers = l4 + (uint32_t)(data[l4 + 12] >> 4) * 4;

	assert(headers <= len && len - headers <= frame->gso_bytes);
	assert(seen->n == 0 || headers == seen->headers);
	tcp_bytes = (uint32_t)len - l4;
	if (frame->flags & FRAME_TSO4) {
		assert(get_be16(ip + 2) == len - l3);
		assert(plain_sum(0, ip, l4 - l3) == 0xffff);
		sum = plain_sum(tcp_bytes + 6, ip + 12, 8);
	} else {
		assert(get_be16(ip + 4) == len - l3 - 40);
		sum = plain_sum(tcp_bytes + 6, ip + 8, 32);
	}
	assert(plain_sum(sum, data + l4, tcp_bytes) == 0xffff);
	seen->headers = headers;
	seen->bytes += len - headers;
	seen->n++;
}

/* ---- the other end of a cable ---- */

struct taker {
	struct port port; /* first */
	struct node node;
	uint64_t bytes;
};

static void
take(struct port *port, struct burst *burst)
{
	struct taker *taker = (struct taker *)port;
	uint8_t flags = 0;

	assert(burst->n > 0 && burst->n <= BURST_MAX);
	for (unsigned int i = 0; i < burst->n; i++) {
		static uint8_t copy[FRAME_MAX_BYTES];
		struct frame *frame = &burst->frame[i];

		assert(!(frame->flags & FRAME_TODO & ~port->accepts));
		flags |= frame->flags;
		frame_copy(copy, frame, 0, frame->len);
		taker->bytes += frame->len;
		node_judge(port->node, frame, REASON_DELIVERED);
	}
	assert((flags & ~burst->flags) == 0);
}

static const struct port_ops ops = { .take = take };

static void
send_it(const struct frame *frame, uint8_t accepts)
{
	struct taker a = { .bytes = 0 }, b = { .bytes = 0 };
	struct burst burst;
	uint64_t judged = 0;

	node_init(&a.node, "a");
	node_init(&b.node, "b");
	port_init(&a.port, &ops, &a.node, "a");
	port_init(&b.port, &ops, &b.node, "b");
	b.port.accepts = accepts;
	cable_join(&a.port, &b.port);
	burst_clear(&burst);
	burst_add(&burst, frame->data, frame->head);
	for (int i = 0; i < 2; i++) {
		burst.flags |= frame->flags;
		burst.frame[burst.n++] = *frame;
	}
	port_send(&a.port, &burst);
	for (int r = 0; r < REASON_COUNT; r++)
		judged += a.node.count[r] + b.node.count[r];
	assert(judged == a.port.out_frames);
	assert(b.port.in_frames + a.node.count[DROP_VNET_HEADER] == judged);
	assert(b.bytes == b.port.in_bytes);
	for (unsigned int i = 0; i < burst.n; i++)
		assert(burst.frame[i].verdict.node != NULL);
	cable_cut(&a.port);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame frame = { .flags = 0 };
	struct iovec tail[PIECES];
	struct seen seen = { .frame = &frame };
	uint8_t *bytes, accepts;
	uint32_t repeat;

	if (size < VNET_BYTES + 2 + ETH_HEADER_BYTES)
		return 0;
	/* the end of the input over and over makes frames of any length */
	accepts = data[VNET_BYTES] & FRAME_TODO;
	repeat = (uint32_t)data[VNET_BYTES + 1] * 257;
	bytes = malloc(FRAME_MAX_BYTES);
	if (bytes == NULL)
		return 0;
	size -= VNET_BYTES + 2;
	frame.len = size > 2000 ? 2000 : (uint32_t)size;
	for (uint32_t i = 0; i < frame.len; i++)
		bytes[i] = data[VNET_BYTES + 2 + i];
	for (; repeat > 0 && frame.len < FRAME_MAX_BYTES; repeat--) {
		bytes[frame.len] = bytes[frame.len - 1] ^ (uint8_t)frame.len;
		frame.len++;
	}
	frame.data = bytes;
	frame.head = frame.len;
	if (frame.len > FRAME_HEAD_BYTES + PIECES) {
		uint32_t rest = frame.len - FRAME_HEAD_BYTES;

		frame.head = FRAME_HEAD_BYTES;
		frame.tail = tail;
		frame.ntail = PIECES;
		tail[0] = (struct iovec){ bytes + FRAME_HEAD_BYTES, 1 };
		tail[1] = (struct iovec){ bytes + FRAME_HEAD_BYTES + 1, 0 };
		tail[2] =
		    (struct iovec){ bytes + FRAME_HEAD_BYTES + 1, rest - 1 };
	}
	if (vnet_parse(&frame, data) == DROP_NONE) {
		uint8_t header[VNET_BYTES];
		struct frame again = frame;

		vnet_write(header, &frame);
		assert(vnet_parse(&again, header) == DROP_NONE);
		assert(again.flags == frame.flags &&
		    again.gso_bytes == frame.gso_bytes);
		if (frame.flags & (FRAME_TSO4 | FRAME_TSO6)) {
			/* TCP's data offset after the port looked at it */
			bytes[frame.csum_start + 12] ^= data[2];
			assert(offload_segment(&frame, check_segment, &seen) ==
			    seen.n);
			assert(seen.n <= 1024);
			assert(seen.n == 0 ||
			    seen.bytes == frame.len - seen.headers);
		}
		send_it(&frame, accepts);
	}
	free(bytes);
	return 0;
}
