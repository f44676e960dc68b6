/*
 * Nanoseconds that a frame of 64 bytes takes from a host through a learning
 * switch to another, with nobody watching:
 *
 *     a.eth0 -- lan.a.eth0 [lan] lan.b.eth0 -- b.eth0
 *
 * Made twice: with capture points as in lanyard, and without (PORT_UNWATCHED,
 * switch/port.c).  Prints the least of many short turns, of processor time, for
 * bursts of 1 and of 32: what disturbs a turn only adds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "switch/switch.h"

#define BYTES  64
#define TURNS  150
#define FRAMES 32000

struct host {
	struct port port; /* first */
	struct node node;
	uint8_t frame[32][BYTES];
};

static void
take(struct port *port, struct burst *burst)
{
	for (unsigned int i = 0; i < burst->n; i++)
		node_judge(port->node, &burst->frame[i], REASON_DELIVERED);
}

static const struct port_ops ops = { .take = take };

static void
send_burst(struct host *host, unsigned int n)
{
	struct burst burst;

	burst_clear(&burst);
	for (unsigned int i = 0; i < n; i++)
		burst_add(&burst, host->frame[i], BYTES);
	port_send(&host->port, &burst);
}

static double
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* Nanoseconds a frame, of one turn. */
static double
turn(struct host *from, unsigned int n)
{
	double start = now_ns();

	for (unsigned int i = 0; i < FRAMES; i += n)
		send_burst(from, n);
	return (now_ns() - start) / FRAMES;
}

static void
host_init(struct host *host, struct lan_switch *lan, const char *name,
    uint8_t mac, uint8_t to)
{
	struct err err = { "" };
	char port[32];
	struct port *other;

	node_init(&host->node, name);
	snprintf(port, sizeof(port), "%s.eth0", name);
	port_init(&host->port, &ops, &host->node, port);
	snprintf(port, sizeof(port), "lan.%s.eth0", name);
	other = switch_add_port(lan, port, &err);
	if (other == NULL || cable_join(&host->port, other) != 0)
		abort();
	for (unsigned int i = 0; i < 32; i++) {
		uint8_t *f = host->frame[i];

		memset(f, 0, BYTES);
		f[0] = f[6] = 2;
		f[5] = to;
		f[11] = mac;
		f[12] = 0x08; /* IPv4, which a switch does not look into */
	}
}

int
main(void)
{
	static const unsigned int bursts[] = { 1, 32 };
	static const struct switch_options usual;
	static struct host a, b;
	double least[2] = { 1e9, 1e9 };
	struct err err = { "" };
	struct loop *loop = loop_new(LOOP_VIRTUAL, &err);
	struct lan_switch *lan =
	    loop != NULL ? switch_new(loop, "lan", &usual, &err) : NULL;

	if (lan == NULL) {
		fprintf(stderr, "switching: %s\n", err.text);
		return 1;
	}
	host_init(&a, lan, "a", 1, 2);
	host_init(&b, lan, "b", 2, 1);
	send_burst(&b, 1); /* where b is, is known now */
	for (unsigned int t = 0; t < TURNS; t++) {
		for (unsigned int k = 0; k < 2; k++) {
			double ns = turn(&a, bursts[k]);

			if (ns < least[k])
				least[k] = ns;
		}
	}
	if (b.node.count[REASON_DELIVERED] < 2ull * TURNS * FRAMES)
		abort();
	printf("%.3f %.3f\n", least[0], least[1]);
	switch_free(lan);
	loop_free(loop);
	return 0;
}
