/*
 * What a frame costs on a cable: a million a second, 100 ms on their way.
 *
 * In virtual time, so that nothing but work is measured: bursts of 64 frames of
 * 64 bytes every 64 us, four million in all.  Beside a plain cable, and beside a
 * ring into which each frame is copied and out of which it is handed over a
 * hundred thousand frames later: the least that holding frames back can cost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "switch/cable.h"

#define FRAMES UINT64_C(4000000)
#define RUNS   5
#define BYTES  64
#define HELD   100000
#define STRIDE 128
#define GAP_NS (64 * NS_PER_US)
#define DELAY  (100 * NS_PER_MS)

struct end {
	struct port port; /* first */
	struct node node;
	uint64_t sum;
};

static struct bench {
	struct loop *loop;
	struct end a, b;
	struct cable *cable;
	struct loop_timer tick;
	uint64_t left;
	uint8_t bytes[BURST_MAX][BYTES];
} bench;

static void
take(struct port *port, struct burst *burst)
{
	struct end *end = (struct end *)port;

	for (unsigned int i = 0; i < burst->n; i++) {
		end->sum += burst->frame[i].data[BYTES - 1];
		node_judge(port->node, &burst->frame[i], REASON_DELIVERED);
	}
}

static const struct port_ops ops = { .take = take };

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
tick(void *arg)
{
	struct bench *b = arg;
	struct burst burst;

	burst_clear(&burst);
	for (unsigned int i = 0; i < BURST_MAX; i++)
		burst_add(&burst, b->bytes[i], BYTES);
	port_send(&b->a.port, &burst);
	b->left -= BURST_MAX;
	if (b->left >= BURST_MAX)
		loop_timer_set(&b->tick, loop_now_ns(b->loop) + GAP_NS);
}

/* Nanoseconds a frame. */
static double
by_cable(const struct cable_settings *settings)
{
	struct bench *b = &bench;
	double begin;

	if (cable_set(b->cable, CABLE_A, settings, NULL, NULL) < 0)
		abort();
	b->left = FRAMES;
	begin = seconds();
	loop_timer_set(&b->tick, loop_now_ns(b->loop));
	loop_run(b->loop);
	begin = seconds() - begin;
	return begin * 1e9 / (double)FRAMES;
}

static double
by_ring(void)
{
	static uint8_t *ring;
	struct bench *b = &bench;
	double begin;
	uint64_t in = 0, out = 0;

	if (ring == NULL)
		ring = calloc(HELD + BURST_MAX, STRIDE);
	begin = seconds();
	while (in < FRAMES) {
		struct burst burst;

		for (unsigned int i = 0; i < BURST_MAX; i++, in++)
			memcpy(ring + in % (HELD + BURST_MAX) * STRIDE,
			    b->bytes[i], BYTES);
		if (in - out < HELD)
			continue;
		burst_clear(&burst);
		for (unsigned int i = 0; i < BURST_MAX; i++, out++)
			burst_add(&burst,
			    ring + out % (HELD + BURST_MAX) * STRIDE, BYTES);
		take(&b->b.port, &burst);
	}
	begin = seconds() - begin;
	return begin * 1e9 / (double)FRAMES;
}

static int
ascending(const void *x, const void *y)
{
	const double *a = x, *b = y;

	return (*a > *b) - (*a < *b);
}

static const struct {
	const char *name;
	struct cable_settings settings;
} rows[] = {
	{ "a ring", { 0 } },
	{ "a plain cable", { 0 } },
	{ "delay 100 ms", { .delay_ns = DELAY } },
	{ "and rate 1 Gbit/s", { .delay_ns = DELAY, .rate_bps = 1000000000 } },
	{ "and loss, in bursts too",
	    { .delay_ns = DELAY,
		.loss_ppb = 10000000,
		.spells = { 10000000, 100000000, CABLE_ALWAYS, 0 } } },
	{ "and jitter 1 ms, in order",
	    { .delay_ns = DELAY, .jitter_ns = NS_PER_MS } },
	{ "and jitter 1 ms, overtaking",
	    { .delay_ns = DELAY, .jitter_ns = NS_PER_MS, .overtake = true } },
	{ "and jitter 50 ms, overtaking",
	    { .delay_ns = DELAY,
		.jitter_ns = 50 * NS_PER_MS,
		.overtake = true } },
};

#define NROWS (sizeof(rows) / sizeof(rows[0]))

int
main(void)
{
	struct bench *b = &bench;
	double took[NROWS][RUNS];

	b->loop = loop_new(LOOP_VIRTUAL, NULL);
	node_init(&b->a.node, "a");
	node_init(&b->b.node, "b");
	port_init(&b->a.port, &ops, &b->a.node, "a");
	port_init(&b->b.port, &ops, &b->b.node, "b");
	cable_join(&b->a.port, &b->b.port);
	b->cable = cable_new(b->loop, &b->a.port, &b->b.port, "a", 1, NULL);
	loop_timer_init(&b->tick, b->loop, tick, b);
	for (unsigned int run = 0; run < RUNS; run++)
		for (unsigned int i = 0; i < NROWS; i++)
			took[i][run] =
			    i == 0 ? by_ring() : by_cable(&rows[i].settings);
	printf("%-30s %10s %10s\n", "64-byte frames, 1 M a second", "ns/frame",
	    "of a ring");
	for (unsigned int i = 0; i < NROWS; i++)
		qsort(took[i], RUNS, sizeof(took[i][0]), ascending);
	for (unsigned int i = 0; i < NROWS; i++)
		printf("%-30s %10.1f %10.2f\n", rows[i].name, took[i][RUNS / 2],
		    took[i][RUNS / 2] / took[0][RUNS / 2]);
	cable_free(b->cable);
	cable_cut(&b->a.port);
	loop_free(b->loop);
	return 0;
}
