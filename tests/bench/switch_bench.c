/*
 * What the fabric moves between two guests, as a ratio to what is possible.
 *
 *     guests (one process)              fabric (another, other processor)
 *     fills A's transmit ring  ------>  alice.eth0 -- lan -- bob.eth0
 *     empties B's receive ring <------------------------------'
 *
 * The ceiling is the same guests and rings with a bare loop in place of the
 * fabric: it takes from one ring, looks up two addresses, and copies into the
 * other.  Both are measured in turns, since processors are moved about; the
 * ratio is the median of those within a turn.  "polling": nobody sleeps or notifies.  "events": both
 * sleep, and wake each other by eventfd.
 */
#include <linux/virtio_net.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "switch/port_vhost.h"
#include "switch/switch.h"
#include "tests/switch/vhost_frontend.h"

static const struct port_kind *const kinds[] = { &port_vhost, NULL };

#define ROUNDS  5
#define SECONDS 0.4
#define SIZE    256
#define STRIDE  2048
#define MEMORY  (2 << 20)
#define HEADER  12
#define BURST   64
#define FEATURES \
	(1ull << VHOST_F_PROTOCOL_FEATURES | 1ull << VIRTIO_F_VERSION_1)

enum { FLAGS, IDX, RING };

static const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t mac_b[6] = { 2, 0, 0, 0, 0, 2 };

/* What guests and fabric share beside the rings. */
struct shared {
	_Atomic uint64_t stop;
	double frames_per_s;
	double lost;
};

struct bench {
	struct shared *shared;
	struct front a, b;
	char dir[32], path_a[64], path_b[64];
	unsigned int bytes;
	bool events;
};

static double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
notify(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		die("eventfd");
}

static void
drain(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return; /* nothing in it */
}

/* ---- the guests ---- */

