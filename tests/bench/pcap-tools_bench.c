/*
 * What a capture costs the loop, and how much it takes without losing any.
 *
 * Two ports and a plain cable; frames go in bursts of 32 from a buffer larger
 * than the first-level cache.  First the loop's cost of a frame: without a
 * capture, and with one at the receiving end.  Then offered rates, paced by the
 * clock, to a file on tmpfs: the highest without a lost frame, found by halving
 * the interval; and what the writer does when the loop waits for it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pcap-tools/capture.h"

#define BURST       32
#define NBUFFERS    256 /* of 2048 bytes */
#define COST_FRAMES 300000
#define RUN_NS      (NS_PER_S * 4 / 10)
#define STEPS       6

static const uint32_t sizes[] = { 64, 1514 };

static struct node node_a, node_b;
static struct port a, b;
static uint8_t buffers[NBUFFERS][2048];

static void
take(struct port *port, struct burst *burst)
{
	for (unsigned int i = 0; i < burst->n; i++)
		node_judge(port->node, &burst->frame[i], REASON_DELIVERED);
}

static const struct port_ops ops = { .take = take };

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void
send_burst(uint32_t size)
{
	static unsigned int next;
	struct burst burst;

	burst_clear(&burst);
	for (unsigned int i = 0; i < BURST; i++)
		burst_add(&burst, buffers[next++ % NBUFFERS], size);
	port_send(&a, &burst);
}

static void
give_up(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

static struct loop *
new_loop(enum loop_clock clock)
{
	struct err err = { "" };
	struct loop *loop = loop_new(clock, &err);

	if (loop == NULL)
		give_up(err.text);
	return loop;
}

static struct capture *
begin(struct loop *loop, const char *path, const char *filter)
{
	struct err err = { "" };
	struct capture *c = capture_new(loop, path, NULL, &err);

	if (c == NULL || capture_add(c, &b, filter, &err) != 0)
		give_up(err.text);
	return c;
}

/* Ends a capture; how many frames it lost. */
static uint64_t
end(struct capture *c, const char *path)
{
	struct err err = { "" };
	uint64_t lost = capture_stats(c).lost;

	if (capture_free(c, &err) != 0)
		give_up(err.text);
	unlink(path);
	return lost;
}

static double
cost_ns(uint32_t size)
{
	uint64_t start = now_ns();

	for (unsigned int i = 0; i < COST_FRAMES; i += BURST)
		send_burst(size);
	return (double)(now_ns() - start) / COST_FRAMES;
}

/* The loop's time per frame; a ring that is never full needs time between the
 * bursts, which is not counted. */
static double
cost_captured_ns(uint32_t size, const char *path)
{
	struct loop *loop = new_loop(LOOP_REAL);
	struct capture *c = begin(loop, path, NULL);
	uint64_t spent = 0;

	for (unsigned int i = 0; i < COST_FRAMES; i += BURST) {
		uint64_t start = now_ns();

		send_burst(size);
		spent += now_ns() - start;
		if (i % (BURST * 64) == 0)
			capture_flush(c);
	}
	if (end(c, path) != 0)
		give_up("frames were lost where none could be");
	loop_free(loop);
	return (double)spent / COST_FRAMES;
}

static double
cost_refused_ns(uint32_t size, const char *path)
{
	struct loop *loop = new_loop(LOOP_REAL);
	struct capture *c = begin(loop, path, "arp");
	double ns = cost_ns(size);

	end(c, path);
	loop_free(loop);
	return ns;
}

/* Offers frames at a rate.  How many were lost; *offered gets how many were
 * sent, which is less than asked for when the loop cannot keep up. */
static uint64_t
lost_at(double rate, uint32_t size, const char *path, double *offered)
{
	struct loop *loop = new_loop(LOOP_REAL);
	struct capture *c = begin(loop, path, NULL);
	uint64_t start = now_ns(), spent, sent = 0, lost;

	while ((spent = now_ns() - start) < RUN_NS) {
		if ((double)sent > (double)spent * rate / 1e9)
			continue;
		loop_update_now(loop);
		send_burst(size);
		sent += BURST;
	}
	*offered = (double)sent * 1e9 / (double)spent;
	lost = end(c, path);
	loop_free(loop);
	return lost;
}

static void
highest_rate(uint32_t size, double target, const char *path)
{
	double low = 0, high = target, rate = target, best = 0;

	for (int step = 0; step < STEPS; step++) {
		double offered;

		if (lost_at(rate, size, path, &offered) == 0 &&
		    offered > rate * 0.98) {
			low = best = rate;
			if (rate >= target)
				break;
		} else {
			high = rate;
		}
		rate = (low + high) / 2;
	}
	printf("%5" PRIu32 " B  without loss up to %7.0f kframes/s, %6.2f "
	       "Gbit/s%s\n",
	    size, best / 1e3, best * size * 8 / 1e9,
	    best >= target ? " (no more was offered)" : "");
}

/* The loop waits: the rate that can be kept up for ever. */
static void
lasting_rate(uint32_t size, const char *path)
{
	struct loop *loop = new_loop(LOOP_VIRTUAL);
	struct capture *c = begin(loop, path, NULL);
	uint64_t start = now_ns(), spent, sent = 0;

	while ((spent = now_ns() - start) < RUN_NS) {
		send_burst(size);
		sent += BURST;
	}
	capture_flush(c);
	spent = now_ns() - start;
	printf("%5" PRIu32 " B  waiting for the writer %7.0f kframes/s, %6.2f "
	       "Gbit/s\n",
	    size, (double)sent * 1e6 / (double)spent,
	    (double)sent * size * 8 / (double)spent);
	end(c, path);
	loop_free(loop);
}

int
main(void)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "%s/lanyard_bench.%d.pcapng",
	    stat("/dev/shm", &st) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
	for (unsigned int i = 0; i < NBUFFERS; i++)
		memset(buffers[i], (int)i, sizeof(buffers[i]));
	node_init(&node_a, "alice");
	node_init(&node_b, "lan");
	port_init(&a, &ops, &node_a, "alice.eth0");
	port_init(&b, &ops, &node_b, "lan.alice.eth0");
	cable_join(&a, &b);
	for (unsigned int i = 0; i < 2; i++) {
		double without = cost_ns(sizes[i]);
		double refused = cost_refused_ns(sizes[i], path);
		double with = cost_captured_ns(sizes[i], path);

		printf("%5" PRIu32 " B  port_send %6.1f ns, with a filter that "
		       "refuses %6.1f ns, captured %6.1f ns a frame\n",
		    sizes[i], without, refused, with);
	}
	for (unsigned int i = 0; i < 2; i++) {
		highest_rate(sizes[i], i == 0 ? 2e6 : 10e9 / 8 / 1514, path);
		lasting_rate(sizes[i], path);
	}
	return 0;
}
