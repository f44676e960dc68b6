/*
 * What a capture costs the loop, and whether it takes all it is offered.
 *
 *     offer cost FILE                     nanoseconds of the loop per frame
 *     offer BYTES RATE SECONDS FILE       frames a second, paced by the clock
 *
 * Two ports and a plain cable, a capture at the receiving end; frames go in
 * bursts of 32 from a buffer larger than the first-level cache.  Prints JSON.
 *
 * Memory that the machine never used may have to be found by its host first,
 * at many times the cost of the rest.  So as much of it as the file will have
 * is written beside it and given back before the clock runs.
 */
#include <dirent.h>
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
#define AROUND      160 /* bytes that a frame takes in the file beside itself */

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
now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
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
	fprintf(stderr, "offer: %s\n", what);
	exit(1);
}

static struct loop *
new_loop(void)
{
	struct err err = { "" };
	struct loop *loop = loop_new(LOOP_REAL, &err);

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

static struct capture_stats
end(struct capture *c)
{
	struct err err = { "" };
	struct capture_stats stats = capture_stats(c);

	if (capture_free(c, &err) != 0)
		give_up(err.text);
	return stats;
}

/* ---- the loop's cost ---- */

static double
cost_ns(uint32_t size)
{
	uint64_t start = now_ns(CLOCK_THREAD_CPUTIME_ID);

	for (unsigned int i = 0; i < COST_FRAMES; i += BURST)
		send_burst(size);
	return (double)(now_ns(CLOCK_THREAD_CPUTIME_ID) - start) / COST_FRAMES;
}

/* A ring that is never full needs time between the bursts, which is not
 * counted. */
static double
cost_captured_ns(uint32_t size, const char *path)
{
	struct loop *loop = new_loop();
	struct capture *c = begin(loop, path, NULL);
	uint64_t spent = 0;

	for (unsigned int i = 0; i < COST_FRAMES; i += BURST) {
		uint64_t start = now_ns(CLOCK_THREAD_CPUTIME_ID);

		send_burst(size);
		spent += now_ns(CLOCK_THREAD_CPUTIME_ID) - start;
		if (i % (BURST * 64) == 0)
			capture_flush(c);
	}
	if (end(c).lost != 0)
		give_up("frames were lost where none could be");
	loop_free(loop);
	return (double)spent / COST_FRAMES;
}

static double
cost_refused_ns(uint32_t size, const char *path)
{
	struct loop *loop = new_loop();
	struct capture *c = begin(loop, path, "arp");
	double ns = cost_ns(size);

	(void)end(c);
	loop_free(loop);
	return ns;
}

static void
cost(const char *path)
{
	static const uint32_t sizes[] = { 64, 1514 };

	for (unsigned int i = 0; i < 2; i++)
		printf("%s{\"bytes\": %" PRIu32 ", \"off\": %.1f, "
		       "\"refused\": %.1f, \"captured\": %.1f}%s\n",
		    i == 0 ? "[" : " ", sizes[i], cost_ns(sizes[i]),
		    cost_refused_ns(sizes[i], path),
		    cost_captured_ns(sizes[i], path), i == 0 ? "," : "]");
}

/* ---- offered rates ---- */

static void
warm(const char *path, uint64_t bytes)
{
	char beside[256];
	FILE *file;

	snprintf(beside, sizeof(beside), "%s.warm", path);
	file = fopen(beside, "w");
	for (uint64_t at = 0; file != NULL && at < bytes; at += sizeof(buffers))
		if (fwrite(buffers, sizeof(buffers), 1, file) != 1)
			give_up("no room for the file");
	if (file == NULL || fclose(file) != 0 || unlink(beside) != 0)
		give_up("cannot write beside the file");
}

/* Processor time of the thread that writes, by /proc: it is not ours. */
static uint64_t
writer_ns(void)
{
	DIR *tasks = opendir("/proc/self/task");
	uint64_t found = 0;

	for (struct dirent *d; tasks != NULL && (d = readdir(tasks)) != NULL;) {
		char path[300], name[17] = "";
		unsigned long user, sys;
		FILE *stat;

		snprintf(
		    path, sizeof(path), "/proc/self/task/%s/stat", d->d_name);
		stat = fopen(path, "r");
		if (stat == NULL)
			continue;
		if (fscanf(stat,
			"%*d (%16[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u "
			"%*u %*u %lu %lu",
			name, &user, &sys) == 3 &&
		    strcmp(name, "capture") == 0)
			found = (user + sys) * NS_PER_S /
			    (uint64_t)sysconf(_SC_CLK_TCK);
		fclose(stat);
	}
	if (tasks != NULL)
		closedir(tasks);
	return found;
}

static void
offer(uint32_t size, double rate, double seconds, const char *path)
{
	struct loop *loop = new_loop();
	struct capture *c = begin(loop, path, NULL);
	uint64_t spent = 0, sent = 0, start, took, writer;
	struct capture_stats stats;

	warm(path, (uint64_t)(rate * seconds * (size + AROUND)));
	start = now_ns(CLOCK_MONOTONIC);
	while (
	    (double)(took = now_ns(CLOCK_MONOTONIC) - start) < seconds * 1e9) {
		uint64_t before;

		if ((double)sent > (double)took * rate / 1e9)
			continue;
		before = now_ns(CLOCK_THREAD_CPUTIME_ID);
		loop_update_now(loop);
		send_burst(size);
		sent += BURST;
		spent += now_ns(CLOCK_THREAD_CPUTIME_ID) - before;
	}
	capture_flush(c);
	writer = writer_ns();
	stats = end(c);
	printf("{\"fps\": %.0f, \"sent\": %" PRIu64 ", \"kept\": %" PRIu64
	       ", \"lost\": %" PRIu64
	       ", \"loop_ns\": %.0f, \"writer_ns\": %.0f}\n",
	    (double)sent * 1e9 / (double)took, sent, stats.frames, stats.lost,
	    (double)spent / (double)sent, (double)writer / (double)sent);
	loop_free(loop);
}

int
main(int argc, char **argv)
{
	for (unsigned int i = 0; i < NBUFFERS; i++)
		memset(buffers[i], (int)i, sizeof(buffers[i]));
	node_init(&node_a, "alice");
	node_init(&node_b, "lan");
	port_init(&a, &ops, &node_a, "alice.eth0");
	port_init(&b, &ops, &node_b, "lan.alice.eth0");
	cable_join(&a, &b);
	if (argc == 3 && strcmp(argv[1], "cost") == 0)
		cost(argv[2]);
	else if (argc == 5 && atoi(argv[1]) > 0 &&
	    (size_t)atoi(argv[1]) <= sizeof(buffers[0]))
		offer((uint32_t)atoi(argv[1]), atof(argv[2]), atof(argv[3]),
		    argv[4]);
	else
		give_up("cost FILE, or BYTES RATE SECONDS FILE");
	return 0;
}
