/*
 * The ceiling: what takes from one ring, looks up two addresses, and copies into
 * the other, and nothing else.  And the floor of a round trip: what answers a
 * kick by a call.
 */
#include <poll.h>
#include <string.h>

#include "tests/bench/switch/rings.h"

struct place {
	uint64_t key;
	uint32_t port;
};

static struct place table[1024];

static uint64_t
key_of(const uint8_t *mac)
{
	uint64_t key = 0;

	memcpy(&key, mac, 6);
	return key;
}

static struct place *
place_of(uint64_t key)
{
	uint64_t i = key * UINT64_C(0x9e3779b97f4a7c15) >> 54;

	while (table[i].key != key && table[i].key != 0)
		i = (i + 1) % 1024;
	return &table[i];
}

/* Up to 64 frames from one ring to the other, lengths and bounds checked. */
static unsigned int
move(struct bench *bench, uint16_t *next)
{
	struct front *a = &bench->front[0], *b = &bench->front[1];
	struct front_queue *in = &a->queue[1], *out = &b->queue[0];
	uint16_t n = (uint16_t)(load(&in->avail[IDX]) - *next);
	uint16_t m = (uint16_t)(load(&out->avail[IDX]) - *next);

	n = m < n ? m : n;
	n = n < BURST ? n : BURST;
	for (uint16_t i = 0; i < n; i++) {
		uint16_t at = (uint16_t)(*next + i) & (SIZE - 1);
		uint16_t from = in->avail[RING + at];
		uint16_t to = out->avail[RING + at];
		struct vring_slot s = in->desc[from & (SIZE - 1)];
		struct vring_slot d = out->desc[to & (SIZE - 1)];
		uint64_t sa = s.addr - FRONT_GUEST, da = d.addr - FRONT_GUEST;
		uint32_t put = 0;

		if (i + 1 < n)
			__builtin_prefetch(a->mem +
			    in->desc[in->avail[RING + ((at + 1) & (SIZE - 1))] &
				  (SIZE - 1)]
				.addr -
			    FRONT_GUEST);
		if (sa < a->bytes && s.len <= a->bytes - sa && da < b->bytes &&
		    d.len <= a->bytes - da && s.len <= d.len &&
		    s.len >= HEADER + 14) {
			const uint8_t *f = a->mem + sa + HEADER;

			if (place_of(key_of(f + 6))->port == 1 &&
			    place_of(key_of(f))->port == 2) {
				memcpy(b->mem + da, a->mem + sa, s.len);
				put = s.len;
			}
		}
		out->used_ring[at] = (struct vring_used_slot){ to, put };
		in->used_ring[at] = (struct vring_used_slot){ from, 0 };
	}
	if (n > 0) {
		*next = (uint16_t)(*next + n);
		store(&in->used[IDX], *next);
		store(&out->used[IDX], *next);
	}
	return n;
}

void
ceiling_run(struct bench *bench)
{
	struct front *a = &bench->front[0], *b = &bench->front[1];
	struct front_queue *in = &a->queue[1], *out = &b->queue[0];
	struct pollfd kick = { .fd = in->kick, .events = POLLIN };
	uint16_t next = 0;

	*place_of(key_of(mac_a)) = (struct place){ key_of(mac_a), 1 };
	*place_of(key_of(mac_b)) = (struct place){ key_of(mac_b), 2 };
	while (
	    !atomic_load_explicit(&bench->shared->stop, memory_order_relaxed)) {
		if (move(bench, &next) > 0) {
			atomic_thread_fence(memory_order_seq_cst);
			if (bench->events && load(&out->avail[FLAGS]) == 0)
				notify(out->call);
			continue;
		}
		if (!bench->events) {
			__builtin_ia32_pause();
			continue;
		}
		store(&in->used[FLAGS], 0);
		atomic_thread_fence(memory_order_seq_cst);
		if ((load(&in->avail[IDX]) == next ||
			load(&out->avail[IDX]) == next) &&
		    poll(&kick, 1, 20) > 0)
			drain(in->kick);
		store(&in->used[FLAGS], 1);
	}
}

void
bare_run(struct bench *bench)
{
	int kick = bench->front[0].queue[1].kick;
	struct pollfd ready = { .fd = kick, .events = POLLIN };

	while (!atomic_load(&bench->shared->stop)) {
		if (poll(&ready, 1, -1) <= 0)
			continue;
		drain(kick);
		notify(bench->front[1].queue[0].call);
	}
}