static uint16_t
load(const uint16_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static void
store(uint16_t *at, uint16_t v)
{
	__atomic_store_n(at, v, __ATOMIC_RELEASE);
}

/* A's driver: offers frames in every buffer that came back. */
static unsigned int
send_some(struct front_queue *tx, uint64_t seq)
{
	uint16_t free, n;

	tx->seen = load(&tx->used[IDX]);
	free = (uint16_t)(SIZE - (uint16_t)(tx->next - tx->seen));
	n = free < BURST ? free : BURST;
	for (uint16_t i = 0; i < n; i++) {
		uint16_t d = tx->next++ & (SIZE - 1);

		memcpy(tx->buffer + (size_t)d * STRIDE + HEADER + 14, &seq,
		    sizeof(seq));
		seq++;
		tx->avail[RING + d] = d;
	}
	if (n > 0)
		store(&tx->avail[IDX], tx->next);
	return n;
}

/* B's driver: reads each frame and offers its buffer again. */
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

/* As drivers do, only B asks to be called: what A sent is seen when A sends
 * again. */
static void
sleep_until_called(struct bench *bench)
{
	struct front_queue *tx = &bench->a.queue[1], *rx = &bench->b.queue[0];
	struct pollfd call = { .fd = rx->call, .events = POLLIN };

	store(&rx->avail[FLAGS], 0);
	atomic_thread_fence(memory_order_seq_cst);
	if (load(&tx->used[IDX]) == tx->seen &&
	    load(&rx->used[IDX]) == rx->seen && poll(&call, 1, 20) > 0)
		drain(rx->call);
	store(&rx->avail[FLAGS], 1);
}

static void
run_guests(struct bench *bench)
{
	struct front_queue *tx = &bench->a.queue[1], *rx = &bench->b.queue[0];
	double begin = now_s(), end = begin + SECONDS;
	uint64_t sent = 0, got = 0, sum = 0;

	store(&tx->avail[FLAGS], 1);
	store(&rx->avail[FLAGS], 1);
	for (unsigned int spin = 0;; spin++) {
		unsigned int s = send_some(tx, sent);
		unsigned int r = receive_some(rx, &sum);

		sent += s;
		got += r;
		if (bench->events) {
			atomic_thread_fence(memory_order_seq_cst);
			if (s + r > 0 && load(&tx->used[FLAGS]) == 0)
				notify(tx->kick);
			if (s + r == 0)
				sleep_until_called(bench);
		} else if (s + r == 0) {
			__builtin_ia32_pause();
		}
		if ((spin & 255) == 0 && now_s() > end)
			break;
	}
	bench->shared->frames_per_s = (double)got / (now_s() - begin);
	bench->shared->lost = sent == 0 ? 1 : 1 - (double)got / (double)sent;
	atomic_store(&bench->shared->stop, 1);
	notify(tx->kick);
}

static void
lay_out(struct bench *bench)
{
	struct front_queue *tx;
	uint8_t *frame;

	front_init(&bench->a, MEMORY);
	front_init(&bench->b, MEMORY);
	for (unsigned int q = 0; q < 2; q++) {
		front_layout(&bench->a, q, SIZE, STRIDE);
		front_layout(&bench->b, q, SIZE, STRIDE);
	}
	front_fill(&bench->a, 0);
	front_fill(&bench->b, 0);
	tx = &bench->a.queue[1];
	for (unsigned int i = 0; i < SIZE; i++) {
		uint8_t *at = tx->buffer + (size_t)i * STRIDE;

		memset(at, 0, HEADER);
		memset(at + HEADER, 0x5a, bench->bytes);
		memcpy(at + HEADER, mac_b, 6);
		memcpy(at + HEADER + 6, mac_a, 6);
		tx->desc[i] =
		    (struct vring_slot){ .addr = front_address(&bench->a, at),
			    .len = HEADER + bench->bytes };
	}
	/* B says once where it is. */
	frame = bench->b.queue[1].buffer;
	memset(frame, 0, HEADER + 60);
	memcpy(frame + HEADER, mac_a, 6);
	memcpy(frame + HEADER + 6, mac_b, 6);
}

/* ---- the ceiling ---- */

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
	struct front_queue *in = &bench->a.queue[1], *out = &bench->b.queue[0];
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
			__builtin_prefetch(bench->a.mem +
			    in->desc[in->avail[RING + ((at + 1) & (SIZE - 1))] &
				  (SIZE - 1)]
				.addr -
			    FRONT_GUEST);
		if (sa < MEMORY && s.len <= MEMORY - sa && da < MEMORY &&
		    d.len <= MEMORY - da && s.len <= d.len &&
		    s.len >= HEADER + 14) {
			const uint8_t *f = bench->a.mem + sa + HEADER;

			if (place_of(key_of(f + 6))->port == 1 &&
			    place_of(key_of(f))->port == 2) {
				memcpy(bench->b.mem + da, bench->a.mem + sa,
				    s.len);
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

static void
run_ceiling(struct bench *bench)
{
	struct front_queue *in = &bench->a.queue[1], *out = &bench->b.queue[0];
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

/* ---- the fabric ---- */

struct fabric {
	struct loop *loop;
	struct bench *bench;
	struct loop_timer timer;
};

static void
check_stop(void *arg)
{
	struct fabric *fabric = arg;

	if (atomic_load(&fabric->bench->shared->stop))
		loop_stop(fabric->loop);
	else
		loop_timer_set(
		    &fabric->timer, loop_now_ns(fabric->loop) + 5 * NS_PER_MS);
}

static void
must(const struct err *err, bool good)
{
	if (!good) {
		fprintf(stderr, "%s\n", err->text);
		exit(1);
	}
}

static void
run_fabric(struct bench *bench)
{
	struct err err = { "" };
	struct fabric fabric = { .bench = bench };
	struct switch_options options = { 0 };
	struct lan_switch *sw;
	struct node alice, bob;
	struct port *a, *b;
	char at[80];

	fabric.loop = loop_new(LOOP_REAL, &err);
	must(&err, fabric.loop != NULL);
	sw = switch_new(fabric.loop, "lan", &options, &err);
	must(&err, sw != NULL);
	node_init(&alice, "alice");
	node_init(&bob, "bob");
	snprintf(at, sizeof(at), "vhost-user:%s", bench->path_a);
	a = port_open(kinds, fabric.loop, &alice, "alice.eth0", at, &err);
	must(&err, a != NULL);
	snprintf(at, sizeof(at), "vhost-user:%s", bench->path_b);
	b = port_open(kinds, fabric.loop, &bob, "bob.eth0", at, &err);
	must(&err, b != NULL);
	cable_join(a, switch_add_port(sw, "lan.alice.eth0", &err));
	cable_join(b, switch_add_port(sw, "lan.bob.eth0", &err));
	loop_timer_init(&fabric.timer, fabric.loop, check_stop, &fabric);
	loop_timer_set(&fabric.timer, 0);
	loop_run(fabric.loop);
	loop_timer_unset(&fabric.timer);
	if (getenv("BENCH_VERBOSE") != NULL)
		printf("# %lu kicks, %lu calls, out %lu drops %lu empty %lu\n",
		    port_vhost_stats(a).kicks, port_vhost_stats(b).calls,
		    a->out_frames, a->out_drops, bob.count[DROP_RING_EMPTY]);
	port_close(a);
	port_close(b);
	switch_free(sw);
	loop_free(fabric.loop);
}

/* Plugs both guests in.  B's first frame teaches the switch its address. */
static void
plug_in(struct bench *bench)
{
	struct front *fronts[2] = { &bench->a, &bench->b };
	const char *paths[2] = { bench->path_a, bench->path_b };
	struct front_queue *tx = &bench->b.queue[1];
	struct timespec ms = { .tv_nsec = 1000000 };

	for (unsigned int i = 0; i < 2; i++) {
		while (front_connect(fronts[i], paths[i]) < 0)
			nanosleep(&ms, NULL);
		if (!front_negotiate(fronts[i], FEATURES, ~0ull) ||
		    !front_share_memory(fronts[i]) ||
		    !front_start_queue(fronts[i], 0, false) ||
		    !front_start_queue(fronts[i], 1, i == 0 && !bench->events))
			die("handshake");
	}
	tx->desc[0] =
	    (struct vring_slot){ .addr = front_address(&bench->b, tx->buffer),
		    .len = HEADER + 60 };
	front_offer(tx, 0);
	front_publish(tx);
	notify(tx->kick);
	while (load(&tx->used[IDX]) == 0)
		nanosleep(&ms, NULL);
}

/* One run.  Frames per second. */
static double
measure(struct bench *bench, bool ceiling)
{
	double frames_per_s;
	pid_t guests;

	atomic_store(&bench->shared->stop, 0);
	lay_out(bench);
	guests = fork();
	if (guests < 0)
		die("fork");
	if (guests == 0) {
		prctl(PR_SET_NAME, "guests"); /* for profiles */
		pin(0);
		if (!ceiling)
			plug_in(bench);
		run_guests(bench);
		_exit(0);
	}
	pin(1);
	if (ceiling)
		run_ceiling(bench);
	else
		run_fabric(bench);
	waitpid(guests, NULL, 0);
	frames_per_s = bench->shared->frames_per_s;
	front_free(&bench->a);
	front_free(&bench->b);
	return frames_per_s;
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *v)
{
	qsort(v, ROUNDS, sizeof(v[0]), by_size);
	return v[ROUNDS / 2];
}

/* Arguments: only runs of these bytes, and of this mode. */
int
main(int argc, char **argv)
{
	static const struct {
		unsigned int bytes;
		bool events;
	} runs[] = { { 64, false }, { 1514, false }, { 64, true },
		{ 1514, true } };
	struct bench bench = { 0 };
	unsigned int nruns = sizeof(runs) / sizeof(runs[0]);

	bench.shared = mmap(NULL, sizeof(*bench.shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	strcpy(bench.dir, "/tmp/switch-bench-XXXXXX");
	if (bench.shared == MAP_FAILED || mkdtemp(bench.dir) == NULL)
		die("switch_bench");
	snprintf(bench.path_a, sizeof(bench.path_a), "%s/a", bench.dir);
	snprintf(bench.path_b, sizeof(bench.path_b), "%s/b", bench.dir);
	printf("two vhost-user ports through one switch, against two rings "
	       "joined by memcpy;\nmedians of %d runs of %.1f s\n\n"
	       "bytes  mode      fabric Mframe/s  Gbit/s  lost  "
	       "ceiling Mframe/s  Gbit/s  ratio\n",
	    ROUNDS, SECONDS);
	for (unsigned int i = 0; i < nruns; i++) {
		double fabric[ROUNDS], ceiling[ROUNDS], ratio[ROUNDS];
		double lost = 0, f, c;

		bench.bytes = runs[i].bytes;
		bench.events = runs[i].events;
		if ((argc > 1 && bench.bytes != (unsigned int)atoi(argv[1])) ||
		    (argc > 2 && bench.events != (argv[2][0] == 'e')))
			continue;
		for (unsigned int k = 0; k < ROUNDS; k++) {
			ceiling[k] = measure(&bench, true);
			fabric[k] = measure(&bench, false);
			ratio[k] = fabric[k] / ceiling[k];
			lost += bench.shared->lost / ROUNDS;
		}
		f = median(fabric);
		c = median(ceiling);
		printf("%5u  %-8s  %15.2f  %6.1f  %3.0f%%  %16.2f  %6.1f  "
		       "%4.0f%%\n",
		    bench.bytes, bench.events ? "events" : "polling", f / 1e6,
		    f * bench.bytes * 8e-9, lost * 100, c / 1e6,
		    c * bench.bytes * 8e-9, 100 * median(ratio));
		fflush(stdout);
	}
	rmdir(bench.dir);
	return 0;
}
