/*
 * The guests' drivers, as fast as drivers can be: each touches one cache line of
 * a frame that it sends or receives.
 *
 * As drivers do, only receivers ask to be called: what A sent is seen when A
 * sends again.
 */
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/switch/rings.h"

#define FEATURES \
	(1ull << VHOST_F_PROTOCOL_FEATURES | 1ull << VIRTIO_F_VERSION_1)
#define PINGS   400
#define MARK_AT 14

/* Address n behind B. */
static void
put_mac(uint8_t *at, uint32_t n)
{
	memcpy(at, mac_b, 6);
	if (n > 0) {
		at[1] = 1;
		memcpy(at + 2, &n, sizeof(n));
	}
}

/* ---- sending and receiving ---- */

static uint32_t
some_mac(uint32_t nmacs)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)((x >> 32) * nmacs >> 32);
}

/* A number and its complement, whose sum is always the same. */
static void
mark(uint8_t *at, uint64_t seq)
{
	uint32_t both[2] = { (uint32_t)seq, ~(uint32_t)seq };

	memcpy(at, both, sizeof(both));
}

/* A's driver: offers frames in every buffer that came back. */
static unsigned int
send_some(const struct bench *bench, struct front_queue *tx, uint64_t seq)
{
	unsigned int mark_at =
	    bench->dress != NULL ? bench->dress->mark_at : MARK_AT;
	uint16_t free, n;

	tx->seen = load(&tx->used[IDX]);
	free = (uint16_t)(SIZE - (uint16_t)(tx->next - tx->seen));
	n = free < BURST ? free : BURST;
	for (uint16_t i = 0; i < n; i++) {
		uint16_t d = tx->next++ & (SIZE - 1);
		uint8_t *frame = tx->buffer + (size_t)d * STRIDE + HEADER;

		if (bench->nmacs > 1)
			put_mac(frame, some_mac(bench->nmacs));
		mark(frame + mark_at, seq++);
		tx->avail[RING + d] = d;
	}
	if (n > 0)
		store(&tx->avail[IDX], tx->next);
	return n;
}

/* A receiver's driver: reads each frame and offers its buffer again. */
static unsigned int
receive_some(struct front_queue *rx, uint64_t *sum)
{
	uint16_t n = (uint16_t)(load(&rx->used[IDX]) - rx->seen);

	for (uint16_t i = 0; i < n; i++) {
		uint16_t d =
		    (uint16_t)rx->used_ring[rx->seen++ & (SIZE - 1)].id;
		uint64_t seq;

		memcpy(&seq, rx->buffer + (size_t)d * STRIDE + HEADER + 14,
		    sizeof(seq));
		*sum += seq;
		rx->avail[RING + (rx->next++ & (SIZE - 1))] = d;
	}
	if (n > 0)
		store(&rx->avail[IDX], rx->next);
	return n;
}

static void
sleep_until_called(struct bench *bench)
{
	struct front_queue *tx = &bench->front[0].queue[1];
	struct front_queue *rx = &bench->front[1].queue[0];
	struct pollfd call = { .fd = rx->call, .events = POLLIN };

	store(&rx->avail[FLAGS], 0);
	atomic_thread_fence(memory_order_seq_cst);
	if (load(&tx->used[IDX]) == tx->seen &&
	    load(&rx->used[IDX]) == rx->seen && poll(&call, 1, 20) > 0)
		drain(rx->call);
	store(&rx->avail[FLAGS], 1);
}

