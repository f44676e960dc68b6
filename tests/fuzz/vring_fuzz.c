/* libs: switch net base */
/*
 * A guest's memory with whatever in it, as a transmit and a receive ring.
 *
 * Input: 4 bytes of choices, then 8 bytes for each thing to write into memory
 * (offset, 6 bytes), so that a short input reaches every descriptor.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_net.h>

#include "net/eth.h"
#include "switch/vhost_net.h"

#define GUEST  0x10000u
#define HALF   0x8000u /* bytes of each of two regions, far apart for us */
#define SIZE   16
#define DESC   0x000 /* of the transmit ring; the receive ring follows */
#define AVAIL  0x100
#define USED   0x200
#define SECOND 0x400 /* receive ring */

static struct guest_mem mem;
static uint8_t *half[2];
static uint8_t start[HALF];
static struct vhost_gather gather;
static struct vhost_scatter scatter;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Rings with something sensible in them, for the input to spoil. */
static void
make_start(void)
{
	for (unsigned int ring = 0; ring < 2; ring++) {
		uint8_t *at = start + ring * SECOND;
		struct vring_slot *desc = (void *)(at + DESC);
		uint16_t *avail = (void *)(at + AVAIL);

		for (uint16_t i = 0; i < SIZE; i++) {
			desc[i] =
			    (struct vring_slot){ GUEST + 0x1000 + 0x200u * i,
				    100, ring ? VRING_SLOT_WRITE : 0, i };
			avail[2 + i] = i;
		}
		avail[1] = SIZE;
	}
}

static void
set_up(void)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	guest_mem_init(&mem);
	if (fd < 0 || ftruncate(fd, 4 * HALF) < 0 ||
	    guest_mem_add(&mem, fd, GUEST, GUEST, HALF, 0, NULL) < 0 ||
	    guest_mem_add(
		&mem, fd, GUEST + HALF, 0x900000, HALF, 2 * HALF, NULL) < 0)
		abort();
	close(fd);
	half[0] = guest_mem_user(&mem, GUEST, HALF);
	half[1] = guest_mem_user(&mem, 0x900000, HALF);
	make_start();
}

static void
in_memory(const void *at, size_t len)
{
	const uint8_t *p = at;

	assert((p >= half[0] && len <= HALF && p + len <= half[0] + HALF) ||
	    (p >= half[1] && len <= HALF && p + len <= half[1] + HALF));
}

/* Everything port.h promises of a frame. */
static void
check_frame(const struct frame *frame)
{
	const uint8_t *scratch = gather.head[0];
	size_t sum = frame->head;

	assert(frame->len >= ETH_HEADER_BYTES);
	assert(frame->len <= FRAME_MAX_BYTES);
	assert(frame->head == frame->len || frame->head >= FRAME_HEAD_BYTES);
	if (frame->data >= scratch &&
	    frame->data < scratch + sizeof(gather.head))
		assert(frame->head <= FRAME_HEAD_BYTES);
	else
		in_memory(frame->data, frame->head);
	for (unsigned int i = 0; i < frame->ntail; i++) {
		in_memory(frame->tail[i].iov_base, frame->tail[i].iov_len);
		assert(frame->tail[i].iov_len > 0);
		sum += frame->tail[i].iov_len;
	}
	assert(sum == frame->len);
	if (frame->flags & FRAME_CSUM)
		assert(
		    frame->csum_start + frame->csum_offset + 2u <= frame->len);
	if (frame->flags & (FRAME_TSO4 | FRAME_TSO6)) {
		assert(frame->flags & FRAME_CSUM);
		assert(frame->gso_bytes > 0);
		assert(frame->header_bytes <= frame->head);
	}
	assert(!(frame->flags & ~FRAME_TODO));
}

static uint64_t
refused(const struct node *node)
{
	uint64_t n = 0;

	for (int r = REASON_FIRST_DROP; r < REASON_COUNT; r++)
		n += node->count[r];
	return n;
}

static void
lay(struct vring *ring, unsigned int at, uint8_t choices)
{
	vring_init(ring, &mem);
	ring->size = SIZE;
	ring->desc_user = GUEST + at + DESC;
	ring->avail_user = GUEST + at + AVAIL;
	ring->used_user = GUEST + at + USED;
	ring->event_idx = choices & 1;
	ring->indirect = choices & 2;
	if (!vring_map(ring))
		abort();
	vring_start(ring, choices & 4 ? 0 : 0xfff8);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t features = 0;
	struct vhost_rules rules;
	struct vring tx, rx;
	struct burst burst;
	struct node sender = { "sender" }, taker = { "taker" };
	int n;

	if (half[0] == NULL)
		set_up();
	if (size < 4)
		return 0;
	memcpy(half[0], start, HALF);
	memset(half[1], 0, HALF);
	for (size_t i = 4; i + 8 <= size; i += 8) {
		uint32_t to = (uint32_t)(data[i] | data[i + 1] << 8);

		for (unsigned int k = 0; k < 6; k++, to = (to + 1) & 0xffff)
			half[to / HALF][to % HALF] = data[i + 2 + k];
	}
	if (data[1] & 1)
		features |= UINT64_C(1) << VIRTIO_F_VERSION_1;
	if (data[1] & 2)
		features |= 1u << VIRTIO_NET_F_MRG_RXBUF;
	if (data[1] & 4)
		features |= 1u << VIRTIO_NET_F_CSUM |
		    1u << VIRTIO_NET_F_HOST_TSO4 | 1u << VIRTIO_NET_F_HOST_TSO6;
	if (data[1] & 8)
		features |= 1u << VIRTIO_NET_F_GUEST_CSUM |
		    1u << VIRTIO_NET_F_GUEST_TSO4;
	rules = vhost_rules_of(features);
	lay(&tx, 0, data[0]);
	lay(&rx, SECOND, data[0]);
	for (unsigned int round = 0; round < 4; round++) {
		uint64_t before = refused(&sender);
		uint16_t done = rx.done, next = rx.next;

		n = vhost_net_fetch(&tx, &rules, &gather, &burst, &sender);
		if (n <= 0)
			break;
		assert(n <= SIZE && gather.n <= (unsigned int)n);
		assert(burst.n + refused(&sender) - before == (uint64_t)n);
		for (unsigned int i = 0; i < burst.n; i++)
			check_frame(&burst.frame[i]);
		if (data[1] & 16)
			vhost_net_deliver(
			    &rx, &rules, &scatter, &burst, &taker);
		else
			for (unsigned int i = 0; i < burst.n; i++)
				node_judge(&taker, &burst.frame[i],
				    vhost_net_put(&rx, &rules, &scatter,
					&burst.frame[i]));
		for (unsigned int i = 0; i < burst.n; i++)
			assert(burst.frame[i].verdict.reason != REASON_NONE);
		/* Never more given back than was taken. */
		assert(
		    (uint16_t)(rx.done - done) <= (uint16_t)(rx.next - next));
		vhost_net_return(&tx, &gather);
		vring_publish(&rx);
		(void)vring_wants_call(&rx);
		(void)vring_wants_call(&tx);
		vring_kicks_off(&tx);
		(void)vring_kicks_on(&tx);
	}
	return 0;
}