void
guests_run(struct bench *bench)
{
	struct front_queue *tx = &bench->front[0].queue[1];
	double begin = now_s(), end = begin + bench->seconds;
	uint64_t sent = 0, got = 0, sum = 0;

	for (unsigned int i = 0; i < bench->nfronts; i++)
		store(&bench->front[i].queue[0].avail[FLAGS], 1);
	store(&tx->avail[FLAGS], 1);
	for (unsigned int spin = 0;; spin++) {
		unsigned int s = send_some(bench, tx, sent), r = 0;

		for (unsigned int i = 1; i <= bench->nreceivers; i++)
			r += receive_some(&bench->front[i].queue[0], &sum);
		sent += s;
		got += r;
		atomic_thread_fence(memory_order_seq_cst);
		if (s > 0 && bench->kicks && load(&tx->used[FLAGS]) == 0)
			notify(tx->kick);
		if (s + r == 0 && bench->events)
			sleep_until_called(bench);
		else if (s + r == 0)
			__builtin_ia32_pause();
		if ((spin & 63) == 0 && now_s() > end)
			break;
	}
	bench->shared->result = (double)got / (now_s() - begin);
	sent *= bench->nreceivers;
	bench->shared->lost = sent == 0 ? 1 : 1 - (double)got / (double)sent;
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void
guests_ping(struct bench *bench)
{
	struct front_queue *tx = &bench->front[0].queue[1];
	struct front_queue *rx = &bench->front[1].queue[0];
	struct pollfd call = { .fd = rx->call, .events = POLLIN };
	const struct timespec pause = { .tv_nsec = 1000000 };
	double took[PINGS];
	uint64_t sum = 0;

	store(&rx->avail[FLAGS], 0);
	store(&tx->avail[FLAGS], 1);
	for (unsigned int i = 0; i < PINGS; i++) {
		double begin;

		nanosleep(&pause, NULL);
		tx->seen = load(&tx->used[IDX]);
		tx->avail[RING + (tx->next & (SIZE - 1))] =
		    tx->next & (SIZE - 1);
		tx->next++;
		begin = now_s();
		store(&tx->avail[IDX], tx->next);
		notify(tx->kick);
		if (poll(&call, 1, 1000) <= 0)
			die("no answer to a ping");
		drain(rx->call);
		receive_some(rx, &sum);
		took[i] = now_s() - begin;
	}
	qsort(took, PINGS, sizeof(took[0]), by_size);
	bench->shared->result = took[PINGS / 2] * 1e9;
	bench->shared->lost = 0;
}

/* ---- setting up ---- */

static void
fill_transmit(struct bench *bench)
{
	struct front_queue *tx = &bench->front[0].queue[1];

	for (unsigned int i = 0; i < SIZE; i++) {
		uint8_t *at = tx->buffer + (size_t)i * STRIDE;

		memset(at, 0, HEADER);
		memset(at + HEADER, 0x5a, bench->bytes);
		memcpy(at + HEADER, mac_b, 6);
		if (bench->broadcast)
			memset(at + HEADER, 0xff, 6);
		memcpy(at + HEADER + 6, mac_a, 6);
		if (bench->dress != NULL)
			bench->dress->frame(at + HEADER, i);
		tx->desc[i] = (struct vring_slot){ .addr = front_address(
						       &bench->front[0], at),
			.len = HEADER + bench->bytes };
	}
}

void
guests_lay_out(struct bench *bench)
{
	for (unsigned int i = 0; i < bench->nfronts; i++) {
		bool idle = i > bench->nreceivers;
		uint16_t size = idle ? 16 : SIZE;
		struct front *front = &bench->front[i];

		front_init(front, idle ? 128 << 10 : 2 << 20);
		front_layout(front, 0, size, STRIDE);
		front_layout(front, 1, size, STRIDE);
		front_fill(front, 0);
	}
	fill_transmit(bench);
}

/* B sends a frame from each of its addresses, a ring at a time. */
static void
teach(struct bench *bench)
{
	struct front *b = &bench->front[1];
	struct front_queue *tx = &b->queue[1];
	const struct timespec us = { .tv_nsec = 1000 };
	uint32_t n = bench->nmacs > 0 ? bench->nmacs : 1;

	for (uint32_t i = 0; i < n; i++) {
		uint16_t d = tx->next & (SIZE - 1);
		uint8_t *at = tx->buffer + (size_t)d * STRIDE;

		while ((uint16_t)(tx->next - load(&tx->used[IDX])) == SIZE)
			nanosleep(&us, NULL);
		memset(at, 0, HEADER + 60);
		memcpy(at + HEADER, mac_a, 6);
		put_mac(at + HEADER + 6, i);
		if (bench->dress != NULL)
			bench->dress->hello(at + HEADER);
		tx->desc[d] = (struct vring_slot){ .addr = front_address(b, at),
			.len = HEADER + 60 };
		front_offer(tx, d);
		front_publish(tx);
		notify(tx->kick);
	}
	while (load(&tx->used[IDX]) != tx->next)
		nanosleep(&us, NULL);
}

void
guests_plug_in(struct bench *bench)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	for (unsigned int i = 0; i < bench->nfronts; i++) {
		struct front *front = &bench->front[i];

		while (front_connect(front, bench->path[i]) < 0)
			nanosleep(&ms, NULL);
		if (!front_negotiate(front, FEATURES, 0) ||
		    !front_share_memory(front) ||
		    !front_start_queue(front, 0, false) ||
		    !front_start_queue(front, 1, i == 0 && !bench->kicks))
			die("handshake");
	}
	teach(bench);
}
